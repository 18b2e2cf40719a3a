//! What does not survive, in one list.
//!
//! The code that tells a document in other words names what it loses from this list, and the list says
//! what becomes of it; `bellwether convert --table` prints the same list. A test has a document for each
//! row, and another holds that no field of a document vanishes without being named.

use super::Direction;
use super::further::FURTHER;

/// One thing that the other interface has no words for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Between which two.
    pub direction: Direction,
    /// In what kind of document it stands.
    pub within: Within,
    /// Its name: that of the field or of the type of a part; a value of the label `param`.
    pub name: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Where it stands and what the loss comes to, for a person.
    pub note: &'static str,
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Within {
    /// What the client asks.
    Request,
    /// What the provider answers, whole or as a stream.
    Answer,
    /// Why the provider refused.
    Error,
}

/// What becomes of something that has no words on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// The request is refused, however lenient: without it another question would be asked.
    Refused,
    /// Strictly, the request is refused; leniently, it is left out and named.
    Strictness,
    /// It is told by the nearest word that there is, and named.
    Changed,
    /// It is left out and named.
    LeftOut,
}

impl Within {
    /// A word for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Answer => "answer",
            Self::Error => "error",
        }
    }
}

impl Fate {
    /// A few words for a table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Strictness => "strict: refused; lenient: left out",
            Self::Changed => "changed",
            Self::LeftOut => "left out",
        }
    }
}

impl Loss {
    /// The names of what can be left out of a request, or changed in it, each once: the values of the
    /// label `param`.
    pub fn parameters(direction: Direction) -> impl Iterator<Item = &'static str> {
        let rows = LOSSES.iter().chain(&FURTHER).filter(move |loss| {
            let is_passed_over = loss.fate != Fate::Refused;
            loss.direction == direction && loss.within == Within::Request && is_passed_over
        });
        rows.map(|loss| loss.name)
    }

    /// The row of a name; that of everything else where it has none of its own.
    pub(super) fn find(
        direction: Direction,
        within: Within,
        name: &str,
        others: &str,
    ) -> &'static Self {
        let mut rows = LOSSES.iter().chain(&FURTHER).filter(|loss| {
            loss.direction == direction && loss.within == within && loss.fate != Fate::Refused
        });
        let row = rows.clone().find(|loss| loss.name == name);
        row.or_else(|| rows.find(|loss| loss.name == others))
            .expect("each kind of document has a row for everything else")
    }
}

/// For a parameter of a request that has no row.
pub(super) const OTHER: &str = "other";
/// For a field inside of something else that has no row.
pub(super) const OTHER_FIELDS: &str = "other_fields";

const fn request_to_messages(name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { direction: Direction::ChatToMessages, within: Within::Request, name, fate, note }
}

const fn request_to_chat(name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { direction: Direction::MessagesToChat, within: Within::Request, name, fate, note }
}

const fn answer_of_messages(name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { direction: Direction::ChatToMessages, within: Within::Answer, name, fate, note }
}

const fn answer_of_chat(name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { direction: Direction::MessagesToChat, within: Within::Answer, name, fate, note }
}

const fn error(direction: Direction, name: &'static str, fate: Fate, note: &'static str) -> Loss {
    Loss { direction, within: Within::Error, name, fate, note }
}

/// Everything that does not survive between the two that clients speak. `ChatToMessages` and
/// `MessagesToChat` say who the client and the provider are, so an answer goes the other way than its
/// request.
pub const LOSSES: [Loss; 74] = {
    use Fate::{Changed, LeftOut, Refused, Strictness};
    [
        request_to_messages("audio", Strictness, "how an answer shall sound"),
        request_to_messages("frequency_penalty", Strictness, ""),
        request_to_messages("function_call", Strictness, "the old form of `tool_choice`"),
        request_to_messages("functions", Strictness, "the old form of `tools`"),
        request_to_messages("logit_bias", Strictness, ""),
        request_to_messages("logprobs", Strictness, ""),
        request_to_messages("metadata", Strictness, "notes that OpenAI keeps with the answer"),
        request_to_messages("modalities", Strictness, "the answer is text"),
        request_to_messages("n", Strictness, "above 1; one answer is given"),
        request_to_messages("prediction", Strictness, ""),
        request_to_messages("presence_penalty", Strictness, ""),
        request_to_messages("prompt_cache_key", Strictness, ""),
        request_to_messages("reasoning_effort", Strictness, ""),
        request_to_messages(
            "response_format",
            Strictness,
            "other than `text`; nothing holds the answer to a form",
        ),
        request_to_messages("seed", Strictness, ""),
        request_to_messages("service_tier", Strictness, "the tiers are others"),
        request_to_messages("store", Strictness, ""),
        request_to_messages("temperature", Strictness, "above 1; becomes 1"),
        request_to_messages("top_logprobs", Strictness, ""),
        request_to_messages("verbosity", Strictness, ""),
        request_to_messages("other", Strictness, "any other parameter"),
        request_to_messages(
            "max_tokens",
            Changed,
            "where no limit is given it becomes 4096: Anthropic wants one",
        ),
        request_to_messages("system", Changed, "between turns; moves to the top"),
        request_to_messages("name", LeftOut, "`messages[].name`: who of several speaks"),
        request_to_messages("detail", LeftOut, "`image_url.detail`: how closely to look"),
        request_to_messages("strict", LeftOut, "`tools[].function.strict`"),
        request_to_messages("reasoning_content", LeftOut, "what the model thought in former turns"),
        request_to_messages("other_fields", LeftOut, "any other field inside of one that is told"),
        request_to_messages("input_audio", Refused, "a part of a message"),
        request_to_messages("file", Refused, "a part of a message"),
        request_to_messages("audio", Refused, "an answer that was heard, in `messages[]`"),
        request_to_messages("function_call", Refused, "the old form of a call, in `messages[]`"),
        request_to_messages("function", Refused, "the old form of a result, a role"),
        request_to_messages("custom", Refused, "a tool, or the call of one, without a schema"),
        request_to_chat("container", Strictness, ""),
        request_to_chat("context_management", Strictness, ""),
        request_to_chat("mcp_servers", Strictness, ""),
        request_to_chat("output_config", Strictness, "effort, and the form of the answer"),
        request_to_chat("service_tier", Strictness, "the tiers are others"),
        request_to_chat("thinking", Strictness, "unless it is `disabled`"),
        request_to_chat("top_k", Strictness, ""),
        request_to_chat("other", Strictness, "any other parameter"),
        request_to_chat("cache_control", LeftOut, "anywhere; the answer is the same, dearer"),
        request_to_chat("citations", LeftOut, "of texts"),
        request_to_chat("is_error", LeftOut, "of a tool's result; its text stays"),
        request_to_chat("strict", LeftOut, "of `tools[]`"),
        request_to_chat(
            "thinking_blocks",
            LeftOut,
            "what the model thought in former turns: signed for Anthropic alone",
        ),
        request_to_chat("other_fields", LeftOut, "any other field inside of one that is told"),
        request_to_chat("document", Refused, "a block of a message"),
        request_to_chat("search_result", Refused, "a block of a message"),
        request_to_chat("image", Refused, "inside of a tool's result"),
        request_to_chat(
            "server_tool_use",
            Refused,
            "what Anthropic itself ran, and what came of it",
        ),
        request_to_chat("web_search_20250305", Refused, "and every other tool that Anthropic runs"),
        answer_of_messages(
            "stop_reason",
            Changed,
            "`stop_sequence` becomes `stop`, `pause_turn` and `model_context_window_exceeded` `length`, an unknown one `stop`",
        ),
        answer_of_messages("stop_sequence", LeftOut, "which of them stopped it"),
        answer_of_messages("signature", LeftOut, "of thinking, so it cannot be continued"),
        answer_of_messages("redacted_thinking", LeftOut, ""),
        answer_of_messages("citations", LeftOut, "of texts"),
        answer_of_messages(
            "other_blocks",
            LeftOut,
            "what Anthropic itself ran, and what came of it",
        ),
        answer_of_messages(
            "cache_creation",
            LeftOut,
            "of `usage`: for how long caches were written",
        ),
        answer_of_messages("service_tier", LeftOut, "of `usage`"),
        answer_of_messages("other_fields", LeftOut, "any other field"),
        answer_of_chat("finish_reason", Changed, "an unknown one becomes `end_turn`"),
        answer_of_chat("choices", LeftOut, "all but the first"),
        answer_of_chat("logprobs", LeftOut, ""),
        answer_of_chat("created", LeftOut, ""),
        answer_of_chat("system_fingerprint", LeftOut, ""),
        answer_of_chat("service_tier", LeftOut, ""),
        answer_of_chat("annotations", LeftOut, "of the message: what it cites"),
        answer_of_chat("completion_tokens_details", LeftOut, "of `usage`; the sum stays"),
        answer_of_chat("other_fields", LeftOut, "any other field"),
        error(Direction::ChatToMessages, "other_fields", LeftOut, "all but type and message"),
        error(
            Direction::MessagesToChat,
            "type",
            Changed,
            "by status, code and type to Anthropic's types",
        ),
        error(Direction::MessagesToChat, "other_fields", LeftOut, "all but the message"),
    ]
};
