//! Planned maintenance holds rollbacks from and to its provider.

use std::sync::Arc;

use super::bench::{Bench, RULES, at, settings, target};
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
