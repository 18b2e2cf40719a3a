//! The interfaces that clients call.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::carry::carry;
use super::crew::{Crew, Hall};
use super::intake::{Arriving, take};
use crate::downstream::PeerCertificate;
use crate::routing::{Refusal, Surface};

/// What answers tell their request by.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-bellwether-request-id");

/// Everything that clients may call.
#[derive(Clone, Debug)]
pub(super) struct Application {
    hall: Arc<Hall>,
    others: Router,
}

impl Application {
    pub fn new(hall: Hall) -> Self {
        let hall = Arc::new(hall);
        let mut others = Router::new()
            .route("/v1/models", get(models))
            .route("/v1/models/{*model}", get(model))
            .route("/-/healthy", get(async || "OK\n"))
            .route("/-/ready", get(async || "OK\n"));
        for surface in Surface::ALL {
            others = others.route(surface.path(), post(not_so));
        }
        let others = others.fallback(nothing_here).method_not_allowed_fallback(not_so);
        Self { others: others.with_state(Arc::clone(&hall)), hall }
    }

    /// Answers a request. Those that are carried have their place in front of the others: they are
    /// nearly all, and layers made for any application cost a tenth of what carrying one does.
    pub async fn oneshot(self, request: Request) -> Result<Response, Infallible> {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0);
        let path = request.uri().path();
        let surface = Surface::ALL.into_iter().find(|surface| surface.path() == path);
        match (surface, peer) {
            (Some(surface), Some(peer)) if request.method() == Method::POST => {
                Ok(serve(&self.hall, surface, peer, request).await)
            }
            _ => self.others.oneshot(request).await,
        }
    }
}

async fn serve(hall: &Arc<Hall>, surface: Surface, peer: SocketAddr, request: Request) -> Response {
    let crew = Arc::clone(&hall.crew.borrow());
    let (head, body) = request.into_parts();
    let id = format!("{:032x}", rand::random::<u128>());
    let certificate = head.extensions.get::<PeerCertificate>().cloned();
    let arriving = Arriving {
        id: id.clone(),
        certificate,
        surface,
        query: head.uri.query().map(str::to_owned),
        headers: head.headers,
        is_loopback: peer.ip().to_canonical().is_loopback(),
        crew: &crew,
    };
    match take(arriving, body).await {
        Ok(order) => carry(hall, &crew, order).await,
        Err(refusal) => {
            hall.telemetry.request_refused(&refusal);
            tracing::debug!(request.id = id, peer = %peer.ip(), reason = %refusal, "request refused");
            refused(&refusal, surface, &id)
        }
    }
}

/// A refusal as the interface writes it.
pub(super) fn refused(refusal: &Refusal, surface: Surface, id: &str) -> Response {
    let status = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = json_response(status, refusal.body(surface, id));
    tagged(response.headers_mut(), id);
    if let Some(wait) = refusal.retry_after() {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Tells the request by its id.
pub(super) fn tagged(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
}

fn json_response(status: StatusCode, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn nothing_here(headers: HeaderMap) -> Response {
    elsewhere(&headers, StatusCode::NOT_FOUND, "nothing is served at this path")
}

async fn not_so(headers: HeaderMap) -> Response {
    elsewhere(&headers, StatusCode::METHOD_NOT_ALLOWED, "this path is not called with this method")
}

fn elsewhere(headers: &HeaderMap, status: StatusCode, message: &str) -> Response {
    let body = if is_anthropic(headers) {
        let error = json!({"type": "not_found_error", "message": message});
        json!({"type": "error", "error": error})
    } else {
        let kind = "invalid_request_error";
        json!({"error": {"message": message, "type": kind, "param": null, "code": null}})
    };
    json_response(status, body.to_string())
}

/// Whether one of Anthropic's clients asks: only these send this header.
fn is_anthropic(headers: &HeaderMap) -> bool {
    headers.contains_key("anthropic-version")
}

/// Lets those pass who may ask what there is.
fn known(hall: &Hall, headers: &HeaderMap) -> Option<Arc<Crew>> {
    let crew = Arc::clone(&hall.crew.borrow());
    let shown = super::intake::credential(headers);
    crew.client(shown).is_ok().then_some(crew)
}

fn unknown(hall: &Hall, headers: &HeaderMap) -> Response {
    let surface = if is_anthropic(headers) { Surface::Messages } else { Surface::Chat };
    hall.telemetry.request_refused(&Refusal::Unauthenticated);
    refused(&Refusal::Unauthenticated, surface, "")
}

/// The models that the routes offer.
async fn models(State(hall): State<Arc<Hall>>, headers: HeaderMap) -> Response {
    let Some(crew) = known(&hall, &headers) else { return unknown(&hall, &headers) };
    let names = crew.settings.routes.iter().flat_map(|route| &route.models);
    let body = if is_anthropic(&headers) {
        let names: Vec<&String> = names.collect();
        json!({
            "data": names.iter().map(|name| anthropic_model(name)).collect::<Vec<_>>(),
            "has_more": false,
            "first_id": names.first(),
            "last_id": names.last(),
        })
    } else {
        json!({"object": "list", "data": names.map(|name| openai_model(name)).collect::<Vec<_>>()})
    };
    json_response(StatusCode::OK, body.to_string())
}

/// One of them.
async fn model(
    State(hall): State<Arc<Hall>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let Some(crew) = known(&hall, &headers) else { return unknown(&hall, &headers) };
    if crew.desk(&name).is_none() {
        let surface = if is_anthropic(&headers) { Surface::Messages } else { Surface::Chat };
        return refused(&Refusal::UnknownModel(name.chars().take(100).collect()), surface, "")
            .into_response();
    }
    let body = if is_anthropic(&headers) { anthropic_model(&name) } else { openai_model(&name) };
    json_response(StatusCode::OK, body.to_string())
}

fn openai_model(name: &str) -> Value {
    json!({"id": name, "object": "model", "created": 0, "owned_by": "bellwether"})
}

fn anthropic_model(name: &str) -> Value {
    let created = "1970-01-01T00:00:00Z";
    json!({"type": "model", "id": name, "display_name": name, "created_at": created})
}
