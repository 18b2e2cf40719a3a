//! The journal on a real disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::*;
use crate::clock::Clock;
use crate::model::{Labels, StateRow, StateTable, Timestamp};
use crate::notice::{Alert, Delivery, HookId, LetterState, Sending};
use crate::release::{Decision, Health, Report, Verdict};

/// A directory that goes when it is no longer needed.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-journal-{}-{number}", std::process::id());
        // Not made here: the journal makes it.
        Self(std::env::temp_dir().join(name).join("data"))
    }

    async fn open(&self) -> Result<Journal, JournalError> {
        Journal::open(&self.0, Clock::start()).await
    }

    fn file(&self) -> PathBuf {
        self.0.join("bellwether.db")
    }

    /// The file, past the journal.
    async fn raw(&self) -> SqliteConnection {
        SqliteConnectOptions::new().filename(self.file()).connect().await.unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if let Some(parent) = self.0.parent() {
            let _may_be_gone = std::fs::remove_dir_all(parent);
        }
    }
}

fn decision(incident: &str, at: Timestamp, verdict: Verdict) -> Decision {
    let id = format!("rollback_{incident}");
    let delivery = (verdict == Verdict::Fired).then(|| Delivery {
        hook: HookId::rollback("gpt-next"),
        id: id.clone(),
        order: incident.to_owned(),
        body: Arc::from(r#"{"type":"rollback"}"#),
        decided_at: at,
        sending: Sending::Real,
    });
    Decision {
        id,
        rollback: "gpt-next".to_owned(),
        incident: incident.to_owned(),
        at,
        verdict,
        alert: Alert {
            labels: Labels::from_pairs([("alertname", "ErrorRatio")]),
            annotations: Labels::empty(),
            is_firing: true,
            starts_at: at,
            ends_at: None,
            value: 1.0,
            generator_url: String::new(),
            incident: incident.to_owned(),
        },
        report: Report {
            why: "it fires".to_owned(),
            stable: Health::Good,
            targets: vec![],
            doubt: None,
            in_last_day: 0,
        },
        delivery,
    }
}

fn delivered(incident: &str, result: &str) -> DeliveryRecord {
    DeliveryRecord {
        hook: HookId::rollback("gpt-next"),
        id: format!("rollback_{incident}"),
        at: Timestamp::from_millis(7),
        attempts: 1,
        result: result.to_owned(),
        detail: String::new(),
    }
}

async fn incidents(journal: &Journal, since: Timestamp) -> Vec<String> {
    let records = journal.decisions_since(since).await.unwrap();
    records.into_iter().map(|record| record.incident).collect()
}

fn now() -> Timestamp {
    Clock::start().now()
}

#[tokio::test]
async fn what_was_decided_is_there_after_a_restart() {
    let directory = Directory::new();
    let start = now();
    let later = start + std::time::Duration::from_secs(60);
    let journal = directory.open().await.unwrap();
    let until = Verdict::Cooldown { until: later };
    journal.record_decision(&decision("i1", start, Verdict::Fired)).await.unwrap();
    journal.record_decision(&decision("i2", later, until)).await.unwrap();
    journal.close().await;
    let journal = directory.open().await.unwrap();
    let records = journal.decisions_since(start).await.unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!(records[0].verdict, Verdict::Fired);
    assert_eq!(records[1].verdict, until);
    assert_eq!((records[1].at, records[1].rollback.as_str()), (later, "gpt-next"));
    assert!(records[0].report.contains(r#""why":"it fires""#), "{}", records[0].report);
    assert_eq!(incidents(&journal, later).await, ["i2"]);
    assert_eq!(journal.recent(1).await.unwrap()[0].incident, "i2");
    assert_eq!(journal.set_aside(), None);
}

#[tokio::test]
async fn a_rollback_without_an_end_on_record_is_handed_out_again() {
    let journal = Journal::in_memory(Clock::start()).await.unwrap();
    let at = now();
    for incident in ["done", "failed", "cut", "open"] {
        journal.record_decision(&decision(incident, at, Verdict::Fired)).await.unwrap();
    }
    journal.record_decision(&decision("held", at, Verdict::HeldBothBad)).await.unwrap();
    journal.record_delivery(delivered("done", "delivered")).await.unwrap();
    journal.record_delivery(delivered("failed", "failed")).await.unwrap();
    journal.record_delivery(delivered("cut", "unfinished")).await.unwrap();
    let unfinished = journal.take_up().await.unwrap();
    let ids: Vec<&str> = unfinished.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids, ["rollback_cut", "rollback_open"]);
    assert_eq!(Some(unfinished[0].clone()), decision("cut", at, Verdict::Fired).delivery);
}

#[tokio::test]
async fn a_second_process_is_refused_and_told_who_was_first() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let error = directory.open().await.unwrap_err().to_string();
    assert!(error.contains("is in use by another bellwether, process `"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    journal.close().await;
    assert!(directory.open().await.is_ok());
}

/// There a leader that crashed is followed after up to 65 s, longer than a rollback may take. Here
/// what holds the directory ends with its process: neither its file nor its name keeps anybody out,
/// and a second one is refused while the first is there.
#[tokio::test]
async fn flagger_7_no_lease_outlives_who_holds_it() {
    let directory = Directory::new();
    let first = directory.open().await.unwrap();
    first.record_decision(&decision("a", now(), Verdict::Fired)).await.unwrap();
    assert!(directory.open().await.is_err());
    // As after a crash: nothing is closed, and the lock's file with a number in it stays.
    drop(first);
    assert!(directory.0.join("lock").exists());
    let next = directory.open().await.unwrap();
    let pending = next.take_up().await.unwrap();
    assert_eq!(pending.iter().map(|each| each.id.as_str()).collect::<Vec<_>>(), ["rollback_a"]);
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_kept() {
    let directory = Directory::new();
    std::fs::create_dir_all(&directory.0).unwrap();
    std::fs::write(directory.file(), "this is no database, and long enough to be none".repeat(99))
        .unwrap();
    let journal = directory.open().await.unwrap();
    let aside = journal.set_aside().unwrap();
    assert!(std::fs::read_to_string(aside).unwrap().starts_with("this is no database"));
    journal.record_decision(&decision("i1", now(), Verdict::Fired)).await.unwrap();
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["i1"]);
}

#[tokio::test]
async fn a_file_with_a_damaged_page_is_set_aside() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    for number in 0..200 {
        let decision = decision(&format!("i{number}"), now(), Verdict::Fired);
        journal.record_decision(&decision).await.unwrap();
    }
    journal.close().await;
    let mut bytes = std::fs::read(directory.file()).unwrap();
    assert!(bytes.len() > 40_000);
    bytes[8192..36_864].fill(0xa5);
    std::fs::write(directory.file(), bytes).unwrap();
    let journal = directory.open().await.unwrap();
    assert!(journal.set_aside().is_some());
    assert!(incidents(&journal, Timestamp::MIN).await.is_empty());
}

#[tokio::test]
async fn a_later_programs_file_is_refused_and_left_alone() {
    let directory = Directory::new();
    directory.open().await.unwrap().close().await;
    let mut raw = directory.raw().await;
    sqlx::query("INSERT INTO schema_version (version) VALUES (5)").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let before = std::fs::read(directory.file()).unwrap();
    let error = directory.open().await.unwrap_err().to_string();
    assert!(error.contains("has schema `5`, but this bellwether knows up to `4`"), "{error}");
    assert_eq!(std::fs::read(directory.file()).unwrap(), before);
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later_and_in_order() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let mut raw = directory.raw().await;
    sqlx::query("ALTER TABLE decision RENAME TO away").execute(&mut raw).await.unwrap();
    for incident in ["i1", "i2"] {
        let result = journal.record_decision(&decision(incident, now(), Verdict::Fired)).await;
        assert!(matches!(result, Err(JournalError::Write(_))), "{result:?}");
    }
    sqlx::query("ALTER TABLE away RENAME TO decision").execute(&mut raw).await.unwrap();
    journal.record_decision(&decision("i3", now(), Verdict::Fired)).await.unwrap();
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["i1", "i2", "i3"]);
}

#[tokio::test]
async fn a_caller_that_gives_up_has_still_recorded() {
    let journal = Journal::in_memory(Clock::start()).await.unwrap();
    let first = decision("i1", now(), Verdict::Fired);
    assert!(journal.record_decision(&first).now_or_never().is_none());
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["i1"]);
}

#[tokio::test]
async fn what_is_older_than_ninety_days_is_forgotten() {
    let directory = Directory::new();
    let day = std::time::Duration::from_secs(24 * 3600);
    let journal = directory.open().await.unwrap();
    for (incident, age) in [("old", 91), ("kept", 89)] {
        let decision = decision(incident, now() - age * day, Verdict::Fired);
        journal.record_decision(&decision).await.unwrap();
    }
    journal.close().await;
    let journal = directory.open().await.unwrap();
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["kept"]);
}

fn notice(id: &str, order: &str) -> Delivery {
    Delivery {
        hook: HookId::webhook("team", 0),
        id: id.to_owned(),
        order: order.to_owned(),
        body: Arc::from(format!("{{\"id\":\"{id}\"}}")),
        decided_at: now(),
        sending: Sending::Real,
    }
}

fn ended(id: &str, result: &str) -> DeliveryRecord {
    let (hook, at) = (HookId::webhook("team", 0), now());
    let detail = format!("{result}: because");
    DeliveryRecord { hook, id: id.to_owned(), at, attempts: 3, result: result.to_owned(), detail }
}

fn row(key: &str, value: Option<&str>) -> StateRow {
    let (table, key) = (StateTable::Alert, key.to_owned());
    StateRow { table, key, value: value.map(str::to_owned) }
}

async fn letters(journal: &Journal, state: LetterState) -> Vec<String> {
    let letters = journal.letters(Some(state)).await.unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

#[tokio::test]
async fn a_notice_is_pending_until_its_end_is_on_record() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let notices: Vec<Delivery> =
        ["m1", "m2", "m3", "m4"].map(|id| notice(id, "g")).into_iter().collect();
    let batch = Batch { notices: notices.clone(), ..Batch::default() };
    // Nobody waits for the answer, and it is written all the same.
    drop(journal.write(batch));
    let endings = vec![ended("m1", "delivered"), ended("m2", "failed"), ended("m3", "unfinished")];
    journal.write(Batch { endings, ..Batch::default() }).await.unwrap();
    journal.close().await;
    let journal = directory.open().await.unwrap();
    assert_eq!(journal.take_up().await.unwrap(), [notices[2].clone(), notices[3].clone()]);
    let dead = journal.letters(Some(LetterState::Dead)).await.unwrap();
    assert_eq!(dead.len(), 1);
    assert_eq!((dead[0].id.as_str(), dead[0].attempts), ("m2", 3));
    assert_eq!((dead[0].why.as_str(), dead[0].bytes), ("failed: because", 11));
    // It comes back under its own id, is pending again, and can be given up again.
    let revived = journal.revive(Some(vec!["m2".to_owned(), "m4".to_owned()])).await.unwrap();
    assert_eq!(revived.len(), 1);
    assert_eq!((&revived[0].id, &revived[0].body), (&notices[1].id, &notices[1].body));
    assert_eq!(letters(&journal, LetterState::Pending).await, ["m4", "m3", "m2"]);
    journal.record_delivery(ended("m2", "dropped")).await.unwrap();
    assert_eq!(letters(&journal, LetterState::Dead).await, ["m2"]);
    assert_eq!(journal.revive(None).await.unwrap().len(), 1);
    let standing = *journal.standing().borrow();
    assert_eq!((standing.pending, standing.dead, standing.unwritten), (3, 0, 0));
}

#[tokio::test]
async fn a_rollback_of_long_ago_is_not_sent_by_itself() {
    let journal = Journal::in_memory(Clock::start()).await.unwrap();
    let minute = std::time::Duration::from_secs(60);
    for (incident, age) in [("old", 61), ("young", 59)] {
        let decision = decision(incident, now() - age * minute, Verdict::Fired);
        journal.record_decision(&decision).await.unwrap();
    }
    // A notice may come late: it tells of what is so.
    let late = Delivery { decided_at: now() - 61 * minute, ..notice("m1", "g") };
    journal.write(Batch { notices: vec![late], ..Batch::default() }).await.unwrap();
    let pending = journal.take_up().await.unwrap();
    let ids: Vec<&str> = pending.iter().map(|delivery| delivery.id.as_str()).collect();
    assert_eq!(ids, ["rollback_young", "m1"]);
    assert_eq!(letters(&journal, LetterState::Dead).await, ["rollback_old"]);
}

#[tokio::test]
async fn state_is_what_was_written_last_and_a_removed_row_is_gone() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let first = vec![row("a", Some("1")), row("b", Some("1")), row("c", Some("1"))];
    drop(journal.write(Batch { rows: first, ..Batch::default() }));
    let second = vec![row("a", Some("2")), row("b", None), row("x", None)];
    journal.write(Batch { rows: second, ..Batch::default() }).await.unwrap();
    journal.close().await;
    let state = directory.open().await.unwrap().state().await.unwrap();
    assert_eq!(state, [row("a", Some("2")), row("c", Some("1"))]);
}

#[tokio::test]
async fn what_belongs_together_is_written_whole_or_not_at_all() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let mut raw = directory.raw().await;
    sqlx::query("ALTER TABLE state RENAME TO away").execute(&mut raw).await.unwrap();
    let batch = Batch {
        notices: vec![notice("m1", "g")],
        rows: vec![row("a", Some("1"))],
        ..Batch::default()
    };
    assert!(journal.write(batch).await.is_err());
    assert_eq!(letters(&journal, LetterState::Pending).await, [""; 0]);
    let standing = *journal.standing().borrow();
    assert_eq!((standing.unwritten, standing.failures), (2, 1));
    // The newest of a row is all that waits for the disk.
    for value in ["2", "3"] {
        let rows = vec![row("a", Some(value))];
        assert!(journal.write(Batch { rows, ..Batch::default() }).await.is_err());
    }
    assert_eq!(journal.standing().borrow().unwritten, 2);
    sqlx::query("ALTER TABLE away RENAME TO state").execute(&mut raw).await.unwrap();
    journal.write(Batch { rows: vec![row("b", Some("1"))], ..Batch::default() }).await.unwrap();
    assert_eq!(letters(&journal, LetterState::Pending).await, ["m1"]);
    assert_eq!(journal.state().await.unwrap(), [row("a", Some("3")), row("b", Some("1"))]);
    assert_eq!(journal.standing().borrow().unwritten, 0);
}

#[tokio::test]
async fn a_file_that_somebody_holds_is_survived_and_caught_up_with() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let mut raw = directory.raw().await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut raw).await.unwrap();
    let error = journal.record_decision(&decision("i1", now(), Verdict::Fired)).await.unwrap_err();
    assert!(matches!(error, JournalError::Write(_)), "{error:?}");
    assert_eq!(journal.standing().borrow().unwritten, 1);
    sqlx::query("ROLLBACK").execute(&mut raw).await.unwrap();
    journal.record_decision(&decision("i2", now(), Verdict::Fired)).await.unwrap();
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["i1", "i2"]);
}

/// What another process would find on disk.
async fn count(raw: &mut SqliteConnection, table: &str) -> i64 {
    let query = format!("SELECT COUNT(*) FROM {table}");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(raw).await.unwrap()
}

// On a full disk it is `COMMIT` that fails, and the transaction stays open; a deferred foreign key
// does the same without one.
#[tokio::test]
async fn a_commit_that_fails_leaves_nothing_open_and_nothing_unwritten() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    let mut raw = directory.raw().await;
    for statement in [
        "CREATE TABLE parent (id INTEGER PRIMARY KEY)",
        "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER orphan AFTER INSERT ON outbox BEGIN INSERT INTO child VALUES (1); END",
    ] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    for id in ["m1", "m2"] {
        let batch = Batch { notices: vec![notice(id, "g")], ..Batch::default() };
        let error = journal.write(batch).await.unwrap_err();
        assert!(matches!(error, JournalError::Write(_)), "{error:?}");
    }
    assert_eq!(count(&mut raw, "outbox").await, 0);
    sqlx::query("DROP TRIGGER orphan").execute(&mut raw).await.unwrap();
    let batch = Batch { notices: vec![notice("m3", "g")], ..Batch::default() };
    journal.write(batch).await.unwrap();
    assert_eq!(count(&mut raw, "outbox").await, 3);
    assert_eq!(journal.standing().borrow().failures, 2);
}

/// The schema of version 1, as released, with a rollback whose end is not on record.
#[tokio::test]
async fn a_file_of_version_1_is_brought_up_to_date() {
    let directory = Directory::new();
    std::fs::create_dir_all(&directory.0).unwrap();
    let options = SqliteConnectOptions::new().filename(directory.file()).create_if_missing(true);
    let mut raw = options.connect().await.unwrap();
    for statement in [
        "CREATE TABLE schema_version (version BIGINT NOT NULL)",
        "INSERT INTO schema_version (version) VALUES (1)",
        "CREATE TABLE decision (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, rollback TEXT NOT NULL, \
         incident TEXT NOT NULL, at BIGINT NOT NULL, verdict TEXT NOT NULL, until BIGINT, \
         report TEXT NOT NULL, body TEXT)",
        "CREATE INDEX decision_at ON decision (at)",
        "CREATE TABLE delivery (seq INTEGER PRIMARY KEY, hook TEXT NOT NULL, id TEXT NOT NULL, \
         at BIGINT NOT NULL, attempts BIGINT NOT NULL, result TEXT NOT NULL, detail TEXT NOT NULL)",
        "CREATE INDEX delivery_id ON delivery (id)",
        "INSERT INTO delivery (hook, id, at, attempts, result, detail) \
         VALUES ('rollback/gpt-next', 'rollback_done', 1, 1, 'delivered', '')",
    ] {
        sqlx::query(statement).execute(&mut raw).await.unwrap();
    }
    for incident in ["done", "open"] {
        sqlx::query(
            "INSERT INTO decision (id, rollback, incident, at, verdict, report, body) \
             VALUES ($1, 'gpt-next', $2, $3, 'fired', '{}', '{\"type\":\"rollback\"}')",
        )
        .bind(format!("rollback_{incident}"))
        .bind(incident)
        .bind(now().millis())
        .execute(&mut raw)
        .await
        .unwrap();
    }
    raw.close().await.unwrap();
    let journal = directory.open().await.unwrap();
    assert_eq!(incidents(&journal, Timestamp::MIN).await, ["done", "open"]);
    let pending = journal.take_up().await.unwrap();
    assert_eq!(pending.len(), 1);
    let expected = decision("open", pending[0].decided_at, Verdict::Fired).delivery;
    assert_eq!(Some(pending[0].clone()), expected);
    journal.close().await;
    // Once is enough.
    assert_eq!(directory.open().await.unwrap().take_up().await.unwrap().len(), 1);
}

fn tick(generation: u64, number: u64, is_news: bool) -> Arc<crate::release::Tick> {
    Arc::new(crate::release::Tick {
        release: "next".to_owned(),
        generation,
        number,
        at_ms: 1_000_000 * i64::try_from(generation).unwrap_or(9) + 7,
        evidence: "{}".to_owned(),
        state: "running".to_owned(),
        report: "{}".to_owned(),
        mark: "m".to_owned(),
        is_news,
    })
}

#[tokio::test]
async fn steps_of_a_release_come_back_in_order_and_old_generations_go() {
    let directory = Directory::new();
    let journal = directory.open().await.unwrap();
    for generation in [1, 2, 3, 4, 5, u64::MAX] {
        let ticks = (1..=3).map(|number| tick(generation, number, number == 2)).collect();
        journal.write(Batch { ticks, ..Batch::default() }).await.unwrap();
    }
    // One that comes again, as after a disk that hung, is the same one.
    let again = Batch { ticks: vec![tick(u64::MAX, 3, true)], ..Batch::default() };
    journal.write(again).await.unwrap();
    let name = || "next".to_owned();
    let numbers = |ticks: Vec<crate::release::Tick>| -> Vec<(u64, u64)> {
        ticks.iter().map(|tick| (tick.generation, tick.number)).collect()
    };
    let last = vec![(u64::MAX, 1), (u64::MAX, 2), (u64::MAX, 3)];
    assert_eq!(numbers(journal.ticks(name(), None).await.unwrap()), last);
    assert_eq!(journal.last_ticks().await.unwrap().len(), 1);
    assert_eq!(numbers(journal.ticks(name(), Some(2)).await.unwrap()), [(2, 1), (2, 2), (2, 3)]);
    let news = numbers(journal.news(name(), 2).await.unwrap());
    assert_eq!(news, [(5, 2), (u64::MAX, 2)].map(|one| one).to_vec());
    journal.close().await;
    // A start removes all but the last five generations.
    let journal = directory.open().await.unwrap();
    assert!(journal.ticks(name(), Some(1)).await.unwrap().is_empty());
    assert_eq!(journal.ticks(name(), Some(2)).await.unwrap().len(), 3);
}
