//! The journal on a real disk.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::FutureExt as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::*;
use crate::clock::Clock;
use crate::model::{Labels, Timestamp};
use crate::notice::{Alert, Delivery, HookId, Sending};
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
    let unfinished = journal.unfinished(at).await.unwrap();
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
    sqlx::query("INSERT INTO schema_version (version) VALUES (2)").execute(&mut raw).await.unwrap();
    raw.close().await.unwrap();
    let before = std::fs::read(directory.file()).unwrap();
    let error = directory.open().await.unwrap_err().to_string();
    assert!(error.contains("has schema `2`, but this bellwether knows up to `1`"), "{error}");
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
