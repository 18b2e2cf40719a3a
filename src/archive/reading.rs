//! Looking at samples that belong to somebody else.
//!
//! A run may hold the directory and be writing at this moment. So nothing here locks, repairs, moves
//! or makes anything: a torn end is simply the end, and what is damaged is left out and said. Files
//! are read one at a time, in the order in which they were written. Digests answer for what is no longer
//! there: nothing can be played again from them, and windows that reach that far back need them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use super::error::ArchiveError;
use super::files::{Files, Name};
use super::frame::Kind;
use super::open::{End, read_log, refuse_newer};
use super::table::{self, Table};
use crate::model::Timestamp;
use crate::series::{Chunk, Digest};

/// The samples of one data directory, as they were when it was opened.
#[derive(Debug)]
pub struct Reading {
    files: Files,
    /// Each stands for a log, or for the chunks that it became.
    numbers: Vec<u64>,
    /// The files of digests.
    digests: Vec<Name>,
}

/// What one file holds.
#[derive(Debug, Default)]
pub struct Piece {
    /// Series and their chunks in time order.
    pub series: Table<Chunk>,
    /// What is missing of it.
    pub flaw: Option<Flaw>,
}

/// A damaged file, of which only the sound beginning was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw(pub PathBuf);

impl Reading {
    /// Looks what is there.
    pub fn open(storage: &Path) -> Result<Self, ArchiveError> {
        let files = Files::within(storage);
        let list = || {
            let path = storage.to_owned();
            files.list().map_err(|source| ArchiveError::Unreadable { path, source })
        };
        let names = list()?;
        refuse_newer(&files, &names)?;
        let (digests, with_samples): (Vec<Name>, Vec<Name>) =
            names.into_iter().partition(|name| name.kind == Kind::Digests);
        let numbers: BTreeSet<u64> = with_samples.iter().map(|name| name.number).collect();
        if numbers.is_empty() {
            return Err(ArchiveError::Absent(storage.to_owned()));
        }
        Ok(Self { files, numbers: numbers.into_iter().collect(), digests })
    }

    /// How many files there are to read.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is nothing to read; never so.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// What is left of samples that are no longer kept, in the order in which it was written, and the
    /// files of which it could not be read.
    pub fn digests(&self) -> Result<(Table<Digest>, Vec<Flaw>), ArchiveError> {
        let (mut series, mut flaws) = (Vec::new(), Vec::new());
        for name in &self.digests {
            let path = self.files.path(*name);
            let file = match fs::read(&path) {
                Ok(file) => file,
                // It left when all of it was too old.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(ArchiveError::Unreadable { path, source }),
            };
            match table::decode::<Digest>(&file, Timestamp::MIN) {
                Some(content) => series.extend(content.series),
                None => flaws.push(Flaw(path)),
            }
        }
        Ok((series, flaws))
    }

    /// When the first sample is and when the last; nothing where no file has any.
    pub fn span(&self) -> Result<Option<(Timestamp, Timestamp)>, ArchiveError> {
        let first = self.first_sound(0..self.len(), |chunks| {
            chunks.iter().flat_map(|(_, chunks)| chunks.first()).map(Chunk::first).min()
        })?;
        let last = self.first_sound((0..self.len()).rev(), |chunks| {
            chunks.iter().flat_map(|(_, chunks)| chunks.last()).map(Chunk::last).max()
        })?;
        Ok(first.zip(last))
    }

    fn first_sound<T>(
        &self,
        positions: impl Iterator<Item = usize>,
        read: impl Fn(&Table<Chunk>) -> Option<T>,
    ) -> Result<Option<T>, ArchiveError> {
        for position in positions {
            if let Some(found) = read(&self.piece(position)?.series) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What the file at a position holds; nothing where it has left meanwhile.
    pub fn piece(&self, position: usize) -> Result<Piece, ArchiveError> {
        let Some(number) = self.numbers.get(position).copied() else { return Ok(Piece::default()) };
        // A log leaves only after its chunks are in place, so that one of the two is found.
        for kind in [Kind::Log, Kind::Chunks] {
            let path = self.files.path(Name { number, kind });
            match fs::read(&path) {
                Ok(file) => return Ok(piece(kind, &file, path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ArchiveError::Unreadable { path, source }),
            }
        }
        Ok(Piece::default())
    }
}

fn piece(kind: Kind, file: &[u8], path: PathBuf) -> Piece {
    let (series, is_damaged) = match kind {
        Kind::Log => {
            let content = read_log(file);
            (content.packed, content.end == End::Damaged)
        }
        Kind::Chunks | Kind::Digests => match table::decode::<Chunk>(file, Timestamp::MIN) {
            Some(content) => (content.series, false),
            None => (Vec::new(), true),
        },
    };
    Piece { series, flaw: is_damaged.then_some(Flaw(path)) }
}
