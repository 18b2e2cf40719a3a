//! How a dialect says things: frames of a stream, whole bodies, errors, headers.

use serde_json::Value;

use super::answer::{Content, Finish};
use super::azure::Azure;
use super::chat::Chat;
use super::gemini::Gemini;
use super::messages::Messages;
use super::page::Page;
use super::question::Question;
use super::responses::Responses;
use crate::model::Timestamp;
use crate::provider::Dialect;

/// One answer's words in one dialect.
pub(super) trait Voice {
    /// What a stream begins with, before any content.
    fn opening(&self, content: &Content) -> Vec<Frame>;
    /// One token.
    fn piece(&self, text: &str) -> Frame;
    /// A refusal in words; a dialect that has no frame for it says nothing.
    fn refusal(&self, text: &str) -> Option<Frame>;
    /// The reason for the end, told before the end, where a dialect can tell it so.
    fn early_finish(&self) -> Option<Frame>;
    /// What follows the content: the reason for the end, and usage where it is reported.
    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame>;
    /// The very end, where the dialect has one beside its closing.
    fn end(&self) -> Option<Frame>;
    /// What keeps a connection alive and says nothing.
    fn keepalive(&self) -> Frame;
    /// A frame with a field of the wrong type.
    fn misshapen(&self) -> Frame;
    /// An error inside a stream, as it goes on the wire; `error` is the body of one beside it.
    fn failure(&self, error: &Value) -> String;
    /// A whole body.
    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value;
    /// A whole body with a field of the wrong type.
    fn misshapen_whole(&self) -> Value;
}

/// Whether and where usage is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Usage {
    /// As the dialect does.
    Reported,
    /// On the last chunk that has choices, as some relays do.
    WithChoices,
    /// Not at all.
    Missing,
}

/// A line or two of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    /// An event with JSON, named or not.
    Json(Option<&'static str>, Value),
    /// An event with other text.
    Text(&'static str),
    /// A comment, which says nothing.
    Comment(&'static str),
}

impl Frame {
    /// The bytes, with this line ending.
    pub fn render(&self, line_end: &str) -> String {
        match self {
            Self::Json(None, json) => format!("data: {json}{line_end}{line_end}"),
            Self::Json(Some(event), json) => {
                format!("event: {event}{line_end}data: {json}{line_end}{line_end}")
            }
            Self::Text(text) => format!("data: {text}{line_end}{line_end}"),
            Self::Comment(text) => format!(": {text}{line_end}{line_end}"),
        }
    }
}

/// The facts that every frame of one answer repeats.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    /// The number of the question, which makes the ids.
    pub number: u64,
    /// The simulator's port, in the ids of what others may continue.
    pub home: u16,
    /// The model that answers.
    pub model: String,
    /// When, for `created`.
    pub now: Timestamp,
    pub prompt_tokens: u32,
    /// Whether usage was asked for.
    pub wants_usage: bool,
}

impl Facts {
    /// The facts of the answer to a question.
    pub fn of(question: &Question, home: u16, number: u64, now: Timestamp) -> Self {
        Self {
            number,
            home,
            model: question.model.clone(),
            now,
            prompt_tokens: question.prompt_tokens,
            wants_usage: question.wants_usage,
        }
    }

    /// The voice of a dialect.
    pub fn voice(self, dialect: Dialect) -> Box<dyn Voice> {
        match dialect {
            Dialect::OpenaiChat => Box::new(Chat(self)),
            Dialect::OpenaiResponses => Box::new(Responses::new(self)),
            Dialect::AnthropicMessages => Box::new(Messages(self)),
            Dialect::AzureOpenai => Box::new(Azure::new(self)),
            Dialect::Gemini => Box::new(Gemini(self)),
            Dialect::Http => Box::new(Page),
        }
    }
}

/// What an error body tells beside the status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// What the status says.
    Status(u16),
    /// Out of credit.
    Quota,
    /// What shall be continued is not there.
    PreviousNotFound,
}
