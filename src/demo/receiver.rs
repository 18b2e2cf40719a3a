//! The demo's own receiver: it takes a webhook only with a valid signature.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::model::{Secret, Timestamp};
use crate::notice::{Signed, verify};

/// A webhook that came.
#[derive(Debug)]
pub(super) struct Received {
    /// To which path.
    pub path: String,
    /// When.
    pub at: Timestamp,
    /// Its idempotency key.
    pub id: String,
    /// Whether the signature is right.
    pub is_genuine: bool,
    /// Whether it says that it is only a drill.
    pub is_drill: bool,
}

#[derive(Clone)]
struct Checks {
    secret: Secret,
    clock: Clock,
    received: mpsc::Sender<Received>,
}

/// Serves on a listener until the task is dropped.
pub(super) fn spawn(
    listener: TcpListener,
    secret: Secret,
    clock: Clock,
) -> (JoinHandle<std::io::Result<()>>, mpsc::Receiver<Received>) {
    let (sender, received) = mpsc::channel(64);
    let routes = Router::new()
        .route("/rollback", post(take))
        .route("/alerts", post(take))
        .with_state(Checks { secret, clock, received: sender });
    (tokio::spawn(async move { axum::serve(listener, routes).await }), received)
}

async fn take(
    State(checks): State<Checks>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let at = checks.clock.now();
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = text("webhook-id").to_owned();
    let signed = Signed {
        id: &id,
        timestamp: text("webhook-timestamp"),
        signature: text("webhook-signature"),
    };
    let is_genuine = verify(&checks.secret, signed, &body, at).is_ok();
    let path = uri.path().to_owned();
    let message: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let is_drill = message["data"]["drill"] == true;
    // The demo may be over already.
    let _is_watched =
        checks.received.try_send(Received { path, at, id, is_genuine, is_drill }).is_ok();
    if is_genuine { StatusCode::NO_CONTENT } else { StatusCode::UNAUTHORIZED }
}
