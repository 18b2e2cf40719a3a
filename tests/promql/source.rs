//! A script's own samples, as a source of series.

use std::cell::Cell;
use std::collections::BTreeMap;

use bellwether::model::{Labels, Matcher, Sample, Timestamp};
use bellwether::series::Source;

#[derive(Clone, Default)]
pub struct Store {
    series: BTreeMap<Labels, Kept>,
    /// What was read that this engine knows nothing of.
    pub touched: Cell<Option<&'static str>>,
}

#[derive(Clone, Default)]
struct Kept {
    floats: BTreeMap<i64, f64>,
    /// Times at which there is a sample that is no plain float, and what it is.
    others: BTreeMap<i64, &'static str>,
    sorted: Vec<Sample>,
}

impl Store {
    pub fn add(&mut self, labels: &Labels, at: i64, value: f64) {
        let kept = self.series.entry(labels.clone()).or_default();
        if kept.floats.insert(at, value).is_none()
            && kept.sorted.last().is_none_or(|last| last.at.millis() < at)
        {
            kept.sorted.push(Sample { at: Timestamp::from_millis(at), value });
            return;
        }
        kept.sorted = kept
            .floats
            .iter()
            .map(|(at, value)| Sample { at: Timestamp::from_millis(*at), value: *value })
            .collect();
    }

    pub fn add_other(&mut self, labels: &Labels, at: i64, what: &'static str) {
        self.series.entry(labels.clone()).or_default().others.insert(at, what);
    }
}

impl Source for Store {
    fn has_histograms(&self) -> bool {
        true
    }

    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        for (labels, kept) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                continue;
            }
            if after < until {
                let mut others = kept.others.range(after.millis() + 1..=until.millis());
                if let Some((_, what)) = others.next() {
                    self.touched.set(Some(what));
                }
            }
            let from = kept.sorted.partition_point(|sample| sample.at <= after);
            let to = kept.sorted.partition_point(|sample| sample.at <= until);
            if from < to {
                visit(labels, &kept.sorted[from..to]);
            }
        }
    }
}
