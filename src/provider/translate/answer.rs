//! A whole answer in the words of the client.

use serde_json::{Value, json};

use super::Direction;
use super::words::{finish_reason, stop_reason, usage_of_chat, usage_of_messages};

/// A whole answer; `None` where the provider's is no answer of its interface. `now` is in seconds
/// since 1970, since only one of the two tells when it answered.
pub fn answer(direction: Direction, body: &[u8], now: i64) -> Option<Vec<u8>> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let translated = match direction {
        Direction::ToMessages => of_messages(&body, now)?,
        Direction::ToChat => of_chat(&body)?,
    };
    Some(translated.to_string().into_bytes())
}

/// Anthropic's answer for a client of OpenAI's.
fn of_messages(body: &Value, now: i64) -> Option<Value> {
    let (mut text, mut thought, mut calls) = (String::new(), String::new(), Vec::new());
    for block in body["content"].as_array()? {
        match block["type"].as_str() {
            Some("text") => text.push_str(block["text"].as_str()?),
            Some("thinking") => thought.push_str(block["thinking"].as_str()?),
            Some("tool_use") => calls.push(json!({
                "id": block["id"],
                "type": "function",
                "function": {"name": block["name"], "arguments": block["input"].to_string()},
            })),
            _ => {}
        }
    }
    let reason = body["stop_reason"].as_str();
    let is_refused = reason == Some("refusal");
    let said = |is_said: bool| if is_said { json!(text) } else { Value::Null };
    let has_text = !text.is_empty();
    let mut message = json!({
        "role": "assistant",
        "content": said(has_text && !is_refused),
        "refusal": said(has_text && is_refused),
    });
    if !thought.is_empty() {
        message["reasoning_content"] = json!(thought);
    }
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    let choice = json!({
        "index": 0,
        "message": message,
        "logprobs": null,
        "finish_reason": finish_reason(reason),
    });
    Some(json!({
        "id": body["id"],
        "object": "chat.completion",
        "created": now,
        "model": body["model"],
        "choices": [choice],
        "usage": usage_of_chat(&body["usage"]),
    }))
}

/// OpenAI's answer for a client of Anthropic's.
fn of_chat(body: &Value) -> Option<Value> {
    let choice = body["choices"].as_array()?.first()?;
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
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let function = &call["function"];
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        let input: Value = arguments.map_or_else(|| Ok(json!({})), serde_json::from_str).ok()?;
        let (id, name) = (&call["id"], &function["name"]);
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    let is_refused = message["refusal"].as_str().is_some_and(|text| !text.is_empty());
    let reason = if is_refused { Some("content_filter") } else { choice["finish_reason"].as_str() };
    Some(json!({
        "id": body["id"],
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": blocks,
        "stop_reason": stop_reason(reason),
        "stop_sequence": null,
        "usage": usage_of_messages(&body["usage"]),
    }))
}
