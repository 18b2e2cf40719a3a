//! What came of the requests of one tick, or of one block of a minute.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// How many outcomes were finished, and how many of them were bad. Never more bad than finished.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tick {
    bad: u64,
    finished: u64,
}

/// Counters as they stand at one instant; both only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// How many outcomes were bad so far.
    pub bad: u64,
    /// How many were finished so far.
    pub finished: u64,
}

/// A mean of outcomes that lie between 0 (good) and 1 (bad).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Mean(f64);

/// Why counts cannot be what happened. Such a tick is left out, and nothing is decided by it.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum Impossible {
    /// More bad outcomes than outcomes.
    #[error("{bad} of {finished} outcomes were bad")]
    MoreBadThanFinished {
        /// How many were said to be bad.
        bad: u64,
        /// Of how many.
        finished: u64,
    },
    /// A counter stands lower than it did.
    #[error("a counter went back from {from} to {to}")]
    WentBack {
        /// What it stood at.
        from: u64,
        /// What it stands at.
        to: u64,
    },
    /// A mean that outcomes between 0 and 1 cannot have.
    #[error("a mean of outcomes between 0 and 1 is `{0}`")]
    Mean(f64),
}

impl Tick {
    /// Checks counts.
    pub fn new(bad: u64, finished: u64) -> Result<Self, Impossible> {
        if bad <= finished {
            Ok(Self { bad, finished })
        } else {
            Err(Impossible::MoreBadThanFinished { bad, finished })
        }
    }

    /// What happened between two readings of the same counters.
    pub fn between(earlier: Totals, later: Totals) -> Result<Self, Impossible> {
        let grown =
            |from: u64, to: u64| to.checked_sub(from).ok_or(Impossible::WentBack { from, to });
        Self::new(grown(earlier.bad, later.bad)?, grown(earlier.finished, later.finished)?)
    }

    /// How many outcomes were bad.
    pub fn bad(self) -> u64 {
        self.bad
    }

    /// How many were finished.
    pub fn finished(self) -> u64 {
        self.finished
    }

    /// How many were good.
    pub fn good(self) -> u64 {
        self.finished - self.bad
    }

    /// Both together. Stops at the largest number there is.
    pub fn and(self, other: Self) -> Self {
        let bad = self.bad.saturating_add(other.bad);
        Self { bad, finished: bad.saturating_add(self.good().saturating_add(other.good())) }
    }

    /// The share of bad outcomes; `None` where there were none at all.
    pub fn mean(self) -> Option<Mean> {
        (self.finished > 0).then(|| Mean(self.bad as f64 / self.finished as f64))
    }
}

impl Mean {
    /// Checks a mean; NaN is none.
    pub fn new(mean: f64) -> Result<Self, Impossible> {
        if (0.0..=1.0).contains(&mean) { Ok(Self(mean)) } else { Err(Impossible::Mean(mean)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bad_than_finished_is_rejected() {
        let wrong = Tick::new(3, 2).unwrap_err();
        assert_eq!(wrong, Impossible::MoreBadThanFinished { bad: 3, finished: 2 });
        assert_eq!(wrong.to_string(), "3 of 2 outcomes were bad");
    }

    #[test]
    fn a_counter_that_goes_back_is_rejected() {
        let at = |bad, finished| Totals { bad, finished };
        assert_eq!(Tick::between(at(3, 90), at(5, 100)), Tick::new(2, 10));
        let wrong = Tick::between(at(3, 90), at(2, 100));
        assert_eq!(wrong, Err(Impossible::WentBack { from: 3, to: 2 }));
        let wrong = Tick::between(at(3, 90), at(3, 89));
        assert_eq!(wrong, Err(Impossible::WentBack { from: 90, to: 89 }));
        // Each grew, and yet four of three cannot be.
        let wrong = Tick::between(at(3, 90), at(7, 93));
        assert_eq!(wrong, Err(Impossible::MoreBadThanFinished { bad: 4, finished: 3 }));
    }

    #[test]
    fn a_mean_outside_0_to_1_or_not_a_number_is_rejected() {
        for wrong in [-0.001, 1.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(Mean::new(wrong).is_err(), "{wrong}");
        }
        assert!(Mean::new(0.0).is_ok() && Mean::new(1.0).is_ok());
        assert_eq!(Tick::default().mean(), None);
    }

    #[test]
    fn sums_stop_at_the_largest_number() {
        let huge = Tick::new(u64::MAX - 1, u64::MAX).unwrap();
        let sum = huge.and(huge);
        assert_eq!((sum.bad(), sum.finished(), sum.good()), (u64::MAX, u64::MAX, 0));
    }
}
