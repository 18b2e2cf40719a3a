//! A rollback as the configuration describes it.

use std::time::Duration;

use crate::model::{Matcher, TargetId};
use crate::notice::Webhook;

/// An entry of `rollbacks:`: which alerts fire it, and what it calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Its name.
    pub name: String,
    /// A firing alert that satisfies all of them triggers it.
    pub matchers: Vec<Matcher>,
    /// The targets that traffic is taken from.
    pub candidate: Vec<TargetId>,
    /// The targets that traffic goes back to; they are asked first.
    pub stable: Vec<TargetId>,
    /// What is called.
    pub webhook: Webhook,
    /// The least time between two rollbacks; 30 m by default.
    pub cooldown: Duration,
    /// At most this many in 24 hours; 3 by default.
    pub daily_max: u32,
    /// Whether it really calls.
    pub mode: Mode,
    /// Whether it fires even where stable is bad too.
    pub force: bool,
}

/// Whether a rollback really calls its webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It calls.
    Live,
    /// It records and logs what it would have called.
    DryRun,
}
