//! What a rollback does: steps in order, each with a limit of its own, all within one deadline.
//!
//! A step begins once all before it have ended; one that moves traffic begins at once and waits for
//! nobody. The limits are those of a budget of 60 seconds from the decision to a verified stable.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::notice::Webhook;

/// From the decision to a verified stable, unless the plan says otherwise.
pub const DEADLINE_DEFAULT: Duration = Duration::from_secs(60);
/// As many as anybody can follow while it happens.
pub const STEPS_MAX: usize = 16;

/// The steps of one rollback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order, at most [`STEPS_MAX`]; no two of one name, and the last one verifies.
    pub steps: Vec<Step>,
    /// From the first effect to the end of the last.
    pub deadline: Duration,
}

impl Plan {
    /// Names what it does, for telling whether something else was rehearsed. Secrets are not part of
    /// it, only where they are kept.
    pub fn mark(&self) -> String {
        let digest = Sha256::digest(format!("{self:?}"));
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it does.
    pub effect: Effect,
    /// All its tries together.
    pub timeout: Duration,
    /// What its failure means for those after it.
    pub on_error: OnError,
    /// Whether it begins at once, beside whatever stands before it.
    pub moves_traffic: bool,
}

/// What a step's failure means for those after it. It is reported either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// They run.
    Continue,
    /// Those that have not begun are skipped.
    Stop,
}

/// What a step does, and what it does in a drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Calls somebody, signed.
    Webhook {
        /// Whom.
        webhook: Box<Webhook>,
        /// In a drill: whether it is called too, by a body that says so.
        is_rehearsed: bool,
    },
    /// Runs a program, without a shell.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// The variables of our own environment that it sees, beside `PATH`.
        environment: Vec<String>,
        /// In a drill: what is run instead, if anything.
        rehearsal: Option<Vec<String>>,
    },
    /// Replaces a file's content. In a drill the new file is written beside it, read and removed.
    File {
        /// Which file.
        path: PathBuf,
        /// Its new content.
        content: String,
    },
    /// Asks every stable target until all answered well three times in a row; in a drill the same.
    Verify,
}

impl Effect {
    /// The word for it in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Webhook { .. } => "webhook",
            Self::Command { .. } => "command",
            Self::File { .. } => "file",
            Self::Verify => "verify",
        }
    }

    /// How long a step of this kind may take, unless it says otherwise.
    pub fn timeout_default(&self) -> Duration {
        Duration::from_secs(match self {
            Self::Webhook { .. } | Self::Command { .. } => 25,
            Self::File { .. } => 5,
            Self::Verify => 10,
        })
    }

    /// How long one try may take: a program may need all the time that its step has.
    pub fn attempt_max(&self) -> Duration {
        match self {
            Self::Command { .. } => Duration::MAX,
            Self::Webhook { .. } | Self::File { .. } | Self::Verify => Duration::from_secs(5),
        }
    }

    /// Whether a drill does anything here.
    pub fn is_rehearsed(&self) -> bool {
        match self {
            Self::Webhook { is_rehearsed, .. } => *is_rehearsed,
            Self::Command { rehearsal, .. } => rehearsal.is_some(),
            Self::File { .. } | Self::Verify => true,
        }
    }

    /// How many good tries in a row it takes.
    pub(super) fn good_tries(&self) -> u32 {
        match self {
            Self::Verify => 3,
            Self::Webhook { .. } | Self::Command { .. } | Self::File { .. } => 1,
        }
    }
}
