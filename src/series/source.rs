//! The ports between whoever holds samples and whoever asks.

use std::borrow::Cow;

use super::digest::{Digest, Wants};
use crate::model::{Labels, Matcher, Sample, Timestamp, is_stale};

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

    /// Visits the same series, each with a way to look at windows that lie between `after` and
    /// `until`. A source that knows more than its samples may visit series that have none left.
    fn look(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &mut dyn Look),
    ) {
        self.select(matchers, after, until, &mut |labels, samples| {
            visit(labels, &mut Plain::new(samples));
        });
    }

    /// Whether any sample may be the mark of a native histogram (see
    /// [`is_histogram`](crate::model::is_histogram)): only then does PromQL look for them.
    fn has_histograms(&self) -> bool {
        false
    }
}

/// Anything that recorded series can be written to, so that a later rule of the same evaluation
/// reads them.
pub trait Sink: Source {
    /// Adds a sample. What can't be stored (too old, too many series) is counted by the sink.
    fn append(&mut self, labels: &Labels, sample: Sample);
}

/// One series, through windows.
pub trait Look {
    /// What lies in the window with `after < at <= until`.
    fn window(&mut self, after: Timestamp, until: Timestamp, wants: Wants) -> Seen<'_>;
}

/// The content of a window, in time order and without stale markers: samples, or samples with a
/// middle part that was not read.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The samples before the middle, or all where there is none.
    pub head: &'a [Sample],
    /// Samples that nobody read; one at least.
    pub middle: Option<&'a Digest>,
    /// The samples behind the middle.
    pub tail: &'a [Sample],
}

impl Seen<'_> {
    /// The digest of everything, given the middle and what was asked for.
    pub fn digest(&self, middle: &Digest, wants: Wants) -> Digest {
        let mut digest = Digest::of_all(self.head);
        digest.append(middle, wants);
        digest.append(&Digest::of_all(self.tail), wants);
        digest
    }
}

/// Samples without a middle.
pub(super) struct Plain<'a>(Cow<'a, [Sample]>);

impl<'a> Plain<'a> {
    pub(super) fn new(samples: &'a [Sample]) -> Self {
        if !samples.iter().any(|sample| is_stale(sample.value)) {
            return Self(Cow::Borrowed(samples));
        }
        let present = samples.iter().filter(|sample| !is_stale(sample.value));
        Self(Cow::Owned(present.copied().collect()))
    }
}

impl Look for Plain<'_> {
    fn window(&mut self, after: Timestamp, until: Timestamp, _: Wants) -> Seen<'_> {
        let from = self.0.partition_point(|sample| sample.at <= after);
        let to = self.0.partition_point(|sample| sample.at <= until).max(from);
        Seen { head: &self.0[from..to], middle: None, tail: &[] }
    }
}
