//! `bellwether check rules`: what is refused as Prometheus refuses it, and what is remarked.

use super::peer::{Folder, Program};

const RULES: &str = "groups:
- name: g
  interval: 30s
  limit: 5
  labels: {team: x}
  rules:
  - record: a
    expr: sum(up)
    labels: {l: v}
  - alert: A
    expr: a > 1
    for: 5m
    keep_firing_for: 1m
    labels: {severity: page}
    annotations: {summary: '{{ $value }}'}
";

#[derive(Clone, Copy, PartialEq)]
enum Asked {
    All,
    /// Prometheus 3 alone: the field or the notation is newer than the system's.
    Three,
    /// Beyond Prometheus, on purpose.
    Nobody,
}

use Asked::{All, Nobody, Three};

/// What is replaced, by what, and whether the file is valid then.
const SLIPS: &[(&str, &str, bool, Asked)] = &[
    ("  labels: {team: x}\n", "", true, All),
    ("", "", true, Three),
    ("groups:", "group:", false, All),
    ("groups:", "groups: 5\nx:", false, All),
    ("- name: g", "- name: ''", false, All),
    ("- name: g", "- name: g\n- name: g", false, All),
    ("- name: g\n", "-\n", false, All),
    ("interval: 30s", "interval: 30", false, All),
    ("interval: 30s", "interval: 0s", true, Three),
    ("interval: 30s", "interval: thirty", false, All),
    ("interval: 30s", "intervals: 30s", false, All),
    ("limit: 5", "limit: five", false, All),
    ("limit: 5", "limit: -1", true, Three),
    ("limit: 5", "limit: 1.5", false, Nobody),
    ("  rules:\n", "  rules: []\n  rule:\n", false, All),
    ("record: a\n", "record: a{b=\"c\"}\n", false, All),
    ("record: a\n", "record: ''\n", false, All),
    ("record: a\n", "record: a\n    alert: b\n", false, All),
    ("record: a\n", "recrod: a\n", false, All),
    ("expr: sum(up)", "expr: ''", false, All),
    ("    expr: sum(up)\n", "", false, All),
    ("expr: sum(up)", "expr: sum(up", false, All),
    ("expr: sum(up)", "expr: suum(up)", false, All),
    ("expr: sum(up)", "expr: rate(up)", false, All),
    ("expr: sum(up)", "expr: 'up{a=\"b}'", false, All),
    ("expr: sum(up)", "expr: 'up{a=~\"(\"}'", false, All),
    ("expr: sum(up)", "expr: '{}'", false, All),
    ("expr: sum(up)", "expr: 1 + 1", true, Three),
    ("expr: sum(up)", "expr: 5", true, Three),
    ("expr: sum(up)", "expr: [sum(up)]", false, All),
    ("    labels: {l: v}\n", "    labels: {l: v}\n    for: 5m\n", false, All),
    ("    labels: {l: v}\n", "    labels: {l: v}\n    keep_firing_for: 5m\n", false, All),
    ("    labels: {l: v}\n", "    labels: {l: v}\n    annotations: {a: b}\n", false, All),
    ("{l: v}", "{__name__: v}", false, All),
    ("{l: v}", "{'': v}", false, All),
    ("{l: v}", "{l: v, l: w}", false, All),
    ("{l: v}", "{l: [v]}", false, All),
    ("{l: v}", "[l]", false, All),
    ("{l: v}", "{l: 5, m: true, n: }", true, Three),
    ("{l: v}", "{l: '{{ $nope }}'}", true, Three),
    ("alert: A", "alert: ''", false, All),
    ("alert: A", "alert: 'A b'", true, Three),
    ("for: 5m", "for: 5 m", false, All),
    ("for: 5m", "for: -5m", false, All),
    ("for: 5m", "for: 5", false, All),
    ("for: 5m", "for: 5m\n    for: 6m", false, All),
    ("for: 5m", "fro: 5m", false, All),
    ("keep_firing_for: 1m", "keep_firing_for: a", false, All),
    ("{severity: page}", "{severity: '{{ $labels.a }}'}", true, Three),
    ("{severity: page}", "{severity: '{{ $labels.a'}", false, All),
    ("{severity: page}", "{__name__: page}", false, All),
    ("{{ $value }}", "{{ $valeu }}", false, All),
    ("{{ $value }}", "{{ nope $value }}", false, All),
    ("{{ $value }}", "{{ if $value }}", false, All),
    ("{{ $value }}", "{{ tmpl \"x\" . }}", false, All),
    ("{{ $value }}", "{{ humanize }}", true, Three),
    ("{{ $value }}", "{{ define \"x\" }}{{ . }}{{ end }}{{ template \"x\" $value }}", true, Three),
    ("{summary:", "{'':", false, All),
    // A group's label counts as the rule's own; Prometheus finds the template's mistake at run time.
    ("{team: x}", "{team: '{{ $nope }}'}", false, Nobody),
    ("{team: x}", "{__name__: x}", false, Three),
    ("  - alert: A", "  - alert: B\n  - alert: A", false, All),
    ("  - alert: A", "  - 5\n  - alert: A", false, All),
    ("groups:", "&a groups:", true, Three),
    ("groups:", "groups: [\n", false, All),
    ("groups:", "---\ngroups:", true, Three),
    // Can never work, so refused here.
    ("expr: sum(up)", "expr: up[5m]", false, Nobody),
    ("expr: sum(up)", "expr: '\"text\"'", false, Nobody),
    ("{severity: page}", "{severity: '{{ $value }}'}", false, Nobody),
    ("{severity: page}", "{severity: '{{ printf \"%f\" .Value }}'}", false, Nobody),
];

fn compare(program: &Program, is_asked: impl Fn(Asked) -> bool) {
    let folder = Folder::new(&format!("checks-{}", program.name().replace('/', "-")));
    let mut wrong = Vec::new();
    for (from, to, is_valid, asked) in SLIPS {
        if !is_asked(*asked) {
            continue;
        }
        assert!(RULES.contains(from), "{from}");
        let path = folder.write("rules.yml", &RULES.replacen(from, to, 1));
        let ran = program.run(&["check", "rules", "--lint=none"], &[&path]);
        if ran.is_good != *is_valid || !matches!(ran.code, Some(0 | 1)) {
            wrong.push(format!("{from:?} -> {to:?}: valid {}:\n{}", ran.is_good, ran.text));
        }
    }
    assert!(wrong.is_empty(), "{}: {}", program.name(), wrong.join("\n"));
}

#[test]
fn rule_files_are_refused_where_promtool_refuses_them() {
    compare(&Program::ours(), |_| true);
}

#[cfg(feature = "peers")]
#[test]
fn promtool_refuses_them() {
    for promtool in Program::promtools() {
        let is_three = promtool.name() != "promtool";
        compare(&promtool, |asked| asked == All || is_three && asked == Three);
    }
}

/// Checks rules of one group; the answer is what is remarked, without the file.
fn remarks(rules: &str) -> Vec<String> {
    let folder = Folder::new("lint");
    let path = folder.write("r.yml", &format!("groups:\n- name: g\n  rules:\n{rules}"));
    let ran = Program::ours().run(&["check", "rules"], &[&path]);
    assert!(ran.is_good, "{}", ran.text);
    let begin = format!("warning: {}:", path.display());
    ran.text.lines().filter_map(|line| line.strip_prefix(&begin)).map(str::to_owned).collect()
}

#[test]
fn each_oddity_is_remarked_where_it_stands() {
    for (rules, expected) in [
        (
            "  - {alert: A, for: 1m, expr: 'rate(bellwether_probe_in_flight[5m]) > 1'}\n",
            "4:32: `rate` reads `bellwether_probe_in_flight`, which is a gauge (counters end in \
             `_total`, `_count`, `_sum` or `_bucket`; for a gauge write `delta` or `deriv`) \
             [counter-functions]",
        ),
        (
            "  - record: a:b\n    expr: |\n      sum(\n        increase(temperature[5m:1m]))\n",
            "7:9: `increase` reads `temperature`, which is not named as a counter (counters end in \
             `_total`, `_count`, `_sum` or `_bucket`; for a gauge write `delta` or `deriv`) \
             [counter-functions]",
        ),
        (
            "  - {alert: A, expr: up == 0}\n",
            "4:13: `A` has no `for` and looks at one moment only (write `for: 1m` or more, so that \
             a single sample wakes nobody) [missing-for]",
        ),
        (
            "  - {alert: A, for: 1m, expr: bellwether_canary_health == 0}\n",
            "4:31: bellwether has no metric `bellwether_canary_health` (did you mean \
             `bellwether_canary_healthy`?) [unknown-metrics]",
        ),
        (
            "  - {alert: A, for: 1m, expr: bellwether_probe_duration_seconds > 1}\n",
            "4:31: bellwether has no metric `bellwether_probe_duration_seconds` (it is a histogram: \
             read `bellwether_probe_duration_seconds_bucket`, `_sum` or `_count`) [unknown-metrics]",
        ),
        (
            "  - {alert: A, for: 1m, expr: 'rate(e_total[5m]) / rate(n_total[5m]) > 0.1'}\n",
            "4:13: `A` speaks of a ratio or quantile of however few samples (add a minimum, such as \
             `and sum by (target) (increase(…_total[1h])) >= 20`) [minimum-samples]",
        ),
        (
            "  - {record: a, expr: 'sum(b:c)'}\n  - {record: 'b:c', expr: up}\n",
            "4:28: `b:c` is recorded further down in this group (move the recording rule up: this \
             one reads the last interval's value) [recording-order]",
        ),
        (
            "  - {record: a, expr: 'sum(b:d)'}\n",
            "4:28: `b:d` is recorded in none of these files (check the files together that are \
             loaded together) [recording-order]",
        ),
        (
            "  - {record: a, expr: up}\n  - {record: a, expr: up + 1}\n",
            "5:14: `a` has the same name and labels as line 4 (tell them apart by a label: one \
             writes the series of the other) [duplicate-rules]",
        ),
    ] {
        assert_eq!(remarks(rules), [expected], "{rules}");
    }
}

#[test]
fn what_is_well_done_is_not_remarked() {
    for rules in [
        // A minimum beside the ratio, in its denominator, or before it is recorded.
        "  - {alert: A, for: 1m, expr: 'rate(e_total[5m]) / rate(n_total[5m]) > 0.1 and rate(n_total[5m]) > 1'}\n",
        "  - {alert: A, for: 1m, expr: 'rate(e_total[5m]) / (rate(n_total[5m]) >= 1) > 0.1'}\n",
        "  - {record: 'a:b', expr: 'rate(e_total[5m]) / (rate(n_total[5m]) >= 1)'}\n  - {alert: A, for: 1m, expr: 'a:b > 1'}\n",
        // Shares of what is no count.
        "  - {alert: A, for: 1m, expr: free_bytes / size_bytes < 0.1}\n",
        // A window is a wait.
        "  - {alert: A, expr: 'increase(e_total[15m]) > 3'}\n",
        "  - {alert: A, expr: 'absent_over_time(up[10m])'}\n",
        // Nobody is woken.
        "  - {alert: A, expr: up == 0, labels: {severity: rollback}}\n",
        "  - {alert: A, for: 1m, expr: 'rate(x_seconds_bucket[5m]) > 1'}\n",
        "  - {alert: A, for: 1m, expr: 'rate(bellwether_probe_duration_seconds_count[5m]) > 1'}\n",
        "  - {alert: A, for: 1m, expr: 'delta(bellwether_probe_in_flight[5m]) > 1'}\n",
    ] {
        assert_eq!(remarks(rules), [""; 0], "{rules}");
    }
}

#[test]
fn the_shipped_rules_are_not_remarked_and_the_lint_can_be_fatal() {
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    let paths = ["recording.yml", "alerts.yml", "rollback.yml"].map(|name| shipped.join(name));
    let paths: Vec<&std::path::Path> = paths.iter().map(|path| path.as_path()).collect();
    let ours = Program::ours();
    let ran = ours.run(&["check", "rules", "--lint=all", "--lint-fatal"], &paths);
    assert_eq!((ran.code, ran.text.contains("warning")), (Some(0), false), "{}", ran.text);

    let folder = Folder::new("fatal");
    let path = folder.write(
        "r.yml",
        "groups: [{name: g, rules: [{record: a, expr: up}, {record: a, expr: up}]}]",
    );
    let code = |flags: &[&str]| {
        let flags: Vec<&str> = ["check", "rules"].iter().chain(flags).copied().collect();
        ours.run(&flags, &[&path]).code
    };
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--lint-fatal"]), Some(3));
    assert_eq!(code(&["--lint-fatal", "--lint=none"]), Some(0));
    assert_eq!(code(&["--lint-fatal", "--lint=missing-for,duplicate-rules"]), Some(3));
    assert_eq!(code(&["--lint-fatal", "--lint=missing-for"]), Some(0));
    assert_eq!(code(&["--lint=some"]), Some(2));
    #[cfg(feature = "peers")]
    for promtool in Program::promtools() {
        let ran = promtool.run(&["check", "rules", "--lint-fatal"], &[&path]);
        assert_eq!(ran.code, Some(3), "{}", ran.text);
    }
    let ran = ours.run(&["check", "rules", "--output", "json"], &[&path]);
    let json: serde_json::Value = serde_json::from_str(&ran.output).unwrap();
    assert_eq!((&json["files"][0]["rules"], &json["warnings"][0]["line"]), (&2.into(), &1.into()));
}
