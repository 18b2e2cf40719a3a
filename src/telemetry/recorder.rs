//! The handle through which everything is recorded.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prometheus::proto::MetricFamily;

use super::catalog::{Catalog, ModelReading};
use super::evidence::Evidence;
use super::exposition;
use super::mirrors::Mirrors;
use super::probes::Probes;
use super::process::Process;
use super::registry::Registry;
use super::releases::{ReleaseReading, Releases};
use super::routes::Routes;
#[cfg(test)]
use super::sampling::Sampler;
use super::slos::{SloReading, Slos};
use crate::model::{JournalStanding, Money, Timestamp};
use crate::probe::{Detail, Outcome, SkipReason, Target};

/// How a delivery ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryResult {
    /// A 2xx came.
    Delivered,
    /// It was given up.
    Failed,
    /// The queue was full.
    Dropped,
}

impl DeliveryResult {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Failed, Self::Dropped];

    /// The value of the label `result`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

/// How a rollback's plan ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanEnded<'a> {
    /// The rollback's name.
    pub rollback: &'a str,
    /// Whether it was a drill.
    pub is_drill: bool,
    /// Whether all of it went well.
    pub is_good: bool,
    /// When it ended.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

/// A handle to all instruments; cloning is cheap.
#[derive(Clone, Debug)]
pub struct Telemetry {
    registry: Registry,
    // A lock and not a message: recording must not wait for a loop, and only a reload writes.
    probes: Arc<RwLock<Probes>>,
    pub(super) process: Arc<Process>,
    releases: Arc<Releases>,
    slos: Arc<Slos>,
    pub(super) routes: Arc<Routes>,
    pub(super) mirrors: Arc<Mirrors>,
    pub(super) evidence: Arc<Evidence>,
    catalog: Arc<Catalog>,
    /// How long all of it was as text.
    text_bytes: Arc<AtomicUsize>,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self::new()
    }
}

impl Telemetry {
    /// Registers every family.
    pub fn new() -> Self {
        let registry = Registry::default();
        let probes = Arc::new(RwLock::new(Probes::new(&registry)));
        let process = Arc::new(Process::new(&registry));
        let slos = Arc::new(Slos::new(&registry));
        let releases = Arc::new(Releases::new(&registry));
        let routes = Arc::new(Routes::new(&registry));
        let mirrors = Arc::new(Mirrors::new(&registry));
        let evidence = Arc::new(Evidence::new(&registry));
        let catalog = Arc::new(Catalog::new(&registry));
        Self {
            registry,
            probes,
            process,
            releases,
            slos,
            routes,
            mirrors,
            evidence,
            catalog,
            text_bytes: Arc::default(),
        }
    }

    /// Takes up a set of targets (see ARCHITECTURE.md on reload), of which everything is told. Returns
    /// the families that start from nothing because a threshold changed their buckets.
    pub fn configure<T: Borrow<Target>>(&self, targets: &[T]) -> Vec<&'static str> {
        self.configure_at(targets, Detail::Full)
    }

    /// The same at a level of detail.
    pub fn configure_at(
        &self,
        targets: &[impl Borrow<Target>],
        detail: Detail,
    ) -> Vec<&'static str> {
        let targets: Vec<&Target> = targets.iter().map(Borrow::borrow).collect();
        self.process.spending.configure(&targets);
        self.write().configure(&targets, detail)
    }

    /// Takes up the names of hooks, rollbacks and rule groups: new ones start at zero, the series of
    /// those that are gone vanish.
    pub fn configure_actions(&self, hooks: &[String], rollbacks: &[String], groups: &[String]) {
        self.process.configure(hooks, rollbacks, groups);
    }

    /// Visits the families whose names are wanted, sorted by name, each as it is when its turn comes.
    pub fn each_family(
        &self,
        is_wanted: &dyn Fn(&str) -> bool,
        visit: &mut dyn FnMut(&MetricFamily),
    ) {
        self.process.refresh();
        for part in self.registry.parts(is_wanted) {
            // A reload takes series out and puts others in; nobody sees the time in between.
            let no_reload = (self.read(), self.routes.hold());
            let families = self.registry.read(&part);
            drop(no_reload);
            families.iter().filter(|family| is_wanted(family.name())).for_each(&mut *visit);
        }
    }

    /// Everything there is, as text.
    pub fn exposition(&self) -> String {
        // To grow takes room twice.
        let before = self.text_bytes.load(Ordering::Relaxed);
        let mut text = String::with_capacity(before + before / 16);
        self.each_family(&|_| true, &mut |family| exposition::write(&mut text, family));
        self.text_bytes.store(text.len(), Ordering::Relaxed);
        text
    }

    /// What the first series of a family says.
    #[cfg(test)]
    pub fn first_of(&self, name: &str) -> Option<f64> {
        let samples = Sampler::new("", "").sample(self, &|family| family == name);
        samples.first().map(|(_, value)| *value)
    }

    fn read(&self) -> RwLockReadGuard<'_, Probes> {
        self.probes.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Probes> {
        self.probes.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// A target's probes came due.
    pub fn probe_due(&self, target: &Target, count: u64) {
        self.read().due(target, count);
    }

    /// A target is asked at this cadence from now on.
    pub fn probe_interval(&self, target: &Target, interval: Duration) {
        self.read().asked_every(target, interval);
    }

    /// A probe was sent, this long after it was due.
    pub fn probe_sent(&self, target: &Target, lateness: Duration) {
        self.read().sent(target, lateness);
    }

    /// Whether a target's due probes are skipped because a limit is used up.
    pub fn probe_slowed(&self, target: &Target, is_slowed: bool) {
        self.read().slowed(target, is_slowed);
    }

    /// How many of a target's probes are under way.
    pub fn probe_in_flight(&self, target: &Target, count: u32) {
        self.read().in_flight(target, count);
    }

    /// A result stands.
    pub fn probe_finished(&self, target: &Target, outcome: &Outcome) {
        self.read().finished(target, outcome);
        self.process.spending.probed(target, outcome);
    }

    /// These providers are asked for their lists of models, and no others.
    pub fn models_watched(&self, providers: &[&str]) {
        self.catalog.configure(providers);
    }

    /// A provider's list of models came: how the configured ones stand, and how many of all appeared
    /// and vanished.
    pub fn models_listed(&self, provider: &str, models: &[ModelReading], changes: (u64, u64)) {
        self.catalog.listed(provider, models, changes);
    }

    /// A provider's list of models did not come.
    pub fn models_unknown(&self, provider: &str) {
        self.catalog.unknown(provider);
    }

    /// Whether a target's provider is in planned maintenance.
    pub fn probe_maintenance(&self, target: &Target, is_planned: bool) {
        self.read().maintenance(target, is_planned);
    }

    /// A due probe was not fired.
    pub fn probe_skipped(&self, target: &Target, reason: SkipReason) {
        self.read().skipped(target, reason);
    }

    /// Due times passed without anybody there to fire.
    pub fn probe_missed(&self, target: &Target, count: u64) {
        self.read().missed(target, count);
    }

    /// The self-canary looked: whether bellwether is well, and how late its timer was.
    pub fn canary(&self, is_green: bool, lateness: Duration) {
        self.process.canary(is_green, lateness);
    }

    /// Whether our own network is suspect.
    pub fn vantage(&self, is_suspect: bool) {
        self.process.vantage_suspect.set(f64::from(u8::from(is_suspect)));
    }

    /// What the embedded store holds and has refused so far.
    pub fn store(&self, series: usize, bytes: usize, refused: u64) {
        self.process.store(series, bytes, refused);
    }

    /// How many bytes the samples take on disk.
    pub fn archive_size(&self, bytes: u64) {
        self.process.archive_bytes.set(bytes as f64);
    }

    /// Samples could not be written to disk and wait.
    pub fn archive_failed(&self) {
        self.process.archive_failures.inc();
    }

    /// Samples will never be on disk.
    pub fn archive_lost(&self, samples: usize) {
        self.process.archive_lost.inc_by(samples as u64);
    }

    /// The start found files of samples torn or damaged.
    pub fn archive_damaged(&self, files: usize) {
        self.process.archive_damaged.inc_by(files as u64);
    }

    /// A rule group was evaluated.
    pub fn rules_evaluated(&self, group: &str, failures: u64, missed: u64, took: Duration) {
        self.process.rules_evaluated(group, failures, missed, took);
    }

    /// Counts that a release came to a state, or to its next stage.
    pub fn release_moved(&self, release: &str, state: &str) {
        self.releases.moved(release, state);
    }

    /// Shows where the releases stand.
    pub fn releases(&self, readings: &[ReleaseReading]) {
        self.releases.set(readings);
    }

    /// What the probes of a release spent today, where it pays for them itself.
    pub fn release_probe_budget_spent(&self, release: &str, spent: Money) {
        self.releases.probes_spent(release, spent);
    }

    /// Where the objectives stand; those that are not among them vanish.
    pub fn slos(&self, readings: &[SloReading]) {
        self.slos.set(readings);
    }

    /// A plan ended just now.
    pub fn plan_ended(&self, ended: &PlanEnded<'_>) {
        self.process.plan_took(ended.is_drill, ended.took);
        self.process.plan_stands(ended);
    }

    /// A plan ended so in an earlier process, and it stands.
    pub fn plan_stands(&self, ended: &PlanEnded<'_>) {
        self.process.plan_stands(ended);
    }

    /// A rollback was decided on; `result` is one of [`super::metrics`]' closed list.
    pub fn rollback(&self, rollback: &str, result: &str) {
        self.process.rollbacks.with_label_values(&[rollback, result]).inc();
    }

    /// Whether the last reload succeeded, and when the configuration was loaded last, in seconds.
    pub fn last_reload(&self) -> (bool, f64) {
        self.process.last_reload()
    }

    /// A configuration was loaded, or refused.
    pub fn reloaded(&self, is_successful: bool, at: Timestamp) {
        self.process.reloaded(is_successful, at);
    }

    /// One attempt at a delivery ended; `None` is a transport failure.
    pub fn delivery_attempt(&self, hook: &str, status: Option<u16>) {
        let class = match status {
            None => "error",
            Some(200..=299) => "2xx",
            Some(300..=399) => "3xx",
            Some(429) => "429",
            Some(400..=499) => "4xx",
            Some(_) => "5xx",
        };
        self.process.attempts.with_label_values(&[hook, class]).inc();
    }

    /// A delivery ended, this long after it was decided.
    pub fn delivery_done(&self, hook: &str, result: DeliveryResult, took: Duration) {
        self.process.deliveries.with_label_values(&[hook, result.as_str()]).inc();
        if result == DeliveryResult::Delivered {
            self.process.delivery_duration.with_label_values(&[hook]).observe(took.as_secs_f64());
        }
    }

    /// Templates of a notice could not be filled in.
    pub fn templates_failed(&self, hook: &str, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.process.template_errors.with_label_values(&[hook]).inc_by(count);
    }

    /// Of how many groups nobody is told at this time.
    pub fn groups_muted(&self, count: usize) {
        self.process.groups_muted.set(count as f64);
    }

    /// How many notices wait, and for how long the oldest has, if any waits.
    pub fn delivery_queue(&self, hook: &str, depth: usize, oldest: Option<Duration>) {
        self.process.queue(hook, depth, oldest);
    }

    /// Whether a receiver failed so often that it is only probed.
    pub fn delivery_circuit(&self, hook: &str, is_open: bool) {
        self.process.circuit.with_label_values(&[hook]).set(f64::from(u8::from(is_open)));
    }

    /// What the journal holds and how it does.
    pub fn journal(&self, standing: &JournalStanding) {
        self.process.outbox_pending.set(standing.pending as f64);
        self.process.outbox_dead.set(standing.dead as f64);
        self.process.journal_unwritten.set(standing.unwritten as f64);
        self.process.journal_failed(standing.failures);
    }

    /// The start found the journal damaged.
    pub fn journal_damaged(&self) {
        self.process.journal_damaged.inc();
    }

    /// Name, kind and help of every family that there is or can be, those of the process among them.
    pub fn metadata(&self) -> BTreeMap<String, (&'static str, String)> {
        let known = super::metrics::ALL
            .iter()
            .map(|family| (family.name.to_owned(), (family.kind.as_str(), family.help.to_owned())));
        let mut all: BTreeMap<_, _> = known.collect();
        let is_known: BTreeSet<&str> =
            super::metrics::ALL.iter().map(|family| family.name).collect();
        self.each_family(&|name| !is_known.contains(name), &mut |family| {
            let about = (exposition::kind(family), family.help().to_owned());
            all.insert(family.name().to_owned(), about);
        });
        all
    }
}
