//! What the router reads of a request: the model, and what tells its client apart.
//!
//! The body is looked through once and left as it is; nothing is built from it. The model's name is
//! replaced in place where the provider calls it otherwise, so that every other byte arrives as the
//! client wrote it. A body that says a thing twice is refused: two readers could take it for two
//! different requests.

use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

/// Why a request cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotReadable {
    /// It is no JSON object, or says something twice.
    #[error("the body is not a JSON object in which each field stands once")]
    Json,
    /// It names no model.
    #[error("the field `model` is missing or no text")]
    Model,
}

/// What was read of a request.
#[derive(Clone, Debug)]
pub struct Peek<'a> {
    /// The model that is asked for.
    pub named: Named,
    /// Whether the answer shall be streamed.
    pub is_streamed: bool,
    /// The field `user`.
    pub user: Option<String>,
    /// The field `previous_response_id`: the response that is continued.
    pub continues: Option<String>,
    metadata: Option<&'a RawValue>,
    messages: Option<&'a RawValue>,
}

/// A model's name, and where it stands in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub model: String,
    // Quotes included.
    span: Range<usize>,
}

#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    model: Option<&'a RawValue>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
    #[serde(borrow)]
    user: Option<&'a RawValue>,
    #[serde(borrow)]
    previous_response_id: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    input: Option<&'a RawValue>,
}

/// Reads a request's body.
pub fn peek(body: &[u8]) -> Result<Peek<'_>, NotReadable> {
    let fields: Fields<'_> = serde_json::from_slice(body).map_err(|_| NotReadable::Json)?;
    let raw = fields.model.ok_or(NotReadable::Model)?;
    let model = text(raw).ok_or(NotReadable::Model)?;
    // Both point into the same bytes.
    let from = raw.get().as_ptr() as usize - body.as_ptr() as usize;
    Ok(Peek {
        named: Named { model, span: from..from + raw.get().len() },
        is_streamed: fields.stream.is_some_and(|stream| stream.get() == "true"),
        user: fields.user.and_then(text),
        continues: fields.previous_response_id.and_then(text),
        metadata: fields.metadata,
        messages: fields.messages.or(fields.input),
    })
}

impl Peek<'_> {
    /// The field `metadata.user_id`.
    pub fn metadata_user_id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Metadata<'a> {
            #[serde(borrow)]
            user_id: Option<&'a RawValue>,
        }
        let metadata: Metadata<'_> = serde_json::from_str(self.metadata?.get()).ok()?;
        metadata.user_id.and_then(text)
    }

    /// A hash of what the conversation began with: the first thing that its user said. Later turns
    /// send it again.
    pub fn conversation(&self) -> Option<[u8; 32]> {
        #[derive(Deserialize)]
        struct Message<'a> {
            role: Option<&'a str>,
        }
        let raw = self.messages?.get();
        let said = match serde_json::from_str::<Vec<&RawValue>>(raw) {
            Ok(messages) => messages.into_iter().map(RawValue::get).find(|message| {
                let message = serde_json::from_str::<Message<'_>>(message);
                message.is_ok_and(|message| message.role == Some("user"))
            })?,
            // A bare text, as one of the surfaces takes it.
            Err(_) => raw,
        };
        Some(Sha256::digest(said.as_bytes()).into())
    }
}

impl Named {
    /// The body with another name for the model; `None` where it is the same.
    pub fn renamed(&self, body: &[u8], model: &str) -> Option<Vec<u8>> {
        if model == self.model {
            return None;
        }
        let name = serde_json::Value::from(model).to_string();
        let (before, after) = (&body[..self.span.start], &body[self.span.end..]);
        Some([before, name.as_bytes(), after].concat())
    }
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_models_name_is_replaced() {
        let body =
            br#"{ "a":1e400, "model" : "gpt\u002dx","b":[ {"model":"gpt-x"} ],"x":"\ud83d" }"#;
        let peek = peek(body).unwrap();
        assert_eq!(peek.named.model, "gpt-x");
        assert_eq!(peek.named.renamed(body, "gpt-x"), None);
        let renamed = String::from_utf8(peek.named.renamed(body, "a\"b").unwrap()).unwrap();
        let expected = r#"{ "a":1e400, "model" : "a\"b","b":[ {"model":"gpt-x"} ],"x":"\ud83d" }"#;
        assert_eq!(renamed, expected);
    }

    #[test]
    fn what_tells_clients_apart_is_found() {
        let body = br#"{"model":"m","stream":true,"user":"u","metadata":{"user_id":"t"}}"#;
        let found = peek(body).unwrap();
        assert!(found.is_streamed);
        assert_eq!(found.user.as_deref(), Some("u"));
        assert_eq!(found.metadata_user_id().as_deref(), Some("t"));
        let body = br#"{"model":"m","stream":false,"user":7,"metadata":[]}"#;
        let found = peek(body).unwrap();
        assert!(!found.is_streamed);
        assert_eq!((found.user.as_deref(), found.metadata_user_id()), (None, None));
        assert_eq!(found.conversation(), None);
    }

    #[test]
    fn a_conversation_is_known_by_what_its_user_said_first() {
        let of = |body: &str| peek(body.as_bytes()).unwrap().conversation();
        let first = of(r#"{"model":"m","messages":[{"role":"system","content":"s"},
            {"role":"user","content":"hi"}]}"#);
        let later = of(r#"{"model":"m","messages":[{"role":"user","content":"hi"},
            {"role":"assistant","content":"yes?"},{"role":"user","content":"more"}]}"#);
        let other = of(r#"{"model":"m","messages":[{"role":"user","content":"ho"}]}"#);
        assert!(first.is_some() && first == later && first != other);
        assert!(of(r#"{"model":"m","input":"hi"}"#).is_some());
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (body, expected) in [
            (r#"{"model":"a","model":"b"}"#, NotReadable::Json),
            (r#"{"model":"a","m\u006fdel":"b"}"#, NotReadable::Json),
            (r#"{"model":"a"} {"#, NotReadable::Json),
            (r#"["model"]"#, NotReadable::Json),
            ("", NotReadable::Json),
            ("{}", NotReadable::Model),
            (r#"{"model":1}"#, NotReadable::Model),
            (r#"{"model":null}"#, NotReadable::Model),
        ] {
            assert_eq!(peek(body.as_bytes()).unwrap_err(), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(found) = peek(&body) {
                let _ = (found.metadata_user_id(), found.conversation());
            }
        }

        #[test]
        fn a_renamed_body_says_the_new_name(name in ".{0,30}", other in ".{0,30}") {
            let body = serde_json::json!({"model": name, "x": [1]}).to_string();
            let found = peek(body.as_bytes()).unwrap();
            prop_assert_eq!(&found.named.model, &name);
            let renamed = found.named.renamed(body.as_bytes(), &other);
            let renamed = renamed.unwrap_or_else(|| body.clone().into_bytes());
            let read: serde_json::Value = serde_json::from_slice(&renamed).unwrap();
            prop_assert_eq!(read, serde_json::json!({"model": other, "x": [1]}));
        }
    }
}
