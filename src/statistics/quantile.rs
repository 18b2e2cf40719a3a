//! Between which of the sorted samples a quantile lies, at every look together.
//!
//! For reports: the rank of a p99 of a hundred samples is no bound at all, so no gate looks at it.
//! A gate counts how many exceed a threshold instead.

use super::proportion::Proportion;
use super::sequence::ln_mixture;

/// Ranks among sorted samples, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranks {
    /// The sample below which the quantile does not lie; `None` where nothing bounds it.
    pub lower: Option<u64>,
    /// The sample above which it does not lie; `None` where nothing bounds it.
    pub upper: Option<u64>,
}

/// The ranks that bound the quantile of `samples` at `1 − alpha`.
pub fn quantile_ranks(samples: u64, quantile: Proportion, alpha: Proportion) -> Ranks {
    let p = quantile.get();
    // How many samples are at or below the quantile is a count like that of bad outcomes.
    let is_inside =
        |below: u64| ln_mixture(below as f64, (samples - below) as f64, p) < alpha.threshold_ln();
    let likely = ((samples as f64 * p).round() as u64).min(samples);
    if samples == 0 || !is_inside(likely) {
        return Ranks { lower: None, upper: None };
    }
    let least = first(0, likely, &is_inside);
    let most = samples - first(0, samples - likely, &|above| is_inside(samples - above));
    Ranks { lower: (least > 0).then_some(least), upper: (most < samples).then_some(most + 1) }
}

/// The first number of a range, whose last one is inside, from which on all are.
fn first(from: u64, to: u64, is_inside: &impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (from, to);
    while low < high {
        let middle = low.midpoint(high);
        if is_inside(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranks(samples: u64, quantile: f64, alpha: f64) -> (Option<u64>, Option<u64>) {
        let [quantile, alpha] = [quantile, alpha].map(|number| Proportion::new(number).unwrap());
        let ranks = quantile_ranks(samples, quantile, alpha);
        (ranks.lower, ranks.upper)
    }

    #[test]
    fn ranks_are_those_of_the_reference() {
        for (samples, quantile, lower, upper) in [
            (100, 0.99, 95, None),
            (100, 0.95, 87, None),
            (100, 0.5, 34, Some(67)),
            (500, 0.99, 486, None),
            (500, 0.95, 456, Some(491)),
            (500, 0.5, 211, Some(290)),
            (1_000, 0.99, 977, Some(999)),
            (1_000, 0.95, 923, Some(974)),
            (1_000, 0.5, 443, Some(558)),
            (2_000, 0.99, 1_962, Some(1_995)),
            (2_000, 0.95, 1_862, Some(1_935)),
            (2_000, 0.5, 917, Some(1_084)),
            (10_000, 0.99, 9_859, Some(9_937)),
            (10_000, 0.95, 9_412, Some(9_584)),
            (10_000, 0.5, 4_803, Some(5_198)),
        ] {
            let found = ranks(samples, quantile, 0.05);
            assert_eq!(found, (Some(lower), upper), "p{quantile} of {samples}");
        }
    }

    #[test]
    fn an_upper_bound_takes_as_many_samples_as_the_reference_says() {
        for (quantile, alpha, least) in
            [(0.99, 0.05, 680), (0.99, 0.01, 851), (0.95, 0.05, 116), (0.5, 0.05, 7)]
        {
            assert_eq!(ranks(least - 1, quantile, alpha).1, None, "p{quantile} at {alpha}");
            assert!(ranks(least, quantile, alpha).1.is_some(), "p{quantile} at {alpha}");
        }
        assert_eq!(ranks(0, 0.5, 0.05), (None, None));
    }
}
