//! The listener: accepts, serves, and stops.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::connection::{Connection, Cut};
use super::draws::Draws;
use super::exchange::answer;
use super::{Behavior, Injection, Script, Stats};
use crate::clock::Clock;

/// Beyond these, a connection waits in the listener's backlog.
const CONNECTIONS_MAX: usize = 1024;
/// How long a kept connection may wait for the next request: longer than any cadence of probes.
const IDLE_MAX: Duration = Duration::from_secs(300);
/// How long a stop waits for tasks that were told to end.
const STOP_DEADLINE: Duration = Duration::from_secs(2);
/// The pause after a failed accept; without it, a process out of descriptors would spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A provider that is not there: a listener and a script.
#[derive(Debug)]
pub struct Simulator {
    stage: Arc<Stage>,
    address: SocketAddr,
    stopping: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Serves on a listener until it is stopped or dropped. The same seed and the same order of
    /// questions give the same faults and times.
    pub async fn spawn(listener: TcpListener, script: Script, seed: u64) -> Self {
        let address = listener.local_addr().expect("a bound listener has an address");
        let stage = Arc::new(Stage::new(address.port(), script, seed));
        let (stopping, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, Arc::clone(&stage), stopped));
        Self { stage, address, stopping, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a provider's `base_url` is set to.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Plays another script from its beginning; an injected fault ends. Answers under way go on.
    pub fn set(&self, script: Script) {
        self.stage.set(script);
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        self.stage.stats()
    }

    /// Ends all connections, wherever they stand, and joins their tasks.
    pub async fn stop(self) {
        // An error says that the task is gone already.
        let _gone = self.stopping.send(());
        if timeout(STOP_DEADLINE, self.task).await.is_err() {
            warn!(address = %self.address, "the simulator did not stop in time");
        }
    }
}

/// The other end of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub address: SocketAddr,
    pub cut: Cut,
}

/// What all connections share.
pub(super) struct Stage {
    pub clock: Clock,
    /// The port, which tells the responses of several simulators apart.
    pub home: u16,
    seed: u64,
    /// A lock and no channel: every question reads and counts at once, and holds it for microseconds.
    state: Mutex<State>,
}

/// The script, where it stands, and the counts.
pub(super) struct State {
    pub script: Script,
    begun: Instant,
    /// A fault that was asked for by hand; it replaces those of the script.
    pub injected: Option<Injection>,
    pub stats: Stats,
}

impl Stage {
    fn new(home: u16, script: Script, seed: u64) -> Self {
        let stats = Stats::default();
        let state = State { script, begun: Instant::now(), injected: None, stats };
        Self { clock: Clock::start(), home, seed, state: Mutex::new(state) }
    }

    /// Reads or changes the state.
    pub fn with<T>(&self, action: impl FnOnce(&mut State) -> T) -> T {
        // A panic elsewhere leaves at worst a count too few.
        action(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Plays another script from its beginning.
    pub fn set(&self, script: Script) {
        self.with(|state| {
            state.script = script;
            state.begun = Instant::now();
            state.injected = None;
        });
    }

    /// The counts.
    pub fn stats(&self) -> Stats {
        self.with(|state| state.stats.clone())
    }

    /// The numbers for the question of this number.
    pub fn draws(&self, number: u64) -> Draws {
        Draws::of(self.seed, number)
    }
}

impl State {
    /// What holds now.
    pub fn behavior(&self) -> Behavior {
        let mut behavior = self.script.behavior(self.begun.elapsed());
        if let Some(injection) = self.injected {
            behavior.faults = vec![injection];
        }
        behavior
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Stage").field("seed", &self.seed).finish_non_exhaustive()
    }
}

async fn serve(listener: TcpListener, stage: Arc<Stage>, mut stopped: oneshot::Receiver<()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        tokio::select! {
            // Sent or dropped: both mean stop.
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            (place, accepted) = accepted => match accepted {
                Ok((stream, address)) => {
                    let stage = Arc::clone(&stage);
                    connections.spawn(async move {
                        converse(stream, address, &stage).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    warn!(%error, "the simulator cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    connections.shutdown().await;
}

async fn converse(stream: TcpStream, address: SocketAddr, stage: &Arc<Stage>) {
    // Each token must leave at once; where this fails it only leaves later.
    let _best_effort = stream.set_nodelay(true);
    let (connection, cut) = Connection::new(stream);
    let peer = Peer { address, cut };
    let service = service_fn(|request| answer(stage, &peer, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_MAX)
        .serve_connection(TokioIo::new(connection), service)
        .await;
    if let Err(error) = served {
        debug!(%error, %address, "a simulated conversation broke off");
    }
}
