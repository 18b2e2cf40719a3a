//! `gemini`: chunks and whole answers, which have one shape.
//!
//! Nothing says that a stream is over but its end; the evidence is a `finishReason`. Every chunk
//! tells the usage so far, and only one that comes with that reason, or after it, tells all of it.
//! `candidatesTokenCount` leaves thoughts out, and they are billed as output. A question that is
//! blocked gets no candidate at all. Google's errors inside a stream are JSON without `data:`; they
//! are read before they come here.

use serde::Deserialize;

use super::json::{Count, Text, Truth};
use super::reading::{Reading, Step};
use super::{Anomaly, ErrorType, Usage};
use crate::price::Service;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    candidates: Option<Vec<Candidate<'a>>>,
    #[serde(borrow)]
    prompt_feedback: Option<Feedback<'a>>,
    usage_metadata: Option<UsageBody>,
    #[serde(borrow)]
    model_version: Option<Text<'a>>,
    #[serde(borrow)]
    response_id: Option<Text<'a>>,
    #[serde(default)]
    error: Truth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    index: Option<Count>,
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    parts: Option<Vec<Part<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(default)]
    thought: Truth,
    #[serde(default)]
    function_call: Truth,
    #[serde(default)]
    executable_code: Truth,
    #[serde(default)]
    inline_data: Truth,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback<'a> {
    #[serde(borrow)]
    block_reason: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct UsageBody {
    prompt_token_count: Option<Count>,
    tool_use_prompt_token_count: Option<Count>,
    candidates_token_count: Option<Count>,
    thoughts_token_count: Option<Count>,
    cached_content_token_count: Option<Count>,
}

/// The little that is read of a chunk whose shape is wrong.
#[derive(Deserialize)]
struct Glance {
    #[serde(default)]
    error: Truth,
}

/// Takes one event of a stream; `data` is not empty.
pub(super) fn event(reading: &mut Reading, name: &str, data: &str) -> Step {
    match name {
        "error" => {
            reading.faulted_by(data, "an event named `error`");
            return Step::default();
        }
        "ping" | "keepalive" | "keep-alive" | "heartbeat" => return Step::KEEPALIVE,
        _ => {}
    }
    if data.trim_ascii() == "[DONE]" {
        // Chat completions end so; a relay that adds it does no harm.
        reading.odd(Anomaly::UnknownEvent);
        return Step::default();
    }
    take(reading, data, "a chunk")
}

/// Takes a whole answer.
pub(super) fn whole(reading: &mut Reading, body: &str) -> Step {
    take(reading, body, "the body")
}

fn take(reading: &mut Reading, data: &str, what: &str) -> Step {
    let chunk = match serde_json::from_str::<Chunk>(data) {
        Ok(chunk) => chunk,
        Err(error) => {
            let glance = serde_json::from_str::<Glance>(data);
            if glance.is_ok_and(|glance| glance.error.0) {
                reading.faulted_by(data, "an error of unknown shape");
            } else {
                reading.unreadable(what, &error);
            }
            return Step::default();
        }
    };
    if chunk.error.0 {
        reading.faulted_by(data, "a chunk with an error");
        return Step::default();
    }
    reading.answered_by(Text::of(&chunk.model_version));
    reading.identified_by(Text::of(&chunk.response_id));
    let blocked = chunk.prompt_feedback.as_ref().map_or("", |it| Text::of(&it.block_reason));
    if !matches!(blocked, "" | "BLOCK_REASON_UNSPECIFIED") {
        reading.has_blocked = true;
        reading.finished_by(blocked);
    }
    let says_something = chunk.usage_metadata.is_some()
        || chunk.prompt_feedback.is_some()
        || chunk.model_version.is_some();
    if chunk.candidates.is_none() && !says_something {
        reading.flawed(ErrorType::SchemaMismatch, || format!("{what} has no `candidates`"));
    }
    let mut step = Step::default();
    for candidate in chunk.candidates.iter().flatten() {
        let found = hear(reading, candidate);
        step.has_content |= found.has_content;
        step.has_output |= found.has_output;
    }
    if let Some(usage) = chunk.usage_metadata.as_ref().and_then(usage) {
        reading.usage = Some(usage);
        reading.is_usage_final = reading.has_blocked || reading.has_finished();
    }
    step
}

/// Takes one candidate: what it says, then whether it ends.
fn hear(reading: &mut Reading, candidate: &Candidate) -> Step {
    let index = candidate.index.map_or(0, |index| index.0);
    // Candidates after the 64th are read but not waited for.
    let bit = if index < 64 { 1 << index } else { 0 };
    reading.choices_seen |= bit;
    let mut step = Step::default();
    let parts = candidate.content.iter().filter_map(|content| content.parts.as_ref()).flatten();
    for part in parts {
        let text = Text::of(&part.text);
        if index == 0 && !part.thought.0 {
            reading.push_text(text);
        }
        let has_more = part.function_call.0 || part.executable_code.0 || part.inline_data.0;
        step.has_content |= !text.is_empty() || has_more;
        step.has_output |= (!text.is_empty() && !part.thought.0) || has_more;
    }
    if step.has_content && reading.choices_finished & bit != 0 {
        reading.odd(Anomaly::EarlyFinish);
    }
    let reason = Text::of(&candidate.finish_reason);
    if !matches!(reason, "" | "FINISH_REASON_UNSPECIFIED") {
        reading.choices_finished |= bit;
        if reading.finish.as_deref() != Some(reason) && (index == 0 || reading.finish.is_none()) {
            reading.finished_by(reason);
        }
    }
    step
}

fn usage(body: &UsageBody) -> Option<Usage> {
    if body.prompt_token_count.is_none() && body.candidates_token_count.is_none() {
        return None;
    }
    let of = |count: Option<Count>| count.map_or(0, |count| count.0);
    let thoughts = of(body.thoughts_token_count);
    Some(Usage {
        input: of(body.prompt_token_count).saturating_add(of(body.tool_use_prompt_token_count)),
        output: of(body.candidates_token_count).saturating_add(thoughts),
        cache_read: of(body.cached_content_token_count),
        cache_write: 0,
        cache_write_hour: 0,
        service: Service::Standard,
        reasoning: thoughts,
    })
}
