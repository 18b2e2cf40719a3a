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
use std::io::Write as _;
use std::path::{Path, PathBuf};

use outcome::{Names, Outcome};

#[derive(Default)]
struct Count {
    passed: usize,
    /// How many were refused, by reason.
    refused: BTreeMap<String, usize>,
    /// What came of the evaluation in each line.
    lines: BTreeMap<usize, Ending>,
    wrong: Vec<String>,
}

/// What came of an evaluation, in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Passed,
    /// Not built, and said so by name.
    Refused,
    /// Wants more of the samples than the engine is given.
    Unreadable,
    Wrong,
}

impl Ending {
    const ALL: [(Self, &str); 4] = [
        (Self::Passed, "passed"),
        (Self::Refused, "refused by name"),
        (Self::Unreadable, "reading start timestamps"),
        (Self::Wrong, "wrong"),
    ];
}

fn run(path: &Path, names: Names) -> Count {
    let text = std::fs::read_to_string(path).expect("the script can be read");
    let mut count = Count::default();
    let cases = script::read(&text);
    for case in cases {
        let outcome = outcome::judge(&case, names);
        let ending = match outcome {
            Outcome::Passed => Ending::Passed,
            Outcome::Refused(_) => Ending::Refused,
            Outcome::Unreadable(_) => Ending::Unreadable,
            Outcome::Wrong(_) => Ending::Wrong,
        };
        count.lines.insert(case.line, ending);
        match outcome {
            Outcome::Passed => count.passed += 1,
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

/// Says something that is seen where tests pass, too: what a test prints is shown of failures only.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error takes a line");
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
        let (passed, mistaken) = (count.passed, count.wrong.len());
        say(&format!("{prefix}{name}: {passed} passed, {mistaken} wrong, {refused} refused"));
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
    totals(&directory, &counts).iter().for_each(|line| say(line));
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

/// The class of each evaluation, by file and line, as `CLASSES.tsv` beside the suite gives it.
fn classes(directory: &Path) -> Vec<(String, usize, String)> {
    let text = std::fs::read_to_string(directory.join("CLASSES.tsv")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let [file, number, class] = line.split('\t').collect::<Vec<_>>()[..] else {
                panic!("CLASSES.tsv: `{line}` is not a file, a line and a class")
            };
            (file.to_owned(), number.parse().expect("a line's number"), class.to_owned())
        })
        .collect()
}

/// What came of the suite, class by class.
fn totals(directory: &Path, counts: &BTreeMap<String, Count>) -> Vec<String> {
    let mut endings: BTreeMap<String, BTreeMap<Option<Ending>, usize>> = BTreeMap::new();
    for (file, line, class) in classes(directory) {
        let ending = counts.get(&file).and_then(|count| count.lines.get(&line)).copied();
        *endings.entry(class).or_default().entry(ending).or_default() += 1;
    }
    let told = endings.into_iter().map(|(class, endings)| {
        let all: usize = endings.values().sum();
        let count = |ending: Option<Ending>| endings.get(&ending).copied().unwrap_or_default();
        let parts =
            Ending::ALL.iter().map(|(ending, what)| format!("{} {what}", count(Some(*ending))));
        let mut parts: Vec<String> = parts.collect();
        if count(None) > 0 {
            parts.push(format!("{} not found in the scripts", count(None)));
        }
        format!("class {class}: {all} evaluations, {}", parts.join(", "))
    });
    told.collect()
}

/// Core evaluations that do not pass. `CLASSES.tsv` beside the suite names those that ordinary rules
/// and dashboards need.
fn missing_core(directory: &Path, counts: &BTreeMap<String, Count>) -> Vec<String> {
    let core = classes(directory).into_iter().filter(|(_, _, class)| class == "core");
    let missing = core.filter(|(file, line, _)| {
        let count = counts.get(file);
        count.is_some_and(|count| count.lines.get(line) != Some(&Ending::Passed))
    });
    missing.map(|(file, line, _)| format!("{file}:{line}")).collect()
}
