//! Whether heartbeats follow evaluations, and stop with them.

use std::time::Duration;

use super::bench::{Bench, settings};
use crate::engine::{Event, Settings};
use crate::model::{HttpSettings, UrlSource};
use crate::notice::{BeatMethod, Heartbeat};

fn group(name: &str) -> String {
    format!("- name: {name}\n  interval: 15s\n  rules:\n  - {{record: x, expr: vector(1)}}\n")
}

fn bench(groups: &[&str]) -> Bench {
    let groups: String = groups.iter().map(|name| group(name)).collect();
    let heartbeat = |seconds| Heartbeat {
        url: UrlSource::Plain("http://127.0.0.1:1".to_owned()),
        interval: Duration::from_secs(seconds),
        timeout: Duration::from_secs(1),
        method: BeatMethod::Post,
        http: HttpSettings::default(),
    };
    let rules = format!("groups:\n{groups}");
    let settings = settings(&[("rules.yml", &rules)]);
    Bench::new(Settings { heartbeats: vec![heartbeat(60), heartbeat(30)], ..settings })
}

/// The beats so far: which, and how many seconds after a time in milliseconds.
fn beats(bench: &Bench, since: i64) -> Vec<(String, i64)> {
    let deliveries = bench.deliveries.iter();
    let beats = deliveries.filter(|delivery| delivery.hook.as_str().starts_with("heartbeat/"));
    beats.map(|beat| (beat.hook.to_string(), (beat.decided_at.millis() - since) / 1000)).collect()
}

#[test]
fn a_beat_follows_an_evaluation_at_its_interval() {
    let mut bench = bench(&["g"]);
    let slot = bench.engine.next_due().unwrap().millis();
    bench.handle(Event::Tick, slot - 1);
    assert_eq!(beats(&bench, slot), []);
    for second in [0, 15, 30, 45, 60] {
        bench.handle(Event::Evaluate(0), slot + second * 1000);
    }
    let expected = [(0, 0), (1, 0), (1, 30), (0, 60), (1, 60)];
    assert_eq!(beats(&bench, slot), expected.map(|(hook, at)| (format!("heartbeat/{hook}"), at)));
    // Nothing is evaluated for ten minutes: nothing beats, and what was missed is not made up for.
    bench.handle(Event::Tick, slot + 660_000);
    assert_eq!(beats(&bench, slot).len(), 5);
    bench.handle(Event::Evaluate(0), slot + 660_000);
    bench.handle(Event::Evaluate(0), slot + 675_000);
    assert_eq!(beats(&bench, slot)[5..].iter().map(|beat| beat.1).collect::<Vec<_>>(), [660, 660]);
}

#[test]
fn nothing_beats_while_a_group_is_overdue() {
    let mut bench = bench(&["g", "h"]);
    let slot = bench.engine.next_due().unwrap().millis();
    // The slots of both lie within the first 15 s; two intervals later the second one is overdue.
    for second in (15..=120).step_by(15) {
        bench.handle(Event::Evaluate(0), slot + second * 1000);
    }
    let last = beats(&bench, slot).into_iter().map(|beat| beat.1).max().unwrap();
    assert!(last <= 45, "{last}");
    bench.handle(Event::Evaluate(1), slot + 121_000);
    assert_eq!(beats(&bench, slot).into_iter().map(|beat| beat.1).max(), Some(121));
}
