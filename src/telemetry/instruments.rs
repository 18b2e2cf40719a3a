//! Building the `prometheus` crate's instruments from the list of families.

use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, Opts};

use super::metrics::{Family, Scope, TARGET_LABELS};
use super::registry::Registry;

/// Why the list of families is always accepted by the crate.
const WELL_FORMED: &str = "names and labels are constants, each registered once";

fn labels(family: &Family) -> Vec<&'static str> {
    match family.scope {
        Scope::Target => TARGET_LABELS.iter().chain(family.labels).copied().collect(),
        Scope::Process => family.labels.to_vec(),
    }
}

/// A counter of whole things.
pub(super) fn counter(registry: &Registry, family: &Family) -> IntCounterVec {
    let counter = IntCounterVec::new(Opts::new(family.name, family.help), &labels(family));
    let counter = counter.expect(WELL_FORMED);
    registry.put(counter.clone());
    counter
}

/// A counter of fractions: money.
pub(super) fn fraction_counter(registry: &Registry, family: &Family) -> CounterVec {
    let counter = CounterVec::new(Opts::new(family.name, family.help), &labels(family));
    let counter = counter.expect(WELL_FORMED);
    registry.put(counter.clone());
    counter
}

/// A gauge.
pub(super) fn gauge(registry: &Registry, family: &Family) -> GaugeVec {
    let gauge = GaugeVec::new(Opts::new(family.name, family.help), &labels(family));
    let gauge = gauge.expect(WELL_FORMED);
    registry.put(gauge.clone());
    gauge
}

/// A histogram with classic buckets.
pub(super) fn histogram(registry: &Registry, family: &Family, buckets: &[f64]) -> HistogramVec {
    let options = HistogramOpts::new(family.name, family.help).buckets(buckets.to_vec());
    let histogram = HistogramVec::new(options, &labels(family)).expect(WELL_FORMED);
    registry.put(histogram.clone());
    histogram
}
