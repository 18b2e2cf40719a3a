//! What a release is to do, sealed at its start.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::{TargetId, format_duration};
use crate::release::gate::{Gate, Gates, Stakes, Unit};
use crate::statistics::{Proportion, ProportionError};

/// A release as the configuration describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Which edition of it; each start needs a higher one.
    pub generation: u64,
    /// The targets that traffic comes from, and goes back to.
    pub stable: Vec<TargetId>,
    /// The targets that traffic goes to.
    pub candidate: Vec<TargetId>,
    /// Its stages, each with more traffic than the one before.
    pub stages: Vec<Stage>,
    /// What has to hold in each.
    pub gates: Vec<Gate>,
    /// On what a stage may pass.
    pub advance_on: AdvanceOn,
    /// The chance that a stage rolls a candidate back that is within its limits.
    pub rollback_alpha: Proportion,
    /// The chance that a stage passes early though a limit is exceeded.
    pub advance_alpha: Proportion,
    /// What a block is.
    pub unit: Unit,
    /// How long a block lasts.
    pub unit_length: Duration,
    /// How long it may be silent before people are told.
    pub no_data_after: Duration,
    /// How long after the last stage trouble still rolls back.
    pub bake: Duration,
    /// How long going back may take before it counts as not verified.
    pub rollback_deadline: Duration,
    /// How many rollbacks there may be in 24 hours.
    pub rollbacks_daily_max: u32,
    /// A stage with a larger share begins only after a good drill of its rollback.
    pub drill_above: u8,
    /// A stage with a larger share begins only once somebody else than who started it says so.
    pub approval_above: Option<u8>,
}

/// A stage of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// The candidate's part of the traffic, in percent.
    pub share: u8,
    /// It does not pass sooner, whatever the evidence.
    pub floor: Duration,
    /// After this it may pass on time.
    pub hold: Duration,
    /// After this it pauses.
    pub deadline: Duration,
    /// The fewest outcomes with which it passes.
    pub samples_min: u64,
}

/// On what a stage may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdvanceOn {
    /// Whichever is first.
    Either,
    /// Evidence for the candidate alone.
    Evidence,
    /// Time without evidence against it alone.
    Time,
}

/// Why a plan cannot be carried out.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// There is nothing to do.
    #[error("it has no stages")]
    NoStages,
    /// Nothing would ever hold it back.
    #[error("it has no gates, so no stage would ever pass")]
    NoGates,
    /// A share that is no percentage above 0.
    #[error("stage {stage}: `{share}` percent of the traffic is not from 1 to 100")]
    Share {
        /// Which, from 1.
        stage: usize,
        /// Its share.
        share: u8,
    },
    /// A stage with no more traffic than the one before.
    #[error("stage {stage}: `{share}` percent is not above the {before} of the stage before")]
    Order {
        /// Which, from 1.
        stage: usize,
        /// Its share.
        share: u8,
        /// That of the one before.
        before: u8,
    },
    /// It would pause before it may pass.
    #[error(
        "stage {stage}: the {what} `{}` is not below the deadline `{}`",
        format_duration(*wait),
        format_duration(*deadline)
    )]
    Deadline {
        /// Which, from 1.
        stage: usize,
        /// What is too long.
        what: &'static str,
        /// How long it is.
        wait: Duration,
        /// The deadline.
        deadline: Duration,
    },
    /// A limit that cannot be tested.
    #[error("a gate's limit {0}")]
    Limit(#[source] ProportionError),
}

/// A plan that can be carried out. It does not change any more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Plan", into = "Plan")]
pub struct Sealed(Arc<Plan>);

impl Deref for Sealed {
    type Target = Plan;
    fn deref(&self) -> &Plan {
        &self.0
    }
}

impl TryFrom<Plan> for Sealed {
    type Error = PlanError;
    fn try_from(plan: Plan) -> Result<Self, PlanError> {
        plan.seal()
    }
}

impl From<Sealed> for Plan {
    fn from(sealed: Sealed) -> Self {
        Self::clone(&sealed)
    }
}

impl Plan {
    /// Checks it and seals it.
    pub fn seal(self) -> Result<Sealed, PlanError> {
        if self.stages.is_empty() {
            return Err(PlanError::NoStages);
        }
        if self.gates.is_empty() {
            return Err(PlanError::NoGates);
        }
        let mut before = 0;
        for (number, stage) in (1..).zip(&self.stages) {
            stage.check(number, before, self.advance_on)?;
            before = stage.share;
        }
        let stakes = self.stakes(Some(1), 1);
        Gates::new(&self.gates, &stakes).map_err(PlanError::Limit)?;
        Ok(Sealed(Arc::new(self)))
    }

    fn stakes(&self, planned_units: Option<u64>, samples_min: u64) -> Stakes {
        Stakes {
            rollback: self.rollback_alpha,
            advance: self.advance_alpha,
            display: self.advance_alpha,
            unit: self.unit,
            planned_units,
            samples_min,
        }
    }
}

impl Stage {
    fn check(self, number: usize, before: u8, advance_on: AdvanceOn) -> Result<(), PlanError> {
        let (stage, share) = (number, self.share);
        if !(1..=100).contains(&share) {
            return Err(PlanError::Share { stage, share });
        }
        if share <= before {
            return Err(PlanError::Order { stage, share, before });
        }
        let waits = match advance_on {
            AdvanceOn::Evidence => vec![("floor", self.floor)],
            AdvanceOn::Time | AdvanceOn::Either => {
                vec![("floor", self.floor), ("hold", self.hold)]
            }
        };
        match waits.into_iter().find(|(_, wait)| *wait >= self.deadline) {
            Some((what, wait)) => {
                Err(PlanError::Deadline { stage, what, wait, deadline: self.deadline })
            }
            None => Ok(()),
        }
    }
}

impl Sealed {
    /// Gates of a stage, about which nothing is known yet.
    pub(super) fn gates_of(&self, stage: &Stage) -> Gates {
        let units = stage.hold.as_nanos() / self.unit_length.as_nanos().max(1);
        let planned = u64::try_from(units).unwrap_or(u64::MAX);
        self.build(&self.stakes(Some(planned), stage.samples_min))
    }

    /// Gates without a planned end.
    pub(super) fn gates_without_end(&self) -> Gates {
        self.build(&self.stakes(None, 1))
    }

    fn build(&self, stakes: &Stakes) -> Gates {
        Gates::new(&self.gates, stakes).expect("gates were built once, in Plan::seal")
    }
}
