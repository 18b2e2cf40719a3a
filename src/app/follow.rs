//! A router that follows another bellwether: the same routes, that one's table, and nothing else.
//!
//! What it carried is told to the one that is followed, as evidence. It probes nothing, judges nothing
//! and keeps no journal, so that any number of them may run, and the next may start on the same address
//! before the one before it stops. Whatever becomes of the one that
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
use super::report;
use super::routes::{self, Routes, Sharing};
use super::service::Succession;
use super::takeover;
use super::web::{Doorkeeper, Listener};
use crate::clock::Clock;
use crate::model::{HttpSettings, SecretSource};
use crate::routing::{Batch, Receipt, Settings, Table};
use crate::server::Server;
use crate::telemetry::{FollowedFor, Telemetry};
use crate::threads::Threads;
use crate::upstream::{self, ClientOptions, Idle, Reach, describe};

/// A rollback reaches those who follow within this time.
const PERIOD: Duration = Duration::from_secs(1);
/// Longer than any answer of a server that is well.
const PATIENCE: Duration = Duration::from_secs(5);
const TABLE_BYTES_MAX: usize = 4 << 20;
/// A sentence or two.
const REASON_BYTES_MAX: usize = 2 << 10;
/// Four numbers.
const RECEIPT_BYTES_MAX: usize = 1 << 10;
/// At the end, what is left to be told is told for so long.
const LAST_WORDS: Duration = Duration::from_secs(1);
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
    /// On which threads it carries requests.
    pub router_threads: Threads,
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
    reporter: JoinHandle<()>,
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
        let (mut routes, results) =
            Routes::start(bound, options.router_threads, storage, options.clock, telemetry.clone())
                .await?;
        let listener = match options.succession {
            Succession::Alone => TcpListener::bind(&options.listen).await,
            Succession::TakeOver => takeover::listen(&options.listen).await,
        };
        let listener =
            listener.with_context(|| format!("cannot listen on `{}`", options.listen))?;
        let (ready, is_ready) = watch::channel(false);
        let server = Server::bare(listener, telemetry.clone(), is_ready)?;
        routes.store(options.storage.clone());
        routes.offer(&options.storage);
        telemetry.follows();
        let (told, clock) = (telemetry, options.clock);
        let leader = Leader::new(&options.leader, options.token)?;
        let reporter = report::spawn(leader.clone(), results, clock, told.clone());
        let (table, settings) = (routes.table.clone(), routes.watch_settings());
        let watcher = tokio::spawn(watch_leader(leader, table, settings, told));
        ready.send_replace(true);
        tracing::info!(address = %server.address(), "listening");
        let path = options.configuration;
        Ok(Self { path, server, routes, porter, ready, watcher, reporter })
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
        let has_heir = self.routes.has_heir();
        if has_heir {
            // The heir wants the address; answers under way go on for as long as they may.
            self.server.stop(STOP_DEADLINE / 10).await;
            self.routes.leave().await;
        } else {
            self.routes.stop(STOP_DEADLINE * 8 / 10).await;
            self.server.stop(STOP_DEADLINE / 10).await;
        }
        let mut reporter = self.reporter;
        if tokio::time::timeout(LAST_WORDS, &mut reporter).await.is_err() {
            tracing::warn!("what was carried last is not told: the leader is away");
            reporter.abort();
        }
    }
}

async fn read(path: PathBuf) -> anyhow::Result<Loaded> {
    Ok(tokio::task::spawn_blocking(move || load(&path)).await??)
}

/// The one that is followed.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    client: reqwest::Client,
    url: String,
    token: Option<SecretSource>,
}

/// Why a batch of outcomes was not taken.
pub(super) enum Unheard {
    /// It never will be.
    Refused(String),
    /// It may be the next time.
    Away,
}

impl Leader {
    fn new(url: &str, token: Option<PathBuf>) -> anyhow::Result<Self> {
        let options =
            ClientOptions { connect_timeout: PATIENCE, idle: Idle::Kept, reach: Reach::of(url) };
        let client = upstream::client(&HttpSettings::default(), &options)?;
        let url = format!("{}/api/v1/routing", url.trim_end_matches('/'));
        Ok(Self { client, url, token: token.map(SecretSource::File) })
    }

    /// Tells outcomes.
    pub(super) async fn report(&self, batch: &Batch) -> Result<Receipt, Unheard> {
        let told = tokio::time::timeout(PATIENCE, self.tell(batch)).await;
        told.unwrap_or(Err(Unheard::Away))
    }

    async fn tell(&self, batch: &Batch) -> Result<Receipt, Unheard> {
        let body = serde_json::to_vec(batch).map_err(|_| Unheard::Away)?;
        let request = self.client.post(format!("{}/served", self.url)).body(body);
        let request = request.header("content-type", "application/json");
        let request = self.signed(request).map_err(|_| Unheard::Away)?;
        let response = request.send().await.map_err(|_| Unheard::Away)?;
        let status = response.status();
        if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) {
            let text = whole(response, REASON_BYTES_MAX).await.unwrap_or_default();
            let text = String::from_utf8_lossy(&text);
            return Err(Unheard::Refused(format!("{status}: {}", text.trim())));
        }
        if !status.is_success() {
            return Err(Unheard::Away);
        }
        let text = whole(response, RECEIPT_BYTES_MAX).await.map_err(|_| Unheard::Away)?;
        serde_json::from_slice(&text).map_err(|_| Unheard::Away)
    }

    /// With the token, where there is one.
    fn signed(&self, request: reqwest::RequestBuilder) -> anyhow::Result<reqwest::RequestBuilder> {
        Ok(match &self.token {
            Some(token) => request.bearer_auth(upstream::read_secret(token)?.expose()),
            None => request,
        })
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
        let request = self.signed(self.client.get(format!("{}/table", self.url)))?;
        let response = request.send().await.map_err(|error| anyhow::anyhow!(describe(&error)))?;
        anyhow::ensure!(response.status().is_success(), "it answers {}", response.status());
        let bytes = whole(response, TABLE_BYTES_MAX).await?;
        Ok(Table::parse(&String::from_utf8(bytes)?)?)
    }
}

/// Reads an answer of bounded size.
async fn whole(mut response: reqwest::Response, bytes_max: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) =
        response.chunk().await.map_err(|error| anyhow::anyhow!(describe(&error)))?
    {
        bytes.extend_from_slice(&piece);
        anyhow::ensure!(bytes.len() <= bytes_max, "the answer is larger than {bytes_max} bytes");
    }
    Ok(bytes)
}

async fn watch_leader(
    leader: Leader,
    table: watch::Sender<Arc<Table>>,
    settings: watch::Receiver<Arc<Settings>>,
    telemetry: Telemetry,
) {
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut was_missed = false;
    loop {
        turns.tick().await;
        let settings = Arc::clone(&settings.borrow());
        let asked = leader.ask(&table, &settings).await;
        telemetry.followed(FollowedFor::Table, asked.is_ok());
        // Said once: the next turn is a second away.
        match asked {
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
