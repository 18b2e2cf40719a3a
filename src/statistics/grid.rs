//! The bets of a betting e-process: a few odds factors with weights.
//!
//! A factor `r` bets that bad outcomes come at `r` times the allowed odds: `q = p0·r / (1 − p0 +
//! p0·r)`. Factors above 1 win while there are too many bad outcomes, those below 1 while there are
//! clearly fewer than allowed. The weights share out one unit of stake. A mix over a fixed grid was
//! preferred to the closed form over all factors: that one is a ratio of incomplete Beta functions,
//! which underflows for extreme counts and then takes a broken candidate for a healthy one.

use super::proportion::Proportion;
use super::tick::Mean;

/// Too many bad outcomes: from a share half as high again to a total failure.
const BAD: [(f64, f64); 7] =
    [(1.5, 0.08), (2.0, 0.22), (3.0, 0.30), (4.0, 0.20), (8.0, 0.10), (32.0, 0.05), (128.0, 0.05)];
/// Clearly fewer than allowed.
const GOOD: [(f64, f64); 5] =
    [(1.0 / 1.5, 0.15), (0.5, 0.30), (1.0 / 3.0, 0.25), (0.2, 0.15), (0.05, 0.15)];
/// An outage, whatever the objective allows.
const OUTAGE: [(f64, f64); 3] = [(2.0, 0.4), (4.0, 0.4), (16.0, 0.2)];
/// What an outage leaves far behind and a burst of some seconds in a minute does not.
const OUTAGE_SHARE: f64 = 0.20;

/// A hypothesis `p0` about the share of bad outcomes, and the bets against it.
#[derive(Clone, Debug, PartialEq)]
pub struct Grid {
    null: Proportion,
    bets: Vec<Bet>,
}

/// One odds factor against one hypothesis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bet {
    /// The logarithm of its weight.
    pub(super) weight_ln: f64,
    /// The share of bad outcomes that it bets on.
    pub(super) share: f64,
    /// How much it stakes on a mean above the hypothesis, or below it where negative.
    pub(super) stake: f64,
    /// What a bad outcome adds to the logarithm of its wealth.
    pub(super) bad_ln: f64,
    /// What a good one adds.
    pub(super) good_ln: f64,
}

impl Grid {
    /// Bets against "at most `allowed` of the outcomes are bad": evidence for a rollback.
    pub fn bad(allowed: Proportion) -> Self {
        Self::new(allowed, &BAD)
    }

    /// Bets against "at least `allowed` of the outcomes are bad": proof of health.
    pub fn good(allowed: Proportion) -> Self {
        Self::new(allowed, &GOOD)
    }

    /// Bets against "at most a fifth of the outcomes are bad", a coarser and much faster test. There
    /// is none where the objective itself allows as much.
    pub fn outage(allowed: Proportion) -> Option<Self> {
        let null = Proportion::new(OUTAGE_SHARE).ok().filter(|null| allowed < *null)?;
        Some(Self::new(null, &OUTAGE))
    }

    fn new(null: Proportion, factors: &[(f64, f64)]) -> Self {
        let p0 = null.get();
        let bet = |&(odds, weight): &(f64, f64)| {
            let share = p0 * odds / (1.0 - p0 + p0 * odds);
            Bet {
                weight_ln: weight.ln(),
                share,
                stake: (share - p0) / (p0 * (1.0 - p0)),
                bad_ln: (share / p0).ln(),
                good_ln: ((1.0 - share) / (1.0 - p0)).ln(),
            }
        };
        Self { null, bets: factors.iter().map(bet).collect() }
    }

    /// The hypothesis.
    pub fn null(&self) -> Proportion {
        self.null
    }

    /// Whether bad outcomes win its bets.
    pub(super) fn is_against(&self) -> bool {
        self.bets.iter().all(|bet| bet.stake > 0.0)
    }

    pub(super) fn bets(&self) -> &[Bet] {
        &self.bets
    }

    /// The evidence in `bad` of `finished` outcomes, as a logarithm; 0 where there are none.
    pub fn ln_evidence(&self, bad: u64, good: u64) -> f64 {
        let wealth =
            |bet: &Bet| bet.weight_ln + bad as f64 * bet.bad_ln + good as f64 * bet.good_ln;
        // Of no outcomes the logarithm is that of the weights' sum, which rounding leaves beside 0.
        if bad == 0 && good == 0 { 0.0 } else { ln_sum(self.bets.iter().map(wealth)) }
    }
}

impl Bet {
    /// What a mean adds to the logarithm of the wealth. At 0 and 1 it is what an outcome adds.
    pub(super) fn mean_ln(&self, null: Proportion, mean: Mean) -> f64 {
        (self.stake * (mean.get() - null.get())).ln_1p()
    }
}

/// The logarithm of a sum of numbers that are given by theirs.
pub(super) fn ln_sum(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_percent() -> Proportion {
        Proportion::new(0.01).unwrap()
    }

    fn check(name: &str, found: impl Iterator<Item = f64>, expected: &[f64], tolerance: f64) {
        let found: Vec<f64> = found.collect();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= tolerance, "{name}: {found}, not {expected}");
        }
    }

    /// Computed in Python from the formulae, to as many digits as were printed.
    #[test]
    fn stakes_and_shares_are_those_of_the_reference() {
        let bad = Grid::bad(one_percent());
        let stakes =
            [0.49751244, 0.99009901, 1.96078431, 2.91262136, 6.54205607, 23.66412214, 55.94713656];
        check("stakes", bad.bets().iter().map(|bet| bet.stake), &stakes, 5e-9);
        let shares = [
            0.0149253731,
            0.0198019802,
            0.0294117647,
            0.0388349515,
            0.0747663551,
            0.2442748092,
            0.5638766520,
        ];
        check("shares", bad.bets().iter().map(|bet| bet.share), &shares, 5e-11);
        let good = Grid::good(one_percent());
        let shares = [0.0066889632, 0.0050251256, 0.0033557047, 0.0020161290, 0.0005047956];
        check("good shares", good.bets().iter().map(|bet| bet.share), &shares, 5e-11);
    }

    #[test]
    fn evidence_is_that_of_the_reference_table() {
        let (bad_grid, good_grid) = (Grid::bad(one_percent()), Grid::good(one_percent()));
        for (bad, finished, ln_bad, ln_good) in [
            (0, 1, -0.062547447, 0.006315423),
            (1, 1, 1.946269995, -0.986727404),
            (2, 2, 5.303582854, -1.728783074),
            (1, 100, -0.910494440, -0.451937621),
            (5, 100, 3.312984377, -3.097216363),
            (8, 100, 7.975687139, -4.587084499),
            (0, 300, -3.511503323, 2.068876529),
            (3, 300, -1.757257483, -0.988127983),
            (9, 300, 3.378169562, -4.315844331),
            (0, 420, -4.320699551, 2.988902672),
            (0, 421, -4.327025296, 2.996766929),
            (5, 1_000, -5.407977640, 1.078685389),
            (26, 1_000, 7.926899505, -9.094310538),
            (30, 1_000, 12.206121323, -10.720269493),
            (48, 9_600, -30.943801961, 13.723224338),
            (288, 9_600, 125.091157796, -86.617618971),
            (1_000, 100_000, -95.814771640, -73.472101542),
        ] {
            let good = finished - bad;
            let found = [bad_grid.ln_evidence(bad, good), good_grid.ln_evidence(bad, good)];
            check(&format!("{bad}/{finished}"), found.into_iter(), &[ln_bad, ln_good], 1e-9);
        }
    }

    #[test]
    fn no_outcomes_are_no_evidence() {
        assert_eq!(Grid::bad(one_percent()).ln_evidence(0, 0), 0.0);
        assert_eq!(Grid::good(one_percent()).ln_evidence(0, 0), 0.0);
    }

    #[test]
    fn weights_share_out_one_stake() {
        for factors in [&BAD[..], &GOOD[..], &OUTAGE[..]] {
            let sum: f64 = factors.iter().map(|(_, weight)| weight).sum();
            assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        }
    }

    /// A law: whatever is true, a bet that the hypothesis allows wins nothing on average.
    #[test]
    fn an_outcome_at_the_hypothesis_multiplies_the_wealth_by_one_on_average() {
        for p0 in [0.0001, 0.01, 0.2, 0.5, 0.99] {
            let null = Proportion::new(p0).unwrap();
            for bet in [Grid::bad(null).bets(), Grid::good(null).bets()].concat() {
                let mean = p0 * bet.bad_ln.exp() + (1.0 - p0) * bet.good_ln.exp();
                assert!((mean - 1.0).abs() < 1e-9, "{p0}: {mean}");
            }
        }
    }

    #[test]
    fn an_objective_that_allows_a_fifth_to_be_bad_has_no_outage_tier() {
        for (allowed, has_one) in [(0.01, true), (0.19, true), (0.2, false), (0.5, false)] {
            let allowed = Proportion::new(allowed).unwrap();
            assert_eq!(Grid::outage(allowed).is_some(), has_one, "{allowed}");
        }
    }

    /// The closed form over all factors underflows here and takes 3 % for less than 1 %.
    #[test]
    fn extreme_counts_neither_underflow_nor_advance_a_broken_candidate() {
        let (bad, good) = (Grid::bad(one_percent()), Grid::good(one_percent()));
        let (k, n) = (30_000_000, 1_000_000_000);
        assert!(bad.ln_evidence(k, n - k) > 1e6);
        assert!(good.ln_evidence(k, n - k) < -1e6);
        assert!(bad.ln_evidence(u64::MAX / 2, u64::MAX / 2).is_finite());
        assert!(good.ln_evidence(u64::MAX / 2, u64::MAX / 2).is_finite());
    }
}
