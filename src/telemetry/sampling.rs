//! Our own registry as samples, as a scrape would have them.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use prometheus::proto::{Metric, MetricFamily};

use super::exposition::{bound_label, for_each_sample};
use crate::model::{Label, Labels};

/// Turns gathered families into label sets and values, with `job` and `instance` attached as a
/// scrape attaches them. Label sets are built once and kept: the same series yields the same
/// allocation each time.
#[derive(Debug)]
pub struct Sampler {
    job: String,
    instance: String,
    known: HashMap<u64, Vec<Labels>>,
    size: usize,
}

/// Beyond this many kept label sets the memory is dropped and built anew: series of removed targets
/// must not stay for ever.
const KNOWN_MAX: usize = 200_000;

impl Sampler {
    /// A sampler that attaches these two labels.
    pub fn new(job: &str, instance: &str) -> Self {
        Self { job: job.to_owned(), instance: instance.to_owned(), known: HashMap::new(), size: 0 }
    }

    /// The samples of the families whose name satisfies the condition.
    pub fn sample(
        &mut self,
        families: &[MetricFamily],
        is_wanted: &dyn Fn(&str) -> bool,
    ) -> Vec<(Labels, f64)> {
        if self.size > KNOWN_MAX {
            self.known.clear();
            self.size = 0;
        }
        let mut samples = Vec::new();
        for family in families.iter().filter(|family| is_wanted(family.name())) {
            for metric in family.get_metric() {
                for_each_sample(family.get_field_type(), metric, &mut |suffix, bound, value| {
                    samples.push((self.labels(family.name(), suffix, metric, bound), value));
                });
            }
        }
        samples
    }

    /// A series that a scrape adds by itself: `up`, `scrape_duration_seconds`, …
    pub fn synthetic(&self, name: &str) -> Labels {
        Labels::from_pairs([(Labels::NAME, name), ("job", &self.job), ("instance", &self.instance)])
    }

    /// How many label sets are kept.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn labels(
        &mut self,
        name: &str,
        suffix: &'static str,
        metric: &Metric,
        bound: Option<f64>,
    ) -> Labels {
        let mut hasher = DefaultHasher::new();
        (name, suffix, bound.map(f64::to_bits)).hash(&mut hasher);
        for pair in metric.get_label() {
            (pair.name(), pair.value()).hash(&mut hasher);
        }
        let candidates = self.known.entry(hasher.finish()).or_default();
        let is_same = |labels: &&Labels| {
            let of_metric = metric.get_label();
            let extra = 3 + usize::from(bound.is_some());
            labels.metric().strip_suffix(suffix) == Some(name)
                && labels.len()
                    == extra + of_metric.iter().filter(|p| !p.value().is_empty()).count()
                && of_metric.iter().all(|p| labels.get(p.name()).unwrap_or_default() == p.value())
        };
        if let Some(labels) = candidates.iter().find(is_same) {
            return labels.clone();
        }
        let labels = build(&self.job, &self.instance, &format!("{name}{suffix}"), metric, bound);
        candidates.push(labels.clone());
        self.size += 1;
        labels
    }
}

fn build(job: &str, instance: &str, name: &str, metric: &Metric, bound: Option<f64>) -> Labels {
    let bound = bound.map(bound_label);
    let label = |name: &str, value: &str| Label { name: name.into(), value: value.into() };
    let own = metric.get_label().iter().map(|pair| label(pair.name(), pair.value()));
    let attached = [label(Labels::NAME, name), label("job", job), label("instance", instance)];
    Labels::new(own.chain(attached).chain(bound.map(|bound| label("le", &bound))))
}
