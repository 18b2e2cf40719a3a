//! What was spent on whom and for what, and what it would have cost elsewhere.
//!
//! The counters of a target say what its probes cost. These say it by provider, model and purpose,
//! for probes and for whatever else asks a provider in our name. A comparison reprices each request
//! of one side by the prices of the other, token for token, when it is made: so tiers, services and
//! amounts for a request are right, which they would not be in sums.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use prometheus::{CounterVec, GaugeVec, IntCounterVec};

use super::instruments::{counter, fraction_counter, gauge};
use super::metrics;
use super::recorder::Telemetry;
use super::registry::Registry;
use crate::model::{Money, TargetId, Timestamp};
use crate::probe::{Budget, Comparison, Outcome, Target};
use crate::provider::Usage;

/// Why a provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To see how it does.
    Probe,
    /// For somebody who waits for the answer.
    Live,
    /// To hold its answers against another's.
    Shadow,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Probe, Self::Live, Self::Shadow];

    /// The value of the label `purpose`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Live => "live",
            Self::Shadow => "shadow",
        }
    }
}

/// The values of the label `prices`.
const PRICES: [&str; 2] = ["stable", "candidate"];

/// The values of the label `period`.
const PERIODS: [&str; 2] = ["day", "month"];

/// What a target may spend in each of the periods.
fn limits(target: &Target) -> [Option<Money>; 2] {
    match target.budget {
        Budget::Limited { daily, monthly } => [daily, monthly],
        Budget::Unlimited => [None, None],
    }
}

/// What was spent since the start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spent {
    /// By provider and model, the dearest first; only where something was asked.
    pub models: Vec<SpentOn>,
    /// By comparison; only where something was repriced.
    pub comparisons: Vec<Compared>,
}

/// What was spent on a model.
#[derive(Clone, Debug, PartialEq)]
pub struct SpentOn {
    /// The value of the label `provider`.
    pub provider: String,
    /// The model's public name.
    pub model: String,
    /// What for.
    pub purpose: Purpose,
    /// US dollars.
    pub usd: f64,
    /// How many requests are not in it, as their price or usage is unknown.
    pub unpriced: u64,
}

/// What the traffic of stable cost, and what it would have cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Whose.
    pub comparison: String,
    /// What the traffic was for.
    pub purpose: Purpose,
    /// US dollars at the prices of stable.
    pub stable_usd: f64,
    /// US dollars at the prices of the candidate.
    pub candidate_usd: f64,
}

#[derive(Debug)]
pub(super) struct Spending {
    cost: CounterVec,
    unpriced: IntCounterVec,
    compared: CounterVec,
    // Read for each request, written by a reload.
    comparisons: Mutex<Vec<Comparison>>,
    models: Mutex<BTreeSet<(String, String, Purpose)>>,
    budget: GaugeVec,
    budget_spent: GaugeVec,
    // Targets with a budget, and in which periods.
    limited: Mutex<BTreeSet<(TargetId, &'static str)>>,
}

impl Spending {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            cost: fraction_counter(registry, &metrics::COST),
            unpriced: counter(registry, &metrics::COST_UNPRICED),
            compared: fraction_counter(registry, &metrics::COMPARISON_COST),
            comparisons: Mutex::default(),
            models: Mutex::default(),
            budget: gauge(registry, &metrics::PROBE_BUDGET),
            budget_spent: gauge(registry, &metrics::PROBE_BUDGET_SPENT),
            limited: Mutex::default(),
        }
    }

    /// Takes up the targets that are probed.
    pub(super) fn configure(&self, targets: &[&Target]) {
        self.expect(targets, Purpose::Probe);
        let mut limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *limited);
        for target in targets {
            for (period, limit) in PERIODS.into_iter().zip(limits(target)) {
                let Some(limit) = limit else { continue };
                let labels = [target.id.as_str(), period];
                self.budget.with_label_values(&labels).set(limit.usd());
                self.budget_spent.with_label_values(&labels);
                limited.insert((target.id.clone(), period));
            }
        }
        for (target, period) in before.difference(&limited) {
            let labels = [target.as_str(), period];
            let _was_there = self.budget.remove_label_values(&labels).is_ok();
            let _was_there = self.budget_spent.remove_label_values(&labels).is_ok();
        }
    }

    /// Counts a probe.
    pub(super) fn probed(&self, target: &Target, outcome: &Outcome) {
        let usage = outcome.usage.as_ref();
        self.add(target, Purpose::Probe, usage, outcome.cost, outcome.finished);
    }

    /// Counts one request.
    pub(super) fn add(
        &self,
        target: &Target,
        purpose: Purpose,
        usage: Option<&Usage>,
        cost: Option<Money>,
        now: Timestamp,
    ) {
        let labels = [target.provider.system.as_str(), target.model.as_str(), purpose.as_str()];
        match cost {
            Some(cost) => self.cost.with_label_values(&labels).inc_by(cost.usd()),
            None => self.unpriced.with_label_values(&labels).inc(),
        }
        let (Some(usage), Some(cost)) = (usage, cost) else { return };
        let comparisons = self.comparisons.lock().unwrap_or_else(PoisonError::into_inner);
        for comparison in comparisons.iter().filter(|one| one.is_about(&target.id)) {
            let Some(elsewhere) = comparison.cost(usage, now) else { continue };
            for (prices, amount) in PRICES.into_iter().zip([cost, elsewhere]) {
                let labels = [comparison.name.as_str(), purpose.as_str(), prices];
                self.compared.with_label_values(&labels).inc_by(amount.usd());
            }
        }
    }

    /// From now on targets are asked for a purpose, and for no other reason: counting begins at
    /// zero, and what nobody asks any more is forgotten.
    pub(super) fn expect(&self, targets: &[&Target], purpose: Purpose) {
        let named = targets
            .iter()
            .map(|target| (target.provider.system.clone(), target.model.clone(), purpose));
        let named: BTreeSet<_> = named.collect();
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = models.iter().filter(|one| one.2 == purpose && !named.contains(one));
        for (provider, model, purpose) in gone {
            let labels = [provider.as_str(), model.as_str(), purpose.as_str()];
            let _was_there = self.cost.remove_label_values(&labels).is_ok();
            let _was_there = self.unpriced.remove_label_values(&labels).is_ok();
        }
        models.retain(|one| one.2 != purpose);
        for (provider, model, purpose) in &named {
            let labels = [provider.as_str(), model.as_str(), purpose.as_str()];
            self.cost.with_label_values(&labels);
            self.unpriced.with_label_values(&labels);
        }
        models.extend(named);
    }

    /// From now on these are compared.
    pub(super) fn compare(&self, comparisons: Vec<Comparison>) {
        let mut held = self.comparisons.lock().unwrap_or_else(PoisonError::into_inner);
        let series = |comparison: &Comparison, act: &dyn Fn(&[&str; 3])| {
            for purpose in Purpose::ALL {
                for prices in PRICES {
                    act(&[comparison.name.as_str(), purpose.as_str(), prices]);
                }
            }
        };
        for gone in held.iter().filter(|old| comparisons.iter().all(|new| new.name != old.name)) {
            series(gone, &|labels| {
                let _was_there = self.compared.remove_label_values(labels).is_ok();
            });
        }
        for comparison in &comparisons {
            series(comparison, &|labels| {
                self.compared.with_label_values(labels);
            });
        }
        *held = comparisons;
    }

    fn spent(&self) -> Spent {
        let models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        let mut spent = Spent::default();
        for (provider, model, purpose) in models.iter() {
            let labels = [provider.as_str(), model.as_str(), purpose.as_str()];
            let usd = self.cost.with_label_values(&labels).get();
            let unpriced = self.unpriced.with_label_values(&labels).get();
            if usd > 0.0 || unpriced > 0 {
                let (provider, model, purpose) = (provider.clone(), model.clone(), *purpose);
                spent.models.push(SpentOn { provider, model, purpose, usd, unpriced });
            }
        }
        spent.models.sort_by(|left, right| right.usd.total_cmp(&left.usd));
        let comparisons = self.comparisons.lock().unwrap_or_else(PoisonError::into_inner);
        for comparison in comparisons.iter() {
            for purpose in Purpose::ALL {
                let usd = |prices| {
                    let labels = [comparison.name.as_str(), purpose.as_str(), prices];
                    self.compared.with_label_values(&labels).get()
                };
                let [stable_usd, candidate_usd] = PRICES.map(usd);
                if stable_usd > 0.0 || candidate_usd > 0.0 {
                    let comparison = comparison.name.clone();
                    let compared = Compared { comparison, purpose, stable_usd, candidate_usd };
                    spent.comparisons.push(compared);
                }
            }
        }
        spent
    }
}

impl Telemetry {
    /// A target was asked for a purpose other than a probe: what it used and what that cost, as far
    /// as either is known. Probes are counted as they finish.
    pub fn spend(
        &self,
        target: &Target,
        purpose: Purpose,
        usage: Option<&Usage>,
        cost: Option<Money>,
        now: Timestamp,
    ) {
        self.process.spending.add(target, purpose, usage, cost, now);
    }

    /// These targets, and no others, may be asked for a purpose.
    pub fn expect_spending(&self, targets: &[impl Borrow<Target>], purpose: Purpose) {
        let targets: Vec<&Target> = targets.iter().map(Borrow::borrow).collect();
        self.process.spending.expect(&targets, purpose);
    }

    /// The traffic of these is repriced from now on.
    pub fn compare(&self, comparisons: Vec<Comparison>) {
        self.process.spending.compare(comparisons);
    }

    /// What a target's probes spent in this day and this month.
    pub fn probe_budget(&self, target: &Target, spent: [Money; 2]) {
        for ((period, limit), spent) in PERIODS.into_iter().zip(limits(target)).zip(spent) {
            if limit.is_some() {
                let labels = [target.id.as_str(), period];
                self.process.spending.budget_spent.with_label_values(&labels).set(spent.usd());
            }
        }
    }

    /// What was spent since the start.
    pub fn spent(&self) -> Spent {
        self.process.spending.spent()
    }
}
