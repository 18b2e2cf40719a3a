//! The words of `:generateContent` and `:streamGenerateContent?alt=sse`.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::voice::{Complaint, Facts, Frame, Usage, Voice};

/// One answer in Google's words.
pub(super) struct Gemini(pub Facts);

impl Gemini {
    fn chunk(&self, candidates: Value, tokens: Option<u32>) -> Value {
        let mut chunk = json!({
            "candidates": candidates, "modelVersion": self.0.model,
            "responseId": format!("sim{:08}", self.0.number),
        });
        if self.0.wants_usage {
            let prompt = self.0.prompt_tokens;
            let mut usage = json!({
                "promptTokenCount": prompt,
                "totalTokenCount": prompt.saturating_add(tokens.unwrap_or(0)),
            });
            if let Some(tokens) = tokens {
                usage["candidatesTokenCount"] = json!(tokens);
            }
            chunk["usageMetadata"] = usage;
        }
        chunk
    }

    fn last(&self, text: &str, content: &Content, finish: Finish, usage: Usage) -> Value {
        let candidate = json!({
            "content": { "parts": [{ "text": text }], "role": "model" },
            "finishReason": reason(finish), "index": 0,
        });
        let mut chunk = self.chunk(json!([candidate]), Some(content.tokens()));
        if usage == Usage::Missing
            && let Some(chunk) = chunk.as_object_mut()
        {
            chunk.remove("usageMetadata");
        }
        chunk
    }
}

impl Voice for Gemini {
    fn opening(&self, _content: &Content) -> Vec<Frame> {
        Vec::new()
    }

    fn piece(&self, text: &str) -> Frame {
        let candidate =
            json!({ "content": { "parts": [{ "text": text }], "role": "model" }, "index": 0 });
        Frame::Json(None, self.chunk(json!([candidate]), None))
    }

    fn refusal(&self, _text: &str) -> Option<Frame> {
        None
    }

    fn early_finish(&self) -> Option<Frame> {
        let candidate = json!({ "finishReason": "STOP", "index": 0 });
        Some(Frame::Json(None, self.chunk(json!([candidate]), None)))
    }

    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame> {
        vec![Frame::Json(None, self.last("", content, finish, usage))]
    }

    fn end(&self) -> Option<Frame> {
        None
    }

    fn keepalive(&self) -> Frame {
        Frame::Comment("still working")
    }

    fn misshapen(&self) -> Frame {
        Frame::Json(None, self.chunk(json!("none"), None))
    }

    /// Google writes an error into a stream as it writes one beside it: on lines of its own.
    fn failure(&self, error: &Value) -> String {
        format!("{error:#}\n")
    }

    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        self.last(&content.text(), content, finish, usage)
    }

    fn misshapen_whole(&self) -> Value {
        self.chunk(json!("none"), None)
    }
}

/// Google has no refusal of its own; what it declines is cut by a filter.
fn reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::Filtered | Finish::Refused => "SAFETY",
    }
}

/// The body of an error.
pub(super) fn error(complaint: Complaint, message: &str) -> Value {
    let (code, status) = match complaint {
        Complaint::Quota => (429, "RESOURCE_EXHAUSTED"),
        Complaint::Status(400) | Complaint::PreviousNotFound => (400, "INVALID_ARGUMENT"),
        Complaint::Status(401) => (401, "UNAUTHENTICATED"),
        Complaint::Status(403) => (403, "PERMISSION_DENIED"),
        Complaint::Status(404) => (404, "NOT_FOUND"),
        Complaint::Status(429) => (429, "RESOURCE_EXHAUSTED"),
        Complaint::Status(503 | 529) => (503, "UNAVAILABLE"),
        Complaint::Status(504) => (504, "DEADLINE_EXCEEDED"),
        Complaint::Status(status) if status >= 500 => (status, "INTERNAL"),
        Complaint::Status(status) => (status, "FAILED_PRECONDITION"),
    };
    let details = match complaint {
        Complaint::Quota => json!([{
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier" }],
        }]),
        Complaint::Status(_) | Complaint::PreviousNotFound => json!([]),
    };
    json!({ "error": { "code": code, "message": message, "status": status, "details": details } })
}

/// Puts a wait into an error's body, where Google tells it.
pub(super) fn hint(error: &mut Value, wait: Duration) {
    if let Some(details) = error["error"]["details"].as_array_mut() {
        details.push(json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", wait.as_secs_f64()),
        }));
    }
}

/// The headers that every answer carries.
pub(super) fn headers() -> Vec<(&'static str, String)> {
    vec![("server-timing", "gfet4t7; dur=1".to_owned()), ("vary", "Origin".to_owned())]
}

/// The list of models.
pub(super) fn models(models: &[String]) -> Value {
    let entries = models.iter().map(|id| {
        json!({
            "name": format!("models/{id}"), "displayName": id,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
        })
    });
    json!({ "models": entries.collect::<Vec<_>>() })
}
