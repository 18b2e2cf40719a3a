//! The instruments of the process as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::process_collector::ProcessCollector;
use prometheus::{GaugeVec, HistogramVec, IntCounterVec};
use tokio::time::Instant;

use super::calls::{CallRefused, PostResult};
use super::heartbeats::Heartbeats;
use super::instruments::{counter, gauge, histogram};
use super::metrics;
use super::recorder::{DeliveryResult, PlanEnded};
use super::registry::Registry;
use super::spending::Spending;
use crate::model::Timestamp;

/// The values of the label `result` of rollback decisions.
const ROLLBACK_RESULTS: [&str; 7] = [
    "fired",
    "dry_run",
    "held_both_bad",
    "held_inconclusive",
    "held_maintenance",
    "cooldown",
    "capped",
];
/// The values of the label `mode`.
const PLAN_MODES: [&str; 2] = ["real", "drill"];
const CODE_CLASSES: [&str; 6] = ["2xx", "3xx", "429", "4xx", "5xx", "error"];

/// Instruments without a target's labels.
#[derive(Debug)]
pub(super) struct Process {
    canary_healthy: prometheus::Gauge,
    canary_lateness: prometheus::Histogram,
    canary_stalls: prometheus::IntCounter,
    was_green: AtomicBool,
    pub(super) vantage_suspect: prometheus::Gauge,
    series: prometheus::Gauge,
    bytes: prometheus::Gauge,
    refused: prometheus::IntCounter,
    refused_before: AtomicU64,
    pub(super) archive_bytes: prometheus::Gauge,
    pub(super) archive_failures: prometheus::IntCounter,
    pub(super) archive_lost: prometheus::IntCounter,
    pub(super) archive_damaged: prometheus::IntCounter,
    evaluations: IntCounterVec,
    failures: IntCounterVec,
    failing: GaugeVec,
    missed: IntCounterVec,
    duration: GaugeVec,
    pub(super) rollbacks: IntCounterVec,
    rollback_seconds: HistogramVec,
    unverified: GaugeVec,
    drill_successful: GaugeVec,
    drill_time: GaugeVec,
    drill_duration: GaugeVec,
    pub(super) deliveries: IntCounterVec,
    pub(super) attempts: IntCounterVec,
    pub(super) delivery_duration: HistogramVec,
    depth: GaugeVec,
    oldest: GaugeVec,
    pub(super) circuit: GaugeVec,
    pub(super) heartbeats: Heartbeats,
    pub(super) spending: Spending,
    pub(super) template_errors: IntCounterVec,
    pub(super) groups_muted: prometheus::Gauge,
    pub(super) http_refused: IntCounterVec,
    pub(super) hook_posts: IntCounterVec,
    pub(super) outbox_pending: prometheus::Gauge,
    pub(super) outbox_dead: prometheus::Gauge,
    pub(super) journal_unwritten: prometheus::Gauge,
    pub(super) journal_damaged: prometheus::IntCounter,
    journal_failures: prometheus::IntCounter,
    journal_failures_before: AtomicU64,
    reload_successful: prometheus::Gauge,
    reload_time: prometheus::Gauge,
    // How long the oldest notice of each queue had waited when its queue last looked. A queue that
    // sleeps between two attempts looks at nothing, so the gauge is computed when it is read.
    waiting: Mutex<BTreeMap<String, (Duration, Instant)>>,
    // Written by a reload only.
    known: Mutex<Names>,
}

/// Names that are label values.
#[derive(Clone, Debug, Default)]
struct Names {
    hooks: BTreeSet<String>,
    rollbacks: BTreeSet<String>,
    groups: BTreeSet<String>,
}

const NO_LABELS: [&str; 0] = [];

impl Process {
    pub(super) fn new(registry: &Registry) -> Self {
        registry.put(ProcessCollector::for_self());
        let build = gauge(registry, &metrics::BUILD_INFO);
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1.0);
        let single = |family| gauge(registry, family).with_label_values(&NO_LABELS);
        let counted = |family| counter(registry, family).with_label_values(&NO_LABELS);
        let process = Self {
            canary_healthy: single(&metrics::CANARY_HEALTHY),
            canary_lateness: histogram(registry, &metrics::CANARY_LATENESS, metrics::LAG_BUCKETS)
                .with_label_values(&NO_LABELS),
            canary_stalls: counted(&metrics::CANARY_STALLS),
            was_green: AtomicBool::new(true),
            vantage_suspect: single(&metrics::VANTAGE_SUSPECT),
            series: single(&metrics::SAMPLES_SERIES),
            bytes: single(&metrics::SAMPLES_BYTES),
            refused: counted(&metrics::SAMPLES_REFUSED),
            refused_before: AtomicU64::new(0),
            archive_bytes: single(&metrics::ARCHIVE_BYTES),
            archive_failures: counted(&metrics::ARCHIVE_FAILURES),
            archive_lost: counted(&metrics::ARCHIVE_LOST),
            archive_damaged: counted(&metrics::ARCHIVE_DAMAGED),
            evaluations: counter(registry, &metrics::RULE_EVALUATIONS),
            failures: counter(registry, &metrics::RULE_FAILURES),
            failing: gauge(registry, &metrics::RULE_FAILING),
            missed: counter(registry, &metrics::RULE_MISSED),
            duration: gauge(registry, &metrics::RULE_DURATION),
            rollbacks: counter(registry, &metrics::ROLLBACKS),
            rollback_seconds: histogram(
                registry,
                &metrics::ROLLBACK_SECONDS,
                metrics::DURATION_BUCKETS,
            ),
            unverified: gauge(registry, &metrics::ROLLBACK_UNVERIFIED),
            drill_successful: gauge(registry, &metrics::DRILL_SUCCESSFUL),
            drill_time: gauge(registry, &metrics::DRILL_TIME),
            drill_duration: gauge(registry, &metrics::DRILL_DURATION),
            deliveries: counter(registry, &metrics::WEBHOOK_DELIVERIES),
            attempts: counter(registry, &metrics::WEBHOOK_ATTEMPTS),
            delivery_duration: histogram(
                registry,
                &metrics::WEBHOOK_DURATION,
                metrics::DURATION_BUCKETS,
            ),
            depth: gauge(registry, &metrics::WEBHOOK_DEPTH),
            oldest: gauge(registry, &metrics::WEBHOOK_OLDEST),
            circuit: gauge(registry, &metrics::WEBHOOK_CIRCUIT),
            heartbeats: Heartbeats::new(registry),
            spending: Spending::new(registry),
            template_errors: counter(registry, &metrics::NOTICE_TEMPLATE_ERRORS),
            groups_muted: single(&metrics::NOTICE_GROUPS_MUTED),
            http_refused: counter(registry, &metrics::HTTP_REFUSED),
            hook_posts: counter(registry, &metrics::HOOK_POSTS),
            outbox_pending: single(&metrics::OUTBOX_PENDING),
            outbox_dead: single(&metrics::OUTBOX_DEAD),
            journal_unwritten: single(&metrics::JOURNAL_UNWRITTEN),
            journal_damaged: counted(&metrics::JOURNAL_DAMAGED),
            journal_failures: counted(&metrics::JOURNAL_FAILURES),
            journal_failures_before: AtomicU64::new(0),
            reload_successful: single(&metrics::RELOAD_SUCCESSFUL),
            reload_time: single(&metrics::RELOAD_TIME),
            waiting: Mutex::default(),
            known: Mutex::default(),
        };
        process.canary_healthy.set(1.0);
        for refused in CallRefused::ALL {
            process.http_refused.with_label_values(&[refused.as_str()]);
        }
        for result in PostResult::ALL {
            process.hook_posts.with_label_values(&[result.as_str()]);
        }
        for mode in PLAN_MODES {
            process.rollback_seconds.with_label_values(&[mode]);
        }
        process
    }

    pub(super) fn configure(&self, hooks: &[String], rollbacks: &[String], groups: &[String]) {
        let set = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let names = Names { hooks: set(hooks), rollbacks: set(rollbacks), groups: set(groups) };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *known, names.clone());
        before.hooks.difference(&names.hooks).for_each(|hook| self.forget_hook(hook));
        for rollback in before.rollbacks.difference(&names.rollbacks) {
            for result in ROLLBACK_RESULTS {
                let _was_there = self.rollbacks.remove_label_values(&[rollback, result]).is_ok();
            }
            for family in self.of_plans() {
                let _was_there = family.remove_label_values(&[rollback]).is_ok();
            }
        }
        for group in before.groups.difference(&names.groups) {
            for family in [&self.evaluations, &self.failures, &self.missed] {
                let _was_there = family.remove_label_values(&[group]).is_ok();
            }
            for family in [&self.failing, &self.duration] {
                let _was_there = family.remove_label_values(&[group]).is_ok();
            }
        }
        self.heartbeats.configure(hooks);
        for hook in hooks {
            for result in DeliveryResult::ALL {
                self.deliveries.with_label_values(&[hook.as_str(), result.as_str()]);
            }
            for class in CODE_CLASSES {
                self.attempts.with_label_values(&[hook.as_str(), class]);
            }
            self.delivery_duration.with_label_values(&[hook]);
            self.template_errors.with_label_values(&[hook]);
            self.depth.with_label_values(&[hook]);
            self.oldest.with_label_values(&[hook]);
            self.circuit.with_label_values(&[hook]);
        }
        for rollback in rollbacks {
            for result in ROLLBACK_RESULTS {
                self.rollbacks.with_label_values(&[rollback.as_str(), result]);
            }
            for family in self.of_plans() {
                family.with_label_values(&[rollback]);
            }
        }
        for group in groups {
            for family in [&self.evaluations, &self.failures, &self.missed] {
                family.with_label_values(&[group]);
            }
            self.failing.with_label_values(&[group]);
            self.duration.with_label_values(&[group]);
        }
    }

    /// How many notices of a queue wait, and for how long the oldest has, if any waits.
    pub(super) fn queue(&self, hook: &str, depth: usize, oldest: Option<Duration>) {
        self.depth.with_label_values(&[hook]).set(depth as f64);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match oldest {
            Some(oldest) => waiting.insert(hook.to_owned(), (oldest, Instant::now())),
            None => waiting.remove(hook),
        };
        drop(waiting);
        self.oldest.with_label_values(&[hook]).set(oldest.unwrap_or_default().as_secs_f64());
    }

    /// Brings up to date what moves while nobody touches it.
    pub(super) fn refresh(&self) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for (hook, (waited, seen)) in waiting.iter() {
            let oldest = *waited + seen.elapsed();
            self.oldest.with_label_values(&[hook]).set(oldest.as_secs_f64());
        }
    }

    fn of_plans(&self) -> [&GaugeVec; 4] {
        [&self.unverified, &self.drill_successful, &self.drill_time, &self.drill_duration]
    }

    pub(super) fn plan_took(&self, is_drill: bool, took: Duration) {
        let mode = PLAN_MODES[usize::from(is_drill)];
        self.rollback_seconds.with_label_values(&[mode]).observe(took.as_secs_f64());
    }

    pub(super) fn plan_stands(&self, ended: &PlanEnded<'_>) {
        let name = [ended.rollback];
        let as_number = |is: bool| f64::from(u8::from(is));
        if ended.is_drill {
            self.drill_successful.with_label_values(&name).set(as_number(ended.is_good));
            self.drill_time.with_label_values(&name).set(ended.at.seconds());
            self.drill_duration.with_label_values(&name).set(ended.took.as_secs_f64());
        } else {
            self.unverified.with_label_values(&name).set(as_number(!ended.is_good));
        }
    }

    fn forget_hook(&self, hook: &str) {
        self.heartbeats.forget(hook);
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(hook);
        for result in DeliveryResult::ALL {
            let labels = [hook, result.as_str()];
            let _was_there = self.deliveries.remove_label_values(&labels).is_ok();
        }
        for class in CODE_CLASSES {
            let _was_there = self.attempts.remove_label_values(&[hook, class]).is_ok();
        }
        let _was_there = self.delivery_duration.remove_label_values(&[hook]).is_ok();
        let _was_there = self.template_errors.remove_label_values(&[hook]).is_ok();
        for family in [&self.depth, &self.oldest, &self.circuit] {
            let _was_there = family.remove_label_values(&[hook]).is_ok();
        }
    }

    pub(super) fn canary(&self, is_green: bool, lateness: Duration) {
        self.canary_lateness.observe(lateness.as_secs_f64());
        self.canary_healthy.set(f64::from(u8::from(is_green)));
        if self.was_green.swap(is_green, Ordering::Relaxed) && !is_green {
            self.canary_stalls.inc();
        }
    }

    pub(super) fn store(&self, series: usize, bytes: usize, refused: u64) {
        self.series.set(series as f64);
        self.bytes.set(bytes as f64);
        let before = self.refused_before.swap(refused, Ordering::Relaxed);
        self.refused.inc_by(refused.saturating_sub(before));
    }

    pub(super) fn journal_failed(&self, failures: u64) {
        let before = self.journal_failures_before.swap(failures, Ordering::Relaxed);
        self.journal_failures.inc_by(failures.saturating_sub(before));
    }

    pub(super) fn rules_evaluated(&self, group: &str, failed: u64, missed: u64, took: Duration) {
        self.evaluations.with_label_values(&[group]).inc();
        self.failures.with_label_values(&[group]).inc_by(failed);
        self.failing.with_label_values(&[group]).set(failed as f64);
        self.missed.with_label_values(&[group]).inc_by(missed);
        self.duration.with_label_values(&[group]).set(took.as_secs_f64());
    }

    pub(super) fn last_reload(&self) -> (bool, f64) {
        (self.reload_successful.get() > 0.0, self.reload_time.get())
    }

    pub(super) fn reloaded(&self, is_successful: bool, at: Timestamp) {
        self.reload_successful.set(f64::from(u8::from(is_successful)));
        if is_successful {
            self.reload_time.set(at.seconds());
        }
    }
}
