//! The steps of releases: what each rested on, so that a start goes on where the last one was, and
//! that anybody can play a release again.

use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::release::Tick;

/// Generations of one release that are kept; the last of them whole, whatever it takes.
const GENERATIONS_KEPT: usize = 5;

pub(super) async fn write(tick: &Tick, connection: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO tick (release, generation, number, at, evidence, state, report, mark, is_news) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (release, generation, number) DO NOTHING",
    )
    .bind(&tick.release)
    .bind(generation_out(tick.generation))
    .bind(i64::try_from(tick.number).unwrap_or(i64::MAX))
    .bind(tick.at_ms)
    .bind(&tick.evidence)
    .bind(&tick.state)
    .bind(&tick.report)
    .bind(&tick.mark)
    .bind(tick.is_news)
    .execute(connection)
    .await?;
    Ok(())
}

/// All steps of one generation of a release, of the last one where none is named, oldest first.
pub(super) async fn of_generation(
    connection: &mut SqliteConnection,
    release: &str,
    generation: Option<u64>,
) -> sqlx::Result<Vec<Tick>> {
    let rows = sqlx::query(
        "SELECT * FROM tick WHERE release = $1 AND generation = \
         COALESCE($2, (SELECT MAX(generation) FROM tick WHERE release = $1)) ORDER BY number",
    )
    .bind(release)
    .bind(generation.map(generation_out))
    .fetch_all(connection)
    .await?;
    rows.iter().map(tick).collect()
}

/// The last generation of each release.
pub(super) async fn last(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Vec<Tick>>> {
    let rows = sqlx::query("SELECT DISTINCT release FROM tick ORDER BY release")
        .fetch_all(&mut *connection)
        .await?;
    let mut all = Vec::new();
    for row in &rows {
        let release: String = row.try_get(0)?;
        all.push(of_generation(connection, &release, None).await?);
    }
    Ok(all)
}

/// The last steps of a release in which anything changed, oldest first.
pub(super) async fn news(
    connection: &mut SqliteConnection,
    release: &str,
    count: usize,
) -> sqlx::Result<Vec<Tick>> {
    let rows = sqlx::query(
        "SELECT * FROM tick WHERE release = $1 AND is_news ORDER BY at DESC, number DESC LIMIT $2",
    )
    .bind(release)
    .bind(i64::try_from(count).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.iter().rev().map(tick).collect()
}

/// Removes the generations that nobody goes on with.
pub(super) async fn prune(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    let rows = sqlx::query(
        "SELECT DISTINCT release, generation FROM tick ORDER BY release, generation DESC",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut seen: (String, usize) = (String::new(), 0);
    for row in &rows {
        let (release, generation): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        seen = if seen.0 == release { (release, seen.1 + 1) } else { (release, 1) };
        if seen.1 > GENERATIONS_KEPT {
            sqlx::query("DELETE FROM tick WHERE release = $1 AND generation = $2")
                .bind(&seen.0)
                .bind(generation)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// SQLite knows signed numbers only; the order stays.
fn generation_out(generation: u64) -> i64 {
    (generation ^ (1 << 63)).cast_signed()
}

fn generation_in(generation: i64) -> u64 {
    generation.cast_unsigned() ^ (1 << 63)
}

fn tick(row: &SqliteRow) -> sqlx::Result<Tick> {
    let number: i64 = row.try_get("number")?;
    Ok(Tick {
        release: row.try_get("release")?,
        generation: generation_in(row.try_get("generation")?),
        number: u64::try_from(number).unwrap_or_default(),
        at_ms: row.try_get("at")?,
        evidence: row.try_get("evidence")?,
        state: row.try_get("state")?,
        report: row.try_get("report")?,
        mark: row.try_get("mark")?,
        is_news: row.try_get("is_news")?,
    })
}
