//! A request in the words of its provider.

use super::super::Provider;
use super::super::request::limit_name;
use super::words::LeftOut;
use super::{Direction, Strictness, Translated, Untranslatable, to_chat, to_messages};

/// Tells a request to a provider, under its own name for the model.
pub fn request(
    direction: Direction,
    body: &[u8],
    provider: &Provider,
    model: &str,
    strictness: Strictness,
) -> Result<Translated, Untranslatable> {
    let body: serde_json::Value =
        serde_json::from_slice(body).map_err(|_| Untranslatable::NotReadable)?;
    let body = body.as_object().ok_or(Untranslatable::NotReadable)?;
    let mut left_out = LeftOut::new(strictness);
    let translated = match direction {
        Direction::ToMessages => to_messages::request(body, model, &mut left_out)?,
        Direction::ToChat => {
            let limit = limit_name(provider);
            to_chat::request(body, model, limit, &mut left_out)?
        }
    };
    Ok(Translated { body: translated.to_string().into_bytes(), left_out: left_out.finish() })
}
