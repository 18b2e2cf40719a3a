//! One series: its labels and its samples, oldest chunk first.
//!
//! A series has one open chunk from its first sample on, so its last sample is always at hand
//! without decoding; a series whose last chunk leaves is no series any more. Full chunks are shared
//! with the series' copies until one of both sides fills or drops a chunk.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::chunk::{Chunk, Mark, OpenChunk, View};
use super::digest::{Digest, Wants};
use super::digests::Digests;
use super::past::Past;
use super::source::Seen;
use super::store::Refused;
use crate::model::{Label, Labels, Sample, Timestamp, is_stale};

/// What all series together hold; kept in step by each change, so that nobody has to count.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) samples: usize,
    pub(super) chunks: usize,
    /// All bytes, those of digests among them.
    pub(super) bytes: usize,
    /// The bytes of the digests of what has left.
    pub(super) past_bytes: usize,
}

impl Held {
    /// Counts what a change made of a series' digests.
    fn changed(&mut self, before: Sizes, after: Sizes) {
        self.bytes = (self.bytes + after.all).saturating_sub(before.all);
        self.past_bytes = (self.past_bytes + after.past).saturating_sub(before.past);
    }

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
    sealed: Arc<Sealed>,
    open: OpenChunk,
    /// Those of the last sealed chunk: short windows reach into it while the open one is young.
    marks: Vec<Mark>,
    /// The digest of the open chunk, where long windows are asked for.
    recent: Option<Box<Digest>>,
}

/// What takes no more samples.
#[derive(Clone, Debug, Default)]
struct Sealed {
    chunks: VecDeque<Chunk>,
    /// Where long windows are asked for.
    known: Option<Box<Known>>,
}

/// What is known of a series beside its samples.
#[derive(Clone, Debug, Default)]
struct Known {
    /// A digest for each chunk.
    digests: Digests,
    /// What was before the first chunk.
    past: Past,
    /// How far back the past reaches.
    reach: Duration,
}

impl Known {
    fn sizes(&self) -> Sizes {
        let past = self.past.size_bytes();
        let recent = size_of::<Digest>();
        Sizes { all: size_of::<Self>() + recent + self.digests.size_bytes() + past, past }
    }
}

/// What is counted of a series' digests, in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Sizes {
    all: usize,
    past: usize,
}

/// A part of a series as the functions of a window read it; no stale markers.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// The samples before the middle, or all of them where there is no middle.
    pub(super) head: Vec<Sample>,
    /// What lies in the window as a whole and was not read.
    pub(super) middle: Option<Digest>,
    /// The samples behind it.
    pub(super) tail: Vec<Sample>,
}

impl Part {
    pub(super) fn seen(&self) -> Seen<'_> {
        Seen { head: &self.head, middle: self.middle.as_ref(), tail: &self.tail }
    }
}

impl History {
    /// Starts a series with its first sample.
    pub(super) fn new(labels: Labels, sample: Sample, held: &mut Held) -> Self {
        let open = OpenChunk::new(sample);
        let (sealed, marks) = (Arc::default(), Vec::new());
        let history = Self { labels, sealed, open, marks, recent: None };
        held.add(history.open.view(), history.overhead());
        history
    }

    /// A series that was stored elsewhere, with its past and how far windows reach, where somebody
    /// asks for long ones.
    pub(super) fn restored(
        labels: Labels,
        chunks: VecDeque<Chunk>,
        open: OpenChunk,
        past: Option<(Past, Duration)>,
        held: &mut Held,
    ) -> Self {
        for chunk in &chunks {
            held.add(chunk.view(), size_of::<Chunk>());
        }
        let mut sealed = Sealed { chunks, known: None };
        if let Some((past, reach)) = past {
            let known = Known { digests: sealed.digests(), past, reach };
            held.changed(Sizes::default(), known.sizes());
            sealed.known = Some(Box::new(known));
        }
        let recent = sealed.known.is_some().then(|| Box::new(digest(open.view())));
        let (sealed, marks) = (Arc::new(sealed), Vec::new());
        let history = Self { labels, sealed, open, marks, recent };
        held.add(history.open.view(), history.overhead());
        history
    }

    /// From now on keeps what windows of this length need; nothing where it is zero.
    pub(super) fn watch(&mut self, reach: Duration, held: &mut Held) {
        let sealed = Arc::make_mut(&mut self.sealed);
        let before = sealed.sizes();
        let known = sealed.known.take().filter(|_| !reach.is_zero());
        if !reach.is_zero() {
            let digests = || Known { digests: sealed.digests(), ..Known::default() };
            let mut known = known.unwrap_or_else(|| Box::new(digests()));
            known.reach = reach;
            sealed.known = Some(known);
        }
        held.changed(before, sealed.sizes());
        let open = &self.open;
        self.recent = (!reach.is_zero()).then(|| Box::new(digest(open.view())));
    }

    /// How far back windows reach, where somebody asks for long ones.
    pub(super) fn reach(&self) -> Duration {
        self.sealed.known.as_ref().map_or(Duration::ZERO, |known| known.reach)
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
            let full = std::mem::replace(&mut self.open, OpenChunk::new(sample));
            let (full, marks) = full.seal();
            self.marks = marks;
            held.add(full.view(), size_of::<Chunk>());
            let next = Box::new(Digest::of_all(&[sample]));
            let recent = self.recent.as_mut().map(|recent| std::mem::replace(recent, next));
            Arc::make_mut(&mut self.sealed).push(full, recent, held);
        } else if let Some(recent) = &mut self.recent {
            recent.append(&Digest::of_all(&[sample]), Wants::Deviations);
        }
        held.add(self.open.view(), overhead);
        Ok(Appended::Added)
    }

    /// Reads a little of everything that a query will need, and says nothing of use.
    pub(super) fn glance(&self) -> usize {
        let label = self.labels.iter().next().map_or(0, |label| label.value.len());
        let full = self.sealed.chunks.back().map_or(0, |chunk| chunk.view().first_byte());
        label + usize::from(full) + usize::from(self.open.view().first_byte())
    }

    /// Adds the samples with `after < at <= until` to `samples`, in time order.
    pub(super) fn read(&self, after: Timestamp, until: Timestamp, samples: &mut Vec<Sample>) {
        for view in self.views(after, until) {
            view.read(after, until, samples);
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

    /// The samples with `after < at <= until`, read as far as they must be.
    pub(super) fn part(&self, after: Timestamp, until: Timestamp, wants: Wants, part: &mut Part) {
        part.head.clear();
        part.tail.clear();
        part.middle = None;
        if let Some(known) = &self.sealed.known {
            self.part_around(known, after, until, wants, part);
        }
        if part.middle.is_none() {
            part.head.clear();
            self.read(after, until, &mut part.head);
        }
        for samples in [&mut part.head, &mut part.tail] {
            if samples.iter().any(|sample| is_stale(sample.value)) {
                samples.retain(|sample| !is_stale(sample.value));
            }
        }
    }

    /// The same from digests; without a middle where nothing lies in the window as a whole, or where
    /// the samples must be read.
    fn part_around(
        &self,
        known: &Known,
        after: Timestamp,
        until: Timestamp,
        wants: Wants,
        part: &mut Part,
    ) {
        let chunks = &self.sealed.chunks;
        let from = chunks.partition_point(|chunk| chunk.first() <= after);
        let is_recent = chunks.back().is_none_or(|chunk| chunk.last() <= until);
        let to = match is_recent {
            true => chunks.len(),
            false => chunks.partition_point(|chunk| chunk.last() <= until),
        };
        let past = known.past.within(after, until, wants);
        let whole = if from < to { known.digests.joined(from..to, wants) } else { None };
        let (first, last) = (self.open.view().first(), self.open.view().last());
        let is_open_whole = after < first && last <= until;
        let open = self.recent.as_deref().copied().filter(|_| is_open_whole);
        let middle = [past, whole, open].into_iter().flatten().reduce(|mut before, behind| {
            before.append(&behind, wants);
            before
        });
        let is_overflow = |middle: &Digest| wants >= Wants::Sums && middle.overflows();
        part.middle = middle.filter(|middle| middle.count > 0 && !is_overflow(middle));
        let Some(middle) = &mut part.middle else { return };
        if let Some(across) = from.checked_sub(1)
            && let Some(chunk) = chunks.get(across).filter(|chunk| chunk.last() > after)
        {
            let digest = known.digests.get(across).filter(|digest| {
                let is_plain = digest.resets == 0 && digest.count == u32::from(chunk.count());
                wants == Wants::Growth && is_plain
            });
            match digest.and_then(|digest| growth_after(chunk, digest, after)) {
                Some(mut grown) => {
                    grown.append(middle, wants);
                    *middle = grown;
                }
                None => chunk.view().read(after, until, &mut part.head),
            }
        }
        let behind = self.sealed_views(to.max(from)..chunks.len());
        let open = Some(self.open.view()).filter(|_| !is_open_whole);
        let behind = behind.chain(open).take_while(|view| view.first() <= until);
        behind.for_each(|view| view.read(after, until, &mut part.tail));
    }

    /// When the oldest chunk ends.
    pub(super) fn oldest(&self) -> Timestamp {
        self.sealed.chunks.front().map_or(self.open.view(), Chunk::view).last()
    }

    /// Whether the open chunk is all that is left.
    pub(super) fn is_open_only(&self) -> bool {
        self.sealed.chunks.is_empty()
    }

    /// Drops the oldest chunk; where long windows are asked for, its digest stays. False where that
    /// was the last one: the series must be forgotten, and nothing it had is counted any more.
    #[must_use]
    pub(super) fn drop_oldest(&mut self, held: &mut Held) -> bool {
        let sealed = Arc::make_mut(&mut self.sealed);
        let Some(chunk) = sealed.chunks.pop_front() else {
            held.changed(sealed.sizes(), Sizes::default());
            sealed.known = None;
            held.take(self.open.view(), self.overhead());
            return false;
        };
        held.take(chunk.view(), size_of::<Chunk>());
        let before = sealed.sizes();
        if let Some(known) = &mut sealed.known
            && let Some(digest) = known.digests.pop_front()
        {
            known.past.push(digest, known.reach);
        }
        held.changed(before, sealed.sizes());
        true
    }

    /// When the oldest digest of the past ends.
    pub(super) fn oldest_past(&self) -> Option<Timestamp> {
        self.sealed.known.as_ref()?.past.oldest()
    }

    /// Drops the oldest digest of the past.
    pub(super) fn drop_oldest_past(&mut self, held: &mut Held) {
        let sealed = Arc::make_mut(&mut self.sealed);
        let before = sealed.sizes();
        if let Some(known) = &mut sealed.known {
            known.past.drop_oldest();
        }
        held.changed(before, sealed.sizes());
    }

    /// The chunks that overlap `after < at <= until`.
    fn views(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = View<'_>> {
        // Whoever asks for what the open chunk has alone does not look at the full ones.
        let start = if self.open.view().first() <= after {
            self.sealed.chunks.len()
        } else {
            self.sealed.chunks.partition_point(|chunk| chunk.view().last() <= after)
        };
        let full = self.sealed_views(start..self.sealed.chunks.len());
        full.chain([self.open.view()])
            .skip_while(move |view| view.last() <= after)
            .take_while(move |view| view.first() <= until)
    }

    fn sealed_views(&self, positions: Range<usize>) -> impl Iterator<Item = View<'_>> {
        let chunks = &self.sealed.chunks;
        positions.filter_map(|position| {
            let is_last = position + 1 == chunks.len();
            let marks = if is_last { self.marks.as_slice() } else { &[] };
            chunks.get(position).map(|chunk| chunk.marked_view(marks))
        })
    }

    /// About how many bytes a series takes beside its chunks' bytes and its labels' text: itself,
    /// its labels, its place in the list of each, its places in the store's two maps, counts of
    /// references, and the marks of its last sealed chunk.
    fn overhead(&self) -> usize {
        size_of::<Self>()
            + 3 * size_of::<Mark>()
            + self.labels.len() * (size_of::<Label>() + 8)
            + 128
    }
}

impl Sealed {
    fn push(&mut self, chunk: Chunk, digest: Option<Box<Digest>>, held: &mut Held) {
        let before = self.sizes();
        if let (Some(known), Some(digest)) = (&mut self.known, digest) {
            known.digests.push(*digest);
        }
        held.changed(before, self.sizes());
        self.chunks.push_back(chunk);
    }

    fn sizes(&self) -> Sizes {
        self.known.as_ref().map(|known| known.sizes()).unwrap_or_default()
    }

    fn digests(&self) -> Digests {
        let mut digests = Digests::default();
        self.chunks.iter().for_each(|chunk| digests.push(digest(chunk.view())));
        digests
    }
}

fn digest(view: View<'_>) -> Digest {
    let samples: Vec<Sample> = view.samples().collect();
    Digest::of_all(&samples)
}

/// The growth of a chunk's samples after a time. Where no value fell, whatever comes behind the first
/// of them is known.
fn growth_after(chunk: &Chunk, digest: &Digest, after: Timestamp) -> Option<Digest> {
    let mut samples = (0..).zip(chunk.samples());
    let (skipped, first) = samples.find(|(_, sample)| sample.at > after)?;
    Some(digest.without(skipped, first))
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
