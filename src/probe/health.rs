//! How bellwether itself is.

use std::time::Duration;

use crate::model::Timestamp;

/// What the self-canary and the comparison of all targets say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether evidence about latency can be believed.
    pub is_green: bool,
    /// Since when it has been so.
    pub since: Timestamp,
    /// How late the last timer was. Changes of this alone wake nobody.
    pub lateness: Duration,
    /// Whether our own network seems to fail, and not the providers.
    pub is_vantage_suspect: bool,
}

impl Health {
    /// Well, since now.
    pub fn green(since: Timestamp) -> Self {
        Self { is_green: true, since, lateness: Duration::ZERO, is_vantage_suspect: false }
    }
}
