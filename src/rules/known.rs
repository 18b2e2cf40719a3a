//! Label sets that a rule made of its last result.
//!
//! A rule finds the same series in the same order nearly every time, and makes the same labels of
//! each. What it made is remembered with what it was made of, and made anew only where that differs.

use super::alert::{Alert, AlertState};
use super::evaluation::{Alerts, Vector};
use crate::model::{Label, Labels};

/// Of each series of the last result: its labels, and what was made of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Known(Vec<(Labels, Labels)>);

impl Known {
    /// Makes labels of each of a result's. Says whether all of them are known from the last time, so
    /// that what held among them then holds now.
    pub(super) fn made(
        &mut self,
        result: &Vector,
        make: impl Fn(&Labels, f64) -> Labels,
    ) -> (Vec<Labels>, bool) {
        let is_same = self.0.len() == result.len()
            && self.0.iter().zip(result).all(|((from, _), (labels, _))| from == labels);
        if !is_same {
            let before = std::mem::take(&mut self.0);
            let made = result.iter().enumerate().map(|(position, (labels, value))| {
                let known = before.get(position).filter(|(from, _)| from == labels);
                let made = known.map_or_else(|| make(labels, *value), |(_, made)| made.clone());
                (labels.clone(), made)
            });
            self.0 = made.collect();
        }
        (self.0.iter().map(|(_, made)| made.clone()).collect(), is_same)
    }
}

/// The series of alerts that are pending or firing, as they were written last.
#[derive(Clone, Debug, Default)]
pub(super) struct Shown(Vec<(Labels, AlertState, [Labels; 2])>);

impl Shown {
    /// `ALERTS` and `ALERTS_FOR_STATE` of the alerts that are pending or firing.
    pub(super) fn written(&mut self, alerts: &Alerts) -> Vector {
        let active = || alerts.values().filter(|alert| alert.state != AlertState::Inactive);
        let is_of = |known: &(Labels, AlertState, [Labels; 2]), alert: &Alert| {
            known.1 == alert.state && known.0 == alert.labels
        };
        let is_same = self.0.len() == active().count()
            && self.0.iter().zip(active()).all(|(known, alert)| is_of(known, alert));
        if !is_same {
            self.0 =
                active().map(|alert| (alert.labels.clone(), alert.state, series(alert))).collect();
        }
        let written = self.0.iter().zip(active()).flat_map(|((.., [shown, since]), alert)| {
            let seconds = alert.active_at.millis().div_euclid(1000) as f64;
            [(shown.clone(), 1.0), (since.clone(), seconds)]
        });
        written.collect()
    }
}

fn series(alert: &Alert) -> [Labels; 2] {
    let own = [(Labels::NAME, "ALERTS"), ("alertstate", alert.state.as_str())];
    let own = own.map(|(name, value)| Label { name: name.into(), value: value.into() });
    let shown = alert.labels.iter().cloned().chain(own).collect();
    [shown, alert.labels.with(Labels::NAME, "ALERTS_FOR_STATE")]
}
