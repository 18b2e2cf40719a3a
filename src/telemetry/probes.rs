//! The instruments of probes.
//!
//! Every series that can appear is there from the start, at zero, so that `rate()` sees the first
//! failure. Latency histograms hold good, warm, conclusive probes only: a failure that comes back in
//! two milliseconds must not make latency look better. Failures count against a latency objective
//! all the same, in `bellwether_probe_threshold_exceeded_total`.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::{CounterVec, GaugeVec, HistogramVec, IntCounterVec};

use super::instruments::{counter, fraction_counter, gauge, histogram};
use super::known::{Identity, Known};
use super::metrics::{self, ANY_ERROR, Family, STATUSES, STREAM_FAILURES, TIMING_FAILURES};
use super::registry::Registry;
use crate::model::TargetId;
use crate::probe::{Anomaly, Delivery, Detail, LimitKind, Outcome, Phases, SkipReason, Target};
use crate::provider::{ErrorType, SloClass, StreamPhase};

pub(super) const THRESHOLD_KINDS: [&str; 2] = ["ttft", "total"];
pub(super) const TOKEN_TYPES: [&str; 5] =
    ["input", "output", "cache_read", "cache_write", "reasoning"];
pub(super) const PHASES: [&str; 6] =
    ["dns", "connect", "tls", "headers", "first_content", "stream"];

/// The histograms whose buckets follow the configured thresholds.
#[derive(Debug)]
pub(super) struct Ladders {
    pub(super) duration: Vec<f64>,
    pub(super) ttft: Vec<f64>,
}

impl Ladders {
    pub(super) fn of<'a>(
        targets: impl Iterator<Item = &'a Target> + Clone,
        detail: Detail,
    ) -> Self {
        let with = |ladder: &[f64], thresholds: Vec<Option<Duration>>| {
            let mut bounds = ladder.to_vec();
            bounds.extend(thresholds.into_iter().flatten().map(|bound| bound.as_secs_f64()));
            bounds.sort_by(f64::total_cmp);
            bounds.dedup();
            bounds
        };
        let ttft = targets.clone().map(|target| target.thresholds.ttft).collect();
        let total = targets.map(|target| target.thresholds.total).collect();
        Self {
            duration: with(metrics::duration_buckets(detail), total),
            ttft: with(metrics::ttft_buckets(detail), ttft),
        }
    }
}

/// All instruments that carry a target's labels.
#[derive(Debug)]
pub(super) struct Probes {
    registry: Registry,
    detail: Detail,
    ladders: Ladders,
    known: BTreeMap<TargetId, Known>,
    interval: GaugeVec,
    due: IntCounterVec,
    fired: IntCounterVec,
    skipped: IntCounterVec,
    missed: IntCounterVec,
    runs: IntCounterVec,
    duration: HistogramVec,
    ttft: HistogramVec,
    ttfo: HistogramVec,
    tpot: HistogramVec,
    gap: HistogramVec,
    phase: HistogramVec,
    threshold: GaugeVec,
    observed: IntCounterVec,
    exceeded: IntCounterVec,
    stream_failures: IntCounterVec,
    anomalies: IntCounterVec,
    tokens: IntCounterVec,
    cost: CounterVec,
    unpriced: IntCounterVec,
    lag: HistogramVec,
    in_flight: GaugeVec,
    last_run: GaugeVec,
    last_success: GaugeVec,
    limit: GaugeVec,
    remaining: GaugeVec,
    refused: IntCounterVec,
    slowed: GaugeVec,
    responses: IntCounterVec,
    certificate: GaugeVec,
    inconclusive: IntCounterVec,
    maintenance: GaugeVec,
    maintenance_runs: IntCounterVec,
}

impl Probes {
    pub(super) fn new(registry: &Registry) -> Self {
        let ladders = Ladders::of([].iter(), Detail::Full);
        Self {
            registry: registry.clone(),
            detail: Detail::Full,
            known: BTreeMap::new(),
            interval: gauge(registry, &metrics::PROBE_INTERVAL),
            due: counter(registry, &metrics::PROBE_DUE),
            fired: counter(registry, &metrics::PROBE_FIRED),
            skipped: counter(registry, &metrics::PROBE_SKIPPED),
            missed: counter(registry, &metrics::PROBE_MISSED),
            runs: counter(registry, &metrics::PROBE_RUNS),
            duration: histogram(registry, &metrics::PROBE_DURATION, &ladders.duration),
            ttft: histogram(registry, &metrics::PROBE_TTFT, &ladders.ttft),
            ttfo: histogram(registry, &metrics::PROBE_TTFO, &ladders.ttft),
            tpot: histogram(registry, &metrics::PROBE_TPOT, metrics::GAP_BUCKETS),
            gap: histogram(registry, &metrics::PROBE_GAP, metrics::GAP_BUCKETS),
            phase: histogram(registry, &metrics::PROBE_PHASE, metrics::PHASE_BUCKETS),
            threshold: gauge(registry, &metrics::PROBE_THRESHOLD),
            observed: counter(registry, &metrics::PROBE_THRESHOLD_OBSERVED),
            exceeded: counter(registry, &metrics::PROBE_THRESHOLD_EXCEEDED),
            stream_failures: counter(registry, &metrics::PROBE_STREAM_FAILURES),
            anomalies: counter(registry, &metrics::PROBE_ANOMALIES),
            tokens: counter(registry, &metrics::PROBE_TOKENS),
            cost: fraction_counter(registry, &metrics::PROBE_COST),
            unpriced: counter(registry, &metrics::PROBE_UNPRICED),
            lag: histogram(registry, &metrics::PROBE_LAG, metrics::LAG_BUCKETS),
            in_flight: gauge(registry, &metrics::PROBE_IN_FLIGHT),
            last_run: gauge(registry, &metrics::PROBE_LAST_RUN),
            last_success: gauge(registry, &metrics::PROBE_LAST_SUCCESS),
            limit: gauge(registry, &metrics::PROBE_RATELIMIT_LIMIT),
            remaining: gauge(registry, &metrics::PROBE_RATELIMIT_REMAINING),
            refused: counter(registry, &metrics::PROBE_REFUSED),
            slowed: gauge(registry, &metrics::PROBE_SLOWED),
            responses: counter(registry, &metrics::PROBE_HTTP_RESPONSES),
            certificate: gauge(registry, &metrics::PROBE_CERTIFICATE),
            inconclusive: counter(registry, &metrics::PROBE_INCONCLUSIVE),
            maintenance: gauge(registry, &metrics::PROBE_MAINTENANCE),
            maintenance_runs: counter(registry, &metrics::PROBE_MAINTENANCE_RUNS),
            ladders,
        }
    }

    /// Takes up a new set of targets: series of targets that stay are untouched, new ones start at
    /// zero, removed ones vanish. Returns the families that were registered anew, and so start from
    /// nothing, because a threshold changed their buckets. At another level of detail all of them start
    /// from nothing.
    pub(super) fn configure(&mut self, targets: &[&Target], detail: Detail) -> Vec<&'static str> {
        if detail != self.detail {
            self.known.values().for_each(|known| self.forget(&known.identity));
            self.known.clear();
            self.detail = detail;
        }
        let identities: BTreeMap<_, _> =
            targets.iter().map(|target| (target.id.clone(), Identity::of(target))).collect();
        let known = self.known.iter().map(|(id, known)| (id, &known.identity));
        known
            .filter(|(id, identity)| identities.get(*id) != Some(*identity))
            .for_each(|(_, identity)| self.forget(identity));
        let renewed = self.renew(Ladders::of(targets.iter().copied(), detail));
        for target in targets {
            self.initialise(target, &identities[&target.id]);
        }
        let known = identities.into_iter().map(|(id, identity)| (id, Known::new(identity)));
        self.known = known.collect();
        renewed
    }

    fn keeps(&self, family: &Family) -> bool {
        !metrics::left_out(self.detail).contains(family)
    }

    /// What a result is called: its own name, or that of all failures together.
    fn named(&self, error: ErrorType) -> &'static str {
        match self.detail {
            Detail::Minimal if error != ErrorType::None => ANY_ERROR,
            Detail::Minimal | Detail::Lean | Detail::Full => error.as_str(),
        }
    }

    fn renew(&mut self, ladders: Ladders) -> Vec<&'static str> {
        let mut renewed = Vec::new();
        let registry = &self.registry;
        let mut replace = |histogram_vec: &mut HistogramVec, family, buckets: &[f64]| {
            *histogram_vec = histogram(registry, family, buckets);
            renewed.push(family.name);
        };
        if ladders.duration != self.ladders.duration {
            replace(&mut self.duration, &metrics::PROBE_DURATION, &ladders.duration);
        }
        if ladders.ttft != self.ladders.ttft {
            replace(&mut self.ttft, &metrics::PROBE_TTFT, &ladders.ttft);
            replace(&mut self.ttfo, &metrics::PROBE_TTFO, &ladders.ttft);
        }
        self.ladders = ladders;
        renewed
    }

    fn initialise(&self, target: &Target, identity: &Identity) {
        let bare = identity.and(&[]);
        self.interval.with_label_values(&bare).set(target.interval.as_secs_f64());
        for family in [&self.due, &self.fired, &self.missed, &self.unpriced, &self.inconclusive] {
            family.with_label_values(&bare);
        }
        self.cost.with_label_values(&bare);
        self.in_flight.with_label_values(&bare);
        self.slowed.with_label_values(&bare);
        self.maintenance.with_label_values(&bare);
        for class in SloClass::ALL {
            self.maintenance_runs.with_label_values(&identity.and(&[class.as_str()]));
        }
        self.duration.with_label_values(&bare);
        if self.keeps(&metrics::PROBE_LAG) {
            self.lag.with_label_values(&bare);
        }
        if target.delivery == Delivery::Streamed {
            self.ttft.with_label_values(&bare);
            for (family, vec) in [
                (&metrics::PROBE_TTFO, &self.ttfo),
                (&metrics::PROBE_TPOT, &self.tpot),
                (&metrics::PROBE_GAP, &self.gap),
            ] {
                if self.keeps(family) {
                    vec.with_label_values(&bare);
                }
            }
        }
        for reason in SkipReason::ALL {
            self.skipped.with_label_values(&identity.and(&[reason.as_str()]));
        }
        for error in ErrorType::ALL {
            let class = target.class(error).as_str();
            self.runs.with_label_values(&identity.and(&[self.named(error), class]));
        }
        for error in TIMING_FAILURES {
            let class = SloClass::Excluded.as_str();
            self.runs.with_label_values(&identity.and(&[self.named(error), class]));
        }
        self.initialise_details(identity);
        self.initialise_thresholds(target, identity);
    }

    /// Families by parts, which not every level keeps.
    fn initialise_details(&self, identity: &Identity) {
        if self.keeps(&metrics::PROBE_STREAM_FAILURES) {
            for error in STREAM_FAILURES {
                for phase in StreamPhase::ALL {
                    let labels = identity.and(&[error.as_str(), phase.as_str()]);
                    self.stream_failures.with_label_values(&labels);
                }
            }
        }
        let by = |family: &Family, vec: &IntCounterVec, values: &[&str]| {
            for value in values.iter().filter(|_| self.keeps(family)) {
                vec.with_label_values(&identity.and(&[value]));
            }
        };
        by(&metrics::PROBE_ANOMALIES, &self.anomalies, &Anomaly::ALL.map(Anomaly::as_str));
        by(&metrics::PROBE_TOKENS, &self.tokens, &TOKEN_TYPES);
        by(&metrics::PROBE_HTTP_RESPONSES, &self.responses, &["200"]);
        by(&metrics::PROBE_REFUSED, &self.refused, &LimitKind::ALL.map(LimitKind::as_str));
        for phase in PHASES.iter().filter(|_| self.keeps(&metrics::PROBE_PHASE)) {
            self.phase.with_label_values(&identity.and(&[phase]));
        }
    }

    fn initialise_thresholds(&self, target: &Target, identity: &Identity) {
        let thresholds = [target.thresholds.ttft, target.thresholds.total];
        for (kind, threshold) in THRESHOLD_KINDS.into_iter().zip(thresholds) {
            let labels = identity.and(&[kind]);
            match threshold {
                Some(threshold) => {
                    self.threshold.with_label_values(&labels).set(threshold.as_secs_f64());
                    self.observed.with_label_values(&labels);
                    self.exceeded.with_label_values(&labels);
                }
                None => {
                    // Absent unless a reload took the threshold away.
                    let _was_there = self.threshold.remove_label_values(&labels).is_ok();
                    let _was_there = self.observed.remove_label_values(&labels).is_ok();
                    let _was_there = self.exceeded.remove_label_values(&labels).is_ok();
                }
            }
        }
    }

    /// Removes every series of a target. A series that was never there is no error.
    fn forget(&self, identity: &Identity) {
        let bare = identity.and(&[]);
        let one = |more: &str| {
            let labels = identity.and(&[more]);
            let counters = [&self.skipped, &self.anomalies, &self.tokens, &self.responses];
            for family in counters.into_iter().chain([&self.refused]) {
                let _was_there = family.remove_label_values(&labels).is_ok();
            }
            for family in [&self.observed, &self.exceeded] {
                let _was_there = family.remove_label_values(&labels).is_ok();
            }
            for family in [&self.threshold, &self.limit, &self.remaining] {
                let _was_there = family.remove_label_values(&labels).is_ok();
            }
            let _was_there = self.phase.remove_label_values(&labels).is_ok();
        };
        for family in [&self.due, &self.fired, &self.missed, &self.unpriced, &self.inconclusive] {
            let _was_there = family.remove_label_values(&bare).is_ok();
        }
        let _was_there = self.cost.remove_label_values(&bare).is_ok();
        for class in SloClass::ALL {
            let labels = identity.and(&[class.as_str()]);
            let _was_there = self.maintenance_runs.remove_label_values(&labels).is_ok();
        }
        let _was_there = self.maintenance.remove_label_values(&bare).is_ok();
        let single = [&self.interval, &self.in_flight, &self.last_run, &self.last_success];
        for family in single.into_iter().chain([&self.certificate, &self.slowed]) {
            let _was_there = family.remove_label_values(&bare).is_ok();
        }
        for family in [&self.duration, &self.ttft, &self.ttfo, &self.tpot, &self.gap, &self.lag] {
            let _was_there = family.remove_label_values(&bare).is_ok();
        }
        SkipReason::ALL.iter().for_each(|reason| one(reason.as_str()));
        Anomaly::ALL.iter().for_each(|anomaly| one(anomaly.as_str()));
        TOKEN_TYPES.iter().chain(&PHASES).chain(&THRESHOLD_KINDS).for_each(|value| one(value));
        LimitKind::ALL.iter().for_each(|kind| one(kind.as_str()));
        ["requests", "tokens", "other"].iter().for_each(|value| one(value));
        STATUSES.iter().for_each(|status| one(&status.to_string()));
        for class in SloClass::ALL {
            let labels = identity.and(&[ANY_ERROR, class.as_str()]);
            let _was_there = self.runs.remove_label_values(&labels).is_ok();
        }
        for error in ErrorType::ALL {
            for class in SloClass::ALL {
                let labels = identity.and(&[error.as_str(), class.as_str()]);
                let _was_there = self.runs.remove_label_values(&labels).is_ok();
            }
            for phase in StreamPhase::ALL {
                let labels = identity.and(&[error.as_str(), phase.as_str()]);
                let _was_there = self.stream_failures.remove_label_values(&labels).is_ok();
            }
        }
    }

    /// A target as it is configured now. One that a reload took away or changed counts nowhere any
    /// more: its last probes are no results of its successor.
    fn known(&self, target: &Target) -> Option<&Known> {
        self.known.get(&target.id).filter(|known| known.identity.is_of(target))
    }

    fn identity(&self, target: &Target) -> Option<&Identity> {
        self.known(target).map(|known| &known.identity)
    }

    pub(super) fn due(&self, target: &Target, count: u64) {
        if let Some(known) = self.known(target) {
            known.bare(&known.due, &self.due).inc_by(count);
        }
    }

    pub(super) fn asked_every(&self, target: &Target, interval: Duration) {
        if let Some(known) = self.known(target) {
            known.bare(&known.interval, &self.interval).set(interval.as_secs_f64());
        }
    }

    pub(super) fn missed(&self, target: &Target, count: u64) {
        if let Some(identity) = self.identity(target) {
            self.missed.with_label_values(&identity.and(&[])).inc_by(count);
        }
    }

    pub(super) fn sent(&self, target: &Target, lateness: Duration) {
        if let Some(known) = self.known(target) {
            known.bare(&known.fired, &self.fired).inc();
            if self.keeps(&metrics::PROBE_LAG) {
                known.bare(&known.lag, &self.lag).observe(lateness.as_secs_f64());
            }
        }
    }

    pub(super) fn skipped(&self, target: &Target, reason: SkipReason) {
        if let Some(identity) = self.identity(target) {
            self.skipped.with_label_values(&identity.and(&[reason.as_str()])).inc();
        }
    }

    pub(super) fn slowed(&self, target: &Target, is_slowed: bool) {
        if let Some(known) = self.known(target) {
            let value = f64::from(u8::from(is_slowed));
            known.bare(&known.slowed, &self.slowed).set(value);
        }
    }

    pub(super) fn in_flight(&self, target: &Target, count: u32) {
        if let Some(known) = self.known(target) {
            known.bare(&known.in_flight, &self.in_flight).set(f64::from(count));
        }
    }

    pub(super) fn maintenance(&self, target: &Target, is_planned: bool) {
        if let Some(known) = self.known(target) {
            let value = f64::from(u8::from(is_planned));
            known.bare(&known.maintenance, &self.maintenance).set(value);
        }
    }

    pub(super) fn finished(&self, target: &Target, outcome: &Outcome) {
        let Some(known) = self.known(target) else { return };
        let identity = &known.identity;
        if outcome.is_planned {
            return self.finished_in_maintenance(target, known, outcome);
        }
        match (outcome.error_type, outcome.class) {
            (ErrorType::None, SloClass::Good) => {
                let labels = [self.named(ErrorType::None), SloClass::Good.as_str()];
                known.with(&known.good, &self.runs, &labels).inc();
            }
            (error, class) => {
                let labels = identity.and(&[self.named(error), class.as_str()]);
                self.runs.with_label_values(&labels).inc();
            }
        }
        self.note_end(known, outcome.class, outcome);
        if !outcome.is_conclusive {
            self.inconclusive.with_label_values(&identity.and(&[])).inc();
        }
        self.count_details(known, outcome);
        if let Some(expires) = outcome.certificate_expires {
            self.certificate.with_label_values(&identity.and(&[])).set(expires.seconds());
        }
        self.count_money(known, outcome);
        self.note_limits(identity, outcome);
        self.observe_latency(target, known, outcome);
    }

    /// When the last probe ended, and the last good one.
    fn note_end(&self, known: &Known, class: SloClass, outcome: &Outcome) {
        known.bare(&known.last_run, &self.last_run).set(outcome.finished.seconds());
        if class == SloClass::Good {
            known.bare(&known.last_success, &self.last_success).set(outcome.finished.seconds());
        }
    }

    /// Counts in families by parts.
    fn count_details(&self, known: &Known, outcome: &Outcome) {
        let identity = &known.identity;
        if let Some(phase) = outcome.broke
            && self.keeps(&metrics::PROBE_STREAM_FAILURES)
        {
            let labels = identity.and(&[outcome.error_type.as_str(), phase.as_str()]);
            self.stream_failures.with_label_values(&labels).inc();
        }
        for anomaly in outcome.anomalies.iter().filter(|_| self.keeps(&metrics::PROBE_ANOMALIES)) {
            self.anomalies.with_label_values(&identity.and(&[anomaly.as_str()])).inc();
        }
        if let Some(status) = outcome.status
            && self.keeps(&metrics::PROBE_HTTP_RESPONSES)
        {
            if status == 200 {
                known.with(&known.answered, &self.responses, &["200"]).inc();
            } else {
                let listed = STATUSES.contains(&status).then(|| status.to_string());
                let code = listed.as_deref().unwrap_or("other");
                self.responses.with_label_values(&identity.and(&[code])).inc();
            }
        }
        if let Some(kind) = outcome.rate_limits.refused_by
            && self.keeps(&metrics::PROBE_REFUSED)
        {
            self.refused.with_label_values(&identity.and(&[kind.as_str()])).inc();
        }
    }

    /// What was spent counts as ever; nothing that says how the provider does.
    fn finished_in_maintenance(&self, target: &Target, known: &Known, outcome: &Outcome) {
        let (identity, class) = (&known.identity, target.class(outcome.error_type));
        self.maintenance_runs.with_label_values(&identity.and(&[class.as_str()])).inc();
        self.note_end(known, class, outcome);
        self.count_money(known, outcome);
        self.note_limits(identity, outcome);
    }

    fn count_money(&self, known: &Known, outcome: &Outcome) {
        if let Some(usage) = outcome.usage
            && self.keeps(&metrics::PROBE_TOKENS)
        {
            let counts =
                [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning];
            for ((held, kind), count) in known.tokens.iter().zip(TOKEN_TYPES).zip(counts) {
                known.with(held, &self.tokens, &[kind]).inc_by(count);
            }
        }
        match outcome.cost {
            Some(cost) => known.bare(&known.cost, &self.cost).inc_by(cost.usd()),
            None => known.bare(&known.unpriced, &self.unpriced).inc(),
        }
    }

    fn note_limits(&self, identity: &Identity, outcome: &Outcome) {
        if !self.keeps(&metrics::PROBE_RATELIMIT_LIMIT) {
            return;
        }
        let limits = &outcome.rate_limits;
        for (family, kind, value) in [
            (&self.limit, "requests", limits.requests_limit),
            (&self.limit, "tokens", limits.tokens_limit),
            (&self.remaining, "requests", limits.requests_remaining),
            (&self.remaining, "tokens", limits.tokens_remaining),
        ] {
            if let Some(value) = value {
                family.with_label_values(&identity.and(&[kind])).set(value as f64);
            }
        }
    }

    fn observe_latency(&self, target: &Target, known: &Known, outcome: &Outcome) {
        if outcome.is_cold || !outcome.is_conclusive || outcome.class == SloClass::Excluded {
            return;
        }
        let is_good = outcome.class == SloClass::Good;
        let held = [
            (target.thresholds.ttft, outcome.ttft),
            (target.thresholds.total, Some(outcome.total)),
        ];
        let kinds = known.observed.iter().zip(THRESHOLD_KINDS);
        for ((observed, kind), (threshold, measured)) in kinds.zip(held) {
            let Some(threshold) = threshold else { continue };
            known.with(observed, &self.observed, &[kind]).inc();
            if !is_good || measured.is_some_and(|measured| measured > threshold) {
                self.exceeded.with_label_values(&known.identity.and(&[kind])).inc();
            }
        }
        if !is_good {
            return;
        }
        known.bare(&known.duration, &self.duration).observe(outcome.total.as_secs_f64());
        for (family, held, vec, measured) in [
            (&metrics::PROBE_TTFT, &known.ttft, &self.ttft, outcome.ttft),
            (&metrics::PROBE_TTFO, &known.ttfo, &self.ttfo, outcome.ttfo),
            (&metrics::PROBE_TPOT, &known.tpot, &self.tpot, outcome.time_per_output_token),
        ] {
            if let Some(measured) = measured.filter(|_| self.keeps(family)) {
                known.bare(held, vec).observe(measured.as_secs_f64());
            }
        }
        if self.keeps(&metrics::PROBE_GAP) && !outcome.gaps.is_empty() {
            let family = known.bare(&known.gap, &self.gap);
            outcome.gaps.iter().for_each(|gap| family.observe(gap.as_secs_f64()));
        }
        if self.keeps(&metrics::PROBE_PHASE) {
            self.observe_phases(known, &outcome.phases);
        }
    }

    fn observe_phases(&self, known: &Known, phases: &Phases) {
        let taken = [
            phases.dns,
            phases.connect,
            phases.tls,
            phases.headers,
            phases.first_content,
            phases.stream,
        ];
        for ((held, phase), took) in known.phases.iter().zip(PHASES).zip(taken) {
            if let Some(took) = took {
                known.with(held, &self.phase, &[phase]).observe(took.as_secs_f64());
            }
        }
    }
}
