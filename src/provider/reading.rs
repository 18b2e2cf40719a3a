//! What has been read of one answer so far, whatever its dialect.

use super::fault::{self, Fault};
use super::sse::Frame;
use super::{Anomaly, Dialect, ErrorType, Usage, anthropic, gemini, openai, page, responses};
use crate::model::Timestamp;

/// The limit on the text that is kept for checks; probes ask for far less.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// The limit on a model's name and a finish reason; real ones are shorter.
const WORD_BYTES_MAX: usize = 128;

/// The limit on an answer's id, into which relays write where they got it.
const ID_BYTES_MAX: usize = 1024;

/// Everything a grade needs to know.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) dialect: Dialect,
    /// The HTTP status, for errors inside the answer.
    pub(super) status: u16,
    /// When the answer began.
    pub(super) now: Timestamp,
    /// The text without reasoning.
    pub(super) text: String,
    /// How many events bore content.
    pub(super) content: u64,
    /// How many of them bore more than reasoning.
    pub(super) output: u64,
    pub(super) has_refused: bool,
    /// `finish_reason` or `stop_reason`, once one came.
    pub(super) finish: Option<String>,
    /// Of the first 64 choices those that were seen, and those that are finished.
    pub(super) choices_seen: u64,
    pub(super) choices_finished: u64,
    /// Whether the last event of the dialect came, where it has one.
    pub(super) has_done: bool,
    /// Whether the question itself was blocked.
    pub(super) has_blocked: bool,
    /// The number of the last event, where events are numbered.
    pub(super) sequence: Option<u64>,
    pub(super) usage: Option<Usage>,
    /// Whether the usage is the answer's whole usage.
    pub(super) is_usage_final: bool,
    /// Whether an event was larger than is read.
    pub(super) has_oversize: bool,
    pub(super) model: Option<String>,
    /// The answer's own id, where the dialect has no header for one, or others may continue it by that.
    pub(super) answer_id: Option<String>,
    pub(super) anomalies: Vec<Anomaly>,
    /// The first error the provider reported.
    pub(super) fault: Option<Fault>,
    /// The first thing that did not parse or had the wrong shape.
    pub(super) flaw: Option<Flaw>,
}

/// Something that does not parse or has the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) error_type: ErrorType,
    pub(super) detail: String,
}

/// What one event brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) has_content: bool,
    pub(super) has_output: bool,
    pub(super) is_keepalive: bool,
}

impl Step {
    pub(super) const KEEPALIVE: Self =
        Self { has_content: false, has_output: false, is_keepalive: true };
}

impl Reading {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            status: 0,
            now: Timestamp::default(),
            text: String::new(),
            content: 0,
            output: 0,
            has_refused: false,
            finish: None,
            choices_seen: 0,
            choices_finished: 0,
            has_done: false,
            has_blocked: false,
            sequence: None,
            usage: None,
            is_usage_final: false,
            has_oversize: false,
            model: None,
            answer_id: None,
            anomalies: Vec::new(),
            fault: None,
            flaw: None,
        }
    }

    /// Whether nothing that comes later changes the grade of a stream.
    pub(super) fn is_over(&self) -> bool {
        self.has_done || self.fault.is_some()
    }

    /// Whether every choice that was seen has its finish reason.
    pub(super) fn has_finished(&self) -> bool {
        self.choices_finished != 0 && self.choices_finished == self.choices_seen
    }

    /// Takes one frame of a stream.
    pub(super) fn frame(&mut self, frame: Frame) -> Step {
        let step = match frame {
            Frame::Comment => Step::KEEPALIVE,
            Frame::Oversize => {
                self.has_oversize = true;
                self.flawed(ErrorType::MalformedJson, || "an event is over 1 MiB".to_owned());
                Step::default()
            }
            Frame::Stray(text) => {
                match fault::read(&text, self.status, self.now) {
                    Some(fault) => self.faulted(fault),
                    None => self.odd(Anomaly::UnknownEvent),
                }
                Step::default()
            }
            Frame::Event { name, data } => self.event(&name, &data),
            // A last event without its blank line is taken if it is whole; if not, the missing end
            // of the stream tells more than the broken event.
            Frame::Tail { name, data } if is_whole(&data) => self.event(&name, &data),
            Frame::Tail { .. } => Step::default(),
        };
        self.content += u64::from(step.has_content);
        self.output += u64::from(step.has_output);
        step
    }

    fn event(&mut self, name: &str, data: &str) -> Step {
        if data.trim_ascii().is_empty() {
            return Step::KEEPALIVE;
        }
        match self.dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai => openai::event(self, name, data),
            Dialect::OpenaiResponses => responses::event(self, name, data),
            Dialect::AnthropicMessages => anthropic::event(self, name, data),
            Dialect::Gemini => gemini::event(self, name, data),
            Dialect::Http => Step::default(),
        }
    }

    /// Takes the body of an answer that was not streamed.
    pub(super) fn whole(&mut self, body: &str) {
        let step = match self.dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai => openai::whole(self, body),
            Dialect::OpenaiResponses => responses::whole(self, body),
            Dialect::AnthropicMessages => anthropic::whole(self, body),
            Dialect::Gemini => gemini::whole(self, body),
            Dialect::Http => page::whole(self, body),
        };
        self.content += u64::from(step.has_content);
        self.output += u64::from(step.has_output);
    }

    /// Keeps text for checks, as much of it as fits.
    pub(super) fn push_text(&mut self, text: &str) {
        let room = TEXT_BYTES_MAX - self.text.len();
        self.text.push_str(&text[..text.floor_char_boundary(room)]);
    }

    /// Notes the model that says it answers; the last one to say so counts.
    pub(super) fn answered_by(&mut self, model: &str) {
        if !model.is_empty() && self.model.as_deref() != Some(model) {
            self.model = Some(word(model));
        }
    }

    /// Notes the answer's own id.
    pub(super) fn identified_by(&mut self, id: &str) {
        if !id.is_empty() && self.answer_id.is_none() {
            self.answer_id = Some(id[..id.floor_char_boundary(ID_BYTES_MAX)].to_owned());
        }
    }

    pub(super) fn finished_by(&mut self, reason: &str) {
        self.finish = Some(word(reason));
    }

    pub(super) fn odd(&mut self, anomaly: Anomaly) {
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }

    pub(super) fn faulted(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Notes the error that an event reports, in a chunk or by its name.
    pub(super) fn faulted_by(&mut self, data: &str, what: &str) {
        let fault = fault::read(data, self.status, self.now);
        self.faulted(fault.unwrap_or_else(|| fault::bare(what)));
    }

    pub(super) fn flawed(&mut self, error_type: ErrorType, detail: impl FnOnce() -> String) {
        self.flaw.get_or_insert_with(|| Flaw { error_type, detail: detail() });
    }

    /// Notes why JSON could not be read. The parser's own words are not used: they quote values.
    pub(super) fn unreadable(&mut self, what: &str, error: &serde_json::Error) {
        let place = format!("line {} column {}", error.line(), error.column());
        if error.is_data() {
            self.flawed(ErrorType::SchemaMismatch, || {
                format!("{what} has a field of the wrong type ({place})")
            });
        } else {
            self.flawed(ErrorType::MalformedJson, || format!("{what} is not JSON ({place})"));
        }
    }
}

fn is_whole(data: &str) -> bool {
    data.trim_ascii() == "[DONE]" || serde_json::from_str::<serde::de::IgnoredAny>(data).is_ok()
}

fn word(text: &str) -> String {
    text[..text.floor_char_boundary(WORD_BYTES_MAX)].to_owned()
}
