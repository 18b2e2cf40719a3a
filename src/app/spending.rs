//! What probes spent, kept over restarts: a month that began anew at each would be no limit.

use std::collections::BTreeMap;

use crate::model::{StateRow, StateTable, TargetId};
use crate::probe::SpentSoFar;
use crate::prober::Purses;

/// The key of all targets together. No target has it: names of targets are not empty.
const TOGETHER: &str = "";

/// The accounts, and what of them is on record.
pub(super) struct Spending {
    purses: Purses,
    written: BTreeMap<Option<TargetId>, Option<SpentSoFar>>,
}

impl Spending {
    /// Goes on with the rows of an earlier run. One that can't be read counts as nothing spent.
    pub(super) fn resume(rows: &[StateRow]) -> (Self, Purses) {
        let rows = rows.iter().filter(|row| row.table == StateTable::Spending);
        let written: BTreeMap<_, Option<SpentSoFar>> = rows
            .map(|row| {
                let target = (row.key != TOGETHER).then(|| TargetId::new(&row.key));
                let text = row.value.as_deref().unwrap_or_default();
                (target, serde_json::from_str(text).ok())
            })
            .collect();
        let newest = written.values().flatten().map(|spent| spent.month).max();
        // What was spent before the last month that anything was, limits nothing any more.
        let current = written.iter().filter_map(|(target, spent)| {
            spent.filter(|spent| Some(spent.month) == newest).map(|spent| (target.clone(), spent))
        });
        let purses = Purses::remembering(current);
        (Self { purses: purses.clone(), written }, purses)
    }

    /// The rows that changed since the last call.
    pub(super) fn take_rows(&mut self) -> Vec<StateRow> {
        let now = self.purses.so_far();
        let row = |target: &Option<TargetId>, value| StateRow {
            table: StateTable::Spending,
            key: target.as_ref().map_or_else(|| TOGETHER.to_owned(), ToString::to_string),
            value,
        };
        let mut rows: Vec<StateRow> = self
            .written
            .keys()
            .filter(|target| !now.contains_key(*target))
            .map(|target| row(target, None))
            .collect();
        for (target, spent) in &now {
            let before = self.written.get(target).copied().flatten();
            if before != Some(*spent) && *spent != SpentSoFar::default() {
                let value = serde_json::to_string(spent).expect("numbers always serialize");
                rows.push(row(target, Some(value)));
            }
        }
        self.written = now.into_iter().map(|(target, spent)| (target, Some(spent))).collect();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, value: &str) -> StateRow {
        let table = StateTable::Spending;
        StateRow { table, key: key.to_owned(), value: Some(value.to_owned()) }
    }

    #[test]
    fn what_was_spent_comes_back_and_what_is_over_goes() {
        let now = r#"{"day":20787,"day_nanos":5,"month":24322,"month_nanos":70}"#;
        let old = r#"{"day":20700,"day_nanos":5,"month":24319,"month_nanos":9}"#;
        let rows = [row("a", now), row("gone", old), row("broken", "{"), row("", now)];
        let (mut spending, purses) = Spending::resume(&rows);
        let spent = SpentSoFar { day: 20787, day_nanos: 5, month: 24322, month_nanos: 70 };
        let a = Some(TargetId::new("a"));
        assert_eq!(purses.so_far(), BTreeMap::from([(None, spent), (a, spent)]));
        let gone: Vec<_> =
            spending.take_rows().into_iter().map(|row| (row.key, row.value)).collect();
        assert_eq!(gone, [("broken".to_owned(), None), ("gone".to_owned(), None)]);
        assert_eq!(spending.take_rows(), []);
    }
}
