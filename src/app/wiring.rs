//! From the configuration to the settings of each part.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::load::Loaded;
use super::service::{Configuration, Options};
use crate::archive::{Archive, ArchiveError};
use crate::clock::Clock;
use crate::config::{self, Config, Global};
use crate::driver::{Cadence, Reload, Sending, Shifting};
use crate::engine;
use crate::executor::Executor;
use crate::notice::{Endpoint, Guard, endpoints as all_endpoints};
use crate::notifier::Notifier;
use crate::probe::Comparison;
use crate::provider::{Provider, SharedProvider};
use crate::release::{Datasource, Does};
use crate::rules;
use crate::series;
use crate::slo;
use crate::telemetry::{Sampler, Telemetry, metrics};
use crate::threads::Threads;

/// How many series there may be at least, where nobody said so.
const SERIES_LEAST: usize = 50_000;

/// A group that takes this long is evaluated beside the loop: as long as an early look may wait anyway.
const BESIDE: Duration = Duration::from_millis(50);

/// The flags as `/api/v1/status/flags` tells them.
pub(super) fn flags(options: &Options) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.display().to_string();
    let threads = match options.router_threads {
        Threads::Own(count) => Some(count.to_string()),
        Threads::Callers => None,
    };
    let file = match &options.configuration {
        Configuration::File(file) => Some(path(file)),
        Configuration::Built(_) => None,
    };
    let given = [
        ("storage.path", Some(path(&options.storage))),
        ("web.listen-address", Some(options.listen.clone())),
        ("config.file", file),
        ("router.listen-address", options.router.clone()),
        ("router.threads", threads.filter(|_| options.router.is_some())),
        ("web.config.file", options.web.as_deref().map(path)),
        ("router.config.file", options.router_web.as_deref().map(path)),
    ];
    given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Names that become label values.
pub(super) struct Names {
    hooks: Vec<String>,
    rollbacks: Vec<String>,
    groups: Vec<String>,
}

impl Names {
    pub(super) fn of(loaded: &Loaded) -> Self {
        let groups = loaded.rules.iter().flat_map(|file| &file.groups);
        Self {
            hooks: endpoints(&loaded.config)
                .iter()
                .map(|endpoint| endpoint.hook.to_string())
                .collect(),
            rollbacks: loaded.config.rollbacks.iter().map(|entry| entry.name.clone()).collect(),
            groups: groups.map(|group| engine::group_key(&group.file, &group.name)).collect(),
        }
    }
}

impl Loaded {
    /// What the engine works by, for a service that listens at an address.
    pub fn engine_settings(&self, address: SocketAddr) -> engine::Settings {
        engine_settings(self, address)
    }

    /// What is odd about it, and no mistake.
    pub fn remarks(&self) -> impl Iterator<Item = String> {
        self.warnings.iter().map(ToString::to_string).chain(self.series_shortage())
    }

    /// What is to be said where fewer series may be stored than there will be.
    fn series_shortage(&self) -> Option<String> {
        let (given, bound) = (self.config.storage.series_max?, self.series_bound());
        (given < bound).then(|| {
            format!(
                "storage: `series_max` is {given}, and the configuration leads to as many as {bound} series: \
                 those that come last are not stored, and rules miss them; raise it or leave it out, or \
                 tell less of each target by `global: {{metrics: lean}}`"
            )
        })
    }

    /// At most how many series the configuration leads to.
    pub fn series_bound(&self) -> usize {
        let names = Names::of(self);
        let slos = self.config.slos.iter();
        let recorded: usize = slos.clone().map(slo::recorded_count).sum();
        let budgets = slos.map(|slo| (slo.budget_count(), slo::all(slo.window).len()));
        let slos: usize = budgets.map(|(count, windows)| metrics::slo_series(count, windows)).sum();
        let own = metrics::series_bound(
            (&self.config.targets, self.config.global.detail),
            names.hooks.len(),
            names.rollbacks.len(),
            names.groups.len(),
        );
        let compared = metrics::comparison_series(comparisons(&self.config).len());
        let routes = metrics::router_series(&super::routes::settings(&self.config));
        let asked = super::routes::asked(&self.config);
        let asked = asked.iter().map(|(_, targets)| targets.len()).sum();
        let routes = routes + metrics::spending_series(asked);
        let releases = self.config.releases.iter();
        let releases: usize = releases
            .map(|release| metrics::release_series(release.settings.plan.gates.len()))
            .sum();
        let catalogs = catalogs(&self.config);
        let models = catalogs.iter().map(|(_, models)| models.len()).sum();
        let listed = metrics::catalog_series(catalogs.len(), models);
        own + compared + slos + recorded + routes + releases + listed
    }
}

/// Whose lists of models are asked for, and which models are to be on each.
pub(super) fn catalogs(config: &Config) -> Vec<(SharedProvider, Vec<String>)> {
    let asked = config.providers.iter().filter(|one| one.wire.models_interval.is_some());
    asked.map(|provider| (Arc::clone(provider), watched_models(config, provider))).collect()
}

/// The models of a provider that the configuration names, by their public names.
pub fn watched_models(config: &Config, provider: &Provider) -> Vec<String> {
    let probed = config.targets.iter().filter(|target| target.provider.id == provider.id);
    let mut models: Vec<String> = provider.models.keys().cloned().collect();
    models.extend(probed.map(|target| target.model.clone()));
    models.sort();
    models.dedup();
    models
}

pub(super) fn configure_actions(telemetry: &Telemetry, names: &Names) {
    telemetry.configure_actions(&names.hooks, &names.rollbacks, &names.groups);
}

/// Whose traffic is repriced by whose prices: the sides of each release and rollback whose candidate
/// has a price. Of two by one name the release counts.
pub(super) fn comparisons(config: &Config) -> Vec<Comparison> {
    let releases = config.releases.iter().map(|release| &release.settings.plan);
    let releases = releases.map(|plan| (&plan.name, &plan.stable, &plan.candidate));
    let rollbacks = config.rollbacks.iter();
    let rollbacks = rollbacks.map(|entry| (&entry.name, &entry.stable, &entry.candidate));
    let mut found: Vec<Comparison> = Vec::new();
    for (name, stable, candidates) in releases.chain(rollbacks) {
        let priced = candidates.iter().find_map(|id| {
            let target = config.targets.iter().find(|target| target.id == *id)?;
            target.provider.models.get(&target.model)?.price.is_some().then_some(target)
        });
        let is_new = found.iter().all(|known| known.name != *name);
        if let Some(candidate) = priced.filter(|_| is_new) {
            found.push(Comparison {
                name: name.clone(),
                stable: stable.clone(),
                candidate: candidate.provider.clone(),
                model: candidate.model.clone(),
            });
        }
    }
    found
}

pub(super) fn endpoints(config: &Config) -> Vec<Endpoint> {
    let rollbacks = config.rollbacks.iter().filter_map(|entry| match &entry.does {
        Does::Call(webhook) => Some((entry.name.as_str(), &**webhook)),
        Does::Plan(_) => None,
    });
    let guard = Guard::new(&config.global.allowed_networks);
    all_endpoints(&config.receivers, &config.alertmanagers, &config.heartbeats, rollbacks, &guard)
}

fn instance(global: &Global, address: SocketAddr) -> String {
    global.instance.clone().unwrap_or_else(|| address.to_string())
}

/// What the driver works by, at the start and after a reload.
pub(super) fn driver_settings(loaded: &Loaded, address: SocketAddr) -> Reload {
    let global = &loaded.config.global;
    Reload {
        settings: engine_settings(loaded, address),
        cadence: Cadence {
            scrape: global.sample_interval,
            rollback: global.rollback_sample_interval,
            beside: BESIDE,
        },
        sampler: Sampler::new(&global.job, &instance(global, address)),
    }
}

fn engine_settings(loaded: &Loaded, address: SocketAddr) -> engine::Settings {
    let config = &loaded.config;
    let external_url =
        config.global.external_url.clone().unwrap_or_else(|| format!("http://{address}"));
    engine::Settings {
        targets: config.targets.clone(),
        calendar: config.calendar.clone(),
        rules: loaded.rules.clone(),
        evaluation_interval: config.global.evaluation_interval,
        rule_query_offset: config.global.rule_query_offset,
        external_labels: config.global.external_labels.clone(),
        external_url,
        receivers: config.receivers.clone(),
        route: config.route.clone(),
        alertmanagers: config.alertmanagers.clone(),
        heartbeats: config.heartbeats.clone(),
        rollbacks: config.rollbacks.clone(),
        releases: config.releases.iter().map(|release| release.settings.clone()).collect(),
        slos: config.slos.iter().cloned().map(Arc::new).collect(),
        store: store_settings(config),
        series_room: series_room(loaded),
    }
}

/// Where alerts are posted to, as the API shows it.
pub(super) fn alertmanagers(config: &Config) -> Arc<[String]> {
    let path = "/api/v2/alerts";
    config.alertmanagers.iter().map(|alertmanager| alertmanager.url.clone() + path).collect()
}

/// How many series there may be beside those that are there, where nobody bounded them all: what the
/// configuration leads to and half as many again, for what rules record. A bound is for what nobody
/// foresaw, and series of targets that are gone stay for the retention.
fn series_room(loaded: &Loaded) -> Option<usize> {
    let is_free = loaded.config.storage.series_max.is_none();
    is_free.then(|| SERIES_LEAST.max(loaded.series_bound().saturating_mul(3) / 2))
}

/// How much is kept.
pub(super) fn store_settings(config: &Config) -> series::Settings {
    series::Settings {
        retention: config.storage.retention,
        size_max_bytes: config.storage.size_max,
        // Where nobody said so, there is room for what is foreseen beside what is there.
        series_max: config.storage.series_max.unwrap_or(usize::MAX),
    }
}

/// Reads the samples of earlier runs, which blocks a while.
pub(super) fn archive(
    loaded: &Loaded,
    storage: PathBuf,
    clock: Clock,
    telemetry: Telemetry,
) -> JoinHandle<Result<(Archive, series::Store), ArchiveError>> {
    let settings = store_settings(&loaded.config);
    let (watches, now) = (rules::watches(&loaded.rules), clock.now());
    tokio::task::spawn_blocking(move || Archive::open(&storage, settings, watches, now, telemetry))
}

/// The notifier until it stops. Locked to hand over a delivery or new endpoints, never across a wait:
/// nobody must wait for a task of ours to pass a delivery on.
pub(super) type Post = Mutex<Option<Notifier>>;

/// Hands deliveries to the notifier, and those that have a plan to the executor.
pub(super) fn sending(post: &Arc<Post>, executor: &Executor) -> Sending {
    let (post, executor) = (Arc::clone(post), executor.clone());
    Box::new(move |delivery| pass_on(&post, &executor, delivery))
}

/// The datasources of the releases, by their names.
pub(super) fn datasources(config: &Config) -> BTreeMap<String, Datasource> {
    let named = |release: &config::Release| {
        let settings = &release.settings;
        Some((settings.plan.name.clone(), settings.datasource.clone()?))
    };
    config.releases.iter().filter_map(named).collect()
}

/// Hands shares to the executor.
pub(super) fn shifting(executor: &Executor) -> Shifting {
    let executor = executor.clone();
    Box::new(move |shift| executor.shift(shift))
}

/// The same for one who must not keep the notifier alive.
pub(super) fn sending_while_there(post: &Arc<Post>, executor: &Executor) -> Sending {
    let (post, executor): (Weak<Post>, _) = (Arc::downgrade(post), executor.clone());
    Box::new(move |delivery| {
        if let Some(post) = post.upgrade() {
            pass_on(&post, &executor, delivery);
        }
    })
}

/// What comes after the stop stays in the outbox, where the next start finds it.
fn pass_on(post: &Post, executor: &Executor, delivery: crate::notice::Delivery) {
    if executor.is_planned(&delivery) {
        return executor.send(delivery);
    }
    if let Some(notifier) = &*post.lock().unwrap_or_else(PoisonError::into_inner) {
        notifier.send(delivery);
    }
}
