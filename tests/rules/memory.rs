//! Samples in a map: as simple as a store can be.

use std::collections::BTreeMap;

use bellwether::model::{Labels, Matcher, Sample, Timestamp};
use bellwether::series::{Sink, Source};

#[derive(Clone, Debug, Default)]
pub struct Memory(pub BTreeMap<Labels, Vec<Sample>>);

impl Source for Memory {
    fn select(
        &self,
        matchers: &[Matcher],
        after: Timestamp,
        until: Timestamp,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        for (labels, samples) in &self.0 {
            if matchers.iter().all(|matcher| matcher.matches_labels(labels)) {
                let from = samples.partition_point(|sample| sample.at <= after);
                let to = samples.partition_point(|sample| sample.at <= until);
                if from < to {
                    visit(labels, &samples[from..to]);
                }
            }
        }
    }
}

impl Sink for Memory {
    fn append(&mut self, labels: &Labels, sample: Sample) {
        self.0.entry(labels.clone()).or_default().push(sample);
    }
}
