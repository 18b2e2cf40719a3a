//! Watches an answer as it passes: the prober's decoder, and a clock.
//!
//! The bytes are looked at and not touched. Those that are packed are unpacked on the side, for the
//! decoder alone, up to a bound. Interfaces without a decoder are graded by their status.

use std::fmt;
use std::time::Duration;

use http::header::{self, HeaderMap};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::probe::Timeouts;
use crate::provider::{
    Dialect, ErrorType, Exam, Expectation, Grade, Head, StreamPhase, Terminal, Usage,
};
use crate::upstream::{Unpack, UnpackError};

/// More than this is not unpacked: no answer is so long, and a bomb is.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// How long a socket may stay open after the end was told.
const LINGER: Duration = Duration::from_secs(1);

/// What came of an answer.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub error_type: ErrorType,
    pub detail: String,
    pub broke: Option<StreamPhase>,
    pub status: Option<u16>,
    pub retry_after: Option<Duration>,
    pub ttft: Option<Duration>,
    pub total: Duration,
    pub usage: Option<Usage>,
    pub request_id: Option<String>,
    /// The answer's own id, where others may continue it by that.
    pub answer_id: Option<String>,
    /// Whether the provider does not have the response that is to be continued.
    pub lacks_previous: bool,
    /// For whoever compares two answers.
    pub said: Said,
}

/// What an answer said, as far as the decoder keeps it, and why it stopped. It is shown nowhere.
#[derive(Clone, Default)]
pub(super) struct Said {
    pub text: String,
    pub finish: Option<String>,
}

impl fmt::Debug for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.text.len())
    }
}

impl Observed {
    /// An attempt that brought no answer.
    pub fn nothing(error_type: ErrorType, detail: String, total: Duration) -> Self {
        Self {
            error_type,
            detail,
            broke: None,
            status: None,
            retry_after: None,
            ttft: None,
            total,
            usage: None,
            request_id: None,
            answer_id: None,
            lacks_previous: false,
            said: Said::default(),
        }
    }
}

/// The decoder and the clock of one answer.
pub(super) struct Observer {
    exam: Exam,
    unpack: Unpack,
    unpacked: usize,
    /// An encoding that is not known, or is broken, or more than is looked at.
    is_blind: bool,
    sent: Instant,
    status: u16,
    is_streamed: bool,
    /// Whether the answer is a stream, as was asked for.
    is_stream: bool,
    is_decoded: bool,
    is_over: bool,
    has_finish: bool,
    failure: Option<ErrorType>,
    first_content: Option<Instant>,
    last_content: Option<Instant>,
    ended: Option<Instant>,
}

/// What is asked, as far as the answer is held against it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// Whose errors its errors are.
    pub dialect: Dialect,
    /// What reads the rest; where nothing does, it is graded by its status.
    pub decoder: Option<Dialect>,
    pub is_streamed: bool,
    /// The name that it answers under.
    pub model: &'a str,
    pub sent: Instant,
}

impl Observer {
    pub fn new(asked: Asked<'_>, status: u16, headers: &HeaderMap, clock: &Clock) -> Self {
        let decoder = asked.decoder;
        let mut exam = Exam::new(
            decoder.unwrap_or(asked.dialect),
            Expectation {
                is_streamed: asked.is_streamed,
                model: asked.model.to_owned(),
                terminal: Terminal::Lenient,
                // Clients decide whether they ask for it.
                wants_usage: false,
            },
        );
        // A dozen names are asked for, and few are there: to go through the headers costs less than to
        // hash each name.
        let text = |name: &str| {
            let (_, value) = headers.iter().find(|(known, _)| known.as_str() == name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        exam.head(&Head { status, headers: &text, now: clock.now() });
        let unpack = Unpack::new(headers.get(header::CONTENT_ENCODING));
        let is_success = (200..300).contains(&status);
        let media = text(header::CONTENT_TYPE.as_str()).unwrap_or_default().to_ascii_lowercase();
        Self {
            exam,
            is_blind: unpack.is_unknown(),
            unpack,
            unpacked: 0,
            sent: asked.sent,
            status,
            is_streamed: asked.is_streamed,
            is_stream: is_success
                && asked.is_streamed
                && decoder.is_some()
                && media.trim_start().starts_with("text/event-stream"),
            is_decoded: decoder.is_some() || !is_success,
            is_over: false,
            has_finish: false,
            failure: None,
            first_content: None,
            last_content: None,
            ended: None,
        }
    }

    /// Takes the next bytes.
    pub fn bytes(&mut self, bytes: &[u8], now: Instant) {
        if !self.is_decoded {
            return;
        }
        if self.is_blind {
            // Whatever it says, it has not stalled.
            self.last_content = Some(now);
            return;
        }
        let unpacked = match self.unpack.feed(bytes) {
            Ok(unpacked) => unpacked,
            // A bomb is no failure of the answer, what was cut or garbled is.
            Err(error) => {
                if error != UnpackError::TooLarge {
                    self.failure.get_or_insert(ErrorType::MalformedJson);
                }
                self.is_blind = true;
                return;
            }
        };
        self.unpacked += unpacked.len();
        let progress = self.exam.bytes(unpacked);
        if progress.content > 0 {
            self.first_content.get_or_insert(now);
            self.last_content = Some(now);
        }
        if self.unpacked > UNPACKED_BYTES_MAX || self.exam.is_too_large() {
            // A picture is larger than any answer that is read: clients get it, and nobody is blamed.
            self.is_blind = true;
            return;
        }
        self.is_over |= progress.is_over;
        self.has_finish |= progress.has_finish;
        if self.is_over {
            self.ended.get_or_insert(now);
        }
    }

    /// The body ended in good order. Whether it was all there.
    pub fn end(&mut self, now: Instant) -> bool {
        self.ended.get_or_insert(now);
        if !self.is_stream || !self.is_decoded || self.is_blind {
            return true;
        }
        self.exam.end();
        // The end may have completed a last event.
        let progress = self.exam.bytes(&[]);
        self.is_over |= progress.is_over;
        self.has_finish |= progress.has_finish;
        self.is_complete()
    }

    /// The exchange broke off.
    pub fn broke(&mut self, failure: ErrorType, now: Instant) {
        if self.ended.is_none() {
            self.ended = Some(now);
            self.failure = Some(failure);
        }
    }

    /// Whether a stream has the evidence that it is all there, or says that it failed.
    pub fn is_complete(&self) -> bool {
        self.is_over || self.has_finish
    }

    /// Whether nothing of use can follow.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether a stream was asked for, and something else came.
    pub fn is_something_else(&self) -> bool {
        self.is_streamed && self.is_decoded && !self.is_stream
    }

    /// Whether the answer is the stream that was asked for.
    pub fn is_stream(&self) -> bool {
        self.is_stream
    }

    /// Whether any content has come.
    pub fn has_content(&self) -> bool {
        self.first_content.is_some()
    }

    /// The answer's own id, once it came.
    pub fn answer_id(&self) -> Option<&str> {
        self.exam.answer_id()
    }

    /// When to stop waiting for the next piece, `began` being when the first came. Only content moves
    /// the deadline of a stream: one of pings is as stalled as a silent one.
    pub fn deadline(&self, timeouts: &Timeouts, began: Instant) -> Instant {
        let total = self.sent + timeouts.total;
        if self.is_over {
            return Instant::now() + LINGER;
        }
        if !self.is_stream {
            return total;
        }
        let last = self.last_content.map(|last| last + timeouts.idle);
        last.unwrap_or_else(|| began.max(self.sent + timeouts.first_token)).min(total)
    }

    /// Grades what was seen.
    pub fn finish(mut self) -> Observed {
        let now = Instant::now();
        let total = self.ended.unwrap_or(now).saturating_duration_since(self.sent);
        let is_blind = self.is_blind || !self.is_decoded;
        if let Some(failure) = self.failure {
            self.exam.broke(failure);
        }
        let grade: Grade = self.exam.finish();
        let (error_type, detail) = if is_blind {
            let by_status = self.failure.unwrap_or(match self.status {
                200..=299 => ErrorType::None,
                _ => grade.error_type,
            });
            (by_status, String::new())
        } else {
            (grade.error_type, grade.detail)
        };
        let ttft = self.first_content.filter(|_| self.is_stream);
        Observed {
            error_type,
            detail,
            broke: grade.broke.filter(|_| !is_blind),
            status: Some(self.status),
            retry_after: grade.rate_limits.retry_after,
            ttft: ttft.map(|at| at.saturating_duration_since(self.sent)),
            total,
            usage: grade.usage,
            request_id: grade.request_id,
            answer_id: grade.answer_id,
            lacks_previous: grade.lacks_previous,
            said: Said { text: grade.text, finish: grade.finish_reason },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observer(is_streamed: bool, media: &str) -> Observer {
        let asked = Asked {
            dialect: Dialect::OpenaiResponses,
            decoder: Some(Dialect::OpenaiResponses),
            is_streamed,
            model: "m",
            sent: Instant::now(),
        };
        let media = http::HeaderValue::from_str(media).unwrap();
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, media)]);
        Observer::new(asked, 200, &headers, &Clock::start())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_larger_than_is_read_is_nobodys_failure() {
        let picture = "A".repeat(1 << 20);
        let timeouts = crate::routing::TIMEOUTS;
        let event = format!(
            "event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":\
             {{\"status\":\"completed\",\"output\":[{{\"type\":\"image_generation_call\",\
             \"result\":\"{picture}\"}}]}}}}\n\n"
        );
        let mut streamed = observer(true, "text/event-stream");
        let began = Instant::now();
        streamed
            .bytes(b"event: response.created\ndata: {\"type\":\"response.created\"}\n\n", began);
        for piece in event.as_bytes().chunks(64 << 10) {
            streamed.bytes(piece, Instant::now());
        }
        tokio::time::advance(timeouts.idle).await;
        streamed.bytes(b": \n\n", Instant::now());
        let rest = streamed.deadline(&timeouts, began) - Instant::now();
        assert_eq!(rest, timeouts.idle, "it has not stalled");
        assert!(streamed.end(Instant::now()), "it is not cut");
        assert_eq!(streamed.finish().error_type, ErrorType::None);

        let mut whole = observer(false, "application/json");
        for _ in 0..9 {
            whole.bytes(picture.as_bytes(), Instant::now());
        }
        assert!(!whole.is_over() && whole.end(Instant::now()));
        assert_eq!(whole.finish().error_type, ErrorType::None);

        // A large page in place of a stream is still none.
        let mut page = observer(true, "text/html");
        page.bytes(picture.as_bytes(), Instant::now());
        assert!(page.is_something_else());
        page.end(Instant::now());
        assert_eq!(page.finish().error_type, ErrorType::WrongContentType);
    }
}
