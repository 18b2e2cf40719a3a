//! The embedded store.
//!
//! A sample must be later than its series' last one; the very same sample again is no mistake and
//! changes nothing, another value at the same time is refused. A series that would be one too many
//! is refused, never an old one pushed out for it. Every refusal is counted by its reason.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use super::history::{Appended, Held, History};
use super::index::{Index, SeriesId};
use super::source::{Sink, Source};
use super::strings::Strings;
use crate::model::{Labels, Matcher, Sample, Timestamp};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long a sample stays.
    pub retention: Duration,
    /// How much room all of it may take, as [`Stats::size_bytes`] counts it.
    pub size_max_bytes: u64,
    /// How many series there may be at once.
    pub series_max: usize,
}

/// Why a sample is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The series has a later sample.
    #[error("the series has a later sample")]
    OutOfOrder,
    /// The series has another value at that time.
    #[error("the series has another value at that time")]
    DuplicateTimestamp,
    /// It would start one series too many.
    #[error("there are as many series as there may be")]
    TooManySeries,
}

/// How many samples were refused, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refusals {
    /// See [`Refused::OutOfOrder`].
    pub out_of_order: u64,
    /// See [`Refused::DuplicateTimestamp`].
    pub duplicate_timestamp: u64,
    /// See [`Refused::TooManySeries`].
    pub too_many_series: u64,
}

impl Refusals {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.out_of_order + self.duplicate_timestamp + self.too_many_series
    }

    pub(super) fn count(&mut self, reason: Refused) {
        *match reason {
            Refused::OutOfOrder => &mut self.out_of_order,
            Refused::DuplicateTimestamp => &mut self.duplicate_timestamp,
            Refused::TooManySeries => &mut self.too_many_series,
        } += 1;
    }
}

/// What the store holds, and what it refused since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many series.
    pub series: u64,
    /// How many samples, stale markers among them.
    pub samples: u64,
    /// How many chunks, one open chunk for each series among them.
    pub chunks: u64,
    /// About how many bytes all of it takes in memory: samples, labels and index.
    pub size_bytes: u64,
    /// What was refused.
    pub refused: Refusals,
}

/// Label sets and their samples.
#[derive(Debug)]
pub struct Store {
    pub(super) settings: Settings,
    pub(super) series: BTreeMap<SeriesId, History>,
    pub(super) held: Held,
    pub(super) refused: Refusals,
    /// Where each label set is in `series`. Never iterated: its order is the hash's own.
    ids: HashMap<Labels, SeriesId>,
    index: Index,
    strings: Strings,
    next: u64,
}

impl Store {
    /// An empty store.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            series: BTreeMap::new(),
            held: Held::default(),
            refused: Refusals::default(),
            ids: HashMap::new(),
            index: Index::default(),
            strings: Strings::default(),
            next: 0,
        }
    }

    /// Appends a sample to the series with these labels, starting it where there is none.
    pub fn append(&mut self, labels: &Labels, sample: Sample) -> Result<(), Refused> {
        self.write(None, labels, sample).inspect_err(|reason| self.refused.count(*reason)).map(drop)
    }

    /// The label sets that satisfy all matchers and have a sample with `after < at <= until`,
    /// sorted.
    pub fn matching(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> Vec<Labels> {
        let mut found: Vec<Labels> =
            self.present(matchers, after, until).map(|history| history.labels().clone()).collect();
        found.sort_unstable();
        found
    }

    /// The label names of the series that [`Store::matching`] finds.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<String> {
        let found = self.present(matchers, after, until);
        let names: BTreeSet<&str> =
            found.flat_map(History::labels).map(|label| &*label.name).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// The values of one label among the series that [`Store::matching`] finds.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> BTreeSet<String> {
        let found = self.present(matchers, after, until);
        let values: BTreeSet<&str> =
            found.filter_map(|history| history.labels().get(name)).collect();
        values.into_iter().map(str::to_owned).collect()
    }

    /// What the store holds.
    pub fn stats(&self) -> Stats {
        Stats {
            series: self.series.len() as u64,
            samples: self.held.samples,
            chunks: self.held.chunks,
            size_bytes: self.size_bytes(),
            refused: self.refused,
        }
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.held.size_bytes + self.strings.size_bytes()
    }

    /// Where a label set is.
    pub(super) fn id(&self, labels: &Labels) -> Option<SeriesId> {
        self.ids.get(labels).copied()
    }

    /// The series that satisfy all matchers.
    pub(super) fn select_ids(
        &self,
        matchers: &[Matcher],
    ) -> impl Iterator<Item = (SeriesId, &History)> {
        let ids = self.index.select(matchers).into_iter();
        ids.filter_map(|id| self.series.get(&id).map(|history| (id, history)))
    }

    /// Appends without counting a refusal. `guess` is where the series was last time, if the
    /// caller remembers: labels are compared with what is there before anything is hashed.
    pub(super) fn write(
        &mut self,
        guess: Option<SeriesId>,
        labels: &Labels,
        sample: Sample,
    ) -> Result<(SeriesId, Appended), Refused> {
        if let Some(id) = guess
            && let Some(history) = self.series.get_mut(&id)
            && history.labels() == labels
        {
            return history.append(sample, &mut self.held).map(|appended| (id, appended));
        }
        if let Some(id) = self.id(labels)
            && let Some(history) = self.series.get_mut(&id)
        {
            return history.append(sample, &mut self.held).map(|appended| (id, appended));
        }
        if self.series.len() >= self.settings.series_max {
            return Err(Refused::TooManySeries);
        }
        let id = SeriesId(self.next);
        self.next += 1;
        let labels = self.strings.intern(labels);
        self.index.add(id, &labels);
        self.ids.insert(labels.clone(), id);
        self.series.insert(id, History::new(labels, sample, &mut self.held));
        Ok((id, Appended::Added))
    }

    /// Forgets series that have nothing left.
    pub(super) fn forget(&mut self, gone: BTreeSet<SeriesId>) {
        if gone.is_empty() {
            return;
        }
        let mut gone_labels = BTreeMap::new();
        for id in gone {
            if let Some(history) = self.series.remove(&id) {
                self.ids.remove(history.labels());
                gone_labels.insert(id, history.labels().clone());
            }
        }
        self.index.remove(&gone_labels);
        drop(gone_labels);
        self.strings.sweep();
    }

    fn present(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &History> {
        let chosen = self.select_ids(matchers).map(|(_, history)| history);
        chosen.filter(move |history| history.has_samples(after, until))
    }
}

impl Source for Store {
    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        let mut samples = Vec::new();
        for (_, history) in self.select_ids(matchers) {
            samples.clear();
            history.read(after, until, &mut samples);
            if !samples.is_empty() {
                visit(history.labels(), &samples);
            }
        }
    }
}

impl Sink for Store {
    fn append(&mut self, labels: &Labels, sample: Sample) {
        // A refusal was counted; whoever writes through this port can do nothing more about it.
        let _counted = Store::append(self, labels, sample);
    }
}
