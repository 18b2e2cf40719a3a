//! What is written down, and how many of it go into one transaction.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{QueryBuilder, Sqlite};

use super::outbox::{self, ROWS_A_STATEMENT};
use super::{log, ticks};
use crate::model::{StateRow, StateTable, Timestamp};
use crate::notice::{Delivery, HookId};
use crate::release::{Decision, LogEntry, Tick, Verdict};

/// Entries that could not be written yet; beyond it the oldest is lost, and logged.
const ENTRIES_MAX: usize = 10_000;

/// How a delivery ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Where it went.
    pub hook: HookId,
    /// Its idempotency key.
    pub id: String,
    /// When it ended.
    pub at: Timestamp,
    /// How many attempts there were.
    pub attempts: u32,
    /// How it ended: `delivered`, `failed`, `dropped`, `unfinished` or `rehearsed`.
    pub result: String,
    /// Why, or what was rehearsed; without secrets.
    pub detail: String,
}

/// What belongs together: all of it is on disk, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Decisions; what they send goes into the outbox with them.
    pub decisions: Vec<Arc<Decision>>,
    /// Notices that go into the outbox.
    pub notices: Vec<Delivery>,
    /// How deliveries ended.
    pub endings: Vec<DeliveryRecord>,
    /// What plans did.
    pub log: Vec<LogEntry>,
    /// Steps of releases.
    pub ticks: Vec<Arc<Tick>>,
    /// State that changed.
    pub rows: Vec<StateRow>,
}

/// What is not on disk yet, oldest first. Of state only the newest matters, so that a disk that is
/// away for long costs no more than there is state.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    entries: VecDeque<Entry>,
    rows: BTreeMap<(StateTable, String), Option<String>>,
}

#[derive(Debug)]
enum Entry {
    Decision(Arc<Decision>),
    Notice(Delivery),
    Ending(DeliveryRecord),
    Log(LogEntry),
    Tick(Arc<Tick>),
}

impl Backlog {
    /// Takes a batch on. Returns how many entries were lost for it.
    pub(super) fn add(&mut self, batch: Batch) -> usize {
        self.entries.extend(batch.decisions.into_iter().map(Entry::Decision));
        self.entries.extend(batch.notices.into_iter().map(Entry::Notice));
        self.entries.extend(batch.endings.into_iter().map(Entry::Ending));
        self.entries.extend(batch.log.into_iter().map(Entry::Log));
        self.entries.extend(batch.ticks.into_iter().map(Entry::Tick));
        self.rows.extend(batch.rows.into_iter().map(|row| ((row.table, row.key), row.value)));
        let lost = self.entries.len().saturating_sub(ENTRIES_MAX);
        self.entries.drain(..lost);
        lost
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.rows.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether writing it changes what the outbox holds.
    pub(super) fn has_entries(&self) -> bool {
        !self.entries.is_empty()
    }

    /// Writes all of it in one transaction, after which it is durable and no longer here. Whatever
    /// fails leaves everything as it was.
    ///
    /// The transaction is spelled out: where `COMMIT` itself fails, as on a full disk, sqlx's own
    /// stays open, and whatever follows seems to be written and never is.
    pub(super) async fn write(&mut self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
        let written = match self.write_all(connection).await {
            Ok(()) => sqlx::query("COMMIT").execute(&mut *connection).await.map(drop),
            Err(error) => Err(error),
        };
        match written {
            Ok(()) => {
                self.entries.clear();
                self.rows.clear();
            }
            Err(_) => {
                // SQLite ends the transaction itself on some errors and then knows of none.
                let _was_open = sqlx::query("ROLLBACK").execute(connection).await.is_ok();
            }
        }
        written
    }

    async fn write_all(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let (mut letters, mut endings): (Vec<&Delivery>, Vec<&DeliveryRecord>) =
            (Vec::new(), Vec::new());
        for entry in &self.entries {
            match entry {
                Entry::Decision(decision) => {
                    write_decision(decision, connection).await?;
                    let is_sent = decision.verdict == Verdict::Fired;
                    letters.extend(decision.delivery.as_ref().filter(|_| is_sent));
                }
                Entry::Notice(delivery) => letters.push(delivery),
                Entry::Ending(record) => endings.push(record),
                Entry::Log(entry) => log::write(entry, connection).await?,
                Entry::Tick(tick) => ticks::write(tick, connection).await?,
            }
        }
        // An end is never older than the beginning that is written with it.
        outbox::put(connection, &letters).await?;
        write_endings(&endings, connection).await?;
        outbox::end(connection, &endings).await?;
        self.write_rows(connection).await
    }

    async fn write_rows(&self, connection: &mut SqliteConnection) -> sqlx::Result<()> {
        let key = |(table, key): &(StateTable, String)| (table.as_str(), key.clone());
        let kept: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(row, value)| Some((key(row), value.as_deref()?)))
            .collect();
        for some in kept.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO state (kind, key, value) ");
            query.push_values(some, |mut row, ((kind, key), value)| {
                row.push_bind(*kind).push_bind(key).push_bind(*value);
            });
            query.push(" ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value");
            query.build().execute(&mut *connection).await?;
        }
        let gone: Vec<_> = self
            .rows
            .iter()
            .filter(|(_, value)| value.is_none())
            .map(|(row, _)| key(row))
            .collect();
        for some in gone.chunks(ROWS_A_STATEMENT) {
            let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM state WHERE (kind, key) IN (");
            query.push_values(some, |mut row, (kind, key)| {
                row.push_bind(*kind).push_bind(key);
            });
            query.push(")");
            query.build().execute(&mut *connection).await?;
        }
        Ok(())
    }
}

async fn write_decision(
    decision: &Decision,
    connection: &mut SqliteConnection,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO decision (id, rollback, incident, at, verdict, until, report, body) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&decision.id)
    .bind(&decision.rollback)
    .bind(&decision.incident)
    .bind(decision.at.millis())
    .bind(decision.verdict.as_str())
    .bind(decision.verdict.until().map(Timestamp::millis))
    .bind(decision.report.to_json().to_string())
    .bind(decision.delivery.as_ref().map(|delivery| delivery.body.to_string()))
    .execute(connection)
    .await?;
    Ok(())
}

async fn write_endings(
    records: &[&DeliveryRecord],
    connection: &mut SqliteConnection,
) -> sqlx::Result<()> {
    for some in records.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO delivery (hook, id, at, attempts, result, detail) ",
        );
        query.push_values(some, |mut row, record| {
            row.push_bind(record.hook.as_str())
                .push_bind(&record.id)
                .push_bind(record.at.millis())
                .push_bind(i64::from(record.attempts))
                .push_bind(&record.result)
                .push_bind(&record.detail);
        });
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}
