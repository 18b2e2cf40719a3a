//! Live values laid over the store, which stays as it is.
//!
//! A rule group that can roll something back is also evaluated the moment an outcome arrives. That
//! evaluation must see the values as they are now, and what its own earlier rules recorded, but
//! must leave no sample behind: the next regular evaluation reads what a scrape would have stored.
//! Only where it led to a rollback does the engine store what that rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use super::digest::Wants;
use super::history::{History, Part};
use super::index::SeriesId;
use super::source::{Look, Plain, Seen, Sink, Source};
use super::store::Store;
use crate::model::{Labels, Matcher, Sample, Timestamp, is_stale};

/// The store with values of one instant on top. Where both have a sample at the same time, the one
/// laid over it counts. Series that the store does not know are found too; of those, as many are
/// taken as the store may have series, and the rest is dropped and counted.
#[derive(Debug)]
pub struct Overlay<'a> {
    store: &'a Store,
    at: Timestamp,
    /// Over series that the store has.
    known: BTreeMap<SeriesId, BTreeMap<Timestamp, f64>>,
    /// Series of the overlay alone.
    own: BTreeMap<Labels, BTreeMap<Timestamp, f64>>,
    refused: u64,
}

impl<'a> Overlay<'a> {
    /// An overlay that holds nothing yet.
    pub fn new(store: &'a Store, at: Timestamp) -> Self {
        Self { store, at, known: BTreeMap::new(), own: BTreeMap::new(), refused: 0 }
    }

    /// Lays a value, or a stale marker, over a series at the overlay's instant. The last one put
    /// counts.
    pub fn put(&mut self, labels: &Labels, value: f64) {
        self.lay(labels, Sample { at: self.at, value });
    }

    /// How many values were dropped, as there were too many series.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn lay(&mut self, labels: &Labels, sample: Sample) {
        let laid = if let Some(id) = self.store.id(labels) {
            self.known.entry(id).or_default()
        } else if let Some(own) = self.own.get_mut(labels) {
            own
        } else if self.own.len() < self.store.settings.series_max {
            self.own.entry(labels.clone()).or_default()
        } else {
            self.refused += 1;
            return;
        };
        laid.insert(sample.at, sample.value);
    }
}

impl Source for Overlay<'_> {
    fn has_histograms(&self) -> bool {
        self.store.has_histograms()
    }

    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        let mut samples = Vec::new();
        for (id, history) in self.store.select_ids(matchers) {
            samples.clear();
            history.read(after, until, &mut samples);
            if let Some(laid) = self.known.get(&id) {
                lay_over(&mut samples, laid, after, until);
            }
            if !samples.is_empty() {
                visit(history.labels(), &samples);
            }
        }
        self.select_own(matchers, after, until, visit);
    }

    fn look(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &mut dyn Look),
    ) {
        let mut part = Part::default();
        for (id, history) in self.store.select_ids(matchers) {
            let laid = self.known.get(&id);
            visit(history.labels(), &mut Laid { history, laid, part: &mut part });
        }
        self.select_own(matchers, after, until, &mut |labels, samples| {
            visit(labels, &mut Plain::new(samples));
        });
    }
}

impl Overlay<'_> {
    fn select_own(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        let mut samples = Vec::new();
        for (labels, laid) in &self.own {
            if matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                samples.clear();
                lay_over(&mut samples, laid, after, until);
                if !samples.is_empty() {
                    visit(labels, &samples);
                }
            }
        }
    }
}

/// A series of the store with values laid over it, through windows.
struct Laid<'a> {
    history: &'a History,
    laid: Option<&'a BTreeMap<Timestamp, f64>>,
    part: &'a mut Part,
}

impl Look for Laid<'_> {
    fn window(&mut self, after: Timestamp, until: Timestamp, wants: Wants) -> Seen<'_> {
        let last = self.history.last().at;
        let begin = self.laid.and_then(|laid| laid.keys().next());
        match (begin, self.laid) {
            // Values laid among the samples, which a query offset may do, are seldom and few.
            (Some(begin), Some(laid)) if *begin < last => {
                *self.part = Part::default();
                self.history.read(after, until, &mut self.part.head);
                lay_over(&mut self.part.head, laid, after, until);
                self.part.head.retain(|sample| !is_stale(sample.value));
            }
            (Some(begin), Some(laid)) => {
                let before = *begin - Duration::from_millis(1);
                self.history.part(after, until.min(before), wants, self.part);
                let behind = laid.iter().map(|(at, value)| Sample { at: *at, value: *value });
                let seen = behind.filter(|sample| {
                    after < sample.at && sample.at <= until && !is_stale(sample.value)
                });
                let is_whole = self.part.middle.is_none();
                let rest = if is_whole { &mut self.part.head } else { &mut self.part.tail };
                rest.extend(seen);
            }
            (None, _) | (_, None) => self.history.part(after, until, wants, self.part),
        }
        self.part.seen()
    }
}

impl Sink for Overlay<'_> {
    /// Lays a sample over a series, at its own time: a rule with a query offset records earlier
    /// than it is evaluated.
    fn append(&mut self, labels: &Labels, sample: Sample) {
        self.lay(labels, sample);
    }
}

/// Puts what was laid over a series among its stored samples.
fn lay_over(
    samples: &mut Vec<Sample>,
    laid: &BTreeMap<Timestamp, f64>,
    after: Timestamp,
    until: Timestamp,
) {
    // Few, and mostly after all stored ones, so that inserting moves nothing.
    for (at, value) in laid.iter().filter(|(at, _)| after < **at && **at <= until) {
        let sample = Sample { at: *at, value: *value };
        let position = samples.partition_point(|stored| stored.at < *at);
        match samples.get_mut(position) {
            Some(stored) if stored.at == *at => *stored = sample,
            _ => samples.insert(position, sample),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::Settings;
    use super::*;
    use crate::model::stale_marker;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    fn store(series_max: usize) -> Store {
        let retention = Duration::MAX;
        let mut store = Store::new(Settings { retention, size_max_bytes: u64::MAX, series_max });
        for (name, times) in [("a", [10, 20, 30]), ("b", [10, 20, 40])] {
            for time in times {
                let sample = Sample { at: at(time), value: 1.0 };
                assert_eq!(store.append(&series(name), sample), Ok(()));
            }
        }
        store
    }

    fn selected(source: &dyn Source, matcher: &str, after: i64, until: i64) -> Vec<String> {
        let mut lines = Vec::new();
        let matchers = [Matcher::parse(matcher).unwrap()];
        source.select(&matchers, at(after), at(until), &mut |labels, samples| {
            let mut line = labels.to_string();
            for sample in samples {
                let time = sample.at.millis();
                if is_stale(sample.value) {
                    line += &format!(" end@{time}");
                } else {
                    line += &format!(" {}@{time}", sample.value);
                }
            }
            lines.push(line);
        });
        lines.sort();
        lines
    }

    #[test]
    fn live_values_are_seen_in_their_place_and_the_store_is_unchanged() {
        let store = store(10);
        let before = store.stats();
        let mut overlay = Overlay::new(&store, at(30));
        overlay.put(&series("a"), 0.0);
        overlay.put(&series("a"), 7.0);
        overlay.put(&series("b"), 8.0);
        overlay.put(&series("c"), 9.0);
        for (matcher, after, until, expected) in [
            // In place of a stored sample, between two, and alone.
            ("__name__=~.+", 10, 40, &["a 1@20 7@30", "b 1@20 8@30 1@40", "c 9@30"] as &[&str]),
            ("__name__=~.+", 20, 30, &["a 7@30", "b 8@30", "c 9@30"]),
            ("__name__=~.+", 20, 29, &[]),
            ("__name__=~.+", 30, 99, &["b 1@40"]),
            ("__name__=c", 0, 99, &["c 9@30"]),
            ("__name__!~b|c", 0, 99, &["a 1@10 1@20 7@30"]),
            ("job=", 29, 30, &["a 7@30", "b 8@30", "c 9@30"]),
            ("__name__=d", 0, 99, &[]),
        ] {
            assert_eq!(selected(&overlay, matcher, after, until), expected, "{matcher}");
        }
        assert_eq!(store.stats(), before);
        assert_eq!(selected(&store, "__name__=~.+", 20, 30), ["a 1@30"]);
    }

    #[test]
    fn what_a_rule_records_is_read_by_the_next_one() {
        let store = store(10);
        let mut overlay = Overlay::new(&store, at(50));
        overlay.append(&series("job:a"), Sample { at: at(50), value: 0.5 });
        overlay.append(&series("a"), Sample { at: at(45), value: 2.0 });
        assert_eq!(selected(&overlay, "__name__=job:a", 0, 50), ["job:a 0.5@50"]);
        assert_eq!(selected(&overlay, "__name__=a", 20, 50), ["a 1@30 2@45"]);
    }

    #[test]
    fn a_stale_marker_may_be_laid_over() {
        let store = store(10);
        let mut overlay = Overlay::new(&store, at(50));
        overlay.put(&series("a"), stale_marker());
        assert_eq!(selected(&overlay, "__name__=a", 20, 50), ["a 1@30 end@50"]);
    }

    #[test]
    fn series_of_the_overlay_alone_are_bounded() {
        let store = store(2);
        let mut overlay = Overlay::new(&store, at(50));
        for name in ["c", "d", "e", "c", "a"] {
            overlay.put(&series(name), 1.0);
        }
        assert_eq!(overlay.refused(), 1);
        assert_eq!(selected(&overlay, "__name__=~.+", 49, 50), ["a 1@50", "c 1@50", "d 1@50"]);
    }
}
