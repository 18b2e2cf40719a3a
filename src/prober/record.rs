//! What was measured of one exchange while it ran.
//!
//! All durations count from the start of the request's write, not from the start of the connection:
//! a new connection and a warm one then measure the same thing, and what the connection took stands
//! in phases of its own. Where nothing was ever written, they count from the start of the attempt.
//! The end is the terminal evidence, not the close of the socket.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::model::Timestamp;
use crate::probe::{Delivery, Phases, Timeouts};
use crate::provider::{ErrorType, Exam, Progress};
use crate::upstream::Stamps;

/// How long to wait for `[DONE]`, usage or the end once an answer could pass as complete.
const SETTLE: Duration = Duration::from_secs(1);

/// How long to wait for the rest of an error's body: the status alone grades it too.
const ERROR_BODY: Duration = Duration::from_secs(2);

/// Of a longer body the beginning says which fields it has.
const TAPE_BYTES_MAX: usize = 256 << 10;

/// More gaps than this say nothing new.
const GAPS_MAX: usize = 1024;

#[derive(Debug)]
pub(super) struct Record {
    pub exam: Exam,
    pub stamps: Arc<Stamps>,
    pub delivery: Delivery,
    pub started: Instant,
    pub headed: Option<Instant>,
    pub is_refused: bool,
    pub is_new_connection: Option<bool>,
    pub is_lingering: bool,
    pub is_stale: bool,
    pub has_asked_again: bool,
    pub certificate_expires: Option<Timestamp>,
    pub first_content: Option<Instant>,
    pub first_output: Option<Instant>,
    pub last_content: Option<Instant>,
    pub gaps: Vec<Duration>,
    pub finish: Option<Instant>,
    pub ended: Option<Instant>,
    pub failure: Option<String>,
    /// The body as it comes, where it is to be kept.
    pub tape: Option<Vec<u8>>,
    has_keepalives: bool,
}

/// What to do when a deadline passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deadline {
    /// It is a failure.
    Fail(ErrorType),
    /// What has come is enough.
    Settle,
}

impl Record {
    pub fn new(exam: Exam, stamps: Arc<Stamps>, delivery: Delivery, started: Instant) -> Self {
        Self {
            exam,
            stamps,
            delivery,
            started,
            headed: None,
            is_refused: false,
            is_new_connection: None,
            is_lingering: false,
            is_stale: false,
            has_asked_again: false,
            certificate_expires: None,
            first_content: None,
            first_output: None,
            last_content: None,
            gaps: Vec::new(),
            finish: None,
            ended: None,
            failure: None,
            tape: None,
            has_keepalives: false,
        }
    }

    /// When the request's write began, or the attempt where it never did.
    pub fn sent(&self) -> Instant {
        self.stamps.marks().send_start.unwrap_or(self.started)
    }

    /// Notes a failure that only the reader of the socket can see. Unless the answer was complete
    /// already: then it stands, whatever the socket did after.
    pub fn fail(&mut self, now: Instant, error_type: ErrorType, detail: String) {
        if self.ended.is_some() {
            return;
        }
        if let Some(finish) = self.finish {
            self.ended = Some(finish);
            return;
        }
        if self.is_refused && error_type != ErrorType::Cancelled {
            // The status says more than the way in which its body broke.
            self.exam.end();
        } else {
            self.exam.broke(error_type);
            self.failure = Some(detail);
        }
        self.ended = Some(now);
    }

    /// Keeps a chunk where the body is kept.
    pub fn hear(&mut self, chunk: &[u8]) {
        if let Some(tape) = &mut self.tape {
            let room = TAPE_BYTES_MAX.saturating_sub(tape.len());
            tape.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
    }

    /// Takes in what a chunk brought.
    pub fn take(&mut self, now: Instant, progress: Progress) {
        self.has_keepalives |= progress.keepalives > 0;
        if progress.output > 0 {
            self.first_output.get_or_insert(now);
        }
        for _ in 0..progress.content {
            if let Some(last) = self.last_content
                && self.gaps.len() < GAPS_MAX
            {
                // Pieces that come together are zero apart: that is how they were seen.
                self.gaps.push(now - last);
            }
            self.first_content.get_or_insert(now);
            self.last_content = Some(now);
        }
        // Some relays tell the finish early and go on: then the last content is the end.
        if progress.has_finish && (self.finish.is_none() || progress.content > 0) {
            self.finish = Some(now);
        }
        if progress.is_over {
            self.ended = Some(now);
        }
    }

    /// When to stop waiting for the next byte, and what that means. Only content moves the idle
    /// deadline: a stream of pings is as stalled as a silent one.
    pub fn deadline(&self, timeouts: &Timeouts) -> (Instant, Deadline) {
        let sent = self.sent();
        let total = (sent + timeouts.total, Deadline::Fail(ErrorType::TotalTimeout));
        if let Some(finish) = self.finish {
            return ((finish + SETTLE).min(total.0), Deadline::Settle);
        }
        if let (true, Some(headed)) = (self.is_refused, self.headed) {
            return ((headed + ERROR_BODY).min(total.0), Deadline::Fail(ErrorType::TotalTimeout));
        }
        if self.delivery == Delivery::Whole {
            return total;
        }
        let next = match self.last_content {
            Some(last) => (last + timeouts.idle, Deadline::Fail(ErrorType::StalledStream)),
            None if self.has_keepalives => {
                (sent + timeouts.first_token, Deadline::Fail(ErrorType::StalledStream))
            }
            None => (sent + timeouts.first_token, Deadline::Fail(ErrorType::TtftTimeout)),
        };
        if next.0 < total.0 { next } else { total }
    }

    /// How long each part took. Those of the request add up to its total.
    pub fn phases(&self) -> Phases {
        let marks = self.stamps.marks();
        let mut phases = Phases::default();
        if self.is_new_connection.unwrap_or(marks.connect_start.is_some()) {
            phases.dns = marks.dns();
            phases.connect = marks.connect();
            phases.tls = marks.tls();
        }
        let sent = self.sent();
        phases.headers = self.headed.map(|headed| headed - sent);
        phases.first_content =
            self.first_content.zip(self.headed).map(|(first, head)| first - head);
        // A whole answer has no first content of its own: its body is the stream.
        let begun = match self.delivery {
            Delivery::Streamed => self.first_content,
            Delivery::Whole => self.headed,
        };
        if self.delivery == Delivery::Whole {
            phases.first_content = None;
        }
        phases.stream =
            self.ended.zip(begun).map(|(end, begun)| end.saturating_duration_since(begun));
        phases
    }

    /// From send to a moment of a stream.
    pub fn since_sent(&self, moment: Option<Instant>) -> Option<Duration> {
        match self.delivery {
            Delivery::Streamed => moment.map(|moment| moment - self.sent()),
            Delivery::Whole => None,
        }
    }
}
