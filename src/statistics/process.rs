//! Evidence that grows with the ticks of a stage, and that later trouble is not charged against
//! earlier health.
//!
//! Hours of good outcomes lower the evidence for trouble, and a break after them would have to earn
//! that back first. So copies of the process start at equal offsets of the stage; each has a share
//! of the stake, which lies idle (evidence 1) until its start. A mix of e-processes is one, so the
//! error rate stays what it is.
//!
//! A tick counts either by its outcomes one by one, or by their mean as a single outcome between 0
//! and 1. The second is for traffic: outcomes of one minute share their fate.

use super::grid::{Grid, ln_sum};
use super::tick::{Mean, Tick};

/// A stage that is open-ended starts no more copies than this; the rest of the stake lies idle.
const COPIES_MAX: usize = 64;

/// When copies of a process start.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Restarts {
    /// Only at the beginning.
    Never,
    /// At the beginning with half of the stake, and `copies − 1` times more with equal parts of the
    /// rest.
    Equal {
        /// How many there are in all; fewer than two are one.
        copies: usize,
        /// After how many ticks the next starts; at least one.
        every: u64,
    },
    /// Without an end: the one that starts as number `j` has `1/((j+1)(j+2))` of the stake.
    OpenEnded {
        /// After how many ticks the next starts; at least one.
        every: u64,
    },
}

/// Evidence against a hypothesis about the share of bad outcomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Process {
    grid: Grid,
    restarts: Restarts,
    /// How many ticks with an outcome it has seen.
    ticks: u64,
    /// Those that started, oldest first.
    copies: Vec<Account>,
}

/// What one copy has seen since its start.
#[derive(Clone, Debug, PartialEq)]
struct Account {
    counts: Tick,
    /// For each bet, what the means added to the logarithm of its wealth.
    means_ln: Vec<f64>,
}

impl Restarts {
    fn copies_max(self) -> usize {
        match self {
            Self::Never => 1,
            Self::Equal { copies, .. } => copies.clamp(1, COPIES_MAX),
            Self::OpenEnded { .. } => COPIES_MAX,
        }
    }

    /// How much of the stake the copy of that number has.
    fn weight(self, number: usize) -> f64 {
        match self {
            Self::Never => 1.0,
            Self::Equal { .. } => match (self.copies_max(), number) {
                (1, _) => 1.0,
                (_, 0) => 0.5,
                (copies, _) => 0.5 / (copies - 1) as f64,
            },
            Self::OpenEnded { .. } => 1.0 / ((number + 1) * (number + 2)) as f64,
        }
    }

    fn is_due(self, ticks: u64, started: usize) -> bool {
        match self {
            Self::Never => started == 0,
            Self::Equal { every, .. } | Self::OpenEnded { every } => {
                started < self.copies_max() && ticks / every.max(1) >= started as u64
            }
        }
    }
}

impl Process {
    /// No evidence yet.
    pub fn new(grid: Grid, restarts: Restarts) -> Self {
        Self { grid, restarts, ticks: 0, copies: Vec::new() }
    }

    /// Counts each outcome of a tick. A tick without any says nothing and counts as none.
    pub fn observe(&mut self, tick: Tick) {
        if tick.finished() == 0 {
            return;
        }
        self.start();
        for copy in &mut self.copies {
            copy.counts = copy.counts.and(tick);
        }
    }

    /// Counts a block as one outcome between 0 and 1.
    pub fn observe_mean(&mut self, mean: Mean) {
        self.start();
        for (number, bet) in self.grid.bets().iter().enumerate() {
            let won = bet.mean_ln(self.grid.null(), mean);
            self.copies.iter_mut().for_each(|copy| copy.means_ln[number] += won);
        }
    }

    /// Starts the copy that is due before the next tick.
    fn start(&mut self) {
        if self.restarts.is_due(self.ticks, self.copies.len()) {
            let means_ln = vec![0.0; self.grid.bets().len()];
            self.copies.push(Account { counts: Tick::default(), means_ln });
        }
        self.ticks = self.ticks.saturating_add(1);
    }

    /// The evidence, as a logarithm; 0 at first.
    pub fn ln_evidence(&self) -> f64 {
        self.ln_evidence_after(0, 0)
    }

    /// What the evidence would be after so many more outcomes, without further restarts.
    pub(super) fn ln_evidence_after(&self, bad: u64, good: u64) -> f64 {
        if self.copies.is_empty() {
            let first = self.restarts.weight(0);
            let idle = (first < 1.0).then(|| (1.0 - first).ln());
            let bets = first.ln() + self.grid.ln_evidence(bad, good);
            return ln_sum([Some(bets), idle].into_iter().flatten());
        }
        let wealth = self.copies.iter().enumerate().map(|(number, copy)| {
            let bad = copy.counts.bad().saturating_add(bad) as f64;
            let good = copy.counts.good().saturating_add(good) as f64;
            let bets = self.grid.bets().iter().zip(&copy.means_ln);
            let bets =
                bets.map(|(bet, won)| bet.weight_ln + bad * bet.bad_ln + good * bet.good_ln + won);
            self.restarts.weight(number).ln() + ln_sum(bets)
        });
        let staked: f64 = (0..self.copies.len()).map(|number| self.restarts.weight(number)).sum();
        // What rounding leaves of a stake that is all out is not idle.
        let idle = 1.0 - staked;
        let idle = (idle > 1e-12).then(|| idle.ln());
        ln_sum(wealth.chain(idle).collect::<Vec<f64>>().into_iter())
    }

    /// The hypothesis and the bets.
    pub fn grid(&self) -> &Grid {
        &self.grid
    }
}

#[cfg(test)]
mod tests {
    use super::super::proportion::Proportion;
    use super::*;

    fn bad(restarts: Restarts) -> Process {
        Process::new(Grid::bad(Proportion::new(0.01).unwrap()), restarts)
    }

    fn tick(bad: u64, finished: u64) -> Tick {
        Tick::new(bad, finished).unwrap()
    }

    fn mean(mean: f64) -> Mean {
        Mean::new(mean).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
    }

    #[test]
    fn means_give_the_evidence_of_the_reference() {
        let mut process = bad(Restarts::Never);
        for x in [0.0, 0.0, 0.1, 0.2, 0.0, 0.5] {
            process.observe_mean(mean(x));
        }
        close(process.ln_evidence(), 2.824697480);
        let mut process = bad(Restarts::Never);
        (0..2).for_each(|_| process.observe_mean(mean(1.0)));
        close(process.ln_evidence(), 5.303582854);
    }

    #[test]
    fn means_of_single_outcomes_are_what_their_counts_are() {
        let (mut means, mut counts) = (bad(Restarts::Never), bad(Restarts::Never));
        for number in 0..1_000_u64 {
            let is_bad = u64::from(number % 33 == 0);
            means.observe_mean(mean(is_bad as f64));
            counts.observe(tick(is_bad, 1));
        }
        close(means.ln_evidence(), counts.ln_evidence());
    }

    #[test]
    fn without_outcomes_the_evidence_is_nothing_exactly() {
        for restarts in [
            Restarts::Never,
            Restarts::Equal { copies: 8, every: 30 },
            Restarts::OpenEnded { every: 30 },
        ] {
            let mut process = bad(restarts);
            assert_eq!(process.ln_evidence(), 0.0);
            (0..100).for_each(|_| process.observe(Tick::default()));
            assert_eq!(process.ln_evidence(), 0.0);
        }
    }

    /// By hand: `E = ½·E(first) + ½·E(second)` with two copies, of which the second is 1 until its
    /// start. E(1/1) is 7.0025 and E(2/2) is 201.06 by the reference table.
    #[test]
    fn a_copy_lies_idle_until_its_start() {
        let mut process = bad(Restarts::Equal { copies: 2, every: 1 });
        process.observe(tick(1, 1));
        close(process.ln_evidence(), (0.5 * 1.946269995_f64.exp() + 0.5).ln());
        process.observe(tick(1, 1));
        let expected = 0.5 * 5.303582854_f64.exp() + 0.5 * 1.946269995_f64.exp();
        assert!((process.ln_evidence() - expected.ln()).abs() < 2e-9);
    }

    #[test]
    fn open_ended_copies_have_shrinking_parts_and_a_bound() {
        let mut process = bad(Restarts::OpenEnded { every: 1 });
        process.observe(tick(1, 1));
        close(process.ln_evidence(), (0.5 * 1.946269995_f64.exp() + 0.5).ln());
        process.observe(tick(1, 1));
        let expected =
            0.5 * 5.303582854_f64.exp() + 1.946269995_f64.exp() / 6.0 + (1.0 - 0.5 - 1.0 / 6.0);
        assert!((process.ln_evidence() - expected.ln()).abs() < 2e-9);
        (0..1_000).for_each(|_| process.observe(tick(0, 1)));
        assert_eq!(process.copies.len(), COPIES_MAX);
        // Ages of good outcomes cannot lower the evidence below the stake that lies idle.
        assert!(process.ln_evidence() >= (1.0 / 65.0_f64).ln());
    }

    /// Counts of 600 good ticks, then every second outcome is bad. Without restarts the good ones
    /// have to be earned back first.
    #[test]
    fn restarts_see_a_late_break_sooner() {
        let delay = |restarts| {
            let mut process = bad(restarts);
            (0..480).for_each(|_| process.observe(tick(0, 10)));
            (1..200).find(|_| {
                process.observe(tick(2, 10));
                process.ln_evidence() >= 100.0_f64.ln()
            })
        };
        let (without, with) =
            (delay(Restarts::Never), delay(Restarts::Equal { copies: 16, every: 60 }));
        assert!(with.unwrap() * 4 < without.unwrap(), "{with:?} {without:?}");
    }

    #[test]
    fn the_same_ticks_give_the_same_bits() {
        let play = || {
            let mut process = bad(Restarts::Equal { copies: 16, every: 7 });
            let mut bits = Vec::new();
            for number in 0..500_u64 {
                process.observe(tick(number % 3, 10 + number % 5));
                process.observe_mean(mean((number % 11) as f64 / 100.0));
                bits.push(process.ln_evidence().to_bits());
            }
            bits
        };
        assert_eq!(play(), play());
    }

    #[test]
    fn counts_give_the_same_bits_however_they_are_cut_into_ticks() {
        let (mut whole, mut parts) = (bad(Restarts::Never), bad(Restarts::Never));
        whole.observe(tick(5, 1_000));
        (0..5).for_each(|_| parts.observe(tick(1, 200)));
        assert_eq!(whole.ln_evidence().to_bits(), parts.ln_evidence().to_bits());
    }
}
