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
const OUTAGE_MAX: Duration = Duration::from_secs(3600);

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
