//! `bellwether test`.

mod json;
mod junit;
mod lines;
mod text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use regex::Regex;
use tokio::time::Instant;

use super::rule_files;
use crate::clock::Clock;
use crate::model::Mistake;
use crate::rules::unit::{self, Pattern, Report, Suite};
use crate::rules::{self, RuleFile, Unknown};

/// More rule files than anybody has.
const RULE_FILES_MAX: usize = 1_000;

/// Flags of `test rules`, named as promtool names them.
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    /// Files of unit tests, in promtool's format.
    #[arg(required = true, value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// Run only the tests whose name matches; may be given several times.
    #[arg(long, value_name = "REGEX")]
    run: Vec<Regex>,
    /// Print how long each test took, and every series at its end.
    #[arg(long)]
    debug: bool,
    /// Write the results to this file too, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Show what was expected and what came line by line.
    #[arg(long)]
    diff: bool,
    /// Pass over fields that are not known, in files of tests and of rules.
    #[arg(long)]
    ignore_unknown_fields: bool,
    /// Lines for people or JSON for programs.
    #[arg(long, default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

/// What came of a file of tests.
struct FileResult {
    path: String,
    /// Why nothing was run.
    mistakes: Vec<String>,
    warnings: Vec<String>,
    tests: Vec<TestResult>,
}

struct TestResult {
    name: String,
    report: Report,
    took: Duration,
}

impl FileResult {
    fn failed(&self) -> usize {
        self.tests.iter().filter(|test| !test.report.failures.is_empty()).count()
    }

    fn is_good(&self) -> bool {
        self.mistakes.is_empty() && self.failed() == 0
    }

    fn took(&self) -> Duration {
        self.tests.iter().map(|test| test.took).sum()
    }
}

pub(super) fn rules(arguments: &RulesArguments) -> anyhow::Result<ExitCode> {
    let at = Clock::start().now();
    let started = Instant::now();
    let results = run(arguments);
    match arguments.output {
        Output::Text => {
            for result in &results {
                text::print(result, arguments);
            }
            text::summary(&results, started.elapsed());
        }
        Output::Json => println!("{}", json::document(&results)),
    }
    if let Some(path) = &arguments.junit {
        let document = junit::document(&results, at);
        std::fs::write(path, document)
            .map_err(|error| anyhow::anyhow!("`{}` cannot be written: {error}", path.display()))?;
    }
    let is_good = results.iter().all(FileResult::is_good);
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads every file, and runs all tests of all of them on as many threads as there are processors.
fn run(arguments: &RulesArguments) -> Vec<FileResult> {
    let mut results = Vec::new();
    let mut suites = Vec::new();
    let mut jobs = Vec::new();
    for path in &arguments.paths {
        let mut loading = Loading::default();
        let suite = loading.suite(path, unknown(arguments));
        let file = results.len();
        if let Some(suite) = &suite {
            let script = suite.script();
            let tests = (0..script.tests.len()).filter(|test| {
                let name = &script.tests[*test].name;
                arguments.run.is_empty() || arguments.run.iter().any(|run| run.is_match(name))
            });
            jobs.extend(tests.map(|test| (file, test)));
        }
        suites.push(suite);
        let (mistakes, warnings) = (loading.mistakes, loading.warnings);
        results.push(FileResult {
            path: path.display().to_string(),
            mistakes,
            warnings,
            tests: Vec::new(),
        });
    }
    for (file, result) in run_all(&suites, &jobs, arguments) {
        results[file].tests.push(result);
    }
    results
}

fn unknown(arguments: &RulesArguments) -> Unknown {
    if arguments.ignore_unknown_fields { Unknown::Ignored } else { Unknown::Refused }
}

/// The results in the order of the jobs.
fn run_all(
    suites: &[Option<Suite>],
    jobs: &[(usize, usize)],
    arguments: &RulesArguments,
) -> Vec<(usize, TestResult)> {
    let next = AtomicUsize::new(0);
    // Threads that share nothing else hand in what they did.
    let done: Mutex<Vec<(usize, TestResult)>> = Mutex::new(Vec::with_capacity(jobs.len()));
    let work = || {
        while let Some((job, (file, test))) = {
            let job = next.fetch_add(1, Ordering::Relaxed);
            jobs.get(job).map(|what| (job, what))
        } {
            let Some(suite) = &suites[*file] else { continue };
            let started = Instant::now();
            let report = if arguments.debug { suite.run_and_look(*test) } else { suite.run(*test) };
            let took = started.elapsed();
            let result = TestResult { name: suite.script().name(*test), report, took };
            done.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((job, result));
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(jobs.len());
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(job, _)| *job);
    done.into_iter().map(|(job, result)| (jobs[job].0, result)).collect()
}

/// A file of tests and the rule files that it names.
#[derive(Default)]
struct Loading {
    mistakes: Vec<String>,
    warnings: Vec<String>,
    seen: BTreeSet<PathBuf>,
    rules: Vec<RuleFile>,
}

impl Loading {
    fn suite(&mut self, path: &Path, unknown: Unknown) -> Option<Suite> {
        let name = path.display().to_string();
        let text = rule_files::read(path).map_err(|error| self.mistakes.push(error)).ok()?;
        let script = unit::parse(&name, &text, unknown);
        let script = script.map_err(|mistakes| self.refuse(&mistakes)).ok()?;
        let directory = path.parent().unwrap_or(Path::new(""));
        for pattern in &script.rule_files {
            self.add(directory, pattern, unknown);
        }
        self.mistakes.is_empty().then(|| Suite::new(script, &self.rules))
    }

    fn refuse(&mut self, mistakes: &[Mistake]) {
        self.mistakes.extend(mistakes.iter().map(ToString::to_string));
    }

    /// A pattern that matches nothing is worth a word and no more, as in promtool.
    fn add(&mut self, directory: &Path, pattern: &Pattern, unknown: Unknown) {
        // Only what the author wrote is a pattern; the directory may well be called `[x]`.
        let directory = glob::Pattern::escape(&directory.display().to_string());
        let whole = Path::new(&directory).join(&pattern.text).display().to_string();
        let place = &pattern.place;
        let paths = match glob::glob(&whole) {
            Ok(paths) => paths,
            Err(error) => {
                let text = &pattern.text;
                self.mistakes.push(format!("{place}: `{text}` is no pattern of files: {error}"));
                return;
            }
        };
        let mut is_matched = false;
        for path in paths.take(RULE_FILES_MAX).filter_map(Result::ok) {
            is_matched = true;
            if self.seen.insert(path.clone()) {
                self.open(&path, unknown);
            }
        }
        if !is_matched {
            self.warnings.push(format!("{place}: `{}` matches no rule file", pattern.text));
        }
    }

    fn open(&mut self, path: &Path, unknown: Unknown) {
        let text = match rule_files::read(path) {
            Ok(text) => text,
            Err(error) => return self.mistakes.push(error),
        };
        match rules::parse_sourced(&path.display().to_string(), &text, unknown) {
            Ok(sourced) => self.rules.push(sourced.file),
            Err(mistakes) => self.refuse(&mistakes),
        }
    }
}
