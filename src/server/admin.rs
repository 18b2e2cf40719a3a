//! Health, readiness and reload.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use tokio::sync::{mpsc, oneshot, watch};

use super::guard::{self, Caller};
use crate::access::Scope;

/// Answers a request for a reload: nothing, or what is wrong with the new configuration.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

/// Health and readiness.
pub(super) fn states(ready: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/-/healthy", get(|| async { "bellwether is healthy.\n" }))
        .route("/-/ready", get(is_ready))
        .with_state(ready)
}

/// Reload.
pub(super) fn reload(reload: mpsc::Sender<ReloadRequest>) -> Router {
    let routes =
        Router::new().route("/-/reload", post(reload_config).put(reload_config)).with_state(reload);
    guard::changing(routes, Scope::Reload)
}

async fn is_ready(State(ready): State<watch::Receiver<bool>>) -> (StatusCode, &'static str) {
    if *ready.borrow() {
        (StatusCode::OK, "bellwether is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "bellwether is starting or stopping.\n")
    }
}

async fn reload_config(
    State(reload): State<mpsc::Sender<ReloadRequest>>,
    Extension(caller): Extension<Caller>,
) -> (StatusCode, String) {
    let Caller { actor, peer, reason } = caller;
    let reason = reason.unwrap_or_default();
    tracing::info!(who = %actor, peer = %peer.ip(), reason, "a reload was asked for");
    let (answer, answered) = oneshot::channel();
    if reload.try_send(answer).is_err() {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "another reload is under way, or bellwether is stopping\n".to_owned(),
        );
    }
    match answered.await {
        Ok(Ok(())) => (StatusCode::OK, String::new()),
        Ok(Err(mistakes)) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("the configuration was not reloaded, the old one holds:\n{mistakes}\n"),
        ),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "bellwether is stopping\n".to_owned()),
    }
}
