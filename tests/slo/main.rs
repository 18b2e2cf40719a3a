//! The rules of service level objectives: their text, and what holds for every one of them.
//!
//! `rules.yml` is read in review like prose; `BLESS=1` writes it anew. What the rules do is in
//! `objectives_test.yml`, in promtool's format: `tests/rules` runs it against our engine and, with
//! the feature `peers`, in promtool.

#![expect(clippy::unwrap_used, reason = "a file that can't be read is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::app::load;
use bellwether::model::TargetId;
use bellwether::rules::{self, RuleSpec};
use bellwether::slo::{self, Alerting, Indicator, Objective, Scope, Slo, Subject};

const DAY: Duration = Duration::from_secs(86_400);

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slo")
}

#[test]
fn the_rules_of_each_kind_of_objective_are_these() {
    let loaded = load(&directory().join("bellwether.yml")).unwrap();
    let text = slo::generate(&loaded.config.slos);
    let path = directory().join("rules.yml");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == expected,
        "tests/slo/rules.yml is old; write it with BLESS=1 and read the change"
    );
}

#[test]
fn the_engine_runs_the_very_rules_that_are_generated() {
    let loaded = load(&directory().join("bellwether.yml")).unwrap();
    let text = std::fs::read_to_string(directory().join("rules.yml")).unwrap();
    let file = &loaded.rules.last().unwrap().groups[0].file;
    assert!(file.ends_with("tests/slo/bellwether.yml (slos)"), "{file}");
    let generated = rules::parse(file, &text).unwrap();
    assert_eq!(loaded.rules, [generated]);
}

fn objective(percent: &str, window: Duration, indicator: Indicator, names: &[&str]) -> Slo {
    let subject =
        |name: &&str| Subject { target: TargetId::new(name), interval: Duration::from_secs(60) };
    Slo {
        name: "o".to_owned(),
        indicator,
        objective: Objective::parse(percent).unwrap(),
        window,
        subjects: names.iter().map(subject).collect(),
        scope: Scope::Each,
        events_min: 10,
        failures_min: 2,
        page: Some(Alerting::default()),
        ticket: Some(Alerting::default()),
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

#[test]
fn every_objective_has_rules_that_load_and_are_told_apart() {
    // Windows of a day, a week and a month, and one that divides into odd seconds.
    for days in [1, 7, 29, 30] {
        for indicator in Indicator::ALL {
            for scope in [Scope::Each, Scope::Together] {
                for percent in ["99.999999", "20"] {
                    let slo =
                        Slo { scope, ..objective(percent, days * DAY, indicator, &["a", "b"]) };
                    let file = rules::parse("f", &slo::generate(&[slo])).unwrap();
                    let all = file.groups.iter().flat_map(|group| &group.rules);
                    let told = all.clone().map(|rule| (rule.name().to_owned(), rule.labels()));
                    let told: BTreeSet<_> = told.collect();
                    assert_eq!(told.len(), all.count(), "{days} {indicator:?} {percent}");
                }
            }
        }
    }
}

#[test]
fn a_target_of_any_name_is_selected_and_no_other() {
    for name in [
        "a",
        "openai/gpt-4o.mini",
        "a|b",
        r#"q"\u"#,
        "x: y # z",
        "é ü 中",
        "\u{2028}x\u{feff}",
        "🐑",
        "$1 {x}",
    ] {
        for names in [vec![name], vec![name, "other"]] {
            let slo = objective("99", 30 * DAY, Indicator::Availability, &names);
            let file = rules::parse("f", &slo::generate(&[slo])).unwrap();
            let all = file.groups.iter().flat_map(|group| &group.rules);
            let selectors = all.flat_map(|rule| rule.expr().selectors());
            let matchers = selectors.flat_map(|selector| selector.matchers);
            let matchers: Vec<_> = matchers.filter(|m| m.name() == "target").collect();
            assert!(!matchers.is_empty());
            for matcher in matchers {
                assert!(matcher.matches(name) && !matcher.matches("x"), "{matcher}");
            }
        }
    }
}

#[test]
fn an_alert_that_no_outage_can_cause_is_left_out() {
    let alerts = |percent: &str| {
        let slo = objective(percent, 30 * DAY, Indicator::Availability, &["a"]);
        let file = rules::parse("f", &slo::generate(&[slo])).unwrap();
        let all = file.groups.iter().flat_map(|group| &group.rules);
        all.filter(|rule| matches!(rule, RuleSpec::Alerting(_))).count()
    };
    // 14.4 × 7 % is more than everything, 14.4 × 6.9 % is not: 93.06 % is where it ends.
    for (percent, count) in [("99", 4), ("93.1", 4), ("93", 3), ("80", 2), ("60", 1)] {
        assert_eq!(alerts(percent), count, "{percent}");
    }
}
