//! Which error a provider reports, in a body or inside a stream.
//!
//! Vendors and relays speak each other's words, so there is one vocabulary for all dialects. The
//! error's own words beat the number inside it, and both beat the HTTP status. Of its words, those
//! that name money come first, then capacity, then all others: a 429 is `quota_exhausted` where
//! waiting does not help, `overloaded` where the provider lacks capacity, and `rate_limited` where
//! our own key asked too often. `invalid_request_error` is what OpenAI puts beside every 4xx, so it
//! speaks only where neither a finer word nor a 4xx status does.
//! A relay that has no channel left for a model lacks capacity, whatever word it uses for it.

use std::time::Duration;

use serde_json::Value;

use super::redact::{bound, redact};
use super::{ErrorType, wait};
use crate::model::Timestamp;

/// Errors are small; what is larger is judged by its status alone.
pub(super) const FAULT_BYTES_MAX: usize = 64 << 10;

/// The limit on a detail, which goes into logs and on the page.
pub(super) const DETAIL_CHARS_MAX: usize = 300;

/// What OpenAI calls a response that it does not have, or no longer.
const PREVIOUS_NOT_FOUND: &str = "previous_response_not_found";

/// A provider's own report of an error.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fault {
    pub(super) error_type: ErrorType,
    pub(super) detail: String,
    /// Whether what is used up comes back by itself, with the next day or month.
    pub(super) is_periodic: bool,
    /// A wait that the body asks for.
    pub(super) wait: Option<Duration>,
    /// The id of the request, where the body has it.
    pub(super) request_id: Option<String>,
    /// Whether it does not have the response that is to be continued.
    pub(super) lacks_previous: bool,
}

/// The error that a text reports; `None` where it reports none. For a status of 400 and more any
/// object is an error.
pub(super) fn read(text: &str, status: u16, now: Timestamp) -> Option<Fault> {
    if text.len() > FAULT_BYTES_MAX {
        return None;
    }
    let value: Value = serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(first_event(text).unwrap_or_default()))
        .ok()?;
    let root = value.as_array().and_then(|list| list.first()).unwrap_or(&value);
    let node = node(root, status)?;
    let words = words(root, node);
    let message = message(root, node);
    let quotas = quotas(node);
    let number =
        [&node["code"], &node["status"], &node["status_code"]].into_iter().find_map(number);
    let lacks_previous = lacks_previous(node, &words, message);
    // Whatever its status: the request names what is not there.
    let error_type = lacks_previous
        .then_some(ErrorType::Http400)
        .or_else(|| of_words(&words, message, &quotas, status))
        .or_else(|| number.and_then(of_number))
        .or_else(|| is_generic(&words).then(|| generic(status)))
        .or_else(|| of_number(status))
        .unwrap_or(ErrorType::StreamError);
    let retry = node["details"].as_array().into_iter().flatten();
    let wait = retry
        .filter_map(|detail| detail["retryDelay"].as_str())
        .find_map(|delay| wait::any(delay, now));
    let request_id = root["request_id"].as_str().or(node["request_id"].as_str());
    Some(Fault {
        error_type,
        is_periodic: is_periodic(&words, &quotas),
        detail: detail(status, &words, number, message),
        wait,
        request_id: request_id.map(ToOwned::to_owned),
        lacks_previous,
    })
}

/// What a status alone says of an answer without a readable body.
pub(super) fn of_status(status: u16, content_type: Option<&str>) -> Fault {
    let detail = match content_type {
        Some(media) => format!("HTTP {status}, `{}` without a known error", redact(media, 80)),
        None => format!("HTTP {status} without a known error"),
    };
    Fault {
        error_type: of_number(status).unwrap_or(ErrorType::Other),
        is_periodic: false,
        detail,
        wait: None,
        request_id: None,
        lacks_previous: false,
    }
}

/// An event that says it is an error and no more.
pub(super) fn bare(what: &str) -> Fault {
    Fault {
        error_type: ErrorType::StreamError,
        is_periodic: false,
        detail: what.to_owned(),
        wait: None,
        request_id: None,
        lacks_previous: false,
    }
}

/// The data of the first event, for relays that write even an error's body as a stream.
fn first_event(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("data:"))
}

/// The object, or text, that describes the error.
fn node(root: &Value, status: u16) -> Option<&Value> {
    let choices = root["choices"].as_array().into_iter().flatten();
    let error = [&root["error"], &root["response"]["error"]]
        .into_iter()
        .chain(choices.map(|choice| &choice["error"]))
        .find(|error| is_true(error));
    if error.is_some_and(|error| error.is_object() || error.is_string()) {
        return error;
    }
    let is_error = error.is_some() || root["object"] == "error" || root["type"] == "error";
    (root.is_object() && (is_error || status >= 400)).then_some(root)
}

fn is_true(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => list.iter().any(is_true),
        Value::Object(object) => object.values().any(is_true),
    }
}

/// The words that name the error, lower-case, `_` between their parts; the finest first.
fn words(root: &Value, node: &Value) -> Vec<String> {
    let details = &node["details"];
    let reasons = details.as_array().into_iter().flatten().take(8).map(|detail| &detail["reason"]);
    [&details["error_code"], &node["innererror"]["code"], &node["code"], &node["type"]]
        .into_iter()
        .chain(reasons)
        .chain([&node["status"], &node["error_type"], &root["code"]])
        .filter_map(Value::as_str)
        .filter(|word| !word.is_empty() && *word != "error" && word.parse::<u16>().is_err())
        .map(|word| word.trim().replace(['-', ' '], "_").to_ascii_lowercase())
        .collect()
}

fn message<'v>(root: &'v Value, node: &'v Value) -> &'v str {
    [node, &node["message"], &node["detail"], &node["msg"], &root["message"]]
        .into_iter()
        .find_map(Value::as_str)
        .unwrap_or_default()
}

fn quotas(node: &Value) -> Vec<&str> {
    let details = node["details"].as_array().into_iter().flatten();
    details
        .filter_map(|detail| detail["violations"].as_array())
        .flatten()
        .filter_map(|violation| violation["quotaId"].as_str())
        .collect()
}

fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|number| (400..600).contains(number))
}

fn of_words(words: &[String], message: &str, quotas: &[&str], status: u16) -> Option<ErrorType> {
    let message = bound(message, 1000).to_ascii_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| message.contains(part));
    let is_daily = quotas.iter().any(|quota| quota.contains("PerDay"));
    let is_spent = quotas.is_empty()
        && (says(&["usage limits", "credit balance", "exceeded your current quota"])
            || says(&["insufficient balance", "spend limit", "spending limit"]));
    let is_full = says(&["high demand", "temporarily unable to process", "overloaded"])
        || says(&["at capacity", "无可用渠道", "no available channel"]);
    if is_daily
        || is_spent
        || words.iter().any(|word| of_word(word) == Some(ErrorType::QuotaExhausted))
    {
        return Some(ErrorType::QuotaExhausted);
    }
    let may_be_full = status == 200 || status == 429 || status >= 500;
    if (is_full && may_be_full)
        || words.iter().any(|word| of_word(word) == Some(ErrorType::Overloaded))
    {
        return Some(ErrorType::Overloaded);
    }
    words.iter().find_map(|word| of_word(word))
}

/// Whether a quota is one of a period. `insufficient_quota` is OpenAI's word for an empty account.
fn is_periodic(words: &[String], quotas: &[&str]) -> bool {
    let periods = ["PerDay", "PerWeek", "PerMonth"];
    quotas.iter().any(|quota| periods.iter().any(|period| quota.contains(period)))
        || words.iter().any(|word| word == "quota_exceeded")
}

/// What a word means; `None` for words unknown or too general.
fn of_word(word: &str) -> Option<ErrorType> {
    Some(match word {
        "insufficient_quota"
        | "insufficient_user_quota"
        | "insufficient_balance"
        | "credit_balance_exhausted"
        | "billing_error"
        | "billing_not_active"
        | "billing_hard_limit_reached"
        | "quota_exceeded"
        | "enforced_spend_limit_reached" => ErrorType::QuotaExhausted,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded"
        | "engine_overloaded_error"
        | "slow_down"
        | "server_is_overloaded"
        | "model_capacity_exhausted"
        | "no_capacity" => ErrorType::Overloaded,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "rate_limit_reached"
        | "rate_limited"
        | "ratelimitreached"
        | "too_many_requests"
        | "toomanyrequests"
        | "resource_exhausted"
        | "requests"
        | "tokens" => ErrorType::RateLimited,
        "authentication_error"
        | "api_key_invalid"
        | "invalid_api_key"
        | "invalid_authentication"
        | "unauthenticated"
        | "unauthorized" => ErrorType::Http401,
        "permission_error"
        | "permission_denied"
        | "forbidden"
        | "data_residency_mismatch"
        | "unsupported_country_region_territory" => ErrorType::Http403,
        "not_found_error" | "not_found" | "notfounderror" | "model_not_found"
        | "deploymentnotfound" => ErrorType::Http404,
        "request_too_large" => ErrorType::Http413,
        "content_filter"
        | "content_policy_violation"
        | "responsibleaipolicyviolation"
        | "bio_policy"
        | "content_filtered" => ErrorType::ContentFiltered,
        "context_length_exceeded"
        | "invalid_argument"
        | "bad_request"
        | "badrequesterror"
        | "invalid_prompt" => ErrorType::Http400,
        "api_error"
        | "server_error"
        | "internal_server_error"
        | "internalservererror"
        | "internal_error"
        | "internal"
        | "timeout_error"
        | "unavailable"
        | "service_unavailable" => ErrorType::ServerError,
        _ => return None,
    })
}

/// Whether the provider says that it does not have the response that `previous_response_id` names. Some
/// have no word for that: OpenAI's coding backend calls the parameter invalid and says no more, and vLLM
/// speaks of a response that is not found.
fn lacks_previous(node: &Value, words: &[String], message: &str) -> bool {
    const PARAMETER: &str = "previous_response_id";
    if words.iter().any(|word| word == PREVIOUS_NOT_FOUND) {
        return true;
    }
    let message = bound(message, 1000).to_ascii_lowercase();
    let is_of_it = node["param"] == PARAMETER
        || message.contains(PARAMETER)
        || message.contains("response with id");
    let is_bare = message.trim_end_matches('.') == "invalid `previous_response_id`";
    is_generic(words) && ((is_of_it && message.contains("not found")) || is_bare)
}

fn is_generic(words: &[String]) -> bool {
    words.iter().any(|word| word == "invalid_request_error")
}

fn generic(status: u16) -> ErrorType {
    match status {
        400..500 => of_number(status).unwrap_or(ErrorType::Http400),
        _ => ErrorType::Http400,
    }
}

/// What a status means; `None` below 400.
fn of_number(status: u16) -> Option<ErrorType> {
    Some(match status {
        400 | 422 => ErrorType::Http400,
        401 => ErrorType::Http401,
        402 => ErrorType::QuotaExhausted,
        403 => ErrorType::Http403,
        404 => ErrorType::Http404,
        413 => ErrorType::Http413,
        429 => ErrorType::RateLimited,
        529 => ErrorType::Overloaded,
        500..600 => ErrorType::ServerError,
        400..500 => ErrorType::Other,
        _ => return None,
    })
}

fn detail(status: u16, words: &[String], number: Option<u16>, message: &str) -> String {
    let mut text = format!("HTTP {status}");
    for word in words.iter().take(2) {
        text.push_str(&format!(" `{}`", redact(word, 60)));
    }
    if let Some(number) = number
        && words.is_empty()
    {
        text.push_str(&format!(" with code {number}"));
    }
    if !message.is_empty() {
        text.push_str(": ");
        text.push_str(&redact(message, 200));
    }
    bound(&text, DETAIL_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn the_words_of_every_vendor_find_their_error_type() {
        for (status, body, expected) in [
            (
                400,
                r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                ErrorType::ContentFiltered,
            ),
            (
                400,
                r#"{"error":{"type":"invalid_request_error","code":"context_length_exceeded"}}"#,
                ErrorType::Http400,
            ),
            (
                400,
                r#"[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]"#,
                ErrorType::RateLimited,
            ),
            (
                401,
                r#"{"error":{"type":"invalid_request_error","code":null,"message":"no key"}}"#,
                ErrorType::Http401,
            ),
            (
                403,
                r#"{"error":{"type":"insufficient_user_quota","code":"insufficient_user_quota"}}"#,
                ErrorType::QuotaExhausted,
            ),
            (
                404,
                r#"{"error":{"code":"DeploymentNotFound","message":"gone"}}"#,
                ErrorType::Http404,
            ),
            (404, r#"{"detail":"Not Found"}"#, ErrorType::Http404),
            (
                429,
                r#"{"error":{"message":"slow","type":"new_api_error","code":""}}"#,
                ErrorType::RateLimited,
            ),
            (
                429,
                r#"{"error":{"type":"tokens","code":"credit_balance_exhausted"}}"#,
                ErrorType::QuotaExhausted,
            ),
            (
                429,
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"reason":"MODEL_CAPACITY_EXHAUSTED"}]}}"#,
                ErrorType::Overloaded,
            ),
            (
                429,
                r#"{"error":{"code":"429","message":"temporarily unable to process your request"}}"#,
                ErrorType::Overloaded,
            ),
            (
                429,
                "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n",
                ErrorType::QuotaExhausted,
            ),
            (
                500,
                r#"{"error":{"type":"invalid_request_error","message":"bad"}}"#,
                ErrorType::Http400,
            ),
            (
                503,
                r#"{"error":{"code":503,"status":"UNAVAILABLE","message":"The model is overloaded."}}"#,
                ErrorType::Overloaded,
            ),
            (
                503,
                r#"{"error":{"type":"server_error","message":"The engine is currently overloaded"}}"#,
                ErrorType::Overloaded,
            ),
            (503, r#"{"message":"try later"}"#, ErrorType::ServerError),
            (502, r#"{"error":"bad gateway"}"#, ErrorType::ServerError),
            (200, r#"{"choices":[{"error":{"code":502,"message":"x"}}]}"#, ErrorType::ServerError),
            (200, r#"{"error":true}"#, ErrorType::StreamError),
            (200, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, ErrorType::Overloaded),
        ] {
            let found = read(body, status, NOW).map(|fault| fault.error_type);
            assert_eq!(found, Some(expected), "{status} {body}");
        }
    }

    #[test]
    fn what_is_no_error_or_too_large_is_not_read_as_one() {
        for body in ["", "<html>", "7", "null", r#"{"error":null}"#, r#"{"choices":[]}"#] {
            assert_eq!(read(body, 200, NOW), None, "{body}");
        }
        let large = format!(r#"{{"error":"{}"}}"#, "x".repeat(FAULT_BYTES_MAX));
        assert_eq!(read(&large, 500, NOW), None);
        assert_eq!(of_status(500, None).error_type, ErrorType::ServerError);
    }

    #[test]
    fn a_response_that_is_not_there_is_nobodys_fault() {
        // As OpenAI says it, as its coding backend does, and as relays with another status do.
        for (status, body) in [
            (
                400,
                r#"{"error":{"message":"Previous response with id 'resp_1' not found.","type":"invalid_request_error","param":"previous_response_id","code":"previous_response_not_found"}}"#,
            ),
            (
                400,
                r#"{"error":{"message":"Invalid `previous_response_id`.","type":"invalid_request_error","code":"invalid_request_error"}}"#,
            ),
            (404, r#"{"error":{"message":"gone","code":"previous_response_not_found"}}"#),
            // As vLLM does.
            (
                404,
                r#"{"error":{"message":"Response with id 'resp_1' not found.","type":"invalid_request_error","param":"response_id","code":404}}"#,
            ),
        ] {
            let fault = read(body, status, NOW).unwrap();
            assert_eq!((fault.error_type, fault.lacks_previous), (ErrorType::Http400, true));
        }
        for body in [
            r#"{"error":{"message":"x","type":"invalid_request_error","param":"input"}}"#,
            r#"{"error":{"message":"previous_response_id: try later","type":"server_error"}}"#,
            // Others would say the same.
            r#"{"error":{"message":"Invalid 'previous_response_id': 'x'. Expected an ID that begins with 'resp'.","type":"invalid_request_error","param":"previous_response_id"}}"#,
            r#"{"error":{"message":"`previous_response_id` cannot be used with `conversation`.","type":"invalid_request_error","param":"previous_response_id"}}"#,
            r#"{"error":{"message":"Item with id 'rs_1' not found.","type":"invalid_request_error","param":"input"}}"#,
        ] {
            assert!(!read(body, 400, NOW).unwrap().lacks_previous, "{body}");
        }
    }
}
