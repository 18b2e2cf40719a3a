//! What became of heartbeats. They are deliveries too; these families say by themselves whether
//! whoever waits for a sign of life gets it, since a watchdog that nobody feeds looks like an
//! outage of bellwether.

use prometheus::{GaugeVec, IntCounterVec};

use super::instruments::{counter, gauge};
use super::metrics;
use super::recorder::Telemetry;
use super::registry::Registry;
use crate::model::Timestamp;

/// How the names of hooks begin that are heartbeats.
const PREFIX: &str = "heartbeat/";
/// The values of the label `result`.
const RESULTS: [&str; 2] = ["sent", "failed"];

/// The instruments.
#[derive(Debug)]
pub(super) struct Heartbeats {
    beats: IntCounterVec,
    last_success: GaugeVec,
}

impl Heartbeats {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            beats: counter(registry, &metrics::HEARTBEATS),
            last_success: gauge(registry, &metrics::HEARTBEAT_LAST_SUCCESS),
        }
    }

    /// Begins at zero for the heartbeats among the hooks.
    pub(super) fn configure(&self, hooks: &[String]) {
        for hook in hooks.iter().filter(|hook| hook.starts_with(PREFIX)) {
            for result in RESULTS {
                self.beats.with_label_values(&[hook.as_str(), result]);
            }
            self.last_success.with_label_values(&[hook]);
        }
    }

    /// A hook was removed, a heartbeat or any other.
    pub(super) fn forget(&self, hook: &str) {
        for result in RESULTS {
            let _was_there = self.beats.remove_label_values(&[hook, result]).is_ok();
        }
        let _was_there = self.last_success.remove_label_values(&[hook]).is_ok();
    }
}

impl Telemetry {
    /// A delivery to a hook ended at a time; heartbeats are counted.
    pub fn beat_done(&self, hook: &str, is_sent: bool, at: Timestamp) {
        if !hook.starts_with(PREFIX) {
            return;
        }
        let heartbeats = &self.process.heartbeats;
        let result = RESULTS[usize::from(!is_sent)];
        heartbeats.beats.with_label_values(&[hook, result]).inc();
        if is_sent {
            heartbeats.last_success.with_label_values(&[hook]).set(at.seconds());
        }
    }
}
