//! Rule groups on their slots.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::{Labels, MatchOp, Timestamp};
use crate::release::Rollback;
use crate::rules::{Defaults, Group, GroupSpec, RuleFile, RuleSpec};

/// A group, when it is due, and whether it can cause a rollback.
#[derive(Debug)]
pub(super) struct Scheduled {
    pub(super) group: Group,
    pub(super) due: Timestamp,
    pub(super) missed: u64,
    pub(super) evaluated_at: Option<Timestamp>,
    pub(super) took: Duration,
    pub(super) is_critical: bool,
    /// When an early evaluation last led to a rollback.
    pub(super) acted_at: Option<Timestamp>,
}

impl Scheduled {
    /// Moves to the slot after the one that was evaluated. Slots that are over by more than an
    /// interval are skipped and counted, not replayed.
    pub(super) fn advance(&mut self, now: Timestamp) {
        let slot = self.due;
        let interval = self.group.interval();
        let behind = now.since(slot).as_millis() / interval.as_millis().max(1);
        self.missed = u64::try_from(behind.saturating_sub(1)).unwrap_or(u64::MAX);
        let skipped = u32::try_from(self.missed).unwrap_or(u32::MAX);
        self.due = slot + interval + interval.saturating_mul(skipped);
        self.evaluated_at = Some(slot);
    }
}

/// Builds the groups of all files; groups of the same file and name take over the old state.
pub(super) fn schedule(
    files: &[RuleFile],
    interval: Duration,
    rollbacks: &[Rollback],
    mut old: Vec<Scheduled>,
    now: Timestamp,
) -> (Vec<Scheduled>, Vec<Scheduled>) {
    let defaults = Defaults { interval, query_offset: Duration::ZERO };
    let mut groups = Vec::new();
    for spec in files.iter().flat_map(|file| &file.groups) {
        let is_critical = may_cause(spec, rollbacks);
        let mut group = Group::new(spec.clone(), &defaults);
        let same = |other: &Scheduled| {
            other.group.name() == group.name() && other.group.file() == group.file()
        };
        let before = old.iter().position(same).map(|at| old.remove(at));
        let mut due = group.next_after(now);
        let (mut evaluated_at, mut acted_at, mut took) = (None, None, Duration::ZERO);
        if let Some(before) = before {
            if before.group.interval() == group.interval() {
                due = before.due;
            }
            (evaluated_at, acted_at, took) = (before.evaluated_at, before.acted_at, before.took);
            group.adopt(before.group);
        }
        groups.push(Scheduled { group, due, missed: 0, evaluated_at, took, is_critical, acted_at });
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

/// The names of the metrics that critical groups select; `None` where a selector names none, and so
/// may select anything.
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
