//! The task that keeps executions apart, and the loop of one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{AbortHandle, Abortable, BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle as TaskHandle, JoinError, JoinSet};
use tokio::time::Instant;

use super::effects::{Reach, Try};
use crate::clock::Clock;
use crate::model::{TargetId, Timestamp};
use crate::notice::{Delivery, Sending};
use crate::release::{
    Course, LogEntry, Plan, Run, RunAction, RunEnd, RunEvent, RunMode, Shift, TryOutcome,
    share_body,
};
use crate::telemetry::{PlanEnded, Telemetry};

/// Orders that wait; rollbacks are few.
const ORDERS_MAX: usize = 64;
/// Executions of one rollback that wait for the one under way.
const WAITING_MAX: usize = 8;

/// Executions that are known to be over.
const OVER_MAX: usize = 64;
/// After the start, no drill comes by itself for so long.
const SETTLING: Duration = Duration::from_secs(60);

/// A rollback that has a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name.
    pub rollback: String,
    /// Its steps.
    pub plan: Arc<Plan>,
    /// What gives the candidate a share, for releases.
    pub traffic: Option<Arc<Plan>>,
    /// The targets that are asked at the end.
    pub stable: Vec<TargetId>,
    /// The message of a drill.
    pub drill_message: Arc<str>,
    /// How often a drill comes by itself, if at all.
    pub drill_interval: Option<Duration>,
    /// When the last drill ended before this start, if one is on record.
    pub drilled_at: Option<Timestamp>,
}

/// Why a drill does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is none of this name, or it calls a webhook and has no steps.
    #[error("no rollback of this name has `steps`, so there is nothing to rehearse")]
    Unknown,
    /// One is under way.
    #[error("a rollback or a drill of this name is under way; wait for its end")]
    Busy,
    /// It broke off.
    #[error("it broke off, which is a bug of bellwether: see its log")]
    Broken,
    /// The service stops.
    #[error("bellwether is stopping, or too much waits")]
    Stopping,
}

type DrillAnswer = oneshot::Sender<Result<RunEnd, Refused>>;

#[derive(Debug)]
enum Order {
    Carry(Delivery),
    Shift(Shift),
    Drill(String, DrillAnswer),
    Change(Vec<Planned>),
    Stop(oneshot::Sender<()>),
}

/// Carries plans out.
#[derive(Clone, Debug)]
pub struct Executor {
    orders: mpsc::Sender<Order>,
    names: watch::Receiver<BTreeSet<String>>,
}

impl Executor {
    /// Starts it. Steps that earlier processes saw acknowledged are given by the keys of their
    /// executions. What happens goes to `entries`, which is never waited for.
    pub fn spawn(
        planned: Vec<Planned>,
        done: BTreeMap<String, BTreeSet<String>>,
        reach: Reach,
        entries: mpsc::Sender<LogEntry>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> Self {
        let (orders, inbox) = mpsc::channel(ORDERS_MAX);
        let (shown, names) = watch::channel(names_of(&planned));
        let desk = Desk {
            shown,
            planned: by_name(planned),
            done,
            reach,
            entries,
            clock,
            telemetry,
            active: BTreeMap::new(),
            shifts: BTreeMap::new(),
            running: JoinSet::new(),
            drills: BTreeMap::new(),
            over: VecDeque::new(),
        };
        tokio::spawn(desk.run(inbox));
        Self { orders, names }
    }

    /// Whether a delivery is for a rollback that has steps.
    pub fn is_planned(&self, delivery: &Delivery) -> bool {
        delivery.hook.is_rollback() && self.names.borrow().contains(name_of(delivery))
    }

    /// Carries a rollback out, without waiting. What cannot be taken stays in the outbox.
    pub fn send(&self, delivery: Delivery) {
        let id = delivery.id.clone();
        if self.orders.try_send(Order::Carry(delivery)).is_err() {
            tracing::error!(id, "a rollback waits for the next start: too many are under way");
        }
    }

    /// Gives the candidate of a release a share, without waiting. It is asked for again until it is
    /// acknowledged, so what cannot be taken is not lost.
    pub fn shift(&self, shift: Shift) {
        let release = shift.release.clone();
        if self.orders.try_send(Order::Shift(shift)).is_err() {
            tracing::error!(release, "a share is not set: too much is under way");
        }
    }

    /// Runs a drill and waits for its end.
    pub async fn drill(&self, rollback: &str) -> Result<RunEnd, Refused> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Drill(rollback.to_owned(), answer);
        self.orders.try_send(order).map_err(|_| Refused::Stopping)?;
        answered.await.map_err(|_| Refused::Stopping)?
    }

    /// Takes up other plans; what is under way keeps its own.
    pub async fn reload(&self, planned: Vec<Planned>) {
        // One that stopped carries nothing out.
        let _is_there = self.orders.send(Order::Change(planned)).await.is_ok();
    }

    /// Ends what is under way, which the outbox holds for the next start.
    pub async fn stop(&self) {
        let (answer, stopped) = oneshot::channel();
        if self.orders.send(Order::Stop(answer)).await.is_ok() {
            let _is_over = stopped.await.is_ok();
        }
    }
}

fn name_of(delivery: &Delivery) -> &str {
    delivery.hook.as_str().trim_start_matches("rollback/")
}

fn names_of(planned: &[Planned]) -> BTreeSet<String> {
    planned.iter().map(|planned| planned.rollback.clone()).collect()
}

fn by_name(planned: Vec<Planned>) -> BTreeMap<String, Planned> {
    planned.into_iter().map(|planned| (planned.rollback.clone(), planned)).collect()
}

struct Active {
    mode: RunMode,
    id: String,
    key: String,
    task: TaskHandle,
    answer: Option<DrillAnswer>,
    waiting: VecDeque<Delivery>,
}

struct Desk {
    shown: watch::Sender<BTreeSet<String>>,
    planned: BTreeMap<String, Planned>,
    done: BTreeMap<String, BTreeSet<String>>,
    reach: Reach,
    entries: mpsc::Sender<LogEntry>,
    clock: Clock,
    telemetry: Telemetry,
    active: BTreeMap<String, Active>,
    /// Shares that are being set. They are under way beside drills, and end where a rollback begins.
    shifts: BTreeMap<String, (String, TaskHandle)>,
    running: JoinSet<(String, RunMode, RunEnd)>,
    /// When the next drill of each is due.
    drills: BTreeMap<String, Instant>,
    /// The keys of the last executions that were meant, oldest first: one that comes again, as over a
    /// disk that hung, is over already.
    over: VecDeque<String>,
}

impl Desk {
    async fn run(mut self, mut inbox: mpsc::Receiver<Order>) {
        self.plan_drills();
        loop {
            let due = self.drills.values().min().copied();
            tokio::select! {
                biased;
                order = inbox.recv() => match order {
                    Some(Order::Carry(delivery)) => self.carry(delivery),
                    Some(Order::Shift(shift)) => self.shift(&shift),
                    Some(Order::Drill(rollback, answer)) => self.drill(&rollback, Some(answer)),
                    Some(Order::Change(planned)) => {
                        self.shown.send_replace(names_of(&planned));
                        self.planned = by_name(planned);
                        self.plan_drills();
                    }
                    Some(Order::Stop(answer)) => {
                        self.running.shutdown().await;
                        let _is_awaited = answer.send(()).is_ok();
                        return;
                    }
                    None => return,
                },
                Some(ended) = self.running.join_next() => match ended {
                    Ok((_, RunMode::Shift, _)) => self.forget_shifts(),
                    Ok((rollback, mode, end)) => self.ended(&rollback, mode, end),
                    Err(error) => self.broken(&error),
                },
                () = until(due) => self.drill_due(),
            }
        }
    }

    fn carry(&mut self, delivery: Delivery) {
        let name = name_of(&delivery).to_owned();
        let Some(planned) = self.planned.get(&name).cloned() else {
            tracing::error!(rollback = name, "no rollback of this name has steps any more");
            return;
        };
        if delivery.sending == Sending::Rehearsal {
            let steps: Vec<&str> = planned.plan.steps.iter().map(|step| &*step.name).collect();
            tracing::warn!(rollback = name, ?steps, "dry run: these steps would be taken");
            return;
        }
        match self.active.get_mut(&name) {
            Some(active) if active.mode == RunMode::Real => {
                let is_known = active.id == delivery.id
                    || active.waiting.iter().any(|waiting| waiting.id == delivery.id);
                if is_known {
                    return;
                }
                if active.waiting.len() < WAITING_MAX {
                    active.waiting.push_back(delivery);
                } else {
                    let id = delivery.id;
                    tracing::error!(id, "a rollback waits for the next start: too many wait");
                }
                return;
            }
            Some(_) => self.end_drill(&name),
            None => {}
        }
        if let Some((_, task)) = self.shifts.remove(&name) {
            task.abort();
        }
        let (generation, id) = (delivery.decided_at.millis(), delivery.id.clone());
        let run = Run { rollback: name, generation, mode: RunMode::Real, id };
        if self.over.contains(&run.key()) {
            return;
        }
        self.start(&planned, run, delivery.body, None);
    }

    /// Begins to set a share, unless that is under way or its release goes back.
    fn shift(&mut self, shift: &Shift) {
        let name = &shift.release;
        let goes_back = self.active.get(name).is_some_and(|active| active.mode == RunMode::Real);
        let planned = self.planned.get(name);
        let traffic = planned.and_then(|planned| planned.traffic.clone());
        let (Some(planned), Some(traffic), false) = (planned, traffic, goes_back) else {
            tracing::error!(release = name, "a share is not set: its release goes back or is gone");
            return;
        };
        let (generation, mode) = (shift.entered_at.millis(), RunMode::Shift);
        let id = format!("{name}:{}:stage-{}", shift.generation, shift.stage);
        let run = Run { rollback: name.clone(), generation, mode, id };
        let key = run.key();
        if self.shifts.get(name).is_some_and(|(under_way, _)| *under_way == key) {
            return;
        }
        let message = Arc::from(share_body(self.clock.now(), shift));
        let work = self.work(planned.stable.clone(), message, shift.share);
        let plan = Arc::new(traffic.with_share(shift.share));
        let course = Course::new(plan, run, &BTreeSet::new(), self.clock.now());
        let name = name.clone();
        let release = name.clone();
        let task = self.running.spawn(async move { (release, mode, work.execute(course).await) });
        if let Some((_, before)) = self.shifts.insert(name, (key, task)) {
            before.abort();
        }
    }

    fn forget_shifts(&mut self) {
        self.shifts.retain(|_, (_, task)| !task.is_finished());
    }

    fn work(&self, stable: Vec<TargetId>, message: Arc<str>, share: u8) -> Work {
        Work {
            stable,
            message,
            share,
            reach: self.reach.clone(),
            entries: self.entries.clone(),
            clock: self.clock,
            telemetry: self.telemetry.clone(),
        }
    }

    /// A rollback that is meant does not wait for a rehearsal.
    fn end_drill(&mut self, name: &str) {
        let Some(drill) = self.active.remove(name) else { return };
        drill.task.abort();
        if let Some(answer) = drill.answer {
            let _is_awaited = answer.send(Err(Refused::Busy)).is_ok();
        }
    }

    fn drill(&mut self, rollback: &str, answer: Option<DrillAnswer>) {
        let refused = match self.planned.get(rollback).cloned() {
            None => Refused::Unknown,
            Some(_) if self.active.contains_key(rollback) => Refused::Busy,
            Some(planned) => {
                let generation = self.clock.now().millis();
                let id = format!("drill-{generation}");
                let rollback = rollback.to_owned();
                let run = Run { rollback, generation, mode: RunMode::Drill, id };
                let message = Arc::clone(&planned.drill_message);
                self.start(&planned, run, message, answer);
                return;
            }
        };
        match answer {
            Some(answer) => {
                let _is_awaited = answer.send(Err(refused)).is_ok();
            }
            None => tracing::warn!(rollback, error = %refused, "a drill was left out"),
        }
    }

    fn drill_due(&mut self) {
        let now = Instant::now();
        let due = self.drills.iter().filter(|(_, due)| **due <= now);
        let due: Vec<String> = due.map(|(name, _)| name.clone()).collect();
        for name in due {
            let interval = self.planned.get(&name).and_then(|planned| planned.drill_interval);
            match interval {
                Some(interval) => self.drills.insert(name.clone(), now + interval),
                None => self.drills.remove(&name),
            };
            self.drill(&name, None);
        }
    }

    /// A drill comes an interval after the one before, or after the start where there was none; not
    /// within the first minute, when targets may not be known yet.
    fn plan_drills(&mut self) {
        let now = Instant::now();
        let due = self.planned.values().filter_map(|planned| {
            let interval = planned.drill_interval?;
            let due = match planned.drilled_at {
                Some(at) => self.clock.instant(at + interval).max(now + SETTLING),
                None => now + interval,
            };
            let known = self.drills.get(&planned.rollback).copied();
            Some((planned.rollback.clone(), known.map_or(due, |known| known.min(due))))
        });
        self.drills = due.collect();
    }

    fn start(
        &mut self,
        planned: &Planned,
        run: Run,
        message: Arc<str>,
        answer: Option<DrillAnswer>,
    ) {
        let (rollback, mode, id) = (run.rollback.clone(), run.mode, run.id.clone());
        let key = run.key();
        let done = self.done.remove(&key).unwrap_or_default();
        tracing::warn!(rollback, mode = mode.as_str(), run = run.key(), "a plan begins");
        let course = Course::new(Arc::clone(&planned.plan), run, &done, self.clock.now());
        let work = self.work(planned.stable.clone(), message, 0);
        let name = rollback.clone();
        let task = self.running.spawn(async move { (name, mode, work.execute(course).await) });
        let active = Active { mode, id, key, task, answer, waiting: VecDeque::new() };
        self.active.insert(rollback, active);
    }

    fn ended(&mut self, rollback: &str, mode: RunMode, end: RunEnd) {
        // One that was ended for a meant one may have come to its end all the same.
        if self.active.get(rollback).is_none_or(|active| active.mode != mode) {
            return;
        }
        let Some(active) = self.active.remove(rollback) else { return };
        if mode == RunMode::Real {
            self.over.push_back(active.key);
            while self.over.len() > OVER_MAX {
                self.over.pop_front();
            }
        }
        if let Some(answer) = active.answer {
            let _is_awaited = answer.send(Ok(end)).is_ok();
        }
        self.follow(rollback, active.waiting);
    }

    /// One that broke off is a bug of ours. It must not bar the way of those that follow; it is not
    /// verified, and the outbox holds it for the next start.
    fn broken(&mut self, error: &JoinError) {
        let is_it = |(_, active): &(&String, &Active)| active.task.id() == error.id();
        // Not there any more: a drill that was ended for one that is meant.
        self.forget_shifts();
        let Some(rollback) = self.active.iter().find(is_it).map(|(name, _)| name.clone()) else {
            return;
        };
        let Some(active) = self.active.remove(&rollback) else { return };
        let is_drill = active.mode == RunMode::Drill;
        tracing::error!(rollback, run = active.key, %error, "a plan broke off");
        let (at, took) = (self.clock.now(), Duration::ZERO);
        let (is_good, name) = (false, rollback.as_str());
        self.telemetry.plan_stands(&PlanEnded { rollback: name, is_drill, is_good, at, took });
        if let Some(answer) = active.answer {
            let _is_awaited = answer.send(Err(Refused::Broken)).is_ok();
        }
        self.follow(&rollback, active.waiting);
    }

    /// Begins the first of those that waited, for which the others wait now.
    fn follow(&mut self, rollback: &str, mut waiting: VecDeque<Delivery>) {
        if let Some(next) = waiting.pop_front() {
            self.carry(next);
            if let Some(active) = self.active.get_mut(rollback) {
                active.waiting = waiting;
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// What one execution works with.
struct Work {
    stable: Vec<TargetId>,
    message: Arc<str>,
    share: u8,
    reach: Reach,
    entries: mpsc::Sender<LogEntry>,
    clock: Clock,
    telemetry: Telemetry,
}

type Flight = BoxFuture<'static, Option<(usize, u32, TryOutcome)>>;

impl Work {
    async fn execute(self, mut course: Course) -> RunEnd {
        let began = self.clock.now();
        let mut flights: FuturesUnordered<Flight> = FuturesUnordered::new();
        let mut handles: BTreeMap<usize, AbortHandle> = BTreeMap::new();
        let mut event = RunEvent::Tick;
        loop {
            let (next, actions) = course.step(event, self.clock.now());
            course = next;
            for action in actions {
                match action {
                    RunAction::Record(entry) => self.note(entry),
                    RunAction::Try { step, attempt, limit } => {
                        let (flight, handle) = self.try_step(&course, step, attempt, limit);
                        flights.push(flight);
                        handles.insert(step, handle);
                    }
                    RunAction::Abandon { step } => {
                        handles.remove(&step).iter().for_each(AbortHandle::abort);
                    }
                    RunAction::Finish(end) => {
                        let run = course.run();
                        let took = self.clock.now().since(began);
                        let is_drill = match run.mode {
                            RunMode::Real => false,
                            RunMode::Drill => true,
                            RunMode::Shift => return end,
                        };
                        self.telemetry.plan_ended(&PlanEnded {
                            rollback: &run.rollback,
                            is_drill,
                            is_good: end.is_good(),
                            at: self.clock.now(),
                            took,
                        });
                        return end;
                    }
                }
            }
            let due = course.due().map(|due| self.clock.instant(due));
            event = tokio::select! {
                biased;
                Some(ended) = flights.next() => match ended {
                    Some((step, attempt, outcome)) => RunEvent::Tried { step, attempt, outcome },
                    None => RunEvent::Tick,
                },
                () = until(due) => RunEvent::Tick,
            };
        }
    }

    fn try_step(
        &self,
        course: &Course,
        step: usize,
        attempt: u32,
        limit: Duration,
    ) -> (Flight, AbortHandle) {
        let attempted = Try {
            run: course.run().clone(),
            step: course.plan().steps[step].clone(),
            message: Arc::clone(&self.message),
            stable: self.stable.clone(),
            reach: self.reach.clone(),
            limit,
            share: self.share,
        };
        let (handle, registration) = AbortHandle::new_pair();
        let making = Abortable::new(attempted.make(self.clock.now()), registration);
        (making.map(move |ended| Some((step, attempt, ended.ok()?))).boxed(), handle)
    }

    /// Hands an entry on. A journal that is far behind keeps no step from being taken.
    fn note(&self, entry: LogEntry) {
        let (run, what) = (&entry.run, &entry.what);
        tracing::info!(run, ?what, "plan");
        if self.entries.try_send(entry).is_err() {
            tracing::error!("a step is not on record: the journal is too far behind");
        }
    }
}
