//! The loop.
//!
//! A stop comes before everything, then our own health: an early look must not go by evidence that is
//! already known to be in doubt. Among the rest nobody comes first, so that a flood of outcomes keeps
//! nobody else waiting. What is due by time is done after each event, whatever it was.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio::time::Instant;

use super::hands::{Feeds, Hands, Reload};
use super::pace::Pace;
use crate::clock::Clock;
use crate::engine::{Done, Engine, Event, Happening, Job, Order, Post, Ruling};
use crate::model::Timestamp;
use crate::probe::{Health, Outcome};
use crate::release::Question;
use crate::release::gate::Answer;
use crate::release::machine::Report;
use crate::routing::Served;
use crate::series::Store;
use crate::telemetry::{Sampler, Samples};

/// How often the registry is sampled.
#[derive(Clone, Copy, Debug)]
pub struct Cadence {
    /// All of it.
    pub scrape: Duration,
    /// What rollback rules select.
    pub rollback: Duration,
    /// A group whose last evaluation took this long is evaluated beside the loop, which others need.
    pub beside: Duration,
}

/// As many groups are evaluated beside the loop at once.
const BESIDE_MAX: usize = 4;
/// The same for what came of probes: many targets share a turn, and the first that fails waits for
/// nobody.
const OUTCOMES_PAUSE: Duration = Duration::from_millis(2);
/// Probes that are taken in with one turn.
const OUTCOMES_AT_ONCE: usize = 256;
/// From one look at what came of requests to the next: a busy router must not cost a turn each, and
/// for blocks of 15 s it is the same.
const SERVED_PAUSE: Duration = Duration::from_millis(10);
/// Requests that are taken in with one turn, half of what the queue holds: within a pause no router
/// brings as many.
const SERVED_AT_ONCE: usize = 4_096;
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
            beside: JoinSet::new(),
            waiting: VecDeque::new(),
            early_due: None,
            pauses: Pauses { outcomes: Instant::now(), served: Instant::now() },
            pace: Pace::new(Instant::now()),
        };
        Self { stop, task: tokio::spawn(state.run(feeds, stopped)) }
    }

    /// Waits until the loop is over without having been asked to stop. That is a bug, and a service
    /// that probes and judges nothing is worse than none.
    pub async fn ended(&mut self) {
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the loop that owns the engine failed");
        }
    }

    /// Takes in what is left in the channels, looks at it once more, and stops.
    pub async fn stop(self, deadline: Duration) {
        // A loop that is over already has nobody to tell.
        let _was_running = self.stop.send(()).is_ok();
        let mut task = self.task;
        if task.is_finished() {
            return;
        }
        if tokio::time::timeout(deadline, &mut task).await.is_err() {
            task.abort();
            // Whoever it handed deliveries to must be free of it.
            let _was_cancelled = task.await.is_err();
        }
    }
}

/// The next thing to act on.
enum Next {
    Outcomes(Vec<Outcome>),
    Served(Vec<Served>),
    Health(Health),
    Delivered(Happening),
    Post(Post, oneshot::Sender<Vec<Ruling>>),
    Order(Order, oneshot::Sender<Result<Report, String>>),
    Answered(Box<(Question, Vec<Answer>)>),
    Samples(oneshot::Sender<Arc<Store>>),
    Reload(Box<Reload>),
    Evaluated(Box<Done>, Duration),
    Timer,
    Stop,
}

struct Loop {
    engine: Engine,
    cadence: Cadence,
    sampler: Sampler,
    hands: Hands,
    clock: Clock,
    selected: Option<BTreeSet<String>>,
    scrape_due: Timestamp,
    sample_due: Timestamp,
    snapshot_due: Timestamp,
    /// Evaluations beside the loop; a group is in one at most.
    beside: JoinSet<(Done, Duration)>,
    /// Those that wait for a thread; one for each group at most.
    waiting: VecDeque<Job>,
    early_due: Option<Instant>,
    /// When what came of requests is looked at again.
    pauses: Pauses,
    pace: Pace,
}

impl Loop {
    async fn run(mut self, mut feeds: Feeds, mut stopped: oneshot::Receiver<()>) {
        loop {
            let deadline = self.deadline();
            let pauses = self.pauses;
            match next(&mut feeds, &mut stopped, &mut self.beside, pauses, deadline).await {
                Next::Evaluated(done, took) => self.evaluated(done, took).await,
                Next::Outcomes(outcomes) => {
                    self.pauses.outcomes = Instant::now() + OUTCOMES_PAUSE;
                    for outcome in outcomes {
                        self.finished(outcome).await;
                    }
                }
                Next::Served(served) => {
                    self.pauses.served = Instant::now() + SERVED_PAUSE;
                    self.handle(Event::Served(served), self.clock.now()).await;
                }
                Next::Health(health) => self.handle(Event::Health(health), self.clock.now()).await,
                Next::Delivered(Happening::PlanEnded(ended)) => {
                    self.handle(Event::PlanEnded(Box::new(ended.clone())), self.clock.now()).await;
                    self.hands.tell(Happening::PlanEnded(ended));
                }
                Next::Delivered(happening) => self.hands.tell(happening),
                Next::Order(order, answer) => self.obey(order, answer).await,
                Next::Post(post, answer) => self.rule_on(post, answer).await,
                Next::Answered(answered) => {
                    self.handle(Event::Answered(answered), self.clock.now()).await;
                }
                Next::Samples(answer) => {
                    // Whoever asked may have gone away.
                    let _is_wanted = answer.send(Arc::new(self.engine.store().clone())).is_ok();
                }
                Next::Reload(reload) => self.reload(*reload).await,
                Next::Timer => {}
                Next::Stop => break,
            }
            // It may have changed while the event was waited for, and because of it.
            if feeds.health.has_changed().unwrap_or(false) {
                let health = *feeds.health.borrow_and_update();
                self.handle(Event::Health(health), self.clock.now()).await;
            }
            self.keep_time().await;
        }
        while let Ok(outcome) = feeds.outcomes.try_recv() {
            self.finished(outcome).await;
        }
        let served = std::iter::from_fn(|| feeds.served.try_recv().ok()).collect();
        self.handle(Event::Served(served), self.clock.now()).await;
        // An early look leaves out what is beside.
        self.end_beside().await;
        // What the last results say is not left to a process that may never start.
        self.early_due = self.early_due.map(|_| Instant::now());
        self.keep_time().await;
        self.end_beside().await;
        let now = self.clock.now();
        self.hands.keep(self.engine.take_written());
        self.hands.publish(self.engine.snapshot(now));
    }

    fn deadline(&self) -> Instant {
        let due = [self.scrape_due, self.snapshot_due];
        let sample_due = self.is_watching().then_some(self.sample_due);
        let due = due.into_iter().chain(sample_due).chain(self.engine.next_due()).min();
        let next = self.clock.instant(due.unwrap_or(self.snapshot_due));
        self.early_due.map_or(next, |early| early.min(next))
    }

    async fn handle(&mut self, event: Event, now: Timestamp) {
        let actions = self.engine.handle(event, now);
        self.hands.carry_out(actions, self.engine.take_rows()).await;
    }

    /// Takes in what others say fires, and answers what is decided once that is carried out.
    async fn rule_on(&mut self, post: Post, answer: oneshot::Sender<Vec<Ruling>>) {
        let now = self.clock.now();
        let alerts = post.alerts.clone();
        self.handle(Event::Inbound(Box::new(post)), now).await;
        // Whoever asked may have gone away.
        let _is_wanted = answer.send(self.engine.rulings(&alerts, now)).is_ok();
    }

    /// Has a release do what an operator says, and answers what came of it.
    async fn obey(&mut self, order: Order, answer: oneshot::Sender<Result<Report, String>>) {
        let (now, release) = (self.clock.now(), order.release.clone());
        self.handle(Event::Ordered(Box::new(order)), now).await;
        self.hands.publish(self.engine.snapshot(now));
        // Whoever asked may have gone away.
        let _is_wanted = answer.send(self.engine.answer_to(&release)).is_ok();
    }

    async fn finished(&mut self, outcome: Outcome) {
        self.handle(Event::Finished(Box::new(outcome)), self.clock.now()).await;
        if self.is_watching() {
            self.early_due.get_or_insert(self.pace.free().max(Instant::now()));
        }
    }

    /// Whether any rule can cause a rollback.
    fn is_watching(&self) -> bool {
        self.selected.as_ref().is_none_or(|names| !names.is_empty())
    }

    /// Does what is due by now: samples, groups, early look, notices, snapshot. All of it at one time
    /// and from one reading of the instruments. Groups come before the early look, so that no slot of
    /// an earlier time is evaluated after it.
    async fn keep_time(&mut self) {
        let now = self.clock.now();
        let is_early = self.early_due.is_some_and(|due| due <= Instant::now());
        let is_scrape = self.scrape_due <= now;
        let is_sample = self.is_watching() && self.sample_due <= now;
        if is_scrape || is_sample {
            self.hands.show_maintenance(self.engine.targets(), &self.engine.planned(now));
        }
        let reading = self.read(is_scrape, is_early || (is_sample && !is_scrape));
        let (gathering, mut live) = (reading.took, reading.selected);
        if is_sample {
            self.sample_due = after(self.sample_due, self.cadence.rollback, now);
        }
        if is_scrape {
            self.scrape_due = after(self.scrape_due, self.cadence.scrape, now);
            let samples = self.scraped(reading.all, gathering);
            self.handle(Event::Scraped(samples), now).await;
        } else if is_sample {
            let samples = if is_early { live.clone() } else { std::mem::take(&mut live) };
            self.handle(Event::Sampled(samples), now).await;
        }
        self.evaluate(now).await;
        if is_early {
            self.look_early(live, gathering, now).await;
        }
        self.handle(Event::Tick, now).await;
        self.hands.keep(self.engine.take_written());
        if self.snapshot_due <= now {
            self.snapshot_due = after(self.snapshot_due, SNAPSHOT_INTERVAL, now);
            self.hands.publish(self.engine.snapshot(now));
            let stats = self.engine.store().stats();
            self.hands.telemetry.store(stats.series, stats.bytes, self.engine.refused());
        }
    }

    async fn look_early(&mut self, live: Samples, gathering: Duration, now: Timestamp) {
        self.early_due = None;
        let started = Instant::now();
        let actions = self.engine.handle(Event::Live(live), now);
        self.pace.took(started, gathering + started.elapsed());
        self.hands.carry_out(actions, self.engine.take_rows()).await;
    }

    async fn evaluate(&mut self, now: Timestamp) {
        let due = self.engine.due(now);
        for position in &due {
            let is_long = self.engine.last_took(*position) >= self.cadence.beside;
            if is_long {
                self.waiting.extend(self.engine.set_aside(*position, now));
                continue;
            }
            let started = Instant::now();
            let actions = self.engine.handle(Event::Evaluate(*position), now);
            self.note(*position, started.elapsed());
            self.hands.carry_out(actions, self.engine.take_rows()).await;
        }
        self.begin_beside();
        if !due.is_empty() {
            self.hands.show_slos(self.engine.slos());
            self.hands.publish(self.engine.snapshot(now));
        }
    }

    /// Begins what waits for a thread, as far as there is one.
    fn begin_beside(&mut self) {
        while self.beside.len() < BESIDE_MAX
            && let Some(job) = self.waiting.pop_front()
        {
            self.beside.spawn_blocking(move || {
                let started = Instant::now();
                let done = job.run();
                (done, started.elapsed())
            });
        }
    }

    /// Waits for all that is beside.
    async fn end_beside(&mut self) {
        while let Some(ended) = self.beside.join_next().await {
            let (done, took) = done_or_panic(ended);
            self.evaluated(done, took).await;
        }
    }

    async fn evaluated(&mut self, done: Box<Done>, took: Duration) {
        self.begin_beside();
        // After a reload there may be another group in its place.
        if !self.engine.awaits(&done) {
            return;
        }
        let (position, now) = (done.position(), self.clock.now());
        let actions = self.engine.handle(Event::Evaluated(done), now);
        self.note(position, took);
        self.hands.carry_out(actions, self.engine.take_rows()).await;
        self.hands.show_slos(self.engine.slos());
        self.hands.publish(self.engine.snapshot(now));
    }

    fn note(&mut self, position: usize, took: Duration) {
        self.engine.took(position, took);
        if let Some(done) = self.engine.evaluated(position) {
            let (failures, missed) = (done.failures, done.missed);
            self.hands.telemetry.rules_evaluated(&done.group, failures, missed, took);
        }
    }

    /// Reads our own instruments: all of them, those that rollback rules select, both or none.
    fn read(&mut self, is_all: bool, is_selected: bool) -> Reading {
        let mut reading = Reading::default();
        if !is_all && !is_selected {
            return reading;
        }
        let started = Instant::now();
        let selected = &self.selected;
        let is_live = |family: &str| {
            let names = selected.as_ref();
            is_selected && names.is_none_or(|names| names.iter().any(|name| belongs(name, family)))
        };
        let telemetry = &self.hands.telemetry;
        let is_wanted = |family: &str| is_all || is_live(family);
        self.sampler.sample_each(telemetry, &is_wanted, &mut |family, samples| {
            if is_live(family) {
                reading.selected.extend_from_slice(&samples);
            }
            if is_all {
                reading.all.extend(samples);
            }
        });
        reading.took = started.elapsed();
        reading
    }

    /// Everything, and what a scrape adds by itself.
    fn scraped(&self, mut samples: Samples, took: Duration) -> Samples {
        let count = samples.len() as f64;
        for (name, value) in [
            ("up", 1.0),
            ("scrape_duration_seconds", took.as_secs_f64()),
            ("scrape_samples_scraped", count),
            ("scrape_samples_post_metric_relabeling", count),
        ] {
            samples.push((self.sampler.synthetic(name), value));
        }
        samples
    }

    /// Everything is sampled at once: new series begin now, and what is gone ends now.
    async fn reload(&mut self, reload: Reload) {
        let now = self.clock.now();
        self.handle(Event::Reload(Box::new(reload.settings)), now).await;
        self.cadence = reload.cadence;
        self.sampler = reload.sampler;
        self.selected = self.engine.selected();
        (self.scrape_due, self.sample_due) = (now, now);
        self.hands.show_slos(self.engine.slos());
        self.hands.publish(self.engine.snapshot(now));
    }
}

/// Until when what has come is left where it is.
#[derive(Clone, Copy, Debug)]
struct Pauses {
    outcomes: Instant,
    served: Instant,
}

/// Waits; decides nothing.
async fn next(
    feeds: &mut Feeds,
    stopped: &mut oneshot::Receiver<()>,
    beside: &mut JoinSet<(Done, Duration)>,
    pauses: Pauses,
    deadline: Instant,
) -> Next {
    let Feeds { outcomes, served, health, delivered, posts, orders, answers, samples, reloads } =
        feeds;
    let (mut some, mut ended) = (Vec::new(), Vec::new());
    let rest = async {
        // A channel whose other end is gone is left out; the timer always remains.
        tokio::select! {
            // Nobody is woken in a pause, however many probes or requests end in it.
            count = async {
                tokio::time::sleep_until(pauses.outcomes).await;
                outcomes.recv_many(&mut ended, OUTCOMES_AT_ONCE).await
            }, if !outcomes.is_closed() || !outcomes.is_empty() => {
                if count > 0 { Next::Outcomes(std::mem::take(&mut ended)) } else { Next::Timer }
            }
            count = async {
                tokio::time::sleep_until(pauses.served).await;
                served.recv_many(&mut some, SERVED_AT_ONCE).await
            }, if !served.is_closed() || !served.is_empty() => {
                if count > 0 { Next::Served(std::mem::take(&mut some)) } else { Next::Timer }
            }
            () = tokio::time::sleep_until(deadline) => Next::Timer,
            Some(happening) = delivered.recv() => Next::Delivered(happening),
            Some(reload) = reloads.recv() => Next::Reload(Box::new(reload)),
            Some((post, answer)) = posts.recv() => Next::Post(post, answer),
            Some((order, answer)) = orders.recv() => Next::Order(order, answer),
            Some(answered) = answers.recv() => Next::Answered(Box::new(answered)),
            Some(answer) = samples.recv() => Next::Samples(answer),
            Some(ended) = beside.join_next() => {
                let (done, took) = done_or_panic(ended);
                Next::Evaluated(done, took)
            }
        }
    };
    tokio::select! {
        biased;
        _ = stopped => Next::Stop,
        Ok(()) = health.changed() => Next::Health(*health.borrow_and_update()),
        next = rest => next,
    }
}

/// What was done beside the loop. A bug there is one of the loop.
fn done_or_panic(ended: Result<(Done, Duration), JoinError>) -> (Box<Done>, Duration) {
    match ended {
        Ok((done, took)) => (Box::new(done), took),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The next time of a cadence after `now`; times that passed are not caught up with.
fn after(due: Timestamp, interval: Duration, now: Timestamp) -> Timestamp {
    let interval_ms = interval.as_millis().max(1);
    let passed = now.since(due).as_millis() / interval_ms + 1;
    let ahead = Duration::from_millis(u64::try_from(interval_ms * passed).unwrap_or(u64::MAX));
    due + ahead
}

/// What our own instruments said at one time, and how long that took.
#[derive(Debug, Default)]
struct Reading {
    all: Samples,
    selected: Samples,
    took: Duration,
}

/// Whether a series of this name is one of the family's.
fn belongs(name: &str, family: &str) -> bool {
    name.strip_prefix(family)
        .is_some_and(|suffix| matches!(suffix, "" | "_bucket" | "_sum" | "_count"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cadence_catches_up_with_nothing_that_passed() {
        let at = Timestamp::from_millis;
        let second = Duration::from_secs(1);
        for (due, now, expected) in
            [(1000, 1000, 2000), (1000, 1999, 2000), (1000, 2000, 3000), (1000, 99_500, 100_000)]
        {
            assert_eq!(after(at(due), second, at(now)), at(expected), "{due} {now}");
        }
    }

    #[test]
    fn a_histograms_series_belong_to_its_family() {
        for (name, family, expected) in [
            ("x_total", "x_total", true),
            ("x_seconds_bucket", "x_seconds", true),
            ("x_seconds_sum", "x_seconds", true),
            ("x_seconds_count", "x_seconds", true),
            ("x_seconds_bucket", "x", false),
            ("x_secondsy", "x_seconds", false),
        ] {
            assert_eq!(belongs(name, family), expected, "{name} {family}");
        }
    }
}
