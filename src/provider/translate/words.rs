//! What both directions share: how strict they are, and what one word is in the other interface.

use serde_json::{Map, Value, json};

use super::ledger::{At, Ledger, Lost};
use super::losses::OTHER_REASONS;

/// Who speaks what: the client first, then the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// OpenAI's chat completions to Anthropic's messages.
    ChatToMessages,
    /// Anthropic's messages to OpenAI's chat completions.
    MessagesToChat,
    /// OpenAI's chat completions to Google's Gemini.
    ChatToGemini,
    /// Anthropic's messages to Google's Gemini.
    MessagesToGemini,
    /// OpenAI's chat completions to OpenAI's responses.
    ChatToResponses,
    /// Anthropic's messages to OpenAI's responses.
    MessagesToResponses,
}

impl Direction {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ChatToMessages,
        Self::MessagesToChat,
        Self::ChatToGemini,
        Self::MessagesToGemini,
        Self::ChatToResponses,
        Self::MessagesToResponses,
    ];

    /// The value of the label `direction`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChatToMessages => "chat_to_messages",
            Self::MessagesToChat => "messages_to_chat",
            Self::ChatToGemini => "chat_to_gemini",
            Self::MessagesToGemini => "messages_to_gemini",
            Self::ChatToResponses => "chat_to_responses",
            Self::MessagesToResponses => "messages_to_responses",
        }
    }

    /// Whether the client speaks Anthropic's messages, and otherwise chat completions.
    pub fn is_for_messages(self) -> bool {
        match self {
            Self::MessagesToChat | Self::MessagesToGemini | Self::MessagesToResponses => true,
            Self::ChatToMessages | Self::ChatToGemini | Self::ChatToResponses => false,
        }
    }
}

/// What becomes of a parameter that the other side has no word for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The request is refused, and the parameter named.
    #[default]
    Strict,
    /// It is left out, and counted by name.
    Lenient,
}

/// A document in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// JSON.
    pub body: Vec<u8>,
    /// What was left out or changed, in the order in which it was met.
    pub lost: Vec<Lost>,
}

impl Translated {
    pub(super) fn new(body: &Value, ledger: Ledger) -> Self {
        Self { body: body.to_string().into_bytes(), lost: ledger.finish() }
    }
}

/// Why a document cannot be told in other words. No message holds more of it than names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It is no JSON, for this reason at this line and column.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// It is JSON, but not what the interface knows.
    #[error("the body is not a document of this interface: it is no JSON object")]
    NotAnObject,
    /// A field is missing or has the wrong form.
    #[error("the field `{0}` is missing or of the wrong form")]
    Field(String),
    /// The other interface has no such parameter.
    #[error("the parameter `{0}` has no counterpart in the provider's dialect")]
    Parameter(String),
    /// A part of a message has no counterpart, whose loss would change what is asked.
    #[error("a part of type `{kind}` has no counterpart in the provider's dialect (`{at}`)")]
    Part {
        /// What it calls itself.
        kind: String,
        /// Where it stands.
        at: String,
    },
}

/// A field is missing or has the wrong form.
pub(super) fn wrong(at: &At<'_>) -> Untranslatable {
    Untranslatable::Field(at.to_string())
}

/// Reads a document.
pub(super) fn read(body: &[u8]) -> Result<Map<String, Value>, Untranslatable> {
    // A byte order mark is no white space of JSON's, and some programs write one.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Untranslatable::NotAnObject),
        Err(error) => Err(Untranslatable::NotJson(error.to_string())),
    }
}

/// Copies a field that means the same on both sides.
pub(super) fn copy(from: &Map<String, Value>, name: &str, to: &mut Value, other: &str) {
    if let Some(value) = from.get(name).filter(|value| !value.is_null()) {
        to[other] = value.clone();
    }
}

/// A word of one side in the other's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reason {
    word: &'static str,
    fit: Fit,
}

/// How well a word says what was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    /// It says the same.
    Exact,
    /// It is the nearest that there is.
    Nearest,
    /// Nobody knew what was said when this was written.
    Unknown,
}

impl Reason {
    /// The row of what was lost, if it is not that of unknown reasons.
    pub fn lost(self, row: &'static str) -> Option<&'static str> {
        match self.fit {
            Fit::Exact => None,
            Fit::Nearest => Some(row),
            Fit::Unknown => Some(OTHER_REASONS),
        }
    }
}

const fn exact(word: &'static str) -> Reason {
    Reason { word, fit: Fit::Exact }
}

const fn nearest(word: &'static str) -> Reason {
    Reason { word, fit: Fit::Nearest }
}

const fn unknown(word: &'static str) -> Reason {
    Reason { word, fit: Fit::Unknown }
}

/// Anthropic's stop reason in OpenAI's words. An unfinished turn is not said to be complete, and a
/// reason that is missing stays missing.
pub(super) fn finish_reason(stop_reason: Option<&str>) -> Option<Reason> {
    Some(match stop_reason? {
        "end_turn" => exact("stop"),
        "max_tokens" => exact("length"),
        "pause_turn" | "model_context_window_exceeded" => nearest("length"),
        "tool_use" => exact("tool_calls"),
        "refusal" => exact("content_filter"),
        "stop_sequence" => nearest("stop"),
        _ => unknown("stop"),
    })
}

/// OpenAI's finish reason in Anthropic's words.
pub(super) fn stop_reason(finish_reason: Option<&str>) -> Option<Reason> {
    Some(match finish_reason? {
        "stop" => exact("end_turn"),
        "length" => exact("max_tokens"),
        "tool_calls" | "function_call" => exact("tool_use"),
        "content_filter" => exact("refusal"),
        _ => unknown("end_turn"),
    })
}

/// A reason as JSON.
pub(super) fn said(reason: Option<Reason>) -> Value {
    reason.map_or(Value::Null, |reason| json!(reason.word))
}

/// Anthropic's usage in OpenAI's words: what was read from or written to a cache is input too.
pub(super) fn usage_of_chat(usage: &Value) -> Value {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let cached = count("cache_read_input_tokens");
    let written = count("cache_creation_input_tokens");
    let input = count("input_tokens").saturating_add(cached).saturating_add(written);
    let output = count("output_tokens");
    let mut details = json!({"cached_tokens": cached});
    if written > 0 {
        details["cache_write_tokens"] = json!(written);
    }
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": details,
    })
}

/// OpenAI's usage in Anthropic's words: what was read from or written to a cache stands apart.
pub(super) fn usage_of_messages(usage: &Value) -> Value {
    let detail = |name: &str| usage["prompt_tokens_details"][name].as_u64().unwrap_or_default();
    let (cached, written) = (detail("cached_tokens"), detail("cache_write_tokens"));
    let input = usage["prompt_tokens"].as_u64().unwrap_or_default();
    json!({
        "input_tokens": input.saturating_sub(cached).saturating_sub(written),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": written,
        "output_tokens": usage["completion_tokens"].as_u64().unwrap_or_default(),
    })
}
