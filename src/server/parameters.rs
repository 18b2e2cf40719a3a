//! The parameters of an API call, from the query and from a form body alike.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::model::{Timestamp, parse_duration};

/// A form body larger than this is refused.
const BODY_MAX_BYTES: usize = 1 << 20;

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
    pub(super) fn execution(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            kind: "execution",
            message: message.into(),
        }
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
            let body = axum::body::to_bytes(body, BODY_MAX_BYTES)
                .await
                .map_err(|_| ApiError::bad_data("the form is larger than 1 MiB or was cut off"))?;
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

    /// A duration: seconds or Prometheus's notation; more than zero.
    pub(super) fn step(&self, name: &str) -> Result<std::time::Duration, ApiError> {
        let text = self.get(name).unwrap_or_default();
        let seconds =
            text.parse::<f64>().ok().and_then(|s| std::time::Duration::try_from_secs_f64(s).ok());
        let step = seconds.or_else(|| parse_duration(text).ok()).ok_or_else(|| {
            ApiError::bad_data(format!(
                "invalid parameter \"{name}\": cannot parse \"{text}\" to a valid duration"
            ))
        })?;
        if step.as_millis() == 0 {
            return Err(ApiError::bad_data(format!(
                "invalid parameter \"{name}\": zero or negative query resolution step widths are \
                 not accepted. Try a positive integer"
            )));
        }
        Ok(step)
    }
}
