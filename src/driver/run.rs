//! The loop.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::hands::{Feeds, Hands};
use crate::clock::Clock;
use crate::engine::{Action, Engine, Event, Happening, Settings};
use crate::model::Timestamp;
use crate::probe::{Health, Outcome};
use crate::series::Store;
use crate::telemetry::Sampler;

/// How often the registry is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// All of it.
    pub scrape: Duration,
    /// What rollback rules select.
    pub rollback: Duration,
}

/// At most 20 early evaluations a second.
const EARLY_INTERVAL: Duration = Duration::from_millis(50);
/// How often readers get a new state at least.
const SNAPSHOT_INTERVAL: Duration = Duration::from_secs(1);

/// A running loop.
#[derive(Debug)]
pub struct Driver {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Driver {
    /// Starts the loop.
    pub fn spawn(
        engine: Engine,
        cadence: Cadence,
        sampler: Sampler,
        feeds: Feeds,
        hands: Hands,
        clock: Clock,
    ) -> Self {
        let (stop, stopped) = oneshot::channel();
        let now = clock.now();
        let selected = engine.selected();
        let state = Loop {
            engine,
            cadence,
            sampler,
            hands,
            clock,
            selected,
            scrape_due: now,
            sample_due: now,
            snapshot_due: now,
            early_due: None,
            early_before: None,
        };
        Self { stop, task: tokio::spawn(state.run(feeds, stopped)) }
    }

    /// Takes in what is left in the channels and stops.
    pub async fn stop(self, deadline: Duration) {
        // A loop that is over already has nobody to tell.
        let _was_running = self.stop.send(()).is_ok();
        let mut task = self.task;
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// The next thing to act on.
enum Next {
    Outcome(Outcome),
    Health(Health),
    Delivered(Happening),
    Samples(oneshot::Sender<Arc<Store>>),
    Settings(Settings),
    Timer,
    Stop,
}

struct Loop {
    engine: Engine,
    cadence: Cadence,
    sampler: Sampler,
    hands: Hands,
    clock: Clock,
    selected: Option<std::collections::BTreeSet<String>>,
    scrape_due: Timestamp,
    sample_due: Timestamp,
    snapshot_due: Timestamp,
    early_due: Option<Instant>,
    early_before: Option<Instant>,
}

impl Loop {
    async fn run(mut self, mut feeds: Feeds, mut stopped: oneshot::Receiver<()>) {
        loop {
            match self.next(&mut feeds, &mut stopped).await {
                Next::Outcome(outcome) => self.finished(outcome).await,
                Next::Health(health) => self.handle(Event::Health(health)).await,
                Next::Delivered(happening) => self.hands.tell(happening),
                Next::Samples(answer) => {
                    // Whoever asked may have gone away.
                    let _is_wanted = answer.send(Arc::new(self.engine.store().clone())).is_ok();
                }
                Next::Settings(settings) => self.reload(settings).await,
                Next::Timer => {}
                Next::Stop => break,
            }
            self.keep_time().await;
        }
        while let Ok(outcome) = feeds.outcomes.try_recv() {
            self.handle(Event::Finished(Box::new(outcome))).await;
        }
        let now = self.clock.now();
        self.hands.publish(self.engine.snapshot(now));
    }

    /// Waits; decides nothing. A stop comes before everything, outcomes before questions.
    async fn next(&self, feeds: &mut Feeds, stopped: &mut oneshot::Receiver<()>) -> Next {
        let deadline = self.deadline();
        tokio::select! {
            biased;
            _ = stopped => Next::Stop,
            Ok(()) = feeds.health.changed() => Next::Health(*feeds.health.borrow_and_update()),
            Some(outcome) = feeds.outcomes.recv() => Next::Outcome(outcome),
            () = tokio::time::sleep_until(deadline) => Next::Timer,
            Some(happening) = feeds.delivered.recv() => Next::Delivered(happening),
            Some(settings) = feeds.settings.recv() => Next::Settings(settings),
            Some(answer) = feeds.samples.recv() => Next::Samples(answer),
        }
    }

    fn deadline(&self) -> Instant {
        let due = [self.scrape_due, self.sample_due, self.snapshot_due];
        let next = due.into_iter().chain(self.engine.next_due()).min();
        let next = self.clock.instant(next.unwrap_or(self.snapshot_due));
        self.early_due.map_or(next, |early| early.min(next))
    }

    async fn handle(&mut self, event: Event) {
        for action in self.engine.handle(event, self.clock.now()) {
            self.hands.carry_out(action).await;
        }
    }

    async fn finished(&mut self, outcome: Outcome) {
        self.handle(Event::Finished(Box::new(outcome))).await;
        let now = Instant::now();
        let earliest = self.early_before.map_or(now, |before| before + EARLY_INTERVAL);
        self.early_due.get_or_insert(earliest.max(now));
    }

    /// Does what is due by now: samples, early look, groups, notices, snapshot. Sampling comes
    /// first, so that a group evaluated in the same turn sees this turn's values.
    async fn keep_time(&mut self) {
        let now = self.clock.now();
        if self.scrape_due <= now {
            self.scrape(now).await;
        } else if self.sample_due <= now {
            let samples = self.gather();
            self.sample_due = after(self.sample_due, self.cadence.rollback, now);
            self.handle(Event::Sampled(samples)).await;
        }
        if self.early_due.is_some_and(|due| due <= Instant::now()) {
            self.early_due = None;
            self.early_before = Some(Instant::now());
            let samples = self.gather();
            self.handle(Event::Live(samples)).await;
        }
        self.evaluate(now).await;
        self.handle(Event::Tick).await;
        if self.snapshot_due <= now {
            self.snapshot_due = after(self.snapshot_due, SNAPSHOT_INTERVAL, now);
            self.hands.publish(self.engine.snapshot(now));
            let stats = self.engine.store().stats();
            self.hands.telemetry.store(stats.series, stats.bytes, self.engine.refused());
        }
    }

    async fn evaluate(&mut self, now: Timestamp) {
        let due = self.engine.due(now);
        for position in &due {
            let started = Instant::now();
            let actions = self.engine.handle(Event::Evaluate(*position), self.clock.now());
            let failures = actions.iter().filter(|action| is_rule_failure(action)).count() as u64;
            for action in actions {
                self.hands.carry_out(action).await;
            }
            let took = started.elapsed();
            self.engine.took(*position, took);
            if let Some((name, missed)) = self.engine.group(*position) {
                self.hands.telemetry.rules_evaluated(name, failures, missed, took);
            }
        }
        if !due.is_empty() {
            self.hands.publish(self.engine.snapshot(now));
        }
    }

    /// The series that rollback rules select, as they are now.
    fn gather(&mut self) -> Vec<(crate::model::Labels, f64)> {
        let families = self.hands.telemetry.gather();
        let selected = &self.selected;
        let is_wanted = |family: &str| match selected {
            None => true,
            Some(names) => names.iter().any(|name| belongs(name, family)),
        };
        self.sampler.sample(&families, &is_wanted)
    }

    async fn scrape(&mut self, now: Timestamp) {
        let started = Instant::now();
        let families = self.hands.telemetry.gather();
        let mut samples = self.sampler.sample(&families, &|_| true);
        let count = samples.len() as f64;
        for (name, value) in [
            ("up", 1.0),
            ("scrape_duration_seconds", started.elapsed().as_secs_f64()),
            ("scrape_samples_scraped", count),
            ("scrape_samples_post_metric_relabeling", count),
        ] {
            samples.push((self.sampler.synthetic(name), value));
        }
        self.scrape_due = after(self.scrape_due, self.cadence.scrape, now);
        self.sample_due = after(self.sample_due.max(now), self.cadence.rollback, now);
        self.handle(Event::Scraped(samples)).await;
    }

    async fn reload(&mut self, settings: Settings) {
        self.handle(Event::Reload(Box::new(settings))).await;
        self.selected = self.engine.selected();
        let now = self.clock.now();
        self.hands.publish(self.engine.snapshot(now));
    }
}

fn is_rule_failure(action: &Action) -> bool {
    matches!(action, Action::Tell(Happening::RuleFailed { .. }))
}

/// The next time of a cadence after `now`; times that passed are not caught up with.
fn after(due: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    let interval_ms = interval.as_millis().max(1);
    let passed = now.since(due).as_millis() / interval_ms + 1;
    let ahead = Duration::from_millis(u64::try_from(interval_ms * passed).unwrap_or(u64::MAX));
    due + ahead
}

/// Whether a series of this name is one of the family's.
fn belongs(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|suffix| matches!(suffix, "" | "_bucket" | "_sum" | "_count"))
}
