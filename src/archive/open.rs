//! The start: everything is read, and what is torn or damaged is repaired.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use super::error::ArchiveError;
use super::files::{Files, Name};
use super::frame::{HEADER_LENGTH, Header, Kind, VERSION, frame_at, has_frame_behind, read_header};
use super::log::State;
use super::table::{self, Entry, Table};
use crate::model::{Labels, Timestamp};
use crate::series::{Chunk, Digest, Packer, Restoring, Settings, Store, Watch};

/// What the start found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many files were read.
    pub files: usize,
    /// Logs whose last record ended early, and how many bytes were cut off.
    pub torn: Vec<(PathBuf, usize)>,
    /// Where damaged files lie now.
    pub set_aside: Vec<PathBuf>,
    /// Files that could not be read or repaired.
    pub failed: usize,
    /// Samples that had no room, or made room for what was written later.
    pub left_out: u64,
    /// Samples that a clock wrote that was ahead.
    pub from_future: u64,
}

/// The archive's files as they are taken up.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) report: Report,
    /// The log that can be gone on with.
    pub(super) tail: Option<Tail>,
    /// The number of the next log.
    pub(super) next: u64,
    /// When the last sample of each file of chunks or digests is.
    pub(super) ends: BTreeMap<Name, Timestamp>,
}

/// The end of the last log.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) number: u64,
    pub(super) length: usize,
    pub(super) state: State,
    pub(super) started: Timestamp,
}

/// Reads all files and makes a store of them.
pub(super) fn open(
    files: &Files,
    settings: Settings,
    watches: Vec<Watch>,
    now: Timestamp,
) -> Result<Opened, ArchiveError> {
    let names = files.list().unwrap_or_else(|error| {
        tracing::error!(%error, "the samples on disk cannot be read; the history is empty");
        Vec::new()
    });
    refuse_newer(files, &names)?;
    let next = names.last().map_or(1, |name| name.number + 1);
    let reach = watches.iter().map(|watch| watch.reach).max().unwrap_or_default();
    let kept_from = now - settings.retention.max(reach);
    let restoring = Restoring::new(settings, watches, now);
    let mut reader = Reader {
        files,
        now,
        kept_from,
        restoring,
        report: Report::default(),
        ends: BTreeMap::new(),
    };
    let mut tail = None;
    let (digests, others): (Vec<Name>, _) =
        names.into_iter().partition(|name| name.kind == Kind::Digests);
    for name in digests.into_iter().chain(others) {
        tail = reader.take(name);
    }
    let Reader { restoring, mut report, ends, .. } = reader;
    let restored = restoring.finish();
    report.left_out = restored.left_out;
    report.from_future = restored.from_future;
    if report.left_out > 0 || report.from_future > 0 {
        tracing::warn!(
            left_out = report.left_out,
            from_future = report.from_future,
            "some samples on disk are not taken up: written while the clock was set otherwise, or \
             more than there may be"
        );
        // In a log, time must not go back.
        tail = None;
    }
    Ok(Opened { store: restored.store, report, tail, next, ends })
}

/// Before anything is touched: a later program may have changed what files mean together.
pub(super) fn refuse_newer(files: &Files, names: &[Name]) -> Result<(), ArchiveError> {
    for name in names {
        let path = files.path(*name);
        let mut head = Vec::new();
        let is_read = fs::File::open(&path)
            .and_then(|file| io::copy(&mut io::Read::take(file, HEADER_LENGTH as u64), &mut head));
        if is_read.is_ok()
            && let Header::Newer(found) = read_header(name.kind, &head)
        {
            return Err(ArchiveError::Newer { path, found, known: VERSION });
        }
    }
    Ok(())
}

struct Reader<'a> {
    files: &'a Files,
    now: Timestamp,
    kept_from: Timestamp,
    restoring: Restoring,
    report: Report,
    ends: BTreeMap<Name, Timestamp>,
}

impl Reader<'_> {
    /// Takes up a file. Returns its end where it is a log to go on with.
    fn take(&mut self, name: Name) -> Option<Tail> {
        let path = self.files.path(name);
        let file = match fs::read(&path) {
            Ok(file) => file,
            // Its chunks were sound: see below.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                self.report.failed += 1;
                tracing::error!(%error, path = %path.display(), "samples cannot be read");
                return None;
            }
        };
        self.report.files += 1;
        match name.kind {
            Kind::Digests => {
                let take = |restoring: &mut Restoring, labels: &Labels, digests| {
                    restoring.add_past(labels, digests);
                };
                self.take_table::<Digest>(name, &file, take);
                None
            }
            Kind::Chunks => {
                let take = |restoring: &mut Restoring, labels: &Labels, chunks| {
                    restoring.add(labels, chunks);
                };
                if self.take_table::<Chunk>(name, &file, take) {
                    self.remove_log_of(name);
                }
                None
            }
            Kind::Log => self.take_log(name, &file),
        }
    }

    /// Takes up a file of series. False where it was damaged.
    fn take_table<E: Entry>(
        &mut self,
        name: Name,
        file: &[u8],
        take: impl Fn(&mut Restoring, &Labels, Vec<E>),
    ) -> bool {
        let Some(content) = table::decode::<E>(file, self.kept_from) else {
            let aside = self.files.set_aside(name, self.now);
            self.is_aside(name, aside);
            return false;
        };
        self.ends.insert(name, content.last);
        for (labels, entries) in content.series {
            take(&mut self.restoring, &labels, entries);
        }
        true
    }

    /// The process may have ended between the writing of the chunks and the removal of their log.
    fn remove_log_of(&mut self, chunks: Name) {
        let log = Name { kind: Kind::Log, ..chunks };
        if self.files.path(log).exists()
            && let Err(error) = self.files.remove(log)
        {
            // Read twice, samples are the same samples still.
            tracing::warn!(%error, "a log whose samples are packed already cannot be removed");
        }
    }

    fn take_log(&mut self, name: Name, file: &[u8]) -> Option<Tail> {
        let content = read_log(file);
        for (labels, chunks) in content.packed {
            self.restoring.add(&labels, chunks);
        }
        let lost = file.len() - content.length;
        match content.end {
            End::Clean => {}
            End::Torn => {
                let path = self.files.path(name);
                if let Err(error) = self.files.cut(name, content.length) {
                    self.failed(name, &error);
                    return None;
                }
                tracing::warn!(path = %path.display(), bytes = lost, "the last record of a log ends early; it was cut off");
                self.report.torn.push((path, lost));
            }
            End::Damaged => {
                let aside = self.files.copy_aside(name, self.now);
                let is_aside = aside.is_ok();
                self.is_aside(name, aside);
                if is_aside && let Err(error) = self.files.cut(name, content.length) {
                    self.failed(name, &error);
                }
                return None;
            }
        }
        let started = content.started?;
        Some(Tail { number: name.number, length: content.length, state: content.state, started })
    }

    fn is_aside(&mut self, name: Name, aside: io::Result<PathBuf>) {
        match aside {
            Ok(aside) => {
                let aside_path = aside.display();
                tracing::error!(path = %aside_path, "samples on disk were damaged; the file was set aside");
                self.report.set_aside.push(aside);
            }
            Err(error) => self.failed(name, &error),
        }
    }

    fn failed(&mut self, name: Name, error: &io::Error) {
        self.report.failed += 1;
        let path = self.files.path(name);
        tracing::error!(%error, path = %path.display(), "damaged samples cannot be repaired or set aside");
    }
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Behind a whole record.
    Clean,
    /// Within a record that was being written.
    Torn,
    /// Before something that was once whole.
    Damaged,
}

/// What a log holds, up to where it is sound.
#[derive(Debug)]
pub(super) struct LogContent {
    pub(super) packed: Table<Chunk>,
    pub(super) state: State,
    pub(super) length: usize,
    pub(super) started: Option<Timestamp>,
    pub(super) end: End,
}

/// Reads a log.
pub(super) fn read_log(file: &[u8]) -> LogContent {
    let mut state = State::default();
    let mut packers: Vec<Packer> = Vec::new();
    let mut started = None;
    let mut length = 0;
    let end = match read_header(Kind::Log, file) {
        Header::Short => {
            if file.is_empty() {
                End::Clean
            } else {
                End::Torn
            }
        }
        Header::Newer(_) | Header::Damaged => End::Damaged,
        Header::Known => {
            length = HEADER_LENGTH;
            loop {
                let Some((record, next)) = frame_at(file, length) else {
                    break ending(file, length);
                };
                let is_read = state.read(record, |number, sample| {
                    started.get_or_insert(sample.at);
                    if packers.len() <= number {
                        packers.resize_with(number + 1, Packer::default);
                    }
                    packers[number].push(sample);
                });
                if is_read.is_none() {
                    break End::Damaged;
                }
                length = next;
            }
        }
    };
    let labels: Vec<Labels> = state.labels().cloned().collect();
    let chunks = packers.into_iter().map(Packer::finish);
    let packed = labels.into_iter().zip(chunks).filter(|(_, chunks)| !chunks.is_empty()).collect();
    LogContent { packed, state, length, started, end }
}

/// How a log ends where no sound record follows.
fn ending(file: &[u8], length: usize) -> End {
    let rest = &file[length..];
    if rest.is_empty() {
        End::Clean
    } else if rest.iter().all(|byte| *byte == 0) {
        // Room that a file system gave before a power cut kept the bytes from it.
        End::Torn
    } else if is_whole(rest) || has_frame_behind(file, length) {
        End::Damaged
    } else {
        End::Torn
    }
}

/// Whether a record is as long as it says.
fn is_whole(rest: &[u8]) -> bool {
    let length = rest.first_chunk::<4>().map(|length| u32::from_le_bytes(*length) as usize);
    length.is_some_and(|length| length.saturating_add(8) <= rest.len())
}
