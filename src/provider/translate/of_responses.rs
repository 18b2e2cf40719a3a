//! What OpenAI's responses say, in the words of OpenAI's chat completions.

use serde_json::{Value, json};

use super::ledger::{At, Ledger, Lost};
use super::losses::{OTHER_REASONS, Within};
use super::stream::Said;
use super::words::Direction;

/// A whole answer; `None` where it is none, or not a finished one.
pub(super) fn answer(body: &Value, ledger: &mut Ledger) -> Option<Value> {
    let output = body["output"].as_array()?;
    if !matches!(body["status"].as_str(), None | Some("completed" | "incomplete")) {
        return None;
    }
    unread(body, ledger);
    let (mut text, mut refusal, mut thought) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for item in output {
        match item["type"].as_str() {
            Some("message") => {
                for part in item["content"].as_array().into_iter().flatten() {
                    text.push_str(part["text"].as_str().unwrap_or_default());
                    refusal.push_str(part["refusal"].as_str().unwrap_or_default());
                }
            }
            Some("reasoning") => {
                // What is open of it stands in the content, what is not in the summary.
                for name in ["summary", "content"] {
                    for part in item[name].as_array().into_iter().flatten() {
                        thought.push_str(part["text"].as_str().unwrap_or_default());
                    }
                }
            }
            Some("function_call") => calls.push(json!({
                "id": item["call_id"],
                "type": "function",
                "function": {"name": item["name"], "arguments": item["arguments"]},
            })),
            _ => {}
        }
    }
    let said = |text: &str| if text.is_empty() { Value::Null } else { json!(text) };
    let mut message =
        json!({"role": "assistant", "content": said(&text), "refusal": said(&refusal)});
    if !thought.is_empty() {
        message["reasoning_content"] = json!(thought);
    }
    let has_calls = !calls.is_empty();
    if has_calls {
        message["tool_calls"] = json!(calls);
    }
    let finish = finish_reason(body, has_calls);
    let choice = json!({"index": 0, "message": message, "logprobs": null, "finish_reason": finish});
    let mut answer = json!({
        "id": body["id"],
        "object": "chat.completion",
        "created": body["created_at"],
        "model": body["model"],
        "choices": [choice],
    });
    if !body["usage"].is_null() {
        answer["usage"] = usage(&body["usage"]);
    }
    if body["service_tier"].is_string() {
        answer["service_tier"] = body["service_tier"].clone();
    }
    Some(answer)
}

/// Tells a stream's events.
#[derive(Debug)]
pub(super) struct OfResponses {
    created: Value,
    id: Value,
    model: Value,
    /// How it is served, which its end says best.
    tier: Value,
    has_begun: bool,
    /// The places of the calls among all that is put out.
    calls: Vec<u64>,
    is_over: bool,
    ledger: Ledger,
}

impl OfResponses {
    pub(super) fn new(direction: Direction, now: i64) -> Self {
        Self {
            created: json!(now),
            id: Value::Null,
            model: Value::Null,
            tier: Value::Null,
            has_begun: false,
            calls: Vec::new(),
            is_over: false,
            ledger: Ledger::of_reply(direction, Within::Answer),
        }
    }

    /// What was left out or changed so far; what was put out besides texts and calls is known at its
    /// end.
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

    pub(super) fn event(&mut self, event: &Value, told: &mut dyn FnMut(Said)) {
        if self.is_over {
            return;
        }
        let response = &event["response"];
        if response.is_object() {
            (self.id, self.model) = (response["id"].clone(), response["model"].clone());
            self.tier = response["service_tier"].clone();
            if response["created_at"].is_number() {
                self.created = response["created_at"].clone();
            }
        }
        match event["type"].as_str().unwrap_or_default() {
            "response.created" | "response.in_progress" | "response.queued" => self.begin(told),
            "response.output_text.delta" => {
                self.tell(&json!({"content": event["delta"]}), Value::Null, told);
            }
            "response.refusal.delta" => {
                self.tell(&json!({"refusal": event["delta"]}), Value::Null, told);
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.tell(&json!({"reasoning_content": event["delta"]}), Value::Null, told);
            }
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                self.calls.push(event["output_index"].as_u64().unwrap_or_default());
                let item = &event["item"];
                let function = json!({"name": item["name"], "arguments": ""});
                let index = self.calls.len() - 1;
                let call = json!({"index": index, "id": item["call_id"], "type": "function",
                    "function": function});
                self.tell(&json!({"tool_calls": [call]}), Value::Null, told);
            }
            "response.function_call_arguments.delta" => {
                let place = event["output_index"].as_u64().unwrap_or_default();
                let index = self.calls.iter().position(|call| *call == place);
                let function = json!({"arguments": event["delta"]});
                let call = json!({"index": index.unwrap_or_default(), "function": function});
                self.tell(&json!({"tool_calls": [call]}), Value::Null, told);
            }
            "response.completed" | "response.incomplete" => self.finish(response, told),
            "response.failed" => self.fail(&response["error"], told),
            "error" if event["error"].is_object() => self.fail(&event["error"], told),
            "error" => self.fail(event, told),
            _ => {}
        }
    }

    fn finish(&mut self, response: &Value, told: &mut dyn FnMut(Said)) {
        let finish = finish_reason(response, !self.calls.is_empty());
        self.tell(&json!({}), finish, told);
        self.is_over = true;
        unread(response, &mut self.ledger);
        if !response["usage"].is_null() {
            let mut chunk = self.around(json!([]));
            chunk["usage"] = usage(&response["usage"]);
            told(Said::Usage(chunk));
        }
        told(Said::Done);
    }

    fn fail(&mut self, error: &Value, told: &mut dyn FnMut(Said)) {
        self.is_over = true;
        told(Said::Chunk(failure(error)));
    }

    fn begin(&mut self, told: &mut dyn FnMut(Said)) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.tell(&json!({"role": "assistant", "content": ""}), Value::Null, told);
        }
    }

    fn tell(&mut self, delta: &Value, finish: Value, told: &mut dyn FnMut(Said)) {
        self.begin(told);
        let choice = json!({"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish});
        told(Said::Chunk(self.around(json!([choice]))));
    }

    fn around(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        });
        if self.tier.is_string() {
            chunk["service_tier"] = self.tier.clone();
        }
        chunk
    }
}

/// An error inside a stream, or of a response that failed, as chat completions have it: those say no
/// type.
pub(super) fn failure(error: &Value) -> Value {
    let message = error["message"].as_str().unwrap_or("the provider failed without a reason");
    let code = error["code"].as_str().unwrap_or("server_error");
    let kind = if code.starts_with("rate_limit") { "requests" } else { "server_error" };
    json!({"error": {"message": message, "type": kind, "param": error["param"], "code": code}})
}

/// Why a response ended. One that says no status says no end.
fn finish_reason(response: &Value, has_calls: bool) -> Value {
    match (response["status"].as_str(), response["incomplete_details"]["reason"].as_str()) {
        (Some("incomplete"), Some("content_filter")) => json!("content_filter"),
        // Unfinished, whatever for.
        (Some("incomplete"), _) => json!("length"),
        (Some(_), _) if has_calls => json!("tool_calls"),
        (Some(_), _) => json!("stop"),
        (None, _) => Value::Null,
    }
}

fn usage(usage: &Value) -> Value {
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let (input, output) = (count(&usage["input_tokens"]), count(&usage["output_tokens"]));
    let details = &usage["input_tokens_details"];
    let reasoning = count(&usage["output_tokens_details"]["reasoning_tokens"]);
    let mut told = json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {"cached_tokens": count(&details["cached_tokens"])},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    });
    if details["cache_write_tokens"].is_u64() {
        told["prompt_tokens_details"]["cache_write_tokens"] = details["cache_write_tokens"].clone();
    }
    told
}

/// What a response says of itself, and then what it repeats of its request, which whoever asked knows.
const TOLD: [&str; 34] = [
    "created_at",
    "error",
    "id",
    "incomplete_details",
    "model",
    "object",
    "output",
    "service_tier",
    "status",
    "usage",
    "background",
    "frequency_penalty",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "parallel_tool_calls",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "store",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Names what is not told of a response. The ids and states of what it put out are of no use elsewhere.
fn unread(body: &Value, ledger: &mut Ledger) {
    ledger.unread(body, &TOLD, &At::Top);
    let is_for_messages = ledger.direction().is_for_messages();
    let usage = At::Top.field("usage");
    if is_for_messages {
        for name in ["created_at", "service_tier"] {
            if !body[name].is_null() {
                ledger.lose(name, &At::Top.field(name));
            }
        }
    }
    let reasoning: &[&str] = if is_for_messages { &[] } else { &["reasoning_tokens"] };
    const USAGE: [&str; 5] = [
        "input_tokens",
        "input_tokens_details",
        "output_tokens",
        "output_tokens_details",
        "total_tokens",
    ];
    ledger.unread(&body["usage"], &USAGE, &usage);
    for (name, told) in [
        ("input_tokens_details", &["cached_tokens", "cache_write_tokens"] as &[_]),
        ("output_tokens_details", reasoning),
    ] {
        ledger.unread(&body["usage"][name], told, &usage.field(name));
    }
    let why = &body["incomplete_details"]["reason"];
    if !matches!(why.as_str(), None | Some("content_filter" | "max_output_tokens")) {
        ledger.lose(OTHER_REASONS, &At::Top.field("incomplete_details").field("reason"));
    }
    let all = At::Top.field("output");
    for (place, item) in body["output"].as_array().into_iter().flatten().enumerate() {
        unread_item(item, &all.item(place), ledger);
    }
}

fn unread_item(item: &Value, at: &At<'_>, ledger: &mut Ledger) {
    let (told, lists): (&[&str], &[&str]) = match item["type"].as_str() {
        Some("message") => (&["content", "id", "role", "status", "type"], &["content"]),
        Some("reasoning") => {
            (&["content", "id", "status", "summary", "type"], &["summary", "content"])
        }
        Some("function_call") => (&["arguments", "call_id", "id", "name", "status", "type"], &[]),
        _ => return ledger.lose("other_items", at),
    };
    ledger.unread(item, told, at);
    for name in lists {
        let inside = at.field(name);
        for (place, part) in item[*name].as_array().into_iter().flatten().enumerate() {
            ledger.unread(part, &["refusal", "text", "type"], &inside.item(place));
        }
    }
}
