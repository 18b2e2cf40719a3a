//! What the router itself says to a client, in the words of the interface that was called.
//!
//! The official clients turn these into their own exceptions, by status and type.

use std::time::Duration;

use serde_json::json;

use super::{NotReadable, Surface};
use crate::provider::ErrorType;
use crate::provider::translate::Untranslatable;

/// Why a request is not served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The client's key is missing or wrong.
    #[error("the key is missing or not known here")]
    Unauthenticated,
    /// No route offers the model.
    #[error("no route offers the model `{0}`")]
    UnknownModel(String),
    /// The request cannot be read.
    #[error("{0}")]
    NotReadable(#[from] NotReadable),
    /// The request cannot be told to the provider of its route.
    #[error("{0}")]
    Untranslatable(#[from] Untranslatable),
    /// The request's body broke off.
    #[error("the request's body did not arrive")]
    BodyBroken,
    /// The request is too large.
    #[error("the request is larger than {0} bytes")]
    TooLarge(u64),
    /// No target of the arm has this interface.
    #[error("the targets of this route do not answer at `{0}`")]
    NoWay(&'static str),
    /// Too much is under way.
    #[error("too many requests are under way; try again later")]
    Shed(Duration),
    /// The arm is broken, and there is no other.
    #[error("the provider is failing; try again later")]
    Broken(Duration),
    /// No answer came from the provider.
    #[error("the provider gave no answer: {}", .0.as_str())]
    NoAnswer(ErrorType),
}

impl Refusal {
    /// The status.
    pub fn status(&self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::UnknownModel(_) | Self::NoWay(_) => 404,
            Self::NotReadable(_) | Self::Untranslatable(_) | Self::BodyBroken => 400,
            Self::TooLarge(_) => 413,
            Self::Shed(_) | Self::Broken(_) => 503,
            Self::NoAnswer(error_type) => match error_type {
                ErrorType::ConnectTimeout
                | ErrorType::TtftTimeout
                | ErrorType::StalledStream
                | ErrorType::TotalTimeout => 504,
                ErrorType::Internal => 500,
                _ => 502,
            },
        }
    }

    /// How long the client shall wait, where it shall come again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Shed(wait) | Self::Broken(wait) => Some(*wait),
            Self::Unauthenticated
            | Self::UnknownModel(_)
            | Self::NotReadable(_)
            | Self::Untranslatable(_)
            | Self::BodyBroken
            | Self::TooLarge(_)
            | Self::NoWay(_)
            | Self::NoAnswer(_) => None,
        }
    }

    /// The value of the label `reason`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::UnknownModel(_) => "unknown_model",
            Self::NotReadable(_) => "not_readable",
            Self::Untranslatable(_) => "untranslatable",
            Self::BodyBroken => "body_broken",
            Self::TooLarge(_) => "too_large",
            Self::NoWay(_) => "no_way",
            Self::Shed(_) => "shed",
            Self::Broken(_) => "broken",
            Self::NoAnswer(_) => "no_answer",
        }
    }

    /// Every value of the label `reason`.
    pub const REASONS: [&'static str; 10] = [
        "unauthenticated",
        "unknown_model",
        "not_readable",
        "untranslatable",
        "body_broken",
        "too_large",
        "no_way",
        "shed",
        "broken",
        "no_answer",
    ];

    /// The body, as the interface writes errors.
    pub fn body(&self, surface: Surface, request_id: &str) -> String {
        let message = self.to_string();
        let body = if surface.is_anthropic() {
            let error = json!({"type": self.anthropic_type(), "message": message});
            json!({"type": "error", "error": error, "request_id": request_id})
        } else {
            let (kind, code) = self.openai_type();
            json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
        };
        body.to_string()
    }

    fn anthropic_type(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "authentication_error",
            Self::UnknownModel(_) | Self::NoWay(_) => "not_found_error",
            Self::NotReadable(_) | Self::Untranslatable(_) | Self::BodyBroken => {
                "invalid_request_error"
            }
            Self::TooLarge(_) => "request_too_large",
            Self::Shed(_) | Self::Broken(_) => "overloaded_error",
            Self::NoAnswer(_) if self.status() == 504 => "timeout_error",
            Self::NoAnswer(_) => "api_error",
        }
    }

    fn openai_type(&self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Unauthenticated => ("invalid_request_error", Some("invalid_api_key")),
            Self::UnknownModel(_) => ("invalid_request_error", Some("model_not_found")),
            Self::NoWay(_) => ("invalid_request_error", Some("not_found")),
            Self::Untranslatable(_) => ("invalid_request_error", Some("unsupported_parameter")),
            Self::NotReadable(_) | Self::BodyBroken => ("invalid_request_error", None),
            Self::TooLarge(_) => ("invalid_request_error", Some("request_too_large")),
            Self::Shed(_) | Self::Broken(_) => ("server_error", Some("server_is_overloaded")),
            Self::NoAnswer(_) => ("server_error", None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_written_as_the_interface_writes_them() {
        let refusal = Refusal::UnknownModel("a\"b".to_owned());
        assert_eq!(
            refusal.body(Surface::Chat, "r1"),
            r#"{"error":{"code":"model_not_found","message":"no route offers the model `a\"b`","param":null,"type":"invalid_request_error"}}"#
        );
        assert_eq!(
            refusal.body(Surface::Messages, "r1"),
            r#"{"error":{"message":"no route offers the model `a\"b`","type":"not_found_error"},"request_id":"r1","type":"error"}"#
        );
    }

    #[test]
    fn statuses_are_those_that_clients_know() {
        let wait = Duration::from_secs(1);
        for (refusal, status) in [
            (Refusal::Unauthenticated, 401),
            (Refusal::NotReadable(NotReadable::Json), 400),
            (Refusal::TooLarge(1), 413),
            (Refusal::Shed(wait), 503),
            (Refusal::Broken(wait), 503),
            (Refusal::NoAnswer(ErrorType::Connect), 502),
            (Refusal::NoAnswer(ErrorType::TtftTimeout), 504),
            (Refusal::NoWay("/v1/embeddings"), 404),
        ] {
            assert_eq!(refusal.status(), status, "{refusal:?}");
            assert_eq!(refusal.retry_after().is_some(), status == 503);
            assert!(Refusal::REASONS.contains(&refusal.as_str()));
        }
    }
}
