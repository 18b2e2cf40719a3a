//! The routing table, for routers that follow this one.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::routing::Table;

type Tables = Option<watch::Receiver<Arc<Table>>>;

pub(super) fn routes(tables: Tables) -> Router {
    Router::new().route("/api/v1/routing/table", get(table)).with_state(tables)
}

/// The table as it holds now.
async fn table(State(tables): State<Tables>) -> Response {
    let Some(tables) = tables else {
        return (StatusCode::NOT_FOUND, "nothing is routed here\n").into_response();
    };
    let text = tables.borrow().to_json();
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
