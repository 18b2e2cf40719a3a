//! Live values laid over the store, which stays as it is.
//!
//! A rule group that can roll something back is also evaluated the moment an outcome arrives. That
//! evaluation must see the values as they are now, and what its own earlier rules recorded, but
//! must leave no sample behind: the next regular evaluation reads what a scrape would have stored.

use std::collections::BTreeMap;

use super::index::SeriesId;
use super::source::{Sink, Source};
use super::store::Store;
use crate::model::{Labels, Matcher, Sample, Timestamp};

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
