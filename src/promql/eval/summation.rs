//! Means, variances and quantiles.
//!
//! A mean is the sum by the count, until the sum overflows; from there on it moves term by term.

use crate::series::Sum;

#[derive(Clone, Copy, Debug)]
pub(super) struct Mean {
    sum: Sum,
    count: f64,
    /// Whether `sum` holds the mean itself, because the sum would overflow.
    is_incremental: bool,
}

impl Mean {
    pub fn of(value: f64) -> Self {
        Self { sum: Sum::of(value), count: 1.0, is_incremental: false }
    }

    pub fn add(&mut self, term: f64) {
        self.count += 1.0;
        if !self.is_incremental {
            let mut sum = self.sum;
            sum.add(term);
            if !sum.rounded.is_infinite() {
                self.sum = sum;
                return;
            }
            self.is_incremental = true;
            self.sum = Sum {
                rounded: self.sum.rounded / (self.count - 1.0),
                error: self.sum.error / (self.count - 1.0),
            };
        }
        // An infinite mean stays, unless the opposite infinity or NaN comes.
        self.sum = self.sum.scaled((self.count - 1.0) / self.count);
        self.sum.add(term / self.count);
    }

    pub fn value(self) -> f64 {
        if self.is_incremental {
            self.sum.total()
        } else {
            self.sum.rounded / self.count + self.sum.error / self.count
        }
    }
}

/// Welford's variance of the values of several series, without compensation: Prometheus carries
/// rounding errors over time only, and the last place is to be the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    pub fn of(value: f64) -> Self {
        let squares = if value.is_finite() { 0.0 } else { f64::NAN };
        Self { count: 1.0, mean: value, squares }
    }

    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    pub fn variance(self) -> f64 {
        self.squares / self.count
    }
}

/// Welford's variance of a series over time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Variance {
    count: f64,
    mean: Sum,
    squares: Sum,
}

impl Variance {
    pub fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean.total();
        self.mean.add(delta / self.count);
        self.squares.add(delta * (value - self.mean.total()));
    }

    pub fn value(self) -> f64 {
        self.squares.total() / self.count
    }
}

/// The φ-quantile of values in any order; NaN counts as the smallest.
pub(super) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|left, right| {
        right.is_nan().cmp(&left.is_nan()).then(left.total_cmp(right))
    });
    let last = values.len() - 1;
    let rank = q * last as f64;
    let lower = (rank.floor() as usize).min(last);
    let upper = (lower + 1).min(last);
    let weight = rank - rank.floor();
    values[lower] * (1.0 - weight) + values[upper] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected: `stddev` over vectors of these values, asked of a Prometheus 3.5.
    #[test]
    fn a_spread_rounds_as_prometheus_does() {
        for (values, deviation) in [
            (&[1590.0, 1002.0, 29.0, 4879.0, 113.0] as &[f64], 1_775.319_757_114_193_6),
            (&[0.1, 0.2, 0.3, 0.7, 1e9, 3.0], 372_677_995.929_461_9),
            (&[7.0], 0.0),
        ] {
            let mut spread = Spread::of(values[0]);
            values[1..].iter().for_each(|value| spread.add(*value));
            assert_eq!(spread.variance().sqrt(), deviation, "{values:?}");
        }
        assert!(Spread::of(f64::INFINITY).variance().is_nan());
    }
}
