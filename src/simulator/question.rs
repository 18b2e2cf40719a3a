//! What was asked: as much of a request as an answer needs.
//!
//! The prober asks for a nonce back. The rule: the nonce is the last word of the last user message,
//! without the punctuation around it; so `Answer with exactly: "7f3a".` is answered `7f3a`.

use serde_json::Value;

use crate::provider::Dialect;

/// No prober's nonce is longer, and the answer must stay small.
const NONCE_CHARS_MAX: usize = 256;

/// A question that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub dialect: Dialect,
    pub model: String,
    pub is_streamed: bool,
    /// Whether a stream shall report usage. Messages always does.
    pub wants_usage: bool,
    /// The asker's limit on the answer's tokens.
    pub tokens_max: u32,
    pub nonce: String,
    pub prompt_tokens: u32,
}

/// Why a request is no question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unclear {
    #[error("the body is not JSON")]
    NotJson,
    #[error("the field `{0}` is missing or of the wrong type")]
    Field(&'static str),
    #[error("the header `anthropic-version` is missing")]
    Version,
}

impl Question {
    /// Reads a request's body.
    pub fn read(dialect: Dialect, body: &[u8]) -> Result<Self, Unclear> {
        let body: Value = serde_json::from_slice(body).map_err(|_| Unclear::NotJson)?;
        let model = body["model"].as_str().ok_or(Unclear::Field("model"))?.to_owned();
        let is_streamed = match &body["stream"] {
            Value::Null => false,
            Value::Bool(is_streamed) => *is_streamed,
            _ => return Err(Unclear::Field("stream")),
        };
        let messages = body["messages"].as_array().ok_or(Unclear::Field("messages"))?;
        let asked = messages.iter().rev().find(|message| message["role"] == "user");
        let prompt = text(&asked.ok_or(Unclear::Field("messages"))?["content"]);
        let whole_prompt: usize =
            messages.iter().map(|message| text(&message["content"]).len()).sum();
        let tokens_max = match dialect {
            Dialect::OpenaiChat => limit(&body, "max_completion_tokens")?
                .or(limit(&body, "max_tokens")?)
                .unwrap_or(u32::MAX),
            Dialect::AnthropicMessages => {
                limit(&body, "max_tokens")?.ok_or(Unclear::Field("max_tokens"))?
            }
        };
        Ok(Self {
            dialect,
            model,
            is_streamed,
            wants_usage: dialect == Dialect::AnthropicMessages
                || body["stream_options"]["include_usage"] == true,
            tokens_max,
            nonce: nonce(&prompt),
            // About four letters make a token.
            prompt_tokens: u32::try_from(whole_prompt / 4 + 1).unwrap_or(u32::MAX),
        })
    }
}

fn limit(body: &Value, field: &'static str) -> Result<Option<u32>, Unclear> {
    match &body[field] {
        Value::Null => Ok(None),
        value => {
            let limit = value.as_u64().and_then(|limit| u32::try_from(limit).ok());
            limit.filter(|limit| *limit > 0).map(Some).ok_or(Unclear::Field(field))
        }
    }
}

/// A message's text: a string, or the text parts of a list.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            texts.join(" ")
        }
        _ => String::new(),
    }
}

fn nonce(prompt: &str) -> String {
    let words = prompt.split_whitespace().rev();
    let bare = words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let last = bare.into_iter().find(|word| !word.is_empty()).unwrap_or("ok");
    last.chars().take(NONCE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nonce_is_the_last_word_without_its_punctuation() {
        for (prompt, expected) in [
            ("Reply with exactly this word: k7f3-a9", "k7f3-a9"),
            ("Say exactly \"7f3a91\".", "7f3a91"),
            ("`abc123` \n", "abc123"),
            ("only: žluť!", "žluť"),
            ("word ...", "word"),
            ("?!", "ok"),
            ("", "ok"),
        ] {
            assert_eq!(nonce(prompt), expected, "{prompt}");
        }
    }

    #[test]
    fn a_request_that_no_provider_would_take_is_refused_by_field() {
        for (dialect, body, expected) in [
            (Dialect::OpenaiChat, "{", Unclear::NotJson),
            (Dialect::OpenaiChat, "[]", Unclear::Field("model")),
            (Dialect::OpenaiChat, r#"{"model":"m"}"#, Unclear::Field("messages")),
            (Dialect::OpenaiChat, r#"{"model":"m","messages":[]}"#, Unclear::Field("messages")),
            (
                Dialect::OpenaiChat,
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":0}"#,
                Unclear::Field("max_tokens"),
            ),
            (
                Dialect::OpenaiChat,
                r#"{"model":"m","messages":[{"role":"user","content":"x"}],"stream":1}"#,
                Unclear::Field("stream"),
            ),
            (
                Dialect::AnthropicMessages,
                r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#,
                Unclear::Field("max_tokens"),
            ),
        ] {
            assert_eq!(Question::read(dialect, body.as_bytes()), Err(expected), "{body}");
        }
    }

    #[test]
    fn content_may_be_a_text_or_a_list_of_parts() {
        let body = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[
            {"role":"user","content":[{"type":"text","text":"Say exactly"},{"type":"text","text":"zz9"}]}]}"#;
        let question = Question::read(Dialect::AnthropicMessages, body.as_bytes()).unwrap();
        assert_eq!(question.nonce, "zz9");
        assert_eq!(question.tokens_max, 5);
        assert!(question.is_streamed && question.wants_usage);
    }
}
