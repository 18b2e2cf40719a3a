//! What leaves, and when.
//!
//! A chunk leaves as a whole, once its last sample is older than the retention: up to a chunk's
//! length more than the retention can be read. Then, while everything takes more room than it may,
//! the chunk that ended first leaves, whosesoever it is. A series without chunks is forgotten with
//! its labels; if it comes back, it starts anew.
//!
//! Of a series that long windows are asked of, the digest of a chunk stays when the chunk leaves, and
//! its last chunk stays as long as the digests: an ended series counts in a window of 30 days. The
//! digests leave when no window reaches them any more; all of them together may take half the room.
//!
//! Each series' oldest chunk is at its front, so a call costs one look at each series and a heap of
//! them when room is short. Between two calls the store may outgrow its size by what was appended.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use super::history::History;
use super::index::SeriesId;
use super::store::Store;
use crate::model::Timestamp;

impl Store {
    /// Drops what is older than the retention, then the oldest of what is too much.
    pub fn expire(&mut self, now: Timestamp) {
        let retention = self.settings.retention;
        let mut gone = BTreeSet::new();
        for id in self.ids() {
            while let Some(history) = self.series.get(&id) {
                let is_last = history.is_open_only();
                let kept = if is_last { retention.max(history.reach()) } else { retention };
                if history.oldest() >= now - kept {
                    break;
                }
                if !self.drop_oldest(id) {
                    gone.insert(id);
                    break;
                }
            }
            while let Some(history) = self.series.get_mut(&id)
                && history.oldest_past().is_some_and(|oldest| oldest < now - history.reach())
            {
                Arc::make_mut(history).drop_oldest_past(&mut self.held);
            }
        }
        self.forget(gone);
        if self.is_too_large() {
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let past_max = usize::try_from(self.settings.size_max_bytes / 2).unwrap_or(usize::MAX);
        let mut pasts = heap(&self.series, History::oldest_past);
        while self.held.past_bytes > past_max
            && let Some(Reverse((_, id))) = pasts.pop()
        {
            let Some(history) = self.series.get_mut(&id) else { continue };
            Arc::make_mut(history).drop_oldest_past(&mut self.held);
            pasts.extend(history.oldest_past().map(|oldest| Reverse((oldest, id))));
        }
        let mut chunks = heap(&self.series, |history| Some(history.oldest()));
        let mut gone = BTreeSet::new();
        while self.is_too_large()
            && let Some(Reverse((_, id))) = chunks.pop()
        {
            if self.drop_oldest(id) {
                let oldest = self.series.get(&id).map(|history| history.oldest());
                chunks.extend(oldest.map(|oldest| Reverse((oldest, id))));
            } else {
                gone.insert(id);
            }
        }
        self.forget(gone);
    }

    /// Drops a series' oldest chunk. False where nothing is left: the series must be forgotten.
    fn drop_oldest(&mut self, id: SeriesId) -> bool {
        let Some(history) = self.series.get_mut(&id) else { return true };
        Arc::make_mut(history).drop_oldest(&mut self.held)
    }

    fn ids(&self) -> Vec<SeriesId> {
        self.series.keys().copied().collect()
    }
}

type Ends = BinaryHeap<Reverse<(Timestamp, SeriesId)>>;

/// The series by when something of theirs ends, the first on top.
fn heap(
    series: &BTreeMap<SeriesId, Arc<History>>,
    end: impl Fn(&History) -> Option<Timestamp>,
) -> Ends {
    let ends = series.iter().filter_map(|(id, history)| Some((end(history)?, *id)));
    ends.map(Reverse).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::source::Source;
    use super::super::store::Settings;
    use super::*;
    use crate::model::{Labels, Matcher, Sample};

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name), ("job", "bellwether")])
    }

    fn fill(store: &mut Store, name: &str, times: impl Iterator<Item = i64>) {
        for time in times {
            let sample = Sample { at: at(time), value: time as f64 };
            assert_eq!(store.append(&series(name), sample), Ok(()));
        }
    }

    /// The first and the last sample of each series.
    fn spans(store: &Store) -> Vec<(String, i64, i64)> {
        let mut spans = Vec::new();
        store.select(&[], Timestamp::MIN, Timestamp::MAX, &mut |labels, samples| {
            if let [first, .., last] | [first @ last] = samples {
                let name = labels.metric().to_owned();
                spans.push((name, first.at.millis(), last.at.millis()));
            }
        });
        spans
    }

    fn span(name: &str, first: i64, last: i64) -> (String, i64, i64) {
        (name.to_owned(), first, last)
    }

    #[test]
    fn chunks_leave_when_their_last_sample_is_older_than_the_retention() {
        let settings = Settings { retention: HOUR, size_max_bytes: u64::MAX, series_max: 10 };
        let mut store = Store::new(settings);
        // Chunks of 120: 0 to 119 s, 120 to 239 s, 240 to 299 s.
        fill(&mut store, "a", (0..300).map(|second| second * 1000));
        fill(&mut store, "b", [200_000].into_iter());
        let hour = 3_600_000;
        for (now, expected) in [
            (hour + 119_000, vec![span("a", 0, 299_000), span("b", 200_000, 200_000)]),
            (hour + 119_001, vec![span("a", 120_000, 299_000), span("b", 200_000, 200_000)]),
            (hour + 200_000, vec![span("a", 120_000, 299_000), span("b", 200_000, 200_000)]),
            (hour + 200_001, vec![span("a", 120_000, 299_000)]),
            (hour + 299_000, vec![span("a", 240_000, 299_000)]),
            (0, vec![span("a", 240_000, 299_000)]),
            (hour + 299_001, vec![]),
        ] {
            store.expire(at(now));
            assert_eq!(spans(&store), expected, "{now}");
        }
        let stats = store.stats();
        let held = (stats.series, stats.samples, stats.chunks, stats.bytes);
        assert_eq!(held, (0, 0, 0, 0));
        assert!(store.label_names(&[], Timestamp::MIN, Timestamp::MAX).is_empty());
    }

    #[test]
    fn the_chunks_that_ended_first_leave_when_room_is_short() {
        let settings = Settings { retention: HOUR, size_max_bytes: u64::MAX, series_max: 10 };
        let mut store = Store::new(settings);
        fill(&mut store, "a", (0..300).map(|second| second * 1000));
        fill(&mut store, "b", (50..350).map(|second| second * 1000));
        fill(&mut store, "short", [100_000].into_iter());
        // In the order in which they end: short, a 0–119, b 50–169, a 120–239, b 170–289, …
        let one_less = |store: &mut Store| {
            store.settings.size_max_bytes = store.stats().bytes as u64 - 1;
            store.expire(at(400_000));
            assert!(store.stats().bytes as u64 <= store.settings.size_max_bytes);
            spans(store)
        };
        let (a, b) = (span("a", 0, 299_000), span("b", 50_000, 349_000));
        assert_eq!(one_less(&mut store), [a, b.clone()]);
        assert_eq!(one_less(&mut store), [span("a", 120_000, 299_000), b]);
        let b = span("b", 170_000, 349_000);
        assert_eq!(one_less(&mut store), [span("a", 120_000, 299_000), b.clone()]);
        assert_eq!(one_less(&mut store), [span("a", 240_000, 299_000), b]);
        let b = span("b", 290_000, 349_000);
        assert_eq!(one_less(&mut store), [span("a", 240_000, 299_000), b.clone()]);
        assert_eq!(one_less(&mut store), [b]);
        assert_eq!(one_less(&mut store), []);
        assert_eq!(store.stats().bytes, 0);
    }

    #[test]
    fn a_forgotten_series_makes_room_for_another() {
        let settings = Settings { retention: HOUR, size_max_bytes: u64::MAX, series_max: 1 };
        let mut store = Store::new(settings);
        fill(&mut store, "a", [0].into_iter());
        let sample = Sample { at: at(7_200_000), value: 1.0 };
        assert!(store.append(&series("b"), sample).is_err());
        store.expire(at(7_200_000));
        assert_eq!(store.append(&series("b"), sample), Ok(()));
        let job = [Matcher::parse("job=bellwether").unwrap()];
        let found = store.matching(&job, Timestamp::MIN, Timestamp::MAX);
        assert_eq!(found, [series("b")]);
    }
}
