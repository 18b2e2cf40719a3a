//! By how much two shares differ that were counted over the same pairs.
//!
//! Both arms answered the same questions at the same time, so what they share says nothing of the
//! difference: only pairs count in which one failed and the other did not.

use super::beta::normal_quantile;
use super::proportion::Proportion;
use super::sequence::Interval;

/// Pairs, and those in which the two differ. Never more that differ than there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Discordant {
    pairs: u64,
    first: u64,
    second: u64,
}

impl Discordant {
    /// Counts pairs in which only the first, and in which only the second has what is counted;
    /// `None` where these are more than the pairs.
    pub fn new(pairs: u64, first: u64, second: u64) -> Option<Self> {
        let is_possible = first.checked_add(second).is_some_and(|both| both <= pairs);
        is_possible.then_some(Self { pairs, first, second })
    }

    /// The share of the second less the share of the first; 0 without pairs.
    pub fn difference(self) -> f64 {
        if self.pairs == 0 {
            return 0.0;
        }
        (self.second as f64 - self.first as f64) / self.pairs as f64
    }

    /// The bounds of that difference at `1 − alpha`: all differences that the score test does not
    /// refuse (Tango, Statistics in Medicine 17, 1998). Unlike Wald's, it has a width where no pair
    /// differs, and holds its level for small numbers. From −1 to 1 without pairs.
    pub fn interval(self, alpha: Proportion) -> Interval {
        if self.pairs == 0 {
            return Interval { lower: -1.0, upper: 1.0 };
        }
        let z = normal_quantile(alpha.get());
        let found = self.difference();
        let is_inside = |delta: f64| self.score(delta).abs() <= z;
        Interval { lower: edge(-1.0, found, &is_inside), upper: edge(1.0, found, &is_inside) }
    }

    /// How likely counts as uneven as these are where the two do not differ: McNemar's test, exact.
    pub fn chance(self) -> f64 {
        super::binomial::sign_test(self.first + self.second, self.first.min(self.second))
    }

    /// The score statistic of a difference: what was found less what is supposed, over its deviation
    /// with the other share at its likeliest.
    fn score(self, delta: f64) -> f64 {
        let n = self.pairs as f64;
        let (second, first) = (self.second as f64, self.first as f64);
        let a = 2.0 * n;
        let b = -second - first + (2.0 * n - second + first) * delta;
        let c = -first * delta * (1.0 - delta);
        let likeliest = ((b * b - 4.0 * a * c).max(0.0).sqrt() - b) / (2.0 * a);
        let variance = n * (2.0 * likeliest + delta * (1.0 - delta));
        let excess = second - first - n * delta;
        // At the ends of the scale nothing varies: there only what was found itself is possible.
        if variance <= 0.0 {
            return if excess == 0.0 { 0.0 } else { excess.signum() * f64::INFINITY };
        }
        excess / variance.sqrt()
    }
}

/// Where, between a point outside and one inside, the inside ends.
fn edge(outside: f64, inside: f64, is_inside: &impl Fn(f64) -> bool) -> f64 {
    if is_inside(outside) {
        return outside;
    }
    super::beta::falling(inside, outside, is_inside)
}

#[cfg(test)]
mod tests {
    use super::*;

    // By scipy 1.17.1 without the closed form: the likelihood of the three counts is maximised under
    // a supposed difference by `scipy.optimize.minimize_scalar`, and the difference at which the score
    // reaches the normal quantile is found by `brentq`.
    #[test]
    fn bounds_are_where_a_numerical_score_test_ends() {
        let alpha = Proportion::new(0.05).unwrap();
        for (pairs, first, second, lower, upper) in [
            (44, 1, 0, -0.118_077_1, 0.059_393_2),
            (44, 0, 0, -0.080_295_6, 0.080_295_6),
            (200, 0, 0, -0.018_845_3, 0.018_845_3),
            (600, 0, 12, 0.011_477_2, 0.034_630_1),
            (600, 3, 15, 0.006_940_0, 0.036_445_5),
            (50, 2, 12, 0.061_112_4, 0.344_708_7),
            (30, 0, 0, -0.113_513_4, 0.113_513_4),
            (1000, 20, 20, -0.012_927_8, 0.012_927_8),
        ] {
            let found = Discordant::new(pairs, first, second).unwrap().interval(alpha);
            assert!((found.lower - lower).abs() < 2e-7, "{pairs} {first} {second}: {found:?}");
            assert!((found.upper - upper).abs() < 2e-7, "{pairs} {first} {second}: {found:?}");
        }
    }

    #[test]
    fn extremes_have_bounds_that_make_sense() {
        let alpha = Proportion::new(0.05).unwrap();
        let of = |pairs, first, second| Discordant::new(pairs, first, second).unwrap();
        assert_eq!(Discordant::new(3, 2, 2), None);
        assert_eq!(Discordant::new(3, u64::MAX, 1), None);
        let nothing = of(0, 0, 0);
        assert_eq!(nothing.interval(alpha), Interval { lower: -1.0, upper: 1.0 });
        assert_eq!(nothing.difference().to_bits(), 0.0_f64.to_bits());
        let all = of(20, 0, 20);
        let found = all.interval(alpha);
        assert!((found.upper - 1.0).abs() < 1e-9 && found.lower > 0.6, "{found:?}");
        // The two arms changed places.
        let (one, other) = (of(50, 2, 12).interval(alpha), of(50, 12, 2).interval(alpha));
        assert!((one.lower + other.upper).abs() < 1e-9 && (one.upper + other.lower).abs() < 1e-9);
        // 2 of 14 that differ, two-sided: 2 · (1 + 14 + 91) / 2^14, by hand.
        assert!((of(50, 2, 12).chance() - 212.0 / 16_384.0).abs() < 1e-12);
    }
}
