//! What a step rests on.
//!
//! It can be written down and read back without losing a bit, so that a release can be played again
//! from its record.

use serde::{Deserialize, Serialize};

use super::plan::Sealed;
use crate::release::gate::Block;
use crate::release::{Doubt, Health};

/// Everything that came since the last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evidence {
    /// Blocks that are over, oldest first; late ones too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// What an operator asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// The alert for which going back was begun: whether it may was asked where that was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<String>,
    /// Whether stable is well, by its last outcomes.
    pub stable: Health,
    /// Why what was seen cannot be trusted, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
    /// The maintenance that a provider of either arm is in, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<String>,
    /// The freeze window that holds, if one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    /// Why the rollback cannot be relied on: no good drill of this very plan, or an old or slow one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undrilled: Option<String>,
    /// What became of the traffic that a stage asked for, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// What became of going back, once it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback: Option<Outcome>,
    /// How many rollbacks there were in the 24 hours before.
    pub rollbacks_in_last_day: u32,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Begin with this plan.
    Start {
        /// The plan.
        plan: Sealed,
        /// Who says so.
        by: String,
        /// Whether it begins without a good drill.
        force: bool,
    },
    /// Go to the next stage at once.
    Advance {
        /// Who says so.
        by: String,
        /// Whether without a good drill, and without a second person.
        force: bool,
    },
    /// The next stage may begin, as far as people are concerned.
    Approve {
        /// Who says so.
        by: String,
    },
    /// Stay where it is.
    Pause {
        /// Who says so.
        by: String,
    },
    /// Go on.
    Resume {
        /// Who says so.
        by: String,
    },
    /// Go back at once.
    RollBack {
        /// Who says so.
        by: String,
    },
}

/// What became of the traffic that a stage asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The stage, from 1.
    pub stage: usize,
    /// Nothing where it is acknowledged, or why it is not.
    pub failure: Option<String>,
}

/// What became of going back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Stable answers and the candidate has no traffic.
    Verified,
    /// It could not be shown.
    Unverified,
}

impl Command {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Advance { .. } => "advance",
            Self::Approve { .. } => "approve",
            Self::Pause { .. } => "pause",
            Self::Resume { .. } => "resume",
            Self::RollBack { .. } => "rollback",
        }
    }

    /// Who says so.
    pub fn by(&self) -> &str {
        match self {
            Self::Start { by, .. }
            | Self::Advance { by, .. }
            | Self::Approve { by }
            | Self::Pause { by }
            | Self::Resume { by }
            | Self::RollBack { by } => by,
        }
    }
}

impl Default for Evidence {
    /// Nothing came.
    fn default() -> Self {
        Self::none()
    }
}

impl Evidence {
    /// Nothing came.
    pub fn none() -> Self {
        Self {
            blocks: Vec::new(),
            command: None,
            alert: None,
            stable: Health::Unknown,
            doubt: None,
            maintenance: None,
            freeze: None,
            undrilled: None,
            moved: None,
            rollback: None,
            rollbacks_in_last_day: 0,
        }
    }
}
