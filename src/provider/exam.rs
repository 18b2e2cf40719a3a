//! Watches one answer as it passes, and grades it.

use super::{Anomaly, Dialect, ErrorType, Head, RateLimits, StreamPhase, Usage};

/// What must have come for a stream to count as complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// OpenAI: a `finish_reason` or `[DONE]`. Anthropic: `message_stop`.
    #[default]
    Lenient,
    /// OpenAI: a `finish_reason` and `[DONE]`. Anthropic: a `stop_reason` and `message_stop`.
    Strict,
}

/// What an answer is held against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Whether a stream was asked for.
    pub is_streamed: bool,
    /// The model asked for, by the provider's own name; empty: any will do.
    pub model: String,
    /// When a stream is complete.
    pub terminal: Terminal,
    /// Whether an answer without usage is graded `usage_missing`.
    pub wants_usage: bool,
}

/// What one chunk of an answer brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Events with text, refusal, reasoning or tool deltas.
    pub content: u32,
    /// Those of them with more than reasoning.
    pub output: u32,
    /// Comments, pings and empty events: signs of life that are no content.
    pub keepalives: u32,
    /// Nothing that comes later changes the grade: the caller may stop reading.
    pub is_over: bool,
    /// The answer would pass as complete if it ended now, but usage or `[DONE]` may still come: the
    /// caller may wait briefly.
    pub has_finish: bool,
}

/// What came of one answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Grade {
    /// Exactly one.
    pub error_type: ErrorType,
    /// For people, at most 300 characters, without keys, prompts and answers; empty for a success.
    pub detail: String,
    /// Where a stream broke: for every failure inside a streamed 2xx that kept it from ending well.
    pub broke: Option<StreamPhase>,
    /// The answer's text without reasoning, at most 64 KiB of it.
    pub text: String,
    /// Tokens, where the provider gave a final count.
    pub usage: Option<Usage>,
    /// The model that says it answered.
    pub model: Option<String>,
    /// `finish_reason` or `stop_reason`.
    pub finish_reason: Option<String>,
    /// Oddities, each at most once, in order.
    pub anomalies: Vec<Anomaly>,
    /// What headers (or an error's body) said of our limits.
    pub rate_limits: RateLimits,
    /// The provider's id of the request.
    pub request_id: Option<String>,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
}

/// The decoder and grader of one answer.
#[derive(Debug)]
pub struct Exam {
    dialect: Dialect,
    expectation: Expectation,
}

impl Exam {
    /// An exam that has seen nothing yet.
    pub fn new(dialect: Dialect, expectation: Expectation) -> Self {
        Self { dialect, expectation }
    }

    /// Takes the status and headers.
    pub fn head(&mut self, _head: &Head) {}

    /// Takes the next bytes of the body, however they were cut.
    pub fn bytes(&mut self, _chunk: &[u8]) -> Progress {
        Progress::default()
    }

    /// The body ended as HTTP says it should.
    pub fn end(&mut self) {}

    /// The exchange ended in a failure that the caller saw: transport, timeout, cancellation.
    pub fn broke(&mut self, _failure: ErrorType) {}

    /// Whether any content has come.
    pub fn has_content(&self) -> bool {
        false
    }

    /// Grades what was seen.
    pub fn finish(self) -> Grade {
        Grade {
            error_type: ErrorType::Internal,
            detail: format!("{:?} {:?}", self.dialect, self.expectation),
            broke: None,
            text: String::new(),
            usage: None,
            model: None,
            finish_reason: None,
            anomalies: Vec::new(),
            rate_limits: RateLimits::default(),
            request_id: None,
            status: None,
        }
    }
}
