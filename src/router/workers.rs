//! The threads that carry requests.
//!
//! Each has a runtime of its own, on which a connection stays from its first byte to its last, and
//! connections of its own to each provider. A request then goes from client to provider and back
//! without a second thread being woken, which was a quarter of its cost, and no task of the rest of the
//! program stands in front of it. As in nginx and Envoy, a client with one connection uses one thread.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::threads::{Thread, Threads};

/// Whose connections to a provider are used: a connection's answers are read where it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat(usize);

impl Seat {
    /// Of the runtime that the router was started on.
    pub const CALLERS: Self = Self(0);

    /// All there can be.
    pub fn all(threads: Threads) -> impl Iterator<Item = Self> {
        let own = match threads {
            Threads::Callers => 0,
            Threads::Own(count) => count.get(),
        };
        (0..=own).map(Self)
    }

    pub fn index(self) -> usize {
        self.0
    }
}

/// One thread, and what is to be known of it.
#[derive(Debug)]
struct Worker<A> {
    thread: Thread,
    application: A,
    /// Held once by each of its connections.
    connections: Arc<()>,
}

/// All of them, each with what answers the requests there.
#[derive(Debug)]
pub(super) struct Workers<A>(Vec<Worker<A>>);

impl<A: Clone> Workers<A> {
    /// Starts the threads.
    pub fn start(threads: Threads, mut application: impl FnMut(Seat) -> A) -> io::Result<Self> {
        let worker = |seat| -> io::Result<Worker<A>> {
            let thread = match seat {
                Seat::CALLERS => Thread::callers(),
                Seat(number) => Thread::start(format!("router-{number}"))?,
            };
            let application = application(seat);
            Ok(Worker { thread, application, connections: Arc::default() })
        };
        // Where there are threads, the caller's runtime carries copies alone.
        let callers = usize::from(threads != Threads::Callers);
        Seat::all(threads).skip(callers).map(worker).collect::<io::Result<_>>().map(Self)
    }

    /// Serves a connection on the thread that has the fewest, in the order in which they are tried.
    pub fn spawn<F>(
        &mut self,
        connections: &mut JoinSet<()>,
        (stream, peer): (tokio::net::TcpStream, SocketAddr),
        serve: impl FnOnce(tokio::net::TcpStream, A) -> F + Send + 'static,
    ) where
        A: Send + 'static,
        F: Future<Output = ()> + Send,
    {
        // The first of several is tried last the next time.
        let count = |worker: &Worker<A>| Arc::strong_count(&worker.connections);
        let least = self.0.iter().map(count).min().unwrap_or_default();
        let Some(at) = self.0.iter().position(|worker| count(worker) == least) else { return };
        self.0.rotate_left(at);
        let Some(worker) = self.0.first() else { return };
        let (application, counted) = (worker.application.clone(), Arc::clone(&worker.connections));
        let moved = move |stream: TcpStream| async move {
            match tokio::net::TcpStream::from_std(stream) {
                Ok(stream) => serve(stream, application).await,
                Err(error) => tracing::warn!(%error, %peer, "a connection was not taken over"),
            }
            drop(counted);
        };
        // Its readiness is told by the runtime that it belongs to.
        match stream.into_std() {
            Ok(stream) => drop(connections.spawn_on(moved(stream), worker.thread.runtime())),
            Err(error) => tracing::warn!(%error, %peer, "a connection was not passed on"),
        }
        self.0.rotate_left(1);
    }
}
