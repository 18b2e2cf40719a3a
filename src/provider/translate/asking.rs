//! A request in the words of its provider.

use serde_json::{Map, Value};

use super::super::Provider;
use super::super::request::limit_field;
use super::ledger::{At, Ledger};
use super::words::{read, wrong};
use super::{
    Direction, Strictness, Translated, Untranslatable, to_chat, to_gemini, to_messages,
    to_responses,
};
use crate::provider::{LimitField, UsageWish};

/// What a provider calls things.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The model; as the request says where absent.
    pub model: Option<&'a str>,
    /// The limit on the answer's tokens in chat completions.
    pub limit: LimitField,
    /// Whether chat completions are asked for the usage of a stream.
    pub usage: UsageWish,
}

impl<'a> Names<'a> {
    /// Those of a configured provider, for one of its models under the name that it has there.
    pub fn of(provider: &Provider, model: &'a str) -> Self {
        Self { model: Some(model), limit: limit_field(provider), usage: provider.wire.usage }
    }
}

/// Tells a request to a provider of the other dialect.
///
/// `body` is a whole request as its client sent it. Everything that has a counterpart is told: system
/// prompts, turns, texts, pictures (inside or by their address), tools, their calls and results, the
/// choice among them, the limit, stop sequences, sampling, the user, and whether a stream is wanted.
/// The rest is refused or left out as [`super::LOSSES`] and the strictness say, and what was left out
/// is named in [`Translated::lost`].
///
/// # Errors
///
/// [`Untranslatable`] where the body is no request, where strictness refuses a parameter, and, however
/// lenient, where a part of a message has no counterpart: without it another question would be asked.
///
/// ```
/// use bellwether::provider::{LimitField, UsageWish};
/// use bellwether::provider::translate::{Direction, Names, Strictness, request};
///
/// let body = br#"{"model":"chat","max_tokens":8,"seed":7,"messages":[{"role":"user","content":"hi"}]}"#;
/// let names = Names {
///     model: Some("claude-sonnet-4-5"),
///     limit: LimitField::MaxTokens,
///     usage: UsageWish::Asked,
/// };
/// let told = request(Direction::ChatToMessages, body, names, Strictness::Lenient).unwrap();
/// assert_eq!(
///     String::from_utf8(told.body).unwrap(),
///     r#"{"max_tokens":8,"messages":[{"content":[{"text":"hi","type":"text"}],"role":"user"}],"model":"claude-sonnet-4-5"}"#
/// );
/// assert_eq!(told.lost[0].at, "seed");
/// assert!(request(Direction::ChatToMessages, body, names, Strictness::Strict).is_err());
/// ```
pub fn request(
    direction: Direction,
    body: &[u8],
    names: Names<'_>,
    strictness: Strictness,
) -> Result<Translated, Untranslatable> {
    let mut body = read(body)?;
    let model = match names.model {
        Some(model) => model,
        None => {
            let own = body.get("model").and_then(Value::as_str);
            &own.ok_or_else(|| wrong(&At::Top.field("model")))?.to_owned()
        }
    };
    let mut ledger = Ledger::of_request(direction, strictness);
    let translated = match direction {
        Direction::ChatToMessages => to_messages::request(&body, model, &mut ledger)?,
        Direction::MessagesToChat => to_chat::request(&body, model, names, &mut ledger)?,
        Direction::ChatToGemini => to_gemini::request(&body, model, &mut ledger)?,
        Direction::MessagesToGemini => {
            let own = to_gemini::of_messages(&mut body, &mut ledger)?;
            let chat = chat(&body, model, names, &mut ledger)?;
            let mut translated = to_gemini::request(&chat, model, &mut ledger)?;
            to_gemini::add(&mut translated, own);
            translated
        }
        Direction::ChatToResponses => to_responses::request(&body, model, &mut ledger)?,
        Direction::MessagesToResponses => {
            to_responses::of_messages(&mut body, &mut ledger)?;
            let chat = chat(&body, model, names, &mut ledger)?;
            to_responses::request(&chat, model, &mut ledger)?
        }
    };
    Ok(Translated::new(&translated, ledger))
}

fn chat(
    body: &Map<String, Value>,
    model: &str,
    names: Names<'_>,
    ledger: &mut Ledger,
) -> Result<Map<String, Value>, Untranslatable> {
    match to_chat::request(body, model, names, ledger)? {
        Value::Object(chat) => Ok(chat),
        _ => Err(Untranslatable::NotAnObject),
    }
}
