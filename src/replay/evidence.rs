//! What samples tell of results and of bellwether's own health, for decisions about rollbacks.
//!
//! A run hears of each result; a recording holds their counters. Each increase is so many results at
//! the time of the sample, which is later than they were by up to the sampling interval. Of several
//! in one interval the order is unknown: bad ones are taken to come first. A counter that falls was
//! reset; what a series holds when it is first seen is older than the recording and counts for
//! nothing. While the canary is red, results are inconclusive, as in a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Event;
use crate::model::{Labels, TargetId, Timestamp, is_stale};
use crate::probe::{Health, Outcome, Phases};
use crate::provider::{ErrorType, RateLimits, SloClass};
use crate::telemetry::metrics;

/// More results of one series in one interval tell nothing more: the last three count.
const RESULTS_MAX: u64 = 3;

/// Follows the counters.
#[derive(Debug)]
pub(super) struct Evidence {
    targets: BTreeMap<Arc<str>, TargetId>,
    counts: BTreeMap<Labels, f64>,
    health: Health,
    sequence: u64,
    has_results: bool,
}

impl Evidence {
    /// Of the targets that rollbacks would go back to.
    pub(super) fn new(stable: impl Iterator<Item = TargetId>, now: Timestamp) -> Self {
        Self {
            targets: stable.map(|id| (Arc::from(id.as_str()), id)).collect(),
            counts: BTreeMap::new(),
            health: Health::green(now),
            sequence: 0,
            has_results: false,
        }
    }

    /// Whether any result was seen.
    pub(super) fn has_results(&self) -> bool {
        self.has_results
    }

    /// What the samples of one time tell.
    pub(super) fn read(&mut self, at: Timestamp, samples: &[(Labels, f64)]) -> Vec<Event> {
        if self.targets.is_empty() {
            return Vec::new();
        }
        let mut events = Vec::new();
        let before = (self.health.is_green, self.health.is_vantage_suspect);
        let mut results: Vec<(SloClass, TargetId, ErrorType)> = Vec::new();
        for (labels, value) in samples.iter().filter(|(_, value)| !is_stale(*value)) {
            let name = labels.metric();
            if name == metrics::CANARY_HEALTHY.name {
                self.health.is_green = *value != 0.0;
            } else if name == metrics::VANTAGE_SUSPECT.name {
                self.health.is_vantage_suspect = *value != 0.0;
            } else if name == metrics::PROBE_RUNS.name {
                results.extend(self.results(labels, *value));
            }
        }
        if before != (self.health.is_green, self.health.is_vantage_suspect) {
            self.health.since = at;
            events.push(Event::Health(self.health));
        }
        results.sort_by_key(|(class, _, _)| *class == SloClass::Good);
        for (class, target, error_type) in results {
            self.has_results = true;
            self.sequence += 1;
            let outcome = outcome(at, self.sequence, target, class, error_type);
            let is_conclusive = self.health.is_green;
            events.push(Event::Finished(Box::new(Outcome { is_conclusive, ..outcome })));
        }
        events
    }

    fn results(&mut self, labels: &Labels, value: f64) -> Vec<(SloClass, TargetId, ErrorType)> {
        let target = labels.get("target").and_then(|name| self.targets.get(name)).cloned();
        let word = labels.get("slo").unwrap_or_default();
        let class = SloClass::ALL.into_iter().find(|class| class.as_str() == word);
        let word = labels.get("error_type").unwrap_or_default();
        let error = ErrorType::ALL.into_iter().find(|error| error.as_str() == word);
        let (Some(target), Some(class)) = (target, class) else { return Vec::new() };
        let Some(before) = self.counts.insert(labels.clone(), value) else { return Vec::new() };
        let increase = if value < before { value } else { value - before };
        let count = (increase.max(0.0) as u64).min(RESULTS_MAX) as usize;
        vec![(class, target, error.unwrap_or(ErrorType::Other)); count]
    }
}

/// A result of which only this is known.
fn outcome(
    at: Timestamp,
    sequence: u64,
    target: TargetId,
    class: SloClass,
    error_type: ErrorType,
) -> Outcome {
    Outcome {
        target,
        sequence,
        due: at,
        finished: at,
        lateness: Duration::ZERO,
        error_type,
        class,
        detail: String::new(),
        broke: None,
        phases: Phases::default(),
        ttft: None,
        ttfo: None,
        time_per_output_token: None,
        gaps: Vec::new(),
        total: Duration::ZERO,
        status: None,
        usage: None,
        cost: None,
        anomalies: Vec::new(),
        rate_limits: RateLimits::default(),
        certificate_expires: None,
        request_id: None,
        is_cold: false,
        is_conclusive: true,
        is_planned: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one round of samples tells: `good`, `bad?` where it is inconclusive, `red`, `suspect`.
    fn told(evidence: &mut Evidence, at: i64, samples: &[(&str, f64)]) -> Vec<String> {
        let labelled = samples.iter().map(|(text, value)| {
            let labels = match text.split_once('/') {
                Some((target, slo)) => Labels::from_pairs([
                    (Labels::NAME, metrics::PROBE_RUNS.name),
                    ("target", target),
                    ("slo", slo),
                ]),
                None => Labels::from_pairs([(Labels::NAME, *text)]),
            };
            (labels, *value)
        });
        let events = evidence.read(Timestamp::from_millis(at), &labelled.collect::<Vec<_>>());
        let word = |event: &Event| match event {
            Event::Finished(outcome) => {
                let doubt = if outcome.is_conclusive { "" } else { "?" };
                format!("{}{doubt}", outcome.class.as_str())
            }
            Event::Health(health) if !health.is_green => "red".to_owned(),
            Event::Health(health) if health.is_vantage_suspect => "suspect".to_owned(),
            Event::Health(_) => "well".to_owned(),
            other => format!("{other:?}"),
        };
        events.iter().map(word).collect()
    }

    #[test]
    fn counters_that_rise_are_results_and_gauges_are_health() {
        let stable = [TargetId::new("stable")].into_iter();
        let mut evidence = Evidence::new(stable, Timestamp::from_millis(0));
        // The first sight is older than the recording; others' targets are nobody's business.
        assert_eq!(told(&mut evidence, 1, &[("stable/good", 7.0), ("other/bad", 1.0)]), [""; 0]);
        assert!(!evidence.has_results());
        let samples = [("stable/good", 8.0), ("stable/bad", 0.0), ("other/bad", 5.0)];
        assert_eq!(told(&mut evidence, 2, &samples), ["good"]);
        // Bad ones are taken to come first, and no more than can count.
        let samples = [("stable/good", 9.0), ("stable/bad", 90.0)];
        assert_eq!(told(&mut evidence, 3, &samples), ["bad", "bad", "bad", "good"]);
        // A restart begins at zero.
        assert_eq!(told(&mut evidence, 4, &[("stable/good", 2.0)]), ["good", "good"]);
        let samples = [("stable/good", 3.0), ("bellwether_canary_healthy", 0.0)];
        assert_eq!(told(&mut evidence, 5, &samples), ["red", "good?"]);
        assert_eq!(told(&mut evidence, 6, &[("bellwether_canary_healthy", 0.0)]), [""; 0]);
        let samples = [("bellwether_canary_healthy", 1.0), ("bellwether_vantage_suspect", 1.0)];
        assert_eq!(told(&mut evidence, 7, &samples), ["suspect"]);
    }
}
