//! Results for people.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::{FileResult, RulesArguments, lines};
use crate::promql::format_value;
use crate::rules::unit::Report;

pub(super) fn print(result: &FileResult, arguments: &RulesArguments) {
    let path = &result.path;
    for warning in &result.warnings {
        println!("warning: {warning}");
    }
    if !result.mistakes.is_empty() {
        println!("{path}: FAILED, {} to correct", counted(result.mistakes.len(), "mistake"));
        result.mistakes.iter().for_each(|mistake| println!("  {mistake}"));
        return;
    }
    let (count, failed) = (result.tests.len(), result.failed());
    match failed {
        0 => println!("{path}: ok, {} in {}", counted(count, "test"), seconds(result.took())),
        _ => println!("{path}: FAILED, {failed} of {}", counted(count, "test")),
    }
    for test in &result.tests {
        if arguments.debug {
            println!("  {} took {}", test.name, seconds(test.took));
            dump(&test.report);
        }
        if test.report.failures.is_empty() {
            continue;
        }
        println!("  {}", test.name);
        for failure in &test.report.failures {
            let whole = match failure.sides().filter(|_| arguments.diff) {
                Some((expected, got)) => {
                    let is_colored = std::io::stdout().is_terminal();
                    let lines = lines::compared(&expected, &got, is_colored);
                    format!("{}\n{lines}", failure.headline())
                }
                None => failure.to_string(),
            };
            println!("    {}", whole.trim_end().replace('\n', "\n    "));
        }
    }
}

pub(super) fn summary(results: &[FileResult], took: Duration) {
    if results.len() < 2 {
        return;
    }
    let tests = results.iter().map(|result| result.tests.len()).sum();
    let failed: usize = results.iter().map(FileResult::failed).sum();
    let broken = results.iter().filter(|result| !result.mistakes.is_empty()).count();
    println!(
        "{} in {}: {failed} failed{} ({})",
        counted(tests, "test"),
        counted(results.len(), "file"),
        if broken > 0 { format!(", {broken} not readable") } else { String::new() },
        seconds(took),
    );
}

fn dump(report: &Report) {
    for (labels, samples) in &report.series {
        println!("    {labels}");
        for sample in samples {
            println!("      {} @ {}", format_value(sample.value), sample.at.seconds());
        }
    }
}

pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn seconds(took: Duration) -> String {
    format!("{:.3} s", took.as_secs_f64())
}
