//! What both directions share: how strict they are, and what one word is in the other interface.

use serde_json::{Map, Value, json};

/// Who speaks what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// The client speaks OpenAI's chat completions, the provider Anthropic's messages.
    ToMessages,
    /// The client speaks Anthropic's messages, the provider OpenAI's chat completions.
    ToChat,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::ToMessages, Self::ToChat];

    /// The value of the label `direction`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ToMessages => "chat_to_messages",
            Self::ToChat => "messages_to_chat",
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

/// A request in other words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translated {
    /// JSON.
    pub body: Vec<u8>,
    /// What was left out, each of [`Untranslated::PARAMETERS`].
    pub left_out: Vec<&'static str>,
}

/// Why a request cannot be told in other words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untranslatable {
    /// It is no request of the interface.
    #[error("the body is not a request of this interface")]
    NotReadable,
    /// A field is missing or has the wrong form.
    #[error("the field `{0}` is missing or of the wrong form")]
    Field(&'static str),
    /// The provider's interface has no such parameter.
    #[error("the parameter `{0}` has no counterpart at the provider of this route")]
    Parameter(String),
    /// A part of a message has no counterpart, whose loss would change what is asked.
    #[error("a part of type `{0}` has no counterpart at the provider of this route")]
    Part(String),
}

/// Parameters that one interface has and the other lacks, by name: a closed list, for a label.
#[derive(Clone, Copy, Debug)]
pub struct Untranslated;

impl Untranslated {
    /// Each of them, and `other` for what is not known here.
    pub const PARAMETERS: [&'static str; 26] = [
        "audio",
        "context_management",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "mcp_servers",
        "metadata",
        "modalities",
        "n",
        "output_config",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "reasoning_effort",
        "response_format",
        "seed",
        "service_tier",
        "store",
        "temperature",
        "thinking",
        "top_k",
        "top_logprobs",
        "verbosity",
        "other",
    ];
}

/// Collects what is left out.
#[derive(Debug)]
pub(super) struct LeftOut {
    strictness: Strictness,
    names: Vec<&'static str>,
}

impl LeftOut {
    pub(super) fn new(strictness: Strictness) -> Self {
        Self { strictness, names: Vec::new() }
    }

    /// Leaves a parameter out, or refuses the request for it.
    pub(super) fn parameter(&mut self, name: &str) -> Result<(), Untranslatable> {
        if self.strictness == Strictness::Strict {
            return Err(Untranslatable::Parameter(name.chars().take(64).collect()));
        }
        let known = Untranslated::PARAMETERS.into_iter().find(|known| *known == name);
        let name = known.unwrap_or("other");
        if !self.names.contains(&name) {
            self.names.push(name);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Vec<&'static str> {
        self.names.sort_unstable();
        self.names
    }
}

/// What both directions know of a request: what is read by a rule of its own, and what passes.
pub(super) fn others_refused(
    body: &Map<String, Value>,
    known: &[&str],
    left_out: &mut LeftOut,
) -> Result<(), Untranslatable> {
    let unknown =
        body.iter().filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null());
    for (name, _) in unknown {
        left_out.parameter(name)?;
    }
    Ok(())
}

/// Copies a field that means the same on both sides.
pub(super) fn copy(from: &Map<String, Value>, name: &str, to: &mut Value, other: &str) {
    if let Some(value) = from.get(name).filter(|value| !value.is_null()) {
        to[other] = value.clone();
    }
}

/// Anthropic's stop reason in OpenAI's words. An unfinished turn is not said to be complete, and a
/// reason that is missing stays missing.
pub(super) fn finish_reason(stop_reason: Option<&str>) -> Value {
    match stop_reason {
        None => Value::Null,
        Some("max_tokens" | "pause_turn" | "model_context_window_exceeded") => json!("length"),
        Some("tool_use") => json!("tool_calls"),
        Some("refusal") => json!("content_filter"),
        // `end_turn`, `stop_sequence`, and names that nobody knew when this was written.
        Some(_) => json!("stop"),
    }
}

/// OpenAI's finish reason in Anthropic's words.
pub(super) fn stop_reason(finish_reason: Option<&str>) -> Value {
    match finish_reason {
        None => Value::Null,
        Some("length") => json!("max_tokens"),
        Some("tool_calls" | "function_call") => json!("tool_use"),
        Some("content_filter") => json!("refusal"),
        Some(_) => json!("end_turn"),
    }
}

/// Anthropic's usage in OpenAI's words: what was read from or written to a cache is input too.
pub(super) fn usage_of_chat(usage: &Value) -> Value {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let cached = count("cache_read_input_tokens");
    let written = count("cache_creation_input_tokens");
    let input = count("input_tokens").saturating_add(cached).saturating_add(written);
    let output = count("output_tokens");
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {"cached_tokens": cached},
    })
}

/// OpenAI's usage in Anthropic's words: what was read from a cache stands apart.
pub(super) fn usage_of_messages(usage: &Value) -> Value {
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or_default();
    let input = usage["prompt_tokens"].as_u64().unwrap_or_default();
    json!({
        "input_tokens": input.saturating_sub(cached),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage["completion_tokens"].as_u64().unwrap_or_default(),
    })
}
