//! Binding, routing and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;

use super::evidence::{self, Evidence};
use super::guard::{self, Guard};
use super::keys::Keys;
use super::outbox::OutboxRequest;
use super::query::Queries;
use super::releases::{self, ReleaseRequest};
use super::{admin, api, exposition, hook, outbox, page, query, selection, status, table, targets};
use crate::clock::Clock;
use crate::downstream::{self, Door, PeerCertificate};
use crate::engine::Snapshot;
use crate::model::JournalStanding;
use crate::routing::Table;
use crate::series::Store;
use crate::telemetry::Telemetry;

/// What the server shows, and whom it asks.
#[derive(Clone, Debug)]
pub struct Views {
    /// The engine's latest state.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Asks for the samples as they are now.
    pub samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>,
    /// Asks for a reload of the configuration.
    pub reload: mpsc::Sender<admin::ReloadRequest>,
    /// Asks for the outbox.
    pub outbox: mpsc::Sender<OutboxRequest>,
    /// Asks about rollbacks, and for them.
    pub releases: mpsc::Sender<ReleaseRequest>,
    /// What the journal holds and how it does.
    pub standing: watch::Receiver<JournalStanding>,
    /// Where a damaged journal was put by this start.
    pub set_aside: Option<Arc<str>>,
    /// Tells the engine what others say fires, and asks what is decided about it.
    pub posts: mpsc::Sender<hook::PostRequest>,
    /// What tells who somebody is.
    pub keys: Keys,
    /// The configuration as it was written, for `/api/v1/status/config`; secrets are references.
    pub config: watch::Receiver<Arc<str>>,
    /// Where alerts are posted to.
    pub alertmanagers: watch::Receiver<Arc<[String]>>,
    /// The step of subqueries that name none: `global: evaluation_interval`, as in Prometheus.
    pub evaluation_interval: watch::Receiver<Duration>,
    /// The routing table, where requests are routed.
    pub table: Option<watch::Receiver<Arc<Table>>>,
    /// Takes what other routers carried, where requests are routed.
    pub evidence: Option<Evidence>,
    /// Whether the service is ready.
    pub ready: watch::Receiver<bool>,
    /// Instruments.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
    /// Flags as the process was started with, by name.
    pub flags: Arc<[(&'static str, String)]>,
    /// How long samples are kept.
    pub retention: watch::Receiver<Duration>,
}

/// As many connections as are open at once; more wait until one of them ends.
const CONNECTIONS_MAX: usize = 512;
/// How long a client may take for the head of a request, and how long it may keep an idle connection:
/// longer than the usual scrape interval of a minute.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Heads are a line and a few headers; a query may stand in the first.
const HEAD_MAX_BYTES: usize = 64 << 10;

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on a bound listener until it is stopped.
    pub fn spawn(listener: TcpListener, views: Views) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let door = views.keys.door.clone();
        let task = tokio::spawn(serve(listener, application(&views), door, stopped));
        Ok(Self { address, stop, task })
    }

    /// Serves metrics and health alone, to whoever reaches it.
    pub fn bare(
        listener: TcpListener,
        telemetry: Telemetry,
        ready: watch::Receiver<bool>,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let application = Router::new()
            .merge(exposition::routes(telemetry))
            .merge(admin::states(ready))
            .fallback(nothing_here)
            .layer(axum::middleware::map_response(plain_about_types));
        // Nobody opens another door.
        let door = watch::channel(Arc::default()).1;
        let task = tokio::spawn(serve(listener, application, door, stopped));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connection and lets open answers finish within the deadline.
    pub async fn stop(self, deadline: Duration) {
        // Nobody listens where the task is over already.
        let _was_running = self.stop.send(()).is_ok();
        let mut task = self.task;
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            // Its connections end with it.
            task.abort();
        }
    }
}

fn application(views: &Views) -> Router {
    let guard = Guard::new(views.keys.clone(), views.telemetry.clone());
    let queries =
        Queries::new(views.samples.clone(), views.evaluation_interval.clone(), views.clock);
    Router::new()
        .merge(exposition::routes(views.telemetry.clone()))
        .merge(admin::states(views.ready.clone()))
        .merge(query::routes(queries.clone()))
        .merge(selection::routes(queries.clone()))
        .merge(api::routes(views))
        .merge(targets::routes(views, queries.clone()))
        .merge(status::routes(views, queries))
        .merge(outbox::routes(views.outbox.clone(), views.snapshot.clone()))
        .merge(releases::routes(views.releases.clone(), views.snapshot.clone()))
        .merge(table::routes(views.table.clone()))
        .merge(page::routes(views))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(axum::middleware::from_fn(guard::reading))
        .merge(admin::reload(views.reload.clone()))
        .merge(hook::routes(views.posts.clone(), views.telemetry.clone()))
        .merge(evidence::routes(views.evidence.clone(), views.telemetry.clone(), views.clock))
        .merge(outbox::resending(views.outbox.clone()))
        .merge(releases::changing(views.releases.clone()))
        .merge(releases::moving(views.releases.clone()))
        .method_not_allowed_fallback(not_so)
        .layer(CompressionLayer::new())
        .layer(axum::middleware::from_fn(options))
        .layer(axum::middleware::map_response(plain_about_types))
        .layer(axum::middleware::from_fn_with_state(guard, guard::identify))
}

async fn nothing_here() -> (StatusCode, &'static str) {
    (StatusCode::NOT_FOUND, "404 page not found\n")
}

async fn not_so() -> (StatusCode, &'static str) {
    (StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n")
}

/// A browser that asks beforehand is answered as by Prometheus, less its leave for pages of other
/// origins.
async fn options(request: Request, next: Next) -> Response {
    if request.method() == Method::OPTIONS && request.uri().path().starts_with("/api/v1/") {
        return StatusCode::NO_CONTENT.into_response();
    }
    next.run(request).await
}

/// Nobody shall take a text of ours for a page.
async fn plain_about_types(mut response: Response) -> Response {
    let value = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, value);
    response
}

async fn serve(
    listener: TcpListener,
    application: Router,
    door: watch::Receiver<Arc<Door>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let (closing, is_closing) = watch::channel(false);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            // A dropped sender stops the server too.
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = downstream::accept(&listener, &slots) => {
                let Some((stream, peer, slot)) = accepted else { continue };
                let (application, is_closing) = (application.clone(), is_closing.clone());
                let tls = door.borrow().tls();
                connections.spawn(async move {
                    welcome(stream, peer, tls, application, is_closing).await;
                    drop(slot);
                });
            }
        }
    }
    drop(listener);
    closing.send_replace(true);
    while connections.join_next().await.is_some() {}
}

/// Shakes hands where TLS is spoken, then talks.
async fn welcome(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    application: Router,
    is_closing: watch::Receiver<bool>,
) {
    let Some(tls) = tls else {
        return converse(stream, peer, None, application, is_closing).await;
    };
    if let Some((stream, certificate)) = downstream::shake_hands(stream, peer, tls).await {
        converse(stream, peer, certificate, application, is_closing).await;
    }
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    peer: SocketAddr,
    certificate: Option<PeerCertificate>,
    application: Router,
    mut is_closing: watch::Receiver<bool>,
) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        if let Some(certificate) = &certificate {
            request.extensions_mut().insert(certificate.clone());
        }
        application.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let closed = async {
        // Whichever it is, an error too: nobody is left to serve for.
        let _is_closing = is_closing.wait_for(|is_closing| *is_closing).await.is_ok();
    };
    downstream::converse(connection, peer, closed).await;
}
