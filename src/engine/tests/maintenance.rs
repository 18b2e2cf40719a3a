//! Planned maintenance holds rollbacks from and to its provider.

use std::sync::Arc;

use super::bench::{Bench, RULES, at, settings, target};
use serde_json::Value;

use crate::engine::Event;
use crate::model::{ProviderId, TargetId};
use crate::probe::{Planned, Target, planned_windows};
use crate::provider::{Provider, SloClass};

/// The standard bench with candidate and stable at providers of their own, one of which plans
/// something between two moments after the first slot.
fn bench(planned: &str, from: i64, until: i64) -> (Bench, i64) {
    let mut settings = settings(&[("rules.yml", RULES)]);
    settings.targets = ["candidate", "stable"].map(at_own_provider).into();
    let (_, slot) = Bench::standard();
    settings.calendar = planned_windows(planned, &[(slot + from, slot + until)]);
    (Bench::new(settings), slot)
}

fn at_own_provider(name: &str) -> Arc<Target> {
    let target = target(name);
    let provider = Provider { id: ProviderId::new(name), ..Provider::clone(&target.provider) };
    Arc::new(Target { provider: Arc::new(provider), ..target })
}

#[test]
fn a_rollback_is_held_while_either_side_is_in_maintenance_and_fires_after_it() {
    for side in ["candidate", "stable"] {
        let (mut bench, slot) = bench(side, -1000, 20_000);
        bench.finish("stable", slot - 600, SloClass::Good);
        bench.look_early(slot - 500, &[("candidate", 1.0)]);
        assert!(bench.take().is_empty() && bench.alerts().is_empty(), "no trace of an early look");
        bench.sample(slot, &[("candidate", 1.0)]);
        bench.evaluate(slot);
        assert_eq!(bench.take(), ["candidate inactive -> firing", "record held_maintenance"]);
        let decision = Arc::clone(&bench.engine.snapshot(at(slot)).decisions[0]);
        let why = format!(
            "`Broken` fires, but `{side}` is in planned maintenance until {}",
            at(slot + 20_000)
        );
        assert_eq!(decision.report.why, why);
        bench.evaluate(slot + 15_000);
        let said = bench.take();
        assert!(!said.iter().any(|line| line.starts_with("record")), "said once: {said:?}");
        bench.evaluate(slot + 30_000);
        assert!(bench.take().contains(&"record fired".to_owned()));
    }
}

#[test]
fn what_waits_for_maintenance_is_told_by_a_notice_of_its_own_until_it_waits_no_more() {
    let (mut bench, slot) = bench("stable", -1000, 20_000);
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    let told = |bench: &mut Bench, now: i64| -> Vec<(String, String)> {
        bench.evaluate(now);
        bench.handle(Event::Tick, now);
        let deliveries = std::mem::take(&mut bench.deliveries);
        let bodies = deliveries.iter().filter(|one| !one.hook.is_rollback());
        let bodies = bodies.map(|one| serde_json::from_str::<Value>(&one.body).unwrap());
        let alerts = bodies.flat_map(|body| body["alerts"].as_array().unwrap().clone());
        let held = alerts
            .filter(|alert| alert["labels"]["alertname"] == "BellwetherMaintenanceHoldsRollback");
        held.map(|alert| {
            assert_eq!(alert["labels"]["rollback"], "r");
            assert_eq!(alert["labels"]["held_alertname"], "Broken");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&alert["status"]), text(&alert["annotations"]["summary"]))
        })
        .collect()
    };
    let summary = format!(
        "r: a rollback is due and waits for planned maintenance until {}",
        at(slot + 20_000)
    );
    assert_eq!(told(&mut bench, slot + 1000), [("firing".to_owned(), summary.clone())]);
    bench.evaluate(slot + 15_000);
    assert_eq!(told(&mut bench, slot + 16_000), [], "nothing new");
    bench.evaluate(slot + 30_000);
    assert_eq!(told(&mut bench, slot + 31_000), [("resolved".to_owned(), summary)]);
    bench.evaluate(slot + 45_000);
    assert_eq!(told(&mut bench, slot + 46_000), []);
}

#[test]
fn maintenance_of_a_provider_that_has_no_part_in_it_holds_nothing() {
    let (mut bench, slot) = bench("other", -1000, 20_000);
    bench.look_early(slot - 500, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
}

#[test]
fn the_state_says_whose_provider_is_in_maintenance_until_when() {
    let (bench, slot) = bench("stable", 0, 20_000);
    for (now, until) in [(slot - 1, None), (slot, Some(slot + 20_000)), (slot + 20_000, None)] {
        let snapshot = bench.engine.snapshot(at(now));
        let [candidate, stable] = &snapshot.targets[..] else { panic!("two targets") };
        assert_eq!((candidate.id(), candidate.planned), (&TargetId::new("candidate"), None));
        assert_eq!(stable.planned, until.map(|until| Planned { until: Some(at(until)) }), "{now}");
    }
}
