//! The log that is being written, and what waits to be.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};

use super::files::{Files, Name};
use super::frame::{Kind, header, put_frame};
use super::log::Encoder;
use super::open::Tail;
use crate::model::Timestamp;
use crate::series::Written;

/// Records that wait for a disk that can be written, in bytes: some two hours of a few targets.
const WAITING_MAX: usize = 4 << 20;
/// Room that is kept between two writes.
const WAITING_KEPT: usize = 256 << 10;

/// A log. A record follows from all before it, so that they are written in order and each of them
/// or none from some point on; a write that failed half-way is made again from its start.
#[derive(Debug)]
pub(super) struct Output {
    files: Files,
    number: u64,
    encoder: Encoder,
    started: Option<Timestamp>,
    file: Option<File>,
    /// How many bytes are in the file, whatever a failed write left behind them.
    length: u64,
    waiting: Vec<u8>,
    waiting_samples: usize,
    is_synced: bool,
}

impl Output {
    /// A new log.
    pub(super) fn new(files: Files, number: u64) -> Self {
        Self {
            files,
            number,
            encoder: Encoder::default(),
            started: None,
            file: None,
            length: 0,
            waiting: header(Kind::Log).to_vec(),
            waiting_samples: 0,
            is_synced: true,
        }
    }

    /// Goes on with a log.
    pub(super) fn resume(files: Files, tail: Tail) -> Self {
        Self {
            encoder: Encoder::resume(tail.state),
            started: Some(tail.started),
            length: tail.length as u64,
            waiting: Vec::new(),
            ..Self::new(files, tail.number)
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// When its first sample is.
    pub(super) fn started(&self) -> Option<Timestamp> {
        self.started
    }

    pub(super) fn waiting_samples(&self) -> usize {
        self.waiting_samples
    }

    /// Takes samples to be written. False, and nothing done, where too many wait.
    pub(super) fn push(&mut self, written: &[Written]) -> bool {
        if self.waiting.len() >= WAITING_MAX {
            return false;
        }
        let Some(first) = written.first() else { return true };
        self.started.get_or_insert(first.sample.at);
        let record = self.encoder.record(written);
        put_frame(&mut self.waiting, &record);
        self.waiting_samples += written.len();
        true
    }

    /// Writes what waits, in one call.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.waiting_samples == 0 {
            return Ok(());
        }
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.file()?,
        };
        file.seek(SeekFrom::Start(self.length))?;
        file.write_all(&self.waiting)?;
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        // The first record describes every series, and those after it take a hundredth of that.
        self.waiting.shrink_to(WAITING_KEPT);
        self.waiting_samples = 0;
        self.is_synced = false;
        self.file = Some(file);
        Ok(())
    }

    /// Makes durable what was written.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if let Some(file) = self.file.as_ref().filter(|_| !self.is_synced) {
            file.sync_data()?;
            self.is_synced = true;
        }
        Ok(())
    }

    fn file(&self) -> io::Result<File> {
        let path = self.files.path(Name { number: self.number, kind: Kind::Log });
        let mut options = File::options();
        options.write(true);
        if self.length == 0 {
            self.files.make()?;
            return options.create(true).truncate(true).open(path);
        }
        let file = options.open(path)?;
        // Somebody cut it: what follows would be of no use without what stood there.
        if file.metadata()?.len() < self.length {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }
}
