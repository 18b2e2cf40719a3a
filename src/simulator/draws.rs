//! The chance in an answer, drawn from a seed.
//!
//! Each question has a generator of its own, from the seed and the question's number: how many
//! numbers one answer needed does not change the next, nor does the order in which answers end.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::Share;

/// The numbers for one answer.
#[derive(Debug)]
pub(super) struct Draws {
    /// From 0 to 1: which fault strikes.
    pub fault: f64,
    /// From 0 to 1: whether the answer is slow.
    pub slow: f64,
    generator: StdRng,
}

impl Draws {
    /// The numbers for the question of this number.
    pub fn of(seed: u64, number: u64) -> Self {
        // An odd multiplier keeps neighboring numbers apart: 2^64 divided by the golden ratio.
        let mixed = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut generator = StdRng::seed_from_u64(mixed);
        Self { fault: generator.random(), slow: generator.random(), generator }
    }

    /// A time made longer or shorter by up to a part of itself.
    pub fn jittered(&mut self, time: Duration, jitter: Share) -> Duration {
        let swing: f64 = self.generator.random_range(-1.0..=1.0);
        // At most twice a time that is at most a year: no overflow.
        time.mul_f64(1.0 + swing * jitter.part())
    }
}
