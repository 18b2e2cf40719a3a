//! A whole request that somebody else wrote, asked of a provider.
//!
//! Where the provider speaks the request's own dialect it passes as it is; only the model, the limit,
//! the stream and what keeps answers from being stored are ours. In another dialect it is told as the
//! router tells it, and what that dialect has no words for is refused or left out by name. What was
//! written for Responses or Gemini is asked in these alone.

use serde_json::{Map, Value, json};

use super::request::{AskedFor, envelope, finished, limit_field};
use super::translate::{self, Direction, Names, Strictness, Untranslatable};
use super::{Dialect, LimitField, Provider, Request, UsageWish};

/// The body of a request in its own dialect.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// Whose words these are.
    pub dialect: Dialect,
    /// The request's fields.
    pub body: Map<String, Value>,
}

impl Conversation {
    /// A conversation of chat completions that has these messages and nothing else.
    pub fn of_messages(messages: Vec<Value>) -> Self {
        let body = Map::from_iter([("messages".to_owned(), Value::Array(messages))]);
        Self { dialect: Dialect::OpenaiChat, body }
    }

    /// The limit on the answer's tokens that it asks for.
    pub fn tokens_max(&self) -> Option<u32> {
        let within = |at: &Value| at.as_u64().and_then(|limit| u32::try_from(limit).ok());
        let of = |name: &str| self.body.get(name).and_then(within);
        match self.dialect {
            Dialect::OpenaiChat | Dialect::AzureOpenai => {
                of("max_completion_tokens").or_else(|| of("max_tokens"))
            }
            Dialect::OpenaiResponses => of("max_output_tokens"),
            Dialect::AnthropicMessages => of("max_tokens"),
            Dialect::Gemini => within(&self.body.get("generationConfig")?["maxOutputTokens"]),
            Dialect::Http => None,
        }
    }
}

/// Writes a conversation for one of a provider's models; tells what was left out, by name.
pub fn conversation_request(
    provider: &Provider,
    asked: &AskedFor<'_>,
    conversation: &Conversation,
    strictness: Strictness,
) -> Result<(Request, Vec<&'static str>), Untranslatable> {
    let (mut body, left_out) = told(provider, asked, conversation, strictness)?;
    settle(&mut body, provider, asked);
    let more = provider.models.get(asked.model).map(|model| &model.request);
    let bytes = finished(Value::Object(body), more);
    Ok((
        envelope(provider, provider.upstream_model(asked.model), asked.is_streamed, bytes),
        left_out,
    ))
}

/// The body in the provider's dialect.
fn told(
    provider: &Provider,
    asked: &AskedFor<'_>,
    conversation: &Conversation,
    strictness: Strictness,
) -> Result<(Map<String, Value>, Vec<&'static str>), Untranslatable> {
    let (from, to) = (family(conversation.dialect), family(provider.dialect));
    if from == to {
        return Ok((conversation.body.clone(), Vec::new()));
    }
    let direction = match (from, to) {
        (Dialect::OpenaiChat, Dialect::AnthropicMessages) => Direction::ChatToMessages,
        (Dialect::OpenaiChat, Dialect::OpenaiResponses) => Direction::ChatToResponses,
        (Dialect::OpenaiChat, Dialect::Gemini) => Direction::ChatToGemini,
        (Dialect::AnthropicMessages, Dialect::OpenaiChat) => Direction::MessagesToChat,
        (Dialect::AnthropicMessages, Dialect::OpenaiResponses) => Direction::MessagesToResponses,
        (Dialect::AnthropicMessages, Dialect::Gemini) => Direction::MessagesToGemini,
        (from, _) => {
            let kind = from.as_str().to_owned();
            return Err(Untranslatable::Part { kind, at: "the request".to_owned() });
        }
    };
    let bytes = Value::Object(conversation.body.clone()).to_string().into_bytes();
    let names = Names::of(provider, provider.upstream_model(asked.model));
    let told = translate::request(direction, &bytes, names, strictness)?;
    let left_out = told.lost.iter().map(|lost| lost.loss.name).collect();
    match serde_json::from_slice(&told.body) {
        Ok(Value::Object(body)) => Ok((body, left_out)),
        _ => Err(Untranslatable::NotAnObject),
    }
}

/// Azure's chat completions are OpenAI's.
fn family(dialect: Dialect) -> Dialect {
    match dialect {
        Dialect::OpenaiChat | Dialect::AzureOpenai => Dialect::OpenaiChat,
        Dialect::OpenaiResponses | Dialect::AnthropicMessages | Dialect::Gemini | Dialect::Http => {
            dialect
        }
    }
}

/// Sets what is ours: the model, the limit, the stream.
fn settle(body: &mut Map<String, Value>, provider: &Provider, asked: &AskedFor<'_>) {
    let mut set = |name: &str, value: Option<Value>| {
        body.remove(name);
        if let Some(value) = value {
            body.insert(name.to_owned(), value);
        }
    };
    let model = json!(provider.upstream_model(asked.model));
    let stream = asked.is_streamed.then_some(Value::Bool(true));
    let limit = Some(json!(asked.tokens_max));
    match provider.dialect {
        Dialect::OpenaiChat | Dialect::AzureOpenai => {
            let wants_usage = asked.is_streamed && provider.wire.usage == UsageWish::Asked;
            let is_newer = limit_field(provider) == LimitField::MaxCompletionTokens;
            set("model", Some(model));
            set("stream", stream);
            set("stream_options", wants_usage.then(|| json!({"include_usage": true})));
            set("max_tokens", limit.clone().filter(|_| !is_newer));
            set("max_completion_tokens", limit.filter(|_| is_newer));
        }
        Dialect::OpenaiResponses => {
            set("model", Some(model));
            set("stream", stream);
            set("max_output_tokens", limit);
            set("store", Some(json!(false)));
        }
        Dialect::AnthropicMessages => {
            set("model", Some(model));
            set("stream", stream);
            set("max_tokens", limit);
        }
        Dialect::Gemini => {
            let mut config = body.get("generationConfig").cloned().unwrap_or_else(|| json!({}));
            config["maxOutputTokens"] = json!(asked.tokens_max);
            body.insert("generationConfig".to_owned(), config);
            body.remove("model");
        }
        Dialect::Http => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::{HttpSettings, ProviderId};
    use crate::provider::{Auth, Model, Wire};

    fn provider(dialect: Dialect) -> Provider {
        let model = Model { name: Some("own-name".to_owned()), ..Model::default() };
        Provider {
            id: ProviderId::new("p"),
            dialect,
            system: "s".to_owned(),
            base_url: "https://relay.example".to_owned(),
            auth: Auth::None,
            http: HttpSettings::default(),
            wire: Wire::default(),
            models: BTreeMap::from([("m".to_owned(), model)]),
        }
    }

    fn said(dialect: Dialect, body: Value) -> Conversation {
        let Value::Object(body) = body else { panic!("no object") };
        Conversation { dialect, body }
    }

    fn asked(dialect: Dialect, conversation: &Conversation) -> Result<Value, Untranslatable> {
        let asked = AskedFor { model: "m", tokens_max: 9, is_streamed: true };
        let strict = Strictness::Strict;
        let (request, _) = conversation_request(&provider(dialect), &asked, conversation, strict)?;
        Ok(serde_json::from_slice(&request.body).unwrap())
    }

    #[test]
    fn its_own_dialect_keeps_all_but_what_is_ours() {
        let said = said(
            Dialect::OpenaiChat,
            json!({
                "model": "gpt", "messages": [{"role": "user", "content": "hi"}], "seed": 3,
                "max_completion_tokens": 500, "stream": false, "tools": [{"type": "function"}],
            }),
        );
        assert_eq!(said.tokens_max(), Some(500));
        let expected = json!({
            "model": "own-name", "messages": [{"role": "user", "content": "hi"}], "seed": 3,
            "max_tokens": 9, "stream": true, "stream_options": {"include_usage": true},
            "tools": [{"type": "function"}],
        });
        assert_eq!(asked(Dialect::OpenaiChat, &said).unwrap(), expected);
    }

    // The shapes are those of the vendors' references.
    #[test]
    fn a_plain_conversation_is_told_in_every_dialect() {
        let said = said(
            Dialect::OpenaiChat,
            json!({
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": "hi"},
                    {"role": "assistant", "content": "hello"},
                    {"role": "user", "content": [{"type": "text", "text": "bye"}]},
                ],
                "temperature": 0.5,
            }),
        );
        let expected = json!({
            "model": "own-name", "max_tokens": 9, "stream": true, "system": "Be brief.",
            "temperature": 0.5,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hi"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "hello"}]},
                {"role": "user", "content": [{"type": "text", "text": "bye"}]},
            ],
        });
        assert_eq!(asked(Dialect::AnthropicMessages, &said).unwrap(), expected);
        let expected = json!({
            "model": "own-name", "max_output_tokens": 9, "stream": true, "store": false,
            "temperature": 0.5,
            "input": [
                {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"},
                {"role": "assistant", "content": [{"type": "output_text", "text": "hello"}]},
                {"role": "user", "content": [{"type": "input_text", "text": "bye"}]},
            ],
        });
        assert_eq!(asked(Dialect::OpenaiResponses, &said).unwrap(), expected);
        let expected = json!({
            "systemInstruction": {"parts": [{"text": "Be brief."}]},
            "contents": [
                {"role": "user", "parts": [{"text": "hi"}]},
                {"role": "model", "parts": [{"text": "hello"}]},
                {"role": "user", "parts": [{"text": "bye"}]},
            ],
            "generationConfig": {"temperature": 0.5, "maxOutputTokens": 9},
        });
        assert_eq!(asked(Dialect::Gemini, &said).unwrap(), expected);
    }

    #[test]
    fn what_has_no_words_is_refused_by_name() {
        let biased = said(
            Dialect::OpenaiChat,
            json!({"messages": [{"role": "user", "content": "hi"}], "logit_bias": {"7": 1}}),
        );
        assert_eq!(
            asked(Dialect::Gemini, &biased),
            Err(Untranslatable::Parameter("logit_bias".to_owned()))
        );
        let gemini = said(Dialect::Gemini, json!({"contents": []}));
        assert!(asked(Dialect::OpenaiChat, &gemini).is_err());
        assert!(asked(Dialect::Gemini, &gemini).is_ok());
    }
}
