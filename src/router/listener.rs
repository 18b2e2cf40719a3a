//! Binding, serving and stopping.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};

use super::connection;
use super::crew::{Crew, Hall};
use super::mirror;
use super::stored;
use super::surfaces::Application;
use super::workers::Workers;
use crate::clock::Clock;
use crate::downstream::{self, Door, PeerCertificate};
use crate::routing::{Served, Settings, Table};
use crate::telemetry::Telemetry;
use crate::threads::Threads;

/// As many clients as keep a connection; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 10_000;
/// Copies between being drawn and having a task of their own; each route bounds its own.
const COPIES_MAX: usize = 1_024;
/// How long connections are still taken once a stop was asked for.
const LAST_CALL: Duration = Duration::from_millis(100);
/// How long, after that, a resting connection is kept for one more request: a client that sends while
/// its connection is closed cannot tell whether it was heard. Its answer says that it is the last.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// How near the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ending {
    Open,
    LastAnswers,
    Closed,
}

/// What becomes of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Nobody else has our socket: who waits in its queue is answered still.
    Queue,
    /// Another process has it, with its queue.
    Heir,
}

/// What the router gets, and what it gives.
#[derive(Debug)]
pub struct Ends {
    /// By what clients are let in to the listener.
    pub door: watch::Receiver<Arc<Door>>,
    /// The table that holds.
    pub table: watch::Receiver<Arc<Table>>,
    /// Takes what came of requests; a full queue is counted and never waited for.
    pub served: mpsc::Sender<Served>,
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
    clock: Clock,
    threads: Threads,
    table: watch::Receiver<Arc<Table>>,
    stop: oneshot::Sender<Leaving>,
    task: JoinHandle<()>,
    copying: JoinHandle<()>,
    reviewing: JoinHandle<()>,
    keeping: Option<Keeping>,
}

/// What outlives the process, and where.
#[derive(Debug)]
struct Keeping {
    directory: PathBuf,
    tasks: [JoinHandle<()>; 2],
}

/// How often it is looked who is ejected and was not asked for long.
const REVIEW_INTERVAL: Duration = Duration::from_secs(15);

/// Forgives targets that nobody asks any more.
async fn review(crew: watch::Receiver<Arc<Crew>>, telemetry: Telemetry, clock: Clock) {
    loop {
        tokio::time::sleep(REVIEW_INTERVAL).await;
        if crew.has_changed().is_err() {
            return;
        }
        let crew = Arc::clone(&crew.borrow());
        crew.review(&telemetry, clock.now());
    }
}

impl Router {
    /// Serves on a bound listener until it is stopped.
    pub fn spawn(
        listener: TcpListener,
        settings: Settings,
        ends: Ends,
        threads: Threads,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let Ends { door, table, served, clock, telemetry } = ends;
        telemetry.configure_routes(&settings);
        let (crew, watched) = watch::channel(Arc::new(Crew::build(settings, threads, None)));
        let (copies, drawn) = mpsc::channel(COPIES_MAX);
        let means = mirror::Means { served: served.clone(), telemetry: telemetry.clone(), clock };
        let copying = tokio::spawn(mirror::carry(drawn, means));
        let reviewing = tokio::spawn(review(watched.clone(), telemetry.clone(), clock));
        let kept = table.clone();
        let workers = Workers::start(threads, |seat| {
            let (crew, table) = (watched.clone(), table.clone());
            let (served, copies) = (served.clone(), copies.clone());
            let telemetry = telemetry.clone();
            Application::new(Hall { crew, table, served, copies, telemetry, clock, seat })
        })?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, workers, door, stopped));
        let keeping = None;
        Ok(Self {
            address,
            crew,
            telemetry,
            clock,
            threads,
            table: kept,
            stop,
            task,
            copying,
            reviewing,
            keeping,
        })
    }

    /// Stores each table from now on, the one that holds first, and what copies spend; the directory
    /// must be ours by now.
    pub fn store(&mut self, directory: PathBuf) {
        let tables = stored::keep(self.table.clone(), directory.clone(), self.telemetry.clone());
        let spending = mirror::keep(self.crew.subscribe(), directory.clone());
        let tasks = [tokio::spawn(tables), tokio::spawn(spending)];
        self.keeping = Some(Keeping { directory, tasks });
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
        let next = Crew::build(settings, self.threads, Some(&self.crew.borrow()));
        next.review(&self.telemetry, self.clock.now());
        self.crew.send_replace(Arc::new(next));
    }

    /// Takes no new connection and lets answers under way finish within the deadline.
    pub async fn stop(self, leaving: Leaving, deadline: Duration) {
        // Nobody listens where the task is over already.
        let _was_running = self.stop.send(leaving).is_ok();
        let mut task = self.task;
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            tracing::warn!("answers that were still under way are cut");
            // Its connections end with it.
            task.abort();
        }
        // Nobody waits for copies.
        self.copying.abort();
        self.reviewing.abort();
        if let Some(Keeping { directory, tasks }) = self.keeping {
            tasks.iter().for_each(JoinHandle::abort);
            let crew = Arc::clone(&self.crew.borrow());
            mirror::write_down(&crew, &directory).await;
        }
    }
}

async fn serve(
    listener: TcpListener,
    mut workers: Workers<Application>,
    door: watch::Receiver<Arc<Door>>,
    mut stopped: oneshot::Receiver<Leaving>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (ending, how_near) = watch::channel(Ending::Open);
    let mut connections = JoinSet::new();
    let leaving = loop {
        tokio::select! {
            biased;
            // A dropped sender stops the router too.
            leaving = &mut stopped => break leaving.unwrap_or(Leaving::Queue),
            Some(_) = connections.join_next() => {}
            accepted = downstream::accept(&listener, &slots) => {
                let Some((stream, peer, slot)) = accepted else { continue };
                let (tls, how_near) = (door.borrow().tls(), how_near.clone());
                workers.spawn(&mut connections, (stream, peer), move |stream, application| async move {
                    welcome(stream, peer, tls, application, how_near).await;
                    drop(slot);
                });
            }
        }
    };
    ending.send_replace(Ending::LastAnswers);
    if leaving == Leaving::Queue {
        // Who is in the queue already has been promised an answer: where another process listens on
        // the same address, nobody else would give it.
        let by = Instant::now() + LAST_CALL;
        while let Ok(Ok((stream, peer))) = timeout_at(by, listener.accept()).await {
            let (tls, how_near) = (door.borrow().tls(), how_near.clone());
            workers.spawn(&mut connections, (stream, peer), move |stream, application| {
                welcome(stream, peer, tls, application, how_near)
            });
        }
    }
    drop(listener);
    let all = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST_ANSWERS, all).await.is_err() {
        ending.send_replace(Ending::Closed);
        while connections.join_next().await.is_some() {}
    }
}

/// Shakes hands where TLS is spoken, then talks.
async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    application: Application,
    how_near: watch::Receiver<Ending>,
) {
    // Each piece must leave at once; where this fails it only leaves later.
    let _best_effort = stream.set_nodelay(true).is_ok();
    // In boxes, so that a resting connection has room for what it does and for nothing else.
    let (stream, certificate) = match tls {
        None => return Box::pin(converse(stream, peer, None, application, how_near)).await,
        Some(tls) => match Box::pin(downstream::shake_hands(stream, peer, tls)).await {
            Some((stream, certificate)) => (Box::new(stream), certificate),
            None => return,
        },
    };
    Box::pin(converse(stream, peer, certificate, application, how_near)).await;
}

async fn converse<I: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: I,
    peer: SocketAddr,
    certificate: Option<PeerCertificate>,
    application: Application,
    mut how_near: watch::Receiver<Ending>,
) {
    // Known from the first request on, which is early enough.
    let is_multiplexed = Arc::new(AtomicBool::new(false));
    let (multiplexed, near) = (Arc::clone(&is_multiplexed), how_near.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let is_multiplexed = request.version() == Version::HTTP_2;
        multiplexed.store(is_multiplexed, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        let (application, near) = (application.clone(), near.clone());
        async move {
            let mut response = application.oneshot(request).await?;
            if !is_multiplexed && *near.borrow() > Ending::Open {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let closed = async {
        // HTTP/2 has a word for it and loses nothing. Whichever it is, an error too: nobody is left to
        // serve for.
        let is_time = |ending: &Ending| match ending {
            Ending::Open => false,
            Ending::LastAnswers => is_multiplexed.load(Ordering::Relaxed),
            Ending::Closed => true,
        };
        let _is_closing = how_near.wait_for(is_time).await.is_ok();
    };
    connection::converse(stream, peer, &service, pin!(closed)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room<A, B, C, D, E, F>(_: impl FnOnce(A, B, C, D, E) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_resting_connection_needs_little_room() {
        // Its arguments twice: as they came, and where they went.
        let waiting = room(welcome);
        assert!(waiting <= 256, "{waiting} bytes");
        let resting = room(converse::<TcpStream>);
        assert!(resting <= 1_024, "{resting} bytes");
    }
}
