//! Whether a stage has passed.

use super::action::{Basis, Hold};
use super::evidence::Evidence;
use super::plan::AdvanceOn;
use super::state::Run;
use crate::model::Timestamp;
use crate::release::gate::{Ruling, Standing, Verdict};

/// What is said of a stage.
pub(super) enum Judgement {
    /// It has passed.
    Passed(Basis),
    /// It has not.
    Held(Hold),
    /// It has not, for this reason, and its time is over.
    Overdue(Hold),
}

impl Run {
    /// Judges the stage; nothing has failed.
    pub(super) fn judge(
        &self,
        standings: &[Standing],
        evidence: &Evidence,
        now: Timestamp,
    ) -> Judgement {
        if let Some(maintenance) = &evidence.maintenance {
            return Judgement::Held(Hold::Maintenance(maintenance.clone()));
        }
        if let Some(freeze) = &evidence.freeze {
            return Judgement::Held(Hold::Frozen(freeze.clone()));
        }
        let (stage, waited) = (self.stage(), now.since(self.since));
        let held = if evidence.doubt.is_some() {
            Hold::Untrusted
        } else if self.is_silent(now) {
            Hold::NoData
        } else {
            match self.basis(standings, waited >= stage.floor, waited >= stage.hold) {
                Ok(basis) => match self.barred(evidence) {
                    None => return Judgement::Passed(basis),
                    // It waits for a person, who may take all the time there is.
                    Some(hold) => return Judgement::Held(hold),
                },
                Err(hold) => hold,
            }
        };
        let deadline = stage.deadline.saturating_add(self.frozen);
        if waited >= deadline { Judgement::Overdue(held) } else { Judgement::Held(held) }
    }

    fn basis(
        &self,
        standings: &[Standing],
        floor_is_over: bool,
        hold_is_over: bool,
    ) -> Result<Basis, Hold> {
        if !floor_is_over {
            return Err(Hold::TooSoon);
        }
        let (evidence_counts, time_counts) = match self.plan.advance_on {
            AdvanceOn::Either => (true, true),
            AdvanceOn::Evidence => (true, false),
            AdvanceOn::Time => (false, true),
        };
        if evidence_counts && self.gates.ruling() == Ruling::Pass {
            return Ok(Basis::Evidence);
        }
        let open = standings.iter().find(|standing| !standing.passes_on_time);
        match open {
            None if time_counts && hold_is_over => Ok(Basis::Time),
            None if time_counts => Err(Hold::TooSoon),
            Some(standing) => Err(Hold::Gate(standing.gate.clone())),
            None => Err(standings
                .iter()
                .find(|standing| standing.verdict != Verdict::Pass)
                .map_or(Hold::TooSoon, |standing| Hold::Gate(standing.gate.clone()))),
        }
    }

    /// Whether nothing was heard of the candidate for longer than it may be silent.
    pub(super) fn is_silent(&self, now: Timestamp) -> bool {
        now.since(self.outcome_at) > self.plan.no_data_after
    }

    /// Why the next stage may not begin, whatever the evidence.
    pub(super) fn barred(&self, evidence: &Evidence) -> Option<Hold> {
        let share = self.next_stage()?.share;
        if share > self.plan.drill_above
            && let Some(why) = &evidence.undrilled
        {
            return Some(Hold::Drill(why.clone()));
        }
        let wants_word = self.plan.approval_above.is_some_and(|above| share > above);
        (wants_word && self.approved_by.is_none()).then_some(Hold::Approval)
    }
}
