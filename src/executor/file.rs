//! Replacing a file so that a reader sees the old content or the new one and nothing between, and a
//! power cut leaves one of the two.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Writes the content beside the file, syncs it, moves it over, syncs the folder and reads it back.
/// A link stays a link, and the file keeps its permissions.
pub(super) fn replace(path: &Path, content: &str) -> io::Result<()> {
    let path = if path.exists() { path.canonicalize()? } else { path.to_owned() };
    let beside = write_beside(&path, content)?;
    let moved = fs::rename(&beside, &path).and_then(|()| sync_folder(&path));
    if moved.is_err() {
        // It may have been moved already.
        let _was_there = fs::remove_file(&beside).is_ok();
    }
    moved?;
    check(&path, content)
}

/// Does all of that but the move, and removes what it wrote.
pub(super) fn rehearse(path: &Path, content: &str) -> io::Result<()> {
    let path = if path.exists() { path.canonicalize()? } else { path.to_owned() };
    let beside = write_beside(&path, content)?;
    let checked = check(&beside, content);
    fs::remove_file(&beside)?;
    checked
}

fn write_beside(path: &Path, content: &str) -> io::Result<PathBuf> {
    let mut name = OsString::from(".");
    name.push(path.file_name().ok_or_else(|| io::Error::other("the path names no file"))?);
    name.push(".bellwether");
    let beside = path.with_file_name(name);
    let written = write(path, &beside, content);
    if written.is_err() {
        let _was_there = fs::remove_file(&beside).is_ok();
    }
    written.map(|()| beside)
}

fn write(path: &Path, beside: &Path, content: &str) -> io::Result<()> {
    // What an earlier crash left may be a link that somebody else made.
    match fs::remove_file(beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(beside)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => File::open(folder)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

fn check(path: &Path, content: &str) -> io::Result<()> {
    if fs::read(path)? == content.as_bytes() {
        Ok(())
    } else {
        Err(io::Error::other("what is read back is not what was written"))
    }
}
