//! What plans did, line by line: read by people, and by a start that goes on with what it finds.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use crate::release::LogEntry;

/// Lines in one answer.
pub(super) const LINES_MAX: usize = 10_000;

pub(super) async fn write(entry: &LogEntry, connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let line = serde_json::to_string(entry).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query("INSERT INTO plan_log (run, rollback, at, line) VALUES ($1, $2, $3, $4)")
        .bind(&entry.run)
        .bind(&entry.rollback)
        .bind(entry.at_ms)
        .bind(line)
        .execute(connection)
        .await?;
    Ok(())
}

/// The last lines of one rollback or of all, oldest first. What a later program wrote and this one
/// can't read is left out.
pub(super) async fn lines(
    connection: &mut SqliteConnection,
    rollback: Option<&str>,
    count: usize,
) -> sqlx::Result<Vec<LogEntry>> {
    let rows = sqlx::query(
        "SELECT line FROM plan_log WHERE $1 = '' OR rollback = $1 ORDER BY seq DESC LIMIT $2",
    )
    .bind(rollback.unwrap_or_default())
    .bind(i64::try_from(count.min(LINES_MAX)).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    let mut lines = Vec::new();
    for row in rows.iter().rev() {
        let line: String = row.try_get("line")?;
        lines.extend(serde_json::from_str::<LogEntry>(&line).ok());
    }
    Ok(lines)
}
