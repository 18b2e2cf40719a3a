//! A gate on what a request costs on average.
//!
//! Each block's mean, as a share of the ceiling, is an outcome between 0 and 1. What is above the
//! ceiling counts as the ceiling: that can only weaken the evidence against the candidate.

use super::gates::{BRAKE, Stakes};
use super::standing::{Cause, Standing, Verdict};
use crate::model::Money;
use crate::statistics::{
    Grid, Impossible, Interval, Mean, Process, Proportion, ProportionError, Restarts, Test,
};

const COPIES: usize = 8;

/// The state of such a gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cost {
    ceiling: Money,
    mean_max: Money,
    samples_min: u64,
    spent: Money,
    finished: u64,
    bad: Test,
    good: Test,
}

impl Cost {
    /// Nothing is known yet. Fails where the allowed mean is nothing, or not below the ceiling.
    pub(super) fn new(
        (mean_max, ceiling): (Money, Money),
        alpha: Proportion,
        stakes: &Stakes,
    ) -> Result<Self, ProportionError> {
        let allowed = Proportion::new(mean_max.nanos() as f64 / ceiling.nanos() as f64)?;
        let restarts = match stakes.planned_units {
            Some(units) => {
                Restarts::Equal { copies: COPIES, every: (units / COPIES as u64).max(1) }
            }
            None => Restarts::OpenEnded { every: stakes.unit.in_half_an_hour() },
        };
        Ok(Self {
            ceiling,
            mean_max,
            samples_min: stakes.samples_min,
            spent: Money::ZERO,
            finished: 0,
            bad: Test::new(Process::new(Grid::bad(allowed), restarts), alpha),
            good: Test::new(Process::new(Grid::good(allowed), Restarts::Never), stakes.advance),
        })
    }

    /// Counts a block. Money without a request cannot be.
    pub(super) fn observe(&mut self, spent: Money, finished: u64) -> Result<(), Impossible> {
        if finished == 0 {
            let nothing = spent == Money::ZERO;
            return if nothing { Ok(()) } else { Err(Impossible::Mean(f64::INFINITY)) };
        }
        let mean = spent.nanos() as f64 / finished as f64 / self.ceiling.nanos() as f64;
        let mean = Mean::new(mean.min(1.0))?;
        self.spent += spent;
        self.finished = self.finished.saturating_add(finished);
        self.bad.observe_mean(mean);
        self.good.observe_mean(mean);
        Ok(())
    }

    /// What it says, but for the blocks that were left out.
    pub(super) fn verdict(&self) -> Verdict {
        if self.bad.is_latched() {
            Verdict::Fail
        } else if self.finished == 0 {
            Verdict::Inconclusive(Cause::NoData)
        } else if self.bad.ln_evidence() >= BRAKE.ln() {
            Verdict::Inconclusive(Cause::Braked)
        } else if self.finished < self.samples_min {
            Verdict::Inconclusive(Cause::TooFew)
        } else if self.good.is_latched() {
            Verdict::Pass
        } else {
            Verdict::Inconclusive(Cause::Undecided)
        }
    }

    /// How it stands, but for the blocks that were left out.
    pub(super) fn standing(&self, gate: &str) -> Standing {
        let mean = self.spent.nanos() as f64 / self.finished.max(1) as f64;
        let verdict = self.verdict();
        let may_pass = matches!(verdict, Verdict::Pass | Verdict::Inconclusive(Cause::Undecided));
        Standing {
            gate: gate.to_owned(),
            verdict,
            passes_on_time: may_pass && mean <= self.mean_max.nanos() as f64,
            bad: 0,
            finished: 0,
            bounds: Interval { lower: 0.0, upper: 1.0 },
            ln_bad: self.bad.ln_evidence(),
            ln_bad_threshold: self.bad.alpha().threshold_ln(),
            ln_good: Some(self.good.ln_evidence()),
            ln_good_threshold: self.good.alpha().threshold_ln(),
            needed_to_pass: self.good.needed(),
            needed_to_fail: self.bad.needed(),
            value: (self.finished > 0).then_some(mean / 1e9),
            rejected: 0,
            blocks: 0,
            is_common_cause: false,
        }
    }
}
