//! A rollback without a service: from the configuration alone, on record where there is a journal
//! that nobody else holds.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};

use super::load::Loaded;
use super::plans;
use crate::clock::Clock;
use crate::executor::Executor;
use crate::journal::{Batch, DeliveryRecord, Journal};
use crate::release::{LogEntry, RunEnd, What};
use crate::telemetry::Telemetry;

/// As long as a rollback of the service, this one waits for a disk.
const RECORD_TIMEOUT: Duration = Duration::from_millis(500);

/// Carries the plan of a rollback out and says what happens. It waits for no disk for more than half
/// a second at its begin, and for none at its end but to write what happened.
pub async fn roll_back_offline(
    loaded: Loaded,
    name: &str,
    storage: &Path,
    clock: Clock,
    say: impl Fn(&LogEntry),
) -> anyhow::Result<RunEnd> {
    let config = Arc::new(loaded.config);
    let rollback = config.rollbacks.iter().find(|rollback| rollback.name == name);
    let names: Vec<&str> = config.rollbacks.iter().map(|entry| entry.name.as_str()).collect();
    let rollback = rollback
        .with_context(|| format!("no rollback has the name `{name}`; there are: {names:?}"))?;
    let delivery = plans::by_hand(rollback, "an operator, offline", clock.now());
    let journal = journal(storage, clock).await;
    if let Some(journal) = &journal {
        let notices = vec![delivery.clone()];
        let written = journal.write(Batch { notices, ..Batch::default() });
        if !matches!(tokio::time::timeout(RECORD_TIMEOUT, written).await, Ok(Ok(()))) {
            tracing::warn!("not on record, and carried out all the same");
        }
    }
    let (_current, shown) = watch::channel(Arc::clone(&config));
    let (noted, mut entries) = mpsc::channel(plans::ENTRIES_MAX);
    let executor = Executor::spawn(
        plans::planned(&config, &[], clock.now()),
        BTreeMap::new(),
        plans::reach(shown, clock),
        noted,
        clock,
        Telemetry::new(),
    );
    anyhow::ensure!(
        executor.is_planned(&delivery),
        "rollback `{name}` has no `steps`: give it some, or call its `webhook` by hand"
    );
    let (hook, id) = (delivery.hook.clone(), delivery.id.clone());
    executor.send(delivery);
    let mut log = Vec::new();
    let mut ended = None;
    while let Some(entry) = entries.recv().await {
        say(&entry);
        let what = entry.what.clone();
        log.push(entry);
        if let What::Ended { end, why, .. } = what {
            ended = Some((end, why));
            break;
        }
    }
    let (end, why) = ended.context("the executor stopped before the end")?;
    if let Some(journal) = journal {
        let result = if end.is_good() { "delivered" } else { "failed" }.to_owned();
        let record = DeliveryRecord { hook, id, at: clock.now(), attempts: 1, result, detail: why };
        drop(journal.write(Batch { endings: vec![record], log, ..Batch::default() }));
        journal.close().await;
    }
    Ok(end)
}

/// The journal, unless it cannot be had at once: a service that hangs may hold it, or the disk is
/// full.
async fn journal(storage: &Path, clock: Clock) -> Option<Journal> {
    match tokio::time::timeout(RECORD_TIMEOUT, Journal::open(storage, clock)).await {
        Ok(Ok(journal)) => Some(journal),
        Ok(Err(error)) => {
            tracing::warn!(%error, "no journal: nothing of this is on record but what is printed");
            None
        }
        Err(_) => {
            tracing::warn!("the disk hangs: nothing of this is on record but what is printed");
            None
        }
    }
}
