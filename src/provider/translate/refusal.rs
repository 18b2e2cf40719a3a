//! An error in the words of the client. Its status, its type and its wait stay what they were, as far
//! as the other side has them.

use serde_json::{Value, json};

use super::ledger::{At, Ledger};
use super::losses::Within;
use super::{Direction, Translated, of_gemini, of_responses};

/// The status that stands for another on the other side: 529 is Anthropic's alone.
pub fn status(direction: Direction, status: u16, body: &[u8]) -> u16 {
    // Whoever tells the body says what is lost of it.
    let said = || chat(direction, status, body, &mut Ledger::of_reply(direction, Within::Error));
    match (direction.is_for_messages(), status) {
        (false, 529) => 503,
        (true, 503) if is_overload(&said()["error"]) => 529,
        (_, other) => other,
    }
}

/// Tells an error's body, that came with this status, to a client of the other dialect.
///
/// What is no error of its interface is told as one that says no more, so there is always something to
/// answer. What is not told is named in [`Translated::lost`].
pub fn refusal(direction: Direction, status: u16, body: &[u8]) -> Translated {
    let mut ledger = Ledger::of_reply(direction, Within::Error);
    let said = chat(direction, status, body, &mut ledger);
    let translated = match direction.is_for_messages() {
        true => of_chat(status, &said["error"], &said["request_id"]),
        false => said,
    };
    Translated::new(&translated, ledger)
}

/// An error in the words of chat completions.
fn chat(direction: Direction, status: u16, body: &[u8], ledger: &mut Ledger) -> Value {
    let body = read(body);
    let error = At::Top.field("error");
    match direction {
        Direction::ChatToMessages => {
            ledger.unread(&body, &["type", "error"], &At::Top);
            ledger.unread(&body["error"], &["type", "message"], &error);
            of_messages(&body["error"])
        }
        Direction::MessagesToResponses if body["object"] == "response" => {
            of_responses::failure(&body["error"])
        }
        Direction::MessagesToChat | Direction::MessagesToResponses => {
            ledger.unread(&body, &["error", "request_id"], &At::Top);
            ledger.unread(&body["error"], &["message"], &error);
            body
        }
        // It is theirs already, if it is one.
        // A response that failed repeats its request, as any does.
        Direction::ChatToResponses if body["error"].is_object() && body["object"] == "response" => {
            of_responses::failure(&body["error"])
        }
        Direction::ChatToResponses if body["error"].is_object() => {
            ledger.unread(&body, &["error"], &At::Top);
            json!({"error": body["error"]})
        }
        Direction::ChatToResponses => of_messages(&Value::Null),
        Direction::ChatToGemini | Direction::MessagesToGemini => {
            // Sometimes alone in a list.
            let body = if body.is_array() { &body[0] } else { &body };
            let mut error = body["error"].clone();
            if !error.is_object() {
                error = json!({});
            }
            ledger.unread(body, &["error"], &At::Top);
            // The code is the status that the answer has.
            ledger.unread(&body["error"], &["code", "message"], &At::Top.field("error"));
            if error["code"].is_null() {
                error["code"] = json!(status);
            }
            of_gemini::error(&error)
        }
    }
}

fn read(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn message(error: &Value) -> &str {
    error["message"].as_str().unwrap_or("the provider refused without a reason")
}

/// Anthropic's error for a client of OpenAI's: the type is kept, since it says most.
pub(super) fn of_messages(error: &Value) -> Value {
    let kind = error["type"].as_str().unwrap_or("api_error");
    json!({"error": {"message": message(error), "type": kind, "param": null, "code": null}})
}

/// OpenAI's error for a client of Anthropic's.
pub(super) fn of_chat(status: u16, error: &Value, request_id: &Value) -> Value {
    let kind = match status {
        _ if is_overload(error) => "overloaded_error",
        _ if error["code"] == "insufficient_quota" => "billing_error",
        400 | 422 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        504 => "timeout_error",
        _ if error["code"] == "rate_limit_exceeded" => "rate_limit_error",
        _ => "api_error",
    };
    json!({
        "type": "error",
        "error": {"type": kind, "message": message(error)},
        "request_id": request_id,
    })
}

fn is_overload(error: &Value) -> bool {
    let words = ["server_is_overloaded", "slow_down", "overloaded_error", "overloaded"];
    [&error["code"], &error["type"]]
        .into_iter()
        .filter_map(Value::as_str)
        .any(|word| words.contains(&word))
}
