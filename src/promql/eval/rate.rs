//! Rates, differences and regressions over a window of samples.

use crate::model::Sample;
use crate::series::{Digest, Seen, Sum};

/// The kinds of differences that reach to the edges of their window.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    /// Of a gauge.
    Delta,
    /// Of a counter.
    Increase,
    /// Of a counter, each second.
    Rate,
}

/// The growth over a window of `range_ms` that ends at `end`, from the samples inside it.
///
/// The samples seldom reach the window's edges, so the growth between the first and the last is
/// stretched: to the edge if that is nearer than 1.1 average gaps between samples, otherwise by half
/// a gap, since the series began or ended inside the window. A counter is not stretched to before
/// the time at which it would have been 0.
pub(super) fn growth(kind: Growth, samples: &[Sample], range_ms: i64, end: i64) -> Option<f64> {
    let [first, .., last] = samples else { return None };
    let mut grown = last.value - first.value;
    if kind != Growth::Delta {
        // A counter that falls was reset to 0: what it had is added again.
        let mut previous = first.value;
        for sample in &samples[1..] {
            if sample.value < previous {
                grown += previous;
            }
            previous = sample.value;
        }
    }
    let run = Run { first: *first, last: *last, count: samples.len() as f64 };
    Some(run.stretched(kind, grown, range_ms, end))
}

/// The same, where the middle of the window was not read.
pub(super) fn growth_around(
    kind: Growth,
    middle: &Digest,
    seen: &Seen<'_>,
    range_ms: i64,
    end: i64,
) -> Option<f64> {
    let first = *seen.head.first().unwrap_or(&middle.first);
    let last = *seen.tail.last().unwrap_or(&middle.last);
    let count = seen.head.len() as f64 + f64::from(middle.count) + seen.tail.len() as f64;
    let mut grown = last.value - first.value;
    if kind != Growth::Delta {
        let mut previous = first.value;
        let mut lost = middle.dropped;
        let mut pass = |value: f64, resume: f64| {
            if value < previous {
                lost += previous;
            }
            previous = resume;
        };
        seen.head.iter().for_each(|sample| pass(sample.value, sample.value));
        pass(middle.first.value, middle.last.value);
        seen.tail.iter().for_each(|sample| pass(sample.value, sample.value));
        grown += lost;
    }
    (count > 1.0).then(|| Run { first, last, count }.stretched(kind, grown, range_ms, end))
}

/// The samples inside a window: two at least.
struct Run {
    first: Sample,
    last: Sample,
    count: f64,
}

impl Run {
    fn stretched(&self, kind: Growth, grown: f64, range_ms: i64, end: i64) -> f64 {
        let seconds = |from: i64, to: i64| to.saturating_sub(from) as f64 / 1000.0;
        let (first_at, last_at) = (self.first.at.millis(), self.last.at.millis());
        let mut to_start = seconds(end.saturating_sub(range_ms), first_at);
        let mut to_end = seconds(last_at, end);
        let sampled = seconds(first_at, last_at);
        let gap = sampled / (self.count - 1.0);
        let threshold = gap * 1.1;
        if to_start >= threshold {
            to_start = gap / 2.0;
        }
        if kind != Growth::Delta && grown > 0.0 && self.first.value >= 0.0 {
            let to_zero = sampled * (self.first.value / grown);
            to_start = to_start.min(to_zero);
        }
        if to_end >= threshold {
            to_end = gap / 2.0;
        }
        let mut factor = (sampled + to_start + to_end) / sampled;
        if kind == Growth::Rate {
            factor /= range_ms as f64 / 1000.0;
        }
        grown * factor
    }
}

/// The difference of the last two samples; of a counter each second, and its last value after a reset.
pub(super) fn instant_growth(is_rate: bool, samples: &[Sample]) -> Option<f64> {
    let [.., previous, last] = samples else { return None };
    let interval_ms = last.at.millis().saturating_sub(previous.at.millis());
    if interval_ms == 0 {
        return None;
    }
    let was_reset = is_rate && last.value < previous.value;
    let grown = if was_reset { last.value } else { last.value - previous.value };
    Some(if is_rate { grown / (interval_ms as f64 / 1000.0) } else { grown })
}

/// How often a value fell.
pub(super) fn resets(samples: &[Sample]) -> f64 {
    samples.windows(2).filter(|pair| pair[1].value < pair[0].value).count() as f64
}

/// How often a value changed; NaN after NaN is no change.
pub(super) fn changes(samples: &[Sample]) -> f64 {
    let changed = |pair: &&[Sample]| {
        let (before, after) = (pair[0].value, pair[1].value);
        after != before && !(after.is_nan() && before.is_nan())
    };
    samples.windows(2).filter(changed).count() as f64
}

/// Least squares: the slope in each second, and the value at `origin`.
pub(super) fn regression(samples: &[Sample], origin: i64) -> Option<(f64, f64)> {
    let [first, _, ..] = samples else { return None };
    if samples.iter().all(|sample| sample.value == first.value) {
        let is_infinite = first.value.is_infinite();
        return Some(if is_infinite { (f64::NAN, f64::NAN) } else { (0.0, first.value) });
    }
    let (mut x, mut y, mut xy, mut xx) =
        (Sum::default(), Sum::default(), Sum::default(), Sum::default());
    for sample in samples {
        let seconds = sample.at.millis().saturating_sub(origin) as f64 / 1000.0;
        x.add(seconds);
        y.add(sample.value);
        xy.add(seconds * sample.value);
        xx.add(seconds * seconds);
    }
    let count = samples.len() as f64;
    let (x, y, xy, xx) = (x.total(), y.total(), xy.total(), xx.total());
    let slope = (xy - x * y / count) / (xx - x * x / count);
    Some((slope, y / count - slope * x / count))
}
