//! The instruments of evidence that goes from routers which follow to the bellwether that decides.

use prometheus::{GaugeVec, IntCounterVec};

use super::instruments::{counter, gauge};
use super::metrics;
use super::recorder::Telemetry;
use super::registry::Registry;

/// What became of an outcome that another router told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EvidenceResult {
    /// It was taken.
    Taken,
    /// It had been taken before.
    Repeated,
    /// It was too old.
    Late,
    /// Its route or target is not known here.
    Unknown,
}

impl EvidenceResult {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Taken, Self::Repeated, Self::Late, Self::Unknown];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Repeated => "repeated",
            Self::Late => "late",
            Self::Unknown => "unknown",
        }
    }
}

/// What became of an outcome that was to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportResult {
    /// The leader took it.
    Taken,
    /// Too many waited.
    QueueFull,
    /// It was too old before the leader took it.
    Late,
    /// The leader does not take evidence from here.
    Refused,
    /// The leader does not know its route or target.
    Unknown,
}

impl ReportResult {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Taken, Self::QueueFull, Self::Late, Self::Refused, Self::Unknown];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::QueueFull => "queue_full",
            Self::Late => "late",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

/// What a leader is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowedFor {
    /// Its table.
    Table,
    /// An ear for evidence.
    Evidence,
}

impl FollowedFor {
    /// The value of the label `what`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Evidence => "evidence",
        }
    }
}

#[derive(Debug)]
pub(super) struct Evidence {
    received: IntCounterVec,
    reported: IntCounterVec,
    reachable: GaugeVec,
}

impl Evidence {
    pub(super) fn new(registry: &Registry) -> Self {
        let evidence = Self {
            received: counter(registry, &metrics::ROUTER_EVIDENCE_RECEIVED),
            reported: counter(registry, &metrics::ROUTER_EVIDENCE_REPORTED),
            reachable: gauge(registry, &metrics::ROUTER_LEADER_REACHABLE),
        };
        for result in EvidenceResult::ALL {
            evidence.received.with_label_values(&[result.as_str()]);
        }
        evidence
    }
}

impl Telemetry {
    /// Another router told outcomes.
    pub fn evidence_received(&self, result: EvidenceResult, count: usize) {
        self.evidence.received.with_label_values(&[result.as_str()]).inc_by(count as u64);
    }

    /// From now on a leader is followed. Until its table came it counts as away; while nothing is told,
    /// nobody knows whether it listens.
    pub fn follows(&self) {
        for result in ReportResult::ALL {
            self.evidence.reported.with_label_values(&[result.as_str()]);
        }
        self.followed(FollowedFor::Table, false);
        self.followed(FollowedFor::Evidence, true);
    }

    /// Outcomes were told to the leader, or were not.
    pub fn evidence_reported(&self, result: ReportResult, count: usize) {
        self.evidence.reported.with_label_values(&[result.as_str()]).inc_by(count as u64);
    }

    /// Whether the leader answered.
    pub fn followed(&self, what: FollowedFor, has_answered: bool) {
        let value = f64::from(u8::from(has_answered));
        self.evidence.reachable.with_label_values(&[what.as_str()]).set(value);
    }
}
