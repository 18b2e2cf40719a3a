//! PromQL against scripts in Prometheus's own test format.
//!
//! `tests/promql/*.test` are ours. Prometheus's own suite is read from the directory that
//! `PROMQL_TESTDATA` names (or `../shared/promqltest`), where there is one; it is no part of this
//! project. `tests/promql/expected-counts.txt` says how many evaluations of each file pass and how
//! many are refused by name; any other outcome, better or worse, is a failure.

#[path = "promql/case.rs"]
mod case;
#[path = "promql/chaos.rs"]
mod chaos;
#[path = "promql/outcome.rs"]
mod outcome;
#[path = "promql/script.rs"]
mod script;
#[path = "promql/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use outcome::{Names, Outcome};

#[derive(Default)]
struct Count {
    passed: usize,
    /// How many were refused, by reason.
    refused: BTreeMap<String, usize>,
    /// Evaluations that may pass: those that read nothing but plain samples.
    open_lines: BTreeSet<usize>,
    passed_lines: BTreeSet<usize>,
    wrong: Vec<String>,
}

fn run(path: &Path, names: Names) -> Count {
    let text = std::fs::read_to_string(path).expect("the script can be read");
    let mut count = Count::default();
    let cases = script::read(&text);
    for case in cases {
        let outcome = outcome::judge(&case, names);
        if !matches!(outcome, Outcome::Unreadable(_)) {
            count.open_lines.insert(case.line);
        }
        match outcome {
            Outcome::Passed => {
                count.passed += 1;
                count.passed_lines.insert(case.line);
            }
            Outcome::Refused(why) => *count.refused.entry(why).or_default() += 1,
            Outcome::Unreadable(why) => *count.refused.entry(why.to_owned()).or_default() += 1,
            Outcome::Wrong(why) => count.wrong.push(format!(
                "{}:{}: {}\n    {why}",
                path.display(),
                case.line,
                case.query
            )),
        }
    }
    count
}

fn scripts(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let paths = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let mut scripts: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|end| end == "test")).collect();
    scripts.sort();
    scripts
}

fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn suite() -> Option<PathBuf> {
    let named = std::env::var_os("PROMQL_TESTDATA").map(PathBuf::from);
    let directory = named.unwrap_or_else(|| home().join("../shared/promqltest"));
    directory.is_dir().then_some(directory)
}

/// Runs all scripts of a directory, tells what came of them, and holds the counts to the table.
fn check(directory: &Path, prefix: &str, names: Names) -> BTreeMap<String, Count> {
    let table = home().join("tests/promql/expected-counts.txt");
    let table = std::fs::read_to_string(table).unwrap_or_default();
    let expected: BTreeSet<&str> =
        table.lines().filter(|line| line.starts_with(prefix) && !line.starts_with('#')).collect();
    let counts: BTreeMap<String, Count> = scripts(directory)
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, run(path, names))
        })
        .collect();
    let mut counted = BTreeSet::new();
    let mut wrong = Vec::new();
    for (name, count) in &counts {
        let refused: usize = count.refused.values().sum();
        counted.insert(format!("{prefix}{name} {} {refused}", count.passed));
        println!("{prefix}{name}: {} passed, {} wrong", count.passed, count.wrong.len());
        for (reason, times) in &count.refused {
            println!("    {times} refused: {reason}");
        }
        wrong.extend(count.wrong.iter().map(String::as_str));
    }
    println!("{}", wrong.join("\n"));
    assert!(wrong.is_empty(), "{} wrong answers, listed above", wrong.len());
    let counted: BTreeSet<&str> = counted.iter().map(String::as_str).collect();
    assert_eq!(
        counted, expected,
        "the outcome differs from tests/promql/expected-counts.txt; if it is right, put the left \
         lines there"
    );
    counts
}

#[test]
fn our_scripts_pass() {
    check(&home().join("tests/promql"), "ours/", Names::AtOnce);
}

#[test]
fn prometheus_own_scripts_pass_or_are_refused_by_name() {
    let Some(directory) = suite() else { return };
    let counts = check(&directory, "suite/", Names::AtTheEnd);
    assert_eq!(missing_core(&directory, &counts), [""; 0], "core evaluations that do not pass");
}

/// With names dropped at once, as Prometheus is released, those evaluations differ that read a
/// dropped name.
#[test]
fn only_dropped_names_tell_the_released_default_from_the_suite() {
    let Some(directory) = suite() else { return };
    let counts = scripts(&directory)
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, run(path, Names::AtOnce))
        })
        .collect();
    let reading = [59, 64, 69, 74, 89, 115, 119, 123];
    let reading = reading.map(|line| format!("name_label_dropping.test:{line}"));
    assert_eq!(missing_core(&directory, &counts), reading);
}

/// Core evaluations that do not pass. `CLASSES.tsv` beside the suite names those that ordinary rules
/// and dashboards need. Five of its 859 want a remark on native histograms among the samples, which
/// this engine is never given.
fn missing_core(directory: &Path, counts: &BTreeMap<String, Count>) -> Vec<String> {
    let classes = std::fs::read_to_string(directory.join("CLASSES.tsv")).unwrap_or_default();
    let (mut missing, mut unreadable) = (Vec::new(), 0);
    for line in classes.lines() {
        let [file, number, "core"] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let Some(count) = counts.get(file) else { continue };
        let number: usize = number.parse().expect("a line's number");
        if !count.open_lines.contains(&number) {
            unreadable += 1;
        } else if !count.passed_lines.contains(&number) {
            missing.push(format!("{file}:{number}"));
        }
    }
    assert!(unreadable <= 5, "{unreadable} core evaluations read native histograms");
    missing
}
