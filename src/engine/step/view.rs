//! The state as others see it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::snapshot::{GroupStatus, Snapshot, TargetStatus};
use super::Engine;
use crate::model::{TargetId, Timestamp};
use crate::probe::{Planned, Target};

impl Engine {
    /// The state as readers see it.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        Snapshot {
            at: now,
            health: self.health,
            targets: self.statuses(now),
            groups: self
                .groups
                .iter()
                .map(|scheduled| GroupStatus {
                    name: scheduled.group.name().to_owned(),
                    file: scheduled.group.file().to_owned(),
                    interval: scheduled.group.interval(),
                    limit: scheduled.group.spec().limit,
                    evaluated_at: scheduled.evaluated_at,
                    took: scheduled.took,
                    rules: scheduled.group.rules(),
                })
                .collect(),
            decisions: self.decisions.iter().cloned().collect(),
            releases: self.releases(now),
            slos: self.slos.clone(),
            muted: self.dispatcher.muted(now),
        }
    }

    fn statuses(&self, now: Timestamp) -> Vec<TargetStatus> {
        let planned = self.planned(now);
        let with = |status: &TargetStatus| TargetStatus {
            planned: planned.get(status.id()).copied(),
            ..status.clone()
        };
        self.targets.values().map(with).collect()
    }

    /// The targets whose provider is in planned maintenance.
    pub fn planned(&self, now: Timestamp) -> BTreeMap<TargetId, Planned> {
        let calendar = &self.settings.calendar;
        let providers = calendar.providers.keys();
        // Once for each provider: looking for an end may take many steps.
        let planned: BTreeMap<_, _> = providers
            .filter_map(|provider| Some((provider, calendar.planned(provider, now)?)))
            .collect();
        let targets = self.settings.targets.iter();
        let planned = targets
            .filter_map(|target| Some((target.id.clone(), *planned.get(&target.provider.id)?)));
        planned.collect()
    }

    /// The targets.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.settings.targets
    }
}
