//! Which targets are being probed.
//!
//! On a reload a target that equals its former self is not touched: its cadence, its probes under
//! way, its cold mark and its warm connection go on. One that changed, or is new, starts at its own
//! offset: no probe is fired for the reload's sake. What is under way for a target that changed or
//! went is cancelled and reported so.
//!
//! All of it is on one thread, on which nothing else runs: what a probe measures is not held up by what
//! judges it, and the self-canary looks at the very thread whose stalls would falsify measurements.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::pulse::Pulse;
use super::purses::Purses;
use super::rounds::{House, Rounds, lock};
use crate::clock::Clock;
use crate::model::TargetId;
use crate::probe::{Attentions, Budget, Calendar, Health, Outcome, Tally, Target};
use crate::provider::SharedProvider;
use crate::telemetry::Telemetry;
use crate::threads::Thread;

/// What the prober gives, and what it gets.
#[derive(Debug)]
pub struct Ends {
    /// Takes what came of each probe.
    pub outcomes: mpsc::Sender<Outcome>,
    /// Takes each change of our own health.
    pub health: watch::Sender<Health>,
    /// What is to be watched more closely. No target begins anew for that: one whose cadence changes
    /// is due next at its own place in the new one.
    pub attentions: watch::Receiver<Arc<Attentions>>,
}

/// All probing of this process.
#[derive(Debug)]
pub struct Prober {
    house: Arc<House>,
    thread: Thread,
    watcher: JoinHandle<()>,
    // Changed by `reload`, which does not wait for anything.
    roster: Mutex<Roster>,
    // The same.
    catalogs: Mutex<Vec<Watched>>,
    // The same.
    reference: Mutex<Option<(String, JoinHandle<()>)>>,
}

#[derive(Debug, Default)]
struct Roster {
    running: BTreeMap<TargetId, Running>,
    leaving: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Running {
    target: Arc<Target>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Prober {
    /// Starts to probe on a thread, and spends from these purses.
    pub fn spawn(
        thread: Thread,
        targets: Vec<Arc<Target>>,
        purses: Purses,
        clock: Clock,
        telemetry: Telemetry,
        ends: Ends,
    ) -> Self {
        let Ends { outcomes, health, attentions } = ends;
        let start = Instant::now();
        let pulse = Arc::new(Pulse::new(start, clock, telemetry.clone(), health));
        let watcher = thread.runtime().spawn(Arc::clone(&pulse).watch());
        let calendar = Mutex::default();
        let house =
            House { start, clock, telemetry, pulse, outcomes, calendar, attentions, purses };
        let house = Arc::new(house);
        let (roster, reference) = (Mutex::default(), Mutex::default());
        let catalogs = Mutex::default();
        let prober = Self { house, thread, watcher, roster, catalogs, reference };
        prober.reload(targets);
        prober
    }

    /// Probes these targets from now on, and no others.
    pub fn reload(&self, targets: Vec<Arc<Target>>) {
        let mut roster = self.roster.lock().unwrap_or_else(PoisonError::into_inner);
        roster.leaving.retain(|task| !task.is_finished());
        let mut former = std::mem::take(&mut roster.running);
        for target in targets {
            let id = target.id.clone();
            let running = match former.remove(&id) {
                Some(running) if running.target == target => running,
                Some(changed) => {
                    roster.leaving.push(changed.dismiss());
                    self.start(target)
                }
                None => self.start(target),
            };
            roster.running.insert(id, running);
        }
        for (id, gone) in former {
            roster.leaving.push(gone.dismiss());
            self.house.pulse.forget(&id);
        }
    }

    /// What all targets together may spend from now on.
    pub fn limit(&self, budget: Budget) {
        self.house.purses.limit(budget);
    }

    /// Goes by this calendar of planned maintenance from now on. No target begins anew for it.
    pub fn plan(&self, calendar: Calendar) {
        let mut held = self.house.calendar.lock().unwrap_or_else(PoisonError::into_inner);
        *held = Arc::new(calendar);
    }

    /// Asks this endpoint from now on, while a target cannot be reached, to tell a broken network of
    /// ours from broken providers.
    pub fn watch_reference(&self, url: Option<String>) {
        let mut reference = self.reference.lock().unwrap_or_else(PoisonError::into_inner);
        if reference.as_ref().map(|(url, _)| url) == url.as_ref() {
            return;
        }
        if let Some((_, task)) = reference.take() {
            task.abort();
            self.house.pulse.hear_reference(false);
        }
        *reference = url.map(|url| {
            let asking = super::reference::watch(url.clone(), Arc::clone(&self.house.pulse));
            (url, self.thread.runtime().spawn(asking))
        });
    }

    /// Asks these providers for their lists of models from now on, each with the models that are to
    /// be on it. Whoever is asked already, and for the same, is not asked anew.
    pub fn watch_models(&self, providers: Vec<(SharedProvider, Vec<String>)>) {
        let mut catalogs = self.catalogs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut former = std::mem::take(&mut *catalogs);
        let House { clock, telemetry, .. } = &*self.house;
        let names: Vec<&str> = providers.iter().map(|(provider, _)| provider.id.as_str()).collect();
        telemetry.models_watched(&names);
        for (provider, models) in providers {
            let Some(interval) = provider.wire.models_interval else { continue };
            let same =
                former.iter().position(|one| *one.provider == *provider && one.models == models);
            catalogs.push(match same {
                Some(at) => former.swap_remove(at),
                None => {
                    let asked = (Arc::clone(&provider), models.clone());
                    let (clock, telemetry) = (*clock, telemetry.clone());
                    let asking =
                        super::catalog::watch(asked.0, asked.1, interval, clock, telemetry);
                    let task = self.thread.runtime().spawn(asking);
                    Watched { provider, models, task }
                }
            });
        }
        former.into_iter().for_each(|gone| gone.task.abort());
    }

    /// What became of the due times of all targets there ever were in this process.
    pub fn tallies(&self) -> BTreeMap<TargetId, Tally> {
        let accounts = self.house.purses.accounts().into_iter();
        accounts.map(|(id, account)| (id, lock(&account).tally)).collect()
    }

    /// Cancels and reports what is under way, and waits for that, at most until the deadline.
    pub async fn stop(self, deadline: Duration) {
        let by = Instant::now() + deadline;
        let roster =
            std::mem::take(&mut *self.roster.lock().unwrap_or_else(PoisonError::into_inner));
        let running = roster.running.into_values().map(Running::dismiss);
        let mut tasks: Vec<_> = running.collect();
        tasks.extend(roster.leaving);
        for mut task in tasks {
            if timeout_at(by, &mut task).await.is_err() {
                tracing::warn!("a target's probes did not end in time");
                task.abort();
            }
        }
    }

    fn start(&self, target: Arc<Target>) -> Running {
        let account = self.house.purses.account(&target.id);
        let (stop, stopping) = watch::channel(false);
        let rounds = Rounds::new(Arc::clone(&self.house), Arc::clone(&target), account, stopping);
        Running { target, stop, task: self.thread.runtime().spawn(rounds.keep()) }
    }
}

/// A provider whose list of models is asked for.
#[derive(Debug)]
struct Watched {
    provider: SharedProvider,
    models: Vec<String>,
    task: JoinHandle<()>,
}

/// Targets stop by themselves when nobody can tell them to go on.
impl Drop for Prober {
    fn drop(&mut self) {
        self.watcher.abort();
        self.watch_reference(None);
        let catalogs = self.catalogs.get_mut().unwrap_or_else(PoisonError::into_inner);
        catalogs.drain(..).for_each(|watched| watched.task.abort());
    }
}

impl Running {
    fn dismiss(self) -> JoinHandle<()> {
        self.stop.send_replace(true);
        self.task
    }
}
