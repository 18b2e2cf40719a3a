//! The digests of a series' runs in order, and the digest of any stretch of them.
//!
//! Beside each run's own digest there is one for every 4 neighbouring runs, one for every 16, and so
//! on: a stretch of any length is put together from at most 3 digests of each level at either end.
//! Most windows end with the last run, so for each 16th run there is also the digest of all from there
//! to the end. So a window costs about the same however long it is, for two fifths more room.
//!
//! Runs are numbered from the first one ever pushed, so that those of a level stay where they are
//! while old ones leave.

use std::collections::VecDeque;
use std::ops::Range;

use super::digest::{Digest, Wants};
use crate::model::Timestamp;

/// How many digests of a level make one of the next.
const FAN: u64 = 4;
/// Between two runs from which on all are in one digest: adding a run adds it to each of those.
const TAIL: u64 = 16;

/// Digests of neighbouring runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests {
    /// The number of the first run that is still there.
    start: u64,
    runs: VecDeque<Digest>,
    /// From fours of runs on; each level begins with the first one whose runs are all still there.
    levels: Vec<VecDeque<Digest>>,
    /// From each 16th run on to the last, beginning with the first of them that is still there.
    tails: VecDeque<Digest>,
}

impl Digests {
    /// About how many bytes they take.
    pub(super) fn size_bytes(&self) -> usize {
        let levels: usize = self.levels.iter().map(VecDeque::len).sum();
        (self.runs.len() + levels + self.tails.len()) * size_of::<Digest>()
    }

    /// The runs' own digests.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.runs.iter()
    }

    /// A run's own digest.
    pub(super) fn get(&self, position: usize) -> Option<&Digest> {
        self.runs.get(position)
    }

    /// How many runs end by a time.
    pub(super) fn ended_by(&self, at: Timestamp) -> usize {
        // Mostly all.
        match self.runs.back() {
            Some(last) if last.last.at > at => self.runs.partition_point(|run| run.last.at <= at),
            _ => self.runs.len(),
        }
    }

    /// How many runs begin by a time. Most are about equally long, so the place is guessed, and
    /// looked for in steps that grow from there.
    pub(super) fn begun_by(&self, at: Timestamp) -> usize {
        let runs = &self.runs;
        let begins = |run: usize| runs.get(run).map_or(i64::MAX, |run| run.first.at.millis());
        let (begin, end) = (begins(0), begins(runs.len().saturating_sub(1)));
        if runs.is_empty() || at.millis() < begin || at.millis() >= end {
            return if at.millis() < begin { 0 } else { runs.len() };
        }
        let share = at.since(runs[0].first.at).as_secs_f64() * 1000.0 / (end - begin) as f64;
        let guess = ((share * runs.len() as f64) as usize).min(runs.len() - 1);
        let is_before = |run: usize| begins(run) <= at.millis();
        let (mut low, mut high, mut step) = (guess, guess, 1);
        while low > 0 && !is_before(low) {
            (high, low, step) = (low, low.saturating_sub(step), step * 2);
        }
        while high < runs.len() && is_before(high) {
            (low, high, step) = (high, high.saturating_add(step).min(runs.len()), step * 2);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(middle) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// Adds the run after the last one.
    pub(super) fn push(&mut self, digest: Digest) {
        // Most series have few runs; doubling the room from four on would cost more than they take.
        if self.runs.len() == self.runs.capacity() && self.runs.len() < 8 {
            self.runs.reserve_exact(1);
        }
        for tail in &mut self.tails {
            tail.append(&digest, Wants::Deviations);
        }
        if (self.start + self.runs.len() as u64).is_multiple_of(TAIL) {
            self.tails.push_back(digest);
        }
        self.runs.push_back(digest);
        let end = self.start + self.runs.len() as u64;
        let mut width = 1;
        for level in 0.. {
            width *= FAN;
            if !end.is_multiple_of(width) || end - width < self.start {
                return;
            }
            if self.levels.len() == level {
                self.levels.push(VecDeque::new());
            }
            let Some(joined) = self.last_of(level) else { return };
            self.levels[level].push_back(joined);
        }
    }

    /// Takes the first run away.
    pub(super) fn pop_front(&mut self) -> Option<Digest> {
        let first = self.runs.pop_front()?;
        let mut width = 1;
        for level in &mut self.levels {
            width *= FAN;
            if self.start.is_multiple_of(width) {
                level.pop_front();
            }
        }
        if self.start.is_multiple_of(TAIL) {
            self.tails.pop_front();
        }
        self.start += 1;
        Some(first)
    }

    /// The digest of the runs at these positions; `None` where there are none.
    pub(super) fn joined(&self, positions: Range<usize>, wants: Wants) -> Option<Digest> {
        let end = self.start + positions.end.min(self.runs.len()) as u64;
        let is_to_the_end = positions.end >= self.runs.len();
        let mut at = self.start + positions.start as u64;
        let mut joined: Option<Digest> = None;
        while at < end {
            let tail = self.tail(at).filter(|_| is_to_the_end);
            let (digest, width) = match tail {
                Some(tail) => (tail, end - at),
                None => self.widest(at, end)?,
            };
            match &mut joined {
                Some(joined) => joined.append(digest, wants),
                None => joined = Some(*digest),
            }
            at += width;
        }
        joined
    }

    /// The digest of all runs from `at` on, where there is one.
    fn tail(&self, at: u64) -> Option<&Digest> {
        let position = at.is_multiple_of(TAIL).then(|| at / TAIL - self.start.div_ceil(TAIL))?;
        self.tails.get(usize::try_from(position).ok()?)
    }

    /// The digest of the most runs from `at` on that end by `end`, and how many they are.
    fn widest(&self, at: u64, end: u64) -> Option<(&Digest, u64)> {
        let mut widest = (self.runs.get(usize::try_from(at - self.start).ok()?)?, 1);
        let mut width = 1;
        for level in &self.levels {
            width *= FAN;
            if !at.is_multiple_of(width) || at + width > end {
                break;
            }
            let position = at / width - self.start.div_ceil(width);
            let Some(digest) = level.get(usize::try_from(position).ok()?) else { break };
            widest = (digest, width);
        }
        Some(widest)
    }

    /// The last 16 digests of the level below, as one.
    fn last_of(&self, level: usize) -> Option<Digest> {
        let below = match level.checked_sub(1) {
            None => &self.runs,
            Some(below) => self.levels.get(below)?,
        };
        let mut last = below.range(below.len().checked_sub(FAN as usize)?..);
        let mut joined = *last.next()?;
        last.for_each(|digest| joined.append(digest, Wants::Deviations));
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::Sample;

    fn run(number: i64) -> Digest {
        let sample = |at, value| Sample { at: Timestamp::from_millis(at), value };
        let value = (number * 7 % 11) as f64;
        Digest::of_all(&[sample(2 * number, value), sample(2 * number + 1, value + 1.0)])
    }

    #[test]
    fn a_level_holds_one_digest_for_four_of_the_one_below() {
        let mut digests = Digests::default();
        (0..600).for_each(|number| digests.push(run(number)));
        let sizes: Vec<usize> = digests.levels.iter().map(VecDeque::len).collect();
        assert_eq!(sizes, [600 / 4, 600 / 16, 600 / 64, 600 / 256]);
    }

    proptest! {
        #[test]
        fn a_time_is_found_among_runs_however_they_lie(
            gaps in prop::collection::vec(1_i64..5000, 0..80),
            asked in prop::collection::vec(0_i64..300_000, 20),
        ) {
            let mut digests = Digests::default();
            let mut begins = Vec::new();
            let mut at = 0;
            for gap in gaps {
                at += gap;
                begins.push(at);
                digests.push(Digest::of(Sample { at: Timestamp::from_millis(at), value: 1.0 }));
            }
            for at in asked.into_iter().chain(begins.clone()) {
                let expected = begins.iter().filter(|begin| **begin <= at).count();
                let at = Timestamp::from_millis(at);
                prop_assert_eq!(digests.begun_by(at), expected);
                prop_assert_eq!(digests.ended_by(at), expected);
            }
        }

        #[test]
        fn a_stretch_is_what_its_runs_are_one_by_one(
            pushes in prop::collection::vec(0_usize..40, 1..20),
            pops in prop::collection::vec(0_usize..40, 20),
            from in 0_usize..300,
            count in 0_usize..300,
        ) {
            let mut digests = Digests::default();
            let mut plain: VecDeque<Digest> = VecDeque::new();
            let mut number = 0;
            for (pushed, popped) in pushes.into_iter().zip(pops) {
                for _ in 0..pushed {
                    digests.push(run(number));
                    plain.push_back(run(number));
                    number += 1;
                }
                for _ in 0..popped {
                    prop_assert_eq!(digests.pop_front(), plain.pop_front());
                }
                let from = from.min(plain.len());
                let to = (from + count).min(plain.len());
                let expected = plain.range(from..to).copied().reduce(|mut joined, run| {
                    joined.append(&run, Wants::Deviations);
                    joined
                });
                let found = digests.joined(from..to, Wants::Deviations);
                let exact = |digest: Option<Digest>| {
                    let of = |d: Digest| (d.first, d.last, d.count, d.resets, d.changes, d.dropped);
                    digest.map(of)
                };
                prop_assert_eq!(exact(found), exact(expected));
                prop_assert_eq!(found.map(|d| d.sum.total()), expected.map(|d| d.sum.total()));
            }
        }
    }
}
