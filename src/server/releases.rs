//! Releases and rollbacks: where they stand, what operators want of them, and what became of that.
//!
//! A rollback is answered as soon as it is handed over, a drill when it ends: the first must not
//! hang on the caller's patience, the second is asked for its result.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::guard::{self, Caller};
use super::parameters::ApiError;
use super::shape::success;
use crate::access::Scope;
use crate::engine::{self, Order, ReleaseStatus, Snapshot};
use crate::model::{TargetId, Timestamp, format_duration};
use crate::release::machine::{Report, gate_json};
use crate::release::{Does, LogEntry, Mode, OnError, Rollback, RunEnd, RunMode, Tick, What};

/// A question about rollbacks, and where its answer goes; what fails is told in words.
#[derive(Debug)]
pub enum ReleaseRequest {
    /// Which there are, and what became of them.
    List(oneshot::Sender<Result<Releases, String>>),
    /// What one did, oldest first: its plans, and its steps in which anything changed.
    Log(String, oneshot::Sender<Result<ReleaseLog, String>>),
    /// All steps of a generation of a release, or of its last, oldest first.
    Record(String, Option<u64>, oneshot::Sender<Result<Vec<Tick>, String>>),
    /// Have a release do something; answered by what came of it.
    Order(Order, oneshot::Sender<Result<Report, String>>),
    /// Carry one out, and who says so; answered by its id.
    Rollback(String, String, oneshot::Sender<Result<String, String>>),
    /// Rehearse one, and who says so; answered by its end.
    Drill(String, String, oneshot::Sender<Result<RunEnd, String>>),
}

/// The rollbacks, and the last lines of what their plans did, oldest first.
pub type Releases = (Vec<Rollback>, Vec<LogEntry>);

/// What the plans of one did, and its steps in which anything changed, each oldest first.
pub type ReleaseLog = (Vec<LogEntry>, Vec<Tick>);

type Requests = mpsc::Sender<ReleaseRequest>;

/// A plan's deadline is ten minutes at most.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(660);

#[derive(Clone)]
struct Desk {
    requests: Requests,
    snapshot: watch::Receiver<Arc<Snapshot>>,
}

/// What there is, and what became of it.
pub(super) fn routes(requests: Requests, snapshot: watch::Receiver<Arc<Snapshot>>) -> Router {
    Router::new()
        .route("/api/v1/releases", get(list))
        .route("/api/v1/releases/{name}/log", get(log))
        .route("/api/v1/releases/{name}/record", get(record))
        .with_state(Desk { requests, snapshot })
}

/// Moving releases on.
pub(super) fn moving(requests: Requests) -> Router {
    let order = |what: fn(bool) -> engine::What| {
        post(move |state, caller, path, query: Query<Forced>| {
            ordered(state, caller, path, what(query.0.force))
        })
    };
    let routes = Router::new()
        .route("/api/v1/releases/{name}/start", order(|force| engine::What::Start { force }))
        .route("/api/v1/releases/{name}/advance", order(|force| engine::What::Advance { force }))
        .route("/api/v1/releases/{name}/approve", order(|_| engine::What::Approve))
        .route("/api/v1/releases/{name}/pause", order(|_| engine::What::Pause))
        .route("/api/v1/releases/{name}/resume", order(|_| engine::What::Resume))
        .with_state(requests);
    guard::changing(routes, Scope::Releases)
}

/// Whether what protects a rollback is passed over.
#[derive(Debug, Default, Deserialize)]
struct Forced {
    #[serde(default)]
    force: bool,
}

/// Which generation is asked for.
#[derive(Debug, Deserialize)]
struct Which {
    generation: Option<u64>,
}

async fn ordered(
    State(requests): State<Requests>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
    what: engine::What,
) -> Result<Response, ApiError> {
    let by = by(&caller);
    tracing::info!(by, release = name, ?what, "a release was told what to do");
    let order = Order { release: name, what, by };
    let report = ask(&requests, |answer| ReleaseRequest::Order(order, answer)).await?;
    Ok(success(report.to_json()))
}

async fn record(
    State(Desk { requests, .. }): State<Desk>,
    Path(name): Path<String>,
    Query(which): Query<Which>,
) -> Result<Response, ApiError> {
    let ticks =
        ask(&requests, |answer| ReleaseRequest::Record(name, which.generation, answer)).await?;
    Ok(success(json!({ "record": ticks })))
}

/// The name, and where from and why in parentheses.
fn by(caller: &Caller) -> String {
    let peer = caller.peer.ip().to_canonical();
    match &caller.reason {
        Some(reason) => format!("{} ({peer}: {reason})", caller.actor),
        None => format!("{} ({peer})", caller.actor),
    }
}

/// Carrying out and rehearsing.
pub(super) fn changing(requests: Requests) -> Router {
    let routes = Router::new()
        .route("/api/v1/releases/{name}/rollback", post(roll_back))
        .route("/api/v1/releases/{name}/drill", post(drill))
        .with_state(requests);
    guard::changing(routes, Scope::Rollback)
}

async fn list(State(desk): State<Desk>) -> Result<Response, ApiError> {
    let (rollbacks, log) = ask(&desk.requests, ReleaseRequest::List).await?;
    let snapshot = Arc::clone(&desk.snapshot.borrow());
    let shown = rollbacks.iter().map(|rollback| {
        let mut shown = shown(rollback, &log);
        let is_its = |status: &&ReleaseStatus| status.settings.plan.name == rollback.name;
        shown["release"] = json!(snapshot.releases.iter().find(is_its).map(standing));
        shown
    });
    Ok(success(json!({ "releases": shown.collect::<Vec<_>>() })))
}

/// Where a release stands.
fn standing(status: &ReleaseStatus) -> Value {
    let (state, plan) = (&status.state, status.state.plan().unwrap_or(&status.settings.plan));
    let run = state.run();
    let whole = run.map(|run| run.whole_standings().iter().map(gate_json).collect::<Vec<_>>());
    let told = state.told().map(|(notice, told)| {
        json!({"event": notice.as_str(), "since": told.since.rfc3339(), "why": told.why})
    });
    json!({
        "state": state.as_str(),
        "since": state.since().map(Timestamp::rfc3339),
        "generation": plan.generation,
        "configuredGeneration": status.settings.plan.generation,
        "route": status.settings.route,
        "share": state.share(),
        "stage": run.map(|run| run.stage_number()),
        "stages": plan.stages.iter().map(|stage| stage.share).collect::<Vec<_>>(),
        "stageEnteredAt": run.map(|run| run.entered_at().rfc3339()),
        "isMoved": run.map(|run| run.is_moved()),
        "startedBy": run.map(|run| run.started_by()),
        "trigger": state.trigger().map(|trigger| trigger.as_str()),
        "undrilled": status.undrilled,
        "report": status.report.as_ref().map(Report::to_json),
        "wholeRelease": whole,
        "told": told.collect::<Vec<_>>(),
    })
}

async fn log(
    State(Desk { requests, .. }): State<Desk>,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let (lines, ticks) = ask(&requests, |answer| ReleaseRequest::Log(name, answer)).await?;
    let lines = lines.iter().map(|entry| (entry.at(), line(entry)));
    let steps = ticks.iter().map(|tick| (tick.at(), step(tick)));
    let mut all: Vec<(Timestamp, Value)> = lines.chain(steps).collect();
    all.sort_by_key(|(at, _)| *at);
    let all: Vec<Value> = all.into_iter().map(|(_, line)| line).collect();
    Ok(success(json!({ "log": all })))
}

fn step(tick: &Tick) -> Value {
    let report: Value = serde_json::from_str(&tick.report).unwrap_or_default();
    json!({
        "what": "step",
        "at": tick.at().rfc3339(),
        "run": format!("{}:{}", tick.release, tick.generation),
        "release": tick.release,
        "generation": tick.generation,
        "number": tick.number,
        "state": tick.state,
        "stage": report["stage"],
        "passedOn": report["passedOn"],
        "hold": report["hold"],
        "why": report["why"],
        "gates": report["gates"],
    })
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
