//! Binding, serving and stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt as _;

use super::crew::{Crew, Hall};
use super::mirror;
use super::stored;
use super::surfaces::application;
use crate::clock::Clock;
use crate::downstream;
use crate::routing::{Served, Settings, Table};
use crate::telemetry::Telemetry;

/// As many clients as keep a connection; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take for the head of a request, and how long it may keep an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
const HEAD_MAX_BYTES: usize = 64 << 10;
/// How many requests one HTTP/2 connection may have under way.
const STREAMS_MAX: u32 = 256;
/// A server that hears nothing asks whether the client is there.
const ALIVE: Duration = Duration::from_secs(20);
/// Copies between being drawn and having a task of their own; each route bounds its own.
const COPIES_MAX: usize = 1_024;
/// How long connections are still taken once a stop was asked for.
const LAST_CALL: Duration = Duration::from_millis(100);
/// What the router gets, and what it gives.
#[derive(Debug)]
pub struct Ends {
    /// The table that holds.
    pub table: watch::Receiver<Arc<Table>>,
    /// Takes what came of requests; a full queue is counted and never waited for.
    pub served: mpsc::Sender<Served>,
    /// Where the table is stored.
    pub storage: PathBuf,
    /// The time.
    pub clock: Clock,
    /// Instruments.
    pub telemetry: Telemetry,
}

/// A running router.
#[derive(Debug)]
pub struct Router {
    address: SocketAddr,
    pub(super) crew: watch::Sender<Arc<Crew>>,
    telemetry: Telemetry,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    keepers: [JoinHandle<()>; 3],
    storage: PathBuf,
}

impl Router {
    /// Serves on a bound listener until it is stopped.
    pub fn spawn(listener: TcpListener, settings: Settings, ends: Ends) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let Ends { table, served, storage, clock, telemetry } = ends;
        telemetry.configure_routes(&settings);
        let (crew, watched) = watch::channel(Arc::new(Crew::build(settings, None)));
        let (copies, drawn) = mpsc::channel(COPIES_MAX);
        let means = mirror::Means { served: served.clone(), telemetry: telemetry.clone(), clock };
        let keepers = [
            tokio::spawn(stored::keep(table.clone(), storage.clone(), telemetry.clone())),
            tokio::spawn(mirror::carry(drawn, means)),
            tokio::spawn(mirror::keep(watched.clone(), storage.clone())),
        ];
        let hall =
            Hall { crew: watched, table, served, copies, telemetry: telemetry.clone(), clock };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, application(hall), stopped));
        Ok(Self { address, crew, telemetry, stop, task, keepers, storage })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes up other routes; requests under way are not touched. The caller's next table is of these.
    pub fn reload(&self, settings: Settings) {
        for family in self.telemetry.configure_routes(&settings) {
            tracing::warn!(family, "a threshold changed its buckets: it starts from nothing");
        }
        let next = Crew::build(settings, Some(&self.crew.borrow()));
        self.crew.send_replace(Arc::new(next));
    }

    /// Takes no new connection and lets answers under way finish within the deadline.
    pub async fn stop(self, deadline: Duration) {
        // Nobody listens where the task is over already.
        let _was_running = self.stop.send(()).is_ok();
        let mut task = self.task;
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            tracing::warn!("answers that were still under way are cut");
            // Its connections end with it.
            task.abort();
        }
        // Nobody waits for copies.
        self.keepers.iter().for_each(JoinHandle::abort);
        let crew = Arc::clone(&self.crew.borrow());
        mirror::write_down(&crew, &self.storage).await;
    }
}

async fn serve(
    listener: TcpListener,
    application: axum::Router,
    mut stopped: oneshot::Receiver<()>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (closing, is_closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            // A dropped sender stops the router too.
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = downstream::accept(&listener, &slots) => {
                let Some((stream, peer, slot)) = accepted else { continue };
                let (application, is_closing) = (application.clone(), is_closing.clone());
                connections.spawn(async move {
                    converse(stream, peer, application, is_closing).await;
                    drop(slot);
                });
            }
        }
    }
    // Who is in the queue already has been promised an answer: where another process listens on the
    // same address, nobody else would give it.
    closing.send_replace(true);
    let by = Instant::now() + LAST_CALL;
    while let Ok(Ok((stream, peer))) = timeout_at(by, listener.accept()).await {
        let (application, is_closing) = (application.clone(), is_closing.clone());
        connections.spawn(converse(stream, peer, application, is_closing));
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn converse(
    stream: TcpStream,
    peer: SocketAddr,
    application: axum::Router,
    is_closing: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        application.clone().oneshot(request)
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .keep_alive_interval(ALIVE);
    // Each piece must leave at once; where this fails it only leaves later.
    let _best_effort = stream.set_nodelay(true).is_ok();
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    downstream::converse(connection, peer, is_closing).await;
}
