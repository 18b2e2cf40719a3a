//! What probes spent, kept over restarts: a month that began anew at each would be no limit.

use std::collections::BTreeMap;

use crate::model::{StateRow, StateTable};
use crate::probe::{Payer, SpentSoFar};
use crate::prober::Purses;

/// The accounts, and what of them is on record.
pub(super) struct Spending {
    purses: Purses,
    written: BTreeMap<Payer, Option<SpentSoFar>>,
}

impl Spending {
    /// Goes on with the rows of an earlier run. One that can't be read counts as nothing spent.
    pub(super) fn resume(rows: &[StateRow]) -> (Self, Purses) {
        let rows = rows.iter().filter(|row| row.table == StateTable::Spending);
        let written: BTreeMap<_, Option<SpentSoFar>> = rows
            .map(|row| {
                let text = row.value.as_deref().unwrap_or_default();
                (Payer::of_key(&row.key), serde_json::from_str(text).ok())
            })
            .collect();
        let newest = written.values().flatten().map(|spent| spent.month).max();
        // What was spent before the last month that anything was, limits nothing any more.
        let current = written.iter().filter_map(|(payer, spent)| {
            spent.filter(|spent| Some(spent.month) == newest).map(|spent| (payer.clone(), spent))
        });
        let purses = Purses::remembering(current);
        (Self { purses: purses.clone(), written }, purses)
    }

    /// The rows that changed since the last call.
    pub(super) fn take_rows(&mut self) -> Vec<StateRow> {
        let now = self.purses.so_far();
        let row = |payer: &Payer, value| StateRow {
            table: StateTable::Spending,
            key: payer.key(),
            value,
        };
        let mut rows: Vec<StateRow> = self
            .written
            .keys()
            .filter(|payer| !now.contains_key(*payer))
            .map(|payer| row(payer, None))
            .collect();
        for (payer, spent) in &now {
            let before = self.written.get(payer).copied().flatten();
            if before != Some(*spent) && *spent != SpentSoFar::default() {
                let value = serde_json::to_string(spent).expect("numbers always serialize");
                rows.push(row(payer, Some(value)));
            }
        }
        self.written = now.into_iter().map(|(payer, spent)| (payer, Some(spent))).collect();
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetId;

    fn row(key: &str, value: &str) -> StateRow {
        let table = StateTable::Spending;
        StateRow { table, key: key.to_owned(), value: Some(value.to_owned()) }
    }

    #[test]
    fn what_was_spent_comes_back_and_what_is_over_goes() {
        let now = r#"{"day":20787,"day_nanos":5,"month":24322,"month_nanos":70}"#;
        let old = r#"{"day":20700,"day_nanos":5,"month":24319,"month_nanos":9}"#;
        let rows = [
            row("a", now),
            row("gone", old),
            row("broken", "{"),
            row("", now),
            row("release\ta", now),
        ];
        let (mut spending, purses) = Spending::resume(&rows);
        let spent = SpentSoFar { day: 20787, day_nanos: 5, month: 24322, month_nanos: 70 };
        let payers =
            [Payer::Together, Payer::Release("a".to_owned()), Payer::Target(TargetId::new("a"))];
        assert_eq!(purses.so_far(), payers.map(|payer| (payer, spent)).into());
        let gone: Vec<_> =
            spending.take_rows().into_iter().map(|row| (row.key, row.value)).collect();
        assert_eq!(gone, [("broken".to_owned(), None), ("gone".to_owned(), None)]);
        assert_eq!(spending.take_rows(), []);
    }
}
