//! A store from chunks that were stored elsewhere.
//!
//! Full chunks are taken as they are; only the last one of each series is read, to go on with it.
//! So a day of samples costs a copy of its bytes.
//!
//! Chunks come in the order in which they were written. Time usually follows that order, but a
//! clock may have been set back between two runs: then what was written later holds, and the
//! samples before it that are not earlier leave. Samples later than now were written by a clock
//! that ran ahead; they are left out, as a series would refuse everything until time has caught up.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::chunk::{Chunk, OpenChunk};
use super::digest::Digest;
use super::packer::Packer;
use super::past::Past;
use super::store::{Settings, Store};
use super::watch::{Watch, watched_reach};
use crate::model::{Labels, Sample, Timestamp, stale_marker};

/// Gathers chunks.
#[derive(Debug)]
pub struct Restoring {
    settings: Settings,
    watches: Vec<Watch>,
    now: Timestamp,
    /// Chunks that end before this are told of by digests only.
    kept_from: Timestamp,
    /// Never iterated: its order is the hash's own.
    places: HashMap<Labels, usize>,
    series: Vec<Gathered>,
    left_out: u64,
    from_future: u64,
}

/// A series as far as it was stored.
#[derive(Debug)]
struct Gathered {
    labels: Labels,
    chunks: VecDeque<Chunk>,
    past: Past,
    reach: Duration,
}

/// The store, and what is not in it.
#[derive(Debug)]
pub struct Restored {
    /// The store.
    pub store: Store,
    /// Samples that had no room, made room for later ones, or could not be read.
    pub left_out: u64,
    /// Samples that are later than now.
    pub from_future: u64,
}

impl Restoring {
    /// Nothing yet. What left its chunks already is told of where it is watched.
    pub fn new(settings: Settings, watches: Vec<Watch>, now: Timestamp) -> Self {
        let kept_from = now - settings.retention;
        Self {
            settings,
            watches,
            now,
            kept_from,
            places: HashMap::new(),
            series: Vec::new(),
            left_out: 0,
            from_future: 0,
        }
    }

    /// Nothing yet, for somebody who will add samples from now on by himself: all that comes before
    /// is told of by digests.
    pub fn of_past(settings: Settings, watches: Vec<Watch>, now: Timestamp) -> Self {
        Self { kept_from: now, ..Self::new(settings, watches, now) }
    }

    /// Adds digests of what is older than a series' chunks, in time order. They come before all
    /// chunks; those that came already are left out.
    pub fn add_past(&mut self, labels: &Labels, digests: impl IntoIterator<Item = Digest>) {
        let kept_from = self.kept_from;
        let Some(gathered) = self.place(labels).filter(|gathered| !gathered.reach.is_zero()) else {
            return;
        };
        for digest in digests {
            // A clock that ran ahead must not hide the samples that are kept.
            if digest.last.at < kept_from {
                gathered.past.add(digest, gathered.reach);
            }
        }
    }

    /// Adds a series' chunks, which are in time order among themselves.
    pub fn add(&mut self, labels: &Labels, chunks: impl IntoIterator<Item = Chunk>) {
        let (now, kept_from) = (self.now, self.kept_from);
        let (mut left_out, mut from_future) = (0, 0);
        match self.place(labels) {
            None => left_out = chunks.into_iter().map(|chunk| u64::from(chunk.count())).sum(),
            Some(gathered) => {
                for chunk in chunks {
                    gathered.add(chunk, now, kept_from, &mut left_out, &mut from_future);
                }
            }
        }
        self.left_out += left_out;
        self.from_future += from_future;
    }

    fn place(&mut self, labels: &Labels) -> Option<&mut Gathered> {
        let place = match self.places.get(labels) {
            Some(place) => *place,
            None if self.series.len() < self.settings.series_max => {
                let place = self.series.len();
                self.places.insert(labels.clone(), place);
                self.series.push(Gathered {
                    labels: labels.clone(),
                    chunks: VecDeque::new(),
                    past: Past::default(),
                    reach: watched_reach(&self.watches, labels),
                });
                place
            }
            None => return None,
        };
        self.series.get_mut(place)
    }

    /// The store. Its limits hold from the start.
    pub fn finish(self) -> Restored {
        let mut store = Store::new(self.settings);
        store.watches = self.watches;
        let mut left_out = self.left_out;
        for gathered in self.series {
            let Gathered { labels, mut chunks, past, .. } = gathered;
            // Nothing but a past is a series that has ended.
            let mut open = past.last().map(ended);
            while let Some(last) = chunks.pop_back() {
                if let Some(reopened) = reopen(&last) {
                    open = Some(reopened);
                    break;
                }
                left_out += u64::from(last.count());
            }
            if let Some(open) = open {
                store.insert(&labels, chunks, open, past);
            }
        }
        store.expire(self.now);
        Restored { store, left_out, from_future: self.from_future }
    }
}

impl Gathered {
    fn add(
        &mut self,
        chunk: Chunk,
        now: Timestamp,
        kept_from: Timestamp,
        left_out: &mut u64,
        from_future: &mut u64,
    ) {
        // What the past knows already is not told twice.
        let known = self.past.last().filter(|last| chunk.first() <= *last);
        let chunk = match known {
            Some(last) if chunk.last() <= last => return,
            Some(last) => match part(&chunk, |at| at > last) {
                Some(rest) => rest,
                None => return,
            },
            None => chunk,
        };
        if chunk.last() < kept_from {
            if !self.reach.is_zero() {
                let samples: Vec<Sample> = chunk.samples().collect();
                self.past.push(Digest::of_all(&samples), self.reach);
            }
            return;
        }
        // What was written later holds.
        while let Some(before) = self.chunks.pop_back_if(|before| before.last() >= chunk.first()) {
            let earlier = part(&before, |at| at < chunk.first());
            *left_out += missing(&before, &earlier);
            self.chunks.extend(earlier);
        }
        if chunk.last() > now {
            let past = part(&chunk, |at| at <= now);
            *from_future += missing(&chunk, &past);
            self.chunks.extend(past);
        } else {
            self.chunks.push_back(chunk);
        }
    }
}

/// The open chunk of a series that ended at a time.
fn ended(last: Timestamp) -> OpenChunk {
    OpenChunk::new(Sample { at: last + Duration::from_millis(1), value: stale_marker() })
}

/// The samples of a chunk at chosen times, which may be none.
fn part(chunk: &Chunk, is_chosen: impl Fn(Timestamp) -> bool) -> Option<Chunk> {
    let mut packer = Packer::default();
    for sample in chunk.samples().filter(|sample| is_chosen(sample.at)) {
        packer.push(sample);
    }
    packer.finish().pop()
}

fn missing(whole: &Chunk, part: &Option<Chunk>) -> u64 {
    u64::from(whole.count()) - part.as_ref().map_or(0, |part| u64::from(part.count()))
}

/// The chunk as one that still takes samples.
fn reopen(chunk: &Chunk) -> Option<OpenChunk> {
    let mut samples = chunk.samples();
    let mut open = OpenChunk::new(samples.next()?);
    for sample in samples {
        if sample.at > open.last().at {
            open.push(sample);
        }
    }
    Some(open)
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    const FOREVER: Settings =
        Settings { retention: Duration::MAX, size_max_bytes: u64::MAX, series_max: 2 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    fn chunks(times: impl IntoIterator<Item = i64>, value: f64) -> Vec<Chunk> {
        let mut packer = Packer::default();
        for time in times {
            assert!(packer.push(Sample { at: at(time), value }));
        }
        packer.finish()
    }

    /// The samples of a series as `value@time`.
    fn content(store: &Store, name: &str) -> String {
        let mut text = Vec::new();
        let matcher = [crate::model::Matcher::parse(&format!("__name__={name}")).unwrap()];
        store.select(&matcher, Timestamp::MIN, Timestamp::MAX, &mut |_, samples| {
            text.extend(samples.iter().map(|s| format!("{}@{}", s.value, s.at.millis())));
        });
        text.join(" ")
    }

    #[test]
    fn a_restored_store_goes_on_where_it_was() {
        let mut plain = Store::new(FOREVER);
        let mut restoring = Restoring::new(FOREVER, Vec::new(), at(9999));
        for (name, count) in [("a", 1), ("b", 500)] {
            for time in 0..count {
                let sample = Sample { at: at(time * 10), value: time as f64 };
                assert_eq!(plain.append(&series(name), sample), Ok(()));
            }
            let mut packer = Packer::default();
            for time in 0..count {
                packer.push(Sample { at: at(time * 10), value: time as f64 });
            }
            restoring.add(&series(name), packer.finish());
        }
        let restored = restoring.finish();
        assert_eq!((restored.left_out, restored.from_future), (0, 0));
        let mut store = restored.store;
        for time in [5000, 5010] {
            let sample = Sample { at: at(time), value: stale_marker() };
            assert_eq!(store.append(&series("b"), sample), plain.append(&series("b"), sample));
        }
        assert_eq!(content(&store, "b"), content(&plain, "b"));
        assert_eq!(content(&store, "a"), "0@0");
        assert_eq!(store.stats(), plain.stats());
    }

    #[test]
    fn what_was_written_later_holds() {
        let mut restoring = Restoring::new(FOREVER, Vec::new(), at(999));
        restoring.add(&series("a"), chunks([10, 20, 30], 1.0));
        restoring.add(&series("a"), chunks([40, 50], 1.0));
        restoring.add(&series("a"), chunks([20, 35], 2.0));
        let restored = restoring.finish();
        assert_eq!(content(&restored.store, "a"), "1@10 2@20 2@35");
        assert_eq!((restored.left_out, restored.from_future), (4, 0));
    }

    #[test]
    fn samples_from_the_future_are_left_out_and_counted() {
        let mut restoring = Restoring::new(FOREVER, Vec::new(), at(25));
        restoring.add(&series("a"), chunks([10, 20, 30], 1.0));
        restoring.add(&series("b"), chunks([40, 50], 1.0));
        let mut restored = restoring.finish();
        assert_eq!(content(&restored.store, "a"), "1@10 1@20");
        assert_eq!((restored.left_out, restored.from_future), (0, 3));
        assert_eq!(restored.store.stats().series, 1);
        let sample = Sample { at: at(26), value: 7.0 };
        assert_eq!(restored.store.append(&series("b"), sample), Ok(()));
    }

    #[test]
    fn limits_hold_from_the_start() {
        let settings = Settings { retention: Duration::from_millis(100), ..FOREVER };
        let mut restoring = Restoring::new(settings, Vec::new(), at(1000));
        restoring.add(&series("a"), chunks([800, 899], 1.0));
        restoring.add(&series("b"), chunks([800, 900], 1.0));
        restoring.add(&series("c"), chunks([950, 960, 970], 1.0));
        let restored = restoring.finish();
        assert_eq!(restored.left_out, 3);
        assert_eq!(restored.store.stats().series, 1);
        assert_eq!(content(&restored.store, "b"), "1@800 1@900");
    }

    #[test]
    fn bytes_that_are_no_samples_do_no_harm() {
        let mut restoring = Restoring::new(FOREVER, Vec::new(), at(1000));
        for (count, bytes) in [(120, vec![0xff; 8]), (1, vec![0x5a; 99]), (120, vec![0xa5; 999])] {
            let chunk = Chunk::from_parts(at(1), at(2), count, bytes.into());
            restoring.add(&series("a"), chunk);
        }
        for (count, bytes) in [(0, vec![0; 8]), (121, vec![0; 99]), (1, vec![0; 7])] {
            assert_eq!(Chunk::from_parts(at(1), at(2), count, bytes.into()), None);
        }
        assert_eq!(Chunk::from_parts(at(2), at(1), 1, vec![0; 8].into()), None);
        let restored = restoring.finish();
        assert!(restored.store.stats().series <= 1);
    }
}
