//! One series: its labels and its samples, oldest chunk first.
//!
//! A series has one open chunk from its first sample on, so its last sample is always at hand
//! without decoding; a series whose last chunk leaves is no series any more. Full chunks are shared
//! with the series' copies until one of both sides fills or drops a chunk.

use std::collections::VecDeque;
use std::sync::Arc;

use super::chunk::{Chunk, OpenChunk, View};
use super::store::Refused;
use crate::model::{Label, Labels, Sample, Timestamp};

/// What all series together hold; kept in step by each change, so that nobody has to count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) samples: usize,
    pub(super) chunks: usize,
    pub(super) bytes: usize,
}

impl Held {
    fn add(&mut self, view: View<'_>, overhead: usize) {
        self.samples += view.count();
        self.chunks += 1;
        self.bytes += view.size_bytes() + overhead;
    }

    fn take(&mut self, view: View<'_>, overhead: usize) {
        self.samples = self.samples.saturating_sub(view.count());
        self.chunks = self.chunks.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(view.size_bytes() + overhead);
    }
}

/// What became of a sample that was not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appended {
    /// It is the series' last one now.
    Added,
    /// It was the series' last one already.
    Known,
}

/// A series.
#[derive(Clone, Debug)]
pub(super) struct History {
    labels: Labels,
    full: Arc<VecDeque<Chunk>>,
    open: OpenChunk,
}

impl History {
    /// Starts a series with its first sample.
    pub(super) fn new(labels: Labels, sample: Sample, held: &mut Held) -> Self {
        let history = Self { labels, full: Arc::default(), open: OpenChunk::new(sample) };
        held.add(history.open.view(), history.overhead());
        history
    }

    /// A series that was stored elsewhere.
    pub(super) fn restored(
        labels: Labels,
        full: VecDeque<Chunk>,
        open: OpenChunk,
        held: &mut Held,
    ) -> Self {
        for chunk in &full {
            held.add(chunk.view(), size_of::<Chunk>());
        }
        let history = Self { labels, full: Arc::new(full), open };
        held.add(history.open.view(), history.overhead());
        history
    }

    /// The last sample.
    pub(super) fn last(&self) -> Sample {
        self.open.last()
    }

    /// The label set.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Appends a sample that is later than all before it.
    pub(super) fn append(&mut self, sample: Sample, held: &mut Held) -> Result<Appended, Refused> {
        let last = self.open.last();
        if sample.at < last.at {
            return Err(Refused::OutOfOrder);
        }
        if sample.at == last.at {
            let same = sample.value.to_bits() == last.value.to_bits();
            return if same { Ok(Appended::Known) } else { Err(Refused::DuplicateTimestamp) };
        }
        let overhead = self.overhead();
        held.take(self.open.view(), overhead);
        if !self.open.push(sample) {
            let full = std::mem::replace(&mut self.open, OpenChunk::new(sample)).seal();
            held.add(full.view(), size_of::<Chunk>());
            Arc::make_mut(&mut self.full).push_back(full);
        }
        held.add(self.open.view(), overhead);
        Ok(Appended::Added)
    }

    /// Reads a little of everything that a query will need, and says nothing of use.
    pub(super) fn glance(&self) -> usize {
        let label = self.labels.iter().next().map_or(0, |label| label.value.len());
        let full = self.full.back().map_or(0, |chunk| chunk.view().first_byte());
        label + usize::from(full) + usize::from(self.open.view().first_byte())
    }

    /// Adds the samples with `after < at <= until` to `samples`, in time order.
    pub(super) fn read(&self, after: Timestamp, until: Timestamp, samples: &mut Vec<Sample>) {
        for view in self.views(after, until) {
            view.samples().read(after, until, samples);
        }
    }

    /// Whether there is a sample with `after < at <= until`.
    pub(super) fn has_samples(&self, after: Timestamp, until: Timestamp) -> bool {
        let holds = |at| after < at && at <= until;
        self.views(after, until).any(|view| {
            // Decoded only where a chunk reaches beyond the time at both ends.
            holds(view.first())
                || holds(view.last())
                || view.samples().any(|sample| holds(sample.at))
        })
    }

    /// When the oldest chunk ends.
    pub(super) fn oldest(&self) -> Timestamp {
        self.full.front().map_or(self.open.view(), Chunk::view).last()
    }

    /// Drops the oldest chunk. False where that was the last one: the series must be forgotten,
    /// and nothing it had is counted any more.
    #[must_use]
    pub(super) fn drop_oldest(&mut self, held: &mut Held) -> bool {
        match Arc::make_mut(&mut self.full).pop_front() {
            Some(chunk) => held.take(chunk.view(), size_of::<Chunk>()),
            None => {
                held.take(self.open.view(), self.overhead());
                return false;
            }
        }
        true
    }

    /// The chunks that overlap `after < at <= until`.
    fn views(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = View<'_>> {
        // Whoever asks for what the open chunk has alone does not look at the full ones.
        let start = if self.open.view().first() <= after {
            self.full.len()
        } else {
            self.full.partition_point(|chunk| chunk.view().last() <= after)
        };
        let full = self.full.range(start..).map(Chunk::view);
        full.chain([self.open.view()])
            .skip_while(move |view| view.last() <= after)
            .take_while(move |view| view.first() <= until)
    }

    /// About how many bytes a series takes beside its chunks' bytes and its labels' text: itself,
    /// its labels, its place in the list of each, its places in the store's two maps, and counts of
    /// references.
    fn overhead(&self) -> usize {
        size_of::<Self>() + self.labels.len() * (size_of::<Label>() + 8) + 128
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: i64) -> Sample {
        Sample { at: Timestamp::from_millis(at), value: at as f64 }
    }

    /// Samples at 0, 10, …, 2990: two full chunks (0–1190, 1200–2390) and an open one.
    fn history(held: &mut Held) -> History {
        let mut history = History::new(Labels::empty(), sample(0), held);
        for at in (10..3000).step_by(10) {
            assert_eq!(history.append(sample(at), held), Ok(Appended::Added));
        }
        history
    }

    #[test]
    fn a_window_is_open_on_the_left_and_closed_on_the_right() {
        let history = history(&mut Held::default());
        for (after, until, expected) in [
            (-1, 20, &[0_i64, 10, 20] as &[i64]),
            (0, 20, &[10, 20]),
            (0, 19, &[10]),
            (1180, 1210, &[1190, 1200, 1210]),
            (1190, 1199, &[]),
            (1190, 1200, &[1200]),
            (2380, 2400, &[2390, 2400]),
            (2980, 9999, &[2990]),
            (2990, 9999, &[]),
            (500, 500, &[]),
            (501, 509, &[]),
            (600, 500, &[]),
            (-100, -1, &[]),
        ] {
            let (start, end) = (Timestamp::from_millis(after), Timestamp::from_millis(until));
            let mut samples = Vec::new();
            history.read(start, end, &mut samples);
            let times: Vec<_> = samples.iter().map(|sample| sample.at.millis()).collect();
            assert_eq!(times, expected, "({after}, {until}]");
            assert_eq!(history.has_samples(start, end), !expected.is_empty(), "({after}, {until}]");
        }
    }

    #[test]
    fn what_leaves_is_no_longer_counted() {
        let mut held = Held::default();
        let mut history = history(&mut held);
        assert_eq!((held.samples, held.chunks), (300, 3));
        assert_eq!(history.oldest(), Timestamp::from_millis(1190));
        assert!(history.drop_oldest(&mut held));
        assert_eq!(history.oldest(), Timestamp::from_millis(2390));
        assert_eq!((held.samples, held.chunks), (180, 2));
        assert!(history.drop_oldest(&mut held));
        assert!(!history.drop_oldest(&mut held));
        assert_eq!((held.samples, held.chunks, held.bytes), (0, 0, 0));
    }
}
