//! `openai_chat`: chunks and whole completions, as OpenAI, Azure and relays write them.
//!
//! What relays get wrong and users do not notice is taken: empty `finish_reason`, usage on any
//! chunk (the last counts, they are cumulative), chunks without `delta`, an `error` that says
//! nothing. A `finish_reason` of `error` is an error frame: to read it as `stop` would hide it.

use serde::Deserialize;

use super::json::{Count, Text, Truth};
use super::reading::{Reading, Step};
use super::{Anomaly, ErrorType, Usage};
use crate::price::Service;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    usage: Option<UsageBody>,
    #[serde(default)]
    error: Truth,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
    /// No chunk has it; events of other protocols do.
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<Count>,
    #[serde(borrow)]
    delta: Option<Message<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
    #[serde(default)]
    error: Truth,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(default)]
    refusal: Truth,
    /// DeepSeek's name for reasoning, which most engines took over.
    #[serde(default)]
    reasoning_content: Truth,
    /// OpenRouter's name for it.
    #[serde(default)]
    reasoning: Truth,
    tool_calls: Option<Vec<ToolCall>>,
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct ToolCall {
    function: Option<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: Truth,
    #[serde(default)]
    arguments: Truth,
}

#[derive(Deserialize)]
struct UsageBody {
    prompt_tokens: Option<Count>,
    completion_tokens: Option<Count>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<Count>,
}

/// The little that is read of a chunk whose shape is wrong.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(default)]
    error: Truth,
    #[serde(borrow)]
    object: Option<Text<'a>>,
}

/// Takes one event of a stream; `data` is not empty.
pub(super) fn event(reading: &mut Reading, name: &str, data: &str) -> Step {
    if data.trim_ascii() == "[DONE]" {
        reading.has_done = true;
        return Step::default();
    }
    match name {
        "error" => {
            reading.faulted_by(data, "an event named `error`");
            return Step::default();
        }
        "ping" | "keepalive" | "keep-alive" | "heartbeat" => return Step::KEEPALIVE,
        _ => {}
    }
    let chunk = match serde_json::from_str::<Chunk>(data) {
        Ok(chunk) => chunk,
        Err(error) => {
            misshapen(reading, data, "a chunk", &error);
            return Step::default();
        }
    };
    if is_fault(&chunk) {
        reading.faulted_by(data, "a chunk with an error");
        return Step::default();
    }
    reading.answered_by(Text::of(&chunk.model));
    let usage = used(&chunk);
    let Some(choices) = chunk.choices else {
        let is_foreign = !name.is_empty() || chunk.kind.is_some();
        match (usage, is_foreign) {
            (Some(usage), _) => use_up(reading, usage),
            (None, true) => reading.odd(Anomaly::UnknownEvent),
            (None, false) => {
                reading.flawed(ErrorType::SchemaMismatch, || "a chunk has no `choices`".to_owned());
            }
        }
        return Step::default();
    };
    if let Some(usage) = usage {
        if !choices.is_empty() {
            reading.odd(Anomaly::UsageWithChoices);
        }
        use_up(reading, usage);
    }
    let mut step = Step::default();
    for choice in &choices {
        let found = take(reading, choice, choice.delta.as_ref());
        step.has_content |= found.has_content;
        step.has_output |= found.has_output;
    }
    step
}

/// Takes a whole completion.
pub(super) fn whole(reading: &mut Reading, body: &str) -> Step {
    let completion = match serde_json::from_str::<Chunk>(body) {
        Ok(completion) => completion,
        Err(error) => {
            misshapen(reading, body, "the body", &error);
            return Step::default();
        }
    };
    if is_fault(&completion) {
        reading.faulted_by(body, "a body with an error");
        return Step::default();
    }
    reading.answered_by(Text::of(&completion.model));
    if let Some(usage) = used(&completion) {
        use_up(reading, usage);
    }
    let Some(choices) = completion.choices else {
        reading.flawed(ErrorType::SchemaMismatch, || "the body has no `choices`".to_owned());
        return Step::default();
    };
    let mut step = Step::default();
    for choice in &choices {
        if choice.message.is_none() {
            reading.flawed(ErrorType::SchemaMismatch, || "a choice has no `message`".to_owned());
        }
        let found = take(reading, choice, choice.message.as_ref());
        step.has_content |= found.has_content;
        step.has_output |= found.has_output;
    }
    step
}

fn misshapen(reading: &mut Reading, data: &str, what: &str, error: &serde_json::Error) {
    let glance = serde_json::from_str::<Glance>(data);
    if glance.is_ok_and(|glance| glance.error.0 || Text::of(&glance.object) == "error") {
        reading.faulted_by(data, "an error of unknown shape");
    } else {
        reading.unreadable(what, error);
    }
}

fn is_fault(chunk: &Chunk) -> bool {
    let choices = chunk.choices.as_deref().unwrap_or_default();
    chunk.error.0
        || Text::of(&chunk.object) == "error"
        || Text::of(&chunk.kind) == "error"
        || choices.iter().any(|choice| {
            choice.error.0 || matches!(Text::of(&choice.finish_reason), "error" | "network_error")
        })
}

/// Takes one choice: what its message says, then whether it ends.
fn take(reading: &mut Reading, choice: &Choice, message: Option<&Message>) -> Step {
    let index = choice.index.map_or(0, |index| index.0);
    // Choices after the 64th are read but not waited for.
    let bit = if index < 64 { 1 << index } else { 0 };
    reading.choices_seen |= bit;
    let step = message.map_or(Step::default(), |message| say(reading, message, index == 0));
    if step.has_content && reading.choices_finished & bit != 0 {
        reading.odd(Anomaly::EarlyFinish);
    }
    let reason = Text::of(&choice.finish_reason);
    if !reason.is_empty() {
        reading.choices_finished |= bit;
        if reading.finish.as_deref() != Some(reason) && (index == 0 || reading.finish.is_none()) {
            reading.finished_by(reason);
        }
    }
    step
}

fn say(reading: &mut Reading, message: &Message, is_kept: bool) -> Step {
    let text = Text::of(&message.content);
    if is_kept {
        reading.push_text(text);
    }
    reading.has_refused |= message.refusal.0;
    let calls = message.tool_calls.iter().flatten().filter_map(|call| call.function.as_ref());
    let has_call =
        calls.chain(&message.function_call).any(|function| function.name.0 || function.arguments.0);
    let has_output = !text.is_empty() || message.refusal.0 || has_call;
    let has_content = has_output || message.reasoning_content.0 || message.reasoning.0;
    Step { has_content, has_output, is_keepalive: false }
}

fn use_up(reading: &mut Reading, usage: Usage) {
    reading.usage = Some(usage);
    reading.is_usage_final = true;
}

/// OpenAI says how a request was served beside its usage.
fn used(chunk: &Chunk) -> Option<Usage> {
    let usage = usage(chunk.usage.as_ref()?)?;
    Some(Usage { service: Service::of(Text::of(&chunk.service_tier)), ..usage })
}

/// OpenAI's input includes what was cached; its output includes reasoning.
fn usage(body: &UsageBody) -> Option<Usage> {
    if body.prompt_tokens.is_none() && body.completion_tokens.is_none() {
        return None;
    }
    let of = |count: Option<Count>| count.map_or(0, |count| count.0);
    let prompt = body.prompt_tokens_details.as_ref();
    let completion = body.completion_tokens_details.as_ref();
    Some(Usage {
        input: of(body.prompt_tokens),
        output: of(body.completion_tokens),
        cache_read: of(prompt.and_then(|details| details.cached_tokens)),
        cache_write: of(prompt.and_then(|details| details.cache_write_tokens)),
        reasoning: of(completion.and_then(|details| details.reasoning_tokens)),
        ..Usage::default()
    })
}
