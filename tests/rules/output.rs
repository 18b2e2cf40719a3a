//! How `bellwether test rules` reads to people and to programs.

use super::peer::{Folder, Program, Ran};

const RULES: &str = "groups:
- name: g
  rules:
  - alert: Broken
    expr: errors > 1
    labels: {severity: page}
    annotations: {summary: '{{ $labels.target }}: {{ $value }}'}
";

const TESTS: &str = r#"rule_files: [rules.yml]
tests:
- name: good
  input_series: [{series: 'errors{target="a"}', values: 0 5}]
  alert_rule_test: [{eval_time: 0, alertname: Broken}]
- name: bad <one>
  input_series:
  - {series: 'errors{target="a"}', values: 5}
  - {series: 'errors{target="b"}', values: 6}
  alert_rule_test:
  - eval_time: 1m
    alertname: Broken
    exp_alerts:
    - exp_labels: {severity: page, target: a}
      exp_annotations: {summary: "a: 4"}
    - exp_labels: {severity: page, zone: c}
  promql_expr_test:
  - expr: errors
    eval_time: 1m
    exp_samples:
    - {labels: 'errors{target="a"}', value: 4}
    - {labels: 'errors{target="c"}', value: 4}
"#;

fn run(name: &str, flags: &[&str]) -> (Ran, Folder) {
    let folder = Folder::new(name);
    folder.write("rules.yml", RULES);
    let tests = folder.write("x_test.yml", TESTS);
    let arguments: Vec<&str> = ["test", "rules"].iter().chain(flags).copied().collect();
    (Program::ours().run(&arguments, &[&tests]), folder)
}

#[test]
fn a_difference_names_what_differs_and_shows_both_sides() {
    let (ran, folder) = run("text", &[]);
    assert_eq!(ran.code, Some(1));
    let path = folder.0.join("x_test.yml").display().to_string();
    assert_eq!(
        ran.output.replace(&path, "x_test.yml"),
        r#"x_test.yml: FAILED, 1 of 2 tests
  bad <one>
    x_test.yml:11:5: `Broken` at 1m: 2 alerts expected to fire, 2 fire
      differs     {alertname="Broken", severity="page", target="a"}
        annotation `summary`
          expected  "a: 4"
          got       "a: 5"
      differs     {alertname="Broken", severity="page", target="b"}
        label `zone`
          expected  "c"
          got       nothing
        label `target`
          expected  nothing
          got       "b"
        annotation `summary`
          expected  nothing
          got       "b: 6"
    x_test.yml:18:5: `errors` at 1m: 2 samples expected, got 2
      differs     errors{target="a"}
          expected  4
          got       5
      missing     errors{target="c"} 4
      unexpected  errors{target="b"} 6
"#
    );
}

#[test]
fn a_diff_marks_the_lines_of_each_side() {
    let (ran, _folder) = run("diff", &["--diff", "--run", "bad"]);
    let marked = |mark: &str| ran.output.lines().any(|line| line.trim() == mark);
    assert!(marked("-     summary: \"a: 4\""), "{}", ran.output);
    assert!(marked("+     summary: \"a: 5\""), "{}", ran.output);
    assert!(marked("- errors{target=\"a\"} 4"), "{}", ran.output);
}

#[test]
fn only_the_tests_that_are_asked_for_run() {
    let (ran, _folder) = run("run", &["--run", "^good$", "--run", "nothing"]);
    assert!(ran.is_good && ran.output.contains("ok, 1 test "), "{}", ran.output);
    let (ran, _folder) = run("regex", &["--run", "("]);
    assert_eq!(ran.code, Some(2), "{}", ran.text);
}

#[test]
fn json_and_junit_say_the_same() {
    let folder = Folder::new("junit-file");
    let junit = folder.0.join("out.xml");
    let (ran, _tests) = run("junit", &["--output", "json", "--junit", junit.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!((&json["tests"], &json["failed"]), (&2.into(), &1.into()));
    let bad = &json["files"][0]["tests"][1];
    assert_eq!((&bad["name"], &bad["status"]), (&"bad <one>".into(), &"failed".into()));
    let alerts = &bad["failures"][0];
    assert_eq!((&alerts["kind"], &alerts["line"]), (&"alerts".into(), &11.into()));
    assert_eq!(alerts["got"][0]["annotations"]["summary"], "a: 5");

    let xml = std::fs::read_to_string(junit).unwrap();
    for part in [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>",
        "tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"0\"",
        "<testcase name=\"good\"",
        "<testcase name=\"bad &lt;one&gt;\"",
        "</testsuites>\n",
    ] {
        assert!(xml.contains(part), "{part} in {xml}");
    }
    assert_eq!(xml.matches("<failure ").count(), 2);
    assert_eq!(xml.matches("</failure>").count(), 2);
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let folder = Folder::new("mistakes");
    let path = folder.write(
        "x_test.yml",
        r#"rule_file: [rules.yml]
tests:
- intervall: 1m
  input_series: [{series: 'x{a="b', values: '1 2+ 3'}]
  alert_rule_test: [{eval_time: 5}]
  promql_expr_test: [{expr: 'sum(x', exp_samples: [{labels: 'x', value: NaN}]}]
"#,
    );
    let ran = Program::ours().run(&["test", "rules"], &[&path]);
    let name = path.display().to_string();
    assert_eq!(
        ran.output.replace(&name, "x_test.yml"),
        "x_test.yml: FAILED, 8 mistakes to correct
  x_test.yml:1:1: a file of unit tests has no field `rule_file` (did you mean `rule_files`?)
  x_test.yml:3:3: a test has no field `intervall` (did you mean `interval`?)
  x_test.yml:4:32: the quote `\"` is not closed
  x_test.yml:4:48: `2+` is no value: write `1`, `1+2x3`, `1x3`, `_`, `stale`
  x_test.yml:5:21: an item of `alert_rule_test` has no `alertname` (write the alert's name)
  x_test.yml:5:33: `eval_time`: `5` is not a duration such as `30s`, `5m` or `1h30m`
  x_test.yml:6:35: this is not PromQL: unexpected end of the expression, `,` or `)` is due
  x_test.yml:6:73: `value` is `NaN`, not a number (YAML writes `.nan`; but no value equals it: test \
         `expr != expr`)
"
    );
    let ran = Program::ours().run(&["test", "rules"], &[&folder.0.join("none.yml")]);
    assert!(!ran.is_good && ran.output.contains("cannot be read"), "{}", ran.output);
}
