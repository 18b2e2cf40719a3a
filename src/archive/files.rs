//! The directory: which files are there, and what happens to a file as a whole.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::frame::Kind;
use crate::model::Timestamp;

/// The directory's name in the data directory.
const DIRECTORY: &str = "samples";
/// Damaged files that are kept; each is for a person to look at.
const DAMAGED_MAX: usize = 4;
const DAMAGED: &str = ".damaged-";
const UNFINISHED: &str = ".unfinished";

/// A file of ours: files of one number hold the same samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) number: u64,
    pub(super) kind: Kind,
}

/// The directory of the samples.
#[derive(Clone, Debug)]
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn within(storage: &Path) -> Self {
        Self(storage.join(DIRECTORY))
    }

    pub(super) fn make(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)
    }

    pub(super) fn path(&self, name: Name) -> PathBuf {
        self.0.join(format!("{:08}.{}", name.number, name.kind.extension()))
    }

    /// The files in the order in which they were written; none where there is no directory.
    pub(super) fn list(&self) -> io::Result<Vec<Name>> {
        let mut names: Vec<Name> = self.texts()?.iter().filter_map(|text| parse(text)).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Writes a whole file: it is there with all its bytes, durably, or not at all.
    pub(super) fn put(&self, name: Name, content: &[u8]) -> io::Result<()> {
        let path = self.path(name);
        let unfinished = path.with_added_extension(UNFINISHED.trim_start_matches('.'));
        let mut file = File::create(&unfinished)?;
        file.write_all(content)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&unfinished, &path)?;
        self.sync()
    }

    /// Makes the directory's entries durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    pub(super) fn remove(&self, name: Name) -> io::Result<()> {
        match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Cuts a file off behind its sound part.
    pub(super) fn cut(&self, name: Name, length: usize) -> io::Result<()> {
        let file = File::options().write(true).open(self.path(name))?;
        file.set_len(length as u64)?;
        file.sync_all()
    }

    /// Sets a file aside, and says where it is now.
    pub(super) fn set_aside(&self, name: Name, now: Timestamp) -> io::Result<PathBuf> {
        let (path, aside) = self.aside(name, now);
        fs::rename(path, &aside)?;
        Ok(aside)
    }

    /// Sets a copy of a file aside, and says where it is.
    pub(super) fn copy_aside(&self, name: Name, now: Timestamp) -> io::Result<PathBuf> {
        let (path, aside) = self.aside(name, now);
        fs::copy(path, &aside)?;
        File::open(&aside)?.sync_all()?;
        Ok(aside)
    }

    fn aside(&self, name: Name, now: Timestamp) -> (PathBuf, PathBuf) {
        let path = self.path(name);
        let extension = format!("{}{}", DAMAGED.trim_start_matches('.'), now.millis());
        let aside = path.with_added_extension(extension);
        (path, aside)
    }

    /// Removes what a write that was cut short left behind, and of what is set aside all but the
    /// last few, or all of it. Returns what was set aside and is gone.
    pub(super) fn sweep(&self, is_room_short: bool) -> io::Result<Vec<PathBuf>> {
        let texts = self.texts()?;
        for text in texts.iter().filter(|text| text.ends_with(UNFINISHED)) {
            fs::remove_file(self.0.join(text))?;
        }
        let mut aside: Vec<&String> = texts.iter().filter(|text| text.contains(DAMAGED)).collect();
        aside.sort_unstable_by_key(|text| text.rsplit('-').next().map(str::to_owned));
        let kept = if is_room_short { 0 } else { DAMAGED_MAX };
        let gone = &aside[..aside.len().saturating_sub(kept)];
        let gone: Vec<PathBuf> = gone.iter().map(|text| self.0.join(text)).collect();
        gone.iter().try_for_each(fs::remove_file)?;
        Ok(gone)
    }

    /// How many bytes all files take.
    pub(super) fn size(&self) -> io::Result<u64> {
        let mut size = 0;
        for text in self.texts()? {
            size += fs::metadata(self.0.join(text))?.len();
        }
        Ok(size)
    }

    fn texts(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut texts = Vec::new();
        for entry in entries {
            // A name that is no text is none of ours.
            texts.extend(entry?.file_name().into_string().ok());
        }
        Ok(texts)
    }
}

fn parse(text: &str) -> Option<Name> {
    let (number, extension) = text.split_once('.')?;
    let kind = Kind::ALL.into_iter().find(|kind| kind.extension() == extension)?;
    let is_number = number.len() >= 8 && number.bytes().all(|byte| byte.is_ascii_digit());
    let number = number.parse().ok().filter(|_| is_number)?;
    Some(Name { number, kind })
}
