//! The parameters of an API call, from the query and from a form body alike.

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::{Timestamp, parse_duration};
use crate::promql::EvalError;

/// A form body larger than this is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

/// How long a form may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

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

    /// An expression that parses and can't be evaluated: 422.
    fn execution(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            message: message.into(),
        }
    }

    /// An evaluation without a result. Timeouts are 503 and cancellations 499, as in Prometheus.
    pub(super) fn evaluation(error: &EvalError) -> Self {
        let message = error.to_string();
        match error {
            EvalError::Timeout => {
                Self { status: StatusCode::SERVICE_UNAVAILABLE, kind: "timeout", message }
            }
            EvalError::Canceled => {
                let status = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
                Self { status, kind: "canceled", message }
            }
            _ => Self::execution(message),
        }
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

    /// There is nothing at that path: 404.
    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("there is no `{path}` here");
        Self { status: StatusCode::NOT_FOUND, kind: "not_found", message }
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

/// Names and values in the order given; names may repeat.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl<S: Send + Sync> FromRequest<S> for Parameters {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let (head, body) = request.into_parts();
        let mut pairs: Vec<(String, String)> =
            form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
                .into_owned()
                .collect();
        let is_form = head
            .headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        if is_form {
            let body =
                tokio::time::timeout(BODY_TIMEOUT, axum::body::to_bytes(body, BODY_MAX_BYTES));
            let body = body.await.ok().and_then(Result::ok).ok_or_else(|| {
                ApiError::bad_data("the form is larger than 1 MiB, was cut off or took too long")
            })?;
            pairs.extend(form_urlencoded::parse(&body).into_owned());
        }
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
    pub(super) fn limit(&self, name: &str) -> Result<usize, ApiError> {
        let Some(text) = self.get(name) else { return Ok(usize::MAX) };
        let bad = || {
            ApiError::bad_data(format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a number of entries"
            ))
        };
        let limit = text.parse().map_err(|_| bad())?;
        Ok(if limit == 0 { usize::MAX } else { limit })
    }

    /// A duration: seconds or Prometheus's notation.
    fn duration(&self, name: &str) -> Result<Duration, ApiError> {
        let text = self.get(name).unwrap_or_default();
        let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        seconds.or_else(|| parse_duration(text).ok()).ok_or_else(|| {
            ApiError::bad_data(format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration"
            ))
        })
    }

    /// How long a query may take: what was asked for, up to a limit.
    pub(super) fn timeout(&self, limit: Duration) -> Result<Duration, ApiError> {
        if self.get("timeout").is_none() {
            return Ok(limit);
        }
        Ok(self.duration("timeout")?.min(limit))
    }

    /// A point in time: seconds since the epoch or RFC 3339.
    pub(super) fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        let millis = match seconds {
            Some(seconds) => Some((seconds * 1000.0).round() as i64),
            None => text.parse::<jiff::Timestamp>().ok().map(|at| at.as_millisecond()),
        };
        millis.map(|millis| Some(Timestamp::from_millis(millis))).ok_or_else(|| {
            ApiError::bad_data(format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid timestamp"
            ))
        })
    }

    /// A duration that is more than zero.
    pub(super) fn step(&self, name: &str) -> Result<Duration, ApiError> {
        let step = self.duration(name)?;
        if step.as_millis() == 0 {
            return Err(ApiError::bad_data(format!(
                "invalid parameter \"{name}\": zero or negative query resolution step widths are \
                 not accepted. Try a positive integer"
            )));
        }
        Ok(step)
    }
}
