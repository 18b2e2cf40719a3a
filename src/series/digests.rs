//! The digests of a series' runs in order, and the digest of any stretch of them.
//!
//! Beside each run's own digest there is one for every 16 neighbouring runs, one for every 256, and
//! so on: a stretch of any length is put together from some 15 digests for each level at either end.
//! So a window costs about the same however long it is.
//!
//! Runs are numbered from the first one ever pushed, so that those of a level stay where they are
//! while old ones leave.

use std::collections::VecDeque;
use std::ops::Range;

use super::digest::Digest;

/// How many digests of a level make one of the next.
const FAN: u64 = 16;

/// Digests of neighbouring runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests {
    /// The number of the first run that is still there.
    start: u64,
    runs: VecDeque<Digest>,
    /// From pairs of 16 on; each level begins with the first one whose runs are all still there.
    levels: Vec<VecDeque<Digest>>,
}

impl Digests {
    /// About how many bytes they take.
    pub(super) fn size_bytes(&self) -> usize {
        let count = self.runs.len() + self.levels.iter().map(VecDeque::len).sum::<usize>();
        count * size_of::<Digest>()
    }

    /// The runs' own digests.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.runs.iter()
    }

    /// A run's own digest.
    pub(super) fn get(&self, position: usize) -> Option<&Digest> {
        self.runs.get(position)
    }

    /// How many runs from the front on satisfy a condition that none behind them does.
    pub(super) fn partition_point(&self, is_before: impl Fn(&Digest) -> bool) -> usize {
        self.runs.partition_point(is_before)
    }

    /// Adds the run after the last one.
    pub(super) fn push(&mut self, digest: Digest) {
        // Most series have few runs; doubling the room from four on would cost more than they take.
        if self.runs.len() == self.runs.capacity() && self.runs.len() < 8 {
            self.runs.reserve_exact(1);
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
        self.start += 1;
        Some(first)
    }

    /// The digest of the runs at these positions; `None` where there are none.
    pub(super) fn joined(&self, positions: Range<usize>) -> Option<Digest> {
        let end = self.start + positions.end.min(self.runs.len()) as u64;
        let mut at = self.start + positions.start as u64;
        let mut joined: Option<Digest> = None;
        while at < end {
            let (digest, width) = self.widest(at, end)?;
            match &mut joined {
                Some(joined) => joined.append(digest),
                None => joined = Some(*digest),
            }
            at += width;
        }
        joined
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
        last.for_each(|digest| joined.append(digest));
        Some(joined)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Sample, Timestamp};

    fn run(number: i64) -> Digest {
        let sample = |at, value| Sample { at: Timestamp::from_millis(at), value };
        let value = (number * 7 % 11) as f64;
        Digest::of_all(&[sample(2 * number, value), sample(2 * number + 1, value + 1.0)])
    }

    #[test]
    fn a_level_holds_one_digest_for_sixteen_of_the_one_below() {
        let mut digests = Digests::default();
        (0..600).for_each(|number| digests.push(run(number)));
        let sizes: Vec<usize> = digests.levels.iter().map(VecDeque::len).collect();
        assert_eq!(sizes, [600 / 16, 600 / 256]);
    }

    proptest! {
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
                    joined.append(&run);
                    joined
                });
                let found = digests.joined(from..to);
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
