//! Health, readiness and reload.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio::sync::{mpsc, oneshot, watch};

use super::guard;

/// Answers a request for a reload: nothing, or what is wrong with the new configuration.
pub type ReloadRequest = oneshot::Sender<Result<(), String>>;

pub(super) fn routes(reload: mpsc::Sender<ReloadRequest>, ready: watch::Receiver<bool>) -> Router {
    let changing = Router::new()
        .route("/-/reload", post(reload_config).put(reload_config))
        .with_state(reload)
        .layer(axum::middleware::from_fn(guard::local_only));
    Router::new()
        .route("/-/healthy", get(|| async { "bellwether is healthy.\n" }))
        .route("/-/ready", get(is_ready))
        .with_state(ready)
        .merge(changing)
}

async fn is_ready(State(ready): State<watch::Receiver<bool>>) -> (StatusCode, &'static str) {
    if *ready.borrow() {
        (StatusCode::OK, "bellwether is ready.\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "bellwether is starting or stopping.\n")
    }
}

async fn reload_config(State(reload): State<mpsc::Sender<ReloadRequest>>) -> (StatusCode, String) {
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
