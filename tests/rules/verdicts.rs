//! Whether a file of tests passes: good ones, and one slip in each of many.
//!
//! The column says what promtool says; the feature `peers` asks it. Where only Prometheus 3 knows a
//! notation, only it is asked.

use super::peer::{Folder, Program};

const RULES: &str = r#"groups:
- name: second
  rules:
  - record: doubled
    expr: 2 * single
- name: first
  interval: 7m
  rules:
  - record: single
    expr: sum by (target) (input)
  - alert: Waits
    expr: doubled > 4
    for: 2m
    labels: {severity: page, empty: "{{ $labels.nope }}"}
    annotations: {summary: "{{ $labels.target }} is at {{ $value }}", note: "{{ if false }}x{{ end }}"}
  - alert: Waits
    expr: doubled > 1000
  - alert: Outside
    expr: input > 7
    annotations: {from: "{{ $externalLabels.region }} {{ $externalURL }}"}
"#;

const TESTS: &str = r#"rule_files: [rules.yml]
evaluation_interval: 1m
group_eval_order: [first, second]
tests:
- name: base
  interval: 1m
  external_labels: {region: eu}
  external_url: http://h/p
  input_series:
  - {series: 'input{target="a"}', values: '1 2 3+0x6'}
  - {series: 'input{target="b"}', values: '1x3 _x1 8 stale'}
  alert_rule_test:
  - eval_time: 5m30s
    alertname: Waits
    exp_alerts:
    - exp_labels: {severity: page, target: a}
      exp_annotations: {summary: a is at 6, note: ""}
  - {eval_time: 4m, alertname: Waits, exp_alerts: []}
  - eval_time: 5m
    alertname: Outside
    exp_alerts:
    - exp_labels: {target: b}
      exp_annotations: {from: eu http://h/p}
  promql_expr_test:
  - expr: doubled
    eval_time: 2m
    exp_samples:
    - {labels: 'doubled{target="a"}', value: 6}
    - {labels: 'doubled{target="b"}', value: 2}
  - {expr: 'vector(1) * 2', eval_time: 1m, exp_samples: [{labels: '{}', value: 2}]}
  - {expr: '5', eval_time: 1m, exp_samples: [{value: 5}]}
  - {expr: 'input{target="b"}', eval_time: 6m, exp_samples: []}
"#;

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    /// Every promtool.
    All,
    /// That of Prometheus 3.
    Three,
    /// None: Prometheus 3.5 does not know it yet, or has no verdict of its own.
    Nobody,
}

use Asked::{All, Nobody, Three};

/// What is replaced in the tests, by what, whether they pass then, and who says so.
const SLIPS: &[(&str, &str, bool, Asked)] = &[
    ("", "", true, All),
    // Expectations.
    ("value: 6}", "value: 7}", false, All),
    ("value: 6}", "value: 6.0000000001}", false, All),
    ("value: 6}", "value: 6e0}", true, All),
    ("value: 6}", "value: 0x6}", true, All),
    ("value: 6}", "value: '6'}", false, All),
    ("value: 6}", "value: six}", false, All),
    ("value: 6}", "value: .nan}", false, All),
    ("value: 5}", "value: 5, histogram: ''}", true, Three),
    ("[{value: 5}]", "[{}]", false, All),
    ("[{value: 5}]", "[{value: 5}, {value: 5}]", false, All),
    (
        "expr: '5'",
        "expr: '-0'\n    , eval_time: 1m, exp_samples: [{value: 0}]}\n  - {expr: '5'",
        true,
        All,
    ),
    ("labels: 'doubled{target=\"a\"}'", "labels: 'doubled{target=\"c\"}'", false, All),
    ("labels: 'doubled{target=\"a\"}'", "labels: 'doubled{target=\"a\"'", false, All),
    ("labels: 'doubled{target=\"a\"}'", "labels: 'doubled{target=~\"a\"}'", false, All),
    ("    - {labels: 'doubled{target=\"b\"}', value: 2}\n", "", false, All),
    ("exp_samples: []", "exp_samples: [{labels: x, value: 1}]", false, All),
    ("expr: doubled\n", "expr: doubled[5m]\n", false, All),
    ("expr: doubled\n", "expr: doubled +\n", false, All),
    ("expr: doubled\n", "expr: input * on () input\n", false, All),
    ("expr: doubled\n", "expr: sort_desc(doubled)\n", true, All),
    ("expr: doubled\n    eval_time: 2m", "expr: doubled offset 1m\n    eval_time: 3m", true, All),
    ("severity: page, target: a}", "severity: warn, target: a}", false, All),
    ("severity: page, target: a}", "severity: page}", false, All),
    ("severity: page, target: a}", "severity: page, target: a, empty: \"\"}", false, All),
    ("severity: page, target: a}", "severity: page, target: a, alertname: Other}", true, All),
    ("summary: a is at 6", "summary: a is at 7", false, All),
    (", note: \"\"", "", false, All),
    ("      exp_annotations: {summary: a is at 6, note: \"\"}\n", "", false, All),
    (
        "    exp_alerts:\n    - exp_labels: {severity: page, target: a}\n      exp_annotations: {summary: a is at 6, note: \"\"}\n",
        "",
        false,
        All,
    ),
    (
        "{eval_time: 4m, alertname: Waits, exp_alerts: []}",
        "{eval_time: 4m, alertname: Waits}",
        true,
        All,
    ),
    (
        "{eval_time: 4m, alertname: Waits, exp_alerts: []}",
        "{eval_time: 4m, alertname: Waits, exp_alerts: [{}]}",
        false,
        All,
    ),
    (
        "{eval_time: 4m, alertname: Waits, exp_alerts: []}",
        "{eval_time: 4m, alertname: Nowhere, exp_alerts: []}",
        true,
        All,
    ),
    (
        "{eval_time: 4m, alertname: Waits, exp_alerts: []}",
        "{eval_time: 4m, exp_alerts: []}",
        false,
        All,
    ),
    (
        "{eval_time: 4m, alertname: Waits, exp_alerts: []}",
        "{alertname: Waits, exp_alerts: []}",
        true,
        All,
    ),
    ("{eval_time: 4m,", "{eval_time: 5m59s,", false, All),
    ("eval_time: 5m30s", "eval_time: 4m59s", false, All),
    ("eval_time: 5m30s", "eval_time: 5m30", false, All),
    ("eval_time: 5m30s", "eval_time: -5m", false, All),
    // Input.
    ("'1 2 3+0x6'", "'1 2 2x6'", false, All),
    ("'1 2 3+0x6'", "'1+1x2 3x5'", true, All),
    ("'1 2 3+0x6'", "'1 2 stale 3x6'", false, All),
    ("'1 2 3+0x6'", "'1 2 3+0xsix'", false, All),
    ("'1 2 3+0x6'", "'1 2 3+0'", false, All),
    ("'1 2 3+0x6'", "'1 2 three'", false, All),
    ("'1 2 3+0x6'", "'1, 2, 3'", false, All),
    ("_x1 8 stale", "_ 8 stale", true, All),
    ("_x1 8 stale", "_x1 8", false, All),
    ("_x1 8 stale", "_x1 8 stalex2", false, All),
    ("series: 'input{target=\"a\"}'", "series: 'input{target=\"a\"'", false, All),
    ("series: 'input{target=\"a\"}'", "series: 'input{target=~\"a\"}'", false, All),
    ("series: 'input{target=\"a\"}'", "series: '{__name__=\"input\",target=\"a\"}'", true, All),
    ("series: 'input{target=\"a\"}'", "series: ''", false, All),
    ("values: '1x3 _x1", "value: '1x3 _x1", false, All),
    (
        "  - {series: 'input{target=\"b\"}'",
        "  - {series: 'input{target=\"a\"}', values: 1}\n  - {series: 'input{target=\"b\"}'",
        false,
        All,
    ),
    // The test and the file.
    ("  interval: 1m", "  interval: 2m", false, All),
    ("  interval: 1m", "  interval: 1 m", false, All),
    ("  interval: 1m\n", "", true, Three),
    ("  interval: 1m", "  interval: 0s", true, Three),
    ("evaluation_interval: 1m", "evaluation_interval: 2m", false, All),
    ("evaluation_interval: 1m\n", "", true, All),
    ("evaluation_interval: 1m", "evaluation_interval: 60", false, All),
    ("[first, second]", "[second, first]", false, All),
    ("[first, second]", "[first, second, first]", false, All),
    ("[first, second]", "[first, second, nowhere]", true, All),
    ("[rules.yml]", "[nowhere.yml]", false, All),
    ("[rules.yml]", "['rule?.yml']", true, All),
    ("[rules.yml]", "[rules.yml, rules.yml]", true, All),
    ("[rules.yml]", "[]", false, All),
    ("[rules.yml]", "['[']", false, All),
    ("region: eu", "region: us", false, All),
    ("external_url: http://h/p", "external_url: http://h/q", false, All),
    ("tests:", "test:", false, All),
    ("tests:", "fuzzy_compare: true\ntests:", true, Three),
    ("tests:", "fuzzy_compare: perhaps\ntests:", false, Three),
    ("  alert_rule_test:", "  alert_rules_test:", false, All),
    ("- name: base", "- name: base\n  nam: base", false, All),
    ("- name: base", "- name: base\n  name: base", false, All),
    ("    alertname: Outside", "    alert_name: Outside", false, All),
    // A tenth is not two tenths less a tenth, but nearly; and three times it is three tenths, nearly.
    (
        "expr: '5', eval_time: 1m, exp_samples: [{value: 5}]",
        "expr: 0.1 * 3, eval_time: 1m, exp_samples: [{value: 0.3}]",
        false,
        All,
    ),
    (
        "tests:\n- name: base",
        "fuzzy_compare: true\ntests:\n- name: near\n  promql_expr_test:\n  - {expr: 0.1 * 3, eval_time: 1m, exp_samples: [{value: 0.3}]}\n- name: base",
        true,
        Three,
    ),
    // Prometheus 3.6 and later.
    ("- name: base", "- name: base\n  start_timestamp: 1700000000", true, Nobody),
    ("- name: base", "- name: base\n  start_timestamp: 2023-11-14T22:13:20Z", true, Nobody),
    ("- name: base", "- name: base\n  start_timestamp: yesterday", false, Nobody),
    // Prometheus can do native histograms.
    ("'1 2 3+0x6'", "'{{schema:0 count:1 sum:1}}'", false, Nobody),
];

/// What is replaced in the rules.
const RULE_SLIPS: &[(&str, &str, bool, Asked)] = &[
    ("for: 2m", "for: 4m", false, All),
    ("for: 2m", "for: 0s", false, All),
    ("for: 2m", "for: 2 minutes", false, All),
    ("for: 2m", "for: 2m\n    keep_firing_for: 1m", true, All),
    ("expr: 2 * single", "expr: single * on () single", false, All),
    ("expr: 2 * single", "expr: sum(single) without", false, All),
    ("expr: 2 * single", "expr: 2 * single\n    labels: {target: all}", false, All),
    ("- name: second", "- name: second\n  limit: 1", false, All),
    ("- name: second", "- name: second\n  limit: 2", true, All),
    ("- name: second", "- name: second\n  limits: 2", false, All),
    ("- name: second", "- name: second\n  query_offset: 1m", false, Three),
    ("- name: second", "- name: first", false, All),
    ("interval: 7m", "interval: 7", false, All),
    ("{{ $value }}", "{{ $valeu }}", false, All),
    ("{{ $value }}", "{{ query \"nope(\" }}", false, All),
];

fn variants() -> Vec<(String, String, String, bool, Asked)> {
    let mut variants = Vec::new();
    for (is_rule, table) in [(false, SLIPS), (true, RULE_SLIPS)] {
        for (from, to, passes, asked) in table {
            let text = if is_rule { RULES } else { TESTS };
            assert!(text.contains(from), "{from}");
            let text = text.replacen(from, to, 1);
            let (rules, tests) =
                if is_rule { (text, TESTS.to_owned()) } else { (RULES.to_owned(), text) };
            variants.push((format!("{from:?} -> {to:?}"), rules, tests, *passes, *asked));
        }
    }
    variants
}

fn compare(program: &Program, is_asked: impl Fn(Asked) -> bool) {
    let folder = Folder::new(&format!("verdicts-{}", program.name().replace('/', "-")));
    let mut wrong = Vec::new();
    for (name, rules, tests, passes, asked) in variants() {
        if !is_asked(asked) {
            continue;
        }
        folder.write("rules.yml", &rules);
        let ran = program.run(&["test", "rules"], &[&folder.write("verdict_test.yml", &tests)]);
        if ran.is_good != passes || !matches!(ran.code, Some(0 | 1)) {
            wrong.push(format!("{name}: passes {}, not {passes}:\n{}", ran.is_good, ran.text));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", program.name(), wrong.join("\n"));
}

#[test]
fn a_file_of_tests_passes_where_promtool_says_so() {
    compare(&Program::ours(), |_| true);
}

#[cfg(feature = "peers")]
#[test]
fn promtool_says_so() {
    for promtool in Program::promtools() {
        let is_three = promtool.name() != "promtool";
        compare(&promtool, |asked| asked == All || is_three && asked == Three);
    }
}
