//! Connections that rest between two requests.
//!
//! A resting HTTP/1.1 connection is a socket and nothing else: what reads and writes HTTP on it is set
//! up for an exchange and taken apart after it, so that a thousand connections at rest hold no buffers.
//! Nobody watches it meanwhile; whoever takes it looks first whether the peer has closed it or said
//! something out of turn. HTTP/2 carries many requests at once over one connection, which a task of
//! its own keeps alive.
//!
//! The latest to come back leaves first, so that the others grow old and are closed.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper::rt::ReadBuf;
use tokio::time::Instant;

use super::Idle;
use super::way::Socket;
use crate::model::Timestamp;

/// How long a connection may rest: providers close theirs after one to five minutes.
const REST_MAX: Duration = Duration::from_secs(50);

/// The same for who asks at intervals, often of a minute, and finds out what the peer did meanwhile.
const LONG_REST_MAX: Duration = Duration::from_secs(90);

/// Requests over one HTTP/2 connection.
pub(super) type Shared = http2::SendRequest<Full<Bytes>>;

/// What rests.
pub(super) struct Pool {
    most: usize,
    rest_max: Duration,
    // Held to take one out or to put one in, and at times to drop the old ones.
    resting: Mutex<Resting>,
}

#[derive(Default)]
struct Resting {
    /// The oldest first.
    sockets: VecDeque<(Instant, Socket)>,
    shared: Option<Kept>,
}

struct Kept {
    sender: Shared,
    certificate_expires: Option<Timestamp>,
    used: Instant,
}

/// What a request may go over.
pub(super) enum Rested {
    One(Socket),
    Shared(Shared, Option<Timestamp>),
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let resting = self.lock();
        let (alone, shared) = (resting.sockets.len(), resting.shared.is_some());
        formatter.debug_struct("Pool").field("alone", &alone).field("shared", &shared).finish()
    }
}

impl Pool {
    pub fn new(idle: Idle) -> Self {
        let (most, rest_max) = match idle {
            Idle::Kept => (usize::MAX, REST_MAX),
            Idle::Few(most) => (most, LONG_REST_MAX),
            Idle::Closed => (0, Duration::ZERO),
        };
        Self { most, rest_max, resting: Mutex::default() }
    }

    /// One that is ready for a request, as far as can be told from here.
    pub fn take(&self) -> Option<Rested> {
        let now = Instant::now();
        let mut resting = self.lock();
        self.drop_old(&mut resting, now);
        if let Some(kept) = &mut resting.shared {
            kept.used = now;
            return Some(Rested::Shared(kept.sender.clone(), kept.certificate_expires));
        }
        while let Some((_, mut socket)) = resting.sockets.pop_back() {
            if is_quiet(&mut socket) {
                return Some(Rested::One(socket));
            }
        }
        None
    }

    /// Takes a connection back after its exchange.
    pub fn put(&self, mut socket: Socket) {
        // The look also makes the socket forget the task that waited for it last.
        if self.most == 0 || !is_quiet(&mut socket) {
            return;
        }
        let now = Instant::now();
        let mut resting = self.lock();
        if resting.sockets.len() >= self.most {
            resting.sockets.pop_front();
        }
        resting.sockets.push_back((now, socket));
        self.drop_old(&mut resting, now);
    }

    /// Shares a connection with those that come after. Where one is shared already, that one is
    /// used, and the new one goes when its handshake is over.
    pub fn share(&self, sender: Shared, certificate_expires: Option<Timestamp>) -> Shared {
        if self.most == 0 {
            return sender;
        }
        let now = Instant::now();
        let mut resting = self.lock();
        self.drop_old(&mut resting, now);
        let kept = resting.shared.get_or_insert(Kept { sender, certificate_expires, used: now });
        kept.sender.clone()
    }

    /// What is shared takes no requests any more.
    pub fn unshare(&self) {
        self.lock().shared = None;
    }

    /// Closes what has rested for too long.
    pub fn sweep(&self) {
        self.drop_old(&mut self.lock(), Instant::now());
    }

    fn drop_old(&self, resting: &mut Resting, now: Instant) {
        let is_old = |since: Instant| now.saturating_duration_since(since) > self.rest_max;
        while resting.sockets.front().is_some_and(|(since, _)| is_old(*since)) {
            resting.sockets.pop_front();
        }
        if resting.shared.as_ref().is_some_and(|kept| kept.sender.is_closed() || is_old(kept.used))
        {
            resting.shared = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Resting> {
        self.resting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a peer still holds a connection open, and has said nothing that nobody asked for.
fn is_quiet(socket: &mut Socket) -> bool {
    let mut byte = [0];
    let mut unfilled = ReadBuf::new(&mut byte);
    let mut context = Context::from_waker(Waker::noop());
    Pin::new(&mut *socket.io).poll_read(&mut context, unfilled.unfilled()).is_pending()
}
