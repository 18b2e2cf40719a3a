//! A gate that counts bad outcomes.
//!
//! Probes are counted one by one. Traffic is judged by the means of its minutes where it speaks
//! against the candidate, since the errors of a minute share a cause and would otherwise count as
//! many witnesses; half of the chance of an error goes to a coarser test that sees an outage within
//! some minutes. Health is proved by single outcomes in both, behind the stage's floor.

use super::block::Arms;
use super::gates::{BRAKE, Stakes, Unit};
use super::standing::{Cause, Standing, Verdict};
use crate::statistics::{
    Grid, Impossible, Process, Proportion, Relative, Restarts, Test, Tick, Totals, interval,
};

/// Copies of a stage's test: one every 15 minutes of 4 hours for probes, every 30 for minutes.
const COPIES_OF_PROBES: usize = 16;
const COPIES_OF_MINUTES: usize = 8;
const COPIES_OF_OUTAGES: usize = 48;

/// The state of such a gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counted {
    allowed: Option<Proportion>,
    unit: Unit,
    samples_min: u64,
    display: Proportion,
    candidate: Tick,
    stable: Tick,
    /// Against the candidate, any of which suffices; none where it is only held against stable.
    bad: Vec<Test>,
    good: Option<Test>,
    /// Counted one by one, and not latched.
    brake: Option<Process>,
    stable_bad: Option<Test>,
    relative: Relative,
    /// Whether stable's evidence sufficed after the last block.
    stable_is_bad: bool,
    /// Whether the candidate failed while that was so: then only being worse than stable is its own
    /// fault, also after stable has recovered.
    failed_with_stable: bool,
}

impl Counted {
    /// Nothing is known yet. Without an allowed share it holds the candidate against stable alone.
    pub(super) fn new(allowed: Option<Proportion>, alpha: Proportion, stakes: &Stakes) -> Self {
        let restarts = |copies: usize| match stakes.planned_units {
            Some(units) => Restarts::Equal { copies, every: (units / copies as u64).max(1) },
            None => Restarts::OpenEnded { every: stakes.unit.in_half_an_hour() },
        };
        let against = |allowed: Proportion| {
            let half = alpha.part(0.5).unwrap_or(alpha);
            match (stakes.unit, Grid::outage(allowed)) {
                (Unit::Probe, _) => {
                    vec![Test::new(
                        Process::new(Grid::bad(allowed), restarts(COPIES_OF_PROBES)),
                        alpha,
                    )]
                }
                (Unit::Minute, Some(outage)) => vec![
                    Test::new(Process::new(Grid::bad(allowed), restarts(COPIES_OF_MINUTES)), half),
                    Test::new(Process::new(outage, restarts(COPIES_OF_OUTAGES)), half),
                ],
                (Unit::Minute, None) => vec![Test::new(
                    Process::new(Grid::bad(allowed), restarts(COPIES_OF_MINUTES)),
                    alpha,
                )],
            }
        };
        let once = |grid: Grid| Process::new(grid, Restarts::Never);
        Self {
            allowed,
            unit: stakes.unit,
            samples_min: stakes.samples_min,
            display: stakes.display,
            candidate: Tick::default(),
            stable: Tick::default(),
            bad: allowed.map(against).unwrap_or_default(),
            good: allowed.map(|allowed| Test::new(once(Grid::good(allowed)), stakes.advance)),
            brake: allowed
                .map(|allowed| Process::new(Grid::bad(allowed), restarts(COPIES_OF_PROBES))),
            stable_bad: allowed.map(|allowed| {
                Test::new(Process::new(Grid::bad(allowed), restarts(COPIES_OF_PROBES)), alpha)
            }),
            relative: Relative::new(alpha),
            stable_is_bad: false,
            failed_with_stable: false,
        }
    }

    /// Counts a block, or tells why it cannot be what happened.
    pub(super) fn observe(&mut self, arms: Arms) -> Result<(), Impossible> {
        let tick = |totals: Totals| Tick::new(totals.bad, totals.finished);
        let (candidate, stable) = (tick(arms.candidate)?, tick(arms.stable)?);
        let had_failed = self.has_failed();
        self.candidate = self.candidate.and(candidate);
        self.stable = self.stable.and(stable);
        for test in &mut self.bad {
            match (self.unit, candidate.mean()) {
                (Unit::Probe, _) => test.observe(candidate),
                (Unit::Minute, Some(mean)) => test.observe_mean(mean),
                (Unit::Minute, None) => {}
            }
        }
        self.good.iter_mut().for_each(|test| test.observe(candidate));
        self.brake.iter_mut().for_each(|process| process.observe(candidate));
        self.relative.observe(candidate, stable);
        if let Some(test) = &mut self.stable_bad {
            test.observe(stable);
            self.stable_is_bad = test.ln_evidence() >= test.alpha().threshold_ln();
        }
        self.failed_with_stable |= self.stable_is_bad && !had_failed && self.has_failed();
        Ok(())
    }

    fn has_failed(&self) -> bool {
        match self.allowed {
            Some(_) => self.bad.iter().any(Test::is_latched),
            None => self.relative.is_latched(),
        }
    }

    fn is_braked(&self) -> bool {
        let evidence = match &self.brake {
            Some(process) => process.ln_evidence(),
            None => self.relative.ln_evidence(),
        };
        evidence >= BRAKE.ln()
    }

    /// Whether stable is bad too, or was when the candidate failed, and the candidate is not shown to
    /// be worse.
    pub(super) fn is_common_cause(&self) -> bool {
        (self.stable_is_bad || self.failed_with_stable) && !self.relative.is_latched()
    }

    /// What it says, but for the blocks that were left out.
    pub(super) fn verdict(&self) -> Verdict {
        if self.has_failed() {
            return Verdict::Fail;
        }
        let least = match self.allowed {
            Some(_) => self.candidate.finished(),
            None => self.candidate.finished().min(self.stable.finished()),
        };
        if least == 0 {
            Verdict::Inconclusive(Cause::NoData)
        } else if self.is_braked() {
            Verdict::Inconclusive(Cause::Braked)
        } else if least < self.samples_min {
            Verdict::Inconclusive(Cause::TooFew)
        } else if self.good.as_ref().is_none_or(Test::is_latched) {
            // Nothing proves that the candidate is as good as stable; nothing says the contrary.
            Verdict::Pass
        } else {
            Verdict::Inconclusive(Cause::Undecided)
        }
    }

    /// How it stands, but for the blocks that were left out.
    pub(super) fn standing(&self, gate: &str) -> Standing {
        let verdict = self.verdict();
        let is_within = self.allowed.is_none_or(|allowed| {
            self.candidate.mean().is_some_and(|mean| mean.get() <= allowed.get())
        });
        let may_pass = matches!(verdict, Verdict::Pass | Verdict::Inconclusive(Cause::Undecided));
        // That test is shown which is nearest to its end.
        let nearest = self
            .bad
            .iter()
            .map(|test| (test.ln_evidence(), test.alpha().threshold_ln()))
            .max_by(|(a, a_end), (b, b_end)| (a - a_end).total_cmp(&(b - b_end)));
        let relative = (self.relative.ln_evidence(), self.relative.alpha().threshold_ln());
        let (ln_bad, ln_bad_threshold) = nearest.unwrap_or(relative);
        let pass_at = self.good.as_ref().and_then(Test::needed);
        let samples = self.samples_min.saturating_sub(self.candidate.finished());
        Standing {
            gate: gate.to_owned(),
            verdict,
            passes_on_time: may_pass && is_within,
            bad: self.candidate.bad(),
            finished: self.candidate.finished(),
            bounds: interval(self.candidate, self.display),
            ln_bad,
            ln_bad_threshold,
            ln_good: self.good.as_ref().map(Test::ln_evidence),
            ln_good_threshold: self.good.as_ref().map_or(0.0, |test| test.alpha().threshold_ln()),
            needed_to_pass: if self.good.is_some() {
                pass_at.map(|at| at.max(samples))
            } else {
                Some(samples)
            },
            needed_to_fail: self.bad.iter().filter_map(Test::needed).min(),
            value: None,
            rejected: 0,
            blocks: 0,
            is_common_cause: self.is_common_cause(),
        }
    }
}
