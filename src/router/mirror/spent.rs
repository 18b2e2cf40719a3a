//! What copies spent, kept over restarts: a month that began anew at each would be no limit.
//!
//! A file of the router's own, since a router that only follows keeps no journal.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use super::super::crew::Crew;
use super::super::stored;
use crate::probe::SpentSoFar;

const NAME: &str = "mirror-spending.json";
/// A `kill -9` forgets at most what was spent in this time.
const PERIOD: Duration = Duration::from_secs(30);

type Spent = BTreeMap<String, SpentSoFar>;

/// Takes up what was spent before, and writes it down from time to time.
pub(in super::super) async fn keep(crew: watch::Receiver<Arc<Crew>>, directory: PathBuf) {
    let from = directory.clone();
    let before = tokio::task::spawn_blocking(move || read(&from)).await;
    match before {
        Ok(Ok(before)) => {
            let crew = Arc::clone(&crew.borrow());
            for (route, mirroring) in crew.mirrorings() {
                before.get(route.as_str()).iter().for_each(|spent| mirroring.resume(spent));
            }
        }
        Ok(Err(error)) => {
            tracing::error!(%error, "what copies spent cannot be read: counted from nothing");
        }
        Err(error) => tracing::error!(%error, "what copies spent cannot be read"),
    }
    let mut written = so_far(&crew.borrow());
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let now = so_far(&crew.borrow());
        if now != written && put(&directory, now.clone()).await {
            written = now;
        }
    }
}

/// Writes down what was spent, for the last time.
pub(in super::super) async fn write_down(crew: &Crew, directory: &Path) {
    let now = so_far(crew);
    if !now.is_empty() {
        put(directory, now).await;
    }
}

fn so_far(crew: &Crew) -> Spent {
    let each = crew.mirrorings();
    each.map(|(route, mirroring)| (route.to_string(), mirroring.so_far())).collect()
}

/// Whether it is on disk.
async fn put(directory: &Path, spent: Spent) -> bool {
    let directory = directory.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let text = serde_json::to_string(&spent).expect("numbers always serialize");
        stored::put(&directory, NAME, text.as_bytes())
    });
    match written.await.map_err(io::Error::other).and_then(|written| written) {
        Ok(()) => true,
        Err(error) => {
            tracing::error!(%error, "what copies spent is not written down");
            false
        }
    }
}

fn read(directory: &Path) -> io::Result<Spent> {
    match stored::read(&directory.join(NAME)) {
        Ok(text) => serde_json::from_str(&text).map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Spent::new()),
        Err(error) => Err(error),
    }
}
