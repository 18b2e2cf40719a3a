//! One question as bytes on the wire.
//!
//! Two choices that a reader may wonder about. `temperature` is omitted, since some models refuse
//! it. The limit on the answer is `max_tokens`, which every relay and engine of this dialect
//! understands, but for api.openai.com itself: there it is `max_completion_tokens`, since its
//! reasoning models refuse the older name and all its models take the newer.
//! A streamed OpenAI question asks for usage; Anthropic sends it unasked.

use serde::Serialize;

use super::{Dialect, Provider};

/// A question, before it is written in a dialect.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The public name of the model.
    pub model: &'a str,
    /// What the user says.
    pub prompt: &'a str,
    /// The limit on the answer's tokens.
    pub tokens_max: u32,
    /// Whether the answer comes as server-sent events.
    pub is_streamed: bool,
}

/// A question as it is sent: `POST`, to be joined to the provider's `base_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Begins with a slash.
    pub path: &'static str,
    /// Lower-case names; the key is not among them.
    pub headers: Vec<(&'static str, &'static str)>,
    /// JSON.
    pub body: Vec<u8>,
}

/// The version of Anthropic's interface that the decoder knows.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// Writes a question in the provider's dialect, under the provider's own name for the model.
pub fn request(provider: &Provider, ask: &Ask) -> Request {
    let model = provider.upstream_model(ask.model);
    let messages = [Message { role: "user", content: ask.prompt }];
    let accept = if ask.is_streamed { "text/event-stream" } else { "application/json" };
    let mut headers = vec![("content-type", "application/json"), ("accept", accept)];
    let stream = ask.is_streamed.then_some(true);
    match provider.dialect {
        Dialect::OpenaiChat => {
            let limit = ask.tokens_max;
            let (max_tokens, max_completion_tokens) = if is_openai(&provider.base_url) {
                (None, Some(limit))
            } else {
                (Some(limit), None)
            };
            let body = OpenaiBody {
                model,
                messages,
                max_tokens,
                max_completion_tokens,
                stream,
                stream_options: stream.map(|include_usage| StreamOptions { include_usage }),
            };
            Request { path: "/v1/chat/completions", headers, body: json(&body) }
        }
        Dialect::AnthropicMessages => {
            headers.push(("anthropic-version", ANTHROPIC_VERSION));
            let body = AnthropicBody { model, max_tokens: ask.tokens_max, messages, stream };
            Request { path: "/v1/messages", headers, body: json(&body) }
        }
    }
}

#[derive(Serialize)]
struct OpenaiBody<'a> {
    model: &'a str,
    messages: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
struct AnthropicBody<'a> {
    model: &'a str,
    max_tokens: u32,
    messages: [Message<'a>; 1],
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

/// What a limit on the answer's tokens is called in OpenAI's dialect.
pub(super) fn limit_name(provider: &Provider) -> &'static str {
    if is_openai(&provider.base_url) { "max_completion_tokens" } else { "max_tokens" }
}

fn is_openai(base_url: &str) -> bool {
    let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.eq_ignore_ascii_case("api.openai.com")
}

fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).expect("text and numbers always have a JSON form")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::provider::{Auth, Model};

    fn provider(dialect: Dialect, base_url: &str) -> Provider {
        let model = Model { name: Some("up-1".to_owned()), price: None };
        Provider {
            id: ProviderId::new("p"),
            dialect,
            system: dialect.system().to_owned(),
            base_url: base_url.to_owned(),
            auth: Auth::None,
            http: HttpSettings::default(),
            models: BTreeMap::from([("public".to_owned(), model)]),
        }
    }

    #[test]
    fn a_question_is_written_as_its_dialect_documents_it() {
        let check = |dialect, base_url, is_streamed, path: &str, body: &str| {
            let ask = Ask { model: "public", prompt: "say \"hi\"", tokens_max: 32, is_streamed };
            let request = request(&provider(dialect, base_url), &ask);
            assert_eq!(request.path, path);
            assert_eq!(String::from_utf8(request.body).unwrap(), body);
            let accept = if is_streamed { "text/event-stream" } else { "application/json" };
            assert!(request.headers.contains(&("accept", accept)));
            assert!(request.headers.contains(&("content-type", "application/json")));
            let version = request.headers.contains(&("anthropic-version", "2023-06-01"));
            assert_eq!(version, dialect == Dialect::AnthropicMessages);
        };
        check(
            Dialect::OpenaiChat,
            "https://relay.example/openai",
            true,
            "/v1/chat/completions",
            r#"{"model":"up-1","messages":[{"role":"user","content":"say \"hi\""}],"max_tokens":32,"stream":true,"stream_options":{"include_usage":true}}"#,
        );
        check(
            Dialect::OpenaiChat,
            "https://api.openai.com",
            false,
            "/v1/chat/completions",
            r#"{"model":"up-1","messages":[{"role":"user","content":"say \"hi\""}],"max_completion_tokens":32}"#,
        );
        check(
            Dialect::AnthropicMessages,
            "https://api.anthropic.com",
            true,
            "/v1/messages",
            r#"{"model":"up-1","max_tokens":32,"messages":[{"role":"user","content":"say \"hi\""}],"stream":true}"#,
        );
        check(
            Dialect::AnthropicMessages,
            "https://api.anthropic.com",
            false,
            "/v1/messages",
            r#"{"model":"up-1","max_tokens":32,"messages":[{"role":"user","content":"say \"hi\""}]}"#,
        );
    }
}
