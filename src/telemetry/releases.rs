//! The gauges of releases, set whenever a new state is published.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{GaugeVec, IntCounterVec};

use super::instruments::{counter, gauge};
use super::metrics;
use super::registry::Registry;
use super::slos::{forget, show};
use crate::model::{Money, Timestamp};

/// The words for all states; `release::machine` has the same ones, which a test holds it to.
pub const RELEASE_STATES: [&str; 7] = [
    "idle",
    "running",
    "paused",
    "completed",
    "rolling_back",
    "rolled_back",
    "rollback_unverified",
];
/// What people are told of a release that wants something of them; `release::machine` has the same
/// words, which a test holds it to.
pub const RELEASE_NOTICES: [&str; 11] = [
    "common_cause",
    "doubtful",
    "capped",
    "no_data",
    "not_moved",
    "drill_needed",
    "approval_needed",
    "deadline",
    "rolling_back",
    "rolled_back",
    "rollback_unverified",
];
const VERDICTS: [&str; 3] = ["pass", "fail", "inconclusive"];

/// Where a release stands.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseReading {
    /// Its name.
    pub release: String,
    /// Its generation.
    pub generation: u64,
    /// Its state, one of [`RELEASE_STATES`].
    pub state: &'static str,
    /// The candidate's part of the traffic, in percent.
    pub share: u8,
    /// Its stage, from 1; 0 before the first.
    pub stage: usize,
    /// When that was entered.
    pub entered_at: Option<Timestamp>,
    /// Whether its rollback was rehearsed well enough.
    pub is_drilled: bool,
    /// What people are told of it; what is none of [`RELEASE_NOTICES`] is not shown.
    pub told: Vec<&'static str>,
    /// What its probes may cost in a day, where it pays for them itself.
    pub probe_budget: Option<Money>,
    /// How each gate stands.
    pub gates: Vec<GateReading>,
}

/// How a gate stands.
#[derive(Clone, Debug, PartialEq)]
pub struct GateReading {
    /// Its name.
    pub gate: String,
    /// `pass`, `fail` or `inconclusive`.
    pub verdict: &'static str,
    /// Bad outcomes.
    pub bad: u64,
    /// All outcomes.
    pub finished: u64,
    /// The evidence against the candidate, as the part that is needed.
    pub against: f64,
    /// The evidence for it, where there is such.
    pub in_favour: Option<f64>,
}

/// The instruments.
#[derive(Debug)]
pub(super) struct Releases {
    state: GaugeVec,
    generation: GaugeVec,
    weight: GaugeVec,
    stage: GaugeVec,
    entered: GaugeVec,
    drilled: GaugeVec,
    notice: GaugeVec,
    verdict: GaugeVec,
    outcomes: GaugeVec,
    evidence: GaugeVec,
    budget: GaugeVec,
    budget_spent: GaugeVec,
    transitions: IntCounterVec,
    // Written by the engine's loop only; probes read which budgets are shown.
    shown: Mutex<Shown>,
}

/// Label values of the series that are there.
#[derive(Debug, Default)]
struct Shown {
    names: BTreeSet<[String; 1]>,
    states: BTreeSet<[String; 2]>,
    arms: BTreeSet<[String; 2]>,
    notices: BTreeSet<[String; 2]>,
    budgets: BTreeSet<[String; 1]>,
    verdicts: BTreeSet<[String; 3]>,
    outcomes: BTreeSet<[String; 3]>,
    evidence: BTreeSet<[String; 3]>,
}

impl Releases {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            state: gauge(registry, &metrics::RELEASE_STATE),
            generation: gauge(registry, &metrics::RELEASE_GENERATION),
            weight: gauge(registry, &metrics::RELEASE_WEIGHT),
            stage: gauge(registry, &metrics::RELEASE_STAGE),
            entered: gauge(registry, &metrics::RELEASE_STAGE_ENTERED),
            drilled: gauge(registry, &metrics::RELEASE_DRILLED),
            notice: gauge(registry, &metrics::RELEASE_NOTICE),
            verdict: gauge(registry, &metrics::RELEASE_GATE_VERDICT),
            outcomes: gauge(registry, &metrics::RELEASE_GATE_OUTCOMES),
            evidence: gauge(registry, &metrics::RELEASE_GATE_EVIDENCE),
            budget: gauge(registry, &metrics::RELEASE_PROBE_BUDGET),
            budget_spent: gauge(registry, &metrics::RELEASE_PROBE_BUDGET_SPENT),
            transitions: counter(registry, &metrics::RELEASE_TRANSITIONS),
            shown: Mutex::default(),
        }
    }

    /// Shows these and nothing else.
    pub(super) fn set(&self, readings: &[ReleaseReading]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = Shown::default();
        for reading in readings {
            self.show(reading, &mut next);
        }
        let before = std::mem::replace(&mut *shown, next);
        for family in [&self.generation, &self.stage, &self.entered, &self.drilled] {
            forget(family, &before.names, &shown.names);
        }
        for family in [&self.budget, &self.budget_spent] {
            forget(family, &before.budgets, &shown.budgets);
        }
        forget(&self.state, &before.states, &shown.states);
        forget(&self.weight, &before.arms, &shown.arms);
        forget(&self.notice, &before.notices, &shown.notices);
        forget(&self.verdict, &before.verdicts, &shown.verdicts);
        forget(&self.outcomes, &before.outcomes, &shown.outcomes);
        forget(&self.evidence, &before.evidence, &shown.evidence);
        for labels in before.states.difference(&shown.states) {
            let _was_there = self.transitions.remove_label_values(labels).is_ok();
        }
    }

    /// Counts that a release came to a state, or to its next stage.
    pub(super) fn moved(&self, release: &str, state: &str) {
        self.transitions.with_label_values(&[release, state]).inc();
    }

    /// What the probes of a release spent today, where it pays for them itself.
    pub(super) fn probes_spent(&self, release: &str, spent: Money) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = [release.to_owned()];
        if shown.budgets.contains(&labels) {
            self.budget_spent.with_label_values(&labels).set(spent.usd());
        }
    }

    fn show(&self, reading: &ReleaseReading, next: &mut Shown) {
        let release = &reading.release;
        let named = || [release.clone()];
        let with = |word: &str| [release.clone(), word.to_owned()];
        let entered = reading.entered_at.map_or(0.0, |at| at.millis() as f64 / 1000.0);
        show(&self.generation, &mut next.names, named(), Some(reading.generation as f64));
        show(&self.stage, &mut next.names, named(), Some(reading.stage as f64));
        show(&self.entered, &mut next.names, named(), Some(entered));
        show(&self.drilled, &mut next.names, named(), Some(flag(reading.is_drilled)));
        if let Some(budget) = reading.probe_budget {
            show(&self.budget, &mut next.budgets, named(), Some(budget.usd()));
            self.budget_spent.with_label_values(&named());
        }
        for state in RELEASE_STATES {
            let is_it = Some(flag(state == reading.state));
            show(&self.state, &mut next.states, with(state), is_it);
            self.transitions.with_label_values(&[release.as_str(), state]);
        }
        for notice in RELEASE_NOTICES {
            let is_told = Some(flag(reading.told.contains(&notice)));
            show(&self.notice, &mut next.notices, with(notice), is_told);
        }
        let share = f64::from(reading.share) / 100.0;
        show(&self.weight, &mut next.arms, with("candidate"), Some(share));
        show(&self.weight, &mut next.arms, with("stable"), Some(1.0 - share));
        for gate in &reading.gates {
            let of = |word: &str| [release.clone(), gate.gate.clone(), word.to_owned()];
            for verdict in VERDICTS {
                let is_it = Some(flag(verdict == gate.verdict));
                show(&self.verdict, &mut next.verdicts, of(verdict), is_it);
            }
            show(&self.outcomes, &mut next.outcomes, of("bad"), Some(gate.bad as f64));
            show(&self.outcomes, &mut next.outcomes, of("finished"), Some(gate.finished as f64));
            show(&self.evidence, &mut next.evidence, of("against"), Some(gate.against));
            show(&self.evidence, &mut next.evidence, of("for"), gate.in_favour);
        }
    }
}

fn flag(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}
