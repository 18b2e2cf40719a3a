//! Binding, routing and stopping.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tower_http::compression::CompressionLayer;

use super::{admin, api, exposition, page, query};
use crate::clock::Clock;
use crate::engine::Snapshot;
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
    /// The configuration as it was written, for `/api/v1/status/config`; secrets are references.
    pub config: watch::Receiver<Arc<str>>,
    /// Whether the service is ready.
    pub ready: watch::Receiver<bool>,
    /// Instruments.
    pub telemetry: Telemetry,
    /// The time.
    pub clock: Clock,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

/// Who is calling.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub SocketAddr);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Server {
    /// Serves on a bound listener until it is stopped.
    pub fn spawn(listener: TcpListener, views: Views) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let application = Router::new()
            .merge(exposition::routes(views.telemetry.clone()))
            .merge(admin::routes(views.reload.clone(), views.ready.clone()))
            .merge(query::routes(views.samples.clone(), views.clock))
            .merge(api::routes(&views))
            .merge(page::routes(views.snapshot.clone(), views.clock))
            .layer(CompressionLayer::new());
        let service = application.into_make_service_with_connect_info::<Peer>();
        let task = tokio::spawn(async move {
            axum::serve(listener, service)
                .with_graceful_shutdown(async {
                    // A dropped sender stops the server too.
                    let _was_asked = stopped.await.is_ok();
                })
                .await
        });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no new connection and lets the open ones finish within the deadline.
    pub async fn stop(self, deadline: Duration) {
        // Nobody listens where the task is over already.
        let _was_running = self.stop.send(()).is_ok();
        let mut task = self.task;
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            task.abort();
        }
    }
}
