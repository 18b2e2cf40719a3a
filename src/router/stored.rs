//! The table on disk: what a start goes by before anybody says anything else.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::routing::{Table, TableError};
use crate::telemetry::Telemetry;

const NAME: &str = "routing-table.json";
/// A thousand routes are some hundred kilobytes.
const BYTES_MAX: u64 = 4 << 20;

/// Why a stored table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoredError {
    /// The file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no table.
    #[error("`{}` holds no table", path.display())]
    NoTable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: TableError,
    },
}

/// Reads the table that was stored last, if one was; this blocks.
pub fn stored(directory: &Path) -> Result<Option<Table>, StoredError> {
    let path = directory.join(NAME);
    let text = match read(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(StoredError::Unreadable { path, source }),
    };
    match Table::parse(&text) {
        Ok(table) => Ok(Some(table)),
        Err(source) => Err(StoredError::NoTable { path, source }),
    }
}

/// Reads a text of bounded size; this blocks.
pub(super) fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Stores each new table until nobody makes one any more. Requests do not wait for it.
pub(super) async fn keep(
    mut tables: watch::Receiver<Arc<Table>>,
    directory: PathBuf,
    telemetry: Telemetry,
) {
    loop {
        let table = Arc::clone(&tables.borrow_and_update());
        telemetry.routed_by(&table);
        let directory = directory.clone();
        let version = table.version();
        let written =
            tokio::task::spawn_blocking(move || put(&directory, NAME, table.to_json().as_bytes()))
                .await;
        match written {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(%error, version, "the routing table is not stored");
                telemetry.table_not_stored();
            }
            Err(error) => tracing::error!(%error, version, "the routing table is not stored"),
        }
        if tables.changed().await.is_err() {
            return;
        }
    }
}

/// Whole or not at all: a file beside it, which takes its place once it is on disk. Routers that follow
/// may share a directory, so the file is of this process.
pub(super) fn put(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let beside = directory.join(format!("{name}.new-{}", std::process::id()));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, directory.join(name))?;
    File::open(directory)?.sync_all()
}
