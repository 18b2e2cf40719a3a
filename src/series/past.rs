//! What is left of a series once its samples are gone: digests, for windows longer than samples are
//! kept.
//!
//! Digests of short runs are joined as long as they span a thousandth of the longest window at most,
//! so that a window begins at most so much late, or by one chunk where that is longer. Runs of one
//! value are joined without end, as any part of them is known: a counter of errors that never
//! happened costs one digest.

use std::time::Duration;

use super::digest::{Digest, Wants};
use super::digests::Digests;
use crate::model::Timestamp;

/// The digests of a series from before its first sample.
#[derive(Clone, Debug, Default)]
pub struct Past {
    closed: Digests,
    /// The last one, which may still grow.
    open: Option<Digest>,
}

impl Past {
    /// Adds the run after the last one. Windows reach back as far as `reach`.
    pub(super) fn push(&mut self, run: Digest, reach: Duration) {
        let span = reach / 1000;
        if run.count == 0 {
            return;
        }
        match &mut self.open {
            Some(open) if may_join(open, &run, span) => open.append(&run, Wants::Deviations),
            open => {
                if let Some(closed) = open.replace(run) {
                    self.closed.push(closed);
                }
            }
        }
    }

    /// Adds a run unless it is known already.
    pub fn add(&mut self, run: Digest, reach: Duration) {
        if self.last().is_none_or(|last| last < run.first.at) {
            self.push(run, reach);
        }
    }

    /// The runs in time order.
    pub fn runs(&self) -> impl Iterator<Item = Digest> {
        self.closed.iter().chain(&self.open).copied()
    }

    /// When the last run ends.
    pub(super) fn last(&self) -> Option<Timestamp> {
        self.open.map(|open| open.last.at)
    }

    /// When the first run ends.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.closed.get(0).or(self.open.as_ref()).map(|digest| digest.last.at)
    }

    /// Takes the first run away.
    pub(super) fn drop_oldest(&mut self) {
        if self.closed.pop_front().is_none() {
            self.open = None;
        }
    }

    /// About how many bytes it takes beside itself.
    pub(super) fn size_bytes(&self) -> usize {
        self.closed.size_bytes()
    }

    /// The digest of the samples with `after < at <= until`. A run that lies across an end of the
    /// window is left out, unless all its values are the same.
    pub(super) fn within(
        &self,
        after: Timestamp,
        until: Timestamp,
        wants: Wants,
    ) -> Option<Digest> {
        if self.last().is_none_or(|last| last <= after) {
            return None;
        }
        let from = self.closed.begun_by(after);
        let to = self.closed.ended_by(until).max(from);
        let part = |run: Option<&Digest>| run.and_then(|run| run.within(after, until));
        let before = from.checked_sub(1).and_then(|before| part(self.closed.get(before)));
        let whole = self.closed.joined(from..to, wants);
        let behind = part(self.closed.get(to));
        let parts = [before, whole, behind, part(self.open.as_ref())];
        parts.into_iter().flatten().reduce(|mut joined, part| {
            joined.append(&part, wants);
            joined
        })
    }
}

fn may_join(open: &Digest, run: &Digest, span: Duration) -> bool {
    let is_flat = open.is_flat() && run.is_flat();
    let is_same = open.last.value.to_bits() == run.first.value.to_bits();
    // Over a long gap, samples would no longer be evenly spaced.
    let is_near = run.first.at.since(open.last.at) <= span;
    run.last.at.since(open.first.at) <= span || is_flat && is_same && is_near
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Sample;

    const REACH: Duration = Duration::from_secs(100_000);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1000)
    }

    /// A run of a sample every 10 s from `start` on.
    fn run(start: i64, values: &[f64]) -> Digest {
        let samples: Vec<Sample> = (0..)
            .zip(values)
            .map(|(n, value)| Sample { at: at(start + 10 * n), value: *value })
            .collect();
        Digest::of_all(&samples)
    }

    fn ends(past: &Past) -> Vec<(i64, i64)> {
        let second = |at: Timestamp| at.millis() / 1000;
        past.runs().map(|run| (second(run.first.at), second(run.last.at))).collect()
    }

    #[test]
    fn short_runs_are_joined_up_to_the_span() {
        let mut past = Past::default();
        for start in [0, 40, 80, 120, 160] {
            past.push(run(start, &[1.0, 2.0, 3.0, 4.0]), REACH);
        }
        assert_eq!(ends(&past), [(0, 70), (80, 150), (160, 190)]);
    }

    #[test]
    fn runs_of_one_value_are_joined_without_end_but_not_over_a_gap() {
        let mut past = Past::default();
        for start in [0, 400, 440, 480, 520, 560] {
            past.push(run(start, &[7.0; 4]), REACH);
        }
        assert_eq!(ends(&past), [(0, 30), (400, 590)]);
        past.push(run(600, &[8.0; 12]), REACH);
        assert_eq!(ends(&past), [(0, 30), (400, 590), (600, 710)]);
    }

    #[test]
    fn a_window_takes_whole_runs_and_any_part_of_a_flat_one() {
        let mut past = Past::default();
        past.push(run(0, &[5.0; 20]), REACH);
        past.push(run(200, &[5.0, 6.0, 7.0, 8.0, 9.0, 10.0]), REACH);
        past.push(run(260, &[10.0, 11.0, 12.0, 13.0, 14.0, 15.0]), REACH);
        let counted = |after, until| {
            past.within(at(after), at(until), Wants::Sums).map(|digest| digest.count)
        };
        assert_eq!(counted(-1, 999), Some(32));
        // Samples at 100, 110, …, 190 of the flat run.
        assert_eq!(counted(95, 999), Some(10 + 12));
        assert_eq!(counted(95, 150), Some(6));
        // The second run began before the window.
        assert_eq!(counted(200, 999), Some(6));
        assert_eq!(counted(259, 310), Some(6));
        assert_eq!(counted(260, 310), None);
        let all = past
            .within(at(-1), at(999), Wants::Sums)
            .map(|digest| (digest.first.value, digest.last.value));
        assert_eq!(all, Some((5.0, 15.0)));
    }
}
