//! Series that long windows are asked of, and what is kept for those.
//!
//! A rule over 30 days must not read 30 days at each evaluation, nor must all of them be held. So a
//! series that such a rule selects has a digest of each chunk, and keeps the digests when the chunks
//! leave. Which series these are follows from the rules: the store is told at the start and with
//! each reload. A series that nobody watches costs nothing more.

use std::sync::Arc;
use std::time::Duration;

use super::store::Store;
use crate::model::{Labels, Matcher};

/// Series that windows of some length are asked of.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    /// Which.
    pub matchers: Vec<Matcher>,
    /// How far back the windows reach.
    pub reach: Duration,
}

impl Store {
    /// Watches these series and no others. What a series that was not watched before has of samples
    /// is read once.
    pub fn watch(&mut self, watches: Vec<Watch>) {
        if self.watches == watches {
            return;
        }
        self.watches = watches;
        for history in self.series.values_mut() {
            let reach = watched_reach(&self.watches, history.labels());
            if reach != history.reach() {
                Arc::make_mut(history).watch(reach, &mut self.held);
            }
        }
    }
}

/// How far back windows of a series reach; zero where it is not watched.
pub fn watched_reach(watches: &[Watch], labels: &Labels) -> Duration {
    let watching = watches
        .iter()
        .filter(|watch| watch.matchers.iter().all(|matcher| matcher.matches_labels(labels)));
    watching.map(|watch| watch.reach).max().unwrap_or_default()
}
