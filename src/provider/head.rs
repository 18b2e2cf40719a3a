//! What an answer's status and headers say.

use std::fmt;

use super::{RateLimits, retry_after};
use crate::model::Timestamp;

/// The limit on a request's id and a media type.
const VALUE_BYTES_MAX: usize = 128;

/// The start of an answer.
pub struct Head<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The value of a header by its lower-case name.
    pub headers: &'a dyn Fn(&str) -> Option<String>,
    /// When it came: dates in headers are held against it.
    pub now: Timestamp,
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Head({} at {})", self.status, self.now)
    }
}

/// What is kept of a head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    pub(super) status: u16,
    pub(super) now: Timestamp,
    /// The media type, lower-case, without parameters.
    pub(super) media: Option<String>,
    pub(super) rate_limits: RateLimits,
    pub(super) request_id: Option<String>,
}

impl Facts {
    pub(super) fn new(head: &Head) -> Self {
        let header = |name: &str| (head.headers)(name).filter(|value| !value.trim().is_empty());
        let number = |names: [&str; 2]| {
            // Some relays write -1 for "unknown"; that is no number of requests.
            names.into_iter().find_map(|name| header(name)?.trim().parse::<u64>().ok())
        };
        let is_success = (200..300).contains(&head.status);
        let rate_limits = RateLimits {
            requests_limit: number([
                "x-ratelimit-limit-requests",
                "anthropic-ratelimit-requests-limit",
            ]),
            requests_remaining: number([
                "x-ratelimit-remaining-requests",
                "anthropic-ratelimit-requests-remaining",
            ]),
            tokens_limit: number(["x-ratelimit-limit-tokens", "anthropic-ratelimit-tokens-limit"]),
            tokens_remaining: number([
                "x-ratelimit-remaining-tokens",
                "anthropic-ratelimit-tokens-remaining",
            ]),
            // An answer that came asks for no wait.
            retry_after: if is_success { None } else { retry_after(head.headers, head.now) },
            // The body tells.
            refused_by: None,
        };
        let media = header("content-type").map(|value| {
            let media = value.split(';').next().unwrap_or_default().trim();
            media[..media.floor_char_boundary(VALUE_BYTES_MAX)].to_ascii_lowercase()
        });
        let request_id = ["request-id", "x-request-id", "apim-request-id"]
            .into_iter()
            .find_map(header)
            .map(|id| id.chars().filter(char::is_ascii_graphic).take(VALUE_BYTES_MAX).collect());
        Self { status: head.status, now: head.now, media, rate_limits, request_id }
    }

    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(super) fn is_stream(&self) -> bool {
        self.media.as_deref() == Some("text/event-stream")
    }

    /// Whether the media type is JSON's own or one built on it.
    pub(super) fn is_json(&self) -> bool {
        self.media.as_deref().is_some_and(|media| media.ends_with("json"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn facts(status: u16, headers: &[(&str, &str)]) -> Facts {
        let get = |name: &str| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Facts::new(&Head { status, headers: &get, now: Timestamp::from_millis(0) })
    }

    #[test]
    fn limits_of_both_vendors_are_read_and_nonsense_is_not() {
        let openai = facts(
            200,
            &[
                ("x-ratelimit-limit-requests", "100"),
                ("x-ratelimit-remaining-requests", "99"),
                ("x-ratelimit-limit-tokens", "-1"),
                ("x-ratelimit-remaining-tokens", "many"),
                ("retry-after", "7"),
            ],
        );
        assert_eq!(
            openai.rate_limits,
            RateLimits {
                requests_limit: Some(100),
                requests_remaining: Some(99),
                ..RateLimits::default()
            }
        );
        let anthropic = facts(
            429,
            &[
                ("anthropic-ratelimit-tokens-limit", "5000"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
                ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:09Z"),
            ],
        );
        assert_eq!(
            anthropic.rate_limits,
            RateLimits {
                tokens_limit: Some(5000),
                tokens_remaining: Some(0),
                retry_after: Some(Duration::from_secs(9)),
                ..RateLimits::default()
            }
        );
    }

    #[test]
    fn media_types_and_ids_are_bounded_and_without_parameters() {
        let stream = facts(200, &[("content-type", " Text/Event-Stream ; charset=utf-8")]);
        assert!(stream.is_stream() && !stream.is_json());
        assert!(facts(200, &[("content-type", "application/problem+json")]).is_json());
        assert!(!facts(200, &[("content-type", " ")]).is_json());
        let long = "é\n1".repeat(500);
        let id = facts(200, &[("x-request-id", &long)]).request_id;
        assert_eq!(id, Some("1".repeat(128)));
    }
}
