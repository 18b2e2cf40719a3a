//! What an answer amounts to, by who gives it.
//!
//! A status says it nearly everywhere. Slack's answer of 200 is a success only if it says `ok`:
//! with anything else the message is nowhere to be seen, and will be as wrong the next time.

use std::time::Duration;

use serde_json::Value;

use super::cut::{cut, one_line};
use super::{Attempt, Protocol};

/// What an answer says is shown up to here.
const SHOWN_CHARS_MAX: usize = 200;

/// Reads an answer: for the policy, and what it says in words, where that is of use to somebody.
pub fn read_answer(
    protocol: &Protocol,
    code: u16,
    retry_after: Option<Duration>,
    body: &str,
) -> (Attempt, Option<String>) {
    let status = Attempt::Status { code, retry_after };
    let said = Some(cut(&one_line(body), SHOWN_CHARS_MAX)).filter(|text| !text.is_empty());
    match protocol {
        Protocol::Slack if (200..=299).contains(&code) => (slack(code, retry_after, body), said),
        Protocol::Slack | Protocol::PagerDuty { .. } => (status, said),
        Protocol::Webhook { .. } | Protocol::Alertmanager | Protocol::Ping => (status, None),
    }
}

fn slack(code: u16, retry_after: Option<Duration>, body: &str) -> Attempt {
    if body.trim() == "ok" {
        return Attempt::Status { code, retry_after };
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    if answer["ok"] == true {
        return Attempt::Status { code, retry_after };
    }
    if matches!(answer["error"].as_str(), Some("rate_limited" | "ratelimited")) {
        let asked = answer["retry_after"].as_u64().map(Duration::from_secs);
        return Attempt::Status { code: 429, retry_after: retry_after.or(asked) };
    }
    Attempt::Denied { code }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SecretSource;

    const SECOND: Duration = Duration::from_secs(1);

    // The answers are those that Slack and PagerDuty document.
    #[test]
    fn only_ok_is_a_success_with_slack() {
        let status = |code, retry_after| Attempt::Status { code, retry_after };
        for (code, body, expected) in [
            (200, "ok", status(200, None)),
            (200, "ok\n", status(200, None)),
            (200, r#"{"ok":true}"#, status(200, None)),
            (200, "no_text", Attempt::Denied { code: 200 }),
            (200, "", Attempt::Denied { code: 200 }),
            (200, r#"{"ok":false,"error":"invalid_blocks"}"#, Attempt::Denied { code: 200 }),
            (
                200,
                r#"{"retry_after":1,"ok":false,"error":"rate_limited"}"#,
                status(429, Some(SECOND)),
            ),
            (403, "invalid_token", status(403, None)),
            (500, "rollup_error", status(500, None)),
        ] {
            let (attempt, said) = read_answer(&Protocol::Slack, code, None, body);
            assert_eq!(attempt, expected, "{code} {body}");
            assert_eq!(said.is_some(), !body.is_empty(), "{body}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_the_receivers_words_where_these_help() {
        let body = "{\"status\":\"invalid event\",\n\"errors\":[\"'severity' is missing\"]}";
        let routing_key = SecretSource::Env("K".to_owned());
        let (attempt, said) = read_answer(&Protocol::PagerDuty { routing_key }, 400, None, body);
        assert_eq!(attempt, Attempt::Status { code: 400, retry_after: None });
        assert!(said.unwrap().contains("'severity' is missing"));
        let webhook = Protocol::Webhook { signing_secrets: Vec::new() };
        let (attempt, said) = read_answer(&webhook, 202, Some(SECOND), &"x".repeat(999));
        assert_eq!(attempt, Attempt::Status { code: 202, retry_after: Some(SECOND) });
        assert_eq!(said, None);
    }
}
