//! How a rule is doing, as `/api/v1/rules` tells it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::alert::{Alert, AlertState};
use crate::model::Timestamp;

/// What a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// It writes series.
    Recording,
    /// It makes alerts.
    Alerting,
}

impl RuleKind {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Alerting => "alerting",
        }
    }
}

/// What came of a rule's last evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It was not evaluated yet.
    Unknown,
    /// A result.
    Ok,
    /// An error.
    Err,
}

impl Health {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Ok => "ok",
            Self::Err => "err",
        }
    }
}

/// One rule and how it is doing.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleStatus {
    /// What it is.
    pub kind: RuleKind,
    /// The name of its series or alerts.
    pub name: String,
    /// Its expression.
    pub query: String,
    /// `for`
    pub duration: Duration,
    /// `keep_firing_for`
    pub keep_firing_for: Duration,
    /// Its labels as they were written.
    pub labels: BTreeMap<String, String>,
    /// Its annotations as they were written.
    pub annotations: BTreeMap<String, String>,
    /// What came of the last evaluation.
    pub health: Health,
    /// Why the last evaluation failed.
    pub last_error: Option<String>,
    /// As of when it was last evaluated.
    pub last_evaluation: Option<Timestamp>,
    /// The gravest of its alerts' states; `None` for a recording rule and before the first
    /// evaluation.
    pub state: Option<AlertState>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
}
