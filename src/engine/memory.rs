//! The state of alerts as it outlives the process.
//!
//! After each evaluation, and where an early one started a rollback, the rows of the alerts that
//! changed are handed out, and one for the group that says until when that is known. At a start they
//! come back:
//!
//! - What fired fires on since when it did, under the same incident; what is over stays over for its
//!   15 minutes, so that its end can still be told.
//! - The time between the last evaluation and the start counts for nothing: a pending alert has
//!   waited, and one that `keep_firing_for` keeps has been kept, for as long as that was seen.
//! - After more than an hour nothing is known any more: the condition must hold anew.
//! - A group on record is taken from there and not from its samples, which are a second behind at
//!   worst and hold less. Without a record of it (a damaged file, an older version's) the samples
//!   must do.
//! - A rule that was edited meanwhile goes on as over a reload: by its name and its fixed labels.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::groups::Scheduled;
use crate::model::{StateRow, StateTable, Timestamp};
use crate::rules::{Alert, OUTAGE_MAX};

/// Until when the alerts of a group are known.
#[derive(Debug, Serialize, Deserialize)]
struct Known {
    file: String,
    group: String,
    evaluated_at: Timestamp,
}

/// The rows of a group that changed since the last call.
pub(super) fn changes(scheduled: &mut Scheduled, alerts: &[Alert], at: Timestamp) -> Vec<StateRow> {
    if alerts.is_empty() && scheduled.kept.is_empty() {
        return Vec::new();
    }
    let mut before = std::mem::take(&mut scheduled.kept);
    let mut rows = Vec::new();
    for alert in alerts {
        let key = alert.identity();
        if before.remove(&key).as_ref() != Some(alert) {
            rows.push(row(StateTable::Alert, &key, alert));
        }
        scheduled.kept.insert(key, alert.clone());
    }
    rows.extend(before.into_keys().map(|key| gone(StateTable::Alert, key)));
    let key = scheduled.key();
    if alerts.is_empty() {
        rows.push(gone(StateTable::RuleGroup, key));
    } else {
        let (file, group) = (scheduled.group.file(), scheduled.group.name());
        let known = Known { file: file.to_owned(), group: group.to_owned(), evaluated_at: at };
        rows.push(row(StateTable::RuleGroup, &key, &known));
    }
    rows
}

/// The rows of a group that is no more.
pub(super) fn end(scheduled: &Scheduled) -> Vec<StateRow> {
    let alerts = scheduled.kept.keys().map(|key| gone(StateTable::Alert, key.clone()));
    alerts.chain([gone(StateTable::RuleGroup, scheduled.key())]).collect()
}

fn row(table: StateTable, key: &str, content: &impl Serialize) -> StateRow {
    let value = serde_json::to_string(content).expect("texts and numbers always serialize");
    StateRow { table, key: key.to_owned(), value: Some(value) }
}

fn gone(table: StateTable, key: String) -> StateRow {
    StateRow { table, key, value: None }
}

/// What the rows of an earlier run came to.
#[derive(Debug, Default)]
pub(super) struct Restored {
    /// Rows that nobody goes on with.
    pub(super) rows: Vec<StateRow>,
    /// Keys of rows that can't be read.
    pub(super) unreadable: Vec<String>,
    /// How many alerts came back.
    pub(super) alerts: usize,
}

/// Gives the alerts on record to their groups, which have what the samples say so far.
pub(super) fn restore(rows: &[StateRow], groups: &mut [Scheduled], now: Timestamp) -> Restored {
    let mut restored = Restored::default();
    let known: BTreeMap<String, Known> =
        read(rows, StateTable::RuleGroup, &mut restored.unreadable).collect();
    let alerts: Vec<(String, Alert)> =
        read(rows, StateTable::Alert, &mut restored.unreadable).collect();
    let mut stale: BTreeSet<String> = alerts.iter().map(|(key, _)| key.clone()).collect();
    for scheduled in groups.iter_mut() {
        let Some(known) = known.get(&scheduled.key()) else { continue };
        let outage = now.since(known.evaluated_at);
        if outage > OUTAGE_MAX {
            continue;
        }
        let theirs = alerts.iter().filter(|(_, alert)| {
            alert.group == scheduled.group.name() && alert.file == scheduled.group.file()
        });
        let mut found = Vec::new();
        for (key, alert) in theirs {
            stale.remove(key);
            // As it stands on disk, so that what differs from it is written.
            scheduled.kept.insert(key.clone(), alert.clone());
            found.push(alert.clone().after(outage));
        }
        scheduled.group.reinstate(&found);
        restored.alerts += scheduled.group.alerts().len();
    }
    let gone_groups = known.keys().filter(|key| {
        groups.iter().all(|scheduled| scheduled.key() != **key || scheduled.kept.is_empty())
    });
    restored.rows.extend(gone_groups.map(|key| gone(StateTable::RuleGroup, key.clone())));
    restored.rows.extend(stale.into_iter().map(|key| gone(StateTable::Alert, key)));
    restored
}

fn read<'r, T: for<'de> Deserialize<'de>>(
    rows: &'r [StateRow],
    table: StateTable,
    unreadable: &mut Vec<String>,
) -> impl Iterator<Item = (String, T)> + use<'r, T> {
    let (read, broken): (Vec<_>, Vec<_>) = rows
        .iter()
        .filter(|row| row.table == table)
        .map(|row| {
            let text = row.value.as_deref().unwrap_or_default();
            (row.key.clone(), serde_json::from_str(text).ok())
        })
        .partition(|(_, content): &(String, Option<T>)| content.is_some());
    unreadable.extend(broken.into_iter().map(|(key, _)| key));
    read.into_iter().filter_map(|(key, content)| Some((key, content?)))
}
