//! The instruments of the models that providers list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use prometheus::{GaugeVec, IntCounterVec};

use super::instruments::{counter, gauge};
use super::metrics;
use super::registry::Registry;

/// How a configured model stands in its provider's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelReading {
    /// Its public name.
    pub model: String,
    /// Whether it is there.
    pub is_listed: bool,
    /// Whether it is going.
    pub is_deprecated: bool,
}

/// The instruments.
#[derive(Debug)]
pub(super) struct Catalog {
    listed: GaugeVec,
    deprecated: GaugeVec,
    lists: IntCounterVec,
    changes: IntCounterVec,
    // Which models of which provider have a series; held for a few insertions an hour.
    shown: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

const RESULTS: [&str; 2] = ["ok", "failed"];
const CHANGES: [&str; 2] = ["appeared", "vanished"];

impl Catalog {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            listed: gauge(registry, &metrics::MODEL_LISTED),
            deprecated: gauge(registry, &metrics::MODEL_DEPRECATED),
            lists: counter(registry, &metrics::MODEL_LISTS),
            changes: counter(registry, &metrics::MODEL_CHANGES),
            shown: Mutex::default(),
        }
    }

    /// Shows these providers and no others; the counters of those that are new start at zero.
    pub(super) fn configure(&self, providers: &[&str]) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<String> =
            shown.keys().filter(|name| !providers.contains(&name.as_str())).cloned().collect();
        for provider in gone {
            for model in shown.remove(&provider).unwrap_or_default() {
                self.forget(&provider, &model);
            }
            for result in RESULTS {
                let _was_there = self.lists.remove_label_values(&[&provider, result]).is_ok();
            }
            for change in CHANGES {
                let _was_there = self.changes.remove_label_values(&[&provider, change]).is_ok();
            }
        }
        for provider in providers {
            shown.entry((*provider).to_owned()).or_default();
            RESULTS.iter().for_each(|result| {
                self.lists.with_label_values(&[*provider, *result]);
            });
            CHANGES.iter().for_each(|change| {
                self.changes.with_label_values(&[*provider, *change]);
            });
        }
    }

    /// A list came: how the configured models stand, and how many of all came and went.
    pub(super) fn listed(&self, provider: &str, models: &[ModelReading], changes: (u64, u64)) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        // A provider that a reload took away shows nothing any more.
        let Some(known) = shown.get_mut(provider) else { return };
        let next: BTreeSet<String> = models.iter().map(|reading| reading.model.clone()).collect();
        for model in known.difference(&next) {
            self.forget(provider, model);
        }
        *known = next;
        for reading in models {
            let labels = [provider, reading.model.as_str()];
            self.listed.with_label_values(&labels).set(f64::from(u8::from(reading.is_listed)));
            let is_deprecated = f64::from(u8::from(reading.is_deprecated));
            self.deprecated.with_label_values(&labels).set(is_deprecated);
        }
        self.lists.with_label_values(&[provider, "ok"]).inc();
        self.changes.with_label_values(&[provider, "appeared"]).inc_by(changes.0);
        self.changes.with_label_values(&[provider, "vanished"]).inc_by(changes.1);
    }

    /// No list came; what was known stands.
    pub(super) fn unknown(&self, provider: &str) {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.contains_key(provider) {
            self.lists.with_label_values(&[provider, "failed"]).inc();
        }
    }

    fn forget(&self, provider: &str, model: &str) {
        for family in [&self.listed, &self.deprecated] {
            let _was_there = family.remove_label_values(&[provider, model]).is_ok();
        }
    }
}
