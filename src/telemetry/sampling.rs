//! Our own instruments as samples, as a scrape would have them.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use prometheus::proto::{Metric, MetricFamily};

use super::exposition::{bound_label, for_each_sample};
use super::recorder::Telemetry;
use crate::model::{Label, Labels};

/// Series and their values at one time.
pub type Samples = Vec<(Labels, f64)>;

/// Turns families into label sets and values, with `job` and `instance` attached as a
/// scrape attaches them. Label sets are built once and kept: the same series yields the same
/// allocation each time. So are their texts, of which a thousand targets have a few thousand different
/// ones, and not the three millions that stand in their series.
#[derive(Debug)]
pub struct Sampler {
    job: String,
    instance: String,
    known: HashMap<u64, Vec<Labels>>,
    texts: HashSet<Arc<str>>,
    size: usize,
    /// As many series as were found the last time that all were looked at.
    whole: usize,
}

/// Beyond this many kept label sets, and twice what there is, the memory is dropped and built anew:
/// series of removed targets must not stay for ever.
const KNOWN_MAX: usize = 100_000;

impl Sampler {
    /// A sampler that attaches these two labels.
    pub fn new(job: &str, instance: &str) -> Self {
        Self {
            job: job.to_owned(),
            instance: instance.to_owned(),
            known: HashMap::new(),
            texts: HashSet::new(),
            size: 0,
            whole: 0,
        }
    }

    /// The samples of the families whose names are wanted.
    pub fn sample(&mut self, telemetry: &Telemetry, is_wanted: &dyn Fn(&str) -> bool) -> Samples {
        let mut samples = Vec::new();
        self.sample_each(telemetry, is_wanted, &mut |_, of_family| samples.extend(of_family));
        samples
    }

    /// The same, family by family, each with its name.
    pub fn sample_each(
        &mut self,
        telemetry: &Telemetry,
        is_wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&str, Samples),
    ) {
        if self.size > KNOWN_MAX.max(2 * self.whole) {
            self.known.clear();
            self.texts.clear();
            self.size = 0;
        }
        let mut count = 0;
        telemetry.each_family(is_wanted, &mut |family| {
            let samples = self.samples(family);
            count += samples.len();
            visit(family.name(), samples);
        });
        // A part of the families is sampled more often than all of them.
        self.whole = self.whole.max(count);
    }

    fn samples(&mut self, family: &MetricFamily) -> Samples {
        let mut samples = Vec::new();
        for metric in family.get_metric() {
            for_each_sample(family.get_field_type(), metric, &mut |suffix, bound, value| {
                samples.push((self.labels(family.name(), suffix, metric, bound), value));
            });
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
        let hash = hasher.finish();
        let is_same = |labels: &&Labels| {
            let of_metric = metric.get_label();
            let extra = 3 + usize::from(bound.is_some());
            labels.metric().strip_suffix(suffix) == Some(name)
                && labels.len()
                    == extra + of_metric.iter().filter(|p| !p.value().is_empty()).count()
                && of_metric.iter().all(|p| labels.get(p.name()).unwrap_or_default() == p.value())
        };
        let known = self.known.get(&hash).map(Vec::as_slice).unwrap_or_default();
        if let Some(labels) = known.iter().find(is_same) {
            return labels.clone();
        }
        let labels = self.build(&format!("{name}{suffix}"), metric, bound);
        // Nearly always the only one of its hash.
        self.known.entry(hash).or_insert_with(|| Vec::with_capacity(1)).push(labels.clone());
        self.size += 1;
        labels
    }

    fn build(&mut self, name: &str, metric: &Metric, bound: Option<f64>) -> Labels {
        let bound = bound.map(bound_label);
        let own = metric.get_label().iter().map(|pair| (pair.name(), pair.value()));
        let attached = [(Labels::NAME, name), ("job", &self.job), ("instance", &self.instance)];
        let texts = &mut self.texts;
        let mut shared = |text: &str| match texts.get(text) {
            Some(shared) => Arc::clone(shared),
            None => {
                let shared: Arc<str> = text.into();
                texts.insert(Arc::clone(&shared));
                shared
            }
        };
        let pairs = own.chain(attached).chain(bound.as_deref().map(|bound| ("le", bound)));
        Labels::new(pairs.map(|(name, value)| Label { name: shared(name), value: shared(value) }))
    }
}
