//! The router's part of the wiring: its settings, its table, and where its evidence goes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::takeover;
use super::web::Doorkeeper;
use crate::clock::Clock;
use crate::config::Config;
use crate::downstream::{Claim, Door, Offer};
use crate::driver::Splits;
use crate::model::{RouteId, TargetId};
use crate::probe::Target;
use crate::router::{Ends, Leaving, Router, stored};
use crate::routing::{Served, Settings, Share, Split, Table};
use crate::server::Evidence;
use crate::telemetry::{Purpose, Telemetry};
use crate::threads::Threads;

/// What a few thousand requests a second bring while the engine evaluates a slow group.
const SERVED_MAX: usize = 8_192;
/// As tokio's own listeners have it.
const BACKLOG: u32 = 1_024;
/// How long after the longest answer that a route allows an heir's predecessor is gone.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What the router works by.
pub(super) fn settings(config: &Config) -> Settings {
    let targets = config.targets.iter().map(|target| (target.id.clone(), Arc::clone(target)));
    Settings {
        routes: config.routes.clone(),
        targets: targets.collect::<BTreeMap<_, _>>(),
        admission: config.admission.clone(),
    }
}

/// The targets that the router may ask, by what for: for clients, and for copies that nobody waits for.
pub(super) fn asked(config: &Config) -> [(Purpose, Vec<Arc<Target>>); 2] {
    let (mut live, mut shadow) = (BTreeSet::new(), BTreeSet::new());
    for route in &config.routes {
        live.extend(&route.stable);
        let releases = config.releases.iter().map(|release| &release.settings);
        let its = releases.filter(|one| one.route.as_deref() == Some(route.id.as_str()));
        let candidates: Vec<_> = its.flat_map(|one| &one.plan.candidate).collect();
        live.extend(&candidates);
        match route.mirror.as_ref().map(|mirror| &mirror.to) {
            Some(Some(to)) => shadow.extend([to]),
            Some(None) => shadow.extend(candidates),
            None => {}
        }
    }
    let named = |ids: BTreeSet<&TargetId>| {
        config.targets.iter().filter(|target| ids.contains(&target.id)).cloned().collect()
    };
    [(Purpose::Live, named(live)), (Purpose::Shadow, named(shadow))]
}

/// What is asked through the router is counted from zero.
fn expect(asked: &[(Purpose, Vec<Arc<Target>>)], telemetry: &Telemetry) {
    asked.iter().for_each(|(purpose, targets)| telemetry.expect_spending(targets, *purpose));
}

/// Whether another process may listen on the same address at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sharing {
    /// No: two of them would each obey a table of their own.
    Alone,
    /// Yes, so that the next one may start before this one stops.
    Shared,
}

/// A listener that was bound before anything else was started.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    settings: Settings,
    asked: [(Purpose, Vec<Arc<Target>>); 2],
    door: watch::Receiver<Arc<Door>>,
    claim: Option<Claim>,
}

impl Bound {
    fn new(
        listener: TcpListener,
        config: &Config,
        settings: Settings,
        door: watch::Receiver<Arc<Door>>,
        claim: Option<Claim>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        anyhow::ensure!(
            may_listen(address, &settings, &door.borrow()),
            "the router would spend your keys for whoever reaches `{address}`: list clients' keys in \
             `router: auth:`, demand certificates by `--router.config.file` \
             (`client_auth_type: RequireAndVerifyClientCert`), or write `router: {{auth: none}}`"
        );
        Ok(Self { listener, settings, asked: asked(config), door, claim })
    }
}

/// The socket of the one before, and by which configuration it is served from now on.
pub(super) async fn inherit(
    storage: &Path,
    listen: Option<&str>,
    config: &Config,
    doorkeeper: &Doorkeeper,
) -> anyhow::Result<Option<Bound>> {
    let settings = settings(config);
    let Some(listen) = listen.filter(|_| !settings.routes.is_empty()) else { return Ok(None) };
    let Some((listener, claim)) = takeover::claim(storage, listen).await? else { return Ok(None) };
    Bound::new(listener, config, settings, doorkeeper.watch(), Some(claim)).map(Some)
}

/// Binds the router's address, if one is given and the configuration lets it be used.
pub(super) async fn bind(
    listen: Option<&str>,
    config: &Config,
    doorkeeper: &Doorkeeper,
    sharing: Sharing,
) -> anyhow::Result<Option<Bound>> {
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
    let listener = open(listen, sharing)
        .await
        .with_context(|| format!("the router cannot listen on `{listen}`"))?;
    Bound::new(listener, config, settings, doorkeeper.watch(), None).map(Some)
}

async fn open(listen: &str, sharing: Sharing) -> std::io::Result<TcpListener> {
    if sharing == Sharing::Alone {
        return TcpListener::bind(listen).await;
    }
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in tokio::net::lookup_host(listen).await? {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.set_reuseaddr(true)?;
        socket.set_reuseport(true)?;
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn may_listen(address: SocketAddr, settings: &Settings, door: &Door) -> bool {
    address.ip().to_canonical().is_loopback()
        || settings.admission.may_face_others()
        || door.demands_certificates()
}

/// Passes each new door on to the router, unless it would let in whoever comes.
async fn watch_door(
    address: SocketAddr,
    settings: watch::Receiver<Arc<Settings>>,
    mut doors: watch::Receiver<Arc<Door>>,
    taken: Arc<watch::Sender<Arc<Door>>>,
) {
    while doors.changed().await.is_ok() {
        let door = Arc::clone(&doors.borrow_and_update());
        if may_listen(address, &settings.borrow(), &door) {
            taken.send_replace(door);
        } else {
            tracing::error!(
                "the router's configuration file demands no certificates any more, and the router can be reached from elsewhere: the old one holds"
            );
        }
    }
}

/// The router while it runs, and the table that it obeys.
#[derive(Debug)]
pub(super) struct Routes {
    router: Router,
    pub(super) table: watch::Sender<Arc<Table>>,
    settings: watch::Sender<Arc<Settings>>,
    telemetry: Telemetry,
    served: mpsc::Sender<Served>,
    follower: Option<JoinHandle<()>>,
    door: Arc<watch::Sender<Arc<Door>>>,
    door_watcher: JoinHandle<()>,
    socket: OwnedFd,
    offer: Option<Offer>,
}

impl Routes {
    /// Starts with the table that was stored last, as far as it still fits; a table that cannot be
    /// read is reported, and all is on stable. An heir obeys what is stored until [`Routes::store`].
    pub(super) async fn start(
        bound: Bound,
        threads: Threads,
        storage: &Path,
        clock: Clock,
        telemetry: Telemetry,
    ) -> anyhow::Result<(Self, mpsc::Receiver<Served>)> {
        let Bound { listener, settings, asked, door: doors, claim } = bound;
        expect(&asked, &telemetry);
        let directory = storage.to_owned();
        let found = tokio::task::spawn_blocking(move || stored(&directory)).await?;
        let first = match found {
            // An heir has no table of its own yet.
            Ok(Some(stored)) if claim.is_some() => Table::followed(&settings, &stored),
            Ok(Some(stored)) => Table::resumed(&settings, &stored),
            Ok(None) => Table::all_on_stable(&settings),
            Err(error) => {
                tracing::error!("{:#}: all routes are on stable", anyhow::Error::new(error));
                Table::all_on_stable(&settings)
            }
        };
        let (table, watched) = watch::channel(Arc::new(first));
        let (served, results) = mpsc::channel(SERVED_MAX);
        let own = telemetry.clone();
        let (door, taken) = watch::channel(Arc::clone(&doors.borrow()));
        let told = served.clone();
        let ends = Ends { door: taken, table: watched, served, clock, telemetry };
        let routes = settings.routes.len();
        let socket = listener.as_fd().try_clone_to_owned()?;
        let router = Router::spawn(listener, settings.clone(), ends, threads)
            .context("the router's threads cannot be started")?;
        tracing::info!(address = %router.address(), routes, "routing");
        let settings = Arc::new(settings);
        let follower = match claim {
            None => None,
            Some(claim) => {
                claim.take().await.context("the other bellwether did not wait for us")?;
                Some(takeover::obey_stored(storage, Arc::clone(&settings), table.clone()))
            }
        };
        let (settings, door) = (watch::Sender::new(settings), Arc::new(door));
        let watching = watch_door(router.address(), settings.subscribe(), doors, Arc::clone(&door));
        let door_watcher = tokio::spawn(watching);
        let offer = None;
        let (telemetry, served) = (own, told);
        let routes = Self {
            router,
            table,
            settings,
            telemetry,
            served,
            follower,
            door,
            door_watcher,
            socket,
            offer,
        };
        Ok((routes, results))
    }

    /// Obeys and stores its own table from now on: the storage is ours.
    pub(super) fn store(&mut self, storage: PathBuf) {
        if let Some(obeying) = self.follower.take() {
            obeying.abort();
            let settings = Arc::clone(&self.settings.borrow());
            self.table.send_modify(|table| *table = Arc::new(Table::resumed(&settings, table)));
        }
        self.router.store(storage);
    }

    /// Offers the socket to the next version. Without an offer it can start only after this one.
    pub(super) fn offer(&mut self, storage: &Path) {
        let offered = std::fs::create_dir_all(storage)
            .and_then(|()| self.socket.try_clone())
            .and_then(|socket| Offer::new(storage, socket));
        match offered {
            Ok(offer) => self.offer = Some(offer),
            Err(error) => {
                tracing::warn!(%error, "another bellwether cannot take over: its socket is not offered");
            }
        }
    }

    /// Whether an heir serves already; never changes where none can.
    pub(super) fn watch_heir(&self) -> Option<watch::Receiver<bool>> {
        self.offer.as_ref().map(Offer::watch)
    }

    /// Whether an heir serves already.
    pub(super) fn has_heir(&self) -> bool {
        self.watch_heir().is_some_and(|heir| *heir.borrow())
    }

    /// Where the router listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.router.address()
    }

    /// Where other routers tell what they carried.
    pub(super) fn evidence(&self) -> Evidence {
        Evidence { served: self.served.clone(), table: self.table.subscribe() }
    }

    /// Obeys what releases say from now on. Until then the stored table holds.
    pub(super) fn follow(&mut self, mut splits: watch::Receiver<Arc<Splits>>) {
        let (table, settings) = (self.table.clone(), self.settings.subscribe());
        self.follower = Some(tokio::spawn(async move {
            loop {
                let said = Arc::clone(&splits.borrow_and_update());
                table.send_if_modified(|table| {
                    let next = table.next(&settings.borrow(), &shares(&said));
                    let is_news = !next.routes().eq(table.routes());
                    if is_news {
                        *table = Arc::new(next);
                    }
                    is_news
                });
                if splits.changed().await.is_err() {
                    return;
                }
            }
        }));
    }

    /// What the router works by from now on.
    pub(super) fn watch_settings(&self) -> watch::Receiver<Arc<Settings>> {
        self.settings.subscribe()
    }

    /// Takes up another configuration.
    pub(super) fn reload(&self, config: &Config) {
        let settings = settings(config);
        if !may_listen(self.router.address(), &settings, &self.door.borrow()) {
            tracing::error!(
                "`router: auth` was removed, and the router can be reached from elsewhere: its part of the configuration is not taken up"
            );
            return;
        }
        expect(&asked(config), &self.telemetry);
        self.router.reload(settings.clone());
        self.settings.send_replace(Arc::new(settings.clone()));
        self.table.send_modify(|table| *table = Arc::new(Table::resumed(&settings, table)));
    }

    /// Takes no new request and lets answers under way finish.
    pub(super) async fn stop(self, deadline: Duration) {
        self.router.stop(Leaving::Queue, deadline).await;
        self.door_watcher.abort();
        self.follower.iter().for_each(JoinHandle::abort);
    }

    /// The same where an heir serves: nothing presses, so answers have all the time that their route
    /// gives them.
    pub(super) async fn leave(self) {
        let totals = self.settings.borrow().routes.iter().map(|route| route.timeouts.total).max();
        let patience = totals.unwrap_or_default() + LAST_WORDS;
        self.router.stop(Leaving::Heir, patience).await;
        self.door_watcher.abort();
        self.follower.iter().for_each(JoinHandle::abort);
    }
}

/// What releases say, as the router reads it.
fn shares(splits: &Splits) -> BTreeMap<RouteId, Split> {
    let each = splits.values().map(|split| {
        let share = Share::from_percent(split.share).unwrap_or(Share::NONE);
        let (candidate, salt) = (split.candidate.clone(), split.salt.clone());
        (RouteId::new(&split.route), Split { candidate, share, salt })
    });
    each.collect()
}
