//! `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::telemetry::{self, Telemetry};

pub(super) fn routes(telemetry: Telemetry) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(telemetry)
}

/// Reading clones and sorts every series, so it is kept off the threads that probe.
async fn metrics(State(telemetry): State<Telemetry>) -> Response {
    let text = tokio::task::spawn_blocking(move || telemetry.exposition())
        .await
        .expect("encoding metrics never panics");
    ([(CONTENT_TYPE, telemetry::CONTENT_TYPE)], text).into_response()
}
