//! Watches one answer as it passes.
//!
//! Bytes go in as they come off the wire, cut anywhere; the grade is the same for every cut. Nothing
//! is copied from an event but its text, and nothing grows without bound: an event has 1 MiB, a
//! whole body 8 MiB, an error's body 64 KiB, the text that is kept 64 KiB.
//!
//! Awkward cases. A stream is over at `[DONE]`, `message_stop` or an error; what follows is ignored,
//! so a socket that then stays open or breaks harms no grade. `finish_reason` does not end the exam,
//! since usage, or an error, may follow. Malformed events do not end it either: an error or the
//! missing end of the stream says more. A streamed question that is answered with something other
//! than a stream is looked through for an error before its content type is blamed.

use super::fault::{self, FAULT_BYTES_MAX};
use super::grade::grade;
use super::head::Facts;
use super::reading::{Flaw, Reading};
use super::redact::redact;
use super::sse::{Decoder, Frame};
use super::{Anomaly, Dialect, ErrorType, Grade, Head, Provider, UsageWish};

/// The limit on an answer that comes whole.
const BODY_BYTES_MAX: usize = 8 << 20;

/// What must have come for a stream to count as complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Terminal {
    /// OpenAI chat and Azure: a `finish_reason` or `[DONE]`. Responses: its last event. Anthropic:
    /// `message_stop`. Gemini: a `finishReason`.
    #[default]
    Lenient,
    /// OpenAI chat and Azure: a `finish_reason` and `[DONE]`. Responses: its last event, and no
    /// number left out before it. Anthropic: a `stop_reason` and `message_stop`. Gemini: a
    /// `finishReason` and the end of the body.
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

impl Expectation {
    /// What a provider's answer for one of its models is held against.
    pub fn of(provider: &Provider, model: &str, is_streamed: bool) -> Self {
        Self {
            is_streamed,
            model: provider.answering_model(model).to_owned(),
            terminal: provider.wire.terminal,
            wants_usage: provider.wire.usage == UsageWish::Asked
                && provider.dialect != Dialect::Http,
        }
    }
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

/// The decoder and grader of one answer.
#[derive(Debug)]
pub struct Exam {
    pub(super) expectation: Expectation,
    pub(super) facts: Option<Facts>,
    pub(super) reading: Reading,
    pub(super) mode: Mode,
    /// How the exchange ended, once it has.
    pub(super) ending: Option<Ending>,
}

/// How the body is read.
#[derive(Debug)]
pub(super) enum Mode {
    /// No head has come.
    Waiting,
    /// As server-sent events.
    Stream(Decoder),
    /// Gathered, and read as one at its end.
    Body {
        bytes: Vec<u8>,
        bytes_max: usize,
        /// Whether more came than may be gathered.
        is_over: bool,
    },
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Clean,
    Broken(ErrorType),
}

impl Exam {
    /// An exam that has seen nothing yet.
    pub fn new(dialect: Dialect, expectation: Expectation) -> Self {
        Self {
            expectation,
            facts: None,
            reading: Reading::new(dialect),
            mode: Mode::Waiting,
            ending: None,
        }
    }

    /// Takes the status and headers. Only the first head counts.
    pub fn head(&mut self, head: &Head) {
        if self.facts.is_some() {
            return;
        }
        let facts = Facts::new(head);
        self.reading.status = facts.status;
        self.reading.now = head.now;
        self.mode = if facts.is_success() && self.expectation.is_streamed && facts.is_stream() {
            Mode::Stream(Decoder::default())
        } else {
            let is_answer = facts.is_success() && !self.expectation.is_streamed;
            let bytes_max = if is_answer { BODY_BYTES_MAX } else { FAULT_BYTES_MAX };
            Mode::Body { bytes: Vec::new(), bytes_max, is_over: false }
        };
        self.facts = Some(facts);
    }

    /// Takes the next bytes of the body, however they were cut. What comes before a head or after
    /// the end is ignored. A body that is not a stream shows no progress until it has ended.
    pub fn bytes(&mut self, chunk: &[u8]) -> Progress {
        let mut progress = Progress::default();
        if self.ending.is_none() {
            match &mut self.mode {
                Mode::Waiting => {}
                Mode::Stream(decoder) => decoder.feed(chunk, &mut |frame| {
                    take(&mut self.reading, frame, &mut progress);
                }),
                Mode::Body { bytes, bytes_max, is_over } => {
                    if !*is_over && bytes.len() + chunk.len() <= *bytes_max {
                        bytes.extend_from_slice(chunk);
                    } else {
                        *bytes = Vec::new();
                        *is_over = true;
                    }
                }
            }
        }
        progress.is_over = self.is_over();
        progress.has_finish = !progress.is_over && self.is_complete();
        progress
    }

    /// The body ended as HTTP says it should.
    pub fn end(&mut self) {
        if self.ending.is_some() {
            return;
        }
        self.ending = Some(Ending::Clean);
        match &mut self.mode {
            Mode::Waiting => {}
            Mode::Stream(decoder) => decoder.end(&mut |frame| {
                take(&mut self.reading, frame, &mut Progress::default());
            }),
            Mode::Body { bytes, is_over, .. } => {
                let bytes = std::mem::take(bytes);
                if let Some(facts) = &self.facts {
                    let body = (!*is_over).then_some(&*bytes);
                    read_body(&mut self.reading, facts, body, self.expectation.is_streamed);
                }
            }
        }
    }

    /// The exchange ended in a failure that the caller saw: transport, timeout, cancellation. After
    /// the end, or once nothing can change the grade, it is no failure of the answer.
    pub fn broke(&mut self, failure: ErrorType) {
        if self.ending.is_none() {
            self.ending = Some(Ending::Broken(failure));
        }
    }

    /// Whether any content has come; for an answer that is not streamed, once it has ended.
    pub fn has_content(&self) -> bool {
        self.reading.content > 0
    }

    /// The answer's own id, once it came (see [`Grade::answer_id`]).
    pub fn answer_id(&self) -> Option<&str> {
        self.reading.answer_id.as_deref()
    }

    /// Whether more came in one piece than is read. That is no answer to a short question; for others
    /// it says that what was seen is not all.
    pub fn is_too_large(&self) -> bool {
        match &self.mode {
            Mode::Waiting => false,
            Mode::Stream(_) => self.reading.has_oversize,
            // In place of a stream it is something else, whatever its size.
            Mode::Body { is_over, .. } => *is_over && !self.expectation.is_streamed,
        }
    }

    /// Grades what was seen. An exchange that neither ended nor broke counts as ended.
    pub fn finish(mut self) -> Grade {
        self.end();
        grade(self)
    }

    fn is_over(&self) -> bool {
        match &self.mode {
            Mode::Waiting => false,
            Mode::Stream(_) => self.reading.is_over(),
            Mode::Body { is_over, .. } => *is_over,
        }
    }

    /// Whether a stream has the evidence that it is all there.
    pub(super) fn is_complete(&self) -> bool {
        let reading = &self.reading;
        let is_strict = self.expectation.terminal == Terminal::Strict;
        if !matches!(self.mode, Mode::Stream(_)) {
            return false;
        }
        match reading.dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai if is_strict => {
                reading.has_done && reading.has_finished()
            }
            Dialect::OpenaiChat | Dialect::AzureOpenai => {
                reading.has_done || reading.has_finished()
            }
            Dialect::OpenaiResponses => {
                reading.has_done
                    && !(is_strict && reading.anomalies.contains(&Anomaly::SequenceGap))
            }
            Dialect::AnthropicMessages => {
                reading.has_done && !(is_strict && reading.finish.is_none())
            }
            // A page has no stream.
            Dialect::Http => false,
            Dialect::Gemini => {
                let has_ended = self.ending == Some(Ending::Clean);
                (reading.has_blocked || reading.has_finished()) && (has_ended || !is_strict)
            }
        }
    }
}

fn take(reading: &mut Reading, frame: Frame, progress: &mut Progress) {
    if reading.is_over() {
        return;
    }
    let step = reading.frame(frame);
    progress.content += u32::from(step.has_content);
    progress.output += u32::from(step.has_output);
    progress.keepalives += u32::from(step.is_keepalive);
}

/// Reads a body that is not a stream; `None` where it was too long to be gathered.
fn read_body(reading: &mut Reading, facts: &Facts, body: Option<&[u8]>, is_streamed: bool) {
    let text = body.map(String::from_utf8_lossy);
    let text = text.as_deref().map(|text| text.trim_start_matches('\u{feff}'));
    let media = facts.media.as_deref();
    if let (Dialect::Http, Some(text)) = (reading.dialect, text) {
        reading.whole(text);
    }
    if !facts.is_success() {
        let fault = text.and_then(|text| fault::read(text, facts.status, facts.now));
        reading.faulted(fault.unwrap_or_else(|| fault::of_status(facts.status, media)));
        return;
    }
    let wrong_type = || match media {
        Some(media) => format!("content type `{}`", redact(media, 80)),
        None => "no content type".to_owned(),
    };
    if is_streamed {
        match text.and_then(|text| fault::read(text, facts.status, facts.now)) {
            Some(fault) => reading.faulted(fault),
            None => reading.flawed(ErrorType::WrongContentType, wrong_type),
        }
        return;
    }
    if reading.dialect == Dialect::Http && text.is_some() {
        return;
    }
    let Some(text) = text else {
        reading.flawed(ErrorType::MalformedJson, || "the body is over 8 MiB".to_owned());
        return;
    };
    reading.whole(text);
    // What names itself something else and does not parse is something else.
    if !facts.is_json()
        && let Some(flaw) = &mut reading.flaw
        && flaw.error_type == ErrorType::MalformedJson
    {
        *flaw = Flaw { error_type: ErrorType::WrongContentType, detail: wrong_type() };
    }
}
