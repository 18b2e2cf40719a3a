//! The share of bad outcomes with its bounds, which hold at every look together.
//!
//! Robbins's sequence for a proportion with a Jeffreys prior: all `p` against which a Beta(½, ½)
//! mixture has not made `1/α` of one unit. It is shown beside the counts and is wider than an
//! interval that is looked at once; nothing is decided by it.

use super::gamma::ln_beta;
use super::proportion::Proportion;
use super::tick::Tick;

/// Bounds of a share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower; 0 where there was no bad outcome.
    pub lower: f64,
    /// The upper; 1 where all were bad.
    pub upper: f64,
}

/// The bounds at `1 − alpha`; from 0 to 1 where there are no outcomes.
pub fn interval(counts: Tick, alpha: Proportion) -> Interval {
    let (bad, good) = (counts.bad() as f64, counts.good() as f64);
    if counts.finished() == 0 {
        return Interval { lower: 0.0, upper: 1.0 };
    }
    let made = ln_made(bad, good);
    let is_inside = |p: f64| made - ln_likelihood(bad, good, p) < alpha.threshold_ln();
    let found = bad / (bad + good);
    let lower = if counts.bad() == 0 { 0.0 } else { edge(0.0, found, &is_inside) };
    let upper = if counts.good() == 0 { 1.0 } else { edge(1.0, found, &is_inside) };
    Interval { lower, upper }
}

/// What the mixture has made against `p`, as a logarithm.
pub(super) fn ln_mixture(bad: f64, good: f64, p: f64) -> f64 {
    ln_made(bad, good) - ln_likelihood(bad, good, p)
}

fn ln_made(bad: f64, good: f64) -> f64 {
    ln_beta(bad + 0.5, good + 0.5) - ln_beta(0.5, 0.5)
}

fn ln_likelihood(bad: f64, good: f64, p: f64) -> f64 {
    let term = |count: f64, ln: f64| if count == 0.0 { 0.0 } else { count * ln };
    term(bad, p.ln()) + term(good, (-p).ln_1p())
}

/// Where, between a point outside and one inside, the inside ends.
fn edge(outside: f64, inside: f64, is_inside: &impl Fn(f64) -> bool) -> f64 {
    let (mut outside, mut inside) = (outside, inside);
    loop {
        let middle = outside.midpoint(inside);
        // Nothing lies between two neighbouring floats.
        if middle == outside || middle == inside {
            return inside;
        }
        if is_inside(middle) { inside = middle } else { outside = middle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_those_of_the_reference() {
        let alpha = Proportion::new(0.05).unwrap();
        for (bad, finished, lower, upper) in [
            (0, 0, 0.0, 1.0),
            (0, 1, 0.0, 0.97500000),
            (1, 1, 0.02500000, 1.0),
            (0, 100, 0.0, 0.05702860),
            (1, 100, 0.00001418, 0.08402231),
            (0, 300, 0.0, 0.02117397),
            (3, 300, 0.00051120, 0.04463018),
            (9, 300, 0.00720495, 0.07754743),
            (5, 1_000, 0.00053930, 0.01800386),
            (30, 1_000, 0.01427931, 0.05401834),
            (48, 9_600, 0.00266575, 0.00840341),
        ] {
            let found = interval(Tick::new(bad, finished).unwrap(), alpha);
            let wrong = (found.lower - lower).abs().max((found.upper - upper).abs());
            assert!(wrong <= 5.1e-9, "{bad}/{finished}: {found:?}");
        }
    }

    #[test]
    fn bounds_of_extreme_counts_are_in_order() {
        let alpha = Proportion::new(0.05).unwrap();
        for (bad, finished) in [(1, 1_000_000_000), (999_999_999, 1_000_000_000), (0, 1 << 50)] {
            let found = interval(Tick::new(bad, finished).unwrap(), alpha);
            let share = bad as f64 / finished as f64;
            assert!(found.lower <= share && share <= found.upper, "{bad}/{finished}: {found:?}");
        }
    }
}
