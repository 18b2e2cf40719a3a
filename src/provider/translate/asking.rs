//! A request in the words of its provider.

use serde_json::Value;

use super::super::Provider;
use super::super::request::limit_field;
use super::ledger::Ledger;
use super::words::read;
use super::{Direction, Strictness, Translated, Untranslatable, to_chat, to_messages};
use crate::provider::LimitField;

/// What a provider calls things.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The model; as the request says where absent.
    pub model: Option<&'a str>,
    /// The limit on the answer's tokens in chat completions.
    pub limit: LimitField,
}

impl<'a> Names<'a> {
    /// Those of a configured provider, for one of its models under the name that it has there.
    pub fn of(provider: &Provider, model: &'a str) -> Self {
        Self { model: Some(model), limit: limit_field(provider) }
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
/// use bellwether::provider::LimitField;
/// use bellwether::provider::translate::{Direction, Names, Strictness, request};
///
/// let body = br#"{"model":"chat","max_tokens":8,"seed":7,"messages":[{"role":"user","content":"hi"}]}"#;
/// let names = Names { model: Some("claude-sonnet-4-5"), limit: LimitField::MaxTokens };
/// let told = request(Direction::ToMessages, body, names, Strictness::Lenient).unwrap();
/// assert_eq!(
///     String::from_utf8(told.body).unwrap(),
///     r#"{"max_tokens":8,"messages":[{"content":[{"text":"hi","type":"text"}],"role":"user"}],"model":"claude-sonnet-4-5"}"#
/// );
/// assert_eq!(told.lost[0].at, "seed");
/// assert!(request(Direction::ToMessages, body, names, Strictness::Strict).is_err());
/// ```
pub fn request(
    direction: Direction,
    body: &[u8],
    names: Names<'_>,
    strictness: Strictness,
) -> Result<Translated, Untranslatable> {
    let body = read(body)?;
    let model = match names.model {
        Some(model) => model,
        None => body.get("model").and_then(Value::as_str).ok_or_else(|| missing("model"))?,
    };
    let mut ledger = Ledger::of_request(direction, strictness);
    let translated = match direction {
        Direction::ToMessages => to_messages::request(&body, model, &mut ledger)?,
        Direction::ToChat => to_chat::request(&body, model, names.limit, &mut ledger)?,
    };
    Ok(Translated::new(&translated, ledger))
}

fn missing(name: &str) -> Untranslatable {
    Untranslatable::Field(name.to_owned())
}
