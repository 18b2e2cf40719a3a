//! What the page and the API show: the engine's state at one moment, immutable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::model::{TargetId, Timestamp};
use crate::notice::Muted;
use crate::probe::{Attentions, Fund, Health, Outcome, Planned, Target, attentions, merge};
use crate::provider::{ErrorType, SloClass};
use crate::release::Decision;
use crate::rules::RuleStatus;

use super::{ReleaseStatus, SloStatus};

/// Everything a reader may want to know, as of one moment.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub at: Timestamp,
    /// Whether bellwether itself is well.
    pub health: Health,
    /// Targets by name.
    pub targets: Vec<TargetStatus>,
    /// Rule groups in file order.
    pub groups: Vec<GroupStatus>,
    /// The latest decisions about rollbacks, newest first.
    pub decisions: Vec<Arc<Decision>>,
    /// Releases in the order of the configuration.
    pub releases: Vec<ReleaseStatus>,
    /// Objectives in the order of the configuration.
    pub slos: Vec<SloStatus>,
    /// Groups of alerts of which nobody is told at this time.
    pub muted: Vec<Muted>,
}

impl Snapshot {
    /// Nothing has happened yet.
    pub fn empty(now: Timestamp) -> Self {
        Self {
            at: now,
            health: Health::green(now),
            targets: Vec::new(),
            groups: Vec::new(),
            decisions: Vec::new(),
            releases: Vec::new(),
            slos: Vec::new(),
            muted: Vec::new(),
        }
    }

    /// What the releases under way want watched more closely, until the candidate is out of danger:
    /// a release that goes back has nothing more to learn from probes.
    pub fn attentions(&self) -> Attentions {
        let armed = self.releases.iter().filter(|release| release.state.is_armed(self.at));
        merge(armed.map(|release| self.of_release(release)))
    }

    fn of_release(&self, release: &ReleaseStatus) -> Attentions {
        let probing = release.settings.probing;
        let plan = release.state.plan().unwrap_or(&release.settings.plan);
        let is_its = |id: &TargetId| plan.candidate.contains(id) || plan.stable.contains(id);
        let targets: Vec<&Target> = self
            .targets
            .iter()
            .map(|status| &*status.target)
            .filter(|target| is_its(&target.id))
            .collect();
        let fund = probing.budget_daily.map(|daily| Fund { release: plan.name.clone(), daily });
        attentions(&targets, probing.interval, fund.as_ref(), self.at)
    }
}

/// A target and what came of its latest probes.
#[derive(Clone, Debug)]
pub struct TargetStatus {
    /// The target.
    pub target: Arc<Target>,
    /// Its latest outcome.
    pub last: Option<Arc<Outcome>>,
    /// What came of the latest probes, oldest first, at most [`RECENT_MAX`].
    pub recent: VecDeque<Bar>,
    /// The planned maintenance that its provider is in.
    pub planned: Option<Planned>,
}

/// As many outcomes as the page draws bars.
pub const RECENT_MAX: usize = 60;

/// As much of an outcome as a bar shows: whole ones would be most of the memory of many targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// What it counts as.
    pub class: SloClass,
    /// What came of it.
    pub error_type: ErrorType,
    /// When its result stood.
    pub finished: Timestamp,
}

impl TargetStatus {
    /// A target that was not asked yet.
    pub fn new(target: Arc<Target>) -> Self {
        Self { target, last: None, recent: VecDeque::with_capacity(RECENT_MAX), planned: None }
    }

    /// The target's name.
    pub fn id(&self) -> &TargetId {
        &self.target.id
    }

    /// Takes up an outcome.
    pub fn push(&mut self, outcome: Arc<Outcome>) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
        }
        let Outcome { class, error_type, finished, .. } = *outcome;
        self.recent.push_back(Bar { class, error_type, finished });
        self.last = Some(outcome);
    }
}

/// What an evaluation of a group came to, for whoever counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluated {
    /// What the group is known by, `file;name`: names repeat over files.
    pub group: String,
    /// How many of its rules failed.
    pub failures: u64,
    /// How many of its slots were skipped before.
    pub missed: u64,
}

/// A rule group and its rules.
#[derive(Clone, Debug)]
pub struct GroupStatus {
    /// Its name.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// How often it is evaluated.
    pub interval: Duration,
    /// The most alerts or series that one of its rules may make; 0 is no limit.
    pub limit: usize,
    /// When it was evaluated last.
    pub evaluated_at: Option<Timestamp>,
    /// How long that took.
    pub took: Duration,
    /// Its rules in order, with their alerts.
    pub rules: Vec<RuleStatus>,
}
