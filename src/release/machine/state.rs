//! Where a release stands.

use std::collections::BTreeSet;
use std::time::Duration;

use super::action::Notice;
use super::plan::{Sealed, Stage};
use crate::model::Timestamp;
use crate::release::gate::Gates;

/// Where a release stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Nothing was ever started.
    Idle,
    /// A stage is under way.
    Running(Run),
    /// A stage waits for an operator; trouble is still looked for.
    Paused {
        /// The stage.
        run: Run,
        /// Since when.
        since: Timestamp,
        /// Who says so.
        by: PausedBy,
    },
    /// Every stage has passed. Until the bake is over, trouble still rolls back.
    Completed {
        /// The last stage.
        run: Run,
        /// Since when.
        since: Timestamp,
    },
    /// Going back is under way.
    RollingBack {
        /// The stage that it began in.
        run: Run,
        /// Since when.
        since: Timestamp,
        /// Why.
        trigger: Trigger,
        /// How often it was begun, from 1.
        attempt: u32,
    },
    /// Stable has all of the traffic, and answers.
    RolledBack {
        /// The plan.
        plan: Sealed,
        /// Since when.
        since: Timestamp,
        /// Why.
        trigger: Trigger,
    },
    /// Going back was asked for, and nobody knows whether stable answers. People are paged.
    RollbackUnverified {
        /// The stage that it began in.
        run: Run,
        /// Since when.
        since: Timestamp,
        /// Why.
        trigger: Trigger,
        /// How often it was begun.
        attempt: u32,
    },
}

/// Who paused a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PausedBy {
    /// An operator.
    Operator,
    /// The stage's deadline.
    Deadline,
}

/// Why a release goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// An operator said so.
    Operator,
    /// An alert fires.
    Alert(String),
    /// A gate failed in this stage.
    Gate(String),
    /// A gate failed over the whole release.
    WholeRelease(String),
}

/// A stage under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub(super) plan: Sealed,
    pub(super) stage: usize,
    /// When the stage began, moved on by the time that it was paused or in maintenance.
    pub(super) since: Timestamp,
    pub(super) stepped_at: Timestamp,
    /// For how long the stage was frozen; its deadline waits so much longer.
    pub(super) frozen: Duration,
    pub(super) gates: Gates,
    pub(super) whole: Gates,
    pub(super) outcome_at: Timestamp,
    /// What people were told in this stage.
    pub(super) told: BTreeSet<Notice>,
}

impl State {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Running(_) => "running",
            Self::Paused { .. } => "paused",
            Self::Completed { .. } => "completed",
            Self::RollingBack { .. } => "rolling_back",
            Self::RolledBack { .. } => "rolled_back",
            Self::RollbackUnverified { .. } => "rollback_unverified",
        }
    }

    /// The plan that it carries out, or carried out last.
    pub fn plan(&self) -> Option<&Sealed> {
        match self {
            Self::Idle => None,
            Self::RolledBack { plan, .. } => Some(plan),
            Self::Running(run)
            | Self::Paused { run, .. }
            | Self::Completed { run, .. }
            | Self::RollingBack { run, .. }
            | Self::RollbackUnverified { run, .. } => Some(&run.plan),
        }
    }
}

impl Trigger {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Alert(_) => "alert",
            Self::Gate(_) => "gate",
            Self::WholeRelease(_) => "whole_release",
        }
    }
}

impl Run {
    /// The first stage of a plan.
    pub(super) fn first(plan: Sealed, now: Timestamp) -> Self {
        Self {
            stage: 0,
            since: now,
            stepped_at: now,
            frozen: Duration::ZERO,
            gates: plan.gates_of(&plan.stages[0]),
            whole: plan.gates_without_end(),
            outcome_at: now,
            told: BTreeSet::new(),
            plan,
        }
    }

    /// The stage after it, with no counts; `None` after the last.
    pub(super) fn next(&self, now: Timestamp) -> Option<Self> {
        let stage = self.plan.stages.get(self.stage + 1)?;
        Some(Self {
            stage: self.stage + 1,
            since: now,
            frozen: Duration::ZERO,
            gates: self.plan.gates_of(stage),
            outcome_at: now,
            told: BTreeSet::new(),
            ..self.clone()
        })
    }

    /// The last stage's traffic while it bakes.
    pub(super) fn baking(self, now: Timestamp) -> Self {
        let gates = self.plan.gates_without_end();
        Self { gates, since: now, outcome_at: now, told: BTreeSet::new(), ..self }
    }

    /// Its stage.
    pub fn stage(&self) -> &Stage {
        &self.plan.stages[self.stage]
    }

    /// The number of its stage, from 1.
    pub fn stage_number(&self) -> usize {
        self.stage + 1
    }

    /// What names an effect of it, over retries and restarts.
    pub(super) fn key(&self, effect: &str) -> String {
        format!("{}:{}:{effect}", self.plan.name, self.plan.generation)
    }
}
