//! Where a release stands.

use std::collections::BTreeMap;
use std::time::Duration;

use super::action::Notice;
use super::plan::{Sealed, Stage};
use crate::model::Timestamp;
use crate::release::gate::{Gates, Standing};

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
        /// The stage that it went back from.
        run: Run,
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
    /// An operator said so, by this name.
    Operator(String),
    /// An alert fires.
    Alert(String),
    /// A gate failed in this stage.
    Gate(String),
    /// A gate failed over the whole release.
    WholeRelease(String),
}

/// What people were told, in whose words, since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// In words.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

/// A stage under way.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    pub(super) plan: Sealed,
    pub(super) stage: usize,
    /// When the release began.
    pub(super) began_at: Timestamp,
    /// When the stage was entered.
    pub(super) entered_at: Timestamp,
    /// When the traffic that it asks for was acknowledged, if it is.
    pub(super) moved_at: Option<Timestamp>,
    /// When the stage began, moved on by the time that it was paused or in maintenance, or waited
    /// for its traffic.
    pub(super) since: Timestamp,
    pub(super) stepped_at: Timestamp,
    /// For how long the stage was frozen; its deadline waits so much longer.
    pub(super) frozen: Duration,
    pub(super) gates: Gates,
    pub(super) whole: Gates,
    pub(super) outcome_at: Timestamp,
    pub(super) started_by: String,
    /// Who lets the next stage begin.
    pub(super) approved_by: Option<String>,
    /// What people are told at present.
    pub(super) told: BTreeMap<Notice, Told>,
}

impl State {
    /// The words for all of them.
    pub const WORDS: [&str; 7] = [
        "idle",
        "running",
        "paused",
        "completed",
        "rolling_back",
        "rolled_back",
        "rollback_unverified",
    ];

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

    /// The stage that it is in, or was in last.
    pub fn run(&self) -> Option<&Run> {
        match self {
            Self::Idle => None,
            Self::Running(run)
            | Self::Paused { run, .. }
            | Self::Completed { run, .. }
            | Self::RollingBack { run, .. }
            | Self::RolledBack { run, .. }
            | Self::RollbackUnverified { run, .. } => Some(run),
        }
    }

    /// The plan that it carries out, or carried out last.
    pub fn plan(&self) -> Option<&Sealed> {
        self.run().map(|run| &run.plan)
    }

    /// Since when it is in this state.
    pub fn since(&self) -> Option<Timestamp> {
        match self {
            Self::Idle => None,
            Self::Running(run) => Some(run.entered_at),
            Self::Paused { since, .. }
            | Self::Completed { since, .. }
            | Self::RollingBack { since, .. }
            | Self::RolledBack { since, .. }
            | Self::RollbackUnverified { since, .. } => Some(*since),
        }
    }

    /// Why it went back, if it did.
    pub fn trigger(&self) -> Option<&Trigger> {
        match self {
            Self::Idle | Self::Running(_) | Self::Paused { .. } | Self::Completed { .. } => None,
            Self::RollingBack { trigger, .. }
            | Self::RolledBack { trigger, .. }
            | Self::RollbackUnverified { trigger, .. } => Some(trigger),
        }
    }

    /// The candidate's part of the traffic, in percent.
    pub fn share(&self) -> u8 {
        match self {
            Self::Idle
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::RollbackUnverified { .. } => 0,
            Self::Running(run) | Self::Paused { run, .. } | Self::Completed { run, .. } => {
                run.stage().share
            }
        }
    }

    /// Whether the candidate has traffic and trouble is looked for.
    pub fn is_armed(&self, now: Timestamp) -> bool {
        match self {
            Self::Running(_) | Self::Paused { .. } => true,
            Self::Completed { run, since } => now.since(*since) < run.plan.bake,
            Self::Idle
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::RollbackUnverified { .. } => false,
        }
    }

    /// What people are told at present.
    pub fn told(&self) -> impl Iterator<Item = (Notice, &Told)> {
        self.run().into_iter().flat_map(Run::told)
    }
}

impl Trigger {
    /// The word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Operator(_) => "operator",
            Self::Alert(_) => "alert",
            Self::Gate(_) => "gate",
            Self::WholeRelease(_) => "whole_release",
        }
    }
}

impl Run {
    /// The first stage of a plan.
    pub(super) fn first(plan: Sealed, by: &str, now: Timestamp) -> Self {
        Self {
            stage: 0,
            began_at: now,
            entered_at: now,
            moved_at: None,
            since: now,
            stepped_at: now,
            frozen: Duration::ZERO,
            gates: plan.gates_of(&plan.stages[0]),
            whole: plan.gates_without_end(),
            outcome_at: now,
            started_by: by.to_owned(),
            approved_by: None,
            told: BTreeMap::new(),
            plan,
        }
    }

    /// The stage after it, with no counts; `None` after the last.
    pub(super) fn next(&self, now: Timestamp) -> Option<Self> {
        let stage = self.plan.stages.get(self.stage + 1)?;
        Some(Self {
            stage: self.stage + 1,
            entered_at: now,
            moved_at: None,
            since: now,
            frozen: Duration::ZERO,
            gates: self.plan.gates_of(stage),
            outcome_at: now,
            approved_by: None,
            told: BTreeMap::new(),
            ..self.clone()
        })
    }

    /// The last stage's traffic while it bakes.
    pub(super) fn baking(self, now: Timestamp) -> Self {
        let gates = self.plan.gates_without_end();
        Self { gates, since: now, outcome_at: now, told: BTreeMap::new(), ..self }
    }

    /// The plan.
    pub fn plan(&self) -> &Sealed {
        &self.plan
    }

    /// When it was looked at last.
    pub fn stepped_at(&self) -> Timestamp {
        self.stepped_at
    }

    /// How long going back may take.
    pub fn rollback_deadline(&self) -> Duration {
        self.plan.rollback_deadline
    }

    /// Its stage.
    pub fn stage(&self) -> &Stage {
        &self.plan.stages[self.stage]
    }

    /// The stage after it.
    pub fn next_stage(&self) -> Option<&Stage> {
        self.plan.stages.get(self.stage + 1)
    }

    /// The number of its stage, from 1.
    pub fn stage_number(&self) -> usize {
        self.stage + 1
    }

    /// When the release began.
    pub fn began_at(&self) -> Timestamp {
        self.began_at
    }

    /// When its stage was entered.
    pub fn entered_at(&self) -> Timestamp {
        self.entered_at
    }

    /// For how long the stage counts, without pauses, maintenance and waiting for its traffic.
    pub fn waited(&self, now: Timestamp) -> Duration {
        now.since(self.since)
    }

    /// For how long it may go on before it pauses, counted like [`Run::waited`].
    pub fn deadline(&self) -> Duration {
        self.stage().deadline.saturating_add(self.frozen)
    }

    /// Whether the traffic that it asks for is acknowledged.
    pub fn is_moved(&self) -> bool {
        self.moved_at.is_some()
    }

    /// What people are told at present.
    pub fn told(&self) -> impl Iterator<Item = (Notice, &Told)> {
        self.told.iter().map(|(notice, told)| (*notice, told))
    }

    /// Who started the release.
    pub fn started_by(&self) -> &str {
        &self.started_by
    }

    /// How each gate stands in its stage.
    pub fn standings(&self) -> Vec<Standing> {
        self.gates.standings()
    }

    /// How each gate stands over the whole release.
    pub fn whole_standings(&self) -> Vec<Standing> {
        self.whole.standings()
    }

    /// What names an effect of it, over retries and restarts.
    pub(super) fn key(&self, effect: &str) -> String {
        format!("{}:{}:{effect}", self.plan.name, self.plan.generation)
    }
}
