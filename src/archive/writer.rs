//! The handle, and the thread that alone writes the files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::chunks;
use super::error::ArchiveError;
use super::files::{Files, Name};
use super::frame::Kind;
use super::open::{self, Opened, Report, read_log};
use super::output::Output;
use crate::model::Timestamp;
use crate::series::{Settings, Store, Written};
use crate::telemetry::Telemetry;

/// What one turn of the driver stored.
pub type Batch = Vec<Written>;

/// Batches that wait for the thread: at one a second, a quarter of an hour in which a disk answers
/// nothing.
const BATCHES_MAX: usize = 1024;
/// How much time one log covers. Packing it makes whole chunks of 120 samples at 15 s.
const LOG_SPAN: Duration = Duration::from_secs(30 * 60);
/// How large one log grows: as much as a start reads in a tenth of a second.
const LOG_BYTES_MAX: u64 = 8 << 20;
/// How much a power cut may cost.
const SYNC_INTERVAL: Duration = Duration::from_secs(15);
/// Between two tries to pack logs or to remove files.
const RETRY: Duration = Duration::from_secs(60);

/// The archive of one data directory.
#[derive(Debug)]
pub struct Archive {
    batches: mpsc::Sender<Batch>,
    ended: oneshot::Receiver<()>,
    report: Report,
}

impl Archive {
    /// Reads what is there into a store and starts the thread. This blocks, for some 0.15 s where
    /// there is a day of samples. The data directory is held by the journal's lock.
    pub fn open(
        storage: &Path,
        settings: Settings,
        now: Timestamp,
        telemetry: Telemetry,
    ) -> Result<(Self, Store), ArchiveError> {
        let files = Files::within(storage);
        let Opened { store, report, tail, next, ends } = open::open(&files, settings.clone(), now)?;
        telemetry.archive_damaged(report.torn.len() + report.set_aside.len() + report.failed);
        let output = match tail {
            Some(tail) => Output::resume(files.clone(), tail),
            None => Output::new(files.clone(), next),
        };
        let writer = Writer {
            files,
            settings,
            telemetry,
            output,
            next,
            ends,
            others: 0,
            synced_at: now,
            tidy_due: Some(now),
            is_failing: false,
            is_untidy: false,
        };
        let (batches, inbox) = mpsc::channel(BATCHES_MAX);
        let (end, ended) = oneshot::channel();
        let run = move || {
            writer.run(inbox, now);
            // Whoever no longer waits needs not know.
            let _is_heard = end.send(()).is_ok();
        };
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(run);
        thread.map_err(ArchiveError::Thread)?;
        Ok((Self { batches, ended, report }, store))
    }

    /// Where batches go. The archive ends when the last of these is gone.
    pub fn batches(&self) -> mpsc::Sender<Batch> {
        self.batches.clone()
    }

    /// What the start found.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Writes what is left and closes the files.
    pub async fn close(self, deadline: Duration) {
        drop(self.batches);
        if tokio::time::timeout(deadline, self.ended).await.is_err() {
            tracing::error!("the disk does not answer; the last samples may be lost");
        }
    }
}

struct Writer {
    files: Files,
    settings: Settings,
    telemetry: Telemetry,
    output: Output,
    /// The number of the next log.
    next: u64,
    /// When the last sample of each file of chunks is.
    ends: BTreeMap<u64, Timestamp>,
    /// How many bytes all files but the log took when they were last looked at.
    others: u64,
    synced_at: Timestamp,
    /// When logs are to be packed and files to be removed.
    tidy_due: Option<Timestamp>,
    is_failing: bool,
    is_untidy: bool,
}

impl Writer {
    fn run(mut self, mut inbox: mpsc::Receiver<Batch>, now: Timestamp) {
        self.next = self.next.max(self.output.number() + 1);
        self.tidy(now);
        while let Some(batch) = inbox.blocking_recv() {
            self.take(&batch);
        }
        let result = self.output.write().and_then(|()| self.output.sync());
        self.told(result);
        if self.output.waiting_samples() > 0 {
            let lost = self.output.waiting_samples();
            tracing::error!(lost, "the last samples could not be written to disk");
        }
    }

    fn take(&mut self, batch: &[Written]) {
        let Some(now) = batch.iter().map(|written| written.sample.at).max() else { return };
        if self.is_log_over(now) {
            let result = self.output.sync();
            self.told(result);
            self.begin_log();
            self.tidy_due = Some(now);
        }
        if !self.output.push(batch) {
            self.telemetry.archive_lost(batch.len());
        }
        let result = self.output.write();
        self.told(result);
        if now.since(self.synced_at) >= SYNC_INTERVAL {
            self.synced_at = now;
            let result = self.output.sync();
            self.told(result);
        }
        // Only now: packing takes a while in which this batch should not be at stake.
        if self.tidy_due.is_some_and(|due| due <= now) {
            self.tidy(now);
        }
        self.telemetry.archive_size(self.others + self.output.length());
    }

    /// A log with records that wait is not over: they follow from those before them.
    fn is_log_over(&self, now: Timestamp) -> bool {
        let is_old = self.output.started().is_some_and(|start| now.since(start) >= LOG_SPAN);
        let bytes_max = LOG_BYTES_MAX.min(self.settings.size_max_bytes / 4);
        self.output.waiting_samples() == 0 && (is_old || self.output.length() >= bytes_max)
    }

    fn begin_log(&mut self) {
        self.output = Output::new(self.files.clone(), self.next);
        self.next += 1;
    }

    /// Logs the first of a row of failures, and its end; counts each.
    fn told(&mut self, result: io::Result<()>) {
        match result {
            Ok(()) if self.is_failing && self.output.waiting_samples() == 0 => {
                self.is_failing = false;
                tracing::info!("samples are written to disk again");
            }
            Ok(()) => {}
            Err(error) => {
                self.telemetry.archive_failed();
                if !self.is_failing {
                    self.is_failing = true;
                    tracing::error!(
                        %error,
                        "samples cannot be written to disk; they wait in memory, and everything \
                         else goes on"
                    );
                }
                if error.kind() == io::ErrorKind::NotFound && self.output.length() > 0 {
                    self.telemetry.archive_lost(self.output.waiting_samples());
                    self.begin_log();
                }
            }
        }
    }

    /// Packs the logs that are over, and removes what is too old or too much.
    fn tidy(&mut self, now: Timestamp) {
        match self.try_to_tidy(now) {
            Ok(()) => {
                self.tidy_due = None;
                self.is_untidy = false;
            }
            Err(error) => {
                self.tidy_due = Some(now + RETRY);
                self.telemetry.archive_failed();
                if !self.is_untidy {
                    self.is_untidy = true;
                    tracing::error!(%error, "old samples on disk cannot be packed or removed");
                }
            }
        }
    }

    fn try_to_tidy(&mut self, now: Timestamp) -> io::Result<()> {
        // First of all, since a full disk is what may hinder the rest.
        self.expire(now)?;
        for log in self.files.list()? {
            if log.kind == Kind::Log && log.number != self.output.number() {
                self.pack(log)?;
            }
        }
        self.expire(now)
    }

    fn pack(&mut self, log: Name) -> io::Result<()> {
        let content = read_log(&std::fs::read(self.files.path(log))?);
        if let Some((file, last)) = chunks::encode(&content.packed) {
            self.files.put(Name { kind: Kind::Chunks, ..log }, &file)?;
            self.ends.insert(log.number, last);
        }
        self.files.remove(log)
    }

    fn expire(&mut self, now: Timestamp) -> io::Result<()> {
        let kept_from = now - self.settings.retention;
        for (number, _) in self.ends.extract_if(.., |_, last| *last < kept_from) {
            self.files.remove(Name { number, kind: Kind::Chunks })?;
        }
        let mut names = self.files.list()?.into_iter();
        for path in self.files.sweep(false)? {
            tracing::warn!(path = %path.display(), "a damaged file that was set aside is removed: newer ones are kept");
        }
        while self.size()? > self.settings.size_max_bytes {
            let swept = self.files.sweep(true)?;
            for path in &swept {
                tracing::warn!(path = %path.display(), "a damaged file that was set aside is removed: room is short");
            }
            if !swept.is_empty() {
                continue;
            }
            let Some(oldest) = names.next() else { break };
            if oldest.number == self.output.number() {
                break;
            }
            self.files.remove(oldest)?;
            self.ends.remove(&oldest.number);
        }
        Ok(())
    }

    /// All files. The log grows on; what is measured here is the rest.
    fn size(&mut self) -> io::Result<u64> {
        let size = self.files.size()?;
        self.others = size.saturating_sub(self.output.length());
        Ok(size)
    }
}
