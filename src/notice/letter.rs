//! A message in the outbox, as people are shown it.

use serde::Serialize;

use super::HookId;
use crate::model::Timestamp;

/// Whether a message still waits or was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LetterState {
    /// It is on its way.
    Pending,
    /// It was given up, and is kept so that somebody can send it again.
    Dead,
}

impl LetterState {
    /// The word for it, on disk and in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Dead => "dead",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Pending, Self::Dead].into_iter().find(|state| state.as_str() == word)
    }
}

/// One message in the outbox. What it says stays in the outbox; its parts here hold no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its idempotency key.
    pub id: String,
    /// Where it goes.
    pub hook: HookId,
    /// The group or incident that it belongs to.
    pub order: String,
    /// Whether it waits or was given up.
    pub state: LetterState,
    /// When it was decided, in milliseconds.
    pub decided_at: Timestamp,
    /// Attempts so far, as far as they are on record.
    pub attempts: u32,
    /// When it was given up, in milliseconds.
    pub ended_at: Option<Timestamp>,
    /// Why; empty while it waits.
    pub why: String,
    /// How long the message is, in bytes.
    pub bytes: usize,
}
