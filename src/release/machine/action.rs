//! What a step has done, and why.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::state::Trigger;
use crate::model::{TargetId, Timestamp};
use crate::release::gate::{Standing, Verdict};

/// Something to carry out. A key is the same over retries and restarts.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Give the candidate this part of the traffic. Asked for at every step until it is acknowledged.
    SetShare {
        /// Names the effect.
        key: String,
        /// Its stage, from 1.
        stage: usize,
        /// When the stage was entered.
        entered_at: Timestamp,
        /// Who gets it.
        candidate: Vec<TargetId>,
        /// Who gets the rest.
        stable: Vec<TargetId>,
        /// In percent.
        share: u8,
    },
    /// Go back: all of the traffic to stable, then the steps of the rollback.
    RollBack {
        /// Names the effect.
        key: String,
        /// Who loses the traffic.
        candidate: Vec<TargetId>,
        /// Who gets it.
        stable: Vec<TargetId>,
        /// Why.
        trigger: Trigger,
    },
    /// Tell people, once.
    Tell {
        /// Names the effect.
        key: String,
        /// What.
        notice: Notice,
        /// In words.
        why: String,
    },
}

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Notice {
    /// A stage begins.
    Stage,
    /// Both arms are bad.
    CommonCause,
    /// A rollback is due, and what was seen cannot be trusted.
    Doubtful,
    /// A rollback is due, and the day has had as many as it may.
    Capped,
    /// Nothing is known of the candidate any more.
    NoData,
    /// The traffic that a stage asks for is not acknowledged.
    NotMoved,
    /// The next stage wants a good drill of the rollback first.
    Drill,
    /// The next stage wants somebody else's word.
    Approval,
    /// A stage did not pass by its deadline.
    Deadline,
    /// Going back began.
    RollingBack,
    /// Stable has the traffic again.
    RolledBack,
    /// Nobody knows whether stable answers.
    Unverified,
    /// Every stage has passed.
    Completed,
}

/// How much a notice wants of whoever reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// At once, whatever the hour.
    Critical,
    /// Soon: a person is needed.
    Warning,
    /// Nothing.
    Info,
}

impl Notice {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Stage,
        Self::CommonCause,
        Self::Doubtful,
        Self::Capped,
        Self::NoData,
        Self::NotMoved,
        Self::Drill,
        Self::Approval,
        Self::Deadline,
        Self::RollingBack,
        Self::RolledBack,
        Self::Unverified,
        Self::Completed,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::CommonCause => "common_cause",
            Self::Doubtful => "doubtful",
            Self::Capped => "capped",
            Self::NoData => "no_data",
            Self::NotMoved => "not_moved",
            Self::Drill => "drill_needed",
            Self::Approval => "approval_needed",
            Self::Deadline => "deadline",
            Self::RollingBack => "rolling_back",
            Self::RolledBack => "rolled_back",
            Self::Unverified => "rollback_unverified",
            Self::Completed => "completed",
        }
    }

    /// What it says, after the release's name and a colon.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Stage => "a stage begins",
            Self::CommonCause => "candidate and stable are bad, so nothing is rolled back",
            Self::Doubtful => "a rollback is due, and what was seen cannot be trusted",
            Self::Capped => "a rollback is due, and the day has had as many as it may",
            Self::NoData => "nothing is heard of the candidate",
            Self::NotMoved => "the traffic did not move",
            Self::Drill => "a drill is needed",
            Self::Approval => "somebody's approval is needed",
            Self::Deadline => "a stage did not pass in time and is paused",
            Self::RollingBack => "going back to stable",
            Self::RolledBack => "rolled back, so you are not running the candidate",
            Self::Unverified => "nobody knows whether stable answers",
            Self::Completed => "the candidate has all of the traffic",
        }
    }

    /// How much it wants.
    pub fn urgency(self) -> Urgency {
        match self {
            Self::CommonCause
            | Self::Doubtful
            | Self::Capped
            | Self::RollingBack
            | Self::Unverified => Urgency::Critical,
            Self::NoData
            | Self::NotMoved
            | Self::Drill
            | Self::Approval
            | Self::Deadline
            | Self::RolledBack => Urgency::Warning,
            Self::Stage | Self::Completed => Urgency::Info,
        }
    }
}

impl Urgency {
    /// The word for it: the values of the label `severity`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// On what a stage has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Every gate passes.
    Evidence,
    /// The hold is over, and nothing speaks against the candidate.
    Time,
    /// An operator said so.
    Operator,
}

impl Basis {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Time => "time",
            Self::Operator => "operator",
        }
    }

    /// Reads what [`Basis::as_str`] wrote.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Evidence, Self::Time, Self::Operator].into_iter().find(|it| it.as_str() == word)
    }
}

/// Why a release stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The traffic that the stage asks for is not acknowledged.
    NotMoved,
    /// The stage's floor, or its hold, is not over.
    TooSoon,
    /// A gate does not pass.
    Gate(String),
    /// A freeze window.
    Frozen(String),
    /// Maintenance of a provider.
    Maintenance(String),
    /// Nothing was heard of the candidate.
    NoData,
    /// What is seen cannot be trusted, and nothing is wrong.
    Untrusted,
    /// Both arms are bad.
    CommonCause,
    /// A rollback is due, and what was seen cannot be trusted.
    Doubtful,
    /// The day has had as many rollbacks as it may.
    Capped,
    /// The next stage wants a good drill, and there is none for this reason.
    Drill(String),
    /// The next stage wants somebody else's word.
    Approval,
    /// It is paused.
    Paused,
    /// There is nothing to do.
    Nothing,
    /// What an operator asked for is not possible here.
    Refused,
}

impl Hold {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotMoved => "not_moved",
            Self::TooSoon => "too_soon",
            Self::Gate(_) => "gate",
            Self::Frozen(_) => "frozen",
            Self::Maintenance(_) => "maintenance",
            Self::NoData => "no_data",
            Self::CommonCause => "common_cause",
            Self::Untrusted => "untrusted",
            Self::Doubtful => "doubtful",
            Self::Capped => "capped",
            Self::Drill(_) => "drill_needed",
            Self::Approval => "approval_needed",
            Self::Paused => "paused",
            Self::Nothing => "nothing",
            Self::Refused => "refused",
        }
    }

    /// What people are told of it, if anything.
    pub(super) fn notice(&self) -> Option<Notice> {
        match self {
            Self::NotMoved => Some(Notice::NotMoved),
            Self::NoData => Some(Notice::NoData),
            Self::CommonCause => Some(Notice::CommonCause),
            Self::Doubtful => Some(Notice::Doubtful),
            Self::Capped => Some(Notice::Capped),
            Self::Drill(_) => Some(Notice::Drill),
            Self::Approval => Some(Notice::Approval),
            Self::TooSoon
            | Self::Untrusted
            | Self::Gate(_)
            | Self::Frozen(_)
            | Self::Maintenance(_)
            | Self::Paused
            | Self::Nothing
            | Self::Refused => None,
        }
    }
}

/// What a step rests on: data for the record, the log and the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The state after it.
    pub state: &'static str,
    /// The number of the stage that was looked at, from 1.
    pub stage: Option<usize>,
    /// On what that stage has passed, if it has.
    pub passed_on: Option<Basis>,
    /// Why it did not go on, if it did not.
    pub hold: Option<Hold>,
    /// One sentence for people.
    pub why: String,
    /// How each gate stood.
    pub gates: Vec<Standing>,
}

impl Report {
    /// The whole of it, for the record, the API and the page.
    pub fn to_json(&self) -> Value {
        json!({
            "state": self.state,
            "stage": self.stage,
            "passedOn": self.passed_on.map(Basis::as_str),
            "hold": self.hold.as_ref().map(Hold::as_str),
            "why": self.why,
            "gates": self.gates.iter().map(gate_json).collect::<Vec<_>>(),
        })
    }
}

/// How a gate stands, with all of its numbers.
pub fn gate_json(gate: &Standing) -> Value {
    let cause = match gate.verdict {
        Verdict::Inconclusive(cause) => Some(cause.as_str()),
        Verdict::Pass | Verdict::Fail => None,
    };
    json!({
        "gate": gate.gate,
        "verdict": gate.verdict.as_str(),
        "cause": cause,
        "commonCause": gate.is_common_cause,
        "passesOnTime": gate.passes_on_time,
        "bad": gate.bad,
        "finished": gate.finished,
        "bounds": [gate.bounds.lower, gate.bounds.upper],
        "value": gate.value,
        "against": {"ln": gate.ln_bad, "threshold": gate.ln_bad_threshold},
        "for": gate.ln_good.map(|ln| json!({"ln": ln, "threshold": gate.ln_good_threshold})),
        "neededToPass": gate.needed_to_pass,
        "neededToFail": gate.needed_to_fail,
        "blocks": gate.blocks,
        "rejected": gate.rejected,
        "text": gate.to_string(),
    })
}
