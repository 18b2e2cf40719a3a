//! Results for programs.

use serde_json::{Value, json};

use super::{FileResult, TestResult};
use crate::rules::unit::{Failure, Told};

pub(super) fn document(results: &[FileResult]) -> Value {
    let files: Vec<Value> = results.iter().map(file).collect();
    let tests: usize = results.iter().map(|result| result.tests.len()).sum();
    let failed: usize = results.iter().map(FileResult::failed).sum();
    json!({
        "status": status(results.iter().all(FileResult::is_good)),
        "tests": tests,
        "failed": failed,
        "files": files,
    })
}

fn status(is_good: bool) -> &'static str {
    if is_good { "passed" } else { "failed" }
}

fn file(result: &FileResult) -> Value {
    json!({
        "file": result.path,
        "status": status(result.is_good()),
        "mistakes": result.mistakes,
        "warnings": result.warnings,
        "tests": result.tests.iter().map(test).collect::<Vec<_>>(),
    })
}

fn test(result: &TestResult) -> Value {
    json!({
        "name": result.name,
        "status": status(result.report.failures.is_empty()),
        "durationSeconds": result.took.as_secs_f64(),
        "failures": result.report.failures.iter().map(failure).collect::<Vec<_>>(),
    })
}

fn failure(failure: &Failure) -> Value {
    let mut value = match failure {
        Failure::Rule { group, rule, at, error } => json!({
            "kind": "rule", "group": group, "rule": rule, "evalTimeSeconds": at.as_secs_f64(),
            "error": error,
        }),
        Failure::Alerts { alertname, at, expected, got, .. } => json!({
            "kind": "alerts", "alertname": alertname, "evalTimeSeconds": at.as_secs_f64(),
            "expected": expected.iter().map(told).collect::<Vec<_>>(),
            "got": got.iter().map(told).collect::<Vec<_>>(),
        }),
        Failure::Query { expr, at, error, .. } => json!({
            "kind": "query", "expr": expr, "evalTimeSeconds": at.as_secs_f64(), "error": error,
        }),
        Failure::Samples { expr, at, .. } => {
            let (expected, got) = failure.sides().unwrap_or_default();
            json!({
                "kind": "samples", "expr": expr, "evalTimeSeconds": at.as_secs_f64(),
                "expected": expected, "got": got,
            })
        }
    };
    if let Some(place) = failure.place() {
        value["line"] = json!(place.line);
        value["column"] = json!(place.column);
    }
    value["text"] = json!(failure.to_string());
    value
}

fn told(told: &Told) -> Value {
    json!({ "labels": told.labels, "annotations": told.annotations })
}
