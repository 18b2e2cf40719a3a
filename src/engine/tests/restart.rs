//! What goes on after a restart with the rows of the run before, with and without its samples.

use std::collections::BTreeMap;
use std::time::Duration;

use super::bench::{Bench, RULES, at, settings};
use crate::engine::{Engine, Event, Settings};
use crate::model::{StateRow, StateTable, Timestamp};
use crate::release::{Record, Verdict};
use crate::rules::{Alert, AlertState};

/// One that fires at once, one that waits, one that is kept firing.
const THREE: &str = "
groups:
- name: g
  interval: 15s
  rules:
  - {alert: Now, expr: errors > 0}
  - {alert: Later, expr: errors > 0, for: 5m}
  - {alert: Kept, expr: errors > 5, keep_firing_for: 2m}
";

/// A bench, its disk and its first slot.
struct House {
    bench: Bench,
    disk: BTreeMap<(StateTable, String), String>,
    slot: i64,
}

impl House {
    fn start(rules: &str) -> Self {
        let bench = Bench::new(settings(&[("rules.yml", rules)]));
        let slot = bench.engine.next_due().unwrap().millis();
        Self { bench, disk: BTreeMap::new(), slot }
    }

    fn sync(&mut self) {
        for StateRow { table, key, value } in self.bench.engine.take_rows() {
            match value {
                Some(value) => self.disk.insert((table, key), value),
                None => self.disk.remove(&(table, key)),
            };
        }
    }

    /// Samples, evaluates at a number of seconds after the first slot, and lets notices be due.
    fn evaluate(&mut self, seconds: i64, value: f64) {
        let now = self.slot + seconds * 1000;
        self.bench.sample(now, &[("candidate", value)]);
        self.bench.evaluate(now);
        self.bench.handle(Event::Tick, now);
        self.sync();
    }

    /// Every interval from one number of seconds to another.
    fn hold(&mut self, from: i64, to: i64, value: f64) {
        (from..=to).step_by(15).for_each(|seconds| self.evaluate(seconds, value));
    }

    /// A new engine that has nothing but the disk.
    fn restart(&mut self, settings: Settings, seconds: i64) -> usize {
        let now = at(self.slot + seconds * 1000);
        self.bench.engine = Engine::new(settings, &[], now);
        self.bench.take();
        let rows: Vec<StateRow> = self
            .disk
            .iter()
            .map(|((table, key), value)| StateRow {
                table: *table,
                key: key.clone(),
                value: Some(value.clone()),
            })
            .collect();
        let (alerts, unreadable) = self.bench.engine.restore(&rows, now);
        assert_eq!(unreadable, [""; 0]);
        self.sync();
        alerts
    }

    fn alert(&self, rule: &str) -> Option<Alert> {
        let snapshot = self.bench.engine.snapshot(at(0));
        let rules = snapshot.groups.iter().flat_map(|group| group.rules.clone());
        rules.flat_map(|status| status.alerts).find(|alert| alert.rule == rule)
    }

    fn at(&self, seconds: i64) -> Timestamp {
        at(self.slot + seconds * 1000)
    }
}

fn three() -> Settings {
    settings(&[("rules.yml", THREE)])
}

#[test]
fn firing_pending_and_kept_go_on_exactly_without_any_sample() {
    let mut house = House::start(THREE);
    house.evaluate(0, 9.0);
    house.hold(15, 60, 1.0);
    let [now, later, kept] = ["Now", "Later", "Kept"].map(|rule| house.alert(rule).unwrap());
    assert_eq!(kept.keep_firing_since, Some(house.at(15)));
    // Down from 60 s to 160 s.
    assert_eq!(house.restart(three(), 160), 3);
    assert_eq!(house.alert("Now"), Some(now), "startsAt, incident, value, annotations");
    let after = house.alert("Later").unwrap();
    assert_eq!((after.active_at, &after.incident), (house.at(100), &later.incident));
    assert_eq!(house.alert("Kept").unwrap().keep_firing_since, Some(house.at(115)));
    // `Later` had waited 60 s of 300: 240 s more. `Kept` was kept for 45 s of 120: 75 s more.
    house.hold(165, 225, 1.0);
    assert_eq!(house.alert("Kept").unwrap().state, AlertState::Firing);
    house.evaluate(240, 1.0);
    assert_eq!(house.alert("Kept").unwrap().state, AlertState::Inactive);
    house.hold(255, 390, 1.0);
    assert_eq!(house.alert("Later").unwrap().state, AlertState::Pending);
    house.evaluate(405, 1.0);
    let fired = house.alert("Later").unwrap();
    assert_eq!((fired.state, fired.fired_at), (AlertState::Firing, Some(house.at(405))));
    assert_eq!(fired.incident, later.incident);
}

#[test]
fn a_second_restart_counts_the_whole_gap_once() {
    let mut house = House::start(THREE);
    house.hold(0, 60, 1.0);
    house.restart(three(), 100);
    house.restart(three(), 160);
    assert_eq!(house.alert("Later").unwrap().active_at, house.at(100));
}

#[test]
fn after_an_hour_nothing_is_known_any_more_and_nothing_is_left_on_disk() {
    for (seconds, expected) in [(3600, 2), (3601, 0)] {
        let mut house = House::start(THREE);
        house.evaluate(0, 1.0);
        assert_eq!(house.restart(three(), seconds), expected);
        let about_alerts = |(table, _): &&(StateTable, String)| *table != StateTable::NoticeGroup;
        let left = house.disk.keys().filter(about_alerts).count();
        assert_eq!(left, if expected == 0 { 0 } else { 3 }, "{:?}", house.disk);
    }
}

#[test]
fn nobody_is_told_again_and_a_resolve_around_the_restart_is_told() {
    let mut house = House::start(THREE);
    house.hold(0, 15, 1.0);
    assert!(house.bench.take().contains(&"notice: first notification".to_owned()));
    house.restart(three(), 60);
    house.bench.handle(Event::Tick, house.slot + 60_000);
    house.hold(60, 120, 1.0);
    assert_eq!(house.bench.take(), [""; 0]);
    // Resolved, and down before the group's next notice was due.
    house.bench.handle(Event::Tick, house.slot + 134_000);
    let now = house.slot + 135_000;
    house.bench.sample(now, &[("candidate", 0.0)]);
    house.bench.evaluate(now);
    house.sync();
    house.restart(three(), 150);
    house.bench.handle(Event::Tick, house.slot + 150_000);
    assert_eq!(house.bench.take(), ["deliver to receiver/all/0", "notice: all alerts resolved"]);
    let body = &house.bench.deliveries.last().unwrap().body;
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["alerts"][0]["startsAt"], house.at(0).rfc3339());
    assert_eq!(body["alerts"][0]["endsAt"], house.at(135).rfc3339());
}

#[test]
fn alertmanagers_hear_at_once_of_what_fires() {
    let mut with = three();
    with.alertmanagers = vec![crate::notice::Alertmanager {
        url: "http://127.0.0.1:1".to_owned(),
        timeout: Duration::from_secs(1),
        http: crate::model::HttpSettings::default(),
    }];
    let mut house = House::start(THREE);
    house.hold(0, 15, 1.0);
    house.restart(with, 30);
    house.bench.handle(Event::Tick, house.slot + 30_000);
    assert_eq!(house.bench.take(), ["deliver to alertmanager/0"]);
    assert!(house.bench.deliveries.last().unwrap().body.contains(&house.at(0).rfc3339()));
}

#[test]
fn rules_that_were_edited_meanwhile_go_on_as_over_a_reload() {
    let edited = "
groups:
- name: g
  interval: 15s
  rules:
  - {alert: Now, expr: errors > 0.5}
  - {alert: Other, expr: errors > 0, for: 5m}
";
    let mut house = House::start(THREE);
    house.hold(0, 30, 1.0);
    let incident = house.alert("Now").unwrap().incident;
    house.restart(settings(&[("rules.yml", edited)]), 45);
    assert_eq!(house.alert("Now").unwrap().incident, incident);
    assert_eq!(house.alert("Later"), None);
    house.evaluate(45, 1.0);
    // What the rule said before is no longer on disk, beside what it says now.
    let alerts = house.disk.keys().filter(|(table, _)| *table == StateTable::Alert);
    assert_eq!(alerts.count(), 2, "{:?}", house.disk);
    assert_eq!(house.restart(settings(&[("other.yml", edited)]), 60), 0);
    let of_rules = |(table, _): &&(StateTable, String)| *table != StateTable::NoticeGroup;
    assert_eq!(house.disk.keys().filter(of_rules).count(), 0, "{:?}", house.disk);
}

#[test]
fn an_early_rollback_is_on_disk_with_its_incident() {
    let mut house = House::start(RULES);
    house.bench.sample(house.slot - 1000, &[("candidate", 0.0)]);
    house.bench.look_early(house.slot - 500, &[("candidate", 1.0)]);
    assert_eq!(house.bench.take(), ["record fired", "deliver to rollback/r"]);
    house.sync();
    let incident = house.bench.deliveries[0].order.clone();
    let id = house.bench.deliveries[0].id.clone();
    assert!(house.disk.values().any(|value| value.contains(&incident)));
    // The process dies here, before the next evaluation; its samples are lost, and the decision is
    // in the journal. The condition still holds after the restart.
    let mut settings = settings(&[("rules.yml", RULES)]);
    settings.rollbacks[0].cooldown = Duration::ZERO;
    house.restart(settings.clone(), 5);
    let record = Record {
        id,
        rollback: "r".to_owned(),
        incident: incident.clone(),
        at: house.at(0),
        verdict: Verdict::Fired,
        report: "{}".to_owned(),
    };
    let rows: Vec<StateRow> = house
        .disk
        .iter()
        .map(|((table, key), value)| StateRow {
            table: *table,
            key: key.clone(),
            value: Some(value.clone()),
        })
        .collect();
    house.bench.engine = Engine::new(settings, &[record], house.at(5));
    house.bench.engine.restore(&rows, house.at(5));
    house.hold(15, 60, 1.0);
    assert_eq!(house.alert("Broken").unwrap().incident, incident);
    assert!(!house.bench.take().contains(&"deliver to rollback/r".to_owned()));
}
