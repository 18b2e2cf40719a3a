//! Where the objectives stand, as their rules recorded it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, MatchOp, Matcher, TargetId, Timestamp, is_stale};
use crate::series::{Source as _, Store};
use crate::slo::{self, Quantity, Scope, Slo};

/// How old a recorded sample may be: Prometheus's lookback.
const LOOKBACK: Duration = Duration::from_secs(300);

/// An objective and its budgets.
#[derive(Clone, Debug)]
pub struct SloStatus {
    /// The objective.
    pub slo: Arc<Slo>,
    /// One for each target, or one for all together.
    pub budgets: Vec<BudgetStatus>,
}

/// How an error budget stands.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetStatus {
    /// Whose it is; `None` is that of all targets together.
    pub target: Option<TargetId>,
    /// How much is left: 1 is all of it, below 0 it is overspent. `None` before anything is known.
    pub remaining: Option<f64>,
    /// How many times as fast as allowed it burns, over each window, the shortest first. `None`
    /// where a window holds no probe that counts.
    pub burns: Vec<(Duration, Option<f64>)>,
}

/// Reads how an objective stands as of `now`.
pub(super) fn read(slo: &Arc<Slo>, store: &Store, now: Timestamp) -> SloStatus {
    let latest = |quantity, window| latest(store, &slo.series(quantity, window), &slo.name, now);
    let remaining = latest(Quantity::BudgetRemaining, slo.window);
    let ratios: Vec<(Duration, BTreeMap<String, f64>)> = slo::all(slo.window)
        .into_iter()
        .map(|window| (window, latest(Quantity::ErrorRatio, window)))
        .collect();
    let targets: Vec<Option<TargetId>> = match slo.scope {
        Scope::Each => slo.subjects.iter().map(|subject| Some(subject.target.clone())).collect(),
        Scope::Together => vec![None],
    };
    let budgets = targets.into_iter().map(|target| {
        let name = target.as_ref().map_or("", TargetId::as_str);
        let burn = |ratio: &f64| ratio / slo.objective.allowed();
        let burns = ratios.iter().map(|(window, ratios)| (*window, ratios.get(name).map(burn)));
        BudgetStatus { remaining: remaining.get(name).copied(), burns: burns.collect(), target }
    });
    SloStatus { slo: Arc::clone(slo), budgets: budgets.collect() }
}

/// The last values of a series by target; what has ended is left out.
fn latest(store: &Store, series: &str, slo: &str, now: Timestamp) -> BTreeMap<String, f64> {
    let equal = |name, value| {
        Matcher::new(name, MatchOp::Equal, value).expect("only a regular expression is refused")
    };
    let matchers = [equal(Labels::NAME, series), equal("slo", slo)];
    let mut found: BTreeMap<String, (Timestamp, f64)> = BTreeMap::new();
    store.select(&matchers, now - LOOKBACK, now, &mut |labels, samples| {
        let Some(last) = samples.last().filter(|last| !is_stale(last.value)) else { return };
        let target = labels.get("target").unwrap_or_default().to_owned();
        // A target whose model changed has two for a moment.
        let entry = found.entry(target).or_insert((last.at, last.value));
        if entry.0 < last.at {
            *entry = (last.at, last.value);
        }
    });
    found.into_iter().map(|(target, (_, value))| (target, value)).collect()
}
