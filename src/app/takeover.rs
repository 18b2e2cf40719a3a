//! Taking over from the bellwether that runs: its router's socket at once, the rest when it has stopped.
//!
//! Between the two, the heir routes by the table that the other one stores, each time it stores one, and
//! stores none itself. What its requests come to waits in its queue for an engine to judge it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::downstream::{self, Claim};
use crate::journal::{Journal, JournalError, LockError};
use crate::router::stored;
use crate::routing::{Settings, Table};

/// How often the other one's table is looked for, and whether it has gone: a rollback that it decides
/// while it stops reaches our requests within this time.
const PERIOD: Duration = Duration::from_millis(100);

/// Claims the socket of the one that uses a storage, if it is the socket that we would bind.
pub(super) async fn claim(
    storage: &Path,
    listen: &str,
) -> anyhow::Result<Option<(TcpListener, Claim)>> {
    let claimed = downstream::claim(storage).await;
    let claimed = claimed.context("the router's socket cannot be taken over")?;
    let Some((listener, claim)) = claimed else { return Ok(None) };
    let address = listener.local_addr()?;
    let wanted = tokio::net::lookup_host(listen).await;
    let wanted = wanted.with_context(|| format!("`{listen}` is no address"))?;
    if !wanted.into_iter().any(|wanted| is_met(wanted, address)) {
        tracing::warn!(%address, listen, "the other router listens elsewhere: its socket is left to it");
        return Ok(None);
    }
    Ok(Some((listener, claim)))
}

/// Whoever asks for port 0 takes any.
fn is_met(wanted: SocketAddr, found: SocketAddr) -> bool {
    wanted.ip() == found.ip() && (wanted.port() == found.port() || wanted.port() == 0)
}

/// Obeys each table that another process stores, until it is told to stop.
pub(super) fn obey_stored(
    storage: &Path,
    settings: Arc<Settings>,
    table: watch::Sender<Arc<Table>>,
) -> JoinHandle<()> {
    let storage = storage.to_owned();
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(PERIOD).await;
            let directory = storage.clone();
            let read = tokio::task::spawn_blocking(move || stored(&directory)).await;
            // What cannot be read now can be read the next time, or is said by whoever comes to it.
            let Ok(Ok(Some(found))) = read else { continue };
            let found = Table::followed(&settings, &found);
            table.send_if_modified(|held| {
                let is_news = !held.routes().eq(found.routes());
                if is_news {
                    *held = Arc::new(found);
                }
                is_news
            });
        }
    })
}

/// Opens the journal as soon as nobody else has it.
pub(super) async fn journal(storage: &Path, clock: Clock) -> Result<Journal, JournalError> {
    let mut is_said = false;
    loop {
        match Journal::open(storage, clock).await {
            Err(JournalError::Lock(LockError::Taken { process, .. })) => {
                if !std::mem::replace(&mut is_said, true) {
                    tracing::info!(process, "waiting for the other bellwether to stop");
                }
                tokio::time::sleep(PERIOD).await;
            }
            opened => return opened,
        }
    }
}

/// Listens on an address as soon as nobody else does.
pub(super) async fn listen(address: &str) -> std::io::Result<TcpListener> {
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
                tokio::time::sleep(PERIOD).await;
            }
            bound => return bound,
        }
    }
}
