//! One arm: its connections, and until when it is to be left alone.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::probe::Target;
use crate::prober::line::{Line, LineError};

#[derive(Debug)]
pub(super) struct Side {
    pub target: Target,
    pub line: Result<Line, LineError>,
    /// A lock and no channel: every lane reads it before each request, and it is held for one
    /// comparison of times.
    not_before: Mutex<Option<Instant>>,
}

impl Side {
    pub fn new(target: Target) -> Self {
        Self { line: Line::kept(&target), target, not_before: Mutex::new(None) }
    }

    /// Leaves it alone for so long, or longer where that was known already.
    pub fn pause(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut not_before = self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        *not_before = Some(not_before.map_or(until, |known| known.max(until)));
    }

    /// Until when it is to be left alone, if that is still to come.
    pub fn paused_until(&self) -> Option<Instant> {
        let not_before = *self.not_before.lock().unwrap_or_else(PoisonError::into_inner);
        not_before.filter(|until| *until > Instant::now())
    }
}
