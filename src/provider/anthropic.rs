//! `anthropic_messages`: events and whole messages.
//!
//! The type inside the data tells what an event is; the event's name only where the data has none.
//! Unknown types are counted and ignored, as the documentation asks, whatever their fields hold.
//! Usage is final only with `message_delta`: what `message_start` says of the output is a start.

use serde::Deserialize;

use super::json::{Count, Text, Truth};
use super::reading::{Reading, Step};
use super::{Anomaly, ErrorType};
use crate::price::Service;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
    #[serde(borrow)]
    content_block: Option<Block<'a>>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    #[serde(borrow)]
    usage: Option<UsageBody<'a>>,
    #[serde(default)]
    error: Truth,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Vec<Block<'a>>>,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
    #[serde(borrow)]
    usage: Option<UsageBody<'a>>,
    #[serde(default)]
    error: Truth,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default)]
    thinking: Truth,
    /// Of `redacted_thinking`.
    #[serde(default)]
    data: Truth,
    /// Of `tool_use`.
    #[serde(default)]
    name: Truth,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default)]
    thinking: Truth,
    #[serde(default)]
    partial_json: Truth,
    #[serde(borrow)]
    stop_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct UsageBody<'a> {
    input_tokens: Option<Count>,
    cache_creation_input_tokens: Option<Count>,
    cache_creation: Option<CacheCreation>,
    cache_read_input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    #[serde(borrow)]
    service_tier: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<Count>,
}

/// The little that is read of an event whose shape is wrong.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    error: Truth,
}

/// Takes one event of a stream; `data` is not empty.
pub(super) fn event(reading: &mut Reading, name: &str, data: &str) -> Step {
    let event = match serde_json::from_str::<Event>(data) {
        Ok(event) => event,
        Err(error) => {
            misshapen(reading, name, data, &error);
            return Step::default();
        }
    };
    let kind = match Text::of(&event.kind) {
        "" => name,
        kind => kind,
    };
    if event.error.0 || kind == "error" || name == "error" {
        reading.faulted_by(data, "an event of the type `error`");
        return Step::default();
    }
    match kind {
        "ping" => return Step::KEEPALIVE,
        "message_start" => match &event.message {
            Some(message) => {
                reading.answered_by(Text::of(&message.model));
                use_up(reading, message.usage.as_ref());
            }
            None => missing(reading, "message_start", "message"),
        },
        "content_block_start" => {
            return event
                .content_block
                .as_ref()
                .map_or(Step::default(), |block| show(reading, block));
        }
        "content_block_delta" => match &event.delta {
            Some(delta) => return say(reading, delta),
            None => missing(reading, "content_block_delta", "delta"),
        },
        "content_block_stop" => {}
        "message_delta" => {
            match &event.delta {
                Some(delta) => stop(reading, Text::of(&delta.stop_reason)),
                None => missing(reading, "message_delta", "delta"),
            }
            if use_up(reading, event.usage.as_ref()) {
                reading.is_usage_final = true;
            }
        }
        "message_stop" => reading.has_done = true,
        _ => reading.odd(Anomaly::UnknownEvent),
    }
    Step::default()
}

/// Takes a whole message.
pub(super) fn whole(reading: &mut Reading, body: &str) -> Step {
    let message = match serde_json::from_str::<Message>(body) {
        Ok(message) => message,
        Err(error) => {
            misshapen(reading, "message", body, &error);
            return Step::default();
        }
    };
    if message.error.0 || Text::of(&message.kind) == "error" {
        reading.faulted_by(body, "a body with an error");
        return Step::default();
    }
    reading.answered_by(Text::of(&message.model));
    reading.is_usage_final = use_up(reading, message.usage.as_ref());
    let Some(content) = &message.content else {
        missing(reading, "message", "content");
        return Step::default();
    };
    let mut step = Step::default();
    for block in content {
        let found = show(reading, block);
        step.has_content |= found.has_content;
        step.has_output |= found.has_output;
    }
    stop(reading, Text::of(&message.stop_reason));
    step
}

fn misshapen(reading: &mut Reading, name: &str, data: &str, error: &serde_json::Error) {
    let glance = serde_json::from_str::<Glance>(data).ok();
    let kind = match glance.as_ref().map_or("", |glance| Text::of(&glance.kind)) {
        "" => name,
        kind => kind,
    };
    if kind == "error" || name == "error" || glance.as_ref().is_some_and(|glance| glance.error.0) {
        reading.faulted_by(data, "an error of unknown shape");
    } else if glance.is_some() && !is_known(kind) || data.trim_ascii() == "[DONE]" {
        // `[DONE]` is OpenAI's; a relay that adds it does no harm.
        reading.odd(Anomaly::UnknownEvent);
    } else {
        reading.unreadable(if name == "message" { "the body" } else { "an event" }, error);
    }
}

fn is_known(kind: &str) -> bool {
    matches!(
        kind,
        "" | "message"
            | "message_start"
            | "content_block_start"
            | "content_block_delta"
            | "content_block_stop"
            | "message_delta"
            | "message_stop"
            | "ping"
    )
}

fn missing(reading: &mut Reading, kind: &str, field: &str) {
    reading.flawed(ErrorType::SchemaMismatch, || format!("`{kind}` has no `{field}`"));
}

fn stop(reading: &mut Reading, reason: &str) {
    if !reason.is_empty() {
        reading.finished_by(reason);
    }
}

fn show(reading: &mut Reading, block: &Block) -> Step {
    match Text::of(&block.kind) {
        "text" => say_text(reading, Text::of(&block.text)),
        "thinking" => only_reasoning(block.thinking.0),
        "redacted_thinking" => only_reasoning(block.data.0),
        "tool_use" => output(reading, block.name.0),
        _ => Step::default(),
    }
}

fn say(reading: &mut Reading, delta: &Delta) -> Step {
    let text = Text::of(&delta.text);
    if !text.is_empty() {
        say_text(reading, text)
    } else if delta.partial_json.0 {
        output(reading, true)
    } else {
        only_reasoning(delta.thinking.0)
    }
}

fn say_text(reading: &mut Reading, text: &str) -> Step {
    reading.push_text(text);
    output(reading, !text.is_empty())
}

fn output(reading: &mut Reading, has_output: bool) -> Step {
    if has_output && reading.finish.is_some() {
        reading.odd(Anomaly::EarlyFinish);
    }
    Step { has_content: has_output, has_output, is_keepalive: false }
}

fn only_reasoning(has_content: bool) -> Step {
    Step { has_content, has_output: false, is_keepalive: false }
}

/// Takes over the counts that are given, since each is cumulative; says whether output was among
/// them. All input is what was new, written to a cache and read from one together.
fn use_up(reading: &mut Reading, body: Option<&UsageBody>) -> bool {
    let Some(body) = body else { return false };
    let mut usage = reading.usage.unwrap_or_default();
    let cached = usage.cache_read.saturating_add(usage.cache_write);
    let fresh = body.input_tokens.map_or(usage.input.saturating_sub(cached), |count| count.0);
    for (count, field) in [
        (body.cache_read_input_tokens, &mut usage.cache_read),
        (body.cache_creation_input_tokens, &mut usage.cache_write),
        (body.output_tokens, &mut usage.output),
    ] {
        if let Some(Count(count)) = count {
            *field = count;
        }
    }
    let hour = body.cache_creation.as_ref().and_then(|written| written.ephemeral_1h_input_tokens);
    if let Some(Count(hour)) = hour {
        usage.cache_write_hour = hour;
    }
    if let Some(word) = &body.service_tier {
        usage.service = Service::of(&word.0);
    }
    usage.input = fresh.saturating_add(usage.cache_read).saturating_add(usage.cache_write);
    reading.usage = Some(usage);
    body.output_tokens.is_some()
}
