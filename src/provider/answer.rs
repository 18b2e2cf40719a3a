//! What an answer tells beside its text: tokens, oddities, our limits.

use std::time::Duration;

use crate::price::Service;

/// Tokens of one answer. `input` includes what was read from or written to a cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// All input.
    pub input: u64,
    /// All output, reasoning included.
    pub output: u64,
    /// Input read from a cache.
    pub cache_read: u64,
    /// Input written to a cache, for however long.
    pub cache_write: u64,
    /// Of that, what is kept for an hour or more.
    pub cache_write_hour: u64,
    /// Output that was reasoning.
    pub reasoning: u64,
    /// How it was served.
    pub service: Service,
}

/// An oddity that is counted and is no failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Anomaly {
    /// Content came after `finish_reason`.
    EarlyFinish,
    /// A stream with `finish_reason` and no `[DONE]`.
    NoDone,
    /// Usage on a chunk that has choices.
    UsageWithChoices,
    /// An event type that the dialect does not know.
    UnknownEvent,
    /// The numbers of a stream's events have a gap: an event was lost on the way.
    SequenceGap,
    /// The socket stayed open after the end.
    LingeringSocket,
    /// A kept connection turned out to be closed, and the question was asked over another one.
    StaleConnection,
}

impl Anomaly {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::EarlyFinish,
        Self::NoDone,
        Self::UsageWithChoices,
        Self::UnknownEvent,
        Self::SequenceGap,
        Self::LingeringSocket,
        Self::StaleConnection,
    ];

    /// The value of the label `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EarlyFinish => "early_finish",
            Self::NoDone => "no_done",
            Self::UsageWithChoices => "usage_with_choices",
            Self::UnknownEvent => "unknown_event",
            Self::SequenceGap => "sequence_gap",
            Self::LingeringSocket => "lingering_socket",
            Self::StaleConnection => "stale_connection",
        }
    }
}

/// Which limit a refusal speaks of. All four come as a 429 somewhere, and ask for different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LimitKind {
    /// Too many requests or tokens in too short a time: a wait of seconds helps.
    Rate,
    /// What a day or month allows is used up: it comes back by itself with the next.
    Quota,
    /// The money is used up, or a spend cap is reached: somebody must act.
    Credit,
    /// The provider has no room; it says nothing of us.
    Capacity,
}

impl LimitKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rate, Self::Quota, Self::Credit, Self::Capacity];

    /// The value of the label `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Credit => "credit",
            Self::Capacity => "capacity",
        }
    }
}

/// What rate-limit headers said, where they were there and made sense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests a window.
    pub requests_limit: Option<u64>,
    /// Requests left.
    pub requests_remaining: Option<u64>,
    /// Tokens a window.
    pub tokens_limit: Option<u64>,
    /// Tokens left.
    pub tokens_remaining: Option<u64>,
    /// How long the provider asks us to wait.
    pub retry_after: Option<Duration>,
    /// Which limit the answer refuses by.
    pub refused_by: Option<LimitKind>,
}
