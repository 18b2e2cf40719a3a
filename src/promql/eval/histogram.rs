//! Quantiles and fractions of classic histograms: series whose `le` is the upper bound of a bucket
//! and whose value counts what lies at or below it.
//!
//! Inside a bucket values are taken as spread evenly; the lowest bucket begins at 0 if its bound is
//! above. What lies in the last bucket, which has no bound, is at the highest bound there is.

use std::sync::Arc;

use super::super::plan::{Key, PartId};
use super::super::{EvalError, Severity, format};
use super::aggregate::Grouped;
use super::block::{ABSENT, Block, is_absent};
use super::{Evaluation, Grid};
use crate::model::Labels;

const BOUND: &str = "le";

/// Counts that differ by less than this share are the same count, added up in another order.
const TOLERANCE: f64 = 1e-12;

#[derive(Clone, Copy, Debug)]
struct Bucket {
    bound: f64,
    count: f64,
}

impl Evaluation<'_> {
    pub(super) fn histogram_quantile(
        &mut self,
        quantile: PartId,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let quantiles = self.scalar(quantile, grid)?;
        self.remark_quantiles(quantile, &quantiles);
        self.each_histogram(vector, grid, |step, buckets| bucket_quantile(quantiles[step], buckets))
    }

    pub(super) fn histogram_fraction(
        &mut self,
        lower: PartId,
        upper: PartId,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let (lower, upper) = (self.scalar(lower, grid)?, self.scalar(upper, grid)?);
        self.each_histogram(vector, grid, |step, buckets| {
            (bucket_fraction(lower[step], upper[step], buckets), false)
        })
    }

    /// Evaluates each histogram at each step. `value` also says whether counts had to be corrected.
    fn each_histogram(
        &mut self,
        vector: PartId,
        grid: Grid,
        value: impl Fn(usize, &mut Vec<Bucket>) -> (f64, bool),
    ) -> Result<Block, EvalError> {
        let naming = self.naming;
        let block = self.vector(vector, grid)?;
        let mut rows = Vec::with_capacity(block.rows.len());
        for (at, row) in block.rows.iter().enumerate() {
            let bound = row.get(BOUND, naming);
            match bound.parse::<f64>() {
                Ok(bound) => rows.push((at, bound)),
                Err(_) => {
                    let bound = format::quote(bound);
                    let problem = format!(
                        "bucket label \"le\" is missing or has a malformed value of {bound}"
                    );
                    let message = of_metric(problem, row.get(Labels::NAME, naming));
                    self.annotate(Severity::Warning, vector, message);
                }
            }
        }
        let key = Key::Except(vec![Arc::from(BOUND)]);
        let grouped = Grouped::new(&block, &key, naming);
        let mut histograms: Vec<Vec<(usize, f64)>> = vec![Vec::new(); grouped.rows.len()];
        for (row, bound) in rows {
            histograms[grouped.of_row[row]].push((row, bound));
        }
        let mut result = Block::new(grid.count);
        let mut buckets = Vec::new();
        for (row, mut members) in grouped.rows.into_iter().zip(histograms) {
            members.sort_by(|left, right| left.1.total_cmp(&right.1));
            let mut is_fixed = false;
            let mut values = Vec::with_capacity(grid.count);
            for step in 0..grid.count {
                buckets.clear();
                buckets.extend(
                    members
                        .iter()
                        .map(|(row, bound)| Bucket { bound: *bound, count: block.row(*row)[step] })
                        .filter(|bucket| !is_absent(bucket.count)),
                );
                let (value, fixes) =
                    if buckets.is_empty() { (ABSENT, false) } else { value(step, &mut buckets) };
                is_fixed |= fixes;
                values.push(value);
            }
            if is_fixed {
                let problem = "input to histogram_quantile needed to be fixed for monotonicity \
                               (see https://prometheus.io/docs/prometheus/latest/querying/\
                               functions/#histogram_quantile)";
                let message = of_metric(problem.to_owned(), row.get(Labels::NAME, naming));
                self.annotate(Severity::Info, vector, message);
            }
            result.push(row, values);
        }
        result.drop_names(naming)
    }
}

fn of_metric(problem: String, metric: &str) -> String {
    if metric.is_empty() {
        problem
    } else {
        format!("{problem} for metric name {}", format::quote(metric))
    }
}

/// Joins buckets of equal bounds and makes counts grow with the bounds. Says whether a count had to
/// be raised by more than rounding explains. `None` where the bucket without a bound is missing.
fn prepare(buckets: &mut Vec<Bucket>) -> Option<bool> {
    if buckets.last().is_none_or(|last| last.bound != f64::INFINITY) {
        return None;
    }
    buckets.dedup_by(|later, earlier| {
        let is_same = later.bound == earlier.bound;
        if is_same {
            earlier.count += later.count;
        }
        is_same
    });
    let mut is_fixed = false;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        if nearly_equal(previous, bucket.count) {
            bucket.count = previous;
        } else if bucket.count < previous {
            bucket.count = previous;
            is_fixed = true;
        } else {
            previous = bucket.count;
        }
    }
    Some(is_fixed)
}

fn nearly_equal(left: f64, right: f64) -> bool {
    if left == right || left.is_nan() && right.is_nan() {
        return true;
    }
    let sum = left.abs() + right.abs();
    let difference = (left - right).abs();
    if left == 0.0 || right == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}

/// The value below which the share `q` of all observations lies.
fn bucket_quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (f64::NAN, false);
    }
    if !(0.0..=1.0).contains(&q) {
        return (if q < 0.0 { f64::NEG_INFINITY } else { f64::INFINITY }, false);
    }
    let Some(is_fixed) = prepare(buckets) else { return (f64::NAN, false) };
    let last = buckets.len() - 1;
    let total = buckets[last].count;
    if last == 0 || total == 0.0 || total.is_nan() {
        return (f64::NAN, is_fixed);
    }
    let rank = q * total;
    let at = buckets[..last].partition_point(|bucket| bucket.count < rank);
    let Bucket { bound: end, count } = buckets[at];
    let value = match at.checked_sub(1).map(|before| buckets[before]) {
        Some(before) if at == last => before.bound,
        Some(before) => {
            let inside = (rank - before.count) / (count - before.count);
            before.bound + (end - before.bound) * inside
        }
        None if end <= 0.0 => end,
        // Added to the 0 it begins at, so that a negative zero does not stay.
        None => 0.0 + end * (rank / count),
    };
    (value, is_fixed)
}

/// The share of observations between two values.
fn bucket_fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if prepare(buckets).is_none() {
        return f64::NAN;
    }
    let total = buckets.last().map_or(0.0, |last| last.count);
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank_of(upper, buckets, total) - rank_of(lower, buckets, total)) / total
}

/// How many observations lie at or below a value.
fn rank_of(value: f64, buckets: &[Bucket], total: f64) -> f64 {
    let mut below = 0.0;
    for (at, bucket) in buckets.iter().enumerate() {
        let start = match at.checked_sub(1) {
            Some(before) => buckets[before].bound,
            None if bucket.bound > 0.0 => 0.0,
            None => f64::NEG_INFINITY,
        };
        if start >= value {
            return f64::min(below, total);
        }
        if bucket.bound > value {
            // A bucket that is open at one end has all it holds at the other.
            let rank = if start == f64::NEG_INFINITY {
                bucket.count
            } else {
                below + (bucket.count - below) * (value - start) / (bucket.bound - start)
            };
            return rank.min(total);
        }
        below = bucket.count;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(pairs: &[(f64, f64)]) -> Vec<Bucket> {
        pairs.iter().map(|(bound, count)| Bucket { bound: *bound, count: *count }).collect()
    }

    // Worked by hand: of 10 observations 2 lie at or below 1, 6 at or below 3, all in 4 buckets.
    #[test]
    fn a_quantile_lies_in_the_bucket_of_its_rank() {
        let pairs = [(1.0, 2.0), (3.0, 6.0), (5.0, 8.0), (f64::INFINITY, 10.0)];
        for (q, value) in [
            (0.1, 0.5),
            (0.2, 1.0),
            (0.5, 2.5),
            (0.8, 5.0),
            (0.9, 5.0),
            (1.0, 5.0),
            (-0.1, f64::NEG_INFINITY),
            (1.1, f64::INFINITY),
        ] {
            assert_eq!(bucket_quantile(q, &mut buckets(&pairs)).0, value, "{q}");
        }
        assert!(bucket_quantile(0.5, &mut buckets(&pairs[..3])).0.is_nan());
        assert!(bucket_quantile(0.5, &mut buckets(&pairs[3..])).0.is_nan());
    }

    #[test]
    fn counts_that_fall_are_raised_and_said_so() {
        let pairs = [(1.0, 4.0), (2.0, 2.0), (f64::INFINITY, 8.0)];
        assert_eq!(bucket_quantile(0.25, &mut buckets(&pairs)), (0.5, true));
        let pairs = [(1.0, 4.0), (2.0, 4.0 - 1e-13), (f64::INFINITY, 8.0)];
        assert_eq!(bucket_quantile(0.25, &mut buckets(&pairs)), (0.5, false));
    }
}
