//! The words of `POST /v1/messages`.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::voice::{Complaint, Facts, Frame, Usage, Voice};
use crate::model::Timestamp;

/// One answer in the words of Messages.
pub(super) struct Messages(pub Facts);

impl Messages {
    fn message(&self, content: Value, stop_reason: Option<&str>) -> Value {
        json!({
            "id": format!("msg_sim{:08}", self.0.number), "type": "message", "role": "assistant",
            "model": self.0.model, "content": content,
            "stop_reason": stop_reason, "stop_sequence": null,
        })
    }

    fn usage(&self, output_tokens: u32) -> Value {
        json!({
            "input_tokens": self.0.prompt_tokens, "output_tokens": output_tokens,
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
        })
    }

    fn delta(&self, text: Value) -> Frame {
        let delta = json!({ "type": "text_delta", "text": text });
        named("content_block_delta", json!({ "index": 0, "delta": delta }))
    }

    fn message_delta(&self, stop_reason: &str, usage: Option<Value>) -> Frame {
        let mut body = json!({ "delta": { "stop_reason": stop_reason, "stop_sequence": null } });
        if let Some(usage) = usage {
            body["usage"] = usage;
        }
        named("message_delta", body)
    }
}

impl Voice for Messages {
    fn opening(&self, content: &Content) -> Vec<Frame> {
        let mut message = self.message(json!([]), None);
        if self.0.wants_usage {
            message["usage"] = self.usage(1);
        }
        let mut frames = vec![named("message_start", json!({ "message": message }))];
        if matches!(content, Content::Text(_)) {
            let block = json!({ "type": "text", "text": "" });
            let start = json!({ "index": 0, "content_block": block });
            frames.push(named("content_block_start", start));
        }
        frames.push(self.keepalive());
        frames
    }

    fn piece(&self, text: &str) -> Frame {
        self.delta(json!(text))
    }

    fn refusal(&self, _text: &str) -> Option<Frame> {
        None
    }

    fn early_finish(&self) -> Option<Frame> {
        Some(self.message_delta("end_turn", None))
    }

    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame> {
        let mut frames = Vec::new();
        if matches!(content, Content::Text(_)) {
            frames.push(named("content_block_stop", json!({ "index": 0 })));
        }
        let told = usage != Usage::Missing;
        // Real answers report a token or more even where they say nothing.
        let usage = told.then(|| self.usage(content.tokens().max(1)));
        frames.push(self.message_delta(reason(finish), usage));
        frames
    }

    fn end(&self) -> Option<Frame> {
        Some(named("message_stop", json!({})))
    }

    fn keepalive(&self) -> Frame {
        named("ping", json!({}))
    }

    fn misshapen(&self) -> Frame {
        self.delta(json!(17))
    }

    fn failure(&self, error: &Value) -> String {
        Frame::Json(Some("error"), error.clone()).render("\n")
    }

    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        let blocks = match content {
            Content::Text(_) => json!([{ "type": "text", "text": content.text() }]),
            Content::Refusal(_) | Content::Nothing => json!([]),
        };
        let mut message = self.message(blocks, Some(reason(finish)));
        if usage != Usage::Missing {
            message["usage"] = self.usage(content.tokens().max(1));
        }
        message
    }

    fn misshapen_whole(&self) -> Value {
        self.message(json!("none"), Some("end_turn"))
    }
}

/// An event whose data repeats its name.
fn named(name: &'static str, mut body: Value) -> Frame {
    body["type"] = json!(name);
    Frame::Json(Some(name), body)
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::Filtered | Finish::Refused => "refusal",
    }
}

/// The body of an error.
pub(super) fn error(complaint: Complaint, message: &str, number: u64) -> Value {
    let kind = match complaint {
        Complaint::Quota => "billing_error",
        Complaint::Status(401) => "authentication_error",
        Complaint::Status(402) => "billing_error",
        Complaint::Status(403) => "permission_error",
        Complaint::Status(404) => "not_found_error",
        Complaint::Status(413) => "request_too_large",
        Complaint::Status(429) => "rate_limit_error",
        Complaint::Status(503 | 529) => "overloaded_error",
        Complaint::Status(504) => "timeout_error",
        Complaint::Status(status) if status >= 500 => "api_error",
        Complaint::Status(_) | Complaint::PreviousNotFound => "invalid_request_error",
    };
    json!({
        "type": "error", "error": { "type": kind, "message": message },
        "request_id": request_id(number),
    })
}

/// The headers that every answer carries.
pub(super) fn headers(number: u64, now: Timestamp) -> Vec<(&'static str, String)> {
    let left = 3999 - number % 1000;
    let reset = (now + Duration::from_secs(60)).rfc3339();
    vec![
        ("request-id", request_id(number)),
        ("anthropic-organization-id", "00000000-0000-0000-0000-000000000000".to_owned()),
        ("anthropic-ratelimit-requests-limit", "4000".to_owned()),
        ("anthropic-ratelimit-requests-remaining", left.to_string()),
        ("anthropic-ratelimit-requests-reset", reset.clone()),
        ("anthropic-ratelimit-tokens-limit", "400000".to_owned()),
        ("anthropic-ratelimit-tokens-remaining", (left * 100).to_string()),
        ("anthropic-ratelimit-tokens-reset", reset),
    ]
}

/// The list of models.
pub(super) fn models(models: &[String], now: Timestamp) -> Value {
    let created = now.rfc3339();
    let entries = models
        .iter()
        .map(|id| json!({ "id": id, "type": "model", "display_name": id, "created_at": created }));
    json!({
        "data": entries.collect::<Vec<_>>(), "has_more": false,
        "first_id": models.first(), "last_id": models.last(),
    })
}

fn request_id(number: u64) -> String {
    format!("req_sim{number:08}")
}
