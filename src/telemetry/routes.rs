//! The instruments of the router.
//!
//! As with probes, every series that can appear is there from the start, and latency histograms hold
//! good requests only. A request counts once in `bellwether_router_requests_total`, for the arm that
//! it was meant for: one that the candidate failed and stable saved is a failure of the candidate.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounter, IntCounterVec};

use super::instruments::{counter, fraction_counter, gauge, histogram};
use super::metrics::{self, RETRIED, ROUTER_CODES, RouterSeries};
use super::probes::{Ladders, TOKEN_TYPES};
use super::recorder::Telemetry;
use super::registry::Registry;
use super::usual::{Usual, UsualOfArm};
use crate::model::{RouteId, TargetId};
use crate::probe::{Detail, Target};
use crate::provider::translate::{Direction, Loss, Lost};
use crate::provider::{ErrorType, SloClass, StreamPhase};
use crate::routing::{self, Arm, Refusal, Served, Settings, Surface, Table};

/// What became of a request whose first arm did not answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOver {
    /// Stable answered it well.
    Saved,
    /// Stable failed too.
    Failed,
    /// The candidate was not asked, as it was known to be broken.
    Diverted,
}

impl FailOver {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Saved, Self::Failed, Self::Diverted];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Saved => "saved",
            Self::Failed => "failed",
            Self::Diverted => "diverted",
        }
    }
}

/// Who said how long a retry waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitSource {
    /// The provider.
    RetryAfter,
    /// We.
    Backoff,
}

impl WaitSource {
    /// Both.
    pub const ALL: [Self; 2] = [Self::RetryAfter, Self::Backoff];

    /// The value of the label `source`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RetryAfter => "retry_after",
            Self::Backoff => "backoff",
        }
    }
}

/// The instruments, and the routes that they know.
#[derive(Debug)]
pub(super) struct Routes {
    registry: Registry,
    // A lock and not a message: recording must not wait for a loop, and only a reload writes.
    latency: RwLock<Latency>,
    requests: IntCounterVec,
    responses: IntCounterVec,
    attempts: IntCounterVec,
    retries: IntCounterVec,
    retry_wait: HistogramVec,
    fail_overs: IntCounterVec,
    overhead: HistogramVec,
    in_flight: GaugeVec,
    circuit: GaugeVec,
    target_attempts: IntCounterVec,
    ejected: GaugeVec,
    stream_failures: IntCounterVec,
    disconnects: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
    refused: IntCounterVec,
    left_out: IntCounterVec,
    untold: IntCounterVec,
    unknown: IntCounterVec,
    weight: GaugeVec,
    version: prometheus::Gauge,
    evidence_lost: prometheus::IntCounter,
    store_failures: prometheus::IntCounter,
}

/// The histograms whose buckets follow the configured thresholds, and what is known.
#[derive(Debug)]
struct Latency {
    ladders: Ladders,
    duration: HistogramVec,
    ttft: HistogramVec,
    known: BTreeMap<RouteId, Usual>,
    /// Whatever an arm may name, with the attempts at it, by what they count as.
    targets: BTreeMap<TargetId, [IntCounter; SloClass::ALL.len()]>,
    classes: BTreeSet<(ErrorType, SloClass)>,
}

const NO_LABELS: [&str; 0] = [];
/// The class of statuses that nearly every answer has.
const SUCCESS: &str = "2xx";

impl Routes {
    pub(super) fn new(registry: &Registry) -> Self {
        let ladders = Ladders::of([].into_iter(), Detail::Full);
        let latency = Latency {
            duration: histogram(registry, &metrics::ROUTER_DURATION, &ladders.duration),
            ttft: histogram(registry, &metrics::ROUTER_TTFT, &ladders.ttft),
            ladders,
            known: BTreeMap::new(),
            targets: BTreeMap::new(),
            classes: BTreeSet::new(),
        };
        let single = |family| gauge(registry, family).with_label_values(&NO_LABELS);
        let counted = |family| counter(registry, family).with_label_values(&NO_LABELS);
        let buckets = metrics::DURATION_BUCKETS;
        let routes = Self {
            registry: registry.clone(),
            latency: RwLock::new(latency),
            requests: counter(registry, &metrics::ROUTER_REQUESTS),
            responses: counter(registry, &metrics::ROUTER_RESPONSES),
            attempts: counter(registry, &metrics::ROUTER_ATTEMPTS),
            retries: counter(registry, &metrics::ROUTER_RETRIES),
            retry_wait: histogram(registry, &metrics::ROUTER_RETRY_WAIT, buckets),
            fail_overs: counter(registry, &metrics::ROUTER_FAIL_OVERS),
            overhead: histogram(registry, &metrics::ROUTER_OVERHEAD, metrics::OVERHEAD_BUCKETS),
            in_flight: gauge(registry, &metrics::ROUTER_IN_FLIGHT),
            circuit: gauge(registry, &metrics::ROUTER_CIRCUIT),
            target_attempts: counter(registry, &metrics::ROUTER_TARGET_ATTEMPTS),
            ejected: gauge(registry, &metrics::ROUTER_TARGET_EJECTED),
            stream_failures: counter(registry, &metrics::ROUTER_STREAM_FAILURES),
            disconnects: counter(registry, &metrics::ROUTER_DISCONNECTS),
            tokens: counter(registry, &metrics::ROUTER_TOKENS),
            cost: fraction_counter(registry, &metrics::ROUTER_COST),
            unpriced: counter(registry, &metrics::ROUTER_UNPRICED),
            refused: counter(registry, &metrics::ROUTER_REFUSED),
            left_out: counter(registry, &metrics::ROUTER_LEFT_OUT),
            untold: counter(registry, &metrics::ROUTER_UNTOLD),
            unknown: counter(registry, &metrics::ROUTER_UNKNOWN),
            weight: gauge(registry, &metrics::ROUTER_WEIGHT),
            version: single(&metrics::ROUTER_TABLE_VERSION),
            evidence_lost: counted(&metrics::ROUTER_EVIDENCE_LOST),
            store_failures: counted(&metrics::ROUTER_STORE_FAILURES),
        };
        for reason in Refusal::REASONS {
            routes.refused.with_label_values(&[reason]);
        }
        for direction in Direction::ALL {
            routes.untold.with_label_values(&[direction.as_str()]);
            for parameter in Loss::parameters(direction) {
                routes.left_out.with_label_values(&[direction.as_str(), parameter]);
            }
            for kind in Loss::unknowns(direction) {
                routes.unknown.with_label_values(&[direction.as_str(), kind]);
            }
        }
        routes
    }

    fn latency(&self) -> RwLockReadGuard<'_, Latency> {
        self.latency.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a reload off while everything is gathered.
    pub(super) fn hold(&self) -> impl Drop + '_ {
        self.latency()
    }

    fn configure(&self, settings: &Settings) -> Vec<&'static str> {
        let mut latency = self.latency.write().unwrap_or_else(PoisonError::into_inner);
        let known: BTreeSet<RouteId> =
            settings.routes.iter().map(|route| route.id.clone()).collect();
        let classes = metrics::router_classes(settings);
        let before: BTreeSet<RouteId> = std::mem::take(&mut latency.known).into_keys().collect();
        let old_classes = std::mem::replace(&mut latency.classes, classes.clone());
        let all: BTreeSet<_> = old_classes.union(&classes).copied().collect();
        before.difference(&known).for_each(|route| self.forget(&latency, route, &all));
        let named = settings.targets.keys().filter(|_| !settings.routes.is_empty());
        let targets: BTreeMap<_, _> = named.map(|id| (id.clone(), self.attempts_at(id))).collect();
        for gone in latency.targets.keys().filter(|id| !targets.contains_key(*id)) {
            let _was_there = self.ejected.remove_label_values(&[gone.as_str()]).is_ok();
            for class in SloClass::ALL {
                let labels = [gone.as_str(), class.as_str()];
                let _was_there = self.target_attempts.remove_label_values(&labels).is_ok();
            }
        }
        for target in targets.keys() {
            self.ejected.with_label_values(&[target.as_str()]);
        }
        latency.targets = targets;
        let renewed = self.renew(&mut latency, settings);
        known.iter().for_each(|route| self.initialise(&latency, route));
        let usual = known.into_iter().map(|route| {
            let usual = self.usual(&latency, &route);
            (route, usual)
        });
        latency.known = usual.collect();
        renewed
    }

    fn attempts_at(&self, target: &TargetId) -> [IntCounter; SloClass::ALL.len()] {
        SloClass::ALL
            .map(|class| self.target_attempts.with_label_values(&[target.as_str(), class.as_str()]))
    }

    /// The series of a route that nearly every request touches; they are there already.
    fn usual(&self, latency: &Latency, route: &RouteId) -> Usual {
        let route = route.as_str();
        let none = ErrorType::None;
        let of = |arm: Arm| {
            let arm = arm.as_str();
            let labels = [route, arm];
            UsualOfArm {
                in_flight: self.in_flight.with_label_values(&labels),
                good: self.requests.with_label_values(&[
                    route,
                    arm,
                    none.as_str(),
                    none.class().as_str(),
                ]),
                attempts: self.attempts.with_label_values(&[route, arm, none.as_str()]),
                successes: Surface::ALL.map(|surface| {
                    let labels = [route, arm, surface.api(), SUCCESS];
                    (surface, self.responses.with_label_values(&labels))
                }),
                duration: latency.duration.with_label_values(&labels),
                ttft: latency.ttft.with_label_values(&labels),
                tokens: TOKEN_TYPES.map(|kind| self.tokens.with_label_values(&[route, arm, kind])),
                cost: self.cost.with_label_values(&labels),
                unpriced: self.unpriced.with_label_values(&labels),
            }
        };
        Usual {
            overhead: self.overhead.with_label_values(&[route]),
            stable: of(Arm::Stable),
            candidate: of(Arm::Candidate),
        }
    }

    fn renew(&self, latency: &mut Latency, settings: &Settings) -> Vec<&'static str> {
        let ladders = Ladders::of(settings.targets.values().map(|target| &**target), Detail::Full);
        let mut renewed = Vec::new();
        let mut replace = |vec: &mut HistogramVec, family: &metrics::Family, buckets: &[f64]| {
            *vec = histogram(&self.registry, family, buckets);
            renewed.push(family.name);
        };
        if ladders.duration != latency.ladders.duration {
            replace(&mut latency.duration, &metrics::ROUTER_DURATION, &ladders.duration);
        }
        if ladders.ttft != latency.ladders.ttft {
            replace(&mut latency.ttft, &metrics::ROUTER_TTFT, &ladders.ttft);
        }
        latency.ladders = ladders;
        renewed
    }

    fn initialise(&self, latency: &Latency, route: &RouteId) {
        let route = route.as_str();
        let _observer = self.overhead.with_label_values(&[route]);
        self.disconnects.with_label_values(&[route]);
        RETRIED.iter().for_each(|error| {
            self.retries.with_label_values(&[route, error.as_str()]);
        });
        for source in WaitSource::ALL {
            let _observer = self.retry_wait.with_label_values(&[route, source.as_str()]);
        }
        for result in FailOver::ALL {
            self.fail_overs.with_label_values(&[route, result.as_str()]);
        }
        for arm in Arm::ALL.map(Arm::as_str) {
            for family in [&latency.duration, &latency.ttft] {
                let _observer = family.with_label_values(&[route, arm]);
            }
            for family in [&self.in_flight, &self.circuit, &self.weight] {
                family.with_label_values(&[route, arm]);
            }
            self.cost.with_label_values(&[route, arm]);
            self.unpriced.with_label_values(&[route, arm]);
            for (error, class) in &latency.classes {
                self.requests.with_label_values(&[route, arm, error.as_str(), class.as_str()]);
            }
            for error in ErrorType::ALL {
                self.attempts.with_label_values(&[route, arm, error.as_str()]);
            }
            for phase in StreamPhase::ALL {
                self.stream_failures.with_label_values(&[route, arm, phase.as_str()]);
            }
            for kind in TOKEN_TYPES {
                self.tokens.with_label_values(&[route, arm, kind]);
            }
            for surface in Surface::ALL {
                for code in ROUTER_CODES {
                    self.responses.with_label_values(&[route, arm, surface.api(), code]);
                }
            }
        }
    }

    /// Removes every series of a route. A series that was never there is no error.
    fn forget(
        &self,
        latency: &Latency,
        route: &RouteId,
        classes: &BTreeSet<(ErrorType, SloClass)>,
    ) {
        let route = route.as_str();
        let uncount = |family: &IntCounterVec, labels: &[&str]| {
            let _was_there = family.remove_label_values(labels).is_ok();
        };
        let forget = |family: &HistogramVec, labels: &[&str]| {
            let _was_there = family.remove_label_values(labels).is_ok();
        };
        forget(&self.overhead, &[route]);
        uncount(&self.disconnects, &[route]);
        RETRIED.iter().for_each(|error| uncount(&self.retries, &[route, error.as_str()]));
        WaitSource::ALL.iter().for_each(|by| forget(&self.retry_wait, &[route, by.as_str()]));
        FailOver::ALL.iter().for_each(|how| uncount(&self.fail_overs, &[route, how.as_str()]));
        for arm in Arm::ALL.map(Arm::as_str) {
            forget(&latency.duration, &[route, arm]);
            forget(&latency.ttft, &[route, arm]);
            for family in [&self.in_flight, &self.circuit, &self.weight] {
                let _was_there = family.remove_label_values(&[route, arm]).is_ok();
            }
            let _was_there = self.cost.remove_label_values(&[route, arm]).is_ok();
            uncount(&self.unpriced, &[route, arm]);
            for (error, class) in classes {
                uncount(&self.requests, &[route, arm, error.as_str(), class.as_str()]);
            }
            ErrorType::ALL.iter().for_each(|error| {
                uncount(&self.attempts, &[route, arm, error.as_str()]);
            });
            StreamPhase::ALL.iter().for_each(|phase| {
                uncount(&self.stream_failures, &[route, arm, phase.as_str()]);
            });
            TOKEN_TYPES.iter().for_each(|kind| uncount(&self.tokens, &[route, arm, kind]));
            for surface in Surface::ALL {
                ROUTER_CODES.iter().for_each(|code| {
                    uncount(&self.responses, &[route, arm, surface.api(), code]);
                });
            }
        }
    }

    fn served(&self, served: &Served) {
        let latency = self.latency();
        // What came of a route that a reload took away counts nowhere.
        let Some(usual) = latency.known.get(&served.route) else { return };
        let usual = usual.arm(served.arm);
        let [route, arm] = [served.route.as_str(), served.arm.as_str()];
        match (served.error_type, served.class) {
            _ if served.is_fail_over => {}
            (ErrorType::None, SloClass::Good) => usual.good.inc(),
            (error, class) => {
                let labels = [route, arm, error.as_str(), class.as_str()];
                self.requests.with_label_values(&labels).inc();
            }
        }
        if let Some(phase) = served.broke {
            self.stream_failures.with_label_values(&[route, arm, phase.as_str()]).inc();
        }
        if let Some(usage) = &served.usage {
            usual.used(usage);
        }
        match served.cost {
            Some(cost) => usual.cost.inc_by(cost.usd()),
            None => usual.unpriced.inc(),
        }
        if served.class == SloClass::Good {
            usual.duration.observe(served.total.as_secs_f64());
            if let Some(ttft) = served.ttft {
                usual.ttft.observe(ttft.as_secs_f64());
            }
        }
    }

    fn is_known(&self, route: &RouteId) -> bool {
        self.latency().known.contains_key(route)
    }
}

impl Telemetry {
    /// Takes up the routes: new ones start at zero, the series of those that are gone vanish. Returns
    /// the families that start from nothing because a threshold changed their buckets.
    pub fn configure_routes(&self, settings: &Settings) -> Vec<&'static str> {
        self.mirrors.configure(settings);
        self.routes.configure(settings)
    }

    /// A table holds from now on.
    pub fn routed_by(&self, table: &Table) {
        self.routes.version.set(table.version() as f64);
        for (route, arms) in table.routes().filter(|(route, _)| self.routes.is_known(route)) {
            for arm in Arm::ALL {
                let labels = [route.as_str(), arm.as_str()];
                self.routes.weight.with_label_values(&labels).set(arms.weight(arm));
            }
        }
    }

    /// What came of a request on an arm.
    pub fn request_served(&self, served: &Served) {
        self.routes.served(served);
    }

    /// What a client was answered: the class of the status, or nothing where it went away before.
    pub fn request_answered(
        &self,
        route: &RouteId,
        arm: Arm,
        surface: Surface,
        status: Option<u16>,
    ) {
        let latency = self.routes.latency();
        let Some(usual) = latency.known.get(route) else { return };
        let class = match status {
            None => "none",
            Some(200..=299) => SUCCESS,
            Some(300..=399) => "3xx",
            Some(429) => "429",
            Some(400..=499) => "4xx",
            Some(_) => "5xx",
        };
        match usual.arm(arm).success(surface) {
            Some(success) if class == SUCCESS => success.inc(),
            Some(_) | None => {
                let labels = [route.as_str(), arm.as_str(), surface.api(), class];
                self.routes.responses.with_label_values(&labels).inc();
            }
        }
    }

    /// What came of one attempt, and what that counts as for its target.
    pub fn request_attempted(
        &self,
        (route, arm): (&RouteId, Arm),
        target: Option<&Target>,
        error_type: ErrorType,
    ) {
        let latency = self.routes.latency();
        let Some(usual) = latency.known.get(route) else { return };
        if let Some(target) = target
            && let Some(attempts) = latency.targets.get(&target.id)
        {
            let class = routing::class(target, error_type);
            let counters = SloClass::ALL.iter().zip(attempts);
            counters.filter(|(one, _)| **one == class).for_each(|(_, counter)| counter.inc());
        }
        if error_type == ErrorType::None {
            usual.arm(arm).attempts.inc();
        } else {
            let labels = [route.as_str(), arm.as_str(), error_type.as_str()];
            self.routes.attempts.with_label_values(&labels).inc();
        }
    }

    /// An attempt is followed by another on the same arm, after this wait if there is one.
    pub fn request_retried(
        &self,
        route: &RouteId,
        because: ErrorType,
        wait: Option<(WaitSource, Duration)>,
    ) {
        if self.routes.is_known(route) {
            self.routes.retries.with_label_values(&[route.as_str(), because.as_str()]).inc();
            if let Some((source, wait)) = wait {
                let labels = [route.as_str(), source.as_str()];
                self.routes.retry_wait.with_label_values(&labels).observe(wait.as_secs_f64());
            }
        }
    }

    /// A request that was meant for the candidate went to stable.
    pub fn request_failed_over(&self, route: &RouteId, result: FailOver) {
        if self.routes.is_known(route) {
            self.routes.fail_overs.with_label_values(&[route.as_str(), result.as_str()]).inc();
        }
    }

    /// How long a request was held here, waits for others left out.
    pub fn request_overhead(&self, route: &RouteId, took: Duration) {
        if let Some(usual) = self.routes.latency().known.get(route) {
            usual.overhead.observe(took.as_secs_f64());
        }
    }

    /// A request is under way on an arm, or (`-1`) is no more.
    pub fn request_under_way(&self, route: &RouteId, arm: Arm, change: i8) {
        if let Some(usual) = self.routes.latency().known.get(route) {
            usual.arm(arm).in_flight.add(change.into());
        }
    }

    /// Whether an arm is known to be broken.
    pub fn circuit(&self, route: &RouteId, arm: Arm, is_open: bool) {
        if self.routes.is_known(route) {
            let labels = [route.as_str(), arm.as_str()];
            self.routes.circuit.with_label_values(&labels).set(f64::from(u8::from(is_open)));
        }
    }

    /// Whether others are asked before a target.
    pub fn target_ejected(&self, target: &TargetId, is_ejected: bool) {
        if self.routes.latency().targets.contains_key(target) {
            let value = f64::from(u8::from(is_ejected));
            self.routes.ejected.with_label_values(&[target.as_str()]).set(value);
        }
    }

    /// A client went away before its answer was whole.
    pub fn client_disconnected(&self, route: &RouteId) {
        if self.routes.is_known(route) {
            self.routes.disconnects.with_label_values(&[route.as_str()]).inc();
        }
    }

    /// The router itself refused a request.
    pub fn request_refused(&self, refusal: &Refusal) {
        self.routes.refused.with_label_values(&[refusal.as_str()]).inc();
    }

    /// This was left out of a request, or changed in it, as it was told to a provider of another
    /// dialect.
    pub fn parameters_lost(&self, direction: Direction, lost: &[Lost]) {
        let names: BTreeSet<&str> = lost.iter().map(|lost| lost.loss.name).collect();
        for name in names {
            self.routes.left_out.with_label_values(&[direction.as_str(), name]).inc();
        }
    }

    /// What an answer lost in the client's words: what nobody knows is counted, each kind once.
    pub fn answer_lost(&self, direction: Direction, lost: &[Lost]) {
        let unknown = lost.iter().map(|lost| lost.loss).filter(|loss| loss.is_unknown());
        let kinds: BTreeSet<&str> = unknown.map(|loss| loss.name).collect();
        for kind in kinds {
            self.routes.unknown.with_label_values(&[direction.as_str(), kind]).inc();
        }
    }

    /// An answer could not be told in the client's words.
    pub fn answer_untold(&self, direction: Direction) {
        self.routes.untold.with_label_values(&[direction.as_str()]).inc();
    }

    /// Nobody had time for what came of a request: it is no evidence.
    pub fn evidence_lost(&self) {
        self.routes.evidence_lost.inc();
    }

    /// The table could not be stored.
    pub fn table_not_stored(&self) {
        self.routes.store_failures.inc();
    }
}

/// How many series the routes lead to.
pub(super) fn series(settings: &Settings) -> RouterSeries {
    let ladders = Ladders::of(settings.targets.values().map(|target| &**target), Detail::Full);
    RouterSeries {
        duration: ladders.duration.len(),
        ttft: ladders.ttft.len(),
        classes: metrics::router_classes(settings).len(),
    }
}
