//! What was asked: as much of a request as an answer needs.
//!
//! The prober asks for a nonce back. The rule: the nonce is the last word of the last user message,
//! without the punctuation around it; so `Answer with exactly: "7f3a".` is answered `7f3a`.

use serde_json::Value;

use super::route::Asked;
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
    /// The response that it continues.
    pub previous: Option<String>,
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
    #[error("`api-version` is missing in the address")]
    ApiVersion,
}

impl Question {
    /// Reads a request's body; its address told the rest.
    pub fn read(asked: &Asked, body: &[u8]) -> Result<Self, Unclear> {
        if asked.lacks_version {
            return Err(Unclear::ApiVersion);
        }
        let dialect = asked.dialect;
        if dialect == Dialect::Http {
            return Ok(Self::of_page(body));
        }
        let body: Value = serde_json::from_slice(body).map_err(|_| Unclear::NotJson)?;
        let model = match &asked.model {
            Some(model) => model.clone(),
            None => body["model"].as_str().ok_or(Unclear::Field("model"))?.to_owned(),
        };
        let is_streamed = match (asked.is_streamed, &body["stream"]) {
            (Some(is_streamed), _) => is_streamed,
            (None, Value::Null) => false,
            (None, Value::Bool(is_streamed)) => *is_streamed,
            (None, _) => return Err(Unclear::Field("stream")),
        };
        let (prompt, whole_prompt) = prompt(dialect, &body)?;
        let tokens_max = match dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai => limit(&body, "max_completion_tokens")?
                .or(limit(&body, "max_tokens")?)
                .unwrap_or(u32::MAX),
            Dialect::OpenaiResponses => limit(&body, "max_output_tokens")?.unwrap_or(u32::MAX),
            Dialect::AnthropicMessages => {
                limit(&body, "max_tokens")?.ok_or(Unclear::Field("max_tokens"))?
            }
            Dialect::Gemini => {
                limit(&body["generationConfig"], "maxOutputTokens")?.unwrap_or(u32::MAX)
            }
            Dialect::Http => u32::MAX,
        };
        let wants_usage = match dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai => {
                body["stream_options"]["include_usage"] == true
            }
            Dialect::OpenaiResponses | Dialect::AnthropicMessages | Dialect::Gemini => true,
            Dialect::Http => false,
        };
        Ok(Self {
            dialect,
            model,
            is_streamed,
            wants_usage,
            tokens_max,
            nonce: nonce(&prompt),
            // About four letters make a token.
            prompt_tokens: u32::try_from(whole_prompt / 4 + 1).unwrap_or(u32::MAX),
            previous: match dialect {
                Dialect::OpenaiResponses => {
                    body["previous_response_id"].as_str().map(str::to_owned)
                }
                _ => None,
            },
        })
    }

    /// A page says back the last word of whatever it is sent.
    fn of_page(body: &[u8]) -> Self {
        Self {
            dialect: Dialect::Http,
            model: String::new(),
            is_streamed: false,
            wants_usage: false,
            tokens_max: u32::MAX,
            nonce: nonce(&String::from_utf8_lossy(body)),
            prompt_tokens: 0,
            previous: None,
        }
    }
}

/// What the user said last, and how long all that was said is.
fn prompt(dialect: Dialect, body: &Value) -> Result<(String, usize), Unclear> {
    let (list, said) = match dialect {
        Dialect::OpenaiChat | Dialect::AnthropicMessages | Dialect::AzureOpenai => {
            ("messages", "content")
        }
        Dialect::OpenaiResponses => ("input", "content"),
        Dialect::Gemini => ("contents", "parts"),
        Dialect::Http => return Ok((String::new(), 0)),
    };
    // Where what the system says does not stand among the turns.
    let system = match dialect {
        Dialect::AnthropicMessages => &body["system"],
        Dialect::OpenaiResponses => &body["instructions"],
        Dialect::Gemini => &body["systemInstruction"]["parts"],
        Dialect::OpenaiChat | Dialect::AzureOpenai | Dialect::Http => &Value::Null,
    };
    let system = text(system).len();
    if let (Dialect::OpenaiResponses, Some(input)) = (dialect, body["input"].as_str()) {
        return Ok((input.to_owned(), system + input.len()));
    }
    let turns = body[list].as_array().ok_or(Unclear::Field(list))?;
    // Google takes a turn without a role for the user's.
    let is_user = |turn: &&Value| {
        turn["role"] == "user" || (dialect == Dialect::Gemini && turn["role"].is_null())
    };
    let asked = turns.iter().rev().find(is_user).ok_or(Unclear::Field(list))?;
    let whole: usize = turns.iter().map(|turn| text(&turn[said]).len()).sum();
    Ok((text(&asked[said]), system + whole))
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
            let found = Question::read(&Asked::of(dialect), body.as_bytes());
            assert_eq!(found, Err(expected), "{body}");
        }
    }

    #[test]
    fn what_the_system_says_is_counted_wherever_it_stands() {
        let (said, system) = (r#"{"role":"user","content":"hi"}"#, "x".repeat(38));
        for (asked, body) in [
            (
                Asked::of(Dialect::OpenaiChat),
                format!(
                    r#"{{"model":"m","messages":[{{"role":"system","content":"{system}"}},{said}]}}"#
                ),
            ),
            (
                Asked::of(Dialect::AnthropicMessages),
                format!(
                    r#"{{"model":"m","max_tokens":1,"system":"{system}","messages":[{said}]}}"#
                ),
            ),
            (
                Asked::of(Dialect::OpenaiResponses),
                format!(r#"{{"model":"m","instructions":"{system}","input":"hi"}}"#),
            ),
            (
                Asked { model: Some("m".to_owned()), ..Asked::of(Dialect::Gemini) },
                format!(
                    r#"{{"systemInstruction":{{"parts":[{{"text":"{system}"}}]}},"contents":[{{"parts":[{{"text":"hi"}}]}}]}}"#
                ),
            ),
        ] {
            let question = Question::read(&asked, body.as_bytes()).unwrap();
            // 40 letters and one token.
            assert_eq!(question.prompt_tokens, 11, "{body}");
        }
    }

    #[test]
    fn content_may_be_a_text_or_a_list_of_parts() {
        let body = r#"{"model":"m","max_tokens":5,"stream":true,"messages":[
            {"role":"user","content":[{"type":"text","text":"Say exactly"},{"type":"text","text":"zz9"}]}]}"#;
        let question =
            Question::read(&Asked::of(Dialect::AnthropicMessages), body.as_bytes()).unwrap();
        assert_eq!(question.nonce, "zz9");
        assert_eq!(question.tokens_max, 5);
        assert!(question.is_streamed && question.wants_usage);
    }
}
