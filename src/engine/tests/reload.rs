//! What survives a reload and what does not.

use std::sync::Arc;

use super::bench::{Bench, RULES, at, settings, target};
use crate::engine::Event;
use crate::notice::Receiver;
use crate::provider::SloClass;

const HELD: &str = "
groups:
- name: g
  interval: 15s
  rules:
  - record: copied
    expr: errors
  - alert: Broken
    expr: errors > 0
    for: 20s
    labels: {severity: rollback}
";

#[test]
fn an_unchanged_group_keeps_its_slots_and_its_pending_alerts() {
    let mut bench = Bench::new(settings(&[("rules.yml", HELD)]));
    let slot = bench.engine.next_due().unwrap().millis();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    bench.handle(Event::Reload(Box::new(settings(&[("rules.yml", HELD)]))), slot + 10_000);
    assert_eq!(bench.engine.next_due(), Some(at(slot + 15_000)));
    bench.evaluate(slot + 15_000);
    bench.evaluate(slot + 30_000);
    // Active since the first slot: 30 s are over the hold of 20 s.
    let said = bench.take();
    assert_eq!(said[..2], ["candidate inactive -> pending", "candidate pending -> firing"]);
}

#[test]
fn room_for_more_series_is_taken_up() {
    let mut tight = settings(&[("rules.yml", HELD)]);
    tight.store.series_max = 1;
    let mut bench = Bench::new(tight.clone());
    bench.sample(1000, &[("candidate", 1.0), ("stable", 1.0)]);
    assert_eq!(bench.content("errors").len(), 1);
    tight.store.series_max = 2;
    bench.handle(Event::Reload(Box::new(tight)), 2000);
    bench.sample(3000, &[("candidate", 1.0), ("stable", 1.0)]);
    assert_eq!(bench.content("errors").len(), 2);
}

#[test]
fn series_of_targets_that_are_gone_take_no_room_from_those_that_come() {
    let mut free = settings(&[("rules.yml", HELD)]);
    (free.store.series_max, free.series_room) = (usize::MAX, Some(2));
    let mut bench = Bench::new(free.clone());
    bench.sample(1000, &[("candidate", 1.0), ("stable", 1.0), ("runaway", 1.0)]);
    assert_eq!(bench.content("errors").len(), 2);
    // The same again makes no room: a program may reload every minute.
    bench.handle(Event::Reload(Box::new(free.clone())), 1500);
    bench.sample(1600, &[("other", 1.0)]);
    assert_eq!(bench.content("errors").len(), 2);
    free.targets.pop();
    bench.handle(Event::Reload(Box::new(free)), 2000);
    bench.sample(3000, &[("other", 1.0), ("another", 1.0), ("runaway", 1.0)]);
    let held = bench.content("errors");
    let is_held = |target: &str| held.iter().any(|line| line.starts_with(&format!("{target} ")));
    assert!(is_held("candidate") && is_held("other") && is_held("another"), "{held:?}");
    assert_eq!(held.len(), 4, "there is a bound still: {held:?}");
}

#[test]
fn a_group_that_is_gone_ends_its_series() {
    let mut bench = Bench::new(settings(&[("rules.yml", HELD), ("more.yml", RULES)]));
    let first = bench.engine.next_due().unwrap().millis();
    bench.sample(first, &[("candidate", 1.0)]);
    bench.evaluate(first + 15_000);
    let written = bench.content("copied");
    assert_eq!(written.len(), 1, "{written:?}");
    bench.handle(Event::Reload(Box::new(settings(&[("more.yml", RULES)]))), first + 16_000);
    let expected = format!("{} end@{}", written[0], first + 16_000);
    assert_eq!(bench.content("copied"), [expected]);
    let groups = bench.engine.snapshot(at(0)).groups;
    assert_eq!(groups.iter().map(|group| group.file.as_str()).collect::<Vec<_>>(), ["more.yml"]);
}

#[test]
fn a_rule_that_is_gone_from_its_group_ends_its_series_at_the_next_slot() {
    let mut bench = Bench::new(settings(&[("rules.yml", HELD)]));
    let slot = bench.engine.next_due().unwrap().millis();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    bench.handle(Event::Reload(Box::new(settings(&[("rules.yml", RULES)]))), slot + 1000);
    bench.evaluate(slot + 15_000);
    let expected = format!("candidate 1@{slot} end@{}", slot + 15_000);
    assert_eq!(bench.content("copied"), [expected]);
}

#[test]
fn targets_that_stay_keep_their_outcomes() {
    let (mut bench, _) = Bench::standard();
    bench.finish("stable", 1, SloClass::Good);
    bench.finish("candidate", 2, SloClass::Bad);
    let mut changed = settings(&[("rules.yml", RULES)]);
    let other = crate::probe::Target { model: "m2".to_owned(), ..target("stable") };
    changed.targets = vec![Arc::new(other), Arc::new(target("new"))];
    bench.handle(Event::Reload(Box::new(changed)), 3);
    bench.finish("candidate", 4, SloClass::Bad);
    let seen: Vec<String> = bench
        .engine
        .snapshot(at(4))
        .targets
        .iter()
        .map(|status| format!("{} {} {}", status.id(), status.target.model, status.recent.len()))
        .collect();
    assert_eq!(seen, ["new m 0", "stable m2 1"]);
}

#[test]
fn an_incident_that_was_acted_on_stays_so() {
    let (mut bench, slot) = Bench::standard();
    bench.look_early(slot - 500, &[("candidate", 1.0)]);
    let changed = RULES.replace("errors > 0", "errors >= 1");
    bench.handle(Event::Reload(Box::new(settings(&[("rules.yml", &changed)]))), slot - 400);
    bench.look_early(slot - 300, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    let decisions = bench.take().into_iter().filter(|line| line.starts_with("record")).count();
    assert_eq!(decisions, 1);
}

#[test]
fn alerts_go_to_the_receivers_of_the_new_route() {
    let (mut bench, slot) = Bench::standard();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    bench.handle(Event::Tick, slot + 1000);
    bench.take();
    let mut changed = settings(&[("rules.yml", RULES)]);
    let integrations = changed.receivers.remove(0).integrations;
    changed.receivers.push(Receiver { name: "others".to_owned(), integrations });
    changed.route.as_mut().unwrap().receiver = "others".to_owned();
    bench.handle(Event::Reload(Box::new(changed)), slot + 2000);
    bench.handle(Event::Tick, slot + 10_000);
    assert_eq!(bench.take(), ["deliver to receiver/others/0", "notice: first notification"]);
}

#[test]
fn a_rollback_that_a_reload_brings_is_asked_about_what_fires_already() {
    let mut calm = settings(&[("rules.yml", RULES)]);
    let rollbacks = std::mem::take(&mut calm.rollbacks);
    let mut bench = Bench::new(calm.clone());
    let slot = bench.engine.next_due().unwrap().millis();
    bench.sample(slot, &[("candidate", 1.0)]);
    bench.evaluate(slot);
    assert_eq!(bench.take(), ["candidate inactive -> firing"]);
    calm.rollbacks = rollbacks;
    bench.handle(Event::Reload(Box::new(calm)), slot + 5000);
    bench.evaluate(slot + 15_000);
    assert!(bench.take().contains(&"record fired".to_owned()));
}
