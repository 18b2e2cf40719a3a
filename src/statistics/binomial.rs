//! What a number of trials says when it is looked at once: exact intervals, ranks of quantiles.
//!
//! For a comparison that was planned and has ended. A gate, which looks again and again, needs the
//! wider bounds of `sequence` and `quantile`.

use super::beta::{falling, regularized_beta};
use super::proportion::Proportion;
use super::quantile::Ranks;
use super::sequence::Interval;
use super::tick::Tick;

/// The exact interval for the share of bad outcomes at `1 − alpha` (Clopper and Pearson,
/// Biometrika 26, 1934): each limit is the share at which as many or more (as few or fewer) come
/// with the chance `alpha / 2`. From 0 to 1 where there are no outcomes.
pub fn exact_interval(counts: Tick, alpha: Proportion) -> Interval {
    let (bad, good, half) = (counts.bad() as f64, counts.good() as f64, alpha.get() / 2.0);
    let lower = match counts.bad() {
        0 => 0.0,
        _ => falling(0.0, 1.0, |p| regularized_beta(p, bad, good + 1.0) < half),
    };
    let upper = match counts.good() {
        0 => 1.0,
        _ => falling(0.0, 1.0, |p| regularized_beta(p, bad + 1.0, good) < 1.0 - half),
    };
    Interval { lower, upper }
}

/// The ranks of sorted samples between which the quantile lies at `1 − alpha`, looked at once and
/// whatever the distribution (Conover, Practical Nonparametric Statistics, 3rd edition, §3.2).
///
/// Where samples are tied the interval only covers more. A p99 has an upper bound from 368 samples
/// on at 95 %, since 0.99^368 is the first below 0.025.
pub fn order_ranks(samples: u64, quantile: Proportion, alpha: Proportion) -> Ranks {
    let (p, half) = (quantile.get(), alpha.get() / 2.0);
    let lower = match first(samples, |rank| at_most(samples, p, rank) > half) {
        // As many as `rank − 1` at or below the quantile are still too unlikely.
        Some(0) | None => None,
        Some(rank) => Some(rank),
    };
    let upper = first(samples, |rank| at_most(samples, p, rank) >= 1.0 - half);
    let upper = upper.map(|rank| rank + 1).filter(|rank| *rank <= samples);
    Ranks { lower, upper }
}

/// The chance that at most `count` of `trials` succeed.
fn at_most(trials: u64, p: f64, count: u64) -> f64 {
    if count >= trials {
        return 1.0;
    }
    regularized_beta(1.0 - p, (trials - count) as f64, count as f64 + 1.0)
}

/// The least number up to `most` for which something holds that then holds for all larger ones.
fn first(most: u64, holds: impl Fn(u64) -> bool) -> Option<u64> {
    if !holds(most) {
        return None;
    }
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = low.midpoint(high);
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

/// How likely it is that of `trials` fair ones the rarer side comes `rarer` times or fewer, on either
/// side: the sign test, and McNemar's in its exact form. 1 where there were no trials.
pub fn sign_test(trials: u64, rarer: u64) -> f64 {
    if trials == 0 {
        return 1.0;
    }
    (2.0 * at_most(trials, 0.5, rarer.min(trials - rarer.min(trials)))).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alpha() -> Proportion {
        Proportion::new(0.05).unwrap()
    }

    // By scipy 1.17.1: `binomtest(bad, n).proportion_ci(0.95, method="exact")`. 81 of 263 is the
    // example of Newcombe, Statistics in Medicine 17, 1998: 0.2527 to 0.3676.
    #[test]
    fn exact_intervals_are_those_of_another_program() {
        for (bad, finished, lower, upper) in [
            (0, 10, 0.0, 0.308_497_108),
            (1, 10, 0.002_528_579, 0.445_016_117),
            (10, 10, 0.691_502_892, 1.0),
            (3, 100, 0.006_229_972, 0.085_176_053),
            (13, 600, 0.011_585_826, 0.036_765_688),
            (81, 263, 0.252_736_746, 0.367_621_923),
        ] {
            let found = exact_interval(Tick::new(bad, finished).unwrap(), alpha());
            assert!((found.lower - lower).abs() < 1e-8, "{bad} of {finished}: {found:?}");
            assert!((found.upper - upper).abs() < 1e-8, "{bad} of {finished}: {found:?}");
        }
        let nothing = exact_interval(Tick::default(), alpha());
        assert_eq!(nothing, Interval { lower: 0.0, upper: 1.0 });
    }

    // From `scipy.stats.binom.cdf` of scipy 1.17.1, by looking at each rank. The row of 100 stands in
    // tables of the median's bounds (40 and 61).
    #[test]
    fn ranks_are_those_of_another_program() {
        for (samples, quantile, lower, upper) in [
            (10, 0.5, Some(2), Some(9)),
            (10, 0.9, Some(7), None),
            (50, 0.9, Some(41), Some(50)),
            (100, 0.5, Some(40), Some(61)),
            (100, 0.9, Some(84), Some(96)),
            (100, 0.99, Some(97), None),
            (367, 0.99, Some(359), None),
            (368, 0.99, Some(360), Some(368)),
            (600, 0.99, Some(589), Some(599)),
            (1000, 0.9, Some(881), Some(919)),
            (5000, 0.99, Some(4936), Some(4964)),
            (5000, 0.5, Some(2431), Some(2570)),
            (1, 0.5, None, None),
            (0, 0.5, None, None),
        ] {
            let found = order_ranks(samples, Proportion::new(quantile).unwrap(), alpha());
            assert_eq!(found, Ranks { lower, upper }, "{quantile} of {samples}");
        }
    }

    // By scipy 1.17.1: `binomtest(rarer, trials, 0.5).pvalue`.
    #[test]
    fn sign_tests_are_those_of_another_program() {
        for (trials, rarer, expected) in [
            (10, 2, 0.109_375),
            (20, 5, 0.041_389_465_332),
            (7, 0, 0.015_625),
            (1, 0, 1.0),
            (144, 59, 0.036_852_264_523),
            (0, 0, 1.0),
        ] {
            let found = sign_test(trials, rarer);
            assert!((found - expected).abs() < 1e-10, "{rarer} of {trials}: {found}");
        }
    }
}
