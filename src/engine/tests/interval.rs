//! Slots, notices, failures, the end of series.

use super::bench::{Bench, RULES, at, errors, outcome, settings};
use crate::engine::{Engine, Event, RECENT_MAX, Settings};
use crate::provider::SloClass;

#[test]
fn slots_that_a_stall_passed_over_are_counted_and_not_replayed() {
    let (mut bench, slot) = Bench::standard();
    // Late by less than an interval: nothing is missed.
    bench.evaluate(slot + 14_999);
    assert_eq!(bench.engine.evaluated(0).unwrap().missed, 0);
    assert_eq!(bench.engine.next_due(), Some(at(slot + 15_000)));
    // Slots at 15, 30, 45 and 60 s have come: the last of them is evaluated.
    bench.evaluate(slot + 70_000);
    assert_eq!(bench.engine.evaluated(0).unwrap().missed, 3);
    let evaluated = bench.engine.snapshot(at(0)).groups[0].evaluated_at;
    assert_eq!(evaluated, Some(at(slot + 60_000)));
    assert_eq!(bench.engine.next_due(), Some(at(slot + 75_000)));
    bench.evaluate(slot + 75_000);
    assert_eq!(bench.engine.evaluated(0).unwrap().missed, 0);
}

#[test]
fn receivers_hear_of_the_start_and_of_the_end() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    assert_eq!(
        bench.take(),
        ["candidate inactive -> firing", "record fired", "deliver to rollback/r"]
    );
    assert_eq!(bench.engine.next_due(), Some(at(slot + 1000)), "group_wait");
    bench.handle(Event::Tick, slot + 1000);
    assert_eq!(bench.take(), ["deliver to receiver/all/0", "notice: first notification"]);
    bench.sample(slot + 10_000, &[("candidate", 0.0)]);
    bench.evaluate(slot + 15_000);
    bench.handle(Event::Tick, slot + 20_000);
    assert_eq!(
        bench.take(),
        [
            "candidate firing -> inactive",
            "deliver to receiver/all/0",
            "notice: all alerts resolved"
        ]
    );
    let body: serde_json::Value =
        serde_json::from_str(&bench.deliveries.last().unwrap().body).unwrap();
    assert_eq!(body["status"], "resolved");
    let alert = &body["alerts"][0];
    assert_eq!(alert["startsAt"], at(slot).rfc3339());
    assert_eq!(alert["endsAt"], at(slot + 15_000).rfc3339());
    // The rule's own label wins over the external one of the same name.
    assert_eq!(
        (&alert["labels"]["region"], &alert["labels"]["severity"]),
        (&"eu".into(), &"rollback".into())
    );
}

#[test]
fn a_firing_alert_ends_by_itself_after_four_resend_delays() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    // Interval 15 s, resend delay 60 s: 4 × 60 s.
    let ends = bench.engine.snapshot(at(0)).decisions[0].alert.ends_at;
    assert_eq!(ends, Some(at(slot + 240_000)));
}

#[test]
fn a_rule_that_fails_is_counted_and_ends_no_alert() {
    let failing = format!("{RULES}  - record: twice\n    expr: errors * on () errors\n");
    let mut bench = Bench::new(settings(&[("rules.yml", &failing)]));
    let slot = bench.engine.next_due().unwrap().millis();
    bench.sample(slot, &[("candidate", 1.0), ("stable", 0.0)]);
    bench.evaluate(slot);
    let evaluated = bench.engine.evaluated(0).unwrap();
    assert_eq!((evaluated.group.as_str(), evaluated.failures), ("rules.yml;g", 1));
    assert!(bench.take().contains(&"rules.yml;g twice failed".to_owned()));
    assert_eq!(bench.alerts(), [format!("candidate firing Some({slot})")]);
    bench.sample(slot + 14_000, &[("candidate", 1.0)]);
    bench.evaluate(slot + 15_000);
    assert_eq!(bench.engine.evaluated(0).unwrap().failures, 0);
}

#[test]
fn a_rule_that_fails_for_long_is_asserted_on_and_never_resolved() {
    // Two series of one target become one alert, which is an error.
    let rules = RULES.replace("errors > 0", "sum by (target, x) (errors) > 0");
    let rules = rules.replace("{severity: rollback}", "{severity: page, x: ''}");
    let alertmanager = crate::notice::Alertmanager {
        url: "http://127.0.0.1:1".to_owned(),
        timeout: std::time::Duration::from_secs(1),
        http: crate::model::HttpSettings::default(),
    };
    let settings =
        Settings { alertmanagers: vec![alertmanager], ..settings(&[("rules.yml", &rules)]) };
    let mut bench = Bench::new(settings);
    let slot = bench.engine.next_due().unwrap().millis();
    let broken = |x: &str| {
        let labels = [("__name__", "errors"), ("target", "candidate"), ("x", x)];
        (crate::model::Labels::from_pairs(labels), 1.0)
    };
    bench.handle(Event::Sampled(vec![broken("")]), slot);
    bench.evaluate(slot);
    let mut ends = Vec::new();
    for minute in 1..20 {
        let now = slot + minute * 60_000;
        bench.handle(Event::Sampled(vec![broken(""), broken("1")]), now);
        bench.evaluate(now);
        bench.handle(Event::Tick, now);
        let status = &bench.engine.snapshot(at(now)).groups[0].rules[0];
        assert_eq!(status.health, crate::rules::Health::Err);
        assert!(status.last_error.as_ref().unwrap().contains("same labelset"));
        let mut posts = bench
            .deliveries
            .iter()
            .filter(|post| post.hook.to_string().starts_with("alertmanager"));
        let body: serde_json::Value =
            serde_json::from_str(&posts.next_back().unwrap().body).unwrap();
        ends.push(body[0]["endsAt"].as_str().unwrap().to_owned());
        // Whoever was told last still holds the alert when the next word comes.
        assert!(*ends.last().unwrap() > at(now + 60_000).rfc3339(), "minute {minute}");
    }
    let distinct: std::collections::BTreeSet<_> = ends.iter().collect();
    assert!(distinct.len() > 8, "{ends:?}");
    assert_eq!(bench.alerts(), [format!("candidate firing Some({slot})")]);
    let resolved = |delivery: &&crate::notice::Delivery| delivery.body.contains("\"resolved\"");
    assert_eq!(bench.deliveries.iter().filter(resolved).count(), 0);
}

#[test]
fn a_global_query_offset_holds_for_groups_that_name_none() {
    let own = RULES.replace("interval: 15s", "interval: 15s\n  query_offset: 0s");
    let files = [("late.yml", RULES), ("prompt.yml", own.as_str())];
    let rule_query_offset = std::time::Duration::from_secs(10);
    let mut bench = Bench::new(Settings { rule_query_offset, ..settings(&files) });
    bench.sample(100_000, &[("candidate", 1.0)]);
    bench.evaluate(105_000);
    // Ten seconds before, there was no sample yet.
    let states = |bench: &Bench| {
        let groups = bench.engine.snapshot(at(0)).groups;
        groups.iter().map(|group| group.rules[0].alerts.len()).collect::<Vec<_>>()
    };
    assert_eq!(states(&bench)[0], 0);
    bench.evaluate(145_000);
    assert_eq!(states(&bench), [1, 1]);
}

#[test]
fn groups_of_one_name_in_two_files_are_told_apart() {
    let bench = Bench::new(settings(&[("a.yml", RULES), ("b.yml", RULES)]));
    let names = [0, 1].map(|position| bench.engine.evaluated(position).unwrap().group);
    assert_eq!(names, ["a.yml;g", "b.yml;g"]);
}

#[test]
fn a_series_that_came_and_went_between_two_scrapes_ends() {
    let (mut bench, _) = Bench::standard();
    bench.handle(Event::Scraped(vec![errors("candidate", 1.0)]), 1000);
    bench.sample(2000, &[("candidate", 2.0), ("passing", 1.0)]);
    bench.sample(3000, &[("candidate", 3.0)]);
    bench.sample(4000, &[("candidate", 4.0), ("late", 1.0)]);
    bench.handle(Event::Scraped(vec![errors("candidate", 5.0)]), 5000);
    assert_eq!(
        bench.content("errors"),
        [
            "candidate 1@1000 2@2000 3@3000 4@4000 5@5000",
            "late 1@4000 end@5000",
            "passing 1@2000 end@3000"
        ]
    );
}

#[test]
fn what_a_reload_no_longer_samples_between_scrapes_does_not_end() {
    let (mut bench, _) = Bench::standard();
    bench.sample(1000, &[("candidate", 1.0), ("gone", 1.0)]);
    let reloaded = settings(&[("rules.yml", RULES)]);
    bench.handle(Event::Reload(Box::new(reloaded)), 1500);
    bench.sample(2000, &[]);
    bench.handle(Event::Scraped(vec![errors("candidate", 2.0)]), 3000);
    assert_eq!(bench.content("errors"), ["candidate 1@1000 2@3000", "gone 1@1000 end@3000"]);
}

#[test]
fn samples_older_than_the_retention_are_let_go() {
    let (mut bench, _) = Bench::standard();
    bench.handle(Event::Scraped(vec![errors("gone", 1.0)]), 0);
    bench.handle(Event::Scraped(vec![errors("candidate", 1.0)]), 1000);
    assert_eq!(bench.engine.store().stats().series, 2);
    // Three hours later, with a retention of one.
    bench.handle(Event::Scraped(vec![errors("candidate", 1.0)]), 10_800_000);
    assert_eq!(bench.engine.store().stats().series, 1);
}

#[test]
fn a_target_shows_its_latest_outcomes_and_no_more() {
    let (mut bench, _) = Bench::standard();
    for finished in 0..100 {
        bench.finish("candidate", finished, SloClass::Good);
    }
    let unknown = outcome("nobody", 5, SloClass::Bad);
    bench.handle(Event::Finished(Box::new(unknown)), 5);
    let snapshot = bench.engine.snapshot(at(100));
    let names: Vec<&str> = snapshot.targets.iter().map(|status| status.id().as_str()).collect();
    assert_eq!(names, ["candidate", "stable"]);
    let candidate = &snapshot.targets[0];
    assert_eq!(candidate.recent.len(), RECENT_MAX);
    assert_eq!(candidate.recent[0].finished, at(40));
    assert_eq!(candidate.last.as_ref().unwrap().finished, at(99));
}

#[test]
fn a_rollback_on_record_is_not_repeated_within_its_cooldown_after_a_restart() {
    let (mut bench, slot) = Bench::standard();
    bench.look_early(slot - 500, &[("candidate", 1.0)]);
    let decision = bench.engine.snapshot(at(0)).decisions[0].clone();
    let record = crate::release::Record {
        rollback: decision.rollback.clone(),
        incident: decision.incident.clone(),
        at: decision.at,
        verdict: decision.verdict,
        id: decision.id.clone(),
        report: decision.report.to_json().to_string(),
    };
    let engine = Engine::new(settings(&[("rules.yml", RULES)]), &[record], at(slot));
    let mut bench = Bench { engine, ..Bench::standard().0 };
    bench.look_early(slot + 1, &[("candidate", 1.0)]);
    assert!(bench.take().is_empty());
    bench.sample(slot + 15_000, &[("candidate", 1.0)]);
    bench.evaluate(slot + 15_000);
    assert!(bench.take().contains(&"record cooldown".to_owned()));
}

#[test]
fn what_rollback_rules_select_is_known_by_name() {
    let (bench, _) = Bench::standard();
    assert_eq!(bench.engine.selected(), Some(["errors".to_owned()].into()));
    let any = RULES.replace("errors > 0", "'{target=\"candidate\"} > 0'");
    let bench = Bench::new(settings(&[("rules.yml", &any)]));
    assert_eq!(bench.engine.selected(), None, "any name");
}
