//! `POST /api/v1/hooks/alertmanager`: alerts that were judged elsewhere ask for rollbacks here.
//!
//! The answer says what was decided about each alert, for a person with curl; Alertmanager looks at
//! the status alone. It repeats a post after a 5xx and never after a 4xx, so that a post which can't
//! be understood is a 400, and one that finds nobody a 503. A repeated post decides nothing new.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_LENGTH;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::guard::{self, Caller};
use super::parameters::ApiError;
use crate::access::Scope;
use crate::engine::{Post, RollbackRuling, Ruling};
use crate::model::Timestamp;
use crate::notice::{Inbound, read_inbound};
use crate::telemetry::{PostResult, Telemetry};

/// What somebody says, and where the rulings go.
pub type PostRequest = (Post, oneshot::Sender<Vec<Ruling>>);

/// A thousand alerts with long annotations.
const BODY_MAX_BYTES: usize = 4 << 20;
/// How long the body may take to come.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the engine may take: it waits for the journal before each of a few rollbacks.
const RULING_TIMEOUT: Duration = Duration::from_secs(10);

/// Where posts go, and where they are counted.
#[derive(Clone)]
struct Inbox {
    posts: mpsc::Sender<PostRequest>,
    telemetry: Telemetry,
}

pub(super) fn routes(posts: mpsc::Sender<PostRequest>, telemetry: Telemetry) -> Router {
    let routes = Router::new()
        .route("/api/v1/hooks/alertmanager", post(from_alertmanager))
        .with_state(Inbox { posts, telemetry });
    guard::changing(routes, Scope::Hooks)
}

async fn from_alertmanager(
    State(inbox): State<Inbox>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Response {
    let response = ruled(&inbox.posts, &caller, request).await.into_response();
    inbox.telemetry.hook_posted(match response.status() {
        status if status.is_success() => PostResult::Accepted,
        status if status.is_client_error() => PostResult::Invalid,
        _ => PostResult::Unavailable,
    });
    response
}

async fn ruled(
    posts: &mpsc::Sender<PostRequest>,
    caller: &Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let too_large = || ApiError::bad_data("the body is larger than 4 MiB: set `max_alerts`");
    // Told before it is sent, where the caller says so.
    let length = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    if length.and_then(|length| length.parse::<usize>().ok()) > Some(BODY_MAX_BYTES) {
        return Err(too_large());
    }
    let body = to_bytes(request.into_body(), BODY_MAX_BYTES);
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await;
    let body = body.map_err(|_| ApiError::bad_data("the body took longer than 30 s to come"))?;
    let body = body.map_err(|_| {
        ApiError::bad_data("the body is larger than 4 MiB (set `max_alerts`) or was cut off")
    })?;
    let inbound = read_inbound(&body).map_err(|error| {
        tracing::warn!(who = %caller.actor, peer = %caller.peer.ip(), %error, "post not understood");
        ApiError::bad_data(error.to_string())
    })?;
    let said_by = said_by(caller, &inbound);
    let firing = inbound.alerts.iter().filter(|alert| alert.is_firing).count();
    tracing::info!(
        said_by,
        firing,
        resolved = inbound.alerts.len() - firing,
        "alerts from outside"
    );
    if inbound.truncated > 0 {
        let (truncated, receiver) = (inbound.truncated, &inbound.receiver);
        tracing::warn!(truncated, receiver, "Alertmanager left alerts out: raise its `max_alerts`");
    }
    let (answer, rulings) = oneshot::channel();
    let post = Post { alerts: inbound.alerts, said_by };
    posts.try_send((post, answer)).map_err(|_| busy())?;
    let rulings = tokio::time::timeout(RULING_TIMEOUT, rulings).await;
    let rulings = rulings.ok().and_then(Result::ok).ok_or_else(busy)?;
    let alerts: Vec<Value> = rulings.iter().map(ruling).collect();
    let data = json!({"alerts": alerts, "truncatedAlerts": inbound.truncated});
    Ok((StatusCode::OK, Json(json!({"status": "success", "data": data}))).into_response())
}

/// For the record: `token `am` at 192.0.2.1 by way of receiver `rollbacks`: a reason`.
fn said_by(caller: &Caller, inbound: &Inbound) -> String {
    let mut said_by = format!("{} at {}", caller.actor, caller.peer.ip().to_canonical());
    if let Some(receiver) = guard::one_line(&inbound.receiver) {
        said_by = format!("{said_by} by way of receiver `{receiver}`");
    }
    let written = inbound.reason.as_deref().and_then(guard::one_line);
    match caller.reason.clone().or(written) {
        Some(reason) => format!("{said_by}: {reason}"),
        None => said_by,
    }
}

fn busy() -> ApiError {
    ApiError::unavailable()
}

fn ruling(ruling: &Ruling) -> Value {
    let alert = &ruling.alert;
    let labels: serde_json::Map<String, Value> =
        alert.labels.iter().map(|label| (label.name.to_string(), json!(&*label.value))).collect();
    let rollbacks: Vec<Value> = ruling.rollbacks.iter().map(rollback).collect();
    json!({
        "status": if alert.is_firing { "firing" } else { "resolved" },
        "labels": labels,
        "fingerprint": alert.fingerprint(),
        "incident": alert.incident,
        "passedOver": ruling.passed_over,
        "rollbacks": rollbacks,
    })
}

fn rollback(ruling: &RollbackRuling) -> Value {
    let verdict = ruling.verdict;
    json!({
        "rollback": ruling.rollback,
        "verdict": verdict.map(|verdict| verdict.as_str()),
        "until": verdict.and_then(|verdict| verdict.until()).map(Timestamp::rfc3339),
        "decision": ruling.decision.as_ref().map(|(id, _)| id),
        "reason": ruling.decision.as_ref().map(|(_, why)| why),
        "isNew": ruling.is_new,
    })
}
