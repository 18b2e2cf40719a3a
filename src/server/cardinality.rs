//! How many series there are and where they come from, as `/api/v1/status/tsdb` tells it.

use std::collections::BTreeMap;

use serde_json::{Value as Body, json};

use crate::model::{Labels, MatchOp, Matcher, Timestamp};
use crate::series::Store;

/// Counts over all series of a store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cardinality {
    series: usize,
    chunks: usize,
    first: Timestamp,
    last: Timestamp,
    by_metric: BTreeMap<String, usize>,
    values: BTreeMap<String, usize>,
    bytes: BTreeMap<String, usize>,
    by_pair: BTreeMap<String, usize>,
}

impl Cardinality {
    pub(super) fn of(store: &Store) -> Self {
        let stats = store.stats();
        let (first, last) = bounds(store);
        let mut found = Self {
            series: stats.series,
            chunks: stats.chunks,
            first,
            last,
            by_metric: BTreeMap::new(),
            values: BTreeMap::new(),
            bytes: BTreeMap::new(),
            by_pair: BTreeMap::new(),
        };
        let mut pairs: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let all = store.matching(&[], Timestamp::MIN, Timestamp::MAX);
        for label in all.iter().flatten() {
            *pairs.entry((&label.name, &label.value)).or_default() += 1;
        }
        for ((name, value), count) in pairs {
            if name == Labels::NAME {
                found.by_metric.insert(value.to_owned(), count);
            }
            *found.values.entry(name.to_owned()).or_default() += 1;
            // As Prometheus counts: both texts in each series, with a byte each for their lengths.
            let bytes = count * (name.len() + value.len() + 2);
            *found.bytes.entry(name.to_owned()).or_default() += bytes;
            found.by_pair.insert(format!("{name}={value}"), count);
        }
        found
    }

    /// Prometheus's shape, with so many of the largest of each kind.
    pub(super) fn shown(&self, limit: usize) -> Body {
        json!({
            "headStats": {
                "numSeries": self.series,
                "numLabelPairs": self.by_pair.len(),
                "chunkCount": self.chunks,
                "minTime": self.first.millis(),
                "maxTime": self.last.millis(),
            },
            "seriesCountByMetricName": largest(&self.by_metric, limit),
            "labelValueCountByLabelName": largest(&self.values, limit),
            "memoryInBytesByLabelName": largest(&self.bytes, limit),
            "seriesCountByLabelValuePair": largest(&self.by_pair, limit),
        })
    }
}

fn largest(counts: &BTreeMap<String, usize>, limit: usize) -> Vec<Body> {
    let mut sorted: Vec<(&String, &usize)> = counts.iter().collect();
    sorted.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    sorted.iter().take(limit).map(|(name, value)| json!({"name": name, "value": value})).collect()
}

/// The times of the first and the last sample; of an empty store the latest and the earliest time
/// there are, as in Prometheus.
///
/// To read every sample for that would take long. The bounds of `up`, which every tick writes, are
/// near; from there each step halves what is open, looking only at whose chunks reach that far.
fn bounds(store: &Store) -> (Timestamp, Timestamp) {
    let has = |after: i64, until: i64| {
        let (after, until) = (Timestamp::from_millis(after), Timestamp::from_millis(until));
        !store.label_names(&[], after, until).is_empty()
    };
    if !has(i64::MIN, i64::MAX) {
        return (Timestamp::MAX, Timestamp::MIN);
    }
    let up = Matcher::new(Labels::NAME, MatchOp::Equal, "up").expect("no expression");
    let up = store.matching(&[up], Timestamp::MIN, Timestamp::MAX);
    let near = up.first().and_then(|up| {
        let samples = store.samples(up);
        Some((samples.first()?.at.millis(), samples.last()?.at.millis()))
    });
    let (low, high) = near.unwrap_or((i64::MAX, i64::MIN));
    // Something lies at `low`, and nothing after the end of time.
    let first = edge(i64::MIN, low, |until| has(i64::MIN, until));
    let last = edge(high, i64::MAX, |after| !has(after, i64::MAX));
    (Timestamp::from_millis(first), Timestamp::from_millis(last))
}

/// The least time from `low` to `high` from which on something holds; it must hold at `high`.
fn edge(mut low: i64, mut high: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while low < high {
        let middle = low.saturating_add_unsigned(high.abs_diff(low) / 2);
        if holds(middle) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Sample;
    use crate::series::Settings;

    fn store(samples: &[(&[(&str, &str)], i64)]) -> Store {
        let retention = Duration::from_secs(3600);
        let mut store = Store::new(Settings { retention, size_max_bytes: 1 << 30, series_max: 9 });
        for (labels, millis) in samples {
            let sample = Sample { at: Timestamp::from_millis(*millis), value: 1.0 };
            store.append(&Labels::from_pairs(labels.iter().copied()), sample).unwrap();
        }
        store
    }

    // The counts of Prometheus 3.5 over these three series.
    #[test]
    fn series_are_counted_as_prometheus_counts_them() {
        let second = ("alertname", "Second");
        let store = store(&[
            (&[("__name__", "third")], 1000),
            (&[("__name__", "ALERTS"), second, ("alertstate", "pending")], 500),
            (&[("__name__", "ALERTS_FOR_STATE"), second], 2500),
        ]);
        let shown = Cardinality::of(&store).shown(1);
        let one = |name: &str, value: usize| json!([{"name": name, "value": value}]);
        assert_eq!(shown["headStats"]["numSeries"], 3);
        assert_eq!(shown["headStats"]["numLabelPairs"], 5);
        assert_eq!(shown["headStats"]["minTime"], 500);
        assert_eq!(shown["headStats"]["maxTime"], 2500);
        assert_eq!(shown["seriesCountByMetricName"], one("ALERTS", 1));
        assert_eq!(shown["labelValueCountByLabelName"], one("__name__", 3));
        assert_eq!(shown["memoryInBytesByLabelName"], one("__name__", 57));
        assert_eq!(shown["seriesCountByLabelValuePair"], one("alertname=Second", 2));
        assert_eq!(Cardinality::of(&store).shown(9)["memoryInBytesByLabelName"][1]["value"], 34);
    }

    #[test]
    fn the_bounds_are_those_of_all_series() {
        for (samples, first, last) in [
            (vec![], i64::MAX, i64::MIN),
            (vec![("a", 7)], 7, 7),
            (vec![("a", 7), ("up", 9), ("up", 11), ("b", 12)], 7, 12),
            (vec![("up", 9), ("up", 11), ("b", 10)], 9, 11),
            (vec![("a", -5), ("b", 0)], -5, 0),
        ] {
            let names: Vec<_> =
                samples.iter().map(|(name, at)| ([("__name__", *name)], *at)).collect();
            let samples: Vec<_> = names.iter().map(|(labels, at)| (&labels[..], *at)).collect();
            let expected = (Timestamp::from_millis(first), Timestamp::from_millis(last));
            assert_eq!(bounds(&store(&samples)), expected, "{samples:?}");
        }
    }
}
