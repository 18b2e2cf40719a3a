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

use super::chunk::{Chunk, OpenChunk};
use super::packer::Packer;
use super::store::{Settings, Store};
use crate::model::{Labels, Timestamp};

/// Gathers chunks.
#[derive(Debug)]
pub struct Restoring {
    settings: Settings,
    now: Timestamp,
    /// Never iterated: its order is the hash's own.
    places: HashMap<Labels, usize>,
    series: Vec<(Labels, VecDeque<Chunk>)>,
    left_out: u64,
    from_future: u64,
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
    /// Nothing yet.
    pub fn new(settings: Settings, now: Timestamp) -> Self {
        Self {
            settings,
            now,
            places: HashMap::new(),
            series: Vec::new(),
            left_out: 0,
            from_future: 0,
        }
    }

    /// Adds a series' chunks, which are in time order among themselves.
    pub fn add(&mut self, labels: &Labels, chunks: impl IntoIterator<Item = Chunk>) {
        let place = match self.places.get(labels) {
            Some(place) => *place,
            None if self.series.len() < self.settings.series_max => {
                let place = self.series.len();
                self.places.insert(labels.clone(), place);
                self.series.push((labels.clone(), VecDeque::new()));
                place
            }
            None => {
                let lost = chunks.into_iter().map(|chunk| u64::from(chunk.count()));
                self.left_out += lost.sum::<u64>();
                return;
            }
        };
        let Some((_, held)) = self.series.get_mut(place) else { return };
        let kept_from = self.now - self.settings.retention;
        for chunk in chunks {
            if chunk.last() < kept_from {
                continue;
            }
            // What was written later holds.
            while let Some(before) = held.pop_back_if(|before| before.last() >= chunk.first()) {
                let earlier = part(&before, |at| at < chunk.first());
                self.left_out += missing(&before, &earlier);
                held.extend(earlier);
            }
            if chunk.last() > self.now {
                let past = part(&chunk, |at| at <= self.now);
                self.from_future += missing(&chunk, &past);
                held.extend(past);
            } else {
                held.push_back(chunk);
            }
        }
    }

    /// The store. Its limits hold from the start.
    pub fn finish(self) -> Restored {
        let mut store = Store::new(self.settings);
        let mut left_out = self.left_out;
        for (labels, mut chunks) in self.series {
            while let Some(last) = chunks.pop_back() {
                if let Some(open) = reopen(&last) {
                    store.insert(&labels, chunks, open);
                    break;
                }
                left_out += u64::from(last.count());
            }
        }
        store.expire(self.now);
        Restored { store, left_out, from_future: self.from_future }
    }
}

/// The samples of a chunk at chosen times, which may be none.
fn part(chunk: &Chunk, is_chosen: impl Fn(Timestamp) -> bool) -> Option<Chunk> {
    let mut packer = Packer::default();
    for sample in chunk.samples().take_while(|sample| is_chosen(sample.at)) {
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
    use std::time::Duration;

    use super::super::source::Source;
    use super::*;
    use crate::model::{Sample, stale_marker};

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
        let mut restoring = Restoring::new(FOREVER, at(9999));
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
        let mut restoring = Restoring::new(FOREVER, at(999));
        restoring.add(&series("a"), chunks([10, 20, 30], 1.0));
        restoring.add(&series("a"), chunks([40, 50], 1.0));
        restoring.add(&series("a"), chunks([20, 35], 2.0));
        let restored = restoring.finish();
        assert_eq!(content(&restored.store, "a"), "1@10 2@20 2@35");
        assert_eq!((restored.left_out, restored.from_future), (4, 0));
    }

    #[test]
    fn samples_from_the_future_are_left_out_and_counted() {
        let mut restoring = Restoring::new(FOREVER, at(25));
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
        let mut restoring = Restoring::new(settings, at(1000));
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
        let mut restoring = Restoring::new(FOREVER, at(1000));
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
