//! The parameters of an API call, from the query and from a form body alike.

use std::fmt;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::{Matcher, Timestamp, parse_duration};
use crate::promql::{self, EvalError, ParseError};

/// A form body larger than this is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

/// How long a form may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

const FORM: &str = "application/x-www-form-urlencoded";

/// An answer in Prometheus's error shape.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    kind: &'static str,
    message: String,
}

impl ApiError {
    /// The caller's mistake: 400.
    pub(super) fn bad_data(message: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, kind: "bad_data", message: message.into() }
    }

    /// A parameter that is wrong, in Prometheus's words: 400.
    pub(super) fn invalid(name: &str, reason: impl fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter \"{name}\": {reason}"))
    }

    /// An evaluation without a result: 422. Timeouts are 503 and cancellations 499, as in Prometheus.
    pub(super) fn evaluation(error: &EvalError) -> Self {
        let (status, kind) = match error {
            EvalError::Timeout => (StatusCode::SERVICE_UNAVAILABLE, "timeout"),
            EvalError::Canceled => {
                (StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST), "canceled")
            }
            _ => (StatusCode::UNPROCESSABLE_ENTITY, "execution"),
        };
        Self { status, kind, message: error.to_string() }
    }

    /// It got no turn in time: 503, as Prometheus answers it.
    pub(super) fn queue_timeout() -> Self {
        let message = "query timed out in query queue".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", message }
    }

    /// A bug of ours: 500.
    pub(super) fn internal() -> Self {
        let message = "the query failed; this is a bug in bellwether".to_owned();
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, kind: "internal", message }
    }

    /// Whoever was asked could not do it: 500.
    pub(super) fn failed(message: impl Into<String>) -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self { status, kind: "internal", message: message.into() }
    }

    /// The service is starting or stopping: 503.
    pub(super) fn unavailable() -> Self {
        let message = "bellwether is starting or stopping".to_owned();
        Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "unavailable", message }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({"status": "error", "errorType": self.kind, "error": self.message});
        (self.status, axum::Json(body)).into_response()
    }
}

/// Why a text is no expression, as Prometheus words it around the reason.
pub(super) fn unparsed(error: &ParseError) -> String {
    format!("{}:{}: parse error: {}", error.line, error.column, error.message)
}

/// The conditions of a series selector: one that has no window, no offset and nothing around it.
pub(super) fn selector(text: &str) -> Result<Vec<Matcher>, String> {
    let expr = promql::parse(text).map_err(|error| unparsed(&error))?;
    let selector = expr.as_selector().map(<[Matcher]>::to_vec);
    selector.ok_or_else(|| format!("1:1: parse error: `{text}` is not a bare series selector"))
}

/// Names and values in the order given, those of a form before those of the address; names may
/// repeat.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut pairs: Vec<(String, String)> = Vec::new();
        let is_form = head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .and_then(|kind| kind.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case(FORM));
        if is_form && head.method == Method::POST {
            let body =
                tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_MAX_BYTES));
            let body = body.await.ok().and_then(Result::ok).ok_or_else(|| {
                ApiError::bad_data("the form is larger than 1 MiB, was cut off or took too long")
            })?;
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        }
        let query = head.uri.query().unwrap_or_default();
        pairs.extend(form_urlencoded::parse(query.as_bytes()).into_owned());
        Ok(Self(pairs))
    }
}

impl Parameters {
    /// The first value of a name; empty counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every value of a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// How many entries are wanted at most; 0 and absent are all.
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        match self.whole("limit")? {
            None => Ok(0),
            Some(limit) => usize::try_from(limit)
                .map_err(|_| ApiError::invalid("limit", "limit must be non-negative")),
        }
    }

    /// A whole number.
    pub(super) fn whole(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().map_err(|_| {
            ApiError::invalid(name, format!("cannot parse \"{text}\" to a whole number"))
        })?;
        Ok(Some(number))
    }

    /// How many entries are wanted at most, as metadata counts: 0 is none, below zero is all.
    pub(super) fn number(&self, name: &str) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i64 =
            text.parse().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
        Ok(usize::try_from(number).ok())
    }

    /// Yes or no, as Go reads it; absent is no.
    pub(super) fn flag(&self, name: &str) -> Result<bool, ApiError> {
        match self.get(name) {
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
            Some(other) => {
                Err(ApiError::invalid(name, format!("\"{other}\" is neither true nor false")))
            }
        }
    }

    /// A duration: seconds or Prometheus's notation. One below zero is zero here: nobody who asks
    /// tells the two apart.
    pub(super) fn duration(&self, name: &str) -> Result<Duration, String> {
        let text = self.get(name).unwrap_or_default();
        let bad = || format!("cannot parse \"{text}\" to a valid duration");
        match text.parse::<f64>() {
            // Go counts durations in nanoseconds, in 64 bits.
            Ok(seconds) if seconds.abs() * 1e9 > i64::MAX as f64 => {
                Err(bad() + ". It overflows int64")
            }
            Ok(seconds) => Ok(Duration::try_from_secs_f64(seconds).unwrap_or_default()),
            Err(_) => parse_duration(text).map_err(|_| bad()),
        }
    }

    /// How long a query may take: what was asked for, up to a limit.
    pub(super) fn timeout(&self, limit: Duration) -> Result<Duration, ApiError> {
        if self.get("timeout").is_none() {
            return Ok(limit);
        }
        let asked = self.duration("timeout");
        Ok(asked.map_err(|reason| ApiError::invalid("timeout", reason))?.min(limit))
    }

    /// A point in time that may be left out.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let bad = |reason| format!("invalid time value for '{name}': {reason}");
        time(text).map(Some).map_err(|reason| ApiError::invalid(name, bad(reason)))
    }

    /// A point in time that must be there.
    pub(super) fn bound(&self, name: &str) -> Result<Timestamp, ApiError> {
        let text = self.get(name).unwrap_or_default();
        time(text).map_err(|reason| ApiError::invalid(name, reason))
    }

    /// A duration of a millisecond at least: steps are counted in those.
    pub(super) fn step(&self, name: &str) -> Result<Duration, ApiError> {
        let step = self.duration(name).map_err(|reason| ApiError::invalid(name, reason))?;
        if step.as_millis() == 0 {
            let reason = "zero or negative query resolution step widths are not accepted. Try a \
                          positive integer";
            return Err(ApiError::invalid(name, reason));
        }
        Ok(step)
    }
}

/// Seconds since the epoch, to the nearest millisecond, or RFC 3339.
fn time(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
    let millis = match seconds {
        // The fraction is rounded alone: beside many seconds it has too few digits left.
        Some(seconds) => Some(
            (seconds.trunc() as i64)
                .saturating_mul(1000)
                .saturating_add((seconds.fract() * 1000.0).round() as i64),
        ),
        None => text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()),
    };
    let bad = || format!("cannot parse \"{text}\" to a valid timestamp");
    millis.map(Timestamp::from_millis).ok_or_else(bad)
}
