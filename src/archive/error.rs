//! Why the samples can't be used.

use std::path::PathBuf;

/// Why there is no archive. Everything else that is amiss with its files is repaired or set aside.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file is a later program's.
    #[error(
        "the samples in `{}` have version `{found}`, but this bellwether knows up to `{known}`: \
         run the newer one, or give it another `storage.path`",
        path.display()
    )]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The last version that can be read.
        known: u32,
    },
    /// There is no directory of samples, or nothing in it.
    #[error(
        "there are no samples in `{}`: name the directory that was `--storage.path` of the run",
        .0.display()
    )]
    Absent(PathBuf),
    /// A file or the directory can't be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The thread that writes can't be started.
    #[error("the thread that writes samples cannot be started")]
    Thread(#[source] std::io::Error),
}
