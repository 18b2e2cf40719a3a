//! What the shipped rule files promise, beyond their own unit tests.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use bellwether::model::{Labels, Sample, Timestamp};
use bellwether::rules::{self, Context, Defaults, Group, GroupSpec, RuleSpec};
use bellwether::series::Sink;

use super::memory::Memory;

fn groups(file: &str) -> Vec<GroupSpec> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules").join(file);
    rules::parse(file, &std::fs::read_to_string(path).unwrap()).unwrap().groups
}

fn names(groups: &[GroupSpec]) -> BTreeSet<String> {
    let rules = groups.iter().flat_map(|group| &group.rules);
    let recorded = rules.filter(|rule| matches!(rule, RuleSpec::Recording(_)));
    recorded.map(|rule| rule.name().to_owned()).collect()
}

#[test]
fn every_shipped_alert_says_how_grave_it_is_and_what_to_do() {
    for file in ["alerts.yml", "rollback.yml"] {
        for rule in groups(file).iter().flat_map(|group| &group.rules) {
            let RuleSpec::Alerting(alert) = rule else { continue };
            let is_rollback = file == "rollback.yml";
            let severity = alert.labels.get("severity").map(|severity| severity.text());
            let severities: &[&str] =
                if is_rollback { &["rollback"] } else { &["critical", "warning"] };
            assert!(
                severity.is_some_and(|severity| severities.contains(&severity)),
                "{}",
                alert.alert
            );
            assert_eq!(
                alert.alert.starts_with("BellwetherRollback"),
                is_rollback,
                "{}",
                alert.alert
            );
            assert!(alert.alert.starts_with("Bellwether"), "{}", alert.alert);
            let annotations: Vec<&str> = alert.annotations.keys().map(String::as_str).collect();
            assert_eq!(annotations, ["dashboard", "description", "summary"], "{}", alert.alert);
        }
    }
}

#[test]
fn rollback_rules_read_nothing_that_another_group_records() {
    let elsewhere = names(&[groups("recording.yml"), groups("alerts.yml")].concat());
    let own = groups("rollback.yml");
    assert_eq!(own.len(), 1);
    let recorded = names(&own);
    for selector in own[0].rules.iter().flat_map(|rule| rule.expr().selectors()) {
        let name = selector.matchers.iter().find(|matcher| matcher.name() == Labels::NAME).unwrap();
        assert!(!elsewhere.contains(name.value()), "{}", name.value());
        assert!(recorded.contains(name.value()) || name.value().starts_with("bellwether_probe_"));
    }
}

/// The chance of at least `least` of `count` at the ratio `p`, summed term by term.
fn tail(count: u32, least: u32, p: f64) -> f64 {
    let term = |bad: u32| {
        let ways: f64 =
            (0..bad).map(|step| f64::from(count - step) / f64::from(step + 1)).product();
        ways * p.powi(bad.cast_signed()) * (1.0 - p).powi((count - bad).cast_signed())
    };
    (least..=count).map(term).sum()
}

#[test]
fn the_stated_chance_of_a_false_fire_is_the_binomial_one() {
    // The table in the head of rollback.yml: ratio, minimum, half the objective; worst case, chance.
    for (ratio, minimum, p, worst, chance) in
        [(0.29, 18, 0.025, (20, 6), 7.0e-6), (0.09, 50, 0.005, (55, 5), 8.8e-6)]
    {
        let least = |count: u32| (ratio * f64::from(count)).floor() as u32 + 1;
        let chances = (minimum..400).map(|count| (tail(count, least(count), p), count));
        let (found, count) = chances.max_by(|left, right| left.0.total_cmp(&right.0)).unwrap();
        assert_eq!((count, least(count)), worst);
        assert!((found / chance - 1.0).abs() < 0.01, "{found}");
    }
}

/// A target probed every second, `good` times well and then badly; returns after how many bad ones
/// an early evaluation fires.
fn bad_until_rollback(good: i64) -> Option<i64> {
    let defaults = Defaults { interval: Duration::from_secs(60), query_offset: Duration::ZERO };
    let group = Group::new(groups("rollback.yml").remove(0), &defaults);
    let context = Context {
        external_labels: Labels::empty(),
        external_url: String::new(),
        resend_delay: Duration::from_secs(60),
    };
    let mut memory = Memory::default();
    for second in 0..good + 60 {
        let at = Timestamp::from_millis(second * 1000);
        let bad = (second - good).max(0);
        for (class, count) in [("good", second.min(good)), ("bad", bad), ("excluded", 0)] {
            let labels = Labels::from_pairs([
                ("__name__", "bellwether_probe_runs_total"),
                ("target", "t"),
                ("slo", class),
            ]);
            memory.append(&labels, Sample { at, value: count as f64 });
        }
        if !group.peek(at, &mut memory.clone(), &context).is_empty() {
            return Some(bad);
        }
    }
    None
}

#[test]
fn an_outage_is_rolled_back_as_soon_as_the_ratio_is_passed() {
    // 18 outcomes at least; then more than 29 % of all within a minute. Extrapolation at the edges
    // of a window moves a count by less than one.
    assert!(bad_until_rollback(2).is_some_and(|bad| (15..=17).contains(&bad)));
    assert!(bad_until_rollback(20).is_some_and(|bad| (8..=10).contains(&bad)));
    assert!(bad_until_rollback(120).is_some_and(|bad| (17..=19).contains(&bad)));
}
