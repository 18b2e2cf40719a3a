//! The series of a route that nearly every request touches, found once.
//!
//! To find a series by its labels costs several times what counting in it does. These lie with what is
//! known of the routes, behind the lock that a reload takes, so that none of them outlives one. What
//! is rare (failures, retries) is found by its labels.

use prometheus::{Counter, Gauge, Histogram, IntCounter};

use super::probes::TOKEN_TYPES;
use crate::provider::Usage;
use crate::routing::{Arm, Surface};

/// Those of a route.
#[derive(Debug)]
pub(super) struct Usual {
    pub(super) overhead: Histogram,
    pub(super) stable: UsualOfArm,
    pub(super) candidate: UsualOfArm,
}

/// Those of one of its arms.
#[derive(Debug)]
pub(super) struct UsualOfArm {
    pub(super) in_flight: Gauge,
    /// Requests of which nothing but good came.
    pub(super) good: IntCounter,
    /// Attempts of which nothing but good came.
    pub(super) attempts: IntCounter,
    /// Answers of the class `2xx`.
    pub(super) successes: [(Surface, IntCounter); Surface::ALL.len()],
    pub(super) duration: Histogram,
    pub(super) ttft: Histogram,
    pub(super) tokens: [IntCounter; TOKEN_TYPES.len()],
    pub(super) cost: Counter,
    pub(super) unpriced: IntCounter,
}

impl Usual {
    /// Those of an arm.
    pub(super) fn arm(&self, arm: Arm) -> &UsualOfArm {
        match arm {
            Arm::Stable => &self.stable,
            Arm::Candidate => &self.candidate,
        }
    }
}

impl UsualOfArm {
    /// The counter of good answers at an interface.
    pub(super) fn success(&self, surface: Surface) -> Option<&IntCounter> {
        self.successes.iter().find(|(known, _)| *known == surface).map(|(_, counter)| counter)
    }

    /// Counts tokens, those of each kind that came.
    pub(super) fn used(&self, usage: &Usage) {
        let counts =
            [usage.input, usage.output, usage.cache_read, usage.cache_write, usage.reasoning];
        for (counter, count) in self.tokens.iter().zip(counts).filter(|(_, count)| *count > 0) {
            counter.inc_by(count);
        }
    }
}
