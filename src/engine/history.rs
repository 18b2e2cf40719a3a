//! What the engine goes on with after a restart.
//!
//! Prometheus ends no series of an earlier run: they are seen for five more minutes. Here each goes
//! on or ends with the first scrape, or with the first evaluation of the rule that wrote it. Where
//! two rules may have written a series, nobody ends it, as one of them would end what the other goes
//! on with.

use std::collections::BTreeMap;

use crate::model::{Labels, Sample, Timestamp};
use crate::series::{Scrape, Store};

use super::groups::Scheduled;

/// Gives the series that have not ended to those that wrote them.
pub(super) fn hand_out(store: &Store, groups: &mut [Scheduled], now: Timestamp) -> Scrape {
    let mut scraped = Vec::new();
    let mut written: Vec<BTreeMap<Labels, Vec<Sample>>> = vec![BTreeMap::new(); groups.len()];
    for series in store.live() {
        let writers = groups.iter().map(|scheduled| scheduled.group.writers(series));
        let mut writers = writers.enumerate().filter(|(_, count)| *count > 0);
        match (writers.next(), writers.next()) {
            (None, _) => scraped.push(series.clone()),
            (Some((position, 1)), None) => {
                written[position].insert(series.clone(), store.samples(series));
            }
            (Some(_), _) => {}
        }
    }
    for (scheduled, series) in groups.iter_mut().zip(&written) {
        scheduled.group.inherit(series, now);
    }
    Scrape::resume(store, scraped)
}
