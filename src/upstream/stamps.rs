//! When each part of an exchange began and ended.
//!
//! The client's resolver, connector and TLS session store write into the stamps of the exchange
//! whose task they run in, and the request's body marks the moment at which the request's write
//! starts. Three rules keep the stamps honest:
//!
//! - A connection race may leave a spare connection behind. Once the request is being written,
//!   nothing that connects belongs to this exchange any more, so later stamps are ignored; before
//!   that, the latest attempt wins.
//! - Stamps of a connection count only when the answer came over a new one. The pool may start a
//!   connect and still take an idle connection; the local address tells them apart.
//! - What happens in a tunnel through a proxy counts as `connect`, since TLS starts after it.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::Stage;

tokio::task_local! {
    static CURRENT: Arc<Stamps>;
}

/// The marks of one exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Name resolution began.
    pub resolve_start: Option<Instant>,
    /// Name resolution ended.
    pub resolve_end: Option<Instant>,
    /// The connector was called.
    pub connect_start: Option<Instant>,
    /// TCP stood and TLS began.
    pub tls_start: Option<Instant>,
    /// The connection, TLS included, stood.
    pub connect_end: Option<Instant>,
    /// The request's write began.
    pub send_start: Option<Instant>,
}

impl Marks {
    /// How long name resolution took.
    pub fn dns(&self) -> Option<Duration> {
        Some(self.resolve_end?.saturating_duration_since(self.resolve_start?))
    }

    /// How long TCP (and a proxy's tunnel) took.
    pub fn connect(&self) -> Option<Duration> {
        let start = self.resolve_end.or(self.connect_start)?;
        Some(self.tls_start.or(self.connect_end)?.saturating_duration_since(start))
    }

    /// How far the exchange had come when no header of the answer was there.
    pub fn stage(&self) -> Stage {
        match (self.send_start, self.tls_start, self.connect_end) {
            (Some(_), _, _) => Stage::Waiting,
            (None, Some(_), None) => Stage::Securing,
            (None, _, _) => Stage::Connecting,
        }
    }

    /// How long TLS took.
    pub fn tls(&self) -> Option<Duration> {
        Some(self.connect_end?.saturating_duration_since(self.tls_start?))
    }
}

/// Collects the marks of one exchange while it runs.
#[derive(Debug, Default)]
pub struct Stamps {
    // Written by hooks that cannot await and held for a few stores only.
    marks: Mutex<Marks>,
    sent: Notify,
}

impl Stamps {
    /// Runs a future whose connection attempts are stamped here.
    pub async fn around<F: Future>(self: &Arc<Self>, future: F) -> F::Output {
        CURRENT.scope(Arc::clone(self), future).await
    }

    /// Waits until the request's write has begun.
    pub async fn sent(&self) {
        self.sent.notified().await;
    }

    /// The marks so far.
    pub fn marks(&self) -> Marks {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mark(&self, set: impl FnOnce(&mut Marks, Instant)) {
        let now = Instant::now();
        let mut marks = self.lock();
        if marks.send_start.is_none() {
            set(&mut marks, now);
        }
    }
}

/// The stamps of the exchange that the caller runs for, if any.
pub(super) fn current() -> Option<Arc<Stamps>> {
    CURRENT.try_with(Arc::clone).ok()
}

pub(super) fn resolve_started() {
    if let Some(stamps) = current() {
        stamps.mark(|marks, now| {
            marks.resolve_start = Some(now);
            marks.resolve_end = None;
        });
    }
}

pub(super) fn resolve_ended() {
    if let Some(stamps) = current() {
        stamps.mark(|marks, now| marks.resolve_end = Some(now));
    }
}

pub(super) fn tls_started() {
    if let Some(stamps) = current() {
        stamps.mark(|marks, now| marks.tls_start = Some(now));
    }
}

pub(super) fn connect_started(stamps: &Stamps) {
    stamps.mark(|marks, now| {
        *marks = Marks { connect_start: Some(now), ..Marks::default() };
    });
}

pub(super) fn connect_ended(stamps: &Stamps) {
    stamps.mark(|marks, now| marks.connect_end = Some(now));
}

/// Runs a connection attempt in the scope of its exchange, even where the pool hands it to another
/// task.
pub(super) async fn scoped<F: Future>(stamps: Arc<Stamps>, future: F) -> F::Output {
    CURRENT.scope(stamps, future).await
}

/// A request's body that marks the start of the request's write.
pub fn stamped_body(bytes: Bytes, stamps: Arc<Stamps>) -> reqwest::Body {
    reqwest::Body::wrap(StampedBody { bytes: Some(bytes), stamps })
}

struct StampedBody {
    bytes: Option<Bytes>,
    stamps: Arc<Stamps>,
}

impl Body for StampedBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    // Polled when the head has been put into the connection's buffer, before anything is flushed.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let bytes = self.bytes.take();
        if bytes.is_some() {
            self.stamps.mark(|marks, now| marks.send_start = Some(now));
            self.stamps.sent.notify_one();
        }
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Tells a new connection from one that was used before, by its local address.
#[derive(Debug, Default)]
pub struct Connections {
    // Held for a look-up in at most `KEPT` addresses.
    seen: Mutex<VecDeque<SocketAddr>>,
}

/// A pool holds a handful of connections; a port comes back only after thousands.
const KEPT: usize = 16;

impl Connections {
    /// Whether an answer came over a connection that this pool had not used before.
    pub fn is_new(&self, response: &reqwest::Response) -> bool {
        let Some(info) =
            response.extensions().get::<hyper_util::client::legacy::connect::HttpInfo>()
        else {
            return false;
        };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.contains(&info.local_addr()) {
            return false;
        }
        if seen.len() == KEPT {
            seen.pop_front();
        }
        seen.push_back(info.local_addr());
        true
    }
}
