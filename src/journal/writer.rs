//! The handle, and the task that alone touches the file.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::entry::{DeliveryRecord, Entry};
use super::lock::Lock;
use super::store::{self, FILE, JournalError};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::notice::Delivery;
use crate::release::{Decision, Record};

/// Requests that wait for the task.
const REQUESTS_MAX: usize = 1024;
/// Rows that could not be written yet; beyond it the oldest is lost, and logged.
const BACKLOG_MAX: usize = 10_000;
/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// Between two prunings, in rows written.
const PRUNE_EVERY: u32 = 1000;

/// The journal of one data directory, which it holds locked.
#[derive(Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    task: JoinHandle<()>,
    set_aside: Option<PathBuf>,
    lock: Option<Lock>,
}

#[derive(Debug)]
enum Request {
    Write(Entry, oneshot::Sender<Result<(), JournalError>>),
    Since(Timestamp, oneshot::Sender<Result<Vec<Record>, JournalError>>),
    Recent(usize, oneshot::Sender<Result<Vec<Record>, JournalError>>),
    Unfinished(Timestamp, oneshot::Sender<Result<Vec<Delivery>, JournalError>>),
}

impl Journal {
    /// Takes a data directory, which is made if it is missing, and opens its journal. A broken file
    /// is set aside (see [`Journal::set_aside`]); one of a later program is refused.
    pub async fn open(directory: &Path, clock: Clock) -> Result<Self, JournalError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| JournalError::Directory { path: directory.to_owned(), source })?;
        let lock = Lock::take(directory)?;
        let (connection, set_aside) = store::open(&directory.join(FILE), clock.now()).await?;
        if let Some(aside) = &set_aside {
            let aside = aside.display();
            tracing::error!(%aside, "the journal was damaged; it was set aside and a new one begun");
        }
        Ok(Self { set_aside, lock: Some(lock), ..Self::of(connection, clock) })
    }

    /// Opens a journal that nobody else sees and that ends with the process.
    pub async fn in_memory(clock: Clock) -> Result<Self, JournalError> {
        Ok(Self::of(store::open_in_memory(clock.now()).await?, clock))
    }

    fn of(connection: SqliteConnection, clock: Clock) -> Self {
        let (requests, inbox) = mpsc::channel(REQUESTS_MAX);
        let writer = Writer { connection, clock, backlog: VecDeque::new(), written: 0 };
        let task = tokio::spawn(writer.run(inbox));
        Self { requests, task, set_aside: None, lock: None }
    }

    /// Where the broken file lies that this journal begins anew after.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// Writes a decision down; it is durable when this returns. On an error, or when the caller no
    /// longer waits, it is kept in memory and written as soon as that works.
    pub async fn record_decision(&self, decision: &Decision) -> Result<(), JournalError> {
        self.write(Entry::of_decision(decision)).await
    }

    /// Writes down how a delivery ended, with the same promise.
    pub async fn record_delivery(&self, record: DeliveryRecord) -> Result<(), JournalError> {
        self.write(Entry::Delivery(record)).await
    }

    /// Decisions from a time on, oldest first.
    pub async fn decisions_since(&self, at: Timestamp) -> Result<Vec<Record>, JournalError> {
        self.ask(|answer| Request::Since(at, answer)).await
    }

    /// The last decisions, newest first.
    pub async fn recent(&self, count: usize) -> Result<Vec<Record>, JournalError> {
        self.ask(|answer| Request::Recent(count, answer)).await
    }

    /// Rollbacks that were decided from a time on and whose end is not on record: the process died
    /// in between. Sent again under the same id they do no harm.
    pub async fn unfinished(&self, at: Timestamp) -> Result<Vec<Delivery>, JournalError> {
        self.ask(|answer| Request::Unfinished(at, answer)).await
    }

    /// Writes what is left, closes the file and gives the directory back.
    pub async fn close(self) {
        drop(self.requests);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the journal's task ended in disorder");
        }
        drop(self.lock);
    }

    /// Handed over without waiting, so that a caller who gives up has handed it over all the same.
    async fn write(&self, entry: Entry) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        let request = Request::Write(entry, answer);
        self.requests.try_send(request).map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }

    async fn ask<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<T, JournalError>>) -> Request,
    ) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

struct Writer {
    connection: SqliteConnection,
    clock: Clock,
    /// Oldest first.
    backlog: VecDeque<Entry>,
    written: u32,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        loop {
            let has_backlog = !self.backlog.is_empty();
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(request) => self.handle(request).await,
                    None => break,
                },
                () = tokio::time::sleep(RETRY), if has_backlog => {
                    let _tried_again_later = self.write_backlog().await.is_ok();
                }
            }
        }
        if let Err(error) = self.write_backlog().await {
            let lost = self.backlog.len();
            tracing::error!(%error, lost, "the journal was closed before all was written");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the journal was not closed in good order");
        }
    }

    async fn handle(&mut self, request: Request) {
        let connection = &mut self.connection;
        // Whoever no longer waits for an answer gets none.
        let _heard = match request {
            Request::Write(entry, answer) => {
                let result = self.write(entry).await;
                answer.send(result).is_ok()
            }
            Request::Since(at, answer) => {
                answer.send(store::since(connection, at).await.map_err(JournalError::Read)).is_ok()
            }
            Request::Recent(count, answer) => {
                let records = store::recent(connection, count).await;
                answer.send(records.map_err(JournalError::Read)).is_ok()
            }
            Request::Unfinished(at, answer) => {
                let deliveries = store::unfinished(connection, at).await;
                answer.send(deliveries.map_err(JournalError::Read)).is_ok()
            }
        };
    }

    async fn write(&mut self, entry: Entry) -> Result<(), JournalError> {
        if self.backlog.len() >= BACKLOG_MAX
            && let Some(lost) = self.backlog.pop_front()
        {
            tracing::error!(?lost, "the journal could not be written for too long");
        }
        self.backlog.push_back(entry);
        self.write_backlog().await.map_err(JournalError::Write)?;
        if self.written >= PRUNE_EVERY {
            self.written = 0;
            if let Err(error) = store::prune(&mut self.connection, self.clock.now()).await {
                tracing::warn!(%error, "the journal was not pruned");
            }
        }
        Ok(())
    }

    /// Writes in the order in which it came, and stops at the first that fails.
    async fn write_backlog(&mut self) -> sqlx::Result<()> {
        while let Some(entry) = self.backlog.front() {
            entry.write(&mut self.connection).await?;
            self.backlog.pop_front();
            self.written += 1;
        }
        Ok(())
    }
}
