//! What a group goes on with after a restart: the series that its rules wrote.
//!
//! A series that the rule does not write at its next evaluation ends then, as if there had been no
//! restart. From `ALERTS` and `ALERTS_FOR_STATE` the alerts themselves come back:
//!
//! - One that fired goes on firing, under the same incident, so that no rollback is started twice.
//! - One that was pending has waited for as long as it was seen to wait; the time between the last
//!   evaluation and the restart counts for nothing. (Prometheus does the same, but for rules with a
//!   `for` of less than ten minutes, whose alerts start from nothing there, and makes others wait
//!   for ten minutes at least. Here a `for` is mostly short, and somebody waits for a rollback.)
//! - After more than an hour nothing is known any more: the condition must hold anew.
//!
//! `ALERTS_FOR_STATE` counts whole seconds, while a group is evaluated at times that have
//! milliseconds; an alert begins at one of them, so that the second tells which.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert::{Alert, AlertState, incident};
use super::group::Group;
use super::spec::RuleSpec;
use crate::model::{Labels, Sample, Timestamp, is_stale};

/// The longest time without evaluations after which alerts go on: Prometheus's default.
pub const OUTAGE_MAX: Duration = Duration::from_secs(3600);

const STATE: &str = "ALERTS_FOR_STATE";
const SHOWN: &str = "ALERTS";

impl Group {
    /// How many of its rules may have written a series: those of its name whose fixed labels it
    /// bears.
    pub fn writers(&self, series: &Labels) -> usize {
        self.spec.rules.iter().filter(|rule| may_write(rule, series)).count()
    }

    /// Takes over series that its rules wrote before a restart, none of which has ended.
    pub fn inherit(&mut self, series: &BTreeMap<Labels, Vec<Sample>>, now: Timestamp) {
        for (labels, samples) in series {
            let Some(position) = self.spec.rules.iter().position(|rule| may_write(rule, labels))
            else {
                continue;
            };
            let alert = self.alert(position, labels, samples, series, now);
            let Some(rule) = self.rules.get_mut(position) else { continue };
            rule.written.insert(labels.clone());
            if let Some(alert) = alert {
                rule.alerts.insert(alert.labels.clone(), alert);
            }
        }
    }

    /// The alert that a series of `ALERTS_FOR_STATE` is about.
    fn alert(
        &self,
        rule: usize,
        series: &Labels,
        samples: &[Sample],
        all: &BTreeMap<Labels, Vec<Sample>>,
        now: Timestamp,
    ) -> Option<Alert> {
        let RuleSpec::Alerting(rule) = self.spec.rules.get(rule)? else { return None };
        let last = samples.last().filter(|_| series.metric() == STATE)?;
        // Samples are written that much before the evaluation's time.
        let outage = now.since(last.at + self.query_offset());
        if outage > OUTAGE_MAX || !last.value.is_finite() {
            return None;
        }
        let second = Timestamp::from_millis((last.value as i64).saturating_mul(1000));
        let slot = self.next_after(second - Duration::from_millis(1));
        let in_second = slot.since(second) < Duration::from_secs(1);
        let mut active_at = if in_second { slot } else { second };
        let labels = series.without(&[Labels::NAME]);
        let shown = labels.with(Labels::NAME, SHOWN);
        let firing = all.get(&shown.with("alertstate", AlertState::Firing.as_str()));
        let fired_at = firing.and_then(|samples| began(samples));
        if fired_at.is_none() {
            active_at = active_at + outage;
        }
        Some(Alert {
            annotations: Labels::empty(),
            state: if fired_at.is_some() { AlertState::Firing } else { AlertState::Pending },
            value: 0.0,
            active_at,
            fired_at: fired_at.map(|at| at + self.query_offset()),
            resolved_at: None,
            keep_firing_since: None,
            expr: rule.expr.text().to_owned(),
            rule: rule.alert.clone(),
            group: self.name().to_owned(),
            file: self.file().to_owned(),
            incident: incident(self.file(), self.name(), &rule.alert, &labels, active_at),
            labels,
        })
    }
}

/// When the series began that has not ended.
fn began(samples: &[Sample]) -> Option<Timestamp> {
    let run = samples.iter().rev().take_while(|sample| !is_stale(sample.value));
    run.last().map(|sample| sample.at)
}

fn may_write(rule: &RuleSpec, series: &Labels) -> bool {
    let bears = |name: &str, value: &str| series.get(name).unwrap_or_default() == value;
    match rule {
        RuleSpec::Recording(rule) => {
            series.metric() == rule.record
                && rule.labels.iter().all(|(name, value)| bears(name, value))
        }
        RuleSpec::Alerting(rule) => {
            [SHOWN, STATE].contains(&series.metric())
                && bears("alertname", &rule.alert)
                && rule.labels.iter().all(|(name, template)| {
                    !template.is_plain() || name == "alertname" || bears(name, template.text())
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Context, Defaults, parse};
    use crate::series::{Settings, Store};

    const RULES: &str = "groups:\n- name: g\n  interval: 10s\n  rules:\n  \
        - {record: sum, expr: sum by (of) (x)}\n  \
        - {alert: Now, expr: x > 0, labels: {severity: page}}\n  \
        - {alert: Later, expr: x > 0, for: 1m}\n";

    /// A group and its store, evaluated at its own slots.
    struct Run {
        group: Group,
        store: Store,
        slot: Timestamp,
    }

    impl Run {
        fn start(store: Store, at: i64) -> Self {
            let spec = parse("r.yml", RULES).unwrap().groups.remove(0);
            let interval = Duration::from_secs(10);
            let group = Group::new(spec, &Defaults { interval, query_offset: Duration::ZERO });
            let slot = group.next_after(Timestamp::from_millis(at));
            Self { group, store, slot }
        }

        fn empty() -> Self {
            let retention = Duration::MAX;
            let settings = Settings { retention, size_max_bytes: u64::MAX, series_max: 1000 };
            Self::start(Store::new(settings), 1_000_000_000)
        }

        /// Evaluates once with `x` for some label values. Returns the state of each alert.
        fn evaluate(&mut self, present: &[&str]) -> Vec<String> {
            let context = Context {
                external_labels: Labels::empty(),
                external_url: String::new(),
                resend_delay: Duration::from_secs(60),
            };
            for of in present {
                let labels = Labels::from_pairs([("__name__", "x"), ("of", of)]);
                self.store.append(&labels, Sample { at: self.slot, value: 1.0 }).unwrap();
            }
            let evaluation = self.group.evaluate(self.slot, &mut self.store, &context);
            assert_eq!(evaluation.failures, []);
            self.slot = self.slot + Duration::from_secs(10);
            self.states()
        }

        fn states(&self) -> Vec<String> {
            let alerts = self.group.alerts().into_iter();
            let state = |alert: Alert| {
                let of = alert.labels.get("of").unwrap_or_default().to_owned();
                format!("{} {of} {}", alert.rule, alert.state.as_str())
            };
            alerts.map(state).collect()
        }

        /// The same samples in a group that was never evaluated, some slots later.
        fn restart(self, slots: u32) -> Self {
            let last = self.slot - Duration::from_secs(10);
            let now = last + Duration::from_secs(10) * slots - Duration::from_millis(1);
            let mut run = Self::start(self.store, now.millis());
            let live: Vec<Labels> = run.store.live().cloned().collect();
            let theirs = live.into_iter().filter(|series| run.group.writers(series) > 0);
            let theirs: BTreeMap<_, _> =
                theirs.map(|series| (series.clone(), run.store.samples(&series))).collect();
            run.group.inherit(&theirs, now + Duration::from_millis(1));
            run
        }

        fn incident(&self, rule: &str) -> String {
            let alerts = self.group.alerts();
            alerts.into_iter().find(|alert| alert.rule == rule).unwrap().incident
        }
    }

    #[test]
    fn what_fired_fires_on_under_the_same_incident() {
        let mut run = Run::empty();
        run.evaluate(&["a"]);
        let incident = run.incident("Now");
        let since = run.group.alerts()[0].fired_at;
        let mut run = run.restart(30);
        assert_eq!(run.states(), ["Now a firing", "Later a pending"]);
        assert_eq!(
            (run.incident("Now"), run.group.alerts()[0].fired_at),
            (incident.clone(), since)
        );
        assert_eq!(run.evaluate(&["a"]), ["Now a firing", "Later a pending"]);
        assert_eq!(run.incident("Now"), incident);
    }

    #[test]
    fn a_gap_counts_for_nothing() {
        let mut run = Run::empty();
        for _ in 0..3 {
            run.evaluate(&["a"]);
        }
        // It has waited 20 s, and waits 40 s more.
        let mut run = run.restart(100);
        for _ in 0..4 {
            assert_eq!(run.evaluate(&["a"])[1], "Later a pending");
        }
        assert_eq!(run.evaluate(&["a"])[1], "Later a firing");
    }

    #[test]
    fn after_an_hour_the_condition_must_hold_anew() {
        for (slots, expected) in [(360, "Later a firing"), (361, "Later a pending")] {
            let mut run = Run::empty();
            for _ in 0..7 {
                run.evaluate(&["a"]);
            }
            assert_eq!(run.states()[1], "Later a firing");
            assert_eq!(run.restart(slots).evaluate(&["a"])[1], expected);
        }
    }

    #[test]
    fn series_that_are_not_written_again_end() {
        let mut run = Run::empty();
        run.evaluate(&["a", "b"]);
        // Longer than a sample is looked back for.
        let mut run = run.restart(40);
        assert_eq!(run.evaluate(&["a"])[1], "Now b inactive");
        let live: Vec<String> = run.store.live().map(ToString::to_string).collect();
        let about = |of: &str| live.iter().filter(|text| text.contains(of)).count();
        // `x` itself (which nobody scrapes here), the sum, and of each alert both series.
        assert_eq!((about(r#"of="a""#), about(r#"of="b""#)), (6, 1), "{live:?}");
    }
}
