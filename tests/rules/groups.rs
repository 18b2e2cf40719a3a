//! What groups do that promtool can't be asked: errors, limits, reloads, early evaluations.

use std::time::Duration;

use bellwether::model::{Labels, Matcher, Sample, Timestamp, is_stale};
use bellwether::rules::{
    self, Alert, AlertState, Context, Defaults, Evaluation, Group, Health, RuleError,
};
use bellwether::series::{Sink, Source};

use super::memory::Memory;

/// A group and the samples that it reads and writes. Times are in seconds.
struct Bench {
    group: Group,
    memory: Memory,
    context: Context,
}

fn seconds(number: i64) -> Timestamp {
    Timestamp::from_millis(number * 1000)
}

fn group(text: &str) -> Group {
    let text = format!("groups:\n- name: g\n  rules:\n{text}");
    let mut file = rules::parse("r.yml", &text).unwrap();
    let defaults = Defaults { interval: Duration::from_secs(60), query_offset: Duration::ZERO };
    Group::new(file.groups.remove(0), &defaults)
}

impl Bench {
    fn new(rules: &str) -> Self {
        let context = Context {
            external_labels: Labels::from_pairs([("region", "eu")]),
            external_url: "http://bell.example/w".to_owned(),
            resend_delay: Duration::from_secs(60),
        };
        Self { group: group(rules), memory: Memory::default(), context }
    }

    fn put(&mut self, at: i64, series: &str, value: f64) {
        let (name, target) = series.split_once('/').unwrap_or((series, ""));
        let labels = Labels::from_pairs([("__name__", name), ("target", target)]);
        self.memory.append(&labels, Sample { at: seconds(at), value });
    }

    fn evaluate(&mut self, at: i64) -> Evaluation {
        self.group.evaluate(seconds(at), &mut self.memory, &self.context)
    }

    fn peek(&self, at: i64) -> Vec<Alert> {
        let mut overlay = self.memory.clone();
        self.group.peek(seconds(at), &mut overlay, &self.context)
    }

    /// `name target state` of each alert.
    fn alerts(&self) -> Vec<String> {
        self.group.alerts().iter().map(shown).collect()
    }

    /// The last sample of each series of a name: its `target` and value, or `ended`.
    fn last(&self, name: &str) -> Vec<String> {
        let matcher = Matcher::parse(&format!("__name__={name}")).unwrap();
        let mut found = Vec::new();
        self.memory.select(&[matcher], Timestamp::MIN, Timestamp::MAX, &mut |labels, samples| {
            let last = samples[samples.len() - 1];
            let value =
                if is_stale(last.value) { "ended".to_owned() } else { last.value.to_string() };
            let target = labels.get("target").unwrap_or("-");
            found.push(format!("{target} {value} at {}", last.at.millis() / 1000));
        });
        found
    }
}

fn shown(alert: &Alert) -> String {
    let target = alert.labels.get("target").unwrap_or("-");
    format!("{} {target} {}", alert.rule, alert.state.as_str())
}

const TWO_SIDED: &str = "
  - alert: A
    expr: left + on () right > 0
    for: 1m
    annotations: {text: '{{ $value }} {{ $externalLabels.region }} {{ externalURL }}{{ pathPrefix }}'}
";

#[test]
fn a_rule_that_fails_keeps_its_alerts_and_their_series() {
    let mut bench = Bench::new(TWO_SIDED);
    for at in [0, 60, 120] {
        bench.put(at, "left/x", 1.0);
        bench.put(at, "right", 1.0);
    }
    bench.evaluate(0);
    assert_eq!(bench.alerts(), ["A - pending"]);
    bench.evaluate(60);
    assert_eq!(bench.alerts(), ["A - firing"]);
    let before = bench.group.alerts();
    assert_eq!(before[0].annotations.get("text"), Some("2 eu http://bell.example/w/w"));

    // A second series on the right makes the matching ambiguous.
    bench.put(120, "right/y", 1.0);
    let evaluation = bench.evaluate(120);
    assert_eq!(evaluation.failures.len(), 1);
    assert!(matches!(evaluation.failures[0].error, RuleError::Query(_)));
    assert_eq!(evaluation.transitions, []);
    assert_eq!(bench.group.alerts(), before);
    assert_eq!(bench.last("ALERTS_FOR_STATE"), ["- 0 at 60"]);
    let status = &bench.group.rules()[0];
    assert_eq!((status.health, status.state), (Health::Err, Some(AlertState::Firing)));
    assert!(status.last_error.as_ref().unwrap().contains("found duplicate series"));

    // When it works again, the same incident goes on, or ends.
    bench.put(150, "right/y", f64::from_bits(bellwether::model::STALE_BITS));
    let evaluation = bench.evaluate(180);
    assert_eq!((evaluation.failures.len(), evaluation.transitions.len()), (0, 0));
    assert_eq!(bench.group.alerts()[0].incident, before[0].incident);
    assert_eq!(bench.group.rules()[0].health, Health::Ok);
}

#[test]
fn results_that_become_one_are_an_error() {
    let rules = "
  - alert: A
    expr: m
    labels: {target: same}
  - record: r
    expr: m
    labels: {target: same}
";
    let mut bench = Bench::new(rules);
    bench.put(0, "m/x", 1.0);
    bench.put(0, "m/y", 1.0);
    let failures = bench.evaluate(0).failures;
    let errors: Vec<String> = failures.iter().map(|failure| failure.error.to_string()).collect();
    let start = "vector contains metrics with the same labelset after applying rule labels: ";
    assert_eq!(
        errors,
        [
            format!("{start}{{alertname=\"A\", target=\"same\"}}"),
            format!("{start}r{{target=\"same\"}}")
        ]
    );
    assert_eq!(bench.alerts(), [""; 0]);
    assert_eq!(bench.last("r"), [""; 0]);
}

#[test]
fn transitions_tell_each_move_once() {
    let mut bench =
        Bench::new("  - {alert: A, expr: m > 0, for: 1m}\n  - {alert: B, expr: m > 0}\n");
    let mut seen = Vec::new();
    for (at, value) in [(0, 1.0), (60, 1.0), (120, 1.0), (180, 0.0), (240, 1.0), (300, 0.0)] {
        bench.put(at, "m/x", value);
        for transition in bench.evaluate(at).transitions {
            assert_eq!(transition.alert.state, transition.to);
            let (from, to) = (transition.from.as_str(), transition.to.as_str());
            seen.push(format!("{at} {} {from} to {to}", transition.alert.rule));
        }
    }
    assert_eq!(
        seen,
        [
            "0 A inactive to pending",
            "0 B inactive to firing",
            "60 A pending to firing",
            "180 A firing to inactive",
            "180 B firing to inactive",
            "240 A inactive to pending",
            "240 B inactive to firing",
            "300 A pending to inactive",
            "300 B firing to inactive",
        ]
    );
}

#[test]
fn a_limit_keeps_new_alerts_out_and_known_ones_in() {
    let mut bench = Bench::new("  - {alert: A, expr: m > 0}\n  - {record: r, expr: m > 0}\n");
    let mut spec = bench.group.spec().clone();
    spec.limit = 2;
    let defaults = Defaults { interval: Duration::from_secs(60), query_offset: Duration::ZERO };
    bench.group = Group::new(spec, &defaults);
    bench.put(0, "m/y", 1.0);
    bench.put(0, "m/z", 1.0);
    assert_eq!(bench.evaluate(0).failures, []);
    bench.put(60, "m/x", 1.0);
    let failures = bench.evaluate(60).failures;
    assert_eq!(failures.len(), 2);
    assert!(
        failures.iter().all(|failure| failure.error == RuleError::Limit { limit: 2, found: 3 })
    );
    assert_eq!(bench.alerts(), ["A y firing", "A z firing"]);
    assert_eq!(bench.last("r"), ["y 1 at 0", "z 1 at 0"]);
    // Where one ends, a new one comes in.
    bench.put(120, "m/y", 0.0);
    assert_eq!(bench.evaluate(120).failures, []);
    assert_eq!(bench.alerts(), ["A x firing", "A y inactive", "A z firing"]);
}

#[test]
fn an_offset_moves_reading_and_writing_but_no_alert() {
    let mut bench = Bench::new("  - {alert: A, expr: m > 0}\n  - {record: r, expr: m}\n");
    let mut spec = bench.group.spec().clone();
    spec.query_offset = Some(Duration::from_secs(30));
    let defaults = Defaults { interval: Duration::from_secs(60), query_offset: Duration::ZERO };
    bench.group = Group::new(spec, &defaults);
    bench.put(70, "m/x", 1.0);
    bench.evaluate(60);
    assert_eq!(bench.alerts(), [""; 0]);
    bench.evaluate(120);
    assert_eq!(bench.group.alerts()[0].active_at, seconds(120));
    assert_eq!(bench.last("r"), ["x 1 at 90"]);
}

const EARLY: &str = "
  - record: doubled
    expr: 2 * m > 0
  - alert: AtOnce
    expr: doubled > 10
  - alert: Waits
    expr: doubled > 10
    for: 1m
    keep_firing_for: 1m
";

#[test]
fn an_early_evaluation_sees_what_would_fire_and_changes_nothing() {
    let mut bench = Bench::new(EARLY);
    bench.put(0, "m/x", 1.0);
    bench.evaluate(0);
    let (before, stored) = (format!("{:?}", bench.group), bench.memory.clone());

    // A value that arrives between two evaluations: the recorded series follows in the overlay.
    bench.put(20, "m/x", 6.0);
    let early = bench.peek(20);
    assert_eq!(early.iter().map(shown).collect::<Vec<_>>(), ["AtOnce x firing"]);
    assert_eq!((early[0].active_at, early[0].fired_at), (seconds(20), Some(seconds(20))));
    assert_eq!(early[0].value, 12.0);
    assert_eq!(format!("{:?}", bench.group), before);
    assert_eq!(stored.0.len(), bench.memory.0.len());
    assert_eq!(bench.last("doubled"), ["x 2 at 0"]);
}

#[test]
fn a_confirmed_alert_goes_on_as_the_same_incident() {
    let mut bench = Bench::new(EARLY);
    bench.put(20, "m/x", 6.0);
    let early = bench.peek(20);
    bench.group.confirm(&early);
    assert_eq!(bench.alerts(), ["AtOnce x firing"]);
    assert_eq!(bench.peek(30), []);

    let evaluation = bench.evaluate(60);
    assert_eq!(bench.alerts(), ["AtOnce x firing", "Waits x pending"]);
    assert_eq!(bench.group.alerts()[0].incident, early[0].incident);
    assert_eq!(evaluation.transitions.len(), 1);
    assert_eq!(bench.last("ALERTS_FOR_STATE"), ["x 20 at 60", "x 60 at 60"]);

    // `for` is met between two evaluations.
    assert_eq!(bench.peek(119), []);
    let early = bench.peek(125);
    assert_eq!(early.iter().map(shown).collect::<Vec<_>>(), ["Waits x firing"]);
    assert_eq!((early[0].active_at, early[0].fired_at), (seconds(60), Some(seconds(125))));
    bench.group.confirm(&early);
    // The interval evaluation that was due before it comes late; the alert stays.
    bench.evaluate(119);
    assert_eq!(bench.alerts(), ["AtOnce x firing", "Waits x firing"]);

    // An early evaluation never ends anything; the next interval evaluation does.
    bench.put(130, "m/x", 0.0);
    assert_eq!(bench.peek(130), []);
    assert_eq!(bench.alerts(), ["AtOnce x firing", "Waits x firing"]);
    bench.evaluate(180);
    assert_eq!(bench.alerts(), ["AtOnce x inactive", "Waits x firing"]);
    assert_eq!(bench.group.alerts()[1].keep_firing_since, Some(seconds(180)));
    bench.evaluate(240);
    assert_eq!(bench.alerts(), ["AtOnce x inactive", "Waits x inactive"]);

    // What returns after its end is a new incident.
    bench.put(250, "m/x", 9.0);
    let again = bench.peek(250);
    assert_eq!(again.iter().map(shown).collect::<Vec<_>>(), ["AtOnce x firing"]);
    assert_ne!(again[0].incident, bench.group.alerts()[0].incident);
}

#[test]
fn an_early_evaluation_drops_what_its_rules_no_longer_record() {
    let rules = "
  - record: bad
    expr: m > 5
  - alert: A
    expr: bad
    for: 1m
";
    let mut bench = Bench::new(rules);
    bench.put(0, "m/x", 6.0);
    bench.evaluate(0);
    assert_eq!(bench.alerts(), ["A x pending"]);
    // `bad` is still within the lookback, but now has no value.
    bench.put(61, "m/x", 1.0);
    assert_eq!(bench.peek(61), []);
}

#[test]
fn a_reload_keeps_what_has_the_same_name_and_labels() {
    let old = "
  - {record: kept, expr: m}
  - {record: dropped, expr: m}
  - {alert: Kept, expr: m > 0, for: 1m}
  - {alert: Kept, expr: m > 0, labels: {severity: high}}
  - {alert: Dropped, expr: m > 0}
";
    let new = "
  - {alert: Kept, expr: m > 0, labels: {severity: high}}
  - {alert: Kept, expr: m >= 1, for: 5m}
  - {alert: New, expr: m > 0}
  - {record: kept, expr: 2 * m}
";
    let mut bench = Bench::new(old);
    bench.put(0, "m/x", 1.0);
    bench.evaluate(0);
    bench.evaluate(60);
    let before = bench.group.alerts();
    let replaced = std::mem::replace(&mut bench.group, group(new));
    bench.group.adopt(replaced);
    assert_eq!(bench.alerts(), ["Kept x firing", "Kept x firing"]);
    bench.evaluate(120);
    // `for` was raised above what the second had waited, so it waits on.
    assert_eq!(bench.alerts(), ["Kept x firing", "Kept x pending", "New x firing"]);
    let after = bench.group.alerts();
    assert_eq!(after[1].incident, before[0].incident);
    assert_eq!((after[1].active_at, after[1].expr.as_str()), (seconds(0), "m >= 1"));
    assert_eq!(bench.last("kept"), ["x 2 at 120"]);
    assert_eq!(bench.last("dropped"), ["x ended at 120"]);
    // `Kept` without `severity` no longer fires, and `Dropped` is gone.
    let ended = bench.last("ALERTS").into_iter().filter(|last| last == "x ended at 120");
    assert_eq!(ended.count(), 2);

    bench.group.end(seconds(130), &mut bench.memory);
    assert!(bench.last("kept")[0].contains("ended at 130"));
    assert!(bench.last("ALERTS").iter().all(|last| last.contains("ended")));
}

#[test]
fn a_restart_goes_on_where_saved_alerts_stood() {
    let mut bench = Bench::new(EARLY);
    bench.put(0, "m/x", 6.0);
    bench.evaluate(0);
    bench.evaluate(60);
    let saved = bench.group.alerts();
    assert_eq!(bench.alerts(), ["AtOnce x firing", "Waits x firing"]);

    bench.group = group(EARLY);
    bench.group.restore(&saved);
    assert_eq!(bench.evaluate(120).transitions, []);
    let incidents = |alerts: &[Alert]| -> Vec<String> {
        alerts.iter().map(|alert| alert.incident.clone()).collect()
    };
    assert_eq!(incidents(&bench.group.alerts()), incidents(&saved));
    // A rule that is gone takes its alerts along.
    bench.group = group("  - {alert: Other, expr: m}\n");
    bench.group.restore(&saved);
    assert_eq!(bench.alerts(), [""; 0]);
}

#[test]
fn evaluations_come_at_one_offset_and_strictly_later() {
    let group = group("  - {record: r, expr: m}\n");
    let first = group.next_after(seconds(1_000_000));
    assert!(first > seconds(1_000_000) && first <= seconds(1_000_060));
    assert_eq!(group.next_after(first), first + Duration::from_secs(60));
    assert_eq!(group.next_after(first - Duration::from_millis(1)), first);
    let offset = first.millis().rem_euclid(60_000);
    assert_eq!(group.next_after(seconds(-500)).millis().rem_euclid(60_000), offset);
    assert!(group.next_after(Timestamp::MAX) > first);
}

#[test]
fn statuses_say_what_the_file_says() {
    let mut bench = Bench::new(EARLY);
    let status = &bench.group.rules()[2];
    assert_eq!((status.health, status.state), (Health::Unknown, None));
    bench.put(0, "m/x", 6.0);
    bench.evaluate(0);
    let rules = bench.group.rules();
    assert_eq!(rules[0].state, None);
    let waits = &rules[2];
    assert_eq!((waits.kind.as_str(), waits.name.as_str()), ("alerting", "Waits"));
    assert_eq!(waits.query, "doubled > 10");
    assert_eq!(waits.duration, Duration::from_secs(60));
    assert_eq!(waits.last_evaluation, Some(seconds(0)));
    assert_eq!(waits.state, Some(AlertState::Pending));
    assert_eq!(waits.alerts.len(), 1);
    assert_eq!(bench.group.selectors().len(), 3);
}

#[test]
fn an_expression_is_shown_as_prometheus_writes_it() {
    let rules = r#"
  - {record: r, expr: "sum by(target)\n  (m{b='2', a='1'}) # why\n"}
  - alert: A
    expr: |
      m{target!="y",job=""}
        >1
"#;
    let mut bench = Bench::new(rules);
    bench.put(0, "m/x", 6.0);
    bench.evaluate(0);
    let queries: Vec<String> = bench.group.rules().into_iter().map(|rule| rule.query).collect();
    let expected = [r#"sum by (target) (m{a="1",b="2"})"#, r#"m{job="",target!="y"} > 1"#];
    assert_eq!(queries, expected);
    assert_eq!(bench.group.alerts()[0].expr, expected[1]);
}

/// Everything waits for a rule: one that looks at more than there is time for fails, and the others
/// go on. 86,400 windows of up to 7,200 samples are more than 500 million.
#[test]
fn a_rule_that_looks_at_too_much_fails_alone() {
    let mut bench = Bench::new(
        "  - record: heavy\n    expr: max_over_time(count_over_time(x[2h])[1d:1s])\n  \
         - record: light\n    expr: max_over_time(count_over_time(x[1h])[1h:1s])\n",
    );
    for at in 0..90_000 {
        bench.put(at, "x/a", 1.0);
    }
    let evaluation = bench.evaluate(90_000);
    let failures: Vec<_> = evaluation.failures.iter().map(|it| it.error.to_string()).collect();
    assert_eq!(
        failures,
        [
            "the query looks at more than 500000000 samples in all; shorten its ranges, lengthen the \
          steps of its subqueries or select fewer series"
        ]
    );
    assert_eq!(bench.memory.0.keys().map(Labels::metric).collect::<Vec<_>>(), ["light", "x"]);
}

#[test]
fn what_failed_for_the_same_labels_fails_as_long_as_it_is_so() {
    let mut bench = Bench::new("  - {record: r, expr: x, labels: {target: one}}\n");
    for at in [0, 60, 120] {
        bench.put(at, "x/a", 1.0);
        bench.put(at, "x/b", 2.0);
        let failures = bench.evaluate(at).failures;
        let error = failures.first().map(|failure| &failure.error);
        assert!(matches!(error, Some(RuleError::SameLabels(_))), "{at}: {failures:?}");
        assert_eq!(bench.last("r"), [] as [String; 0], "{at}");
    }
    // One of the two is gone, and the other comes and goes with its value.
    for (at, value) in [(420, 7.0), (480, 8.0)] {
        bench.put(at, "x/b", value);
        assert_eq!(bench.evaluate(at).failures, []);
        assert_eq!(bench.last("r"), [format!("one {value} at {at}")]);
    }
    assert_eq!(bench.evaluate(900).failures, []);
    assert_eq!(bench.last("r"), ["one ended at 900"]);
}

#[test]
fn labels_follow_what_they_ask_for() {
    let rule = r#"  - {alert: A, expr: x, labels: {level: '{{ query "y" | first | value }}'}}"#;
    let mut bench = Bench::new(&format!("{rule}\n"));
    for (at, level) in [(0, 1.0), (60, 2.0), (120, 2.0), (180, 1.0)] {
        bench.put(at, "x/a", 1.0);
        bench.put(at, "y/a", level);
        bench.evaluate(at);
        let alerts = bench.group.alerts().into_iter();
        let firing: Vec<_> = alerts.filter(|alert| alert.state == AlertState::Firing).collect();
        assert_eq!(firing.len(), 1, "{at}");
        assert_eq!(firing[0].labels.get("level"), Some(level.to_string().as_str()), "{at}");
    }
}
