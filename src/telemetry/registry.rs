//! All instruments by their families, each of which is read by itself.
//!
//! The crate's registry copies every series with its labels before it gives out the first of them: for
//! a thousand targets that is more than they take otherwise. So there is one of it for each collector.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;

/// Cloning is cheap and gives the same registry.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    // By the name of the first of its families. A lock and not a message: only a reload writes.
    parts: Arc<RwLock<BTreeMap<String, Part>>>,
}

/// What one collector collects.
#[derive(Clone, Debug)]
struct Part {
    names: Vec<String>,
    collector: prometheus::Registry,
}

impl Registry {
    /// Takes up a collector, in the place of the one of the same families.
    pub(super) fn put<C: Collector + 'static>(&self, collector: C) {
        let names: Vec<String> =
            collector.desc().iter().map(|about| about.fq_name.clone()).collect();
        let Some(first) = names.iter().min().cloned() else { return };
        let alone = prometheus::Registry::new();
        alone.register(Box::new(collector)).expect("names are well formed, and each is there once");
        let mut parts = self.parts.write().unwrap_or_else(PoisonError::into_inner);
        parts.insert(first, Part { names, collector: alone });
    }

    /// What to [`read`](Self::read), in the order of the names.
    pub(super) fn parts(&self, is_wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let has_wanted = |part: &Part| part.names.iter().any(|name| is_wanted(name));
        parts.iter().filter(|(_, part)| has_wanted(part)).map(|(first, _)| first.clone()).collect()
    }

    /// The families of a part, sorted by name, and their series by labels.
    pub(super) fn read(&self, part: &str) -> Vec<MetricFamily> {
        let parts = self.parts.read().unwrap_or_else(PoisonError::into_inner);
        let part = parts.get(part).map(|part| part.collector.clone());
        drop(parts);
        part.map(|collector| collector.gather()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use prometheus::core::Desc;
    use prometheus::{Counter, CounterVec, Opts};

    use super::*;

    fn counters(name: &str, values: &[&str]) -> CounterVec {
        let vec = CounterVec::new(Opts::new(name, "help"), &["of"]).unwrap();
        values.iter().for_each(|value| vec.with_label_values(&[value]).inc());
        vec
    }

    /// Collects two families.
    #[derive(Clone)]
    struct Two([Counter; 2]);

    impl Collector for Two {
        fn desc(&self) -> Vec<&Desc> {
            self.0.iter().flat_map(Collector::desc).collect()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            self.0.iter().flat_map(Collector::collect).collect()
        }
    }

    fn read(registry: &Registry, is_wanted: &dyn Fn(&str) -> bool) -> Vec<MetricFamily> {
        registry.parts(is_wanted).iter().flat_map(|part| registry.read(part)).collect()
    }

    #[test]
    fn family_by_family_it_reads_as_the_crates_own_registry() {
        let (ours, theirs) = (Registry::default(), prometheus::Registry::new());
        let two = Two(["d", "c"].map(|name| Counter::new(name, "help").unwrap()));
        for vec in [counters("b", &["2", "1", "10"]), counters("a", &["x"]), counters("e", &[])] {
            ours.put(vec.clone());
            theirs.register(Box::new(vec)).unwrap();
        }
        ours.put(two.clone());
        theirs.register(Box::new(two)).unwrap();
        assert_eq!(read(&ours, &|_| true), theirs.gather());
        let names: Vec<_> = read(&ours, &|name| name == "d")
            .iter()
            .map(|family| family.name().to_owned())
            .collect();
        assert_eq!(names, ["c", "d"], "what is collected together comes together");
    }

    #[test]
    fn a_collector_takes_the_place_of_the_one_of_the_same_family() {
        let registry = Registry::default();
        registry.put(counters("a", &["x", "y"]));
        registry.put(counters("a", &["z"]));
        let families = read(&registry, &|_| true);
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].get_metric().len(), 1);
        assert!(registry.read("nothing of ours").is_empty());
    }
}
