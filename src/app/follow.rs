//! A router that follows another bellwether: the same routes, that one's table, and nothing else.
//!
//! It probes nothing, judges nothing and keeps no journal, so that any number of them may run, and the
//! next may start on the same address before the one before it stops. Whatever becomes of the one that
//! is followed, the last table holds; a start without it goes by the table that was stored.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::load::{Loaded, load};
use super::routes::{self, Routes, Sharing};
use super::service::Succession;
use super::takeover;
use super::web::{Doorkeeper, Listener};
use crate::clock::Clock;
use crate::model::{HttpSettings, SecretSource};
use crate::routing::{Settings, Table};
use crate::server::Server;
use crate::telemetry::Telemetry;
use crate::upstream::{self, ClientOptions, Idle, Reach, describe};

/// A rollback reaches those who follow within this time.
const PERIOD: Duration = Duration::from_secs(1);
/// Longer than any answer of a server that is well.
const PATIENCE: Duration = Duration::from_secs(5);
const TABLE_BYTES_MAX: usize = 4 << 20;
/// From SIGTERM to the end: nothing but answers under way is waited for.
const STOP_DEADLINE: Duration = Duration::from_secs(10);

/// What `run --router.follow` decides.
#[derive(Debug)]
pub struct FollowOptions {
    /// The configuration file: its routes, providers and targets count.
    pub configuration: PathBuf,
    /// Where metrics and health are served.
    pub listen: String,
    /// Where the router listens.
    pub router: String,
    /// The router's TLS, as a web configuration file has it.
    pub router_web: Option<PathBuf>,
    /// The one that is followed, as its server's URL.
    pub leader: String,
    /// A file with the token that is shown there, if one is.
    pub token: Option<PathBuf>,
    /// Where the last table is stored.
    pub storage: PathBuf,
    /// What becomes of one that runs already with the same storage.
    pub succession: Succession,
    /// The time.
    pub clock: Clock,
}

/// A router that follows.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    server: Server,
    routes: Routes,
    porter: Doorkeeper,
    ready: watch::Sender<bool>,
    watcher: JoinHandle<()>,
}

impl Follower {
    /// Starts; the one that is followed need not be there.
    pub async fn start(options: FollowOptions) -> anyhow::Result<Self> {
        let loaded = read(options.configuration.clone()).await?;
        loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let config = &loaded.config;
        let porter = Doorkeeper::start(Listener::Router, options.router_web).await?;
        let (storage, router) = (&options.storage, Some(options.router.as_str()));
        let inherited = match options.succession {
            Succession::Alone => None,
            Succession::TakeOver => routes::inherit(storage, router, config, &porter).await?,
        };
        let bound = match inherited {
            Some(bound) => Some(bound),
            None => routes::bind(router, config, &porter, Sharing::Shared).await?,
        };
        let bound = bound.context("the router needs an address")?;
        let telemetry = Telemetry::new();
        let (mut routes, mut results) =
            Routes::start(bound, storage, options.clock, telemetry.clone()).await?;
        let listener = match options.succession {
            Succession::Alone => TcpListener::bind(&options.listen).await,
            Succession::TakeOver => takeover::listen(&options.listen).await,
        };
        let listener =
            listener.with_context(|| format!("cannot listen on `{}`", options.listen))?;
        let (ready, is_ready) = watch::channel(false);
        let server = Server::bare(listener, telemetry, is_ready)?;
        routes.store(options.storage.clone());
        routes.offer(&options.storage);
        // Who is followed decides, by its own evidence.
        tokio::spawn(async move { while results.recv().await.is_some() {} });
        let leader = Leader::new(&options.leader, options.token)?;
        let watcher =
            tokio::spawn(watch_leader(leader, routes.table.clone(), routes.watch_settings()));
        ready.send_replace(true);
        tracing::info!(address = %server.address(), "listening");
        Ok(Self { path: options.configuration, server, routes, porter, ready, watcher })
    }

    /// Where metrics and health are served.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where the router listens.
    pub fn router_address(&self) -> SocketAddr {
        self.routes.address()
    }

    /// Reads the configuration again. A mistake anywhere keeps all of the old one.
    pub async fn reload(&self) -> anyhow::Result<()> {
        let loaded = read(self.path.clone()).await?;
        let door = self.porter.read().await?;
        self.routes.reload(&loaded.config);
        self.porter.replace(door);
        tracing::info!("configuration reloaded");
        Ok(())
    }

    /// Waits until another process has taken over; for ever where none can.
    pub async fn succeeded(&self) {
        let heir = self.routes.watch_heir();
        let has_heir = match heir {
            Some(mut heir) => heir.wait_for(|has_heir| *has_heir).await.is_ok(),
            None => false,
        };
        if !has_heir {
            std::future::pending::<()>().await;
        }
    }

    /// Takes no new request, and lets answers under way finish: where another process carries the
    /// requests by now, for as long as their routes allow.
    pub async fn stop(self) {
        self.ready.send_replace(false);
        self.watcher.abort();
        self.porter.stop();
        if self.routes.has_heir() {
            self.server.stop(STOP_DEADLINE / 10).await;
            self.routes.leave().await;
            return;
        }
        self.routes.stop(STOP_DEADLINE * 9 / 10).await;
        self.server.stop(STOP_DEADLINE / 10).await;
    }
}

async fn read(path: PathBuf) -> anyhow::Result<Loaded> {
    Ok(tokio::task::spawn_blocking(move || load(&path)).await??)
}

/// The one that is followed.
#[derive(Debug)]
struct Leader {
    client: reqwest::Client,
    url: String,
    token: Option<SecretSource>,
}

impl Leader {
    fn new(url: &str, token: Option<PathBuf>) -> anyhow::Result<Self> {
        let options =
            ClientOptions { connect_timeout: PATIENCE, idle: Idle::Kept, reach: Reach::of(url) };
        let client = upstream::client(&HttpSettings::default(), &options)?;
        let url = format!("{}/api/v1/routing/table", url.trim_end_matches('/'));
        Ok(Self { client, url, token: token.map(SecretSource::File) })
    }

    /// Takes up the table that holds there, if it is another.
    async fn ask(
        &self,
        table: &watch::Sender<Arc<Table>>,
        settings: &Settings,
    ) -> anyhow::Result<()> {
        let fetched = tokio::time::timeout(PATIENCE, self.fetch()).await;
        let found = Table::followed(settings, &fetched.context("it does not answer")??);
        table.send_if_modified(|held| {
            // An older leader, or one that began anew, is followed all the same.
            let is_other = **held != found;
            if is_other {
                *held = Arc::new(found);
            }
            is_other
        });
        Ok(())
    }

    async fn fetch(&self) -> anyhow::Result<Table> {
        let mut request = self.client.get(&self.url);
        if let Some(token) = &self.token {
            request = request.bearer_auth(upstream::read_secret(token)?.expose());
        }
        let response = request.send().await.map_err(|error| anyhow::anyhow!(describe(&error)))?;
        anyhow::ensure!(response.status().is_success(), "it answers {}", response.status());
        let mut response = response;
        let mut bytes = Vec::new();
        while let Some(piece) =
            response.chunk().await.map_err(|error| anyhow::anyhow!(describe(&error)))?
        {
            bytes.extend_from_slice(&piece);
            anyhow::ensure!(bytes.len() <= TABLE_BYTES_MAX, "the table is too large");
        }
        Ok(Table::parse(&String::from_utf8(bytes)?)?)
    }
}

async fn watch_leader(
    leader: Leader,
    table: watch::Sender<Arc<Table>>,
    settings: watch::Receiver<Arc<Settings>>,
) {
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_missed = false;
    loop {
        turns.tick().await;
        let settings = Arc::clone(&settings.borrow());
        // Said once: the next turn is a second away.
        match leader.ask(&table, &settings).await {
            Ok(()) if was_missed => {
                was_missed = false;
                tracing::info!("the leader answers again");
            }
            Err(error) if !was_missed => {
                was_missed = true;
                tracing::warn!("no table is had from the leader, the last one holds: {error:#}");
            }
            Ok(()) | Err(_) => {}
        }
    }
}
