//! Rollbacks by hand: which there are, carrying one out, rehearsing one, and what became of it.
//!
//! A rollback is answered as soon as it is handed over, a drill when it ends: the first must not
//! hang on the caller's patience, the second is asked for its result.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::guard::{self, Caller};
use super::parameters::ApiError;
use super::shape::success;
use crate::access::Scope;
use crate::model::{TargetId, format_duration};
use crate::release::{Does, LogEntry, Mode, OnError, Rollback, RunEnd, RunMode, What};

/// A question about rollbacks, and where its answer goes; what fails is told in words.
#[derive(Debug)]
pub enum ReleaseRequest {
    /// Which there are, and what became of them.
    List(oneshot::Sender<Result<Releases, String>>),
    /// What the plans of one did, oldest first.
    Log(String, oneshot::Sender<Result<Vec<LogEntry>, String>>),
    /// Carry one out, and who says so; answered by its id.
    Rollback(String, String, oneshot::Sender<Result<String, String>>),
    /// Rehearse one, and who says so; answered by its end.
    Drill(String, String, oneshot::Sender<Result<RunEnd, String>>),
}

/// The rollbacks, and the last lines of what their plans did, oldest first.
pub type Releases = (Vec<Rollback>, Vec<LogEntry>);

type Requests = mpsc::Sender<ReleaseRequest>;

/// A plan's deadline is ten minutes at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(660);

/// What there is, and what became of it.
pub(super) fn routes(requests: Requests) -> Router {
    Router::new()
        .route("/api/v1/releases", get(list))
        .route("/api/v1/releases/{name}/log", get(log))
        .with_state(requests)
}

/// Carrying out and rehearsing.
pub(super) fn changing(requests: Requests) -> Router {
    let routes = Router::new()
        .route("/api/v1/releases/{name}/rollback", post(roll_back))
        .route("/api/v1/releases/{name}/drill", post(drill))
        .with_state(requests);
    guard::changing(routes, Scope::Rollback)
}

async fn list(State(requests): State<Requests>) -> Result<Response, ApiError> {
    let (rollbacks, log) = ask(&requests, ReleaseRequest::List).await?;
    let shown: Vec<Value> = rollbacks.iter().map(|rollback| shown(rollback, &log)).collect();
    Ok(success(json!({ "releases": shown })))
}

async fn log(
    State(requests): State<Requests>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let lines = ask(&requests, |answer| ReleaseRequest::Log(name, answer)).await?;
    let lines: Vec<Value> = lines.iter().map(line).collect();
    Ok(success(json!({ "log": lines })))
}

async fn roll_back(
    State(requests): State<Requests>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let said_by = said_by(&caller);
    tracing::warn!(said_by, rollback = name, "a rollback was asked for");
    let id = ask(&requests, |answer| ReleaseRequest::Rollback(name, said_by, answer)).await?;
    Ok(success(json!({ "id": id })))
}

async fn drill(
    State(requests): State<Requests>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let said_by = said_by(&caller);
    tracing::info!(said_by, rollback = name, "a drill was asked for");
    let end = ask(&requests, |answer| ReleaseRequest::Drill(name, said_by, answer)).await?;
    Ok(success(json!({ "end": end.as_str(), "isGood": end.is_good() })))
}

fn said_by(caller: &Caller) -> String {
    let said_by = format!("{} at {}", caller.actor, caller.peer.ip().to_canonical());
    match &caller.reason {
        Some(reason) => format!("{said_by}: {reason}"),
        None => said_by,
    }
}

async fn ask<T>(
    requests: &Requests,
    request: impl FnOnce(oneshot::Sender<Result<T, String>>) -> ReleaseRequest,
) -> Result<T, ApiError> {
    let (answer, answered) = oneshot::channel();
    requests.try_send(request(answer)).map_err(|_| ApiError::unavailable())?;
    let answered = tokio::time::timeout(ANSWER_TIMEOUT, answered).await;
    let answer = answered.ok().and_then(Result::ok).ok_or_else(ApiError::unavailable)?;
    answer.map_err(ApiError::bad_data)
}

fn shown(rollback: &Rollback, log: &[LogEntry]) -> Value {
    let names =
        |targets: &[TargetId]| -> Vec<String> { targets.iter().map(ToString::to_string).collect() };
    let (steps, deadline) = match &rollback.does {
        Does::Call(_) => (json!([{"name": "webhook", "kind": "webhook"}]), None),
        Does::Plan(plan) => {
            let steps = plan.steps.iter().map(|step| {
                json!({
                    "name": step.name,
                    "kind": step.effect.kind(),
                    "timeout": format_duration(step.timeout),
                    "onError": match step.on_error {
                        OnError::Continue => "continue",
                        OnError::Stop => "stop",
                    },
                    "traffic": step.moves_traffic,
                    "isRehearsed": step.effect.is_rehearsed(),
                })
            });
            (steps.collect(), Some(format_duration(plan.deadline)))
        }
    };
    let last = |is_drill: bool| {
        let mut ends = log.iter().rev().filter(|entry| entry.rollback == rollback.name);
        ends.find(|entry| {
            let is_end = matches!(entry.what, What::Ended { .. });
            is_end && (entry.mode == RunMode::Drill) == is_drill
        })
        .map(line)
    };
    json!({
        "name": rollback.name,
        "candidate": names(&rollback.candidate),
        "stable": names(&rollback.stable),
        "dryRun": rollback.mode == Mode::DryRun,
        "steps": steps,
        "deadline": deadline,
        "drillEvery": rollback.drill_interval.map(format_duration),
        "lastRollback": last(false),
        "lastDrill": last(true),
    })
}

fn line(entry: &LogEntry) -> Value {
    let mut line = serde_json::to_value(entry).unwrap_or_default();
    if let Some(fields) = line.as_object_mut() {
        fields.remove("at_ms");
        fields.insert("at".to_owned(), json!(entry.at().rfc3339()));
    }
    line
}
