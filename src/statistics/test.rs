//! A test that, once passed, stays passed.

use super::process::Process;
use super::proportion::Proportion;
use super::tick::{Mean, Tick};

/// A process, and the chance at which its evidence counts. The first time that the evidence reaches
/// `1/α` is what the error rate is about, so it is latched: later ticks cannot take it back.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    process: Process,
    alpha: Proportion,
    is_latched: bool,
}

/// No run of outcomes is longer.
const OUTCOMES_MAX: u64 = 1 << 40;

impl Test {
    /// Nothing is known yet.
    pub fn new(process: Process, alpha: Proportion) -> Self {
        Self { process, alpha, is_latched: false }
    }

    /// Counts each outcome of a tick.
    pub fn observe(&mut self, tick: Tick) {
        self.process.observe(tick);
        self.latch();
    }

    /// Counts a block as one outcome between 0 and 1.
    pub fn observe_mean(&mut self, mean: Mean) {
        self.process.observe_mean(mean);
        self.latch();
    }

    fn latch(&mut self) {
        self.is_latched |= self.process.ln_evidence() >= self.alpha.threshold_ln();
    }

    /// Whether the evidence ever sufficed.
    pub fn is_latched(&self) -> bool {
        self.is_latched
    }

    /// The evidence as it stands, as a logarithm.
    pub fn ln_evidence(&self) -> f64 {
        self.process.ln_evidence()
    }

    /// The chance of an error.
    pub fn alpha(&self) -> Proportion {
        self.alpha
    }

    /// How many more outcomes latch it at the soonest: all bad where it tests for trouble, all good
    /// where it tests for health. For blocks, so many blocks. `None` where more than a trillion.
    pub fn needed(&self) -> Option<u64> {
        if self.is_latched {
            return Some(0);
        }
        let is_against = self.process.grid().is_against();
        let suffices = |outcomes: u64| {
            let (bad, good) = if is_against { (outcomes, 0) } else { (0, outcomes) };
            self.process.ln_evidence_after(bad, good) >= self.alpha.threshold_ln()
        };
        let mut enough = 1;
        while !suffices(enough) {
            enough *= 2;
            if enough > OUTCOMES_MAX {
                return None;
            }
        }
        let (mut few, mut enough) = (enough / 2, enough);
        while few + 1 < enough {
            let middle = few.midpoint(enough);
            if suffices(middle) { enough = middle } else { few = middle }
        }
        Some(enough)
    }
}

#[cfg(test)]
mod tests {
    use super::super::grid::Grid;
    use super::super::process::Restarts;
    use super::*;

    fn proportion(number: f64) -> Proportion {
        Proportion::new(number).unwrap()
    }

    fn test(grid: Grid, alpha: f64) -> Test {
        Test::new(Process::new(grid, Restarts::Never), proportion(alpha))
    }

    fn tick(bad: u64, finished: u64) -> Tick {
        Tick::new(bad, finished).unwrap()
    }

    #[test]
    fn later_good_outcomes_do_not_take_a_latched_rollback_back() {
        let mut bad = test(Grid::bad(proportion(0.01)), 0.01);
        bad.observe(tick(1, 1));
        assert!(!bad.is_latched());
        bad.observe(tick(1, 1));
        assert!(bad.is_latched());
        bad.observe(tick(0, 100_000));
        assert!(bad.is_latched() && bad.ln_evidence() < 0.0);
        assert_eq!(bad.needed(), Some(0));
    }

    #[test]
    fn no_outcomes_neither_pass_nor_fail() {
        let (bad, good) =
            (test(Grid::bad(proportion(0.01)), 0.01), test(Grid::good(proportion(0.01)), 0.05));
        for mut test in [bad, good] {
            (0..10_000).for_each(|_| test.observe(Tick::default()));
            assert!(!test.is_latched());
            assert_eq!(test.ln_evidence(), 0.0);
        }
    }

    #[test]
    fn health_is_proved_by_421_good_outcomes_and_not_by_420() {
        let mut good = test(Grid::good(proportion(0.01)), 0.05);
        assert_eq!(good.needed(), Some(421));
        good.observe(tick(0, 420));
        assert!(!good.is_latched());
        assert_eq!(good.needed(), Some(1));
        good.observe(tick(0, 1));
        assert!(good.is_latched());
    }

    /// The least numbers of outcomes without an error that prove a share below `p0`.
    #[test]
    fn zero_error_samples_are_those_of_the_reference() {
        for (p0, at_5_percent, at_1_percent) in [
            (0.0005, 8_451, 12_421),
            (0.001, 4_225, 6_209),
            (0.005, 844, 1_240),
            (0.01, 421, 619),
            (0.02, 210, 308),
            (0.05, 83, 122),
            (0.1, 41, 60),
        ] {
            for (alpha, expected) in [(0.05, at_5_percent), (0.01, at_1_percent)] {
                let needed = test(Grid::good(proportion(p0)), alpha).needed();
                assert_eq!(needed, Some(expected), "{p0} at {alpha}");
            }
        }
    }

    #[test]
    fn all_failing_requests_that_roll_back_are_those_of_the_reference() {
        for (p0, expected) in [(0.001, 2), (0.005, 2), (0.01, 2), (0.02, 3), (0.05, 3), (0.1, 4)] {
            assert_eq!(test(Grid::bad(proportion(p0)), 0.01).needed(), Some(expected), "{p0}");
        }
    }
}
