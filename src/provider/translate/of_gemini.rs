//! What Google answers, in the words of OpenAI's chat completions: chunks, whole answers, errors.
//!
//! Chunks and whole answers have one shape. Google names no end; the evidence is a `finishReason`, and
//! the stream's own end after it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ledger::{At, Ledger, Lost};
use super::losses::{OTHER_REASONS, Within};
use super::stream::Said;
use super::words::Direction;

/// A whole answer; `None` where it is none.
pub(super) fn answer(body: &Value, now: i64, ledger: &mut Ledger) -> Option<Value> {
    let candidates = body["candidates"].as_array();
    let blocked = is_blocked(body);
    if candidates.is_none_or(Vec::is_empty) && !blocked {
        return None;
    }
    unread(body, ledger);
    let mut calls = Calls::default();
    let choices = candidates.into_iter().flatten().map(|candidate| {
        let index = candidate["index"].as_u64().unwrap_or_default();
        let parts = Parts::of(candidate, index, body, &mut calls);
        let said = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
        let mut message =
            json!({"role": "assistant", "content": said(&parts.text), "refusal": null});
        if !parts.thought.is_empty() {
            message["reasoning_content"] = json!(parts.thought);
        }
        if !parts.calls.is_empty() {
            message["tool_calls"] = parts.calls.into_iter().map(without_index).collect();
        }
        let finish = finish_reason(candidate, calls.has_any(index));
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish})
    });
    let mut choices: Vec<Value> = choices.collect();
    if choices.is_empty() {
        let message = json!({"role": "assistant", "content": null, "refusal": null});
        choices = vec![json!({"index": 0, "message": message, "logprobs": null,
            "finish_reason": "content_filter"})];
    }
    let mut answer = json!({
        "id": body["responseId"],
        "object": "chat.completion",
        "created": now,
        "model": body["modelVersion"],
        "choices": choices,
    });
    if !body["usageMetadata"].is_null() {
        answer["usage"] = usage(&body["usageMetadata"]);
    }
    Some(answer)
}

/// Only in a stream a call says which one it is.
fn without_index(mut call: Value) -> Value {
    if let Some(call) = call.as_object_mut() {
        call.remove("index");
    }
    call
}

/// Tells a stream's chunks.
#[derive(Debug)]
pub(super) struct OfGemini {
    created: i64,
    id: Value,
    model: Value,
    usage: Option<Value>,
    begun: Vec<u64>,
    calls: Calls,
    has_finish: bool,
    is_over: bool,
    ledger: Ledger,
}

impl OfGemini {
    pub(super) fn new(direction: Direction, now: i64) -> Self {
        Self {
            created: now,
            id: Value::Null,
            model: Value::Null,
            usage: None,
            begun: Vec::new(),
            calls: Calls::default(),
            has_finish: false,
            is_over: false,
            ledger: Ledger::of_reply(direction, Within::Answer),
        }
    }

    /// What was left out or changed so far.
    pub(super) fn lost(&self) -> &[Lost] {
        self.ledger.lost()
    }

    /// Whether nothing more is told.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Tells nothing more.
    pub(super) fn close(&mut self) {
        self.is_over = true;
    }

    pub(super) fn event(&mut self, body: &Value, told: &mut dyn FnMut(Said)) {
        if self.is_over {
            return;
        }
        // An error may come alone in a list.
        let body = if body.is_array() { &body[0] } else { body };
        if !body["error"].is_null() {
            self.is_over = true;
            return told(Said::Chunk(error(&body["error"])));
        }
        unread_candidates(body, &mut self.ledger);
        for (held, name) in [(&mut self.id, "responseId"), (&mut self.model, "modelVersion")] {
            if body[name].is_string() {
                *held = body[name].clone();
            }
        }
        if !body["usageMetadata"].is_null() {
            self.usage = Some(body["usageMetadata"].clone());
        }
        if is_blocked(body) && !self.has_finish {
            self.begin(0, told);
            self.has_finish = true;
            self.tell(0, &json!({}), json!("content_filter"), told);
        }
        for candidate in body["candidates"].as_array().into_iter().flatten() {
            self.candidate(candidate, body, told);
        }
    }

    fn candidate(&mut self, candidate: &Value, body: &Value, told: &mut dyn FnMut(Said)) {
        let index = candidate["index"].as_u64().unwrap_or_default();
        self.begin(index, told);
        let parts = Parts::of(candidate, index, body, &mut self.calls);
        if !parts.thought.is_empty() {
            let delta = json!({"reasoning_content": parts.thought});
            self.tell(index, &delta, Value::Null, told);
        }
        if !parts.text.is_empty() {
            self.tell(index, &json!({"content": parts.text}), Value::Null, told);
        }
        for call in parts.calls {
            self.tell(index, &json!({"tool_calls": [call]}), Value::Null, told);
        }
        let finish = finish_reason(candidate, self.calls.has_any(index));
        if !finish.is_null() {
            self.has_finish = true;
            self.tell(index, &json!({}), finish, told);
        }
    }

    fn begin(&mut self, index: u64, told: &mut dyn FnMut(Said)) {
        if !self.begun.contains(&index) {
            self.begun.push(index);
            let delta = json!({"role": "assistant", "content": ""});
            self.tell(index, &delta, Value::Null, told);
        }
    }

    /// The stream has ended; it was told to its end where it gave a reason.
    pub(super) fn end(&mut self, told: &mut dyn FnMut(Said)) {
        if self.is_over || !self.has_finish {
            return;
        }
        self.is_over = true;
        if let Some(counted) = self.usage.take() {
            unread_usage(&counted, &mut self.ledger);
            let mut chunk = self.around(json!([]));
            chunk["usage"] = usage(&counted);
            told(Said::Usage(chunk));
        }
        told(Said::Done);
    }

    fn tell(&self, index: u64, delta: &Value, finish: Value, told: &mut dyn FnMut(Said)) {
        let choice =
            json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish});
        told(Said::Chunk(self.around(json!([choice]))));
    }

    fn around(&self, choices: Value) -> Value {
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
}

/// How many functions each choice has called so far.
#[derive(Debug, Default)]
struct Calls(BTreeMap<u64, u64>);

impl Calls {
    fn has_any(&self, choice: u64) -> bool {
        self.0.contains_key(&choice)
    }

    fn next(&mut self, choice: u64) -> u64 {
        let count = self.0.entry(choice).or_default();
        *count += 1;
        *count - 1
    }
}

/// What one candidate says.
#[derive(Default)]
struct Parts {
    text: String,
    thought: String,
    calls: Vec<Value>,
}

impl Parts {
    fn of(candidate: &Value, choice: u64, body: &Value, calls: &mut Calls) -> Self {
        let mut found = Self::default();
        for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
            if let Some(text) = part["text"].as_str() {
                let is_thought = part["thought"] == true;
                if is_thought { &mut found.thought } else { &mut found.text }.push_str(text);
            }
            let call = &part["functionCall"];
            if let Some(name) = call["name"].as_str() {
                let number = calls.next(choice);
                let args = &call["args"];
                let args = if args.is_null() { "{}".to_owned() } else { args.to_string() };
                // Google's ids are optional, and results are matched by ours where there is none.
                let made = || {
                    let answer = body["responseId"].as_str().unwrap_or("answer");
                    format!("call_{answer}_{choice}_{number}")
                };
                let id = call["id"].as_str().map_or_else(made, str::to_owned);
                let function = json!({"name": name, "arguments": args});
                let mut told = json!({"index": number, "id": id, "type": "function",
                    "function": function});
                if let Some(signature) = part["thoughtSignature"].as_str() {
                    let google = json!({"thought_signature": signature});
                    told["extra_content"] = json!({"google": google});
                }
                found.calls.push(told);
            }
        }
        found
    }
}

/// Names what is not told of an answer.
fn unread(body: &Value, ledger: &mut Ledger) {
    unread_candidates(body, ledger);
    unread_usage(&body["usageMetadata"], ledger);
}

fn unread_usage(usage: &Value, ledger: &mut Ledger) {
    let mut told = vec![
        "cachedContentTokenCount",
        "candidatesTokenCount",
        "promptTokenCount",
        "toolUsePromptTokenCount",
        "totalTokenCount",
    ];
    if !ledger.direction().is_for_messages() || usage["thoughtsTokenCount"] == 0 {
        told.push("thoughtsTokenCount");
    }
    ledger.unread(usage, &told, &At::Top.field("usageMetadata"));
}

/// The same of a chunk, which repeats the usage so far.
fn unread_candidates(body: &Value, ledger: &mut Ledger) {
    const TOLD: [&str; 5] =
        ["candidates", "modelVersion", "promptFeedback", "responseId", "usageMetadata"];
    ledger.unread(body, &TOLD, &At::Top);
    let feedback = At::Top.field("promptFeedback");
    if is_blocked(body) {
        ledger.lose("blockReason", &feedback.field("blockReason"));
    }
    ledger.unread(&body["promptFeedback"], &["blockReason"], &feedback);
    let is_for_messages = ledger.direction().is_for_messages();
    let all = At::Top.field("candidates");
    for (place, candidate) in body["candidates"].as_array().into_iter().flatten().enumerate() {
        let at = all.item(place);
        if is_for_messages && candidate["index"].as_u64().unwrap_or_default() > 0 {
            ledger.lose("candidates", &at);
            continue;
        }
        if let Some(row) = why(candidate).lost() {
            ledger.lose(row, &at.field("finishReason"));
        }
        ledger.unread(candidate, &["content", "finishReason", "index"], &at);
        let content = at.field("content");
        ledger.unread(&candidate["content"], &["parts", "role"], &content);
        let parts = content.field("parts");
        let said = candidate["content"]["parts"].as_array().into_iter().flatten();
        for (place, part) in said.enumerate() {
            unread_part(part, &parts.item(place), ledger);
        }
    }
}

fn unread_part(part: &Value, at: &At<'_>, ledger: &mut Ledger) {
    if part["functionCall"].is_object() {
        let mut told = vec!["functionCall", "text", "thought"];
        if !ledger.direction().is_for_messages() {
            told.push("thoughtSignature");
        }
        ledger.unread(part, &told, at);
        ledger.unread(&part["functionCall"], &["args", "id", "name"], &at.field("functionCall"));
    } else if part["text"].is_string() {
        ledger.unread(part, &["text", "thought"], at);
    } else if part["thoughtSignature"].is_string()
        && part.as_object().is_some_and(|part| part.len() == 1)
    {
        // It may come alone, after the last of the text.
        ledger.unread(part, &[], at);
    } else if part.as_object().is_none_or(|part| !part.is_empty()) {
        ledger.lose("other_parts", at);
    }
}

/// Why a candidate ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// It did not, as far as is said.
    Not,
    Complete,
    /// At its limit, for which chat completions have the same word.
    Limit,
    /// It broke off for something else: that is not said to be complete.
    BrokenOff,
    /// For its safety, for which they have the same word.
    Safety,
    /// Something else blocked it.
    Blocked,
    /// A name that nobody knew when this was written.
    Unknown,
}

impl Why {
    /// The row of what is lost in the words of chat completions.
    fn lost(self) -> Option<&'static str> {
        match self {
            Self::Not | Self::Complete | Self::Limit | Self::Safety => None,
            Self::BrokenOff | Self::Blocked => Some("finishReason"),
            Self::Unknown => Some(OTHER_REASONS),
        }
    }
}

fn why(candidate: &Value) -> Why {
    match candidate["finishReason"].as_str() {
        None | Some("" | "FINISH_REASON_UNSPECIFIED") => Why::Not,
        Some("STOP") => Why::Complete,
        Some("MAX_TOKENS") => Why::Limit,
        Some("SAFETY") => Why::Safety,
        Some(
            "OTHER"
            | "MALFORMED_FUNCTION_CALL"
            | "MALFORMED_RESPONSE"
            | "MISSING_THOUGHT_SIGNATURE"
            | "NO_IMAGE"
            | "IMAGE_OTHER"
            | "TOO_MANY_TOOL_CALLS"
            | "UNEXPECTED_TOOL_CALL",
        ) => Why::BrokenOff,
        Some(
            "BLOCKLIST"
            | "LANGUAGE"
            | "MODEL_ARMOR"
            | "PROHIBITED_CONTENT"
            | "RECITATION"
            | "SPII"
            | "IMAGE_PROHIBITED_CONTENT"
            | "IMAGE_RECITATION"
            | "IMAGE_SAFETY",
        ) => Why::Blocked,
        Some(_) => Why::Unknown,
    }
}

/// Why a candidate ends, if it does. Google says `STOP` after calls too.
fn finish_reason(candidate: &Value, has_calls: bool) -> Value {
    match why(candidate) {
        Why::Not => Value::Null,
        Why::Limit | Why::BrokenOff => json!("length"),
        Why::Safety | Why::Blocked => json!("content_filter"),
        Why::Complete | Why::Unknown if has_calls => json!("tool_calls"),
        Why::Complete | Why::Unknown => json!("stop"),
    }
}

/// Whether the question itself was blocked, in which case there is no candidate.
fn is_blocked(body: &Value) -> bool {
    let reason = body["promptFeedback"]["blockReason"].as_str();
    reason.is_some_and(|reason| !matches!(reason, "" | "BLOCK_REASON_UNSPECIFIED"))
}

/// Thoughts are billed as output and stand apart from it there.
fn usage(usage: &Value) -> Value {
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let input = count("promptTokenCount").saturating_add(count("toolUsePromptTokenCount"));
    let thoughts = count("thoughtsTokenCount");
    let output = count("candidatesTokenCount").saturating_add(thoughts);
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {"cached_tokens": count("cachedContentTokenCount")},
        "completion_tokens_details": {"reasoning_tokens": thoughts},
    })
}

/// An error, by the words that OpenAI has for it. `error` is what stands in Google's under that name.
pub(super) fn error(error: &Value) -> Value {
    let message = error["message"].as_str().unwrap_or("the provider refused without a reason");
    let details = error["details"].to_string();
    // As the prober tells them apart.
    let is_quota = details.contains("PerDay");
    let is_capacity = details.contains("MODEL_CAPACITY_EXHAUSTED");
    let (kind, code) = match (error["status"].as_str().unwrap_or_default(), error["code"].as_u64())
    {
        (_, _) if is_capacity => ("server_error", "server_is_overloaded"),
        ("UNAVAILABLE", _) | (_, Some(503)) => ("server_error", "server_is_overloaded"),
        ("RESOURCE_EXHAUSTED", _) | (_, Some(429)) if is_quota => {
            ("insufficient_quota", "insufficient_quota")
        }
        ("RESOURCE_EXHAUSTED", _) | (_, Some(429)) => ("requests", "rate_limit_exceeded"),
        ("UNAUTHENTICATED", _) | (_, Some(401)) => ("invalid_request_error", "invalid_api_key"),
        ("PERMISSION_DENIED", _) | (_, Some(403)) => ("invalid_request_error", "permission_denied"),
        ("NOT_FOUND", _) | (_, Some(404)) => ("invalid_request_error", "model_not_found"),
        (_, Some(code)) if code >= 500 => ("server_error", "server_error"),
        ("INTERNAL" | "UNKNOWN" | "DEADLINE_EXCEEDED", _) => ("server_error", "server_error"),
        _ => ("invalid_request_error", "invalid_argument"),
    };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}
