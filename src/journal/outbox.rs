//! The outbox: what is to be sent, from before its first attempt until the receiver has it.
//!
//! A message is pending until it is delivered, and then gone from here; its end stays on record among
//! the deliveries. One that is given up is a dead letter: it stays for 30 days, and of those the last
//! 10,000, so that somebody can look at it and send it again, under its own id.

use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite};

use super::entry::DeliveryRecord;
use crate::model::Timestamp;
use crate::notice::{Delivery, HookId, Letter, LetterState, Sending};

/// A rollback that was decided longer ago is not sent by itself at a start: what it answered may
/// have passed, and somebody may have acted by hand.
const ROLLBACK_AGE_MAX: Duration = Duration::from_secs(3600);
/// How long a dead letter is kept.
const DEAD_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How many of them.
const DEAD_MAX: i64 = 10_000;
/// Rows in one statement; SQLite takes 32,766 variables.
pub(super) const ROWS_A_STATEMENT: usize = 1000;
/// Letters in one answer.
pub(super) const LETTERS_MAX: i64 = 10_000;

/// Puts messages in, in order. One that is there already stays as it is.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    deliveries: &[&Delivery],
) -> sqlx::Result<()> {
    for some in deliveries.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new(
            "INSERT INTO outbox \
             (id, hook, ordering, body, decided_at, state, attempts, why) ",
        );
        query.push_values(some, |mut row, delivery| {
            row.push_bind(&delivery.id)
                .push_bind(delivery.hook.as_str())
                .push_bind(&delivery.order)
                .push_bind(&*delivery.body)
                .push_bind(delivery.decided_at.millis())
                .push_bind(LetterState::Pending.as_str())
                .push_bind(0_i64)
                .push_bind("");
        });
        query.push(" ON CONFLICT (id) DO NOTHING");
        query.build().execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes in how deliveries ended. What never was in the outbox (a post to an Alertmanager, a
/// rehearsal) does not get there by its end.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    records: &[&DeliveryRecord],
) -> sqlx::Result<()> {
    let is = |record: &DeliveryRecord, words: &[&str]| words.contains(&record.result.as_str());
    let delivered: Vec<_> = records.iter().filter(|record| is(record, &["delivered"])).collect();
    for some in delivered.chunks(ROWS_A_STATEMENT) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM outbox WHERE id IN (");
        let mut ids = query.separated(", ");
        some.iter().for_each(|record| {
            ids.push_bind(&record.id);
        });
        query.push(")");
        query.build().execute(&mut *connection).await?;
    }
    for record in records {
        let (state, ended_at) = match record.result.as_str() {
            "failed" | "dropped" => (LetterState::Dead, Some(record.at.millis())),
            "unfinished" => (LetterState::Pending, None),
            _ => continue,
        };
        sqlx::query(
            "UPDATE outbox SET state = $1, attempts = $2, ended_at = $3, why = $4 WHERE id = $5",
        )
        .bind(state.as_str())
        .bind(i64::from(record.attempts))
        .bind(ended_at)
        .bind(ended_at.map_or("", |_| record.detail.as_str()))
        .bind(&record.id)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// What is pending, in order, for a process that starts. Rollbacks that are too old become dead
/// letters.
pub(super) async fn take_up(
    connection: &mut SqliteConnection,
    now: Timestamp,
) -> sqlx::Result<Vec<Delivery>> {
    sqlx::query(
        "UPDATE outbox SET state = $1, ended_at = $2, why = $3 \
         WHERE state = $4 AND hook LIKE 'rollback/%' AND decided_at < $5",
    )
    .bind(LetterState::Dead.as_str())
    .bind(now.millis())
    .bind("decided over an hour before the start: not sent by itself")
    .bind(LetterState::Pending.as_str())
    .bind((now - ROLLBACK_AGE_MAX).millis())
    .execute(&mut *connection)
    .await?;
    let rows = sqlx::query("SELECT * FROM outbox WHERE state = $1 ORDER BY seq")
        .bind(LetterState::Pending.as_str())
        .fetch_all(connection)
        .await?;
    rows.iter().map(delivery).collect()
}

/// Makes dead letters pending again as of now, all of them or those of some ids, and returns them in
/// order.
pub(super) async fn revive(
    connection: &mut SqliteConnection,
    ids: Option<&[String]>,
    now: Timestamp,
) -> sqlx::Result<Vec<Delivery>> {
    let rows = sqlx::query("SELECT * FROM outbox WHERE state = $1 ORDER BY seq")
        .bind(LetterState::Dead.as_str())
        .fetch_all(&mut *connection)
        .await?;
    let mut revived = Vec::new();
    for row in &rows {
        let delivery = Delivery { decided_at: now, ..delivery(row)? };
        if ids.is_some_and(|ids| !ids.contains(&delivery.id)) {
            continue;
        }
        sqlx::query(
            "UPDATE outbox SET state = $1, attempts = 0, ended_at = NULL, why = '', \
             decided_at = $2 WHERE id = $3",
        )
        .bind(LetterState::Pending.as_str())
        .bind(now.millis())
        .bind(&delivery.id)
        .execute(&mut *connection)
        .await?;
        revived.push(delivery);
    }
    Ok(revived)
}

/// The messages of one state or of both, newest first.
pub(super) async fn letters(
    connection: &mut SqliteConnection,
    state: Option<LetterState>,
) -> sqlx::Result<Vec<Letter>> {
    let rows = sqlx::query(
        "SELECT id, hook, ordering, decided_at, state, attempts, ended_at, why, \
         LENGTH(CAST(body AS BLOB)) AS bytes FROM outbox \
         WHERE $1 = '' OR state = $1 ORDER BY seq DESC LIMIT $2",
    )
    .bind(state.map_or("", LetterState::as_str))
    .bind(LETTERS_MAX)
    .fetch_all(connection)
    .await?;
    rows.iter().map(letter).collect()
}

/// How many are pending, and how many are dead.
pub(super) async fn counts(connection: &mut SqliteConnection) -> sqlx::Result<(u64, u64)> {
    let mut counts = (0, 0);
    let rows = sqlx::query("SELECT state, COUNT(*) AS number FROM outbox GROUP BY state")
        .fetch_all(connection)
        .await?;
    for row in &rows {
        let (state, number): (String, i64) = (row.try_get("state")?, row.try_get("number")?);
        match LetterState::parse(&state) {
            Some(LetterState::Pending) => counts.0 = number.unsigned_abs(),
            Some(LetterState::Dead) => counts.1 = number.unsigned_abs(),
            None => {}
        }
    }
    Ok(counts)
}

/// Lets go of dead letters that are too old or too many.
pub(super) async fn prune(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "DELETE FROM outbox WHERE state = $1 AND (ended_at < $2 OR seq IN ( \
             SELECT seq FROM outbox WHERE state = $1 ORDER BY seq DESC LIMIT -1 OFFSET $3))",
    )
    .bind(LetterState::Dead.as_str())
    .bind((now - DEAD_KEPT).millis())
    .bind(DEAD_MAX)
    .execute(connection)
    .await?;
    Ok(())
}

/// Fills the outbox of a file that had none: with rollbacks whose end is not on record.
pub(super) async fn fill(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO outbox (id, hook, ordering, body, decided_at, state, attempts, why) \
         SELECT id, 'rollback/' || rollback, incident, body, at, $1, 0, '' FROM decision \
         WHERE at >= $2 AND verdict = 'fired' AND body IS NOT NULL AND NOT EXISTS ( \
             SELECT 1 FROM delivery WHERE delivery.id = decision.id \
             AND delivery.result IN ('delivered', 'failed', 'dropped') \
         ) ORDER BY seq ON CONFLICT (id) DO NOTHING",
    )
    .bind(LetterState::Pending.as_str())
    .bind((now - ROLLBACK_AGE_MAX).millis())
    .execute(connection)
    .await?;
    Ok(())
}

fn delivery(row: &SqliteRow) -> sqlx::Result<Delivery> {
    Ok(Delivery {
        hook: HookId::parse(row.try_get("hook")?),
        id: row.try_get("id")?,
        order: row.try_get("ordering")?,
        body: Arc::from(row.try_get::<String, _>("body")?),
        decided_at: Timestamp::from_millis(row.try_get("decided_at")?),
        sending: Sending::Real,
    })
}

fn letter(row: &SqliteRow) -> sqlx::Result<Letter> {
    let word: String = row.try_get("state")?;
    let state = LetterState::parse(&word)
        .ok_or_else(|| sqlx::Error::Decode(format!("`{word}` is no state").into()))?;
    let ended_at: Option<i64> = row.try_get("ended_at")?;
    Ok(Letter {
        id: row.try_get("id")?,
        hook: HookId::parse(row.try_get("hook")?),
        order: row.try_get("ordering")?,
        state,
        decided_at: Timestamp::from_millis(row.try_get("decided_at")?),
        attempts: u32::try_from(row.try_get::<i64, _>("attempts")?).unwrap_or_default(),
        ended_at: ended_at.map(Timestamp::from_millis),
        why: row.try_get("why")?,
        bytes: usize::try_from(row.try_get::<i64, _>("bytes")?).unwrap_or_default(),
    })
}
