//! The handle, and the task that alone touches the file.
//!
//! What waits for the task when it comes around is written in one transaction, so that a burst costs
//! one sync of the disk and not one each.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::entry::{Backlog, Batch, DeliveryRecord};
use super::lock::Lock;
use super::log;
use super::outbox;
use super::store::{self, FILE, JournalError};
use super::ticks;
use crate::clock::Clock;
use crate::model::{JournalStanding, StateRow, Timestamp};
use crate::notice::{Delivery, Letter, LetterState};
use crate::release::{Decision, LogEntry, Record, Tick};

/// Requests that wait for the task.
const REQUESTS_MAX: usize = 1024;
/// Between two tries to write what could not be written.
const RETRY: Duration = Duration::from_secs(5);
/// Between two prunings, in transactions.
const PRUNE_EVERY: u32 = 1000;

/// The journal of one data directory, which it holds locked.
#[derive(Debug)]
pub struct Journal {
    requests: mpsc::Sender<Request>,
    standing: watch::Receiver<JournalStanding>,
    task: JoinHandle<()>,
    set_aside: Option<PathBuf>,
    lock: Option<Lock>,
}

/// A question and where its answer goes.
type Answer<T> = oneshot::Sender<Result<T, JournalError>>;

#[derive(Debug)]
enum Request {
    Write(Batch, Answer<()>),
    Since(Timestamp, Answer<Vec<Record>>),
    Recent(usize, Answer<Vec<Record>>),
    State(Answer<Vec<StateRow>>),
    TakeUp(Answer<Vec<Delivery>>),
    Letters(Option<LetterState>, Answer<Vec<Letter>>),
    Revive(Option<Vec<String>>, Answer<Vec<Delivery>>),
    Log(Option<String>, usize, Answer<Vec<LogEntry>>),
    LastTicks(Answer<Vec<Vec<Tick>>>),
    Ticks(String, Option<u64>, Answer<Vec<Tick>>),
    News(String, usize, Answer<Vec<Tick>>),
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
        let (shown, standing) = watch::channel(JournalStanding::default());
        let backlog = Backlog::default();
        let writer = Writer { connection, clock, backlog, shown, written: 0, is_failing: false };
        let task = tokio::spawn(writer.run(inbox));
        Self { requests, standing, task, set_aside: None, lock: None }
    }

    /// Where the broken file lies that this journal begins anew after.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }

    /// What it holds and how it does, from now on.
    pub fn standing(&self) -> watch::Receiver<JournalStanding> {
        self.standing.clone()
    }

    /// Hands a batch over, and at once: it is written even if nobody waits for the answer. The answer
    /// comes when it is durable. On an error it is kept in memory and written as soon as that works.
    pub fn write(
        &self,
        batch: Batch,
    ) -> impl Future<Output = Result<(), JournalError>> + Send + use<> {
        let (answer, answered) = oneshot::channel();
        let handed_over = self.requests.try_send(Request::Write(batch, answer));
        async move {
            handed_over.map_err(|_| JournalError::Closed)?;
            answered.await.map_err(|_| JournalError::Closed)?
        }
    }

    /// Writes a decision down; it is durable when this returns.
    pub async fn record_decision(&self, decision: &Decision) -> Result<(), JournalError> {
        let decisions = vec![Arc::new(decision.clone())];
        self.write(Batch { decisions, ..Batch::default() }).await
    }

    /// Writes down how a delivery ended, with the same promise.
    pub async fn record_delivery(&self, record: DeliveryRecord) -> Result<(), JournalError> {
        self.write(Batch { endings: vec![record], ..Batch::default() }).await
    }

    /// Decisions from a time on, oldest first.
    pub async fn decisions_since(&self, at: Timestamp) -> Result<Vec<Record>, JournalError> {
        self.ask(|answer| Request::Since(at, answer)).await
    }

    /// The last decisions, newest first.
    pub async fn recent(&self, count: usize) -> Result<Vec<Record>, JournalError> {
        self.ask(|answer| Request::Recent(count, answer)).await
    }

    /// The state that is on disk.
    pub async fn state(&self) -> Result<Vec<StateRow>, JournalError> {
        self.ask(Request::State).await
    }

    /// What was put into the outbox and whose end is not on record: the process died in between. Sent
    /// again under the same id it does no harm. A rollback of more than an hour ago is not among it:
    /// it becomes a dead letter.
    pub async fn take_up(&self) -> Result<Vec<Delivery>, JournalError> {
        self.ask(Request::TakeUp).await
    }

    /// What is in the outbox, newest first, at most 10,000.
    pub async fn letters(&self, state: Option<LetterState>) -> Result<Vec<Letter>, JournalError> {
        self.ask(|answer| Request::Letters(state, answer)).await
    }

    /// Makes dead letters pending again, all of them or those of some ids, and hands them out.
    pub async fn revive(&self, ids: Option<Vec<String>>) -> Result<Vec<Delivery>, JournalError> {
        self.ask(|answer| Request::Revive(ids, answer)).await
    }

    /// The last lines of what plans did, of one rollback or of all, oldest first; at most 10,000.
    pub async fn log(
        &self,
        rollback: Option<String>,
        count: usize,
    ) -> Result<Vec<LogEntry>, JournalError> {
        self.ask(|answer| Request::Log(rollback, count, answer)).await
    }

    /// The steps of the last generation of each release, oldest first.
    pub async fn last_ticks(&self) -> Result<Vec<Vec<Tick>>, JournalError> {
        self.ask(Request::LastTicks).await
    }

    /// The steps of one generation of a release, of the last where none is named, oldest first.
    pub async fn ticks(
        &self,
        release: String,
        generation: Option<u64>,
    ) -> Result<Vec<Tick>, JournalError> {
        self.ask(|answer| Request::Ticks(release, generation, answer)).await
    }

    /// The last steps of a release in which anything changed, oldest first.
    pub async fn news(&self, release: String, count: usize) -> Result<Vec<Tick>, JournalError> {
        self.ask(|answer| Request::News(release, count, answer)).await
    }

    /// Writes what is left, closes the file and gives the directory back.
    pub async fn close(self) {
        drop(self.requests);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the journal's task ended in disorder");
        }
        drop(self.lock);
    }

    async fn ask<T>(&self, request: impl FnOnce(Answer<T>) -> Request) -> Result<T, JournalError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(request(answer)).await.map_err(|_| JournalError::Closed)?;
        answered.await.map_err(|_| JournalError::Closed)?
    }
}

struct Writer {
    connection: SqliteConnection,
    clock: Clock,
    backlog: Backlog,
    shown: watch::Sender<JournalStanding>,
    written: u32,
    is_failing: bool,
}

impl Writer {
    async fn run(mut self, mut inbox: mpsc::Receiver<Request>) {
        self.show(true).await;
        loop {
            let has_backlog = !self.backlog.is_empty();
            tokio::select! {
                request = inbox.recv() => match request {
                    Some(request) => self.handle(request, &mut inbox).await,
                    None => break,
                },
                () = tokio::time::sleep(RETRY), if has_backlog => {
                    let _tried_again_later = self.write().await.is_ok();
                }
            }
        }
        if !self.backlog.is_empty()
            && let Err(error) = self.write().await
        {
            let lost = self.backlog.len();
            tracing::error!(%error, lost, "the journal was closed before all was written");
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(%error, "the journal was not closed in good order");
        }
    }

    /// Answers a request; a write takes those that wait behind it along, up to the first question.
    async fn handle(&mut self, request: Request, inbox: &mut mpsc::Receiver<Request>) {
        let Request::Write(batch, answer) = request else { return self.answer(request).await };
        self.take(batch);
        let mut answers = vec![answer];
        let mut question = None;
        while let Ok(next) = inbox.try_recv() {
            match next {
                Request::Write(batch, answer) => {
                    self.take(batch);
                    answers.push(answer);
                }
                other => {
                    question = Some(other);
                    break;
                }
            }
        }
        let mut result = self.write().await.map_err(JournalError::Write);
        for answer in answers {
            let beside = if result.is_ok() { Ok(()) } else { Err(JournalError::Behind) };
            // Whoever no longer waits for an answer gets none.
            let _heard = answer.send(std::mem::replace(&mut result, beside)).is_ok();
        }
        if let Some(question) = question {
            self.answer(question).await;
        }
    }

    async fn answer(&mut self, request: Request) {
        let (connection, now) = (&mut self.connection, self.clock.now());
        let _heard = match request {
            Request::Write(batch, answer) => {
                self.take(batch);
                answer.send(self.write().await.map_err(JournalError::Write)).is_ok()
            }
            Request::Since(at, answer) => {
                answer.send(store::since(connection, at).await.map_err(JournalError::Read)).is_ok()
            }
            Request::Recent(count, answer) => {
                let records = store::recent(connection, count).await;
                answer.send(records.map_err(JournalError::Read)).is_ok()
            }
            Request::State(answer) => {
                answer.send(store::state(connection).await.map_err(JournalError::Read)).is_ok()
            }
            Request::TakeUp(answer) => {
                let pending = outbox::take_up(connection, now).await;
                self.show(true).await;
                answer.send(pending.map_err(JournalError::Read)).is_ok()
            }
            Request::Letters(state, answer) => {
                let letters = outbox::letters(connection, state).await;
                answer.send(letters.map_err(JournalError::Read)).is_ok()
            }
            Request::Log(rollback, count, answer) => {
                let lines = log::lines(connection, rollback.as_deref(), count).await;
                answer.send(lines.map_err(JournalError::Read)).is_ok()
            }
            Request::LastTicks(answer) => {
                answer.send(ticks::last(connection).await.map_err(JournalError::Read)).is_ok()
            }
            Request::Ticks(release, generation, answer) => {
                let ticks = ticks::of_generation(connection, &release, generation).await;
                answer.send(ticks.map_err(JournalError::Read)).is_ok()
            }
            Request::News(release, count, answer) => {
                let ticks = ticks::news(connection, &release, count).await;
                answer.send(ticks.map_err(JournalError::Read)).is_ok()
            }
            Request::Revive(ids, answer) => {
                let revived = outbox::revive(connection, ids.as_deref(), now).await;
                self.show(true).await;
                answer.send(revived.map_err(JournalError::Write)).is_ok()
            }
        };
    }

    fn take(&mut self, batch: Batch) {
        let lost = self.backlog.add(batch);
        if lost > 0 {
            tracing::error!(
                lost,
                "the journal could not be written for too long: entries are lost"
            );
        }
    }

    async fn write(&mut self) -> sqlx::Result<()> {
        let has_entries = self.backlog.has_entries();
        let result = self.backlog.write(&mut self.connection).await;
        match &result {
            Ok(()) => self.wrote().await,
            Err(error) => {
                let unwritten = self.backlog.len();
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        %error, unwritten,
                        "the journal cannot be written: it goes on in memory, and a restart would \
                         forget what is not written"
                    );
                }
                self.shown.send_modify(|shown| shown.failures += 1);
            }
        }
        self.show(has_entries && result.is_ok()).await;
        result
    }

    async fn wrote(&mut self) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!("the journal can be written again; what waited is on disk");
        }
        self.written += 1;
        if self.written >= PRUNE_EVERY {
            self.written = 0;
            if let Err(error) = store::prune(&mut self.connection, self.clock.now()).await {
                tracing::warn!(%error, "the journal was not pruned");
            }
        }
    }

    /// Shows how it stands; the outbox is counted anew where it may have changed.
    async fn show(&mut self, is_counted: bool) {
        let counts =
            if is_counted { outbox::counts(&mut self.connection).await.ok() } else { None };
        let unwritten = u64::try_from(self.backlog.len()).unwrap_or(u64::MAX);
        self.shown.send_if_modified(|shown| {
            let before = *shown;
            if let Some((pending, dead)) = counts {
                (shown.pending, shown.dead) = (pending, dead);
            }
            shown.unwritten = unwritten;
            *shown != before
        });
    }
}
