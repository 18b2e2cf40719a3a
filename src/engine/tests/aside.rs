//! A group that is evaluated aside delays no other and comes to the same.

use super::bench::{Bench, RULES, at, settings};
use crate::engine::Event;

const HELD: &str = "
groups:
- name: g
  interval: 15s
  rules:
  - record: copied
    expr: errors
  - alert: Broken
    expr: copied > 0
    for: 10s
    labels: {severity: rollback}
";

/// Evaluates the one group aside.
fn aside(bench: &mut Bench, now: i64) {
    let job = bench.engine.set_aside(0, at(now)).unwrap();
    bench.handle(Event::Evaluated(Box::new(job.run())), now);
}

#[test]
fn what_is_evaluated_aside_comes_to_what_it_comes_to_here() {
    let run = |is_aside: bool| {
        let mut bench = Bench::new(settings(&[("rules.yml", HELD)]));
        let slot = bench.engine.next_due().unwrap().millis();
        for (round, value) in [1.0, 1.0, 1.0, 0.0].into_iter().enumerate() {
            let now = slot + 15_000 * round as i64;
            bench.sample(now, &[("candidate", value)]);
            if is_aside { aside(&mut bench, now) } else { bench.evaluate(now) }
        }
        let rows = bench.engine.take_rows();
        (bench.take(), bench.alerts(), bench.content("copied"), bench.content("ALERTS"), rows)
    };
    let here = run(false);
    assert!(here.0.contains(&"record fired".to_owned()), "{:?}", here.0);
    assert_eq!(run(true), here);
}

#[test]
fn others_are_evaluated_meanwhile_and_its_slots_do_not_come() {
    let other = RULES.replace("name: g", "name: other").replace("Broken", "Other");
    let mut bench = Bench::new(settings(&[("slow.yml", HELD), ("fast.yml", &other)]));
    let first = bench.engine.next_due().unwrap().millis();
    let now = first + 15_000;
    bench.sample(first - 1, &[("candidate", 1.0)]);
    assert_eq!(bench.engine.due(at(now)), [0, 1]);
    let job = bench.engine.set_aside(0, at(now)).unwrap();
    assert!(bench.engine.set_aside(0, at(now)).is_none(), "once at a time");
    assert_eq!(bench.engine.due(at(now + 60_000)), [1], "the other waits for nobody");
    bench.evaluate(now + 60_000);
    assert!(bench.take().contains(&"record fired".to_owned()));
    let slot = bench.engine.snapshot(at(now)).groups[0].evaluated_at.unwrap().millis();
    bench.look_early(slot + 74_999, &[("candidate", 2.0)]);
    assert!(bench.take().is_empty(), "nor is it looked at early");
    bench.handle(Event::Evaluated(Box::new(job.run())), slot + 75_000);
    assert!(bench.take().contains(&"candidate inactive -> pending".to_owned()));
    // Of the slots that passed meanwhile the last is evaluated; four are missed.
    bench.evaluate(slot + 75_000);
    assert_eq!(bench.engine.evaluated(0).unwrap().missed, 4);
}

#[test]
fn what_comes_back_after_a_reload_is_dropped() {
    let mut bench = Bench::new(settings(&[("rules.yml", HELD)]));
    let slot = bench.engine.next_due().unwrap().millis();
    bench.sample(slot, &[("candidate", 1.0)]);
    let done = bench.engine.set_aside(0, at(slot)).unwrap().run();
    assert!(bench.engine.awaits(&done));
    bench.handle(Event::Reload(Box::new(settings(&[("rules.yml", HELD)]))), slot + 1000);
    assert!(!bench.engine.awaits(&done), "nor is it counted as the new group's");
    bench.handle(Event::Evaluated(Box::new(done)), slot + 1000);
    assert!(bench.take().is_empty() && bench.content("copied").is_empty());
    assert_eq!(bench.engine.due(at(slot + 15_000)), [0], "its next slot comes");
    bench.evaluate(slot + 15_000);
    assert_eq!(bench.take()[0], "candidate inactive -> pending");
}
