//! The words of `POST /v1/chat/completions`.

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::voice::{Complaint, Facts, Frame, Usage, Voice};
use crate::model::Timestamp;

/// One answer in the words of chat completions.
pub(super) struct Chat(pub Facts);

impl Chat {
    fn id(&self) -> String {
        format!("chatcmpl-sim{:08}", self.0.number)
    }

    fn chunk(&self, delta: Value, finish: Option<&str>) -> Value {
        let choices = json!([{
            "index": 0, "delta": delta, "logprobs": null, "finish_reason": finish,
        }]);
        self.chunk_of(choices)
    }

    fn chunk_of(&self, choices: Value) -> Value {
        let mut chunk = json!({
            "id": self.id(), "object": "chat.completion.chunk", "created": seconds(self.0.now),
            "model": self.0.model, "choices": choices,
        });
        // Who asked for usage finds the key on every chunk, null until the last.
        if self.0.wants_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn usage(&self, content: &Content) -> Value {
        let (prompt, answer) = (self.0.prompt_tokens, content.tokens());
        json!({
            "prompt_tokens": prompt, "completion_tokens": answer,
            "total_tokens": prompt.saturating_add(answer),
            "prompt_tokens_details": { "cached_tokens": 0 },
            "completion_tokens_details": { "reasoning_tokens": 0 },
        })
    }
}

impl Voice for Chat {
    fn opening(&self, _content: &Content) -> Vec<Frame> {
        vec![Frame::Json(None, self.chunk(json!({ "role": "assistant", "content": "" }), None))]
    }

    fn piece(&self, text: &str) -> Frame {
        Frame::Json(None, self.chunk(json!({ "content": text }), None))
    }

    fn refusal(&self, text: &str) -> Option<Frame> {
        Some(Frame::Json(None, self.chunk(json!({ "refusal": text }), None)))
    }

    fn early_finish(&self) -> Option<Frame> {
        Some(Frame::Json(None, self.chunk(json!({}), Some("stop"))))
    }

    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame> {
        let mut last = self.chunk(json!({}), Some(reason(finish)));
        if self.0.wants_usage && usage == Usage::WithChoices {
            last["usage"] = self.usage(content);
        }
        let mut frames = vec![Frame::Json(None, last)];
        if self.0.wants_usage && usage == Usage::Reported {
            let mut extra = self.chunk_of(json!([]));
            extra["usage"] = self.usage(content);
            frames.push(Frame::Json(None, extra));
        }
        frames
    }

    fn end(&self) -> Option<Frame> {
        Some(Frame::Text("[DONE]"))
    }

    fn keepalive(&self) -> Frame {
        Frame::Comment("still working")
    }

    fn misshapen(&self) -> Frame {
        Frame::Json(None, self.chunk_of(json!("none")))
    }

    fn failure(&self, error: &Value) -> String {
        Frame::Json(None, error.clone()).render("\n")
    }

    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        let (text, refusal) = match content {
            Content::Text(_) => (json!(content.text()), Value::Null),
            Content::Refusal(refusal) => (Value::Null, json!(refusal)),
            Content::Nothing => (json!(""), Value::Null),
        };
        let mut body = json!({
            "id": self.id(), "object": "chat.completion", "created": seconds(self.0.now),
            "model": self.0.model,
            "choices": [{
                "index": 0,
                "message": { "role": "assistant", "content": text, "refusal": refusal },
                "logprobs": null,
                "finish_reason": reason(finish),
            }],
        });
        if usage != Usage::Missing {
            body["usage"] = self.usage(content);
        }
        body
    }

    fn misshapen_whole(&self) -> Value {
        json!({
            "id": self.id(), "object": "chat.completion", "created": seconds(self.0.now),
            "model": self.0.model, "choices": "none",
        })
    }
}

fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refused => "stop",
        Finish::Length => "length",
        Finish::Filtered => "content_filter",
    }
}

/// The body of an error.
pub(super) fn error(complaint: Complaint, message: &str) -> Value {
    let (kind, code) = match complaint {
        Complaint::PreviousNotFound => {
            ("invalid_request_error", Some("previous_response_not_found"))
        }
        Complaint::Quota => ("insufficient_quota", Some("insufficient_quota")),
        Complaint::Status(401) => ("invalid_request_error", Some("invalid_api_key")),
        Complaint::Status(403) => ("invalid_request_error", Some("unsupported_country")),
        Complaint::Status(404) => ("invalid_request_error", Some("model_not_found")),
        Complaint::Status(429) => ("requests", Some("rate_limit_exceeded")),
        Complaint::Status(503 | 529) => ("server_error", Some("server_is_overloaded")),
        Complaint::Status(status) if status >= 500 => ("server_error", None),
        Complaint::Status(_) => ("invalid_request_error", None),
    };
    let parameter = (complaint == Complaint::PreviousNotFound).then_some("previous_response_id");
    json!({ "error": { "message": message, "type": kind, "param": parameter, "code": code } })
}

/// The headers that every answer carries.
pub(super) fn headers(number: u64) -> Vec<(&'static str, String)> {
    let left = 9999 - number % 1000;
    vec![
        ("x-request-id", format!("req_sim{number:08}")),
        ("openai-processing-ms", "1".to_owned()),
        ("openai-version", "2020-10-01".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", left.to_string()),
        ("x-ratelimit-reset-requests", "6ms".to_owned()),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-tokens", (left * 100).to_string()),
        ("x-ratelimit-reset-tokens", "1m0s".to_owned()),
    ]
}

/// The list of models.
pub(super) fn models(models: &[String], now: Timestamp) -> Value {
    let entries = models.iter().map(|id| {
        json!({
            "id": id, "object": "model", "created": seconds(now), "owned_by": "bellwether",
        })
    });
    json!({ "object": "list", "data": entries.collect::<Vec<_>>() })
}

fn seconds(now: Timestamp) -> i64 {
    now.millis().div_euclid(1000)
}
