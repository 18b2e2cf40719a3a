//! The one task that writes the journal: decisions first, then what became of deliveries.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::engine::Happening;
use crate::journal::{DeliveryRecord, Journal};
use crate::notifier::{Ending, Report};
use crate::release::Decision;

/// How far back the journal is read at the start: a cap counts a day, a cooldown may be longer.
pub(super) const REMEMBERED: Duration = Duration::from_secs(14 * 24 * 3600);

/// A rollback that was decided within this time and whose end is unknown is sent again at the start.
pub(super) const RESUMED: Duration = Duration::from_secs(3600);

/// Writes until both sides are gone.
pub(super) async fn keep(
    journal: Journal,
    mut decisions: mpsc::Receiver<(Arc<Decision>, oneshot::Sender<bool>)>,
    mut reports: mpsc::Receiver<Report>,
    told: mpsc::Sender<Happening>,
) {
    loop {
        tokio::select! {
            biased;
            Some((decision, answer)) = decisions.recv() => {
                let written = journal.record_decision(&decision).await;
                if let Err(error) = &written {
                    tracing::error!(%error, decision = decision.id, "decision not written");
                }
                // The driver waits for a bounded time only.
                let _is_awaited = answer.send(written.is_ok()).is_ok();
            }
            Some(report) = reports.recv() => {
                if let Err(error) = journal.record_delivery(record(&report)).await {
                    tracing::error!(%error, id = report.id, "delivery not written");
                }
                // A driver that stopped needs no news.
                let _is_heard = told.try_send(happening(report)).is_ok();
            }
            else => break,
        }
    }
    journal.close().await;
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
