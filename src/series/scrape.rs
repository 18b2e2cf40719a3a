//! Rounds of samples from one place, and the end of what is missing.
//!
//! A series that was in the last round and is not in this one gets a stale marker at this round's
//! time, so that a query doesn't show its last value for five more minutes. Only who scrapes knows
//! that a series is missing rather than late, so each place has its own [`Scrape`].
//!
//! - A series that was refused for its time is still present: it does not end.
//! - A stale marker that is itself scraped is stored and ends the series.
//! - A marker that can't be stored, as somebody else wrote something later, is not a refusal:
//!   the series lives on with its other writer.

use std::collections::BTreeSet;

use super::history::Appended;
use super::index::SeriesId;
use super::store::{Refusals, Refused, Store};
use crate::model::{Labels, Sample, Timestamp, is_stale, stale_marker};

/// What one place's last round held, by position: a place that brings its series in the same order
/// each time has none of them looked up.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    round: Vec<Option<SeriesId>>,
}

/// What came of a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeReport {
    /// How many samples were stored, without stale markers for what was missing.
    pub added: u64,
    /// How many were refused.
    pub refused: Refusals,
    /// How many series are in this round that were not in the last one.
    pub started: u64,
    /// How many series were in the last round and are not in this one.
    pub ended: u64,
}

impl Store {
    /// Appends one round of samples, all at the same time, and ends the series that are missing.
    pub fn scrape(
        &mut self,
        scrape: &mut Scrape,
        at: Timestamp,
        samples: &[(Labels, f64)],
    ) -> ScrapeReport {
        let mut report = ScrapeReport::default();
        let mut round = Vec::with_capacity(samples.len());
        for (position, (labels, value)) in samples.iter().enumerate() {
            let guess = scrape.round.get(position).copied().flatten();
            let present = match self.write(guess, labels, Sample { at, value: *value }) {
                Ok((id, appended)) => {
                    report.added += u64::from(appended == Appended::Added);
                    Some(id)
                }
                Err(reason) => {
                    self.refused.count(reason);
                    report.refused.count(reason);
                    match reason {
                        Refused::OutOfOrder | Refused::DuplicateTimestamp => self.id(labels),
                        Refused::TooManySeries => None,
                    }
                }
            };
            round.push(present.filter(|_| !is_stale(*value)));
        }
        let earlier = std::mem::replace(&mut scrape.round, round);
        if earlier != scrape.round {
            let earlier: BTreeSet<SeriesId> = earlier.into_iter().flatten().collect();
            let later: BTreeSet<SeriesId> = scrape.round.iter().copied().flatten().collect();
            report.started = later.difference(&earlier).count() as u64;
            for id in earlier.difference(&later) {
                self.mark_stale(*id, at);
                report.ended += 1;
            }
        }
        report
    }

    /// Ends all series of the last round: the place is gone.
    pub fn end(&mut self, scrape: &mut Scrape, at: Timestamp) {
        let last: BTreeSet<SeriesId> = scrape.round.drain(..).flatten().collect();
        for id in last {
            self.mark_stale(id, at);
        }
    }

    /// Ends a series, unless it has something later or was forgotten.
    fn mark_stale(&mut self, id: SeriesId, at: Timestamp) {
        if let Some(history) = self.series.get_mut(&id) {
            let _not_a_refusal =
                history.append(Sample { at, value: stale_marker() }, &mut self.held);
        }
    }
}
