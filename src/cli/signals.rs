//! Signals: SIGTERM and SIGINT end, SIGHUP reloads.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that a service listens to.
#[derive(Debug)]
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Stop in good order.
    Stop,
    /// Read the configuration again.
    Reload,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// Waits until a stop is asked for. A reload that is asked for meanwhile waits for its turn.
    pub(super) async fn stop_alone(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits until a stop is asked for; reloads are of no use to the caller.
    pub(super) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}
