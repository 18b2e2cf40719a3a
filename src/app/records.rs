//! The one task that owns the journal: it puts on record what the driver decided, sends notices once
//! they are in the outbox, writes down what became of deliveries, and answers for the outbox.
//!
//! A disk that hangs must not keep notices from their receivers: half a second after a batch was
//! handed to the journal, its notices go out, on record or not. The journal still writes them as soon
//! as it can.

use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::{mpsc, oneshot, watch};

use super::plans;
use super::spending::Spending;
use crate::driver::{self, Sending};
use crate::engine::{Ended, Happening};
use crate::journal::{Batch, DeliveryRecord, Journal, JournalError};
use crate::model::JournalStanding;
use crate::notice::{Delivery, HookId};
use crate::notifier::{Ending, Report};
use crate::release::{LogEntry, RunMode, What};
use crate::server::{OutboxRequest, Resent};
use crate::telemetry::Telemetry;

/// How far back the journal is read at the start: a cap counts a day, a cooldown may be longer.
pub(super) const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);
/// As long as a rollback waits for the journal, so do notices.
const RECORD_TIMEOUT: Duration = Duration::from_millis(500);
/// How often it is written down what probes spent.
const SPENDING_INTERVAL: Duration = Duration::from_secs(30);
/// Batches that wait for the disk at once; a hung one lets none wait longer than the timeout.
const WAITING_MAX: usize = 256;
/// Reports that are written down in one go.
const REPORTS_AT_ONCE: usize = 256;

/// The ends of the channels that the task reads and writes.
pub(super) struct Desk {
    /// From the driver.
    pub(super) batches: mpsc::Receiver<(driver::Batch, oneshot::Sender<bool>)>,
    /// From the notifier.
    pub(super) reports: mpsc::Receiver<Report>,
    /// From the executor: what plans did.
    pub(super) entries: mpsc::Receiver<LogEntry>,
    /// From the server.
    pub(super) questions: mpsc::Receiver<OutboxRequest>,
    /// To the notifier.
    pub(super) send: Sending,
    /// To the driver.
    pub(super) told: mpsc::Sender<Happening>,
    /// To whoever stops the service: every notice was handed to the notifier.
    pub(super) settled: oneshot::Sender<()>,
    /// To the server.
    pub(super) standing: watch::Sender<JournalStanding>,
    /// What probes spent.
    pub(super) spending: Spending,
    /// Instruments.
    pub(super) telemetry: Telemetry,
}

/// A batch on its way to the disk.
type Writing = BoxFuture<'static, (Vec<Delivery>, bool, oneshot::Sender<bool>)>;

/// Writes until driver and notifier are gone.
pub(super) async fn keep(journal: Journal, desk: Desk) {
    let Desk { mut batches, mut reports, mut entries, mut questions, send, told, settled, .. } =
        desk;
    let (shown, telemetry, mut spending) = (desk.standing, desk.telemetry, desk.spending);
    let mut count_money = tokio::time::interval(SPENDING_INTERVAL);
    let mut writing: FuturesOrdered<Writing> = FuturesOrdered::new();
    let mut standing = journal.standing();
    standing.mark_changed();
    let mut settled = Some(settled);
    let (mut has_batches, mut has_reports) = (true, true);
    let mut some = Vec::new();
    while has_batches || has_reports || !writing.is_empty() {
        let has_room = writing.len() < WAITING_MAX;
        tokio::select! {
            biased;
            Some((notices, is_written, answer)) = writing.next() => {
                notices.into_iter().for_each(&send);
                // The driver waits for decisions only, and for a bounded time.
                let _is_awaited = answer.send(is_written).is_ok();
            }
            batch = batches.recv(), if has_batches && has_room => match batch {
                Some((batch, answer)) => writing.push_back(write(&journal, batch, answer)),
                None => has_batches = false,
            },
            count = reports.recv_many(&mut some, REPORTS_AT_ONCE), if has_reports => {
                has_reports = count > 0;
                ended(&journal, &told, std::mem::take(&mut some));
            }
            Some(entry) = entries.recv() => planned(&journal, &told, entry),
            Some(question) = questions.recv() => answer(&journal, &send, question).await,
            _ = count_money.tick() => put_spending(&journal, &mut spending),
            Ok(()) = standing.changed() => {
                let now = *standing.borrow_and_update();
                telemetry.journal(&now);
                shown.send_replace(now);
            }
        }
        if !has_batches
            && writing.is_empty()
            && let Some(settled) = settled.take()
        {
            // Nobody waits where the start failed.
            let _is_stopping = settled.send(()).is_ok();
        }
    }
    while let Ok(entry) = entries.try_recv() {
        planned(&journal, &told, entry);
    }
    put_spending(&journal, &mut spending);
    journal.close().await;
}

/// Writes down what was spent since the last time; a `kill -9` forgets at most what came since.
fn put_spending(journal: &Journal, spending: &mut Spending) {
    let rows = spending.take_rows();
    if !rows.is_empty() {
        drop(journal.write(Batch { rows, ..Batch::default() }));
    }
}

fn write(journal: &Journal, batch: driver::Batch, answer: oneshot::Sender<bool>) -> Writing {
    let driver::Batch { decisions, notices, ticks, rows } = batch;
    let ids: Vec<String> = decisions.iter().map(|decision| decision.id.clone()).collect();
    let sent = notices.clone();
    let written = journal.write(Batch { decisions, notices, ticks, rows, ..Batch::default() });
    Box::pin(async move {
        let is_written = match tokio::time::timeout(RECORD_TIMEOUT, written).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                said(&error, &ids, sent.len());
                false
            }
            Err(_) => {
                tracing::error!(notices = sent.len(), "the journal takes over 500 ms");
                false
            }
        };
        (sent, is_written, answer)
    })
}

/// The journal itself says that it fails; here is said what that concerns.
fn said(error: &JournalError, decisions: &[String], notices: usize) {
    if !decisions.is_empty() || notices > 0 {
        tracing::error!(%error, ?decisions, notices, "not on record, and carried out all the same");
    }
}

/// Writes down how deliveries ended. Nobody waits for it: until it is on disk, they count as pending.
fn ended(journal: &Journal, told: &mpsc::Sender<Happening>, reports: Vec<Report>) {
    if reports.is_empty() {
        return;
    }
    let endings = reports.iter().map(record).collect();
    drop(journal.write(Batch { endings, ..Batch::default() }));
    for report in reports {
        // A driver that stopped needs no news.
        let _is_heard = told.try_send(happening(report)).is_ok();
    }
}

/// Writes down what a plan did; with its end its delivery leaves the outbox, in one transaction. One
/// that is unverified stays there as a dead letter.
fn planned(journal: &Journal, told: &mpsc::Sender<Happening>, entry: LogEntry) {
    if let What::Ended { end, why, took_ms, mark } = &entry.what {
        let ended = Happening::PlanEnded(Ended {
            rollback: entry.rollback.clone(),
            mode: entry.mode,
            id: entry.id.clone(),
            end: *end,
            took: Duration::from_millis(*took_ms),
            why: why.clone(),
            mark: mark.clone(),
        });
        if told.try_send(ended).is_err() {
            let run = &entry.run;
            tracing::error!(
                run,
                "nobody heard how a plan ended; its release counts it as unverified"
            );
        }
    }
    let mut endings = Vec::new();
    if let What::Ended { end, why, .. } = &entry.what
        && entry.mode == RunMode::Real
    {
        let hook = HookId::rollback(&entry.rollback);
        let (id, at, is_good) = (entry.id.clone(), entry.at(), end.is_good());
        let result = if is_good { "delivered" } else { "failed" }.to_owned();
        let detail = if is_good { end.as_str().to_owned() } else { why.clone() };
        let failure = (!is_good).then(|| detail.clone());
        let happening =
            Happening::Delivered { hook: hook.to_string(), id: id.clone(), at, failure };
        // A driver that stopped needs no news.
        let _is_heard = told.try_send(happening).is_ok();
        endings.push(DeliveryRecord { hook, id, at, attempts: 1, result, detail });
    }
    drop(journal.write(Batch { endings, log: vec![entry], ..Batch::default() }));
}

async fn answer(journal: &Journal, send: &Sending, question: OutboxRequest) {
    // Whoever asked may have gone away.
    let _is_heard = match question {
        OutboxRequest::Put(delivery, answer) => {
            let batch = driver::Batch { notices: vec![delivery], ..driver::Batch::default() };
            let (notices, is_written, answer) = write(journal, batch, answer).await;
            notices.into_iter().for_each(send);
            answer.send(is_written).is_ok()
        }
        OutboxRequest::Log(rollback, answer) => {
            let lines = journal.log(rollback, plans::REMEMBERED).await;
            answer.send(lines.map_err(|error| error.to_string())).is_ok()
        }
        OutboxRequest::Ticks(release, generation, answer) => {
            let ticks = journal.ticks(release, generation).await;
            answer.send(ticks.map_err(|error| error.to_string())).is_ok()
        }
        OutboxRequest::News(release, answer) => {
            let ticks = journal.news(release, plans::REMEMBERED).await;
            answer.send(ticks.map_err(|error| error.to_string())).is_ok()
        }
        OutboxRequest::List(state, answer) => {
            let letters = journal.letters(state).await;
            answer.send(letters.map_err(|error| error.to_string())).is_ok()
        }
        OutboxRequest::Resend(ids, answer) => {
            let revived = journal.revive(ids).await.map(|deliveries| {
                let resent = deliveries.iter().map(|delivery| Resent {
                    id: delivery.id.clone(),
                    hook: delivery.hook.to_string(),
                });
                let resent: Vec<Resent> = resent.collect();
                for delivery in deliveries {
                    tracing::info!(hook = %delivery.hook, id = delivery.id, "sent again on request");
                    send(delivery);
                }
                resent
            });
            answer.send(revived.map_err(|error| error.to_string())).is_ok()
        }
    };
}

fn record(report: &Report) -> DeliveryRecord {
    DeliveryRecord {
        hook: report.hook.clone(),
        id: report.id.clone(),
        at: report.at,
        attempts: report.attempts,
        result: report.ending.as_str().to_owned(),
        detail: match &report.ending {
            Ending::Rehearsed { request } => request.clone(),
            ending => ending.to_string(),
        },
    }
}

fn happening(report: Report) -> Happening {
    let failure = match &report.ending {
        Ending::Delivered { .. } | Ending::Rehearsed { .. } => None,
        Ending::Failed { .. } | Ending::Dropped | Ending::Unfinished => {
            Some(report.ending.to_string())
        }
    };
    Happening::Delivered { hook: report.hook.to_string(), id: report.id, at: report.at, failure }
}
