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

impl Scrape {
    /// Goes on after a restart as if the last round had held these series, so that the next one
    /// ends those that are missing.
    pub fn resume(store: &Store, series: impl IntoIterator<Item = Labels>) -> Self {
        Self { round: series.into_iter().map(|labels| store.id(&labels)).collect() }
    }
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
    /// How many series were in the last round and are not in this one; those that were forgotten
    /// in between are not counted.
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
                report.ended += u64::from(self.mark_stale(*id, at));
            }
        }
        report
    }

    /// Ends all series of the last round: the place is gone.
    pub fn end(&mut self, scrape: &mut Scrape, at: Timestamp) {
        let last: BTreeSet<SeriesId> = scrape.round.drain(..).flatten().collect();
        for id in last {
            let _known = self.mark_stale(id, at);
        }
    }

    /// Ends a series, unless it has something later. False where it was forgotten.
    fn mark_stale(&mut self, id: SeriesId, at: Timestamp) -> bool {
        self.write_known(id, Sample { at, value: stale_marker() })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::source::Source;
    use super::super::store::Settings;
    use super::*;

    const FOREVER: Settings =
        Settings { retention: Duration::MAX, size_max_bytes: u64::MAX, series_max: 1_000_000 };

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn round(names: &[(&str, f64)]) -> Vec<(Labels, f64)> {
        names.iter().map(|(name, value)| (series(name), *value)).collect()
    }

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("__name__", name)])
    }

    /// All samples of the store as text: `value@time`, `end@time` for a stale marker.
    fn content(store: &Store) -> Vec<String> {
        let mut lines = Vec::new();
        store.select(&[], Timestamp::MIN, Timestamp::MAX, &mut |labels, samples| {
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

    fn report(added: u64, started: u64, ended: u64) -> ScrapeReport {
        ScrapeReport { added, started, ended, refused: Refusals::default() }
    }

    #[test]
    fn a_series_that_is_missing_from_a_round_ends_once_and_may_come_back() {
        let mut store = Store::new(FOREVER);
        let mut scrape = Scrape::default();
        for (time, names, expected) in [
            (10, &[("a", 1.0), ("b", 2.0), ("c", 3.0)] as &[_], report(3, 3, 0)),
            (20, &[("a", 1.0), ("c", 4.0)], report(2, 0, 1)),
            (30, &[("c", 5.0), ("a", 1.0)], report(2, 0, 0)),
            (40, &[("b", 6.0), ("d", 0.0)], report(2, 2, 2)),
            (50, &[], report(0, 0, 2)),
            (60, &[], report(0, 0, 0)),
        ] {
            assert_eq!(store.scrape(&mut scrape, at(time), &round(names)), expected, "{time}");
        }
        let expected = [
            "a 1@10 1@20 1@30 end@40",
            "b 2@10 end@20 6@40 end@50",
            "c 3@10 4@20 5@30 end@40",
            "d 0@40 end@50",
        ];
        assert_eq!(content(&store), expected);
        assert_eq!(store.stats().refused, Refusals::default());
    }

    #[test]
    fn a_round_after_a_restart_ends_what_was_there_before() {
        let mut store = Store::new(FOREVER);
        for name in ["a", "b", "rule"] {
            assert_eq!(store.append(&series(name), Sample { at: at(10), value: 1.0 }), Ok(()));
        }
        let mut scrape = Scrape::resume(&store, [series("a"), series("b"), series("unknown")]);
        assert_eq!(store.scrape(&mut scrape, at(20), &round(&[("b", 2.0)])), report(1, 0, 1));
        assert_eq!(content(&store), ["a 1@10 end@20", "b 1@10 2@20", "rule 1@10"]);
    }

    #[test]
    fn a_place_that_is_gone_ends_its_own_series_only() {
        let mut store = Store::new(FOREVER);
        let [mut one, mut other] = [Scrape::default(), Scrape::default()];
        store.scrape(&mut one, at(10), &round(&[("a", 1.0), ("b", 1.0)]));
        store.scrape(&mut other, at(10), &round(&[("c", 1.0)]));
        store.end(&mut one, at(20));
        store.end(&mut one, at(30));
        assert_eq!(content(&store), ["a 1@10 end@20", "b 1@10 end@20", "c 1@10"]);
    }

    #[test]
    fn a_series_refused_for_its_time_is_present() {
        let mut store = Store::new(FOREVER);
        let mut scrape = Scrape::default();
        store.scrape(&mut scrape, at(10), &round(&[("a", 1.0), ("b", 1.0)]));
        assert_eq!(store.append(&series("b"), Sample { at: at(99), value: 9.0 }), Ok(()));
        let refused = Refusals { out_of_order: 1, ..Refusals::default() };
        let names = [("a", 1.0), ("b", 2.0)];
        let expected = ScrapeReport { refused, ..report(1, 0, 0) };
        assert_eq!(store.scrape(&mut scrape, at(20), &round(&names)), expected);
        // Its end can't be stored either, which is not a refusal.
        assert_eq!(store.scrape(&mut scrape, at(30), &round(&[("a", 1.0)])), report(1, 0, 1));
        assert_eq!(content(&store), ["a 1@10 1@20 1@30", "b 1@10 9@99"]);
        assert_eq!(store.stats().refused, refused);
    }

    #[test]
    fn a_name_twice_in_a_round_is_one_series() {
        let mut store = Store::new(FOREVER);
        let mut scrape = Scrape::default();
        let names = [("a", 1.0), ("a", 1.0), ("a", 2.0), ("b", 1.0)];
        let refused = Refusals { duplicate_timestamp: 1, ..Refusals::default() };
        let expected = ScrapeReport { refused, ..report(2, 2, 0) };
        assert_eq!(store.scrape(&mut scrape, at(10), &round(&names)), expected);
        assert_eq!(store.scrape(&mut scrape, at(20), &round(&[("b", 1.0)])), report(1, 0, 1));
        assert_eq!(content(&store), ["a 1@10 end@20", "b 1@10 1@20"]);
    }

    #[test]
    fn series_above_the_bound_are_refused_until_there_is_room() {
        let mut store = Store::new(Settings { series_max: 2, ..FOREVER });
        let mut scrape = Scrape::default();
        let names = [("a", 1.0), ("b", 1.0), ("c", 1.0)];
        let refused = Refusals { too_many_series: 1, ..Refusals::default() };
        for (time, expected) in [(10, report(2, 2, 0)), (20, report(2, 0, 0))] {
            let expected = ScrapeReport { refused, ..expected };
            assert_eq!(store.scrape(&mut scrape, at(time), &round(&names)), expected);
        }
        assert_eq!(content(&store), ["a 1@10 1@20", "b 1@10 1@20"]);
    }

    #[test]
    fn a_scraped_stale_marker_ends_its_series() {
        let mut store = Store::new(FOREVER);
        let mut scrape = Scrape::default();
        store.scrape(&mut scrape, at(10), &round(&[("a", 1.0)]));
        let expected = report(1, 0, 1);
        let names = [("a", stale_marker())];
        assert_eq!(store.scrape(&mut scrape, at(20), &round(&names)), expected);
        assert_eq!(store.scrape(&mut scrape, at(30), &round(&[])), report(0, 0, 0));
        assert_eq!(content(&store), ["a 1@10 end@20"]);
    }

    #[test]
    fn a_series_that_was_forgotten_between_two_rounds_starts_anew() {
        let second = Duration::from_secs(1);
        let mut store = Store::new(Settings { retention: second, ..FOREVER });
        let mut scrape = Scrape::default();
        store.scrape(&mut scrape, at(10), &round(&[("a", 1.0), ("b", 1.0)]));
        store.expire(at(5000));
        assert_eq!(store.stats().series, 0);
        assert_eq!(store.scrape(&mut scrape, at(5000), &round(&[("b", 2.0)])), report(1, 1, 0));
        assert_eq!(content(&store), ["b 2@5000"]);
        // Forgotten again, its end is not worth a series.
        store.expire(at(9000));
        store.end(&mut scrape, at(9000));
        assert_eq!(content(&store), [""; 0]);
    }
}
