//! What a step rests on.

use super::plan::Sealed;
use crate::release::gate::Block;
use crate::release::{Doubt, Health};

/// Everything that came since the last step.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// Blocks that are over, oldest first; late ones too.
    pub blocks: Vec<Block>,
    /// What an operator asks for.
    pub command: Option<Command>,
    /// The alert that fires and asks for a rollback.
    pub alert: Option<String>,
    /// Whether stable is well, by its last outcomes.
    pub stable: Health,
    /// Why what was seen cannot be trusted, if so.
    pub doubt: Option<Doubt>,
    /// The maintenance that a provider of either arm is in, if so.
    pub maintenance: Option<String>,
    /// What became of going back, once it is known.
    pub rollback: Option<Outcome>,
    /// How many rollbacks there were in the 24 hours before.
    pub rollbacks_in_last_day: u32,
}

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begin with this plan.
    Start(Sealed),
    /// Go to the next stage at once.
    Advance,
    /// Stay where it is.
    Pause,
    /// Go on.
    Resume,
    /// Go back at once.
    RollBack,
}

/// What became of going back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Stable answers and the candidate has no traffic.
    Verified,
    /// It could not be shown.
    Unverified,
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
            rollback: None,
            rollbacks_in_last_day: 0,
        }
    }
}
