//! Bellwether's own metrics: every name, help text, label and bucket stands here and nowhere else.

use std::time::Duration;

use crate::probe::{Outcome, SkipReason, Target};

/// A handle to all instruments; cloning is cheap.
#[derive(Clone, Debug, Default)]
pub struct Telemetry {}

impl Telemetry {
    /// A target's probes came due.
    pub fn probe_due(&self, _target: &Target, _count: u64) {}
    /// A probe was sent, this long after it was due.
    pub fn probe_sent(&self, _target: &Target, _lateness: Duration) {}
    /// How many of a target's probes are under way.
    pub fn probe_in_flight(&self, _target: &Target, _count: u32) {}
    /// A result stands.
    pub fn probe_finished(&self, _target: &Target, _outcome: &Outcome) {}
    /// A due probe was not fired.
    pub fn probe_skipped(&self, _target: &Target, _reason: SkipReason) {}
    /// Due times passed without anybody there to fire.
    pub fn probe_missed(&self, _target: &Target, _count: u64) {}
    /// The self-canary looked: whether bellwether is well, and how late its timer was.
    pub fn canary(&self, _is_green: bool, _lateness: Duration) {}
    /// One attempt at a delivery ended; `None` is a transport failure.
    pub fn delivery_attempt(&self, _hook: &str, _status: Option<u16>) {}
    /// A delivery ended, this long after it was decided.
    pub fn delivery_done(&self, _hook: &str, _result: DeliveryResult, _took: Duration) {}
    /// How many notices wait, and for how long the oldest has.
    pub fn delivery_queue(&self, _hook: &str, _depth: usize, _oldest: Duration) {}
}

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryResult {
    /// A 2xx came.
    Delivered,
    /// It was given up.
    Failed,
    /// The queue was full.
    Dropped,
}
