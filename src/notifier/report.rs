//! What became of a delivery.

use std::fmt;

use crate::model::Timestamp;
use crate::notice::HookId;

/// The end of one delivery, for the journal, the page and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Where it went.
    pub hook: HookId,
    /// Its idempotency key.
    pub id: String,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// When it ended.
    pub at: Timestamp,
    /// How many attempts there were.
    pub attempts: u32,
    /// How it ended.
    pub ending: Ending,
}

/// How a delivery ended. Nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The receiver took it.
    Delivered {
        /// Its status.
        status: u16,
    },
    /// It was given up.
    Failed {
        /// What the last attempt met.
        why: String,
        /// The last status, where one came.
        status: Option<u16>,
    },
    /// Its queue was full, or its hook no longer exists.
    Dropped,
    /// It was still on its way when the notifier stopped.
    Unfinished,
    /// It was only rehearsed.
    Rehearsed {
        /// The request that would have been sent, signed; other secrets are `***`.
        request: String,
    },
}

impl Ending {
    /// The word for it, in the journal and on the page.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Delivered { .. } => "delivered",
            Self::Failed { .. } => "failed",
            Self::Dropped => "dropped",
            Self::Unfinished => "unfinished",
            Self::Rehearsed { .. } => "rehearsed",
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())?;
        match self {
            Self::Delivered { status } => write!(formatter, " with status {status}"),
            Self::Failed { why, .. } => write!(formatter, ": {why}"),
            Self::Dropped | Self::Unfinished | Self::Rehearsed { .. } => Ok(()),
        }
    }
}
