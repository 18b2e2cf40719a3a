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

use super::cardinality::Cardinality;
use super::listener::Views;
use super::parameters::{ApiError, Parameters};
use super::query::Queries;
use super::shape::success;
use crate::clock::Clock;
use crate::model::{Timestamp, format_duration};
use crate::telemetry::Telemetry;

/// As many of the largest are shown as in Prometheus.
const CARDINALITIES: i64 = 10;

#[derive(Clone)]
struct Runtime {
    telemetry: Telemetry,
    clock: Clock,
    start: Timestamp,
    retention: watch::Receiver<Duration>,
    directory: String,
    host: String,
}

pub(super) fn routes(views: &Views, queries: Queries) -> Router {
    let runtime = Runtime {
        telemetry: views.telemetry.clone(),
        clock: views.clock,
        start: views.clock.now(),
        retention: views.retention.clone(),
        directory: std::env::current_dir().unwrap_or_default().display().to_string(),
        host: host(),
    };
    let config =
        Router::new().route("/api/v1/status/config", get(config)).with_state(views.config.clone());
    let flags = views.flags.clone();
    Router::new()
        .route("/api/v1/status/runtimeinfo", get(runtime_info))
        .with_state(runtime)
        .route("/api/v1/status/buildinfo", get(build_info))
        .route("/api/v1/status/flags", get(move || async move { success(shown(&flags)) }))
        .route("/graph", get(graph))
        .route("/api/v1/status/walreplay", get(replay))
        .merge(config)
        .merge(
            Router::new()
                .route("/api/v1/metadata", get(metadata))
                .with_state(views.telemetry.clone()),
        )
        .merge(Router::new().route("/api/v1/status/tsdb", get(tsdb)).with_state(queries))
}

async fn metadata(
    State(telemetry): State<Telemetry>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let limit = parameters.number("limit")?.unwrap_or(usize::MAX);
    // Each metric has one entry; a limit below one is none.
    parameters.number("limit_per_metric")?;
    let wanted = parameters.get("metric");
    let families = telemetry
        .metadata()
        .into_iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name))
        .take(limit)
        .map(|(name, (kind, help))| (name, json!([{"type": kind, "help": help, "unit": ""}])));
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
        "CWD": runtime.directory,
        "hostname": runtime.host,
        "serverTime": runtime.clock.now().rfc3339(),
        "reloadConfigSuccess": is_successful,
        "lastConfigTime": Timestamp::from_millis((loaded * 1000.0) as i64).rfc3339(),
        "corruptionCount": 0,
        "goroutineCount": 0,
        "GOMAXPROCS": threads,
        "storageRetention": format_duration(*runtime.retention.borrow()),
    }))
}

/// The machine's name, where the system tells it in a file.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// There is no log to be replayed: samples are read before the server listens.
async fn replay() -> Response {
    success(json!({"min": 0, "max": 0, "current": 0}))
}

async fn tsdb(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let limit = parameters.whole("limit").ok().map(|limit| limit.unwrap_or(CARDINALITIES));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let limit = limit.ok_or_else(|| ApiError::bad_data("limit must be a positive number"))?;
    let cardinality = queries.run(&parameters, |store, _| Ok(Cardinality::of(store))).await?;
    Ok(success(cardinality.shown(limit)))
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
