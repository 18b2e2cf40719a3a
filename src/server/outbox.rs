//! The outbox: what waits, what was given up, and sending it again.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value as Body, json};
use tokio::sync::{mpsc, oneshot, watch};

use super::guard::{self, Caller};
use super::parameters::{ApiError, Parameters};
use super::shape::success;
use crate::access::Scope;
use crate::engine::Snapshot;
use crate::notice::{Delivery, Letter, LetterState, Muted};
use crate::release::{LogEntry, Tick};

/// A question about the outbox, and where its answer goes; what fails is told in words.
#[derive(Debug)]
pub enum OutboxRequest {
    /// What is in it, of one state or of both.
    List(Option<LetterState>, oneshot::Sender<Result<Vec<Letter>, String>>),
    /// Send dead letters again: those of some ids, or all of them.
    Resend(Option<Vec<String>>, oneshot::Sender<Result<Vec<Resent>, String>>),
    /// Put something in and send it, on record or, after half a second, without; answered by which.
    Put(Delivery, oneshot::Sender<bool>),
    /// The steps of a generation of a release, of the last where none is named, oldest first.
    Ticks(String, Option<u64>, oneshot::Sender<Result<Vec<Tick>, String>>),
    /// The last steps of a release in which anything changed, oldest first.
    News(String, oneshot::Sender<Result<Vec<Tick>, String>>),
    /// What plans did, those of one rollback or all, oldest first.
    Log(Option<String>, oneshot::Sender<Result<Vec<LogEntry>, String>>),
}

/// A dead letter that is on its way again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resent {
    /// Its idempotency key, the same as before.
    pub id: String,
    /// Where it goes.
    pub hook: String,
}

type Questions = mpsc::Sender<OutboxRequest>;
type Snapshots = watch::Receiver<Arc<Snapshot>>;

/// Muted groups that an answer names; all are counted.
const MUTED_MAX: usize = 1_000;

/// What is in it.
pub(super) fn routes(questions: Questions, snapshot: Snapshots) -> Router {
    Router::new().route("/api/v1/notices", get(list)).with_state((questions, snapshot))
}

/// Sending dead letters again.
pub(super) fn resending(questions: Questions) -> Router {
    let routes = Router::new().route("/api/v1/notices/resend", post(resend)).with_state(questions);
    guard::changing(routes, Scope::Notices)
}

async fn list(
    State((questions, snapshot)): State<(Questions, Snapshots)>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let state = match parameters.get("state") {
        None => None,
        Some(word) => Some(LetterState::parse(word).ok_or_else(|| {
            let message =
                format!("invalid parameter \"state\": `{word}`; write `pending` or `dead`");
            ApiError::bad_data(message)
        })?),
    };
    let letters = ask(&questions, |answer| OutboxRequest::List(state, answer)).await?;
    let snapshot = Arc::clone(&snapshot.borrow());
    let muted: Vec<Body> = snapshot.muted.iter().take(MUTED_MAX).map(muted).collect();
    Ok(success(json!({
        "notices": letters.iter().map(shown).collect::<Vec<_>>(),
        "muted": muted,
        "mutedGroups": snapshot.muted.len(),
    })))
}

async fn resend(
    State(questions): State<Questions>,
    Extension(caller): Extension<Caller>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let Caller { actor, peer, reason } = caller;
    let reason = reason.unwrap_or_default();
    tracing::info!(who = %actor, peer = %peer.ip(), reason, "a resend was asked for");
    let ids: Vec<String> = parameters.all("id").map(str::to_owned).collect();
    let is_all = parameters.get("all") == Some("true");
    let wanted = match (ids.is_empty(), is_all) {
        (true, true) => None,
        (false, false) => Some(ids),
        (true, false) | (false, true) => {
            let message = "write `id=ID` once or several times, or `all=true`".to_owned();
            return Err(ApiError::bad_data(message));
        }
    };
    let resent = ask(&questions, |answer| OutboxRequest::Resend(wanted.clone(), answer)).await?;
    let missing: Vec<&String> = wanted
        .iter()
        .flatten()
        .filter(|id| resent.iter().all(|resent| resent.id != **id))
        .collect();
    let resent: Vec<Body> =
        resent.iter().map(|resent| json!({ "id": resent.id, "hook": resent.hook })).collect();
    Ok(success(json!({ "resent": resent, "notDead": missing })))
}

async fn ask<T>(
    questions: &Questions,
    question: impl FnOnce(oneshot::Sender<Result<T, String>>) -> OutboxRequest,
) -> Result<T, ApiError> {
    let (answer, answered) = oneshot::channel();
    questions.send(question(answer)).await.map_err(|_| ApiError::unavailable())?;
    answered.await.map_err(|_| ApiError::unavailable())?.map_err(ApiError::failed)
}

/// A group of which nobody is told at this time.
fn muted(muted: &Muted) -> Body {
    json!({
        "receiver": muted.receiver,
        "group": muted.group,
        "intervals": muted.intervals,
        "firing": muted.firing,
    })
}

fn shown(letter: &Letter) -> Body {
    json!({
        "id": letter.id,
        "hook": letter.hook.as_str(),
        "order": letter.order,
        "state": letter.state.as_str(),
        "decidedAt": letter.decided_at.rfc3339(),
        "attempts": letter.attempts,
        "endedAt": letter.ended_at.map(|at| at.rfc3339()),
        "why": letter.why,
        "bytes": letter.bytes,
    })
}
