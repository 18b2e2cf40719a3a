//! A whole answer in the words of the client.

use serde_json::{Value, json};

use super::ledger::{At, Ledger};
use super::losses::Within;
use super::words::{
    finish_reason, read, said, stop_reason, usage_of_chat, usage_of_messages, wrong,
};
use super::{Direction, Translated, Untranslatable, of_gemini, of_responses};

/// Tells a whole answer to a client of the other dialect.
///
/// `now` is in seconds since 1970, since only one of the two tells when it answered. Texts, refusals,
/// thinking, calls of tools, the reason for the end and the usage are told; what is not is named in
/// [`Translated::lost`]. Several texts become one where the client's dialect has room for one.
///
/// # Errors
///
/// [`Untranslatable`] where the body is no answer of the provider's dialect, an error's body included:
/// that is for [`super::refusal`].
pub fn answer(direction: Direction, body: &[u8], now: i64) -> Result<Translated, Untranslatable> {
    let body = Value::Object(read(body)?);
    let mut ledger = Ledger::of_reply(direction, Within::Answer);
    let mut translated = match direction {
        Direction::ChatToMessages => of_messages(&body, now, &mut ledger)?,
        Direction::MessagesToChat => of_chat(&body, &mut ledger)?,
        Direction::ChatToGemini | Direction::MessagesToGemini => {
            let told = of_gemini::answer(&body, now, &mut ledger);
            told.ok_or_else(|| wrong(&At::Top.field("candidates")))?
        }
        Direction::ChatToResponses | Direction::MessagesToResponses => {
            let told = of_responses::answer(&body, &mut ledger);
            told.ok_or_else(|| wrong(&At::Top.field("output")))?
        }
    };
    if matches!(direction, Direction::MessagesToGemini | Direction::MessagesToResponses) {
        // What is lost was named where it was read, by the name that it has there.
        let mut named = Ledger::of_reply(direction, Within::Answer);
        translated = of_chat(&translated, &mut named)?;
    }
    Ok(Translated::new(&translated, ledger))
}

fn text<'a>(value: &'a Value, at: &At<'_>) -> Result<&'a str, Untranslatable> {
    value.as_str().ok_or_else(|| wrong(at))
}

/// Anthropic's answer for a client of OpenAI's.
fn of_messages(body: &Value, now: i64, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    let content = At::Top.field("content");
    let (mut spoken, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    let blocks = body["content"].as_array().ok_or_else(|| wrong(&content))?;
    for (index, block) in blocks.iter().enumerate() {
        let at = content.item(index);
        match block["type"].as_str() {
            Some("text") => {
                spoken.push_str(text(&block["text"], &at.field("text"))?);
                ledger.unread(block, &["type", "text"], &at);
            }
            Some("thinking") => {
                thought.push_str(text(&block["thinking"], &at.field("thinking"))?);
                ledger.unread(block, &["type", "thinking"], &at);
            }
            Some("tool_use") => {
                calls.push(json!({
                    "id": block["id"],
                    "type": "function",
                    "function": {"name": block["name"], "arguments": block["input"].to_string()},
                }));
                ledger.unread(block, &["type", "id", "name", "input"], &at);
            }
            Some("redacted_thinking") => ledger.lose("redacted_thinking", &at),
            _ => ledger.lose("other_blocks", &at),
        }
    }
    let reason = body["stop_reason"].as_str();
    let is_refused = reason == Some("refusal");
    let told = |is_told: bool| if is_told { json!(spoken) } else { Value::Null };
    let has_text = !spoken.is_empty();
    let mut message = json!({
        "role": "assistant",
        "content": told(has_text && !is_refused),
        "refusal": told(has_text && is_refused),
    });
    if !thought.is_empty() {
        message["reasoning_content"] = json!(thought);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let finish = finish_reason(reason);
    if let Some(row) = finish.and_then(|finish| finish.lost("stop_reason")) {
        ledger.lose(row, &At::Top.field("stop_reason"));
    }
    unread_of_messages(body, ledger);
    let choice = json!({
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": said(finish),
    });
    Ok(json!({
        "id": body["id"],
        "object": "chat.completion",
        "created": now,
        "model": body["model"],
        "choices": [choice],
        "usage": usage_of_chat(&body["usage"]),
    }))
}

/// Names what the top of Anthropic's answer holds that is not told.
fn unread_of_messages(body: &Value, ledger: &mut Ledger) {
    const TOLD: [&str; 7] = ["id", "type", "role", "model", "content", "stop_reason", "usage"];
    ledger.unread(body, &TOLD, &At::Top);
    unread_usage_of_messages(&body["usage"], &At::Top.field("usage"), ledger);
}

/// Names what Anthropic's usage says beyond OpenAI's.
pub(super) fn unread_usage_of_messages(usage: &Value, at: &At<'_>, ledger: &mut Ledger) {
    const TOLD: [&str; 4] =
        ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];
    ledger.unread(usage, &TOLD, at);
}

/// Names what OpenAI's usage says beyond Anthropic's.
pub(super) fn unread_usage_of_chat(usage: &Value, at: &At<'_>, ledger: &mut Ledger) {
    const TOLD: [&str; 4] =
        ["prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details"];
    ledger.unread(usage, &TOLD, at);
    let details = at.field("prompt_tokens_details");
    const CACHED: [&str; 2] = ["cached_tokens", "cache_write_tokens"];
    ledger.unread(&usage["prompt_tokens_details"], &CACHED, &details);
}

/// OpenAI's answer for a client of Anthropic's.
fn of_chat(body: &Value, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    let choices = At::Top.field("choices");
    let given = body["choices"].as_array().ok_or_else(|| wrong(&choices))?;
    let choice = given.first().ok_or_else(|| wrong(&choices))?;
    if given.len() > 1 {
        ledger.lose("choices", &choices.item(1));
    }
    let at = choices.item(0);
    let spoken_at = at.field("message");
    let message = &choice["message"];
    let mut blocks = Vec::new();
    if let Some(thought) = message["reasoning_content"].as_str().filter(|text| !text.is_empty()) {
        blocks.push(json!({"type": "thinking", "thinking": thought, "signature": ""}));
    }
    for name in ["content", "refusal"] {
        if let Some(text) = message[name].as_str().filter(|text| !text.is_empty()) {
            blocks.push(json!({"type": "text", "text": text}));
        }
    }
    let calls = spoken_at.field("tool_calls");
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        let input = arguments.map_or_else(|| Ok(json!({})), serde_json::from_str::<Value>);
        let input = input.map_err(|_| wrong(&calls.item(index).field("function")))?;
        let (id, name) = (&call["id"], &function["name"]);
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    let is_refused = message["refusal"].as_str().is_some_and(|text| !text.is_empty());
    let reason = if is_refused { Some("content_filter") } else { choice["finish_reason"].as_str() };
    let stop = stop_reason(reason);
    if let Some(row) = stop.and_then(|stop| stop.lost("finish_reason")) {
        ledger.lose(row, &at.field("finish_reason"));
    }
    const MESSAGE: [&str; 5] = ["role", "content", "refusal", "reasoning_content", "tool_calls"];
    ledger.unread(message, &MESSAGE, &spoken_at);
    ledger.unread(choice, &["index", "message", "finish_reason"], &at);
    ledger.unread(body, &["id", "object", "model", "choices", "usage"], &At::Top);
    unread_usage_of_chat(&body["usage"], &At::Top.field("usage"), ledger);
    Ok(json!({
        "id": body["id"],
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": said(stop),
        "stop_sequence": null,
        "usage": usage_of_messages(&body["usage"]),
    }))
}
