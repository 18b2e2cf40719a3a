//! Which series there are: their label sets, each once, and the ways to find them.

use std::collections::{BTreeMap, HashMap};

use super::index::{Index, SeriesId};
use super::strings::Strings;
use crate::model::{Labels, Matcher};

/// The label sets and their ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Catalog {
    /// Never iterated: its order is the hash's own.
    ids: HashMap<Labels, SeriesId>,
    index: Index,
    strings: Strings,
    next: u64,
}

impl Catalog {
    /// Where a label set is.
    pub(super) fn id(&self, labels: &Labels) -> Option<SeriesId> {
        self.ids.get(labels).copied()
    }

    /// The series that satisfy all matchers, sorted.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<SeriesId> {
        self.index.select(matchers)
    }

    /// Adds a label set that is not there yet; the labels come back made of shared texts.
    pub(super) fn add(&mut self, labels: &Labels) -> (SeriesId, Labels) {
        let id = SeriesId(self.next);
        self.next += 1;
        let labels = self.strings.intern(labels);
        self.index.add(id, &labels);
        self.ids.insert(labels.clone(), id);
        (id, labels)
    }

    /// Forgets series.
    pub(super) fn remove(&mut self, gone: BTreeMap<SeriesId, Labels>) {
        self.index.remove(&gone);
        for labels in gone.values() {
            self.ids.remove(labels);
        }
        // These labels would count as users of their texts.
        drop(gone);
        self.strings.sweep();
    }

    /// About how many bytes the texts take; the rest is counted with each series.
    pub(super) fn text_bytes(&self) -> usize {
        self.strings.size_bytes()
    }
}
