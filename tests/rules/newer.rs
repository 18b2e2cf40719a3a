//! What no promtool at hand knows yet, worked out by hand from Go's documentation.

use super::peer::{Folder, Program};

#[test]
fn functions_of_later_releases_are_filled_in() {
    let folder = Folder::new("newer");
    let rules =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules/functions-newer.yml");
    let tests = format!(
        r#"rule_files: ['{}']
tests:
- start_timestamp: 2009-02-13T23:31:00Z
  input_series: [{{series: size, values: 1536x3}}]
  alert_rule_test:
  - eval_time: 1m
    alertname: Newer
    exp_alerts:
    - exp_annotations:
        to_duration: 30m0s 500ms -1m30s 0s 1.5µs
        now: 1.23456792e+09 2009-02-13 23:32:00 +0000 UTC
        url_query_escape: a+b%26c%3Dd%2F%C3%A9~%2A%2B
  promql_expr_test:
  - {{expr: time(), eval_time: 90s, exp_samples: [{{value: 1234567950}}]}}
  - {{expr: timestamp(size), eval_time: 3m, exp_samples: [{{value: 1234568040}}]}}
"#,
        rules.display()
    );
    let path = folder.write("newer_test.yml", &tests);
    let ran = Program::ours().run(&["test", "rules"], &[&path]);
    assert!(ran.is_good, "{}", ran.text);
}
