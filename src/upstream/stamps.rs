//! When each part of an exchange began and ended.
//!
//! A carrier writes into the stamps that it is handed with a request, in the task that waits for the
//! answer. What happens in a tunnel through a proxy counts as `connect`, since TLS starts after it. A
//! request is sent when it is handed to a connection that stands, which writes it in the same breath;
//! what a kept connection did not take counts from the connection that did.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

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

    /// How long TLS took.
    pub fn tls(&self) -> Option<Duration> {
        Some(self.connect_end?.saturating_duration_since(self.tls_start?))
    }
}

/// Collects the marks of one exchange while it runs.
#[derive(Debug, Default)]
pub struct Stamps {
    // Written where nothing can be awaited, and held for a few stores only.
    marks: Mutex<Marks>,
    sent: Notify,
}

impl Stamps {
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

    pub(super) fn connect_started(&self) {
        self.mark(|marks, now| *marks = Marks { connect_start: Some(now), ..Marks::default() });
    }

    pub(super) fn resolve_started(&self) {
        self.mark(|marks, now| {
            marks.resolve_start = Some(now);
            marks.resolve_end = None;
        });
    }

    pub(super) fn resolve_ended(&self) {
        self.mark(|marks, now| marks.resolve_end = Some(now));
    }

    pub(super) fn tls_started(&self) {
        self.mark(|marks, now| marks.tls_start = Some(now));
    }

    pub(super) fn connect_ended(&self) {
        self.mark(|marks, now| marks.connect_end = Some(now));
    }

    pub(super) fn send_started(&self) {
        self.mark(|marks, now| marks.send_start = Some(now));
        self.sent.notify_one();
    }

    pub(super) fn take_back(&self) {
        *self.lock() = Marks::default();
    }

    fn mark(&self, set: impl FnOnce(&mut Marks, Instant)) {
        set(&mut self.lock(), Instant::now());
    }
}
