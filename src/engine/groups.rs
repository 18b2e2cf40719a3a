//! Rule groups on their slots.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::Settings;
use crate::model::{Labels, MatchOp, Timestamp};
use crate::release::Rollback;
use crate::rules::{Alert, Defaults, Group, GroupSpec, RuleFile, RuleSpec};

/// A group, when it is due, and whether it can cause a rollback.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) group: Group,
    /// The next slot.
    pub(super) due: Timestamp,
    /// How many slots were skipped before the last evaluation.
    pub(super) missed: u64,
    /// How many rules failed in it.
    pub(super) failures: u64,
    pub(super) evaluated_at: Option<Timestamp>,
    pub(super) took: Duration,
    pub(super) is_critical: bool,
    /// Whether it is being evaluated aside.
    pub(super) is_away: bool,
    /// When an early evaluation last led to a rollback.
    pub(super) acted_at: Option<Timestamp>,
    /// Its alerts as they are on record, by their identity.
    pub(super) kept: BTreeMap<String, Alert>,
}

impl Scheduled {
    /// Takes the latest slot that has come by now and moves on to the one after it. Earlier ones,
    /// over which nothing was evaluated, are skipped and counted, not replayed, as in Prometheus.
    pub(super) fn take_slot(&mut self, now: Timestamp) -> Timestamp {
        let interval = self.group.interval();
        let skipped = now.since(self.due).as_millis() / interval.as_millis().max(1);
        self.missed = u64::try_from(skipped).unwrap_or(u64::MAX);
        let skipped = u32::try_from(skipped).unwrap_or(u32::MAX);
        let slot = self.due + interval.saturating_mul(skipped);
        self.due = slot + interval;
        // Not before what was acted on early, which would look as if it had not been.
        let at = self.acted_at.map_or(slot, |acted| acted.max(slot));
        self.evaluated_at = Some(at);
        at
    }

    pub(super) fn key(&self) -> String {
        group_key(self.group.file(), self.group.name())
    }
}

/// What Prometheus knows a group by, as the label `rule_group`: names repeat over files.
pub fn group_key(file: &str, name: &str) -> String {
    format!("{file};{name}")
}

/// What holds for groups that say nothing else.
pub(super) fn defaults(settings: &Settings) -> Defaults {
    Defaults { interval: settings.evaluation_interval, query_offset: settings.rule_query_offset }
}

/// Builds the groups of all files; groups of the same file and name take over the old state. Returns
/// them and the old ones that are gone.
pub(super) fn schedule(
    files: &[RuleFile],
    defaults: &Defaults,
    rollbacks: &[Rollback],
    mut old: Vec<Scheduled>,
    now: Timestamp,
) -> (Vec<Scheduled>, Vec<Scheduled>) {
    let mut groups = Vec::new();
    for spec in files.iter().flat_map(|file| &file.groups) {
        let is_critical = may_cause(spec, rollbacks);
        let mut group = Group::new(spec.clone(), defaults);
        let same = |other: &Scheduled| {
            other.group.name() == group.name() && other.group.file() == group.file()
        };
        let before = old.iter().position(same).map(|at| old.remove(at));
        let mut due = group.next_after(now);
        let (mut evaluated_at, mut acted_at, mut took) = (None, None, Duration::ZERO);
        let mut kept = BTreeMap::new();
        if let Some(before) = before {
            if before.group.interval() == group.interval() {
                due = before.due;
            }
            (evaluated_at, acted_at, took) = (before.evaluated_at, before.acted_at, before.took);
            kept = before.kept;
            group.adopt(before.group);
        }
        groups.push(Scheduled {
            group,
            due,
            missed: 0,
            failures: 0,
            evaluated_at,
            took,
            is_critical,
            is_away: false,
            acted_at,
            kept,
        });
    }
    (groups, old)
}

/// Whether an alert of the group might satisfy a rollback's matchers. Labels that the rule itself
/// sets, and the alert's name, must match; any other label may come from the series.
fn may_cause(spec: &GroupSpec, rollbacks: &[Rollback]) -> bool {
    let fixed = spec.rules.iter().filter_map(|rule| match rule {
        RuleSpec::Alerting(alerting) => Some((&alerting.alert, rule.labels())),
        RuleSpec::Recording(_) => None,
    });
    let fixed: Vec<Labels> = fixed
        .map(|(name, labels)| {
            let own = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            Labels::from_pairs(own.chain([("alertname", name.as_str())]))
        })
        .collect();
    rollbacks.iter().any(|rollback| {
        fixed.iter().any(|labels| {
            rollback.matchers.iter().all(|matcher| {
                labels.get(matcher.name()).is_none_or(|value| {
                    // A templated label can become anything.
                    value.contains("{{") || matcher.matches(value)
                })
            })
        })
    })
}

/// The names of the metrics that critical groups select: nothing where there is no such group; `None`
/// where a selector names none, and so may select anything.
pub(super) fn selected(groups: &[Scheduled]) -> Option<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for scheduled in groups.iter().filter(|scheduled| scheduled.is_critical) {
        for selector in scheduled.group.selectors() {
            let name = selector
                .matchers
                .iter()
                .find(|m| m.name() == Labels::NAME && m.op() == MatchOp::Equal)?;
            names.insert(name.value().to_owned());
        }
    }
    Some(names)
}
