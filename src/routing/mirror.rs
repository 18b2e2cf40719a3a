//! Copies of stable's requests for a target that is tried out: which requests may be copied, and why
//! one that was drawn was not.
//!
//! A copy is for nobody: its answer is graded, held against stable's and dropped. It must cost nobody
//! time or room, so whatever is full, broken or spent drops it, and counts it by the reason.
//!
//! A copy must do nothing either that the request itself does. Tools that the client runs are safe: the
//! copy's answer never reaches one. What the provider itself runs or keeps is not: a search is paid for,
//! a connector may write, a stored answer is state. Such requests are not copied. A tool of a type that
//! is not known here is taken for one that the provider runs.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Share, Surface};
use crate::model::TargetId;
use crate::probe::{Budget, Timeouts};

/// What is copied, where to, and within which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Who gets the copies; the candidate of the route's release where nobody is named.
    pub to: Option<TargetId>,
    /// The share of stable's requests that is copied.
    pub share: Share,
    /// How many copies may be under way.
    pub in_flight_max: u32,
    /// How many more may wait for their turn.
    pub queued_max: u32,
    /// When a copy is given up.
    pub timeouts: Timeouts,
    /// What copies may cost.
    pub budget: Budget,
    /// Whether what comes of copies is evidence for the release, as live requests are.
    pub is_evidence: bool,
}

/// Why a request that was drawn was not copied, or its copy not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Uncopied {
    /// Its client marked it so.
    Marked,
    /// The provider would run or keep something for it.
    SideEffects,
    /// There is nobody to send it to: no candidate, or none that answers at this interface.
    NoTarget,
    /// The target's interface has no words for it.
    Untranslatable,
    /// The target failed often in a row.
    CircuitOpen,
    /// The budget has no room for it.
    Budget,
    /// Too many copies wait.
    QueueFull,
    /// Copies hold as much memory as they may.
    Memory,
    /// It waited too long for its turn.
    Late,
}

impl Uncopied {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Marked,
        Self::SideEffects,
        Self::NoTarget,
        Self::Untranslatable,
        Self::CircuitOpen,
        Self::Budget,
        Self::QueueFull,
        Self::Memory,
        Self::Late,
    ];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::SideEffects => "side_effects",
            Self::NoTarget => "no_target",
            Self::Untranslatable => "untranslatable",
            Self::CircuitOpen => "circuit_open",
            Self::Budget => "budget",
            Self::QueueFull => "queue_full",
            Self::Memory => "memory",
            Self::Late => "late",
        }
    }
}

/// What of a request tells whether the provider does more than answer, and how long an answer may be.
#[derive(Deserialize)]
struct Fields<'a> {
    tools: Option<Vec<Value>>,
    store: Option<bool>,
    background: Option<bool>,
    #[serde(borrow)]
    web_search_options: Option<&'a RawValue>,
    #[serde(borrow)]
    mcp_servers: Option<&'a RawValue>,
    #[serde(borrow)]
    container: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    conversation: Option<&'a RawValue>,
}

/// Tools that the client runs, by how their types begin.
const OF_CLIENTS: [&str; 10] = [
    "function",
    "custom",
    "bash_",
    "text_editor_",
    "computer_",
    "memory_",
    "local_shell",
    "shell",
    "apply_patch",
    "namespace",
];

/// Whether a copy of a request would do nothing but be answered. What cannot be read is not copied.
pub fn may_copy(surface: Surface, body: &[u8]) -> bool {
    match surface {
        // They count or encode, and keep nothing.
        Surface::CountTokens | Surface::Embeddings => return true,
        Surface::Chat | Surface::Messages | Surface::Responses => {}
    }
    let Ok(fields) = serde_json::from_slice::<Fields<'_>>(body) else { return false };
    // Responses are kept unless told otherwise, chat completions if told so.
    let is_kept = fields.store.unwrap_or(surface == Surface::Responses);
    let leans_on_state = [
        fields.web_search_options,
        fields.mcp_servers,
        fields.container,
        fields.previous_response_id,
        fields.conversation,
    ];
    let says_something = |raw: &RawValue| !matches!(raw.get(), "null" | "[]");
    !is_kept
        && fields.background != Some(true)
        && !leans_on_state.into_iter().flatten().any(says_something)
        && fields.tools.unwrap_or_default().iter().all(is_of_the_client)
}

/// Anthropic's own tools of clients have a type or none; those of OpenAI always have one.
fn is_of_the_client(tool: &Value) -> bool {
    match tool.get("type") {
        None => true,
        Some(kind) => {
            kind.as_str().is_some_and(|kind| OF_CLIENTS.iter().any(|known| kind.starts_with(known)))
        }
    }
}

/// How long an answer the client allows, in tokens.
pub fn tokens_max(body: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Limits {
        max_tokens: Option<u64>,
        max_completion_tokens: Option<u64>,
        max_output_tokens: Option<u64>,
    }
    let limits: Limits = serde_json::from_slice(body).ok()?;
    limits.max_completion_tokens.or(limits.max_tokens).or(limits.max_output_tokens)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_would_run_or_keep_is_not_copied() {
        use Surface::*;
        for (surface, body, expected) in [
            (Chat, r#"{"model":"m","messages":[]}"#, true),
            (Chat, r#"{"tools":[{"type":"function","function":{"name":"f"}}]}"#, true),
            (Chat, r#"{"tools":[{"type":"custom","custom":{"name":"f"}}]}"#, true),
            (Chat, r#"{"store":true}"#, false),
            (Chat, r#"{"store":false,"web_search_options":{}}"#, false),
            (Chat, r#"{"tools":[{"type":"web_search"}]}"#, false),
            (Messages, r#"{"tools":[{"name":"f","input_schema":{}}]}"#, true),
            (Messages, r#"{"tools":[{"type":"bash_20250124","name":"bash"}]}"#, true),
            (Messages, r#"{"tools":[{"type":"web_search_20250305","name":"w"}]}"#, false),
            (Messages, r#"{"tools":[{"name":"f"},{"type":"code_execution_20250825"}]}"#, false),
            (Messages, r#"{"mcp_servers":[{"type":"url","url":"https://mcp.example"}]}"#, false),
            (Messages, r#"{"mcp_servers":[],"container":null}"#, true),
            (Responses, r#"{"input":"a"}"#, false),
            (Responses, r#"{"input":"a","store":false}"#, true),
            (Responses, r#"{"store":false,"previous_response_id":"resp_1"}"#, false),
            (Responses, r#"{"store":false,"background":true}"#, false),
            (Responses, r#"{"store":false,"tools":[{"type":"image_generation"}]}"#, false),
            (Responses, r#"{"store":false,"tools":[{"type":7}]}"#, false),
            (Embeddings, r#"{"input":"a"}"#, true),
            (Chat, r#"{"tools":"all"}"#, false),
            (Chat, "[", false),
        ] {
            assert_eq!(may_copy(surface, body.as_bytes()), expected, "{surface:?} {body}");
        }
    }

    #[test]
    fn the_limit_of_an_answer_is_read_under_each_of_its_names() {
        for (body, expected) in [
            (r#"{"max_tokens":5}"#, Some(5)),
            (r#"{"max_completion_tokens":6,"max_tokens":5}"#, Some(6)),
            (r#"{"max_output_tokens":7}"#, Some(7)),
            (r#"{"max_tokens":null}"#, None),
            (r#"{"max_tokens":-1}"#, None),
            ("{}", None),
        ] {
            assert_eq!(tokens_max(body.as_bytes()), expected, "{body}");
        }
    }
}
