//! The gauges of service level objectives, set after each evaluation of their rules.
//!
//! A value that is not known is no series: a budget before the first probe is neither full nor
//! spent, and zero would say that nothing burns.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::GaugeVec;

use super::instruments::gauge;
use super::metrics;
use super::registry::Registry;

/// How one error budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SloReading {
    /// The objective's name.
    pub slo: String,
    /// The share that must be good.
    pub objective: f64,
    /// The target; empty for the budget of several together.
    pub target: String,
    /// The share of the budget that is left.
    pub remaining: Option<f64>,
    /// The burn rate by window.
    pub burns: Vec<(String, Option<f64>)>,
}

/// The instruments.
#[derive(Debug)]
pub(super) struct Slos {
    objective: GaugeVec,
    remaining: GaugeVec,
    burn: GaugeVec,
    // Written by the engine's loop only.
    shown: Mutex<Shown>,
}

/// Label values of the series that are there.
#[derive(Debug, Default)]
struct Shown {
    objectives: BTreeSet<[String; 1]>,
    budgets: BTreeSet<[String; 2]>,
    burns: BTreeSet<[String; 3]>,
}

impl Slos {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            objective: gauge(registry, &metrics::SLO_OBJECTIVE),
            remaining: gauge(registry, &metrics::SLO_BUDGET_REMAINING),
            burn: gauge(registry, &metrics::SLO_BURN_RATE),
            shown: Mutex::default(),
        }
    }

    /// Shows these and nothing else.
    pub(super) fn set(&self, readings: &[SloReading]) {
        let mut next = Shown::default();
        for reading in readings {
            let (slo, target) = (reading.slo.clone(), reading.target.clone());
            show(&self.objective, &mut next.objectives, [slo.clone()], Some(reading.objective));
            let labels = [slo.clone(), target.clone()];
            show(&self.remaining, &mut next.budgets, labels, reading.remaining);
            for (window, burn) in &reading.burns {
                let labels = [slo.clone(), target.clone(), window.clone()];
                show(&self.burn, &mut next.burns, labels, *burn);
            }
        }
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *shown, next);
        forget(&self.objective, &before.objectives, &shown.objectives);
        forget(&self.remaining, &before.budgets, &shown.budgets);
        forget(&self.burn, &before.burns, &shown.burns);
    }
}

pub(super) fn show<const N: usize>(
    family: &GaugeVec,
    shown: &mut BTreeSet<[String; N]>,
    labels: [String; N],
    value: Option<f64>,
) {
    let Some(value) = value else { return };
    family.with_label_values(&labels).set(value);
    shown.insert(labels);
}

pub(super) fn forget<const N: usize>(
    family: &GaugeVec,
    before: &BTreeSet<[String; N]>,
    now: &BTreeSet<[String; N]>,
) {
    for labels in before.difference(now) {
        let _was_there = family.remove_label_values(labels).is_ok();
    }
}
