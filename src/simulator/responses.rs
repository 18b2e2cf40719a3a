//! The words of `POST /v1/responses`.

use std::cell::Cell;

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::voice::{Complaint, Facts, Frame, Usage, Voice};
use crate::model::Timestamp;

/// One answer in the words of Responses. Its events are numbered in the order in which they are
/// made, which is that in which they are sent.
pub(super) struct Responses {
    facts: Facts,
    next: Cell<u64>,
}

impl Responses {
    pub fn new(facts: Facts) -> Self {
        Self { facts, next: Cell::new(0) }
    }

    fn event(&self, name: &'static str, mut body: Value) -> Frame {
        body["type"] = json!(name);
        body["sequence_number"] = json!(self.next.replace(self.next.get() + 1));
        Frame::Json(Some(name), body)
    }

    fn response(&self, status: &str, output: Value) -> Value {
        json!({
            "id": id(self.facts.home, self.facts.number), "object": "response",
            "created_at": seconds(self.facts.now), "status": status, "error": null,
            "incomplete_details": null, "model": self.facts.model, "output": output,
            "store": true, "usage": null,
        })
    }

    fn ended(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        let (status, reason) = match finish {
            Finish::Stop | Finish::Refused => ("completed", None),
            Finish::Length => ("incomplete", Some("max_output_tokens")),
            Finish::Filtered => ("incomplete", Some("content_filter")),
        };
        let output = match part(content) {
            Some(part) => json!([self.item("completed", json!([part]))]),
            None => json!([]),
        };
        let mut response = self.response(status, output);
        if let Some(reason) = reason {
            response["incomplete_details"] = json!({ "reason": reason });
        }
        if usage != Usage::Missing {
            let (input, output) = (self.facts.prompt_tokens, content.tokens());
            response["usage"] = json!({
                "input_tokens": input, "input_tokens_details": { "cached_tokens": 0 },
                "output_tokens": output, "output_tokens_details": { "reasoning_tokens": 0 },
                "total_tokens": input.saturating_add(output),
            });
        }
        response
    }

    fn item(&self, status: &str, content: Value) -> Value {
        json!({
            "id": self.item_id(), "type": "message", "status": status, "role": "assistant",
            "content": content,
        })
    }

    fn item_id(&self) -> String {
        format!("msg_sim{:08}", self.facts.number)
    }

    fn delta(&self, name: &'static str, delta: Value) -> Frame {
        let body = json!({
            "item_id": self.item_id(), "output_index": 0, "content_index": 0, "delta": delta,
        });
        self.event(name, body)
    }
}

impl Voice for Responses {
    fn opening(&self, content: &Content) -> Vec<Frame> {
        let begun = || json!({ "response": self.response("in_progress", json!([])) });
        let mut frames = vec![
            self.event("response.created", begun()),
            self.event("response.in_progress", begun()),
        ];
        if matches!(content, Content::Text(_)) {
            let item = self.item("in_progress", json!([]));
            frames.push(
                self.event(
                    "response.output_item.added",
                    json!({ "output_index": 0, "item": item }),
                ),
            );
            let part = json!({
                "item_id": self.item_id(), "output_index": 0, "content_index": 0,
                "part": { "type": "output_text", "text": "", "annotations": [] },
            });
            frames.push(self.event("response.content_part.added", part));
        }
        frames
    }

    fn piece(&self, text: &str) -> Frame {
        self.delta("response.output_text.delta", json!(text))
    }

    fn refusal(&self, text: &str) -> Option<Frame> {
        Some(self.delta("response.refusal.delta", json!(text)))
    }

    fn early_finish(&self) -> Option<Frame> {
        None
    }

    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame> {
        let mut frames = Vec::new();
        if matches!(content, Content::Text(_)) {
            let text = json!({
                "item_id": self.item_id(), "output_index": 0, "content_index": 0,
                "text": content.text(),
            });
            frames.push(self.event("response.output_text.done", text));
        }
        let response = self.ended(content, finish, usage);
        let name = match finish {
            Finish::Stop | Finish::Refused => "response.completed",
            Finish::Length | Finish::Filtered => "response.incomplete",
        };
        frames.push(self.event(name, json!({ "response": response })));
        frames
    }

    fn end(&self) -> Option<Frame> {
        None
    }

    fn keepalive(&self) -> Frame {
        Frame::Json(Some("keepalive"), json!({ "type": "keepalive" }))
    }

    fn misshapen(&self) -> Frame {
        self.delta("response.output_text.delta", json!(17))
    }

    fn failure(&self, error: &Value) -> String {
        let mut response = self.response("failed", json!([]));
        let told = &error["error"];
        let code = if told["code"].is_null() { &told["type"] } else { &told["code"] };
        response["error"] = json!({ "code": code, "message": told["message"] });
        self.event("response.failed", json!({ "response": response })).render("\n")
    }

    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        self.ended(content, finish, usage)
    }

    fn misshapen_whole(&self) -> Value {
        self.response("completed", json!("none"))
    }
}

/// The id of the answer to the question of this number.
fn id(home: u16, number: u64) -> String {
    format!("resp_sim{home:05}x{number:08}")
}

/// Whether a response can be continued: each that was given here before.
pub(super) fn is_kept(previous: &str, home: u16, number: u64) -> bool {
    let given = previous.rsplit_once('x').and_then(|(_, given)| given.parse().ok());
    given.is_some_and(|given| (1..number).contains(&given) && previous == id(home, given))
}

fn part(content: &Content) -> Option<Value> {
    match content {
        Content::Text(_) => {
            Some(json!({ "type": "output_text", "text": content.text(), "annotations": [] }))
        }
        Content::Refusal(words) => Some(json!({ "type": "refusal", "refusal": words })),
        Content::Nothing => None,
    }
}

/// The body of an error: that of chat completions.
pub(super) fn error(complaint: Complaint, message: &str) -> Value {
    super::chat::error(complaint, message)
}

fn seconds(now: Timestamp) -> i64 {
    now.millis().div_euclid(1000)
}
