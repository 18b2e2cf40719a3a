//! What windows need to know of a run of samples, so that they need not read it.
//!
//! A window of 30 days holds 172,800 samples at 15 s. What `rate`, `increase`, `delta` and most
//! functions `*_over_time` make of them follows from the digests of its parts: two digests of
//! neighbouring runs make the digest of both. Stale markers are no part of a run.
//!
//! First, last, count, extremes, resets and changes are exact. So are the values lost at resets
//! where they are whole numbers, as counters are. A sum agrees with adding the samples one by one
//! but for the rounding of its last place, the squared deviations to within rounding.

use super::sum::Sum;
use crate::model::{Sample, Timestamp, is_stale};

/// How much of a digest is asked for; what is not asked for has no meaning then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wants {
    /// The first and the last sample, `count`, `resets` and `dropped`.
    Growth,
    /// All but `squares`.
    Sums,
    /// All.
    Deviations,
}

/// A run of samples of one series, none of them a stale marker. Nothing but `count` tells of a run
/// without samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Digest {
    /// The first sample.
    pub first: Sample,
    /// The last sample.
    pub last: Sample,
    /// How many samples there are.
    pub count: u32,
    /// How often a value fell.
    pub resets: u32,
    /// How often a value changed; NaN after NaN is no change.
    pub changes: u32,
    /// The sum of the values that were followed by a lower one: what a counter lost at its resets.
    pub dropped: f64,
    /// The sum of the values.
    pub sum: Sum,
    /// The least value; NaN only where all values are.
    pub min: f64,
    /// The greatest value; NaN only where all values are.
    pub max: f64,
    /// The sum of the squared deviations from the mean.
    pub squares: f64,
}

impl Digest {
    /// The digest of one sample.
    pub fn of(sample: Sample) -> Self {
        Self::flat(sample, sample.at, 1)
    }

    /// The digest of samples in time order, stale markers left out.
    pub fn of_all(samples: &[Sample]) -> Self {
        let mut present = samples.iter().filter(|sample| !is_stale(sample.value));
        let Some(first) = present.next() else { return Self::nothing(samples.last()) };
        let mut digest = Self::of(*first);
        present.for_each(|sample| digest.push(*sample));
        let mean = digest.mean();
        let present = samples.iter().filter(|sample| !is_stale(sample.value));
        // In a second pass: updated with each sample, it would cost two divisions a sample.
        digest.squares = present.map(|sample| (sample.value - mean).powi(2)).sum();
        digest
    }

    /// A run without samples, in the place of a stale marker.
    fn nothing(marker: Option<&Sample>) -> Self {
        let at = marker.map_or(Timestamp::MIN, |marker| marker.at);
        Self { count: 0, ..Self::of(Sample { at, value: f64::NAN }) }
    }

    /// `count` samples of one value.
    fn flat(first: Sample, last: Timestamp, count: u32) -> Self {
        let value = first.value;
        let number = f64::from(count);
        let rounded = value * number;
        let error = value.mul_add(number, -rounded);
        Self {
            first,
            last: Sample { at: last, value },
            count,
            resets: 0,
            changes: 0,
            dropped: 0.0,
            sum: Sum { rounded, error: if rounded.is_finite() { error } else { 0.0 } },
            min: value,
            max: value,
            squares: if value.is_finite() { 0.0 } else { f64::NAN },
        }
    }

    /// Whether all values are the same.
    pub fn is_flat(&self) -> bool {
        self.changes == 0 && self.min.to_bits() == self.max.to_bits() && !self.min.is_nan()
    }

    /// Whether the sum of finite values is none, so that the mean must be taken from the samples.
    pub fn overflows(&self) -> bool {
        !self.sum.rounded.is_finite() && self.min.is_finite() && self.max.is_finite()
    }

    /// The mean of the values.
    pub fn mean(&self) -> f64 {
        self.sum.rounded / f64::from(self.count) + self.sum.error / f64::from(self.count)
    }

    /// Adds a run that begins after this one has ended.
    pub fn append(&mut self, later: &Self, wants: Wants) {
        if later.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *later;
            return;
        }
        if wants >= Wants::Deviations {
            let (count, further) = (f64::from(self.count), f64::from(later.count));
            let apart = later.mean() - self.mean();
            // Chan, Golub and LeVeque, "Updating Formulae and a Pairwise Algorithm" (1979), eq. 2.1b.
            self.squares += later.squares + apart * apart * count * further / (count + further);
        }
        if wants >= Wants::Sums {
            self.changes += changes(self.last.value, later.first.value);
            self.changes = self.changes.saturating_add(later.changes);
            self.sum.merge(later.sum);
            self.min = lesser(self.min, later.min);
            self.max = greater(self.max, later.max);
        }
        self.fall(self.last.value, later.first.value);
        self.last = later.last;
        self.count = self.count.saturating_add(later.count);
        self.resets = self.resets.saturating_add(later.resets);
        self.dropped += later.dropped;
    }

    /// The growth of the samples behind the first `skipped` ones, of which `first` is the first,
    /// where no value fell.
    pub(super) fn without(&self, skipped: u32, first: Sample) -> Self {
        Self { first, count: self.count - skipped, ..*self }
    }

    /// The part with `after < at <= until`, if it is known: all, nothing, or any part of a flat run,
    /// whose samples are taken as evenly spaced.
    pub fn within(&self, after: Timestamp, until: Timestamp) -> Option<Self> {
        if self.first.at > after && self.last.at <= until {
            return Some(*self);
        }
        // What is left has two samples at least, the first in the window or before it.
        if !self.is_flat() || self.first.at > until || self.last.at <= after {
            return None;
        }
        let gaps = i128::from(self.count) - 1;
        let (start, end) = (i128::from(self.first.at.millis()), i128::from(self.last.at.millis()));
        let length = end - start;
        // The last sample at or before a time, counted from the first one, which may be before it.
        let last_by = |at: Timestamp| ((i128::from(at.millis()) - start) * gaps).div_euclid(length);
        let from = if after < self.first.at { 0 } else { last_by(after) + 1 };
        let to = last_by(until).min(gaps);
        let at = |position: i128| {
            let rounded_up = (length * position + gaps - 1) / gaps;
            Timestamp::from_millis(i64::try_from(start + rounded_up).unwrap_or(i64::MAX))
        };
        let count = u32::try_from(to - from + 1).ok().filter(|count| *count > 0)?;
        let first = Sample { at: at(from), value: self.first.value };
        Some(Self::flat(first, at(to), count))
    }

    /// The mean of the squared deviations from the mean.
    pub fn variance(&self) -> f64 {
        self.squares / f64::from(self.count)
    }

    fn push(&mut self, sample: Sample) {
        self.fall(self.last.value, sample.value);
        self.changes += changes(self.last.value, sample.value);
        self.last = sample;
        self.count += 1;
        self.sum.add(sample.value);
        self.min = lesser(self.min, sample.value);
        self.max = greater(self.max, sample.value);
    }

    fn fall(&mut self, before: f64, after: f64) {
        if after < before {
            self.resets += 1;
            self.dropped += before;
        }
    }
}

fn changes(before: f64, after: f64) -> u32 {
    u32::from(after != before && !(after.is_nan() && before.is_nan()))
}

fn lesser(min: f64, value: f64) -> f64 {
    if value < min || min.is_nan() { value } else { min }
}

fn greater(max: f64, value: f64) -> f64 {
    if value > max || max.is_nan() { value } else { max }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::stale_marker;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn samples(values: &[f64]) -> Vec<Sample> {
        let samples = (1..).zip(values);
        samples.map(|(second, value)| Sample { at: at(second * 1000), value: *value }).collect()
    }

    // 3 → 5 → 1 → 1 → 4: one reset, which lost 5; three changes; sum 14, mean 2.8, squared deviations
    // 0.04 + 4.84 + 3.24 + 3.24 + 1.44.
    #[test]
    fn a_digest_tells_what_was_worked_out_by_hand() {
        let digest = Digest::of_all(&samples(&[3.0, 5.0, stale_marker(), 1.0, 1.0, 4.0]));
        assert_eq!((digest.first.at, digest.last.at), (at(1000), at(6000)));
        assert_eq!((digest.first.value, digest.last.value), (3.0, 4.0));
        assert_eq!((digest.count, digest.resets, digest.changes), (5, 1, 3));
        assert_eq!((digest.dropped, digest.sum.total()), (5.0, 14.0));
        assert_eq!((digest.min, digest.max, digest.mean()), (1.0, 5.0, 2.8));
        assert!((digest.squares - 12.8).abs() < 1e-12);
        assert!(!digest.is_flat());
    }

    #[test]
    fn stale_markers_alone_are_a_run_of_nothing() {
        let mut digest = Digest::of_all(&samples(&[stale_marker()]));
        assert_eq!(digest.count, 0);
        let one = Digest::of_all(&samples(&[7.0]));
        digest.append(&one, Wants::Deviations);
        assert_eq!(digest, one);
        digest.append(&Digest::of_all(&[]), Wants::Deviations);
        assert_eq!(digest, one);
    }

    // Ten samples, one every 10 s from 10 s to 100 s.
    #[test]
    fn any_part_of_a_flat_run_is_known() {
        let tens: Vec<Sample> =
            (1..=10).map(|ten| Sample { at: at(ten * 10_000), value: 2.5 }).collect();
        let run = Digest::of_all(&tens);
        assert!(run.is_flat());
        for (after, until, expected) in [
            (0, 100_000, Some((10_000, 100_000, 10))),
            (10_000, 100_000, Some((20_000, 100_000, 9))),
            (9_999, 99_999, Some((10_000, 90_000, 9))),
            (35_000, 36_000, None),
            (35_000, 40_000, Some((40_000, 40_000, 1))),
            (35_000, 61_000, Some((40_000, 60_000, 3))),
            (100_000, 200_000, None),
            (0, 9_999, None),
        ] {
            let part = run.within(at(after), at(until));
            let found =
                part.map(|part| (part.first.at.millis(), part.last.at.millis(), part.count));
            assert_eq!(found, expected, "({after}, {until}]");
            assert!(part.is_none_or(|part| part.sum.total() == 2.5 * f64::from(part.count)));
        }
        let mut uneven = tens;
        uneven[4].value = 3.0;
        assert_eq!(Digest::of_all(&uneven).within(at(35_000), at(200_000)), None);
    }

    fn value() -> impl Strategy<Value = f64> {
        prop_oneof![
            6 => (0_i32..50).prop_map(f64::from),
            2 => -1e3..1e3,
            1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0]),
            1 => Just(stale_marker()),
        ]
    }

    fn near(left: f64, right: f64) -> bool {
        let scale = left.abs().max(right.abs()).max(1.0);
        left == right || left.is_nan() && right.is_nan() || (left - right).abs() <= 1e-9 * scale
    }

    proptest! {
        #[test]
        fn two_digests_make_the_digest_of_both_runs(
            values in prop::collection::vec(value(), 0..60),
            cut in 0_usize..60,
        ) {
            let samples = samples(&values);
            let cut = cut.min(samples.len());
            let mut joined = Digest::of_all(&samples[..cut]);
            joined.append(&Digest::of_all(&samples[cut..]), Wants::Deviations);
            let whole = Digest::of_all(&samples);
            prop_assert_eq!(joined.count, whole.count);
            if whole.count > 0 {
                prop_assert_eq!((joined.first.at, joined.last.at), (whole.first.at, whole.last.at));
                prop_assert_eq!((joined.resets, joined.changes), (whole.resets, whole.changes));
                prop_assert_eq!(joined.min.to_bits(), whole.min.to_bits());
                prop_assert_eq!(joined.max.to_bits(), whole.max.to_bits());
                prop_assert!(near(joined.dropped, whole.dropped));
                prop_assert!(near(joined.sum.total(), whole.sum.total()));
                prop_assert!(near(joined.squares, whole.squares), "{joined:?} {whole:?}");
            }
        }
    }
}
