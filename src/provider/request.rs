//! One question as bytes on the wire.
//!
//! Some choices that a reader may wonder about. `temperature` is omitted, since some models refuse
//! it. What limits the answer of chat completions is `max_tokens`, which every relay and engine of
//! this dialect understands, but where OpenAI's reasoning models are served, which refuse the older
//! name while all models beside them take the newer: at api.openai.com, and at Azure but for the
//! dated versions that came before it. A streamed question in that dialect asks for usage; the
//! others send it unasked. Nothing is kept by who answers (`store`), and what the configuration adds
//! to a request wins over what stands here.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Dialect, LimitField, Method, Page, Provider, UsageWish};

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

/// A question as it is sent, to be joined to the provider's `base_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `POST`, but for pages.
    pub method: Method,
    /// Begins with a slash; may end with a query.
    pub path: String,
    /// Lower-case names; the key is not among them.
    pub headers: Vec<(&'static str, &'static str)>,
    /// JSON, but for pages; empty where nothing is sent.
    pub body: Vec<u8>,
}

/// The version of Anthropic's interface that the decoder knows.
pub(super) const ANTHROPIC_VERSION: &str = "2023-06-01";

/// The first dated version of Azure's that knows `max_completion_tokens` and is no preview.
const AZURE_VERSION_OF_NEW_LIMIT: &str = "2024-10-21";

/// What a request asks of whom, whatever it says.
#[derive(Clone, Copy, Debug)]
pub struct AskedFor<'a> {
    /// The public name of the model.
    pub model: &'a str,
    /// The limit on the answer's tokens.
    pub tokens_max: u32,
    /// Whether the answer comes as server-sent events.
    pub is_streamed: bool,
}

/// Writes a question in the provider's dialect, under the provider's own name for the model.
pub fn request(provider: &Provider, ask: &Ask) -> Request {
    let model = provider.upstream_model(ask.model);
    let messages = [Message { role: "user", content: ask.prompt }];
    let stream = ask.is_streamed.then_some(true);
    let more = provider.models.get(ask.model).map(|model| &model.request);
    let body = match provider.dialect {
        Dialect::OpenaiChat | Dialect::AzureOpenai => {
            let limit = Some(ask.tokens_max);
            let (max_tokens, max_completion_tokens) = match limit_field(provider) {
                LimitField::MaxTokens => (limit, None),
                LimitField::MaxCompletionTokens => (None, limit),
            };
            let wants_usage = provider.wire.usage == UsageWish::Asked;
            let stream_options =
                (ask.is_streamed && wants_usage).then_some(StreamOptions { include_usage: true });
            json(
                &ChatBody {
                    model,
                    messages,
                    max_tokens,
                    max_completion_tokens,
                    stream,
                    stream_options,
                },
                more,
            )
        }
        Dialect::OpenaiResponses => {
            let (input, max_output_tokens) = (ask.prompt, ask.tokens_max);
            json(&ResponsesBody { model, input, max_output_tokens, stream, store: false }, more)
        }
        Dialect::AnthropicMessages => {
            json(&AnthropicBody { model, max_tokens: ask.tokens_max, messages, stream }, more)
        }
        Dialect::Gemini => {
            let contents = [Content { role: "user", parts: [Part { text: ask.prompt }] }];
            let generation_config = GenerationConfig { max_output_tokens: ask.tokens_max };
            json(&GeminiBody { contents, generation_config }, more)
        }
        Dialect::Http => return page_request(&Page::default(), ask.prompt),
    };
    envelope(provider, model, ask.is_streamed, body)
}

/// What goes around a body: where it goes, and with which headers.
pub(super) fn envelope(
    provider: &Provider,
    model: &str,
    is_streamed: bool,
    body: Vec<u8>,
) -> Request {
    let accept = if is_streamed { "text/event-stream" } else { "application/json" };
    let mut headers = vec![("content-type", "application/json"), ("accept", accept)];
    if provider.dialect == Dialect::AnthropicMessages {
        headers.push(("anthropic-version", ANTHROPIC_VERSION));
    }
    Request { method: Method::Post, path: path(provider, model, is_streamed), headers, body }
}

/// Writes the request for a page; `body` is what it is sent, the nonce in it.
pub fn page_request(page: &Page, body: &str) -> Request {
    let body = if page.body.is_some() { body.as_bytes().to_vec() } else { Vec::new() };
    let mut headers = vec![("accept", "*/*")];
    if !body.is_empty() {
        let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
        let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
        headers.push(("content-type", kind));
    }
    let path = if page.path.is_empty() { "/".to_owned() } else { page.path.clone() };
    Request { method: page.method, path, headers, body }
}

/// Where a question goes, below the base URL; may end with a query.
pub fn path(provider: &Provider, model: &str, is_streamed: bool) -> String {
    let own = provider.wire.path.as_deref();
    let version = provider.wire.api_version.as_deref();
    let template = own.unwrap_or(match (provider.dialect, version) {
        (Dialect::OpenaiChat, _) => "/v1/chat/completions",
        (Dialect::OpenaiResponses, _) => "/v1/responses",
        (Dialect::AnthropicMessages, _) => "/v1/messages",
        (Dialect::AzureOpenai, None) => "/openai/v1/chat/completions",
        (Dialect::AzureOpenai, Some(_)) => "/openai/deployments/{model}/chat/completions",
        // Tuned models bring the first part of their path along.
        (Dialect::Gemini, _) if model.contains('/') => "/v1beta/{model}",
        (Dialect::Gemini, _) => "/v1beta/models/{model}",
        (Dialect::Http, _) => "/",
    });
    let mut path = template.replace("{model}", &escaped(model));
    if provider.dialect == Dialect::Gemini {
        path.push_str(if is_streamed {
            ":streamGenerateContent?alt=sse"
        } else {
            ":generateContent"
        });
    }
    if let Some(version) = version {
        path.push(if path.contains('?') { '&' } else { '?' });
        path.push_str("api-version=");
        path.push_str(&escaped(version));
    }
    path
}

/// A text as it can stand in a path: slashes part it still.
pub(super) fn escaped(text: &str) -> String {
    let mut path = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/@".contains(&byte) {
            path.push(char::from(byte));
        } else {
            write!(path, "%{byte:02X}").expect("a text takes whatever is written to it");
        }
    }
    path
}

pub(super) fn limit_field(provider: &Provider) -> LimitField {
    let is_newer = match (provider.dialect, provider.wire.api_version.as_deref()) {
        (Dialect::AzureOpenai, Some(version)) => version >= AZURE_VERSION_OF_NEW_LIMIT,
        (Dialect::AzureOpenai, None) => true,
        (
            Dialect::OpenaiChat
            | Dialect::OpenaiResponses
            | Dialect::AnthropicMessages
            | Dialect::Gemini
            | Dialect::Http,
            _,
        ) => is_openai(&provider.base_url),
    };
    let usual = if is_newer { LimitField::MaxCompletionTokens } else { LimitField::MaxTokens };
    provider.wire.limit.unwrap_or(usual)
}

#[derive(Serialize)]
struct ChatBody<'a> {
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
struct ResponsesBody<'a> {
    model: &'a str,
    input: &'a str,
    max_output_tokens: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<bool>,
    store: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GeminiBody<'a> {
    contents: [Content<'a>; 1],
    generation_config: GenerationConfig,
}

#[derive(Serialize)]
struct Content<'a> {
    role: &'static str,
    parts: [Part<'a>; 1],
}

#[derive(Serialize)]
struct Part<'a> {
    text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GenerationConfig {
    max_output_tokens: u32,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

fn is_openai(base_url: &str) -> bool {
    let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    host.eq_ignore_ascii_case("api.openai.com")
}

fn json(body: &impl Serialize, more: Option<&Map<String, Value>>) -> Vec<u8> {
    match more.filter(|more| !more.is_empty()) {
        None => serde_json::to_vec(body).expect(ALWAYS),
        more => finished(serde_json::to_value(body).expect(ALWAYS), more),
    }
}

const ALWAYS: &str = "text and numbers always have a JSON form";

/// A body with what the configuration adds to it.
pub(super) fn finished(mut body: Value, more: Option<&Map<String, Value>>) -> Vec<u8> {
    if let Some(more) = more {
        merge(&mut body, more);
    }
    serde_json::to_vec(&body).expect(ALWAYS)
}

/// Puts fields into an object; objects are merged, and `null` takes a field out, as RFC 7396 says.
fn merge(body: &mut Value, more: &Map<String, Value>) {
    if !body.is_object() {
        *body = Value::Object(Map::new());
    }
    let Some(object) = body.as_object_mut() else { return };
    for (name, value) in more {
        match value {
            Value::Null => {
                object.remove(name);
            }
            Value::Object(inner) => {
                merge(object.entry(name.as_str()).or_insert(Value::Null), inner);
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                object.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::provider::{Auth, Model, Wire};

    fn provider(dialect: Dialect, base_url: &str, wire: Wire) -> Provider {
        let model = Model { name: Some("up-1".to_owned()), ..Model::default() };
        Provider {
            id: ProviderId::new("p"),
            dialect,
            system: dialect.system().to_owned(),
            base_url: base_url.to_owned(),
            auth: Auth::None,
            http: HttpSettings::default(),
            wire,
            models: BTreeMap::from([("public".to_owned(), model)]),
        }
    }

    fn written(provider: &Provider, is_streamed: bool) -> (String, String) {
        let ask = Ask { model: "public", prompt: "say \"hi\"", tokens_max: 32, is_streamed };
        let request = request(provider, &ask);
        let accept = if is_streamed { "text/event-stream" } else { "application/json" };
        assert!(request.headers.contains(&("accept", accept)));
        assert!(request.headers.contains(&("content-type", "application/json")));
        let version = request.headers.contains(&("anthropic-version", "2023-06-01"));
        assert_eq!(version, provider.dialect == Dialect::AnthropicMessages);
        (request.path, String::from_utf8(request.body).unwrap())
    }

    const USER: &str = r#"[{"role":"user","content":"say \"hi\""}]"#;

    #[test]
    fn a_question_is_written_as_its_dialect_documents_it() {
        let check = |dialect, base_url, is_streamed, path: &str, body: &str| {
            let found = written(&provider(dialect, base_url, Wire::default()), is_streamed);
            assert_eq!(found, (path.to_owned(), body.replace("USER", USER)));
        };
        check(
            Dialect::OpenaiChat,
            "https://relay.example/openai",
            true,
            "/v1/chat/completions",
            r#"{"model":"up-1","messages":USER,"max_tokens":32,"stream":true,"stream_options":{"include_usage":true}}"#,
        );
        check(
            Dialect::OpenaiChat,
            "https://api.openai.com",
            false,
            "/v1/chat/completions",
            r#"{"model":"up-1","messages":USER,"max_completion_tokens":32}"#,
        );
        check(
            Dialect::OpenaiResponses,
            "https://api.openai.com",
            true,
            "/v1/responses",
            r#"{"model":"up-1","input":"say \"hi\"","max_output_tokens":32,"stream":true,"store":false}"#,
        );
        check(
            Dialect::AnthropicMessages,
            "https://api.anthropic.com",
            true,
            "/v1/messages",
            r#"{"model":"up-1","max_tokens":32,"messages":USER,"stream":true}"#,
        );
        check(
            Dialect::AnthropicMessages,
            "https://api.anthropic.com",
            false,
            "/v1/messages",
            r#"{"model":"up-1","max_tokens":32,"messages":USER}"#,
        );
        check(
            Dialect::AzureOpenai,
            "https://r.openai.azure.com",
            true,
            "/openai/v1/chat/completions",
            r#"{"model":"up-1","messages":USER,"max_completion_tokens":32,"stream":true,"stream_options":{"include_usage":true}}"#,
        );
        let gemini = r#"{"contents":[{"role":"user","parts":[{"text":"say \"hi\""}]}],"generationConfig":{"maxOutputTokens":32}}"#;
        let google = "https://generativelanguage.googleapis.com";
        let path = "/v1beta/models/up-1:streamGenerateContent?alt=sse";
        check(Dialect::Gemini, google, true, path, gemini);
        check(Dialect::Gemini, google, false, "/v1beta/models/up-1:generateContent", gemini);
    }

    #[test]
    fn azures_dated_versions_have_a_path_and_a_limit_of_their_own() {
        for (version, limit) in
            [("2024-10-21", "max_completion_tokens"), ("2024-06-01", "max_tokens")]
        {
            let wire = Wire { api_version: Some(version.to_owned()), ..Wire::default() };
            let azure = provider(Dialect::AzureOpenai, "https://r.openai.azure.com", wire);
            let (path, body) = written(&azure, false);
            let expected =
                format!("/openai/deployments/up-1/chat/completions?api-version={version}");
            assert_eq!(path, expected);
            assert!(body.contains(&format!("\"{limit}\":32")), "{body}");
        }
    }

    #[test]
    fn a_path_of_ones_own_names_the_model_where_it_says() {
        let path = |dialect, path: &str, model: &str| {
            let wire = Wire { path: Some(path.to_owned()), ..Wire::default() };
            let mut provider = provider(dialect, "https://relay.example", wire);
            provider.models.clear();
            let ask = Ask { model, prompt: "x", tokens_max: 1, is_streamed: true };
            request(&provider, &ask).path
        };
        let run = path(Dialect::OpenaiChat, "/run/{model}/chat", "@cf/a model");
        assert_eq!(run, "/run/@cf/a%20model/chat");
        let vertex = "/v1/projects/p/locations/l/publishers/google/models/{model}";
        assert_eq!(
            path(Dialect::Gemini, vertex, "g-1"),
            format!("{}:streamGenerateContent?alt=sse", vertex.replace("{model}", "g-1"))
        );
    }

    #[test]
    fn what_the_configuration_adds_wins_over_the_dialect() {
        let mut gemini = provider(Dialect::Gemini, "https://g.example", Wire::default());
        let Value::Object(more) = serde_json::json!({
            "generationConfig": { "thinkingConfig": { "thinkingBudget": 0 } },
            "contents": null,
        }) else {
            panic!("an object")
        };
        gemini.models.get_mut("public").unwrap().request = more;
        let expected =
            r#"{"generationConfig":{"maxOutputTokens":32,"thinkingConfig":{"thinkingBudget":0}}}"#;
        assert_eq!(written(&gemini, true).1, expected);
    }

    #[test]
    fn usage_that_is_not_wanted_is_not_asked_for() {
        let wire = Wire {
            usage: UsageWish::NotAsked,
            limit: Some(LimitField::MaxCompletionTokens),
            ..Wire::default()
        };
        let relay = provider(Dialect::OpenaiChat, "https://relay.example", wire);
        let expected =
            r#"{"model":"up-1","messages":USER,"max_completion_tokens":32,"stream":true}"#;
        assert_eq!(written(&relay, true).1, expected.replace("USER", USER));
    }
}
