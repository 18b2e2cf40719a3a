//! A target as the instruments know it: its label values, and the series that nearly every probe of it
//! touches, each found once.
//!
//! To find a series by its labels costs several times what counting in it does. These lie behind the
//! lock that a reload takes, and are found anew after it, so that none of them outlives its family.
//! What is rare (failures, skips, limits) is found by its labels.

use std::sync::OnceLock;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{Counter, Gauge, Histogram, IntCounter};

use super::probes::{PHASES, THRESHOLD_KINDS, TOKEN_TYPES};
use crate::probe::{Delivery, Target};

/// The label values of a target, in the order of [`super::metrics::TARGET_LABELS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity([String; 5]);

impl Identity {
    pub(super) fn of(target: &Target) -> Self {
        Self(Self::values(target).map(str::to_owned))
    }

    pub(super) fn is_of(&self, target: &Target) -> bool {
        self.0.each_ref().map(String::as_str) == Self::values(target)
    }

    fn values(target: &Target) -> [&str; 5] {
        let stream = match target.delivery {
            Delivery::Streamed => "true",
            Delivery::Whole => "false",
        };
        let provider = &target.provider;
        [target.id.as_str(), &provider.system, &target.model, provider.dialect.api(), stream]
    }

    pub(super) fn and<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.0.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }
}

/// A series that is found when it is first touched: some of them appear only then.
type Held<T> = OnceLock<T>;

/// A target and its usual series.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) identity: Identity,
    pub(super) interval: Held<Gauge>,
    pub(super) due: Held<IntCounter>,
    pub(super) fired: Held<IntCounter>,
    pub(super) lag: Held<Histogram>,
    pub(super) in_flight: Held<Gauge>,
    pub(super) slowed: Held<Gauge>,
    pub(super) maintenance: Held<Gauge>,
    /// Probes of which nothing but good came.
    pub(super) good: Held<IntCounter>,
    pub(super) last_run: Held<Gauge>,
    pub(super) last_success: Held<Gauge>,
    /// Answers of status 200.
    pub(super) answered: Held<IntCounter>,
    pub(super) tokens: [Held<IntCounter>; TOKEN_TYPES.len()],
    pub(super) cost: Held<Counter>,
    pub(super) unpriced: Held<IntCounter>,
    pub(super) observed: [Held<IntCounter>; THRESHOLD_KINDS.len()],
    pub(super) duration: Held<Histogram>,
    pub(super) ttft: Held<Histogram>,
    pub(super) ttfo: Held<Histogram>,
    pub(super) tpot: Held<Histogram>,
    pub(super) gap: Held<Histogram>,
    pub(super) phases: [Held<Histogram>; PHASES.len()],
}

impl Known {
    pub(super) fn new(identity: Identity) -> Self {
        Self {
            identity,
            interval: Held::new(),
            due: Held::new(),
            fired: Held::new(),
            lag: Held::new(),
            in_flight: Held::new(),
            slowed: Held::new(),
            maintenance: Held::new(),
            good: Held::new(),
            last_run: Held::new(),
            last_success: Held::new(),
            answered: Held::new(),
            tokens: Default::default(),
            cost: Held::new(),
            unpriced: Held::new(),
            observed: Default::default(),
            duration: Held::new(),
            ttft: Held::new(),
            ttfo: Held::new(),
            tpot: Held::new(),
            gap: Held::new(),
            phases: Default::default(),
        }
    }

    /// The series of a family that has the target's labels and no others.
    pub(super) fn bare<'k, B>(&self, held: &'k Held<B::M>, family: &MetricVec<B>) -> &'k B::M
    where
        B: MetricVecBuilder,
        MetricVec<B>: Collector,
    {
        self.with(held, family, &[])
    }

    /// The series of a family that has these label values after the target's.
    pub(super) fn with<'k, B>(
        &self,
        held: &'k Held<B::M>,
        family: &MetricVec<B>,
        more: &[&str],
    ) -> &'k B::M
    where
        B: MetricVecBuilder,
        MetricVec<B>: Collector,
    {
        held.get_or_init(|| family.with_label_values(&self.identity.and(more)))
    }
}
