//! When scraped series ended, for a source that does not tell.
//!
//! Prometheus marks the end of a series that a scrape no longer holds, and its API never shows the
//! mark. It can be worked out: each scrape writes `up` at the time of its samples, whether it
//! succeeds or not, so a series that had a sample when `up` had one, and has none at the next, ended
//! there. A target with several `up`, or with none, and series with times of their own (rules wrote
//! them, or the target set them) are not judged: they are seen for the lookback of five minutes, as
//! in Prometheus where nothing marks them. So is the end of a target that is no longer scraped.

use std::collections::{BTreeMap, BTreeSet};

use super::recording::Point;
use crate::model::{Labels, Timestamp, stale_marker};

/// What tells scrapes apart: `job` and `instance`.
type Place = (String, String);

/// The series that the last scrape of each place held.
#[derive(Debug, Default)]
pub(super) struct Scrapes {
    present: BTreeMap<Place, BTreeSet<Labels>>,
    /// Series that belong to no scrape that is known.
    unplaced: BTreeSet<Labels>,
}

impl Scrapes {
    /// Adds the ends of series among samples, given the samples of `up` from the same time.
    pub(super) fn end(&mut self, points: &mut Vec<Point>, up: &[Point]) {
        let scrapes = times(up);
        let mut by_place: BTreeMap<Place, BTreeMap<Labels, BTreeSet<Timestamp>>> = BTreeMap::new();
        for (at, labels, _) in points.iter() {
            let place = place(labels);
            if scrapes.contains_key(&place) {
                let series = by_place.entry(place).or_default();
                series.entry(labels.clone()).or_default().insert(*at);
            } else {
                self.unplaced.insert(labels.clone());
            }
        }
        for (place, times) in scrapes {
            let series = by_place.remove(&place).unwrap_or_default();
            let mut present = self.present.remove(&place).unwrap_or_default();
            for at in times {
                let seen = series.iter().filter(|(_, samples)| samples.contains(&at));
                let seen: BTreeSet<Labels> = seen.map(|(labels, _)| labels.clone()).collect();
                for gone in present.difference(&seen) {
                    points.push((at, gone.clone(), stale_marker()));
                }
                present = seen;
            }
            self.present.insert(place, present);
        }
    }

    /// How many series could not be judged.
    pub(super) fn unplaced(&self) -> usize {
        self.unplaced.len()
    }
}

/// The times of scrapes of each place that has one `up`.
fn times(up: &[Point]) -> BTreeMap<Place, BTreeSet<Timestamp>> {
    let mut series: BTreeMap<Place, BTreeMap<&Labels, BTreeSet<Timestamp>>> = BTreeMap::new();
    for (at, labels, _) in up {
        series.entry(place(labels)).or_default().entry(labels).or_default().insert(*at);
    }
    let single = series.into_iter().filter(|(_, series)| series.len() == 1);
    single
        .flat_map(|(place, series)| series.into_values().map(move |t| (place.clone(), t)))
        .collect()
}

fn place(labels: &Labels) -> Place {
    let value = |name: &str| labels.get(name).unwrap_or_default().to_owned();
    (value("job"), value("instance"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::is_stale;

    fn point(text: &str, at: i64) -> Point {
        let (name, instance) = text.split_once('/').unwrap();
        let pairs = [(Labels::NAME, name), ("job", "j"), ("instance", instance)];
        (Timestamp::from_millis(at), Labels::from_pairs(pairs), 1.0)
    }

    /// `name/instance@time` of each end.
    fn ends(scrapes: &mut Scrapes, points: &[(&str, i64)], up: &[(&str, i64)]) -> Vec<String> {
        let mut all: Vec<Point> = points.iter().map(|(text, at)| point(text, *at)).collect();
        let up: Vec<Point> = up.iter().map(|(text, at)| point(text, *at)).collect();
        scrapes.end(&mut all, &up);
        let ended = all.into_iter().filter(|(_, _, value)| is_stale(*value));
        ended
            .map(|(at, labels, _)| {
                let instance = labels.get("instance").unwrap();
                format!("{}/{instance}@{}", labels.metric(), at.millis())
            })
            .collect()
    }

    #[test]
    fn a_series_ends_with_the_first_scrape_that_lacks_it() {
        let mut scrapes = Scrapes::default();
        let up = [("up/a", 10), ("up/a", 20), ("up/a", 30), ("up/b", 15)];
        let samples = [("x/a", 10), ("x/a", 20), ("y/a", 10), ("y/a", 30), ("x/b", 15)];
        assert_eq!(ends(&mut scrapes, &samples, &up), ["y/a@20", "x/a@30"]);
        // The next stretch knows what the last scrape held; a failed scrape holds nothing.
        assert_eq!(ends(&mut scrapes, &[], &[("up/a", 40), ("up/b", 45)]), ["y/a@40", "x/b@45"]);
        assert_eq!(ends(&mut scrapes, &[], &[("up/a", 50), ("up/b", 55)]), [""; 0]);
    }

    #[test]
    fn what_has_times_of_its_own_is_not_ended() {
        let mut scrapes = Scrapes::default();
        let up = [("up/a", 10), ("up/a", 20)];
        assert_eq!(ends(&mut scrapes, &[("x/a", 11), ("x/a", 12), ("x/c", 10)], &up), [""; 0]);
        assert_eq!(scrapes.unplaced(), 1);
    }
}
