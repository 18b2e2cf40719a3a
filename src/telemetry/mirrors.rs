//! The instruments of copies that the router sends for nobody.
//!
//! They are apart from those of requests: a copy is no traffic, and nothing that comes of one may look
//! as if a user had met it. Only routes that copy have these series.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec};

use super::instruments::{counter, fraction_counter, gauge, histogram};
use super::metrics;
use super::probes::TOKEN_TYPES;
use super::recorder::Telemetry;
use super::registry::Registry;
use crate::model::{Money, RouteId};
use crate::provider::{ErrorType, SloClass, Usage};
use crate::routing::{Check, Likeness, Measure, Pairing, Settings, Uncopied, Verdict};

/// What came of a copy.
#[derive(Clone, Copy, Debug)]
pub struct Mirrored<'a> {
    /// The route.
    pub route: &'a RouteId,
    /// What it is.
    pub error_type: ErrorType,
    /// What it would count as.
    pub class: SloClass,
    /// From send to the first content; streams only.
    pub ttft: Option<Duration>,
    /// From send to the end.
    pub total: Duration,
    /// Tokens, where the provider said.
    pub usage: Option<Usage>,
    /// What it cost, where usage and price are known.
    pub cost: Option<Money>,
}

#[derive(Debug)]
pub(super) struct Mirrors {
    mirrored: IntCounterVec,
    dropped: IntCounterVec,
    pairs: IntCounterVec,
    checks: IntCounterVec,
    ratio: HistogramVec,
    duration: HistogramVec,
    ttft: HistogramVec,
    in_flight: GaugeVec,
    queued: GaugeVec,
    share: GaugeVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
    // Read for each copy, written by a reload.
    known: RwLock<Known>,
}

#[derive(Debug, Default)]
struct Known {
    routes: BTreeSet<RouteId>,
    classes: BTreeSet<(ErrorType, SloClass)>,
}

impl Mirrors {
    pub(super) fn new(registry: &Registry) -> Self {
        let durations = metrics::DURATION_BUCKETS;
        Self {
            mirrored: counter(registry, &metrics::ROUTER_MIRRORED),
            dropped: counter(registry, &metrics::ROUTER_MIRROR_DROPPED),
            pairs: counter(registry, &metrics::ROUTER_MIRROR_PAIRS),
            checks: counter(registry, &metrics::ROUTER_MIRROR_CHECKS),
            ratio: histogram(registry, &metrics::ROUTER_MIRROR_RATIO, metrics::RATIO_BUCKETS),
            duration: histogram(registry, &metrics::ROUTER_MIRROR_DURATION, durations),
            ttft: histogram(registry, &metrics::ROUTER_MIRROR_TTFT, metrics::TTFT_BUCKETS),
            in_flight: gauge(registry, &metrics::ROUTER_MIRROR_IN_FLIGHT),
            queued: gauge(registry, &metrics::ROUTER_MIRROR_QUEUED),
            share: gauge(registry, &metrics::ROUTER_MIRROR_SHARE),
            tokens: counter(registry, &metrics::ROUTER_MIRROR_TOKENS),
            cost: fraction_counter(registry, &metrics::ROUTER_MIRROR_COST),
            unpriced: counter(registry, &metrics::ROUTER_MIRROR_UNPRICED),
            known: RwLock::default(),
        }
    }

    pub(super) fn configure(&self, settings: &Settings) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let classes = metrics::router_classes(settings);
        let copying = settings.routes.iter().filter_map(|route| {
            let mirror = route.mirror.as_ref()?;
            self.share.with_label_values(&[route.id.as_str()]).set(mirror.share.ratio());
            Some(route.id.clone())
        });
        let routes: BTreeSet<RouteId> = copying.collect();
        let all: BTreeSet<_> = known.classes.union(&classes).copied().collect();
        known.routes.difference(&routes).for_each(|route| self.forget(route, &all));
        routes.iter().for_each(|route| self.initialise(route, &classes));
        *known = Known { routes, classes };
    }

    fn initialise(&self, route: &RouteId, classes: &BTreeSet<(ErrorType, SloClass)>) {
        let route = route.as_str();
        for (error, class) in classes {
            self.mirrored.with_label_values(&[route, error.as_str(), class.as_str()]);
        }
        for reason in Uncopied::ALL {
            self.dropped.with_label_values(&[route, reason.as_str()]);
        }
        for good in Pairing::ALL {
            self.pairs.with_label_values(&[route, good.as_str()]);
        }
        for check in Check::ALL {
            for verdict in Verdict::ALL {
                self.checks.with_label_values(&[route, check.as_str(), verdict.as_str()]);
            }
        }
        for measure in Measure::ALL {
            let _observer = self.ratio.with_label_values(&[route, measure.as_str()]);
        }
        for kind in TOKEN_TYPES {
            self.tokens.with_label_values(&[route, kind]);
        }
        for family in [&self.duration, &self.ttft] {
            let _observer = family.with_label_values(&[route]);
        }
        for family in [&self.in_flight, &self.queued] {
            family.with_label_values(&[route]);
        }
        self.cost.with_label_values(&[route]);
        self.unpriced.with_label_values(&[route]);
    }

    /// Removes every series of a route. A series that was never there is no error.
    fn forget(&self, route: &RouteId, classes: &BTreeSet<(ErrorType, SloClass)>) {
        let route = route.as_str();
        let uncount = |family: &IntCounterVec, labels: &[&str]| {
            let _was_there = family.remove_label_values(labels).is_ok();
        };
        let forget = |family: &HistogramVec, labels: &[&str]| {
            let _was_there = family.remove_label_values(labels).is_ok();
        };
        for (error, class) in classes {
            uncount(&self.mirrored, &[route, error.as_str(), class.as_str()]);
        }
        Uncopied::ALL.iter().for_each(|one| uncount(&self.dropped, &[route, one.as_str()]));
        Pairing::ALL.iter().for_each(|one| uncount(&self.pairs, &[route, one.as_str()]));
        for check in Check::ALL {
            Verdict::ALL.iter().for_each(|verdict| {
                uncount(&self.checks, &[route, check.as_str(), verdict.as_str()]);
            });
        }
        Measure::ALL.iter().for_each(|one| forget(&self.ratio, &[route, one.as_str()]));
        TOKEN_TYPES.iter().for_each(|kind| uncount(&self.tokens, &[route, kind]));
        forget(&self.duration, &[route]);
        forget(&self.ttft, &[route]);
        for family in [&self.in_flight, &self.queued, &self.share] {
            let _was_there = family.remove_label_values(&[route]).is_ok();
        }
        let _was_there = self.cost.remove_label_values(&[route]).is_ok();
        uncount(&self.unpriced, &[route]);
    }

    fn is_known(&self, route: &RouteId) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).routes.contains(route)
    }
}

impl Telemetry {
    /// A request that was drawn was not copied, or its copy not sent.
    pub fn mirror_dropped(&self, route: &RouteId, reason: Uncopied) {
        if self.mirrors.is_known(route) {
            self.mirrors.dropped.with_label_values(&[route.as_str(), reason.as_str()]).inc();
        }
    }

    /// A copy waits for its turn, or (`-1`) does no more.
    pub fn mirror_queued(&self, route: &RouteId, change: i8) {
        if self.mirrors.is_known(route) {
            self.mirrors.queued.with_label_values(&[route.as_str()]).add(change.into());
        }
    }

    /// A copy is under way, or (`-1`) is no more.
    pub fn mirror_under_way(&self, route: &RouteId, change: i8) {
        if self.mirrors.is_known(route) {
            self.mirrors.in_flight.with_label_values(&[route.as_str()]).add(change.into());
        }
    }

    /// What came of a copy.
    pub fn mirrored(&self, mirrored: &Mirrored<'_>) {
        if !self.mirrors.is_known(mirrored.route) {
            return;
        }
        let route = mirrored.route.as_str();
        let (error, class) = (mirrored.error_type.as_str(), mirrored.class.as_str());
        self.mirrors.mirrored.with_label_values(&[route, error, class]).inc();
        if let Some(usage) = mirrored.usage {
            let counts =
                [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning];
            for (kind, count) in TOKEN_TYPES.into_iter().zip(counts) {
                self.mirrors.tokens.with_label_values(&[route, kind]).inc_by(count);
            }
        }
        match mirrored.cost {
            Some(cost) => self.mirrors.cost.with_label_values(&[route]).inc_by(cost.usd()),
            None => self.mirrors.unpriced.with_label_values(&[route]).inc(),
        }
        if mirrored.class == SloClass::Good {
            let total = mirrored.total.as_secs_f64();
            self.mirrors.duration.with_label_values(&[route]).observe(total);
            if let Some(ttft) = mirrored.ttft {
                self.mirrors.ttft.with_label_values(&[route]).observe(ttft.as_secs_f64());
            }
        }
    }

    /// A copy's answer was held against stable's.
    pub fn mirror_compared(&self, route: &RouteId, likeness: &Likeness) {
        if !self.mirrors.is_known(route) {
            return;
        }
        let route = route.as_str();
        self.mirrors.pairs.with_label_values(&[route, likeness.good.as_str()]).inc();
        for (check, verdict) in Check::ALL.into_iter().zip(likeness.checks) {
            let labels = [route, check.as_str(), verdict.as_str()];
            self.mirrors.checks.with_label_values(&labels).inc();
        }
        for (measure, ratio) in &likeness.ratios {
            self.mirrors.ratio.with_label_values(&[route, measure.as_str()]).observe(*ratio);
        }
    }
}
