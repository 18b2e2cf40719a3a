//! A rollback as the configuration describes it.

use std::sync::Arc;
use std::time::Duration;

use super::Plan;
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
    /// What it does.
    pub does: Does,
    /// The least time between two rollbacks; 30 m by default.
    pub cooldown: Duration,
    /// At most this many in 24 hours; 3 by default.
    pub daily_max: u32,
    /// How often its plan is rehearsed by itself, if at all.
    pub drill_interval: Option<Duration>,
    /// Whether it really calls.
    pub mode: Mode,
    /// Whether it fires even where stable is bad too.
    pub force: bool,
}

/// What a rollback does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Does {
    /// It calls a webhook, and goes by its answer alone.
    Call(Box<Webhook>),
    /// It goes through the steps of a plan.
    Plan(Arc<Plan>),
}

/// Whether a rollback really calls its webhook or takes its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It calls.
    Live,
    /// It records and logs what it would have called.
    DryRun,
}
