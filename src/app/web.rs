//! The web configuration file: read at the start, at a reload, and within a second of a change.
//!
//! Its certificates are watched with it. A change that can't be read is logged once, and what held
//! before goes on: a half-written file must lock nobody out, and open nothing either.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::load::LoadError;
use crate::access::{PemSource, Web};
use crate::config;
use crate::downstream::{Door, Protocols};

// What the YAML reader takes at most, and one byte more, so that it can say so.
const BYTES_MAX: u64 = (4 << 20) + 1;
/// Rotated certificates and withdrawn passwords count within this time.
const PERIOD: Duration = Duration::from_secs(1);

/// Reads a web configuration file and the certificates that it names; this blocks.
pub fn load_web(path: &Path) -> Result<Door, LoadError> {
    open(path, Listener::Web)
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// The server's, with everything that the format has.
    Web,
    /// The router's, of which TLS is taken: its clients have keys, and its answers are others'.
    Router,
}

fn open(path: &Path, listener: Listener) -> Result<Door, LoadError> {
    let text =
        read(path).map_err(|error| LoadError::Unreadable { path: path.to_owned(), error })?;
    let file = path.display().to_string();
    let web = match listener {
        Listener::Web => config::web_file(&file, &text),
        Listener::Router => config::router_file(&file, &text),
    };
    let protocols = match listener {
        Listener::Web => Protocols::Http1,
        Listener::Router => Protocols::Http2,
    };
    web.and_then(|web| Door::open(web, protocols)).map_err(LoadError::WebMistakes)
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(BYTES_MAX).read_to_string(&mut text)?;
    Ok(text)
}

/// Keeps the door as its file says.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    listener: Listener,
    path: Option<PathBuf>,
    door: Arc<watch::Sender<Arc<Door>>>,
    task: Option<JoinHandle<()>>,
}

impl Doorkeeper {
    /// Reads the file, if there is one, and watches it from now on.
    pub(super) async fn start(listener: Listener, path: Option<PathBuf>) -> anyhow::Result<Self> {
        let Some(path) = path else {
            let door = Arc::new(watch::channel(Arc::default()).0);
            return Ok(Self { listener, path: None, door, task: None });
        };
        let seen = Seen::of(&path, &Door::default());
        let door = load(&path, listener).await?;
        // Whatever changed since the first look is found by the first turn.
        let seen =
            Seen { files: [seen.files, Seen::of(&path, &door).files[1..].to_vec()].concat() };
        let door = Arc::new(watch::channel(Arc::new(door)).0);
        let task = tokio::spawn(keep(path.clone(), listener, seen, Arc::clone(&door)));
        Ok(Self { listener, path: Some(path), door, task: Some(task) })
    }

    /// The door from now on.
    pub(super) fn watch(&self) -> watch::Receiver<Arc<Door>> {
        self.door.subscribe()
    }

    /// Reads the file again, for a reload that takes it up with everything else or not at all.
    pub(super) async fn read(&self) -> anyhow::Result<Option<Door>> {
        match &self.path {
            Some(path) => Ok(Some(load(path, self.listener).await?)),
            None => Ok(None),
        }
    }

    /// Takes up what was read.
    pub(super) fn replace(&self, door: Option<Door>) {
        if let Some(door) = door {
            self.door.send_replace(Arc::new(door));
        }
    }

    /// Watches no longer.
    pub(super) fn stop(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

async fn load(path: &Path, listener: Listener) -> anyhow::Result<Door> {
    let path = path.to_owned();
    Ok(tokio::task::spawn_blocking(move || open(&path, listener)).await??)
}

async fn keep(
    path: PathBuf,
    listener: Listener,
    mut seen: Seen,
    sender: Arc<watch::Sender<Arc<Door>>>,
) {
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let (file, door) = (path.clone(), Arc::clone(&sender.borrow()));
        let looked = tokio::task::spawn_blocking(move || Seen::of(&file, &door)).await;
        let Ok(now) = looked else { continue };
        if now == seen {
            continue;
        }
        seen = now;
        match load(&path, listener).await {
            Ok(door) => {
                // Other certificates may be named now; what they look like is known from here on.
                let (file, named) = (path.clone(), door.clone());
                let looked = tokio::task::spawn_blocking(move || Seen::of(&file, &named)).await;
                seen = looked.unwrap_or(seen);
                sender.send_replace(Arc::new(door));
                tracing::info!(path = %path.display(), "web configuration taken up");
            }
            Err(error) => {
                tracing::error!("web configuration not taken up, the old one holds: {error:#}");
            }
        }
    }
}

/// What the files looked like: a file that is missing looks like nothing.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    files: Vec<Option<[i128; 4]>>,
}

impl Seen {
    /// The file itself first, then what it names; this blocks.
    fn of(path: &Path, door: &Door) -> Self {
        let named = named(door.web());
        Self { files: [path].into_iter().chain(named).map(look).collect() }
    }
}

fn look(path: &Path) -> Option<[i128; 4]> {
    let found = fs::metadata(path).ok()?;
    let modified = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    Some([modified, found.size().into(), found.ino().into(), found.dev().into()])
}

fn named(web: &Web) -> Vec<&Path> {
    let Some(tls) = &web.tls else { return Vec::new() };
    let each = [Some(&tls.cert), Some(&tls.key), tls.client_ca.as_ref()].into_iter().flatten();
    each.filter_map(|pem| match &pem.source {
        PemSource::File(path) => Some(path.as_path()),
        PemSource::Inline(_) => None,
    })
    .collect()
}
