//! What a step has done, and why.

use super::state::Trigger;
use crate::model::TargetId;
use crate::release::gate::Standing;

/// Something to carry out. A key is the same over retries and restarts.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Give the candidate this part of the traffic.
    SetShare {
        /// Names the effect.
        key: String,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Notice {
    /// Both arms are bad.
    CommonCause,
    /// A rollback is due, and what was seen cannot be trusted.
    Doubtful,
    /// A rollback is due, and the day has had as many as it may.
    Capped,
    /// Nothing is known of the candidate any more.
    NoData,
    /// A stage did not pass by its deadline.
    Deadline,
    /// Going back began.
    RollingBack,
    /// Nobody knows whether stable answers.
    Unverified,
    /// Every stage has passed.
    Completed,
}

impl Notice {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CommonCause => "common_cause",
            Self::Doubtful => "doubtful",
            Self::Capped => "capped",
            Self::NoData => "no_data",
            Self::Deadline => "deadline",
            Self::RollingBack => "rolling_back",
            Self::Unverified => "rollback_unverified",
            Self::Completed => "completed",
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
}

/// Why a release stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
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
    /// Both arms are bad.
    CommonCause,
    /// What was seen cannot be trusted.
    Doubtful,
    /// The day has had as many rollbacks as it may.
    Capped,
    /// It is paused.
    Paused,
    /// There is nothing to do.
    Nothing,
    /// What an operator asked for is not possible here.
    Refused,
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
