//! The file: opened, brought up to date, read.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use super::lock::LockError;
use super::{outbox, ticks};
use crate::model::{StateRow, StateTable, Timestamp};
use crate::release::{Record, Verdict};

/// The file's name in the data directory.
pub(super) const FILE: &str = "bellwether.db";

/// The schema that this program writes; a step for each version before it.
const VERSION: i64 = 4;

/// Rows older than that are of no use to any decision, and few ask for them.
const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// Rows of each kind; the whole file is checked at every start, and that must stay quick.
const ROWS_MAX: i64 = 20_000;

/// Why the journal cannot be opened, written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The data directory cannot be made.
    #[error("the data directory `{}` cannot be made", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another process has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be opened.
    #[error("the journal `{}` cannot be opened", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: sqlx::Error,
    },
    /// The file is a later program's.
    #[error(
        "the journal `{}` has schema `{found}`, but this bellwether knows up to `{VERSION}`: \
         run the newer one, or give it another `storage.path`",
        path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its schema.
        found: i64,
    },
    /// A broken file cannot be moved out of the way.
    #[error("the broken journal `{}` cannot be set aside", path.display())]
    SetAside {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A row cannot be written; it is kept in memory and tried again.
    #[error("the journal cannot be written")]
    Write(#[source] sqlx::Error),
    /// Something else that was to be written in the same go failed.
    #[error("the journal cannot be written at present")]
    Behind,
    /// Rows cannot be read.
    #[error("the journal cannot be read")]
    Read(#[source] sqlx::Error),
    /// The journal was closed, or more waits than it takes.
    #[error("the journal takes no more entries")]
    Closed,
}

/// Opens the file, or a new one in place of a broken one. Returns where the broken one is now.
pub(super) async fn open(
    path: &Path,
    now: Timestamp,
) -> Result<(SqliteConnection, Option<PathBuf>), JournalError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    match prepare(&options, path, now).await {
        Err(JournalError::Open { source, .. }) if is_broken(&source) => {
            let aside = set_aside(path, now)?;
            Ok((prepare(&options, path, now).await?, Some(aside)))
        }
        result => result.map(|connection| (connection, None)),
    }
}

/// Opens a journal that ends with the process.
pub(super) async fn open_in_memory(now: Timestamp) -> Result<SqliteConnection, JournalError> {
    let path = Path::new(":memory:");
    let options = SqliteConnectOptions::from_str("sqlite::memory:")
        .map_err(|source| JournalError::Open { path: path.to_owned(), source })?;
    prepare(&options, path, now).await
}

async fn prepare(
    options: &SqliteConnectOptions,
    path: &Path,
    now: Timestamp,
) -> Result<SqliteConnection, JournalError> {
    let failed = |source| JournalError::Open { path: path.to_owned(), source };
    let mut connection = options
        .clone()
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // Only an operator's own shell could hold it; the process is alone by its lock.
        .busy_timeout(Duration::from_secs(1))
        .disable_statement_logging()
        .connect()
        .await
        .map_err(failed)?;
    let found = migrate(&mut connection, now).await.map_err(failed)?;
    if found > VERSION {
        let _ends_anyway = connection.close().await.is_ok();
        return Err(JournalError::Newer { path: path.to_owned(), found });
    }
    prune(&mut connection, now).await.map_err(failed)?;
    Ok(connection)
}

/// Brings the schema up to date, all steps or none. Returns the version found, or made.
async fn migrate(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<i64> {
    let verdict: String =
        sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut *connection).await?.try_get(0)?;
    if verdict != "ok" {
        return Err(sqlx::Error::Decode(BROKEN.into()));
    }
    let mut change = connection.begin().await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
        .execute(&mut *change)
        .await?;
    let found: Option<i64> = sqlx::query("SELECT MAX(version) FROM schema_version")
        .fetch_one(&mut *change)
        .await?
        .try_get(0)?;
    if let Some(found) = found.filter(|found| *found >= VERSION) {
        change.rollback().await?;
        return Ok(found);
    }
    let done = usize::try_from(found.unwrap_or_default()).unwrap_or_default();
    for statement in STEPS.iter().skip(done).copied().flatten() {
        sqlx::query(*statement).execute(&mut *change).await?;
    }
    if found == Some(1) {
        outbox::fill(&mut change, now).await?;
    }
    sqlx::query("INSERT INTO schema_version (version) VALUES ($1)")
        .bind(VERSION)
        .execute(&mut *change)
        .await?;
    change.commit().await?;
    Ok(VERSION)
}

/// What leads to each version from the one before it.
const STEPS: [&[&str]; 4] = [
    &[
        "CREATE TABLE decision (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL,
            rollback TEXT NOT NULL,
            incident TEXT NOT NULL,
            at BIGINT NOT NULL,
            verdict TEXT NOT NULL,
            until BIGINT,
            report TEXT NOT NULL,
            body TEXT
        )",
        "CREATE INDEX decision_at ON decision (at)",
        "CREATE TABLE delivery (
            seq INTEGER PRIMARY KEY,
            hook TEXT NOT NULL,
            id TEXT NOT NULL,
            at BIGINT NOT NULL,
            attempts BIGINT NOT NULL,
            result TEXT NOT NULL,
            detail TEXT NOT NULL
        )",
        "CREATE INDEX delivery_id ON delivery (id)",
    ],
    &[
        "CREATE TABLE outbox (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            hook TEXT NOT NULL,
            ordering TEXT NOT NULL,
            body TEXT NOT NULL,
            decided_at BIGINT NOT NULL,
            state TEXT NOT NULL,
            attempts BIGINT NOT NULL,
            ended_at BIGINT,
            why TEXT NOT NULL
        )",
        "CREATE INDEX outbox_state ON outbox (state, seq)",
        "CREATE TABLE state (
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (kind, key)
        )",
    ],
    &[
        "CREATE TABLE plan_log (
            seq INTEGER PRIMARY KEY,
            run TEXT NOT NULL,
            rollback TEXT NOT NULL,
            at BIGINT NOT NULL,
            line TEXT NOT NULL
        )",
        "CREATE INDEX plan_log_rollback ON plan_log (rollback, seq)",
    ],
    &["CREATE TABLE tick (
            release TEXT NOT NULL,
            generation BIGINT NOT NULL,
            number BIGINT NOT NULL,
            at BIGINT NOT NULL,
            evidence TEXT NOT NULL,
            state TEXT NOT NULL,
            report TEXT NOT NULL,
            mark TEXT NOT NULL,
            is_news BOOLEAN NOT NULL,
            PRIMARY KEY (release, generation, number)
        )"],
];

/// Removes what is too old or too much.
pub(super) async fn prune(connection: &mut SqliteConnection, now: Timestamp) -> sqlx::Result<()> {
    for statement in [
        "DELETE FROM decision WHERE at < $1 \
         OR seq <= (SELECT COALESCE(MAX(seq), 0) FROM decision) - $2",
        "DELETE FROM delivery WHERE at < $1 \
         OR seq <= (SELECT COALESCE(MAX(seq), 0) FROM delivery) - $2",
        "DELETE FROM plan_log WHERE at < $1 \
         OR seq <= (SELECT COALESCE(MAX(seq), 0) FROM plan_log) - $2",
    ] {
        let oldest = (now - KEPT).millis();
        sqlx::query(statement).bind(oldest).bind(ROWS_MAX).execute(&mut *connection).await?;
    }
    ticks::prune(connection).await?;
    outbox::prune(connection, now).await
}

/// Decisions from a time on, oldest first.
pub(super) async fn since(
    connection: &mut SqliteConnection,
    at: Timestamp,
) -> sqlx::Result<Vec<Record>> {
    let rows = sqlx::query("SELECT * FROM decision WHERE at >= $1 ORDER BY seq")
        .bind(at.millis())
        .fetch_all(connection)
        .await?;
    rows.iter().map(record).collect()
}

/// The last decisions, newest first.
pub(super) async fn recent(
    connection: &mut SqliteConnection,
    count: usize,
) -> sqlx::Result<Vec<Record>> {
    let rows = sqlx::query("SELECT * FROM decision ORDER BY seq DESC LIMIT $1")
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    rows.iter().map(record).collect()
}

/// The state that an earlier run left.
pub(super) async fn state(connection: &mut SqliteConnection) -> sqlx::Result<Vec<StateRow>> {
    let rows = sqlx::query("SELECT kind, key, value FROM state ORDER BY kind, key")
        .fetch_all(connection)
        .await?;
    let mut state = Vec::new();
    for row in &rows {
        let kind: String = row.try_get("kind")?;
        // Written by nobody that we know of; whoever did may come back.
        let Some(table) = StateTable::parse(&kind) else { continue };
        let (key, value) = (row.try_get("key")?, Some(row.try_get("value")?));
        state.push(StateRow { table, key, value });
    }
    Ok(state)
}

fn record(row: &SqliteRow) -> sqlx::Result<Record> {
    let word: String = row.try_get("verdict")?;
    let until: Option<i64> = row.try_get("until")?;
    let verdict = Verdict::parse(&word, until.map(Timestamp::from_millis))
        .ok_or_else(|| sqlx::Error::Decode(format!("`{word}` is no verdict").into()))?;
    Ok(Record {
        id: row.try_get("id")?,
        rollback: row.try_get("rollback")?,
        incident: row.try_get("incident")?,
        at: Timestamp::from_millis(row.try_get("at")?),
        verdict,
        report: row.try_get("report")?,
    })
}

const BROKEN: &str = "the file is damaged";

/// Whether the file itself is at fault: SQLITE_CORRUPT or SQLITE_NOTADB, or a failed check.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().and_then(|code| code.parse::<u32>().ok());
            // The lower byte is the primary code, the others refine it.
            matches!(code.map(|code| code & 0xff), Some(11 | 26))
        }
        sqlx::Error::Decode(error) => error.to_string() == BROKEN,
        _ => false,
    }
}

/// Moves a file and its log out of the way; neither is ever removed.
fn set_aside(path: &Path, now: Timestamp) -> Result<PathBuf, JournalError> {
    let stamp = now.rfc3339().replace(':', "");
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let aside = beside(&format!(".corrupt-{stamp}"));
    for suffix in ["", "-wal", "-shm"] {
        let from = beside(suffix);
        let to = beside(&format!(".corrupt-{stamp}{suffix}"));
        match std::fs::rename(&from, to) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(JournalError::SetAside { path: from, source }),
        }
    }
    Ok(aside)
}
