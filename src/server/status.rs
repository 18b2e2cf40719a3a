//! What the server is: version, flags, configuration, metadata, in Prometheus's own shapes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{Redirect, Response};
use axum::routing::get;
use serde_json::{Value as Body, json};
use tokio::sync::watch;

use super::listener::Views;
use super::parameters::{ApiError, Parameters};
use super::query::success;
use crate::clock::Clock;
use crate::model::{Timestamp, format_duration};
use crate::telemetry::Telemetry;

#[derive(Clone)]
struct Runtime {
    telemetry: Telemetry,
    clock: Clock,
    start: Timestamp,
    retention: Duration,
}

pub(super) fn routes(views: &Views) -> Router {
    let runtime = Runtime {
        telemetry: views.telemetry.clone(),
        clock: views.clock,
        start: views.clock.now(),
        retention: views.retention,
    };
    let config =
        Router::new().route("/api/v1/status/config", get(config)).with_state(views.config.clone());
    let flags = views.flags.clone();
    Router::new()
        .route("/api/v1/status/runtimeinfo", get(runtime_info))
        .with_state(runtime)
        .route("/api/v1/status/buildinfo", get(build_info))
        .route("/api/v1/status/flags", get(move || async move { success(shown(&flags)) }))
        .route("/api/v1/metadata", get(metadata))
        .route("/graph", get(graph))
        .merge(config)
}

async fn metadata(parameters: Parameters) -> Result<Response, ApiError> {
    let limit = parameters.limit("limit")?;
    let wanted = parameters.get("metric");
    let families = Telemetry::metadata()
        .filter(|(name, ..)| wanted.is_none_or(|wanted| wanted == *name))
        .take(limit)
        .map(|(name, kind, help)| {
            (name.to_owned(), json!([{"type": kind.as_str(), "help": help, "unit": ""}]))
        });
    Ok(success(Body::Object(families.collect())))
}

async fn build_info() -> Response {
    success(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

async fn runtime_info(State(runtime): State<Runtime>) -> Response {
    let (is_successful, loaded) = runtime.telemetry.last_reload();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    success(json!({
        "startTime": runtime.start.rfc3339(),
        "serverTime": runtime.clock.now().rfc3339(),
        "reloadConfigSuccess": is_successful,
        "lastConfigTime": Timestamp::from_millis((loaded * 1000.0) as i64).rfc3339(),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": threads,
        "storageRetention": format_duration(runtime.retention),
    }))
}

fn shown(flags: &[(&'static str, String)]) -> Body {
    flags.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
}

async fn config(State(config): State<watch::Receiver<Arc<str>>>) -> Response {
    let yaml = config.borrow().to_string();
    success(json!({ "yaml": yaml }))
}

/// Where the links of alerts point to, as they do in Prometheus. There is no graph here; the answer
/// to the query is.
async fn graph(Query(parameters): Query<BTreeMap<String, String>>) -> Redirect {
    let expr = parameters.get("g0.expr").map(String::as_str).unwrap_or_default();
    let query: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("query", expr).finish();
    // Relative, so that a path before it, put there by a proxy, stays.
    Redirect::temporary(&format!("api/v1/query?{query}"))
}
