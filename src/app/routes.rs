//! The router's part of the wiring: its settings, its table, and where its evidence goes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::config::Config;
use crate::router::{Ends, Router, stored};
use crate::routing::{Served, Settings, Table};
use crate::telemetry::Telemetry;

/// What a few thousand requests a second bring while the engine evaluates a slow group.
const SERVED_MAX: usize = 8_192;

/// What the router works by.
pub(super) fn settings(config: &Config) -> Settings {
    let targets = config.targets.iter().map(|target| (target.id.clone(), Arc::new(target.clone())));
    Settings {
        routes: config.routes.clone(),
        targets: targets.collect::<BTreeMap<_, _>>(),
        admission: config.admission.clone(),
    }
}

/// A listener that was bound before anything else was started.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    settings: Settings,
}

/// Binds the router's address, if one is given and the configuration lets it be used.
pub(super) async fn bind(listen: Option<&str>, config: &Config) -> anyhow::Result<Option<Bound>> {
    let settings = settings(config);
    let Some(listen) = listen else {
        if !settings.routes.is_empty() {
            tracing::warn!("`routes` are configured, but no `--router.listen-address` is given");
        }
        return Ok(None);
    };
    anyhow::ensure!(
        !settings.routes.is_empty(),
        "`--router.listen-address` is given, but the configuration has no `routes`"
    );
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("the router cannot listen on `{listen}`"))?;
    let address = listener.local_addr()?;
    anyhow::ensure!(
        may_listen(address, &settings),
        "the router would spend your keys for whoever reaches `{address}`: list clients' keys in \
         `router: auth:`, or write `router: {{auth: none}}`"
    );
    Ok(Some(Bound { listener, settings }))
}

fn may_listen(address: SocketAddr, settings: &Settings) -> bool {
    address.ip().to_canonical().is_loopback() || settings.admission.may_face_others()
}

/// The router while it runs, and the table that it obeys.
#[derive(Debug)]
pub(super) struct Routes {
    router: Router,
    /// Whoever moves traffic sends the next table here: `table.next(&settings, &splits)`.
    pub(super) table: watch::Sender<Arc<Table>>,
    sink: JoinHandle<()>,
}

impl Routes {
    /// Starts with the table that was stored last, as far as it still fits; a table that cannot be
    /// read is reported, and all is on stable.
    pub(super) async fn start(
        bound: Bound,
        storage: PathBuf,
        clock: Clock,
        telemetry: Telemetry,
    ) -> anyhow::Result<Self> {
        let Bound { listener, settings } = bound;
        let directory = storage.clone();
        let stored = tokio::task::spawn_blocking(move || stored(&directory)).await?;
        let first = match stored {
            Ok(Some(stored)) => Table::resumed(&settings, &stored),
            Ok(None) => Table::all_on_stable(&settings),
            Err(error) => {
                tracing::error!("{:#}: all routes are on stable", anyhow::Error::new(error));
                Table::all_on_stable(&settings)
            }
        };
        let (table, watched) = watch::channel(Arc::new(first));
        let (served, results) = mpsc::channel(SERVED_MAX);
        let ends = Ends { table: watched, served, storage, clock, telemetry };
        let routes = settings.routes.len();
        let router = Router::spawn(listener, settings, ends)?;
        tracing::info!(address = %router.address(), routes, "routing");
        Ok(Self { router, table, sink: tokio::spawn(set_aside(results)) })
    }

    /// Takes up another configuration.
    pub(super) fn reload(&self, config: &Config) {
        let settings = settings(config);
        if !may_listen(self.router.address(), &settings) {
            tracing::error!(
                "`router: auth` was removed, and the router can be reached from elsewhere: its part of the configuration is not taken up"
            );
            return;
        }
        self.router.reload(settings.clone());
        self.table.send_modify(|table| *table = Arc::new(Table::resumed(&settings, table)));
    }

    /// Takes no new request and lets answers under way finish.
    pub(super) async fn stop(self, deadline: Duration) {
        self.router.stop(deadline).await;
        self.sink.abort();
    }
}

/// Takes the results of requests off the router's hands. Nothing judges them yet: they count in the
/// metrics, which rules read.
async fn set_aside(mut results: mpsc::Receiver<Served>) {
    while results.recv().await.is_some() {}
}
