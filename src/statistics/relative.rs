//! Whether the candidate is worse than stable, whatever both suffer from.
//!
//! The 2×2 e-process of Turner, Ly and Grünwald: before each block the shares of bad outcomes are
//! guessed from the blocks before, and the guess that they differ is bet against the guess that they
//! are one. Where the candidate's guess is not the worse one nothing is staked, so it tests "the
//! candidate is at most as bad" alone. A common incident raises both shares and earns nothing.

use super::proportion::Proportion;
use super::tick::Tick;

/// What is added to each count, so that the first guess is a half: the value at which the authors
/// found the growth best.
const PRIOR: f64 = 0.18;

/// Evidence that the candidate is worse than stable, latched.
#[derive(Clone, Debug, PartialEq)]
pub struct Relative {
    alpha: Proportion,
    candidate: Tick,
    stable: Tick,
    ln_evidence: f64,
    is_latched: bool,
}

impl Relative {
    /// Nothing is known yet.
    pub fn new(alpha: Proportion) -> Self {
        let none = Tick::default();
        Self { alpha, candidate: none, stable: none, ln_evidence: 0.0, is_latched: false }
    }

    /// Counts a block of both arms, of the same time.
    pub fn observe(&mut self, candidate: Tick, stable: Tick) {
        let guess =
            |past: Tick| (past.bad() as f64 + PRIOR) / (past.finished() as f64 + 2.0 * PRIOR);
        let (worse, better) = (guess(self.candidate), guess(self.stable));
        // With one arm alone, both guesses are one.
        if worse > better && candidate.finished() > 0 && stable.finished() > 0 {
            let [of_candidate, of_stable] = [candidate, stable].map(|tick| tick.finished() as f64);
            let both = (of_candidate * worse + of_stable * better) / (of_candidate + of_stable);
            self.ln_evidence += won(candidate, worse, both) + won(stable, better, both);
        }
        self.candidate = self.candidate.and(candidate);
        self.stable = self.stable.and(stable);
        self.is_latched |= self.ln_evidence >= self.alpha.threshold_ln();
    }

    /// The evidence as it stands, as a logarithm.
    pub fn ln_evidence(&self) -> f64 {
        self.ln_evidence
    }

    /// Whether the evidence ever sufficed.
    pub fn is_latched(&self) -> bool {
        self.is_latched
    }

    /// The chance of an error.
    pub fn alpha(&self) -> Proportion {
        self.alpha
    }
}

fn won(tick: Tick, guess: f64, both: f64) -> f64 {
    tick.bad() as f64 * (guess / both).ln()
        + tick.good() as f64 * ((1.0 - guess) / (1.0 - both)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tick(bad: u64, finished: u64) -> Tick {
        Tick::new(bad, finished).unwrap()
    }

    fn relative() -> Relative {
        Relative::new(Proportion::new(0.01).unwrap())
    }

    #[test]
    fn evidence_is_that_of_the_reference() {
        let mut relative = relative();
        for (candidate, stable, expected) in [
            (0, 0, 0.0),
            (1, 0, 0.0),
            (1, 0, 0.570454753),
            (2, 0, 1.856066439),
            (1, 0, 2.533380175),
            (2, 1, 1.179822045),
        ] {
            relative.observe(tick(candidate, 10), tick(stable, 10));
            let found = relative.ln_evidence();
            assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        }
        assert!(!relative.is_latched());
    }

    #[test]
    fn an_outage_of_both_says_nothing_against_the_candidate() {
        let mut relative = relative();
        for _ in 0..1_000 {
            relative.observe(tick(8, 10), tick(8, 10));
            assert!(relative.ln_evidence() <= 0.0 && !relative.is_latched());
        }
    }

    #[test]
    fn one_arm_alone_says_nothing() {
        let mut relative = relative();
        relative.observe(tick(1, 1), tick(0, 1));
        (0..100).for_each(|_| relative.observe(tick(10, 10), tick(0, 0)));
        (0..100).for_each(|_| relative.observe(tick(0, 0), tick(0, 10)));
        assert_eq!(relative.ln_evidence(), 0.0);
    }

    #[test]
    fn evidence_against_the_candidate_is_latched() {
        let mut relative = relative();
        (0..20).for_each(|_| relative.observe(tick(5, 10), tick(0, 10)));
        assert!(relative.is_latched());
        (0..200).for_each(|_| relative.observe(tick(0, 10), tick(10, 10)));
        assert!(relative.is_latched());
        assert!(relative.ln_evidence() < 4.0, "{}", relative.ln_evidence());
    }
}
