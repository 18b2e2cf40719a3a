//! The handle, and the thread that alone writes the files.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::error::ArchiveError;
use super::files::{Files, Name};
use super::frame::Kind;
use super::open::{self, Opened, Report, read_log};
use super::output::Output;
use super::table::{self, Table};
use crate::model::{Labels, Timestamp};
use crate::series::{Chunk, Digest, Past, Settings, Store, Watch, Written, watched_reach};
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
/// A day of half hours: with more files of digests, they are joined.
const DIGEST_FILES_MAX: usize = 48;
/// Between two tries to pack logs or to remove files.
const RETRY: Duration = Duration::from_secs(60);

/// The archive of one data directory.
#[derive(Debug)]
pub struct Archive {
    batches: mpsc::Sender<Batch>,
    wishes: watch::Sender<Wishes>,
    ended: oneshot::Receiver<()>,
    report: Report,
}

/// What is to be kept.
#[derive(Clone, Debug)]
struct Wishes {
    settings: Settings,
    watches: Vec<Watch>,
}

impl Archive {
    /// Reads what is there into a store and starts the thread. This blocks, for some 0.15 s where
    /// there is a day of samples. The data directory is held by the journal's lock. Of the series that
    /// are watched, digests are kept as far as windows reach.
    pub fn open(
        storage: &Path,
        settings: Settings,
        watches: Vec<Watch>,
        now: Timestamp,
        telemetry: Telemetry,
    ) -> Result<(Self, Store), ArchiveError> {
        let files = Files::within(storage);
        let opened = open::open(&files, settings.clone(), watches.clone(), now)?;
        let Opened { store, report, tail, next, ends } = opened;
        telemetry.archive_damaged(report.torn.len() + report.set_aside.len() + report.failed);
        let output = match tail {
            Some(tail) => Output::resume(files.clone(), tail),
            None => Output::new(files.clone(), next),
        };
        let (wishes, wished) = watch::channel(Wishes { settings, watches });
        let writer = Writer {
            files,
            wished,
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
        Ok((Self { batches, wishes, ended, report }, store))
    }

    /// Where batches go. The archive ends when the last of these is gone.
    pub fn batches(&self) -> mpsc::Sender<Batch> {
        self.batches.clone()
    }

    /// From now on keeps so much, and digests of these series.
    pub fn keep(&self, settings: Settings, watches: Vec<Watch>) {
        self.wishes.send_replace(Wishes { settings, watches });
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
    wished: watch::Receiver<Wishes>,
    telemetry: Telemetry,
    output: Output,
    /// The number of the next log.
    next: u64,
    /// When the last sample of each file of chunks or digests is.
    ends: BTreeMap<Name, Timestamp>,
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

    /// How many bytes all files may take.
    fn size_max(&self) -> u64 {
        self.wished.borrow().settings.size_max_bytes
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
        let bytes_max = LOG_BYTES_MAX.min(self.size_max() / 4);
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
        if let Some((file, last)) = table::encode(&content.packed) {
            let chunks = Name { kind: Kind::Chunks, ..log };
            self.files.put(chunks, &file)?;
            self.ends.insert(chunks, last);
        }
        self.files.remove(log)
    }

    fn expire(&mut self, now: Timestamp) -> io::Result<()> {
        self.retire(now)?;
        let mut names = self.files.list()?.into_iter();
        for path in self.files.sweep(false)? {
            tracing::warn!(path = %path.display(), "a damaged file that was set aside is removed: newer ones are kept");
        }
        while self.size()? > self.size_max() {
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
            self.ends.remove(&oldest);
        }
        Ok(())
    }

    /// Puts digests in place of the chunks that are too old, and removes digests that no window
    /// reaches.
    fn retire(&mut self, now: Timestamp) -> io::Result<()> {
        let Wishes { settings, watches } = self.wished.borrow().clone();
        let reach = watches.iter().map(|watch| watch.reach).max().unwrap_or_default();
        let (kept_from, reached_from) = (now - settings.retention, now - reach);
        let ends: Vec<(Name, Timestamp)> = self.ends.iter().map(|(n, end)| (*n, *end)).collect();
        for (name, end) in ends {
            let is_over = match name.kind {
                Kind::Digests => end < reached_from,
                Kind::Chunks | Kind::Log => end < kept_from,
            };
            if !is_over {
                continue;
            }
            if name.kind == Kind::Chunks && end >= reached_from {
                self.digest(name, &watches)?;
            }
            self.files.remove(name)?;
            self.ends.remove(&name);
        }
        self.join_digests(&watches, reached_from)
    }

    /// Writes the digests of what a file of chunks holds of watched series.
    fn digest(&mut self, chunks: Name, watches: &[Watch]) -> io::Result<()> {
        let file = std::fs::read(self.files.path(chunks))?;
        // A damaged one is found, and set aside, by the next start.
        let Some(content) = table::decode::<Chunk>(&file, Timestamp::MIN) else { return Ok(()) };
        let watched = content
            .series
            .into_iter()
            .filter(|(labels, _)| !watched_reach(watches, labels).is_zero());
        let digests = watched.map(|(labels, chunks)| {
            let digests =
                chunks.iter().map(|chunk| Digest::of_all(&chunk.samples().collect::<Vec<_>>()));
            (labels, digests.filter(|digest| digest.count > 0).collect())
        });
        let digests: Table<Digest> = digests.collect();
        self.put_digests(Name { kind: Kind::Digests, ..chunks }, &digests)
    }

    fn put_digests(&mut self, name: Name, digests: &Table<Digest>) -> io::Result<()> {
        if let Some((file, last)) = table::encode(digests) {
            self.files.put(name, &file)?;
            self.ends.insert(name, last);
        }
        Ok(())
    }

    /// Makes one file of many. It takes the place of the first: where the process ends before the
    /// others are removed, what they hold is known already when they are read.
    fn join_digests(&mut self, watches: &[Watch], reached_from: Timestamp) -> io::Result<()> {
        let is_digests = |name: &&Name| name.kind == Kind::Digests;
        let names: Vec<Name> = self.ends.keys().filter(is_digests).copied().collect();
        if names.len() <= DIGEST_FILES_MAX {
            return Ok(());
        }
        let mut pasts: BTreeMap<Labels, Past> = BTreeMap::new();
        for name in &names {
            let file = std::fs::read(self.files.path(*name))?;
            let content = table::decode::<Digest>(&file, reached_from);
            for (labels, digests) in content.into_iter().flat_map(|content| content.series) {
                let reach = watched_reach(watches, &labels);
                if !reach.is_zero() {
                    let past = pasts.entry(labels).or_default();
                    let reached = digests.into_iter().filter(|run| run.last.at >= reached_from);
                    reached.for_each(|run| past.add(run, reach));
                }
            }
        }
        let joined: Table<Digest> =
            pasts.into_iter().map(|(labels, past)| (labels, past.runs().collect())).collect();
        let (first, others) = names.split_at(1);
        for name in first {
            self.put_digests(*name, &joined)?;
        }
        for name in others {
            self.files.remove(*name)?;
            self.ends.remove(name);
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
