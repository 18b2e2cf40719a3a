//! How many series the rule files record at least.
//!
//! Nobody can tell from an expression alone. So the rules are evaluated: over the series that the
//! configuration's targets, hooks, rollbacks and groups have at a start, all of which stand at zero.
//! What a rule records only once something happened is missing, hence "at least".

use std::time::Duration;

use super::load::Loaded;
use super::wiring::{Names, configure_actions, store_settings};
use crate::model::{Labels, MatchOp, Matcher, Sample, Timestamp};
use crate::rules::{Context, Defaults, Group};
use crate::series::{self, Store};
use crate::telemetry::{Sampler, Telemetry};

/// A rate needs two samples, and a rule of a rule of another file the round after it.
const ROUNDS: i64 = 3;
/// Between two rounds; shorter than any window that says something.
const ROUND: Duration = Duration::from_secs(15);

impl Loaded {
    /// At least how many series the rule files record; those of objectives are counted with them.
    pub fn recorded_least(&self) -> usize {
        let global = &self.config.global;
        if self.files().all(|file| file.groups.is_empty()) {
            // A registry of a thousand targets is hundreds of megabytes for nothing.
            return 0;
        }
        let telemetry = Telemetry::new();
        telemetry.configure_at(&self.config.targets, global.detail);
        configure_actions(&telemetry, &Names::of(self));
        let samples = Sampler::new(&global.job, "").sample(&telemetry, &|_| true);
        let defaults = Defaults {
            interval: global.evaluation_interval,
            query_offset: global.rule_query_offset,
        };
        let context = Context {
            external_labels: global.external_labels.clone(),
            external_url: String::new(),
            resend_delay: Duration::from_secs(60),
        };
        let specs = self.files().flat_map(|file| &file.groups);
        let mut groups: Vec<Group> =
            specs.map(|spec| Group::new(spec.clone(), &defaults)).collect();
        let settings = store_settings(&self.config);
        let mut store = Store::new(series::Settings { series_max: usize::MAX, ..settings });
        let mut at = Timestamp::from_millis(0);
        for _ in 0..ROUNDS {
            at = at + ROUND;
            for (labels, value) in &samples {
                // It has room for all of them.
                let _is_stored = store.append(labels, Sample { at, value: *value }).is_ok();
            }
            groups.iter_mut().for_each(|group| drop(group.evaluate(at, &mut store, &context)));
        }
        let of_rules = Matcher::new(Labels::NAME, MatchOp::NotRegex, "ALERTS|ALERTS_FOR_STATE")
            .expect("names of metrics are a regular expression");
        let all = store.matching(&[of_rules], Timestamp::MIN, Timestamp::MAX);
        all.len().saturating_sub(samples.len())
    }
}
