//! The service as a whole: start, reload, stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::load::{Loaded, load};
use super::plans;
use super::records::{self, Desk};
use super::routes::{self, Routes, Sharing};
use super::spending::Spending;
use super::takeover;
use super::web::{Doorkeeper, Listener};
use super::wiring::{self, Names, Post};
use crate::access::Token;
use crate::archive::Archive;
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::datasource::{Datasources, QUESTIONS_MAX};
use crate::driver::{Driver, Feeds, Hands, Reload};
use crate::engine::{Engine, Happening, Order, ReleaseStatus, Snapshot};
use crate::executor::{Executor, Refused};
use crate::journal::Journal;
use crate::model::JournalStanding;
use crate::notice::Delivery;
use crate::notifier::Notifier;
use crate::probe::Health;
use crate::prober::{self, Prober};
use crate::release::RunEnd;
use crate::release::machine::Report;
use crate::rules;
use crate::server::{Keys, ReloadRequest, Server, Views};
use crate::telemetry::Telemetry;
use crate::threads::{Thread, Threads};
use crate::upstream;

/// From SIGTERM to the end.
const STOP_DEADLINE: Duration = Duration::from_secs(10);
/// As many outcomes as a thousand targets finish in a moment.
const OUTCOMES_MAX: usize = 4096;
const HAPPENINGS_MAX: usize = 1024;
/// As many evaluations as end while a slow disk takes one batch.
const BATCHES_MAX: usize = 1024;

/// Where the configuration comes from.
#[derive(Debug)]
pub enum Configuration {
    /// A file, which a reload reads again.
    File(PathBuf),
    /// Built in; there is nothing to reload.
    Built(Box<Loaded>),
}

/// What becomes of a bellwether that uses the same storage already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Succession {
    /// It stays, and this one does not start.
    Alone,
    /// This one takes its router's socket at once, and everything else once it has stopped.
    TakeOver,
}

/// What somebody wants of the service as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A reload; [`App::reload`] answers.
    Reload,
    /// The end: another process carries the requests by now.
    Succession,
}

/// What `run` and `demo` decide.
#[derive(Debug)]
pub struct Options {
    /// The configuration.
    pub configuration: Configuration,
    /// Where the server listens, as `host:port`.
    pub listen: String,
    /// Where the router listens, as `host:port`, if it does.
    pub router: Option<String>,
    /// On which threads it carries requests.
    pub router_threads: Threads,
    /// Prometheus's web configuration file, if there is one.
    pub web: Option<PathBuf>,
    /// The same for the router: its TLS.
    pub router_web: Option<PathBuf>,
    /// Where state is kept.
    pub storage: PathBuf,
    /// What becomes of one that runs already.
    pub succession: Succession,
    /// The time.
    pub clock: Clock,
}

/// A running service.
#[derive(Debug)]
pub struct App {
    path: Option<PathBuf>,
    clock: Clock,
    telemetry: Telemetry,
    prober: Prober,
    driver: Driver,
    notifier: Arc<Post>,
    executor: Executor,
    current: watch::Sender<Arc<Config>>,
    server: Server,
    routes: Option<Routes>,
    heir: Option<watch::Receiver<bool>>,
    recorder: JoinHandle<()>,
    settled: oneshot::Receiver<()>,
    shown: watch::Receiver<Arc<Snapshot>>,
    orders: plans::Orders,
    archive: Archive,
    datasources: Datasources,
    renewals: mpsc::Sender<Reload>,
    happenings: broadcast::Sender<Happening>,
    config_text: watch::Sender<Arc<str>>,
    alertmanagers: watch::Sender<Arc<[String]>>,
    evaluation_interval: watch::Sender<Duration>,
    retention: watch::Sender<Duration>,
    tokens: watch::Sender<Arc<[Token]>>,
    doorkeeper: Doorkeeper,
    /// The router's.
    porter: Doorkeeper,
    ready: watch::Sender<bool>,
    reload_requests: mpsc::Receiver<ReloadRequest>,
    pending: Option<ReloadRequest>,
}

impl App {
    /// Starts everything; fails before the first probe if anything is amiss.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let clock = options.clock;
        let flags = wiring::flags(&options);
        let (path, loaded) = match options.configuration {
            Configuration::File(path) => {
                let loaded = load(&path)?;
                (Some(path), loaded)
            }
            Configuration::Built(loaded) => (None, *loaded),
        };
        loaded.remarks().for_each(|remark| tracing::warn!("{remark}"));
        check_secrets(&loaded)?;
        let doorkeeper = Doorkeeper::start(Listener::Web, options.web).await?;
        let porter = Doorkeeper::start(Listener::Router, options.router_web).await?;
        // Nothing before the first probe needs it.
        let warmed = tokio::task::spawn_blocking(upstream::warm_up);
        let telemetry = Telemetry::new();
        telemetry.configure_at(&loaded.config.targets, loaded.config.global.detail);
        let (storage, router) = (&options.storage, options.router.as_deref());
        let threads = options.router_threads;
        let (inherited, journal) = match options.succession {
            Succession::Alone => (None, Journal::open(storage, clock).await),
            Succession::TakeOver => {
                let inherited =
                    match routes::inherit(storage, router, &loaded.config, &porter).await? {
                        Some(bound) => {
                            let own = telemetry.clone();
                            Some(Routes::start(bound, threads, storage, clock, own).await?)
                        }
                        None => None,
                    };
                (inherited, takeover::journal(storage, clock).await)
            }
        };
        let journal = journal
            .with_context(|| format!("cannot use `{}` for state", options.storage.display()))?;
        let remembered = journal.decisions_since(clock.now() - records::REMEMBERED).await?;
        let log = journal.log(None, plans::REMEMBERED).await?;
        let (kept, pending) = (journal.state().await?, journal.take_up().await?);
        let ticks = journal.last_ticks().await?;
        let set_aside = journal.set_aside().map(|path| Arc::from(path.display().to_string()));
        let listener = TcpListener::bind(&options.listen)
            .await
            .with_context(|| format!("cannot listen on `{}`", options.listen))?;
        let address = listener.local_addr()?;
        let (mut routes, served) = match inherited {
            Some((routes, served)) => (Some(routes), served),
            None => match routes::bind(router, &loaded.config, &porter, Sharing::Alone).await? {
                Some(bound) => {
                    let own = telemetry.clone();
                    let started = Routes::start(bound, threads, storage, clock, own).await?;
                    (Some(started.0), started.1)
                }
                None => (None, mpsc::channel(1).1),
            },
        };
        if let Some(routes) = &mut routes {
            routes.store(storage.clone());
        }

        wiring::configure_actions(&telemetry, &Names::of(&loaded));
        telemetry.compare(wiring::comparisons(&loaded.config));
        plans::remember(&log, &pending, &loaded.config, &telemetry);
        telemetry.reloaded(true, clock.now());
        if set_aside.is_some() {
            telemetry.journal_damaged();
        }
        // Read while the rest is set up.
        let archive = wiring::archive(&loaded, options.storage.clone(), clock, telemetry.clone());

        let (outcomes, finished) = mpsc::channel(OUTCOMES_MAX);
        let (health, examined) = watch::channel(Health::green(clock.now()));
        let (snapshot, shown) = watch::channel(Arc::new(Snapshot::empty(clock.now())));
        let watching = shown.clone();
        let (samples, asked) = mpsc::channel(16);
        let (posts, posted) = mpsc::channel(16);
        let (asking, asks) = mpsc::channel(QUESTIONS_MAX);
        let (answers, answered) = mpsc::channel(QUESTIONS_MAX);
        let datasources = Datasources::spawn(wiring::datasources(&loaded.config), asks, answers);
        let (orders, ordered) = mpsc::channel(plans::REQUESTS_MAX);
        let ordering = orders.clone();
        let (tokens, known) = watch::channel(Arc::from(loaded.config.tokens.as_slice()));
        let (renewals, renewed) = mpsc::channel(1);
        let (happenings, _) = broadcast::channel(HAPPENINGS_MAX);
        let (reloads, reload_requests) = mpsc::channel(1);
        let (config_text, shown_config) = watch::channel(Arc::from(loaded.text.as_str()));
        let (alertmanagers, told_alertmanagers) =
            watch::channel(wiring::alertmanagers(&loaded.config));
        let (evaluation_interval, steps) = watch::channel(loaded.config.global.evaluation_interval);
        let (retention, shown_retention) = watch::channel(loaded.config.storage.retention);
        let (ready, is_ready) = watch::channel(false);

        let endpoints = wiring::endpoints(&loaded.config);
        let (notifier, reports) = Notifier::spawn(endpoints, clock, telemetry.clone());
        let (current, shown_current) = watch::channel(Arc::new(loaded.config.clone()));
        let (noted, entries) = mpsc::channel(plans::ENTRIES_MAX);
        let executor = Executor::spawn(
            plans::planned(&loaded.config, &log, clock.now()),
            plans::done(&log),
            plans::reach(shown_current.clone(), clock),
            noted,
            clock,
            telemetry.clone(),
        );
        for delivery in pending {
            let (hook, id) = (&delivery.hook, &delivery.id);
            if executor.is_planned(&delivery) {
                tracing::warn!(%hook, id, "a rollback was under way before the restart: it goes on");
                executor.send(delivery);
                continue;
            }
            tracing::warn!(%hook, id, "not known to be delivered before the restart: sent again");
            // A rollback's window is short and speaks of a process that was there to use it.
            let decided_at = if hook.is_rollback() { clock.now() } else { delivery.decided_at };
            notifier.send(Delivery { decided_at, ..delivery });
        }
        let notifier: Arc<Post> = Arc::new(Mutex::new(Some(notifier)));
        let (told, delivered) = mpsc::channel(256);
        let news = told.clone();
        let (decisions, batches) = mpsc::channel(BATCHES_MAX);
        let (outbox, questions) = mpsc::channel(16);
        let (standing, shown_standing) = watch::channel(JournalStanding::default());
        let (settled, is_settled) = oneshot::channel();
        let (spending, purses) = Spending::resume(&kept);
        purses.limit(loaded.config.global.probe_budget);
        let desk = Desk {
            batches,
            reports,
            entries,
            questions,
            send: wiring::sending_while_there(&notifier, &executor),
            told,
            settled,
            standing,
            spending,
            telemetry: telemetry.clone(),
        };
        let recorder = tokio::spawn(records::keep(journal, desk));

        let Reload { settings, cadence, sampler } = wiring::driver_settings(&loaded, address);
        let mut engine = Engine::new(settings, &remembered, clock.now());
        let (archive, store) = archive.await.context("cannot use what is stored")??;
        engine.resume(store, clock.now());
        let (alerts, unreadable) = engine.restore(&kept, clock.now());
        if !unreadable.is_empty() {
            tracing::error!(rows = ?unreadable, "state of an earlier run cannot be read: left out");
        }
        if alerts > 0 {
            tracing::info!(alerts, "alerts of the earlier run go on");
        }
        for release in engine.restore_releases(&ticks) {
            tracing::error!(release, "the record of a release cannot be read: it stands still");
        }
        for ended in plans::unheard(&log, &ticks) {
            // It has room for as many as there are releases, and nobody else writes yet.
            let _has_room = news.try_send(Happening::PlanEnded(ended)).is_ok();
        }
        drop(news);
        plans::drilled(&log)
            .into_iter()
            .for_each(|(name, last)| engine.remember_drill(&name, last));
        let (splits, shares) = watch::channel(Arc::new(plans::splits(&engine)));
        if let Some(routes) = &mut routes {
            routes.follow(shares);
        }
        let feeds = Feeds {
            outcomes: finished,
            served,
            health: examined,
            delivered,
            posts: posted,
            orders: ordered,
            answers: answered,
            samples: asked,
            reloads: renewed,
        };
        let (closer, attentions) = watch::channel(Arc::default());
        let hands = Hands {
            records: decisions,
            send: wiring::sending(&notifier, &executor),
            shift: wiring::shifting(&executor),
            questions: asking,
            splits,
            attentions: closer,
            written: archive.batches(),
            snapshot,
            happenings: happenings.clone(),
            telemetry: telemetry.clone(),
        };
        let driver = Driver::spawn(engine, cadence, sampler, feeds, hands, clock);
        let (releases, release_requests) = mpsc::channel(plans::REQUESTS_MAX);
        let answering = plans::answer(
            release_requests,
            shown_current,
            executor.clone(),
            outbox.clone(),
            orders,
            clock,
        );
        tokio::spawn(answering);
        let views = Views {
            releases,
            snapshot: shown,
            samples,
            posts,
            keys: Keys { door: doorkeeper.watch(), tokens: known },
            reload: reloads,
            outbox,
            standing: shown_standing,
            set_aside,
            config: shown_config,
            alertmanagers: told_alertmanagers,
            evaluation_interval: steps,
            table: routes.as_ref().map(|routes| routes.table.subscribe()),
            evidence: routes.as_ref().map(Routes::evidence),
            ready: is_ready,
            telemetry: telemetry.clone(),
            clock,
            flags: Arc::from(flags),
            retention: shown_retention,
        };
        let server = Server::spawn(listener, views)?;
        let heir = routes.as_mut().and_then(|routes| {
            routes.offer(&options.storage);
            routes.watch_heir()
        });
        ready.send_replace(true);
        tracing::info!(%address, targets = loaded.config.targets.len(), "listening");
        warmed.await?;
        let targets = loaded.config.targets.clone();
        let thread = Thread::start("prober").context("the prober's thread cannot be started")?;
        let ends = prober::Ends { outcomes, health, attentions };
        let prober = Prober::spawn(thread, targets, purses, clock, telemetry.clone(), ends);
        prober.plan(loaded.config.calendar.clone());
        prober.watch_reference(loaded.config.global.reference_url.clone());
        prober.watch_models(wiring::catalogs(&loaded.config));
        let estimate = config::estimate(&loaded.config, loaded.series_bound(), 0, clock.now());
        tracing::info!(
            cost_daily = %estimate.cost_daily,
            unpriced = estimate.unpriced(),
            series = estimate.series,
            memory_bytes = estimate.memory_bytes,
            "expected"
        );
        Ok(Self {
            path,
            clock,
            telemetry,
            prober,
            driver,
            notifier,
            executor,
            current,
            server,
            routes,
            heir,
            recorder,
            settled: is_settled,
            shown: watching,
            orders: ordering,
            archive,
            datasources,
            renewals,
            happenings,
            config_text,
            alertmanagers,
            evaluation_interval,
            retention,
            tokens,
            doorkeeper,
            porter,
            ready,
            reload_requests,
            pending: None,
        })
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where the router listens, if there is one.
    pub fn router_address(&self) -> Option<SocketAddr> {
        self.routes.as_ref().map(Routes::address)
    }

    /// Where the releases stand.
    pub fn releases(&self) -> Vec<ReleaseStatus> {
        self.shown.borrow().releases.clone()
    }

    /// Has a release do something; answers what came of it, or why it was refused.
    pub async fn order(&self, order: Order) -> Result<Report, String> {
        plans::ask(&self.orders, order).await
    }

    /// Rehearses a rollback.
    pub async fn drill(&self, rollback: &str) -> Result<RunEnd, Refused> {
        self.executor.drill(rollback).await
    }

    /// What happens from now on.
    pub fn happenings(&self) -> broadcast::Receiver<Happening> {
        self.happenings.subscribe()
    }

    /// Waits until somebody asks for a reload over HTTP, or has taken over. Fails where the service
    /// cannot go on.
    pub async fn wanted(&mut self) -> anyhow::Result<Wanted> {
        let succeeded = async {
            // Without an offer, or once it is gone, nobody can.
            let has_heir = match &mut self.heir {
                Some(heir) => heir.wait_for(|has_heir| *has_heir).await.is_ok(),
                None => false,
            };
            if !has_heir {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            Some(request) = self.reload_requests.recv() => {
                self.pending = Some(request);
                Ok(Wanted::Reload)
            }
            () = succeeded => Ok(Wanted::Succession),
            () = self.driver.ended() => anyhow::bail!("the engine stopped; nothing is judged"),
        }
    }

    /// Reads the configuration again. A mistake anywhere keeps all of the old one.
    pub async fn reload(&mut self) -> anyhow::Result<()> {
        let taken_up = self.take_up().await;
        self.telemetry.reloaded(taken_up.is_ok(), self.clock.now());
        match &taken_up {
            Ok(()) => tracing::info!("configuration reloaded"),
            Err(error) => {
                tracing::error!("configuration not reloaded, the old one holds: {error:#}");
            }
        }
        if let Some(request) = self.pending.take() {
            let answer = taken_up.as_ref().copied().map_err(|error| format!("{error:#}"));
            // Whoever asked may have gone away.
            let _is_heard = request.send(answer).is_ok();
        }
        taken_up
    }

    async fn take_up(&self) -> anyhow::Result<()> {
        let path = self.path.clone().context("the configuration is built in")?;
        let loaded = tokio::task::spawn_blocking(move || load(&path)).await??;
        check_secrets(&loaded)?;
        plans::check_running(&self.shown.borrow().releases, &loaded.config, self.clock.now())?;
        let (door, routers) = (self.doorkeeper.read().await?, self.porter.read().await?);
        loaded.remarks().for_each(|remark| tracing::warn!("{remark}"));
        // Only one thing can fail from here on, so it comes first: a reload is taken up whole.
        let renewal = self.renewals.reserve().await.context("the service is stopping")?;
        for family in
            self.telemetry.configure_at(&loaded.config.targets, loaded.config.global.detail)
        {
            tracing::warn!(family, "a threshold changed its buckets: it starts from nothing");
        }
        wiring::configure_actions(&self.telemetry, &Names::of(&loaded));
        self.telemetry.compare(wiring::comparisons(&loaded.config));
        let endpoints = wiring::endpoints(&loaded.config);
        if let Some(notifier) = &mut *self.notifier.lock().unwrap_or_else(PoisonError::into_inner) {
            notifier.reload(endpoints);
        }
        self.current.send_replace(Arc::new(loaded.config.clone()));
        self.executor.reload(plans::planned(&loaded.config, &[], self.clock.now())).await;
        self.datasources.reload(wiring::datasources(&loaded.config));
        self.archive.keep(wiring::store_settings(&loaded.config), rules::watches(&loaded.rules));
        renewal.send(wiring::driver_settings(&loaded, self.address()));
        self.prober.plan(loaded.config.calendar.clone());
        self.prober.limit(loaded.config.global.probe_budget);
        if let Some(routes) = &self.routes {
            routes.reload(&loaded.config);
        }
        self.prober.reload(loaded.config.targets.clone());
        self.prober.watch_reference(loaded.config.global.reference_url.clone());
        self.prober.watch_models(wiring::catalogs(&loaded.config));
        self.config_text.send_replace(Arc::from(loaded.text.as_str()));
        self.alertmanagers.send_replace(wiring::alertmanagers(&loaded.config));
        self.evaluation_interval.send_replace(loaded.config.global.evaluation_interval);
        self.retention.send_replace(loaded.config.storage.retention);
        self.tokens.send_replace(Arc::from(loaded.config.tokens.as_slice()));
        self.doorkeeper.replace(door);
        self.porter.replace(routers);
        Ok(())
    }

    /// Stops in the order that ARCHITECTURE.md gives, within ten seconds. Where an heir carries the
    /// requests by now, answers under way have as long as their routes allow.
    pub async fn stop(self) {
        let deadline = Instant::now() + STOP_DEADLINE;
        let left = |reserve: Duration| {
            deadline.saturating_duration_since(Instant::now()).saturating_sub(reserve)
        };
        let second = STOP_DEADLINE / 10;
        self.ready.send_replace(false);
        let mut leaving = None;
        let draining = async {
            match self.routes {
                Some(routes) if routes.has_heir() => {
                    tracing::info!("another bellwether has taken over");
                    leaving = Some(tokio::spawn(routes.leave()));
                }
                Some(routes) => routes.stop(5 * second).await,
                None => {}
            }
        };
        tokio::join!(self.prober.stop(2 * second), draining);
        self.driver.stop(second).await;
        // What the driver decided last is on its way to the disk, and then to the notifier.
        if tokio::time::timeout(left(3 * second).min(second), self.settled).await.is_err() {
            tracing::warn!("the journal is behind; what it holds is sent after the next start");
        }
        // What is under way goes on at the next start, by the same keys.
        self.executor.stop().await;
        let notifier = self.notifier.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(notifier) = notifier {
            notifier.stop(left(2 * second)).await;
        }
        self.server.stop(left(second).min(second)).await;
        self.doorkeeper.stop();
        self.porter.stop();
        self.archive.close(left(second / 2).min(second)).await;
        let mut recorder = self.recorder;
        if tokio::time::timeout(left(Duration::ZERO), &mut recorder).await.is_err() {
            tracing::error!("the journal was not closed in time");
            recorder.abort();
        }
        if let Some(leaving) = leaving {
            // A panic there is logged by whoever catches it; here is nothing left to do.
            let _has_ended = leaving.await.is_ok();
        }
    }
}

/// Every secret must be there at the start: better now than at the first probe.
fn check_secrets(loaded: &Loaded) -> anyhow::Result<()> {
    let missing: Vec<String> = config::secrets(&loaded.config)
        .into_iter()
        .filter_map(|(what, source)| {
            upstream::read_secret(&source).err().map(|error| format!("{what}: {error}"))
        })
        .collect();
    anyhow::ensure!(missing.is_empty(), "{}", missing.join("\n"));
    Ok(())
}
