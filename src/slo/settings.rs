//! An objective as the configuration describes it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Objective;
use super::windows::{Severity, window_name};
use crate::model::TargetId;

/// One objective, held by one or several targets. Equal ones have equal rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// Its name; letters, digits and `_-./`.
    pub name: String,
    /// What is good and what is bad.
    pub indicator: Indicator,
    /// How much must be good.
    pub objective: Objective,
    /// Over which time; a whole number of days.
    pub window: Duration,
    /// Who is held to it; at least one.
    pub subjects: Vec<Subject>,
    /// Whether each is held to it by itself.
    pub scope: Scope,
    /// An alert needs as many events in its long window.
    pub events_min: u32,
    /// And as many failures in both; at least two.
    pub failures_min: u32,
    /// How pages are alerted, where they are.
    pub page: Option<Alerting>,
    /// How tickets are alerted, where they are.
    pub ticket: Option<Alerting>,
    /// Labels of its alerts.
    pub labels: BTreeMap<String, String>,
    /// Annotations of its alerts.
    pub annotations: BTreeMap<String, String>,
}

impl Slo {
    /// In one line what must be good for how much of which time.
    pub fn title(&self) -> String {
        let window = window_name(self.window);
        let (indicator, objective) = (self.indicator.as_str(), self.objective);
        format!("slo `{}`: {objective} {indicator} over {window}", self.name)
    }

    /// How alerts of a severity are told, where they are.
    pub fn alerting(&self, severity: Severity) -> Option<&Alerting> {
        match severity {
            Severity::Page => self.page.as_ref(),
            Severity::Ticket => self.ticket.as_ref(),
        }
    }
}

/// A target that is held to an objective.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which.
    pub target: TargetId,
    /// Its cadence.
    pub interval: Duration,
}

/// What an objective is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indicator {
    /// Good among conclusive probes.
    Availability,
    /// Whole answers within the target's threshold; a failure is none.
    Latency,
    /// First tokens within the target's threshold; a failure is none.
    Ttft,
    /// Conclusive probes that were not cut off without evidence of an end.
    Truncation,
}

impl Indicator {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Availability, Self::Latency, Self::Ttft, Self::Truncation];

    /// The word in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Availability => "availability",
            Self::Latency => "latency",
            Self::Ttft => "ttft",
            Self::Truncation => "truncation",
        }
    }

    /// The label `kind` of the threshold that it goes by.
    pub fn threshold_kind(self) -> Option<&'static str> {
        match self {
            Self::Latency => Some("total"),
            Self::Ttft => Some("ttft"),
            Self::Availability | Self::Truncation => None,
        }
    }

    /// What its failures did, after "of the probes".
    pub(super) fn failed(self) -> &'static str {
        match self {
            Self::Availability => "failed",
            Self::Latency => "took longer than the threshold or failed",
            Self::Ttft => "began to answer later than the threshold or failed",
            Self::Truncation => "were cut off",
        }
    }
}

/// Who has a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each target has its own.
    Each,
    /// All targets share one: their events are added up.
    Together,
}

/// How the alerts of one severity are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Alerting {
    /// `for`
    pub pending: Duration,
    /// Labels beside the objective's, and before them.
    pub labels: BTreeMap<String, String>,
    /// Annotations beside the objective's, and before them.
    pub annotations: BTreeMap<String, String>,
}
