//! The words of Azure: those of chat completions, with what Azure puts around them.

use serde_json::{Value, json};

use super::answer::{Content, Finish};
use super::chat::Chat;
use super::voice::{Facts, Frame, Usage, Voice};

/// One answer in the words of Azure.
pub(super) struct Azure(Chat);

impl Azure {
    pub fn new(facts: Facts) -> Self {
        Self(Chat(facts))
    }
}

impl Voice for Azure {
    /// The first chunk tells of the prompt's filters, without choices, id or model.
    fn opening(&self, content: &Content) -> Vec<Frame> {
        let prologue = json!({
            "choices": [], "created": 0, "id": "", "model": "", "object": "",
            "prompt_filter_results": [{ "prompt_index": 0, "content_filter_results": safe() }],
        });
        let mut frames = vec![Frame::Json(None, prologue)];
        frames.extend(self.0.opening(content));
        frames
    }

    fn piece(&self, text: &str) -> Frame {
        self.0.piece(text)
    }

    fn refusal(&self, text: &str) -> Option<Frame> {
        self.0.refusal(text)
    }

    fn early_finish(&self) -> Option<Frame> {
        self.0.early_finish()
    }

    /// Before the end a chunk tells of the answer's filters; its choice has no delta.
    fn closing(&self, content: &Content, finish: Finish, usage: Usage) -> Vec<Frame> {
        let notes = json!({
            "choices": [{
                "content_filter_offsets": { "check_offset": 0, "start_offset": 0, "end_offset": 9 },
                "content_filter_results": safe(), "finish_reason": null, "index": 0,
            }],
            "created": 0, "id": "", "model": "", "object": "",
        });
        let mut frames = vec![Frame::Json(None, notes)];
        frames.extend(self.0.closing(content, finish, usage));
        frames
    }

    fn end(&self) -> Option<Frame> {
        self.0.end()
    }

    fn keepalive(&self) -> Frame {
        self.0.keepalive()
    }

    fn misshapen(&self) -> Frame {
        self.0.misshapen()
    }

    fn failure(&self, error: &Value) -> String {
        self.0.failure(error)
    }

    fn whole(&self, content: &Content, finish: Finish, usage: Usage) -> Value {
        let mut body = self.0.whole(content, finish, usage);
        body["prompt_filter_results"] =
            json!([{ "prompt_index": 0, "content_filter_results": safe() }]);
        body
    }

    fn misshapen_whole(&self) -> Value {
        self.0.misshapen_whole()
    }
}

fn safe() -> Value {
    let safe = json!({ "filtered": false, "severity": "safe" });
    json!({ "hate": safe, "self_harm": safe, "sexual": safe, "violence": safe })
}

/// The headers that every answer carries; numbers where OpenAI writes durations.
pub(super) fn headers(number: u64) -> Vec<(&'static str, String)> {
    let left = 9999 - number % 1000;
    vec![
        ("apim-request-id", format!("sim{number:08}")),
        ("x-ms-region", "Nowhere".to_owned()),
        ("x-ratelimit-limit-requests", "10000".to_owned()),
        ("x-ratelimit-remaining-requests", left.to_string()),
        ("x-ratelimit-limit-tokens", "2000000".to_owned()),
        ("x-ratelimit-remaining-tokens", (left * 100).to_string()),
    ]
}
