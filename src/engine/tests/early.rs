//! The early evaluation starts rollbacks and does nothing else.

use super::bench::{Bench, RULES, at, settings};
use crate::engine::Event;
use crate::provider::SloClass;

#[test]
fn an_early_look_starts_a_rollback_and_the_interval_continues_the_same_incident() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot - 1000, &[("candidate", 0.0)]);
    bench.finish("candidate", slot - 600, SloClass::Bad);
    bench.look_early(slot - 500, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
    assert_eq!(bench.breaches, [at(slot - 600)], "the finish of the result that broke it");
    let fired = format!("candidate firing Some({})", slot - 500);
    assert_eq!(bench.alerts(), [fired.as_str()]);
    // The slot comes before the next sample: it goes by what the early look saw.
    bench.evaluate(slot);
    assert_eq!(bench.alerts(), [fired.as_str()]);
    bench.sample(slot + 500, &[("candidate", 1.0)]);
    bench.look_early(slot + 600, &[("candidate", 2.0)]);
    bench.evaluate(slot + 15_000);
    assert_eq!(bench.alerts(), [fired], "no second start");
    let second = bench.take().into_iter().filter(|line| line.starts_with("record")).count();
    assert_eq!(second, 0, "one incident, one decision");
    let snapshot = bench.engine.snapshot(at(0));
    assert_eq!(snapshot.decisions.len(), 1);
    let alert = &snapshot.groups[0].rules[0].alerts[0];
    assert_eq!(alert.incident, snapshot.decisions[0].incident);
}

#[test]
fn a_group_whose_slot_has_come_is_evaluated_before_it_is_looked_at_early() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot - 1000, &[("candidate", 0.0)]);
    // Looked at first, the late evaluation of an earlier moment would resolve what was found.
    bench.look_early(slot, &[("candidate", 1.0)]);
    assert!(bench.take().is_empty());
    bench.evaluate(slot + 10);
    bench.look_early(slot + 10, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
}

#[test]
fn an_early_look_resolves_nothing_and_stores_nothing() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot, &[("candidate", 1.0), ("other", 0.0)]);
    bench.evaluate(slot);
    assert_eq!(bench.take()[0], "candidate inactive -> firing");
    let before = bench.alerts();
    bench.look_early(slot + 10, &[("candidate", 0.0), ("other", 0.0)]);
    assert!(bench.take().is_empty());
    assert_eq!(bench.alerts(), before);
    let stored = [format!("candidate 1@{slot}"), format!("other 0@{slot}")];
    assert_eq!(bench.content("errors"), stored);
}

#[test]
fn what_is_no_rollbacks_business_is_left_to_the_interval() {
    let calm = RULES.replace("severity: rollback", "severity: page");
    let mut bench = Bench::new(settings(&[("rules.yml", &calm)]));
    assert_eq!(bench.engine.selected(), Some(Default::default()));
    bench.look_early(1, &[("candidate", 1.0)]);
    assert!(bench.take().is_empty() && bench.alerts().is_empty());
}

#[test]
fn a_doubt_holds_without_a_trace_until_the_interval_says_so_and_asks_again() {
    for (green, suspect) in [(false, false), (true, true)] {
        let (mut bench, slot) = Bench::standard();
        bench.health(green, suspect);
        bench.look_early(slot - 500, &[("candidate", 1.0)]);
        assert!(bench.take().is_empty() && bench.alerts().is_empty());
        bench.sample(slot, &[("candidate", 1.0)]);
        bench.evaluate(slot);
        assert_eq!(bench.take(), ["candidate inactive -> firing", "record held_inconclusive"]);
        bench.evaluate(slot + 15_000);
        assert_eq!(
            bench.take(),
            ["deliver to receiver/all/0", "notice: first notification"],
            "the hold is said once"
        );
        bench.health(true, false);
        bench.evaluate(slot + 30_000);
        assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
        // The breach is when the condition was first found, not when the doubt went.
        assert_eq!(bench.breaches.last(), Some(&at(slot)));
    }
}

#[test]
fn stable_that_breaks_in_the_same_look_holds() {
    let (mut bench, slot) = Bench::standard();
    for second in 1..=3 {
        bench.finish("stable", slot - 5000 + second, SloClass::Good);
    }
    let both = [("candidate", 1.0), ("stable", 1.0)];
    bench.look_early(slot - 500, &both);
    assert!(bench.take().is_empty());
    bench.sample(slot, &both);
    bench.evaluate(slot);
    assert!(bench.take().contains(&"record held_both_bad".to_owned()));
    // Stable is well again at the next slot: going back helps now.
    bench.sample(slot + 15_000, &[("candidate", 1.0), ("stable", 0.0)]);
    bench.finish("stable", slot + 15_000, SloClass::Good);
    bench.evaluate(slot + 15_000);
    assert!(bench.take().contains(&"record fired".to_owned()));
}

#[test]
fn three_bad_outcomes_of_stable_hold_an_early_rollback() {
    let (mut bench, slot) = Bench::standard();
    for second in 1..=3 {
        bench.finish("stable", slot - 5000 + second, SloClass::Bad);
    }
    bench.look_early(slot - 4000, &[("candidate", 1.0)]);
    assert!(bench.take().is_empty());
    bench.finish("stable", slot - 3500, SloClass::Good);
    bench.look_early(slot - 3400, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
}

#[test]
fn an_alert_with_a_hold_fires_early_only_once_the_hold_is_over() {
    let held = RULES.replace("    labels", "    for: 20s\n    labels");
    let mut bench = Bench::new(settings(&[("rules.yml", &held)]));
    let slot = bench.engine.next_due().unwrap().millis();
    bench.look_early(slot - 100, &[("candidate", 1.0)]);
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    bench.evaluate(slot + 15_000);
    bench.look_early(slot + 19_999, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["candidate inactive -> pending"]);
    bench.look_early(slot + 20_000, &[("candidate", 1.0)]);
    assert_eq!(bench.take(), ["record fired", "deliver to rollback/r"]);
    assert_eq!(bench.breaches, [at(slot)], "it has held since the first slot");
}

#[test]
fn the_same_events_give_the_same_actions() {
    let run = || {
        let (mut bench, slot) = Bench::standard();
        bench.finish("candidate", slot - 600, SloClass::Bad);
        bench.look_early(slot - 500, &[("candidate", 1.0)]);
        bench.evaluate(slot);
        bench.handle(Event::Tick, slot + 2000);
        (bench.take(), bench.deliveries)
    };
    assert_eq!(run(), run());
}
