//! The ports between whoever holds samples and whoever asks.

use crate::model::{Labels, Matcher, Sample, Timestamp};

/// Anything that PromQL can read: the embedded store, the store with live values laid over it, a
/// test's own data.
pub trait Source {
    /// Visits every series that satisfies all matchers and has at least one sample with
    /// `after < at <= until`, each once, in any order, with exactly those samples in time order.
    /// Stale markers are among them. The slice is the source's own and lives for the call only.
    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    );
}

/// Anything that recorded series can be written to, so that a later rule of the same evaluation
/// reads them.
pub trait Sink: Source {
    /// Adds a sample. What can't be stored (too old, too many series) is counted by the sink.
    fn append(&mut self, labels: &Labels, sample: Sample);
}
