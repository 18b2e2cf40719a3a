//! What OpenAI's responses say, in the words of OpenAI's chat completions.

use serde_json::{Value, json};

use super::stream::Said;

/// A whole answer; `None` where it is none, or not a finished one.
pub(super) fn answer(body: &Value) -> Option<Value> {
    let output = body["output"].as_array()?;
    if !matches!(body["status"].as_str(), None | Some("completed" | "incomplete")) {
        return None;
    }
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
                for part in item["summary"].as_array().into_iter().flatten() {
                    thought.push_str(part["text"].as_str().unwrap_or_default());
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
    Some(answer)
}

/// Tells a stream's events.
#[derive(Debug, Default)]
pub(super) struct OfResponses {
    created: Value,
    id: Value,
    model: Value,
    has_begun: bool,
    /// The places of the calls among all that is put out.
    calls: Vec<u64>,
    is_over: bool,
}

impl OfResponses {
    pub(super) fn new(now: i64) -> Self {
        Self { created: json!(now), ..Self::default() }
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
        if !response["usage"].is_null() {
            let mut chunk = self.around(json!([]));
            chunk["usage"] = usage(&response["usage"]);
            told(Said::Usage(chunk));
        }
        told(Said::Done);
    }

    fn fail(&mut self, error: &Value, told: &mut dyn FnMut(Said)) {
        self.is_over = true;
        let message = error["message"].as_str().unwrap_or("the provider failed without a reason");
        let code = error["code"].as_str().unwrap_or("server_error");
        let kind = if code.starts_with("rate_limit") { "requests" } else { "server_error" };
        let error =
            json!({"message": message, "type": kind, "param": error["param"], "code": code});
        told(Said::Chunk(json!({"error": error})));
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
        json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
        })
    }
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
    let cached = count(&usage["input_tokens_details"]["cached_tokens"]);
    let reasoning = count(&usage["output_tokens_details"]["reasoning_tokens"]);
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {"cached_tokens": cached},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    })
}
