//! A prompt as it is asked of one arm.

use crate::model::{Money, Timestamp};
use crate::probe::{Connection, Delivery, Target, estimate_of};
use crate::provider::translate::{Strictness, Untranslatable};
use crate::provider::{Ask, AskedFor, Request, conversation_request, request};

use super::prompt::{Prompt, Said};

/// What is sent to whom, and how the answer is held against it.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The target as this prompt needs it: its limit, its check, how the answer comes.
    pub target: Target,
    /// What is sent.
    pub request: Request,
    /// What the target's dialect has no words for and was left out, by name.
    pub left_out: Vec<&'static str>,
}

/// Writes a prompt, the nonce in it already, for a target. A prompt that names no delivery is asked as
/// `delivery` says, so that both arms answer alike.
pub fn asking(
    target: &Target,
    prompt: &Prompt,
    delivery: Delivery,
    strictness: Strictness,
) -> Result<Asking, Untranslatable> {
    let delivery = prompt.delivery.unwrap_or(delivery);
    let is_streamed = delivery == Delivery::Streamed;
    let (model, tokens_max) = (target.model.as_str(), prompt.tokens_max);
    let (request, left_out) = match &prompt.said {
        Said::Text(text) => {
            let ask = Ask { model, prompt: text, tokens_max, is_streamed };
            (request(&target.provider, &ask), Vec::new())
        }
        Said::Whole(conversation) => {
            let asked = AskedFor { model, tokens_max, is_streamed };
            conversation_request(&target.provider, &asked, conversation, strictness)?
        }
    };
    let target = Target {
        delivery,
        tokens_max,
        prompt: None,
        check: prompt.check.clone(),
        connection: Connection::Warm,
        ..target.clone()
    };
    Ok(Asking { target, request, left_out })
}

/// The most that asking a prompt once should cost; `None` where the price is unknown.
pub fn price(target: &Target, prompt: &Prompt, now: Timestamp) -> Option<Money> {
    let bytes = prompt.said.size_bytes();
    estimate_of(&target.provider, &target.model, bytes, prompt.tokens_max, now)
}
