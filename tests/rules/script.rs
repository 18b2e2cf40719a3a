//! Runs a file of promtool's unit tests against our groups.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bellwether::model::{Labels, Sample, Timestamp, parse_duration, stale_marker};
use bellwether::promql::{self, Options, Value};
use bellwether::rules::{self, Alert, AlertState, Context, Defaults, Group};
use bellwether::yaml::{self, Node};

use super::memory::Memory;

/// Runs all tests of a file; returns what came out differently.
pub fn run(path: &Path) -> Vec<String> {
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    let root = yaml::parse(&file, &std::fs::read_to_string(path).unwrap()).unwrap();
    let interval = root.get("evaluation_interval").map_or(Duration::from_secs(60), duration);
    let groups: Vec<Group> = list(&root, "rule_files")
        .iter()
        .flat_map(|name| load(&path.with_file_name(name.text().unwrap()), interval))
        .collect();
    let mut failures = Vec::new();
    for test in list(&root, "tests") {
        for failure in one(test, groups.clone(), interval) {
            let name = test.get("name").and_then(Node::text).unwrap_or_default();
            failures.push(format!("{file}: {name}: {failure}"));
        }
    }
    failures
}

fn load(path: &Path, interval: Duration) -> Vec<Group> {
    let text = std::fs::read_to_string(path).unwrap();
    let file = rules::parse(&path.to_string_lossy(), &text).unwrap_or_else(|mistakes| {
        panic!("{}", mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let defaults = Defaults { interval, query_offset: Duration::ZERO };
    file.groups.into_iter().map(|group| Group::new(group, &defaults)).collect()
}

fn one(test: &Node, mut groups: Vec<Group>, interval: Duration) -> Vec<String> {
    let spacing = test.get("interval").map_or(interval, duration);
    let mut input: Vec<(Timestamp, Labels, f64)> = Vec::new();
    for series in list(test, "input_series") {
        let labels = labels_of_series(series.get("series").unwrap().text().unwrap());
        let mut at = Timestamp::from_millis(0);
        for value in values(series.get("values").unwrap().text().unwrap()) {
            input.extend(value.map(|value| (at, labels.clone(), value)));
            at = at + spacing;
        }
    }
    input.sort_by_key(|(at, ..)| *at);
    let context = Context {
        external_labels: labels(test.get("external_labels")),
        external_url: test.get("external_url").and_then(Node::text).unwrap_or_default().to_owned(),
        resend_delay: Duration::from_secs(60),
    };
    let alert_tests = list(test, "alert_rule_test");
    let expr_tests = list(test, "promql_expr_test");
    let time = |node: &Node| Timestamp::from_millis(0) + duration(node.get("eval_time").unwrap());
    let end = alert_tests.iter().chain(expr_tests).map(time).max().unwrap();

    let mut failures = Vec::new();
    let mut memory = Memory::default();
    let mut at = Timestamp::from_millis(0);
    let mut fed = 0;
    while at <= end {
        while let Some((when, labels, value)) = input.get(fed).filter(|(when, ..)| *when <= at) {
            memory.0.entry(labels.clone()).or_default().push(Sample { at: *when, value: *value });
            fed += 1;
        }
        for group in &mut groups {
            for failure in group.evaluate(at, &mut memory, &context).failures {
                failures.push(format!("{}: {}", failure.rule, failure.error));
            }
        }
        for test in alert_tests.iter().filter(|test| (at..at + interval).contains(&time(test))) {
            failures.extend(check_alerts(test, &groups));
        }
        at = at + interval;
    }
    for test in expr_tests {
        failures.extend(check_expr(test, time(test), &memory));
    }
    failures
}

fn check_alerts(test: &Node, groups: &[Group]) -> Option<String> {
    let name = test.get("alertname").unwrap().text().unwrap();
    let expected: BTreeMap<Labels, Labels> = list(test, "exp_alerts")
        .iter()
        .map(|alert| {
            let identity = labels(alert.get("exp_labels")).with("alertname", name);
            (identity, labels(alert.get("exp_annotations")))
        })
        .collect();
    let fires = |alert: &Alert| alert.rule == name && alert.state == AlertState::Firing;
    let alerts = groups.iter().flat_map(Group::alerts).filter(fires);
    let found: BTreeMap<Labels, Labels> =
        alerts.map(|alert| (alert.labels, alert.annotations)).collect();
    let at = test.get("eval_time").unwrap().text().unwrap();
    (found != expected)
        .then(|| format!("{name} at {at}:\n  expected {expected:?}\n  found    {found:?}"))
}

fn check_expr(test: &Node, at: Timestamp, memory: &Memory) -> Option<String> {
    let text = test.get("expr").unwrap().text().unwrap();
    let expected: BTreeMap<Labels, u64> = list(test, "exp_samples")
        .iter()
        .map(|sample| {
            let labels = sample.get("labels").and_then(Node::text).unwrap_or_default();
            let value: f64 = sample.get("value").unwrap().text().unwrap().parse().unwrap();
            (labels_of_series(labels), value.to_bits())
        })
        .collect();
    let answer = promql::instant(&promql::parse(text).unwrap(), memory, at, &Options::default());
    let found: BTreeMap<Labels, u64> = match answer.unwrap().value {
        Value::Vector(points) => {
            points.into_iter().map(|point| (point.labels, point.value.to_bits())).collect()
        }
        Value::Scalar(value) => BTreeMap::from([(Labels::empty(), value.to_bits())]),
        other => panic!("{other:?}"),
    };
    let shown = |samples: &BTreeMap<Labels, u64>| {
        let shown =
            samples.iter().map(|(labels, bits)| format!("{labels} {}", f64::from_bits(*bits)));
        shown.collect::<Vec<_>>().join(", ")
    };
    (found != expected).then(|| {
        format!("{text} at {at}:\n  expected {}\n  found    {}", shown(&expected), shown(&found))
    })
}

fn list<'n>(node: &'n Node, key: &str) -> &'n [Node] {
    node.get(key).and_then(Node::items).unwrap_or_default()
}

fn duration(node: &Node) -> Duration {
    parse_duration(node.text().unwrap()).unwrap()
}

fn labels(node: Option<&Node>) -> Labels {
    let entries = node.and_then(Node::entries).unwrap_or_default();
    Labels::from_pairs(
        entries.iter().map(|(key, value)| (key.text().unwrap(), value.text().unwrap_or_default())),
    )
}

/// A series is written as a selector with equality only.
fn labels_of_series(text: &str) -> Labels {
    if text.is_empty() || text == "{}" {
        return Labels::empty();
    }
    let selectors = promql::parse(text).unwrap().selectors();
    Labels::from_pairs(
        selectors[0].matchers.iter().map(|matcher| (matcher.name(), matcher.value())),
    )
}

/// promtool's notation: `1 2 _ stale`, `0+10x5`, `1x4`, `_x3`; `x5` means five more.
fn values(text: &str) -> Vec<Option<f64>> {
    let mut values = Vec::new();
    for word in text.split_whitespace() {
        let (head, count) = match word.split_once('x') {
            Some((head, count)) => (head, Some(count.parse::<usize>().unwrap())),
            None => (word, None),
        };
        if head == "_" {
            values.extend(std::iter::repeat_n(None, count.unwrap_or(1)));
            continue;
        }
        if head == "stale" {
            values.push(Some(stale_marker()));
            continue;
        }
        let sign = head[1..].find(['+', '-']).map(|at| at + 1);
        let (start, step) = match sign {
            Some(at) => (&head[..at], head[at..].trim_start_matches('+')),
            None => (head, "0"),
        };
        let mut value: f64 = start.parse().unwrap();
        let step: f64 = step.parse().unwrap();
        for _ in 0..=count.unwrap_or(0) {
            values.push(Some(value));
            value += step;
        }
    }
    values
}
