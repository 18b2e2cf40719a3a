//! `openai_responses`: numbered events and whole responses.
//!
//! The type inside the data tells what an event is; the event's name only where the data has none.
//! The end is one of three events, and each carries the whole response: what it failed of, why it is
//! incomplete, its usage. Text that no delta brought is taken from the event that says a part is
//! done, or from the whole response, as relays write it that stream in name only. Events are
//! numbered, so one that is lost shows as a gap.

use serde::Deserialize;

use super::json::{Count, Text, Truth};
use super::reading::{Reading, Step};
use super::{Anomaly, ErrorType, Usage, fault};
use crate::price::Service;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    sequence_number: Option<Count>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    /// Of a part that is done.
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    response: Option<Response<'a>>,
    #[serde(default)]
    error: Truth,
}

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    output: Option<Vec<Item<'a>>>,
    #[serde(borrow)]
    incomplete_details: Option<Incomplete<'a>>,
    usage: Option<UsageBody>,
    #[serde(default)]
    error: Truth,
    #[serde(borrow)]
    object: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Incomplete<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    content: Option<Vec<Part<'a>>>,
    /// Of `reasoning`.
    #[serde(borrow)]
    summary: Option<Vec<Part<'a>>>,
    /// Of `function_call`.
    #[serde(default)]
    name: Truth,
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default)]
    refusal: Truth,
}

#[derive(Deserialize)]
struct UsageBody {
    input_tokens: Option<Count>,
    output_tokens: Option<Count>,
    input_tokens_details: Option<InputDetails>,
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    cached_tokens: Option<Count>,
    cache_write_tokens: Option<Count>,
}

#[derive(Deserialize)]
struct OutputDetails {
    reasoning_tokens: Option<Count>,
}

/// The little that is read of an event whose shape is wrong.
#[derive(Deserialize)]
struct Glance<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(default)]
    error: Truth,
    #[serde(borrow)]
    object: Option<Text<'a>>,
}

/// What an event is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
    Reasoning,
    Call,
    TextDone,
    /// Brings nothing that counts.
    Quiet,
    /// One of the three ends.
    End,
    Failed,
    Error,
    Keepalive,
    Unknown,
}

impl Kind {
    fn of(name: &str) -> Self {
        match name {
            "response.output_text.delta" => Self::Text,
            "response.refusal.delta" => Self::Refusal,
            "response.reasoning_text.delta" | "response.reasoning_summary_text.delta" => {
                Self::Reasoning
            }
            "response.function_call_arguments.delta" => Self::Call,
            "response.output_text.done" => Self::TextDone,
            "response.completed" | "response.incomplete" => Self::End,
            "response.failed" => Self::Failed,
            "error" => Self::Error,
            "ping" | "keepalive" | "keep-alive" => Self::Keepalive,
            "response.created"
            | "response.queued"
            | "response.in_progress"
            | "response.output_item.added"
            | "response.output_item.done"
            | "response.content_part.added"
            | "response.content_part.done"
            | "response.output_text.annotation.added"
            | "response.refusal.done"
            | "response.reasoning_text.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
            | "response.reasoning_summary_text.done"
            | "response.function_call_arguments.done" => Self::Quiet,
            _ => Self::Unknown,
        }
    }
}

/// Takes one event of a stream; `data` is not empty.
pub(super) fn event(reading: &mut Reading, name: &str, data: &str) -> Step {
    let event = match serde_json::from_str::<Event>(data) {
        Ok(event) => event,
        Err(error) => {
            misshapen(reading, name, data, "an event", &error);
            return Step::default();
        }
    };
    count(reading, event.sequence_number);
    let kind = Kind::of(match Text::of(&event.kind) {
        "" => name,
        kind => kind,
    });
    if event.error.0 || kind == Kind::Error || name == "error" {
        reading.faulted_by(data, "an event of the type `error`");
        return Step::default();
    }
    match kind {
        Kind::Text | Kind::Refusal | Kind::Reasoning | Kind::Call => match &event.delta {
            Some(delta) => return say(reading, kind, &delta.0),
            None => missing(reading, "a delta", "delta"),
        },
        // The text again, unless no delta brought it.
        Kind::TextDone if reading.output == 0 => {
            return say(reading, Kind::Text, Text::of(&event.text));
        }
        Kind::TextDone | Kind::Error => {}
        Kind::Quiet => {
            if let Some(response) = &event.response {
                reading.answered_by(Text::of(&response.model));
                reading.identified_by(Text::of(&response.id));
            }
        }
        Kind::Failed => reading.faulted_by(data, "a response that failed"),
        Kind::End => match &event.response {
            Some(response) => return end(reading, response, data),
            None => missing(reading, "the last event", "response"),
        },
        Kind::Keepalive => return Step::KEEPALIVE,
        Kind::Unknown => reading.odd(Anomaly::UnknownEvent),
    }
    Step::default()
}

/// Takes a whole response.
pub(super) fn whole(reading: &mut Reading, body: &str) -> Step {
    let response = match serde_json::from_str::<Response>(body) {
        Ok(response) => response,
        Err(error) => {
            misshapen(reading, "", body, "the body", &error);
            return Step::default();
        }
    };
    if response.error.0 || Text::of(&response.object) == "error" {
        reading.faulted_by(body, "a body with an error");
        return Step::default();
    }
    if response.output.is_none() {
        missing(reading, "the body", "output");
        return Step::default();
    }
    end(reading, &response, body)
}

/// Takes the response at its end: why it ended, what it used, and what it says where nothing has
/// said it before.
fn end(reading: &mut Reading, response: &Response, data: &str) -> Step {
    reading.answered_by(Text::of(&response.model));
    reading.identified_by(Text::of(&response.id));
    if let Some(usage) = response.usage.as_ref().and_then(usage) {
        reading.usage = Some(usage);
        reading.is_usage_final = true;
    }
    let mut step = Step::default();
    if reading.content == 0 {
        for item in response.output.iter().flatten() {
            let found = show(reading, item);
            step.has_content |= found.has_content;
            step.has_output |= found.has_output;
        }
    }
    let reason = response.incomplete_details.as_ref().map(|details| Text::of(&details.reason));
    match (Text::of(&response.status), reason.unwrap_or_default()) {
        ("failed", _) => reading.faulted_by(data, "a response that failed"),
        ("cancelled" | "in_progress" | "queued", _) => {
            reading.faulted(fault::bare("the response is not complete"));
        }
        ("incomplete", "") => reading.finished_by("incomplete"),
        ("incomplete", reason) => reading.finished_by(reason),
        ("", "") => {}
        ("", word) | (word, _) => reading.finished_by(word),
    }
    reading.has_done = true;
    step
}

fn count(reading: &mut Reading, number: Option<Count>) {
    let Some(Count(number)) = number else { return };
    if reading.sequence.is_some_and(|last| number > last.saturating_add(1)) {
        reading.odd(Anomaly::SequenceGap);
    }
    reading.sequence = Some(number);
}

fn misshapen(reading: &mut Reading, name: &str, data: &str, what: &str, error: &serde_json::Error) {
    let glance = serde_json::from_str::<Glance>(data).ok();
    // What cannot be read was not lost on the way, whatever its number was.
    reading.sequence = None;
    let kind = Kind::of(match glance.as_ref().map_or("", |glance| Text::of(&glance.kind)) {
        "" => name,
        kind => kind,
    });
    let is_fault =
        glance.as_ref().is_some_and(|glance| glance.error.0 || Text::of(&glance.object) == "error");
    if is_fault || name == "error" || matches!(kind, Kind::Error | Kind::Failed) {
        reading.faulted_by(data, "an error of unknown shape");
    } else if (glance.is_some() && kind == Kind::Unknown && what == "an event")
        || data.trim_ascii() == "[DONE]"
    {
        // `[DONE]` is that of chat completions; a relay that adds it does no harm.
        reading.odd(Anomaly::UnknownEvent);
    } else {
        reading.unreadable(what, error);
    }
}

fn missing(reading: &mut Reading, what: &str, field: &str) {
    reading.flawed(ErrorType::SchemaMismatch, || format!("{what} has no `{field}`"));
}

fn show(reading: &mut Reading, item: &Item) -> Step {
    let parts = item.content.iter().chain(&item.summary).flatten();
    let is_reasoning = Text::of(&item.kind) == "reasoning";
    // Of functions, and of the tools that OpenAI runs itself.
    let is_call = match Text::of(&item.kind) {
        "function_call" => item.name.0,
        kind => kind.ends_with("_call"),
    };
    let mut step = Step { has_content: is_call, has_output: is_call, is_keepalive: false };
    for part in parts {
        let found = match Text::of(&part.kind) {
            "refusal" if part.refusal.0 => say(reading, Kind::Refusal, "refused"),
            "output_text" | "text" => say(reading, Kind::Text, Text::of(&part.text)),
            _ if is_reasoning => say(reading, Kind::Reasoning, Text::of(&part.text)),
            _ => Step::default(),
        };
        step.has_content |= found.has_content;
        step.has_output |= found.has_output;
    }
    step
}

fn say(reading: &mut Reading, kind: Kind, text: &str) -> Step {
    let has_content = !text.is_empty();
    match kind {
        Kind::Text => reading.push_text(text),
        Kind::Refusal => reading.has_refused |= has_content,
        Kind::Reasoning
        | Kind::Call
        | Kind::TextDone
        | Kind::Quiet
        | Kind::End
        | Kind::Failed
        | Kind::Error
        | Kind::Keepalive
        | Kind::Unknown => {}
    }
    Step { has_content, has_output: has_content && kind != Kind::Reasoning, is_keepalive: false }
}

/// The input includes what was cached, the output includes reasoning.
fn usage(body: &UsageBody) -> Option<Usage> {
    if body.input_tokens.is_none() && body.output_tokens.is_none() {
        return None;
    }
    let of = |count: Option<Count>| count.map_or(0, |count| count.0);
    let input = body.input_tokens_details.as_ref();
    let output = body.output_tokens_details.as_ref();
    Some(Usage {
        input: of(body.input_tokens),
        output: of(body.output_tokens),
        cache_read: of(input.and_then(|details| details.cached_tokens)),
        cache_write: of(input.and_then(|details| details.cache_write_tokens)),
        cache_write_hour: 0,
        service: Service::Standard,
        reasoning: of(output.and_then(|details| details.reasoning_tokens)),
    })
}
