//! Requests that were made once, to be asked again: JSONL or HAR.
//!
//! A line of JSONL is the body of a request, or an object that holds it as `body`, with its address as
//! `url` beside it (the files of OpenAI's batches are such), or in `request`. A HAR is what browsers
//! and proxies save. Of either, only bodies and paths are read: headers, cookies and the rest of an
//! address, where keys travel, are never looked at. From a body is taken what says who asked (`user`,
//! `metadata`, …) and what would store the answer, and words that look like keys become `***`. What is
//! no request for an answer is left out, and counted by reason.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::prompt::{PROMPTS_MAX, Prompt, Said};
use crate::model::{Mistake, Place};
use crate::probe::{Check, Delivery};
use crate::provider::{Conversation, Dialect, without_keys};

/// The limit on an answer's tokens where a request names none.
const TOKENS_MAX_DEFAULT: u32 = 1024;
/// Deeper bodies are no request of any dialect.
const DEPTH_MAX: usize = 64;
/// Who asked, and what would be kept: none of it changes the answer.
const STRIPPED: [&str; 14] = [
    "user",
    "metadata",
    "safety_identifier",
    "prompt_cache_key",
    "store",
    "api_key",
    "apikey",
    "key",
    "authorization",
    "api_base",
    "base_url",
    "extra_headers",
    "extra_body",
    "labels",
];

/// What was found in a capture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    /// What can be asked again, in order.
    pub prompts: Vec<Prompt>,
    /// How many requests were left out, by reason.
    pub left_out: BTreeMap<&'static str, u64>,
    /// How many words that look like keys were replaced.
    pub keys: u64,
    /// How many fields were taken out of bodies.
    pub fields: u64,
}

/// Reads a capture.
pub fn parse(file: &str, text: &str) -> Result<Capture, Vec<Mistake>> {
    let text = text.trim_start_matches('\u{feff}');
    let mut capture = Capture::default();
    let mut mistakes = Vec::new();
    let place = |line: usize| Place {
        file: Arc::from(file),
        line: u32::try_from(line).unwrap_or(u32::MAX),
        column: 1,
    };
    match entries(text) {
        Some(entries) => entries.iter().for_each(|entry| capture.exchange(entry)),
        None => {
            for (index, line) in text.lines().enumerate() {
                match serde_json::from_str::<Value>(line) {
                    _ if line.trim().is_empty() => {}
                    Ok(Value::Object(object)) => capture.line(object),
                    Ok(_) => mistakes.push(Mistake::new(place(index + 1), "is no JSON object")),
                    Err(error) => {
                        let message = format!("is no JSON: column {}", error.column());
                        mistakes.push(Mistake::new(place(index + 1), message));
                    }
                }
                if capture.prompts.len() > PROMPTS_MAX || mistakes.len() >= 100 {
                    break;
                }
            }
        }
    }
    if capture.prompts.len() > PROMPTS_MAX {
        let message = format!("there are more than {PROMPTS_MAX} requests");
        mistakes.push(Mistake::new(place(1), message));
    }
    if capture.prompts.is_empty() && mistakes.is_empty() {
        let remedy = "requests to `/chat/completions`, `/messages`, `/responses` and `:generateContent` count";
        mistakes.push(Mistake::new(place(1), "no request for an answer is in it").remedy(remedy));
    }
    if mistakes.is_empty() { Ok(capture) } else { Err(mistakes) }
}

/// The exchanges of a HAR; `None` where it is none.
fn entries(text: &str) -> Option<Vec<Value>> {
    if !text.trim_start().starts_with('{') || !text.contains("\"log\"") {
        return None;
    }
    let mut har: Value = serde_json::from_str(text).ok()?;
    match har["log"]["entries"].take() {
        Value::Array(entries) => Some(entries),
        _ => None,
    }
}

impl Capture {
    fn leave_out(&mut self, why: &'static str) {
        *self.left_out.entry(why).or_default() += 1;
    }

    /// One exchange of a HAR.
    fn exchange(&mut self, entry: &Value) {
        let request = &entry["request"];
        if request["method"] != "POST" {
            return self.leave_out("no POST");
        }
        let body = request["postData"]["text"].as_str();
        match body.map(serde_json::from_str::<Value>) {
            Some(Ok(Value::Object(body))) => self.request(request["url"].as_str(), body, None),
            _ => self.leave_out("no JSON body"),
        }
    }

    /// One line of JSONL.
    fn line(&mut self, mut object: Map<String, Value>) {
        let id = ["custom_id", "id"].into_iter().find_map(|name| object.get(name)?.as_str());
        let id = id.map(|id| id.chars().take(64).collect::<String>());
        let mut url = None;
        let mut keep_url = |object: &Map<String, Value>| {
            let found = ["url", "path"].into_iter().find_map(|name| object.get(name)?.as_str());
            url = found.map(ToOwned::to_owned).or(url.take());
        };
        keep_url(&object);
        if let Some(Value::Object(request)) = object.remove("request") {
            object = request;
            keep_url(&object);
        }
        let body = match object.remove("body") {
            Some(Value::Object(body)) => body,
            Some(Value::String(text)) => match serde_json::from_str(&text) {
                Ok(Value::Object(body)) => body,
                _ => return self.leave_out("no JSON body"),
            },
            Some(_) => return self.leave_out("no JSON body"),
            None => object,
        };
        self.request(url.as_deref(), body, id);
    }

    fn request(&mut self, url: Option<&str>, mut body: Map<String, Value>, id: Option<String>) {
        let path = url.map(|url| url.split(['?', '#']).next().unwrap_or_default());
        let Some(dialect) = dialect(path, &body) else {
            return self.leave_out("no request for an answer");
        };
        if body.contains_key("previous_response_id") || body.contains_key("conversation") {
            return self.leave_out("needs what the provider has stored");
        }
        let before = body.len();
        body.retain(|name, _| !STRIPPED.contains(&name.to_ascii_lowercase().as_str()));
        self.fields += (before - body.len()) as u64;
        let mut value = Value::Object(body);
        if !cleaned(&mut value, 0, &mut self.keys) {
            return self.leave_out("too deep");
        }
        let Value::Object(body) = value else { return };
        let is_streamed = body.get("stream") == Some(&Value::Bool(true))
            || path.is_some_and(|path| path.ends_with(":streamGenerateContent"));
        let conversation = Conversation { dialect, body };
        let number = self.prompts.len() + 1;
        self.prompts.push(Prompt {
            id: id.unwrap_or_else(|| number.to_string()),
            tokens_max: conversation.tokens_max().unwrap_or(TOKENS_MAX_DEFAULT).max(1),
            said: Said::Whole(conversation),
            check: Check::Any,
            delivery: Some(if is_streamed { Delivery::Streamed } else { Delivery::Whole }),
        });
    }
}

/// Whose request it is: by its path, or by its fields where there is none.
fn dialect(path: Option<&str>, body: &Map<String, Value>) -> Option<Dialect> {
    let has = |name: &str| body.contains_key(name);
    if let Some(path) = path {
        let path = path.trim_end_matches('/');
        return if path.ends_with("/chat/completions") && has("messages") {
            Some(Dialect::OpenaiChat)
        } else if path.ends_with("/messages") && has("messages") {
            Some(Dialect::AnthropicMessages)
        } else if path.ends_with("/responses") && has("input") {
            Some(Dialect::OpenaiResponses)
        } else if path.ends_with("enerateContent") && has("contents") {
            Some(Dialect::Gemini)
        } else {
            None
        };
    }
    if has("messages") {
        let is_anthropic = has("system") || has("anthropic_version") || has("stop_sequences");
        return Some(if is_anthropic { Dialect::AnthropicMessages } else { Dialect::OpenaiChat });
    }
    // Embeddings have an `input` too, and nothing that limits an answer.
    if has("input")
        && (has("max_output_tokens")
            || has("instructions")
            || has("tools")
            || body["input"].is_array() && has("stream"))
    {
        return Some(Dialect::OpenaiResponses);
    }
    has("contents").then_some(Dialect::Gemini)
}

/// Replaces keys in every text; false where it is too deep to be looked through.
fn cleaned(value: &mut Value, depth: usize, keys: &mut u64) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match value {
        Value::String(text) => {
            let (clean, found) = without_keys(text);
            if found > 0 {
                *keys += found as u64;
                *text = clean;
            }
            true
        }
        Value::Array(items) => items.iter_mut().all(|item| cleaned(item, depth + 1, keys)),
        Value::Object(members) => {
            members.values_mut().all(|member| cleaned(member, depth + 1, keys))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The shape is that of the HAR 1.2 specification; keys stand wherever they travel.
    const HAR: &str = r#"{"log": {"version": "1.2", "entries": [
        {"request": {"method": "POST", "url": "https://api.example/v1/chat/completions?key=sk-canary-000000000001",
          "headers": [{"name": "authorization", "value": "Bearer sk-canary-000000000002"}],
          "postData": {"mimeType": "application/json", "text": "{\"model\": \"gpt\", \"stream\": true, \"user\": \"canary-user\", \"max_tokens\": 77, \"messages\": [{\"role\": \"user\", \"content\": \"my key is sk-canary-000000000003\"}]}"}}},
        {"request": {"method": "GET", "url": "https://api.example/v1/models", "headers": []}},
        {"request": {"method": "POST", "url": "https://api.example/v1/embeddings", "postData": {"text": "{\"input\": \"x\"}"}}}
    ]}}"#;

    #[test]
    fn a_har_keeps_requests_and_no_key() {
        let capture = parse("a.har", HAR).unwrap();
        assert_eq!(capture.prompts.len(), 1);
        assert!(!format!("{capture:?}").contains("canary"), "{capture:?}");
        let prompt = &capture.prompts[0];
        assert_eq!((prompt.tokens_max, prompt.delivery), (77, Some(Delivery::Streamed)));
        assert_eq!(prompt.said.text(), "user: my key is ***");
        assert_eq!((capture.keys, capture.fields), (1, 1));
        let left_out = BTreeMap::from([("no POST", 1), ("no request for an answer", 1)]);
        assert_eq!(capture.left_out, left_out);
    }

    #[test]
    fn lines_are_read_in_every_shape() {
        let text = r#"{"custom_id": "one", "method": "POST", "url": "/v1/chat/completions", "body": {"messages": []}}
            {"request": {"url": "https://x/v1/messages", "body": "{\"messages\": [], \"max_tokens\": 5}"}}
            {"messages": [], "system": "s"}
            {"contents": []}
            {"input": "x", "max_output_tokens": 3}
            {"input": "embed me"}
            {"input": "x", "max_output_tokens": 3, "previous_response_id": "resp_1"}"#;
        let capture = parse("a.jsonl", text).unwrap();
        let dialects: Vec<Dialect> = capture
            .prompts
            .iter()
            .map(|prompt| match &prompt.said {
                Said::Whole(conversation) => conversation.dialect,
                Said::Text(_) => panic!("a text"),
            })
            .collect();
        let expected = [
            Dialect::OpenaiChat,
            Dialect::AnthropicMessages,
            Dialect::AnthropicMessages,
            Dialect::Gemini,
            Dialect::OpenaiResponses,
        ];
        assert_eq!(dialects, expected);
        assert_eq!(capture.prompts[0].id, "one");
        assert_eq!(capture.left_out.values().sum::<u64>(), 2);
    }

    #[test]
    fn what_is_no_capture_says_so() {
        for (text, expected) in [
            ("nope", "a.jsonl:1:1: is no JSON: column 2"),
            ("[1]", "a.jsonl:1:1: is no JSON object"),
        ] {
            assert_eq!(parse("a.jsonl", text).unwrap_err()[0].to_string(), expected);
        }
        assert!(parse("a.jsonl", "").unwrap_err()[0].to_string().contains("no request"));
    }
}
