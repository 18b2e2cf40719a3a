//! One hook's queue and the task that empties it.
//!
//! Deliveries of one order go one after the other, others side by side. A receiver that can't be
//! reached, or that asks to be left alone, is left alone by all of them; one that dislikes one
//! message is not thereby spared the others. One that failed again and again is probed by one
//! delivery at a time (`notice::Circuit`). A full queue drops what has waited longest, since what
//! comes later tells the newer state.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::exchange::{Answer, Caller, rehearse};
use super::report::{Ending, Report};
use crate::clock::Clock;
use crate::notice::{Attempt, Circuit, Delivery, Endpoint, Policy, Retry, Sending, next_attempt};
use crate::telemetry::{DeliveryResult, Telemetry};

/// Attempts of one hook that run side by side.
const IN_FLIGHT_MAX: usize = 4;

/// What a queue is told.
pub(super) enum Message {
    /// Deliver this.
    Send(Delivery),
    /// The hook's settings changed; what waits goes by the new ones.
    Change(Box<Endpoint>),
    /// Finish until then, and end.
    Stop(Instant),
}

/// How many deliveries may wait. An Alertmanager's are soon out of date; rollbacks are few.
pub(super) fn depth_max(policy: Policy) -> usize {
    match policy {
        Policy::Notice => 2000,
        Policy::Rollback | Policy::Once => 64,
    }
}

/// A queue and everything its task needs.
pub(super) struct Queue {
    endpoint: Endpoint,
    clock: Clock,
    telemetry: Telemetry,
    reports: mpsc::Sender<Report>,
    caller: Caller,
    /// Oldest first.
    waiting: VecDeque<Waiting>,
    in_flight: FuturesUnordered<BoxFuture<'static, (u64, Answer)>>,
    paused_until: Instant,
    circuit: Circuit,
    next_ticket: u64,
    deadline: Option<Instant>,
}

struct Waiting {
    ticket: u64,
    delivery: Delivery,
    attempts: u32,
    /// Those that were made while the receiver took other things.
    counted: u32,
    not_before: Instant,
    is_in_flight: bool,
}

impl Queue {
    pub(super) fn new(
        endpoint: Endpoint,
        clock: Clock,
        telemetry: Telemetry,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        Self {
            endpoint,
            clock,
            telemetry,
            reports,
            caller: Caller::default(),
            waiting: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            paused_until: tokio_now(),
            circuit: Circuit::default(),
            next_ticket: 0,
            deadline: None,
        }
    }

    /// Runs until it is told to stop and is empty or out of time, or everybody who could tell it
    /// something is gone.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        self.caller.warm(&self.endpoint);
        loop {
            let wake = self.start_due();
            let wake = [wake, self.deadline].into_iter().flatten().min();
            let is_done = self
                .deadline
                .is_some_and(|deadline| self.waiting.is_empty() || deadline <= tokio_now());
            if is_done {
                break;
            }
            tokio::select! {
                biased;
                message = inbox.recv(), if self.deadline.is_none() => match message {
                    Some(message) => self.take(message),
                    None => self.deadline = Some(tokio_now()),
                },
                Some((ticket, answer)) = self.in_flight.next() => self.settle(ticket, answer),
                () = sleep_until(wake) => {}
            }
        }
        for waiting in std::mem::take(&mut self.waiting) {
            self.report(&waiting, Ending::Unfinished);
        }
        self.gauge();
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Send(delivery) => self.put(delivery),
            Message::Change(endpoint) => {
                self.endpoint = *endpoint;
                self.caller = Caller::default();
                self.caller.warm(&self.endpoint);
                self.paused_until = tokio_now();
                // Another place may be well.
                self.circuit = Circuit::default();
                self.show_circuit();
            }
            Message::Stop(deadline) => self.deadline = Some(deadline),
        }
    }

    fn put(&mut self, delivery: Delivery) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let not_before = tokio_now();
        let (attempts, counted, is_in_flight) = (0, 0, false);
        let waiting = Waiting { ticket, delivery, attempts, counted, not_before, is_in_flight };
        if waiting.delivery.sending == Sending::Rehearsal {
            let now = self.clock.wall();
            let ending = match rehearse(&self.endpoint, &waiting.delivery, now) {
                Ok(request) => Ending::Rehearsed { request },
                Err(why) => Ending::Failed { why, status: None },
            };
            self.report(&waiting, ending);
            return;
        }
        if self.waiting.len() >= depth_max(self.endpoint.policy) {
            let oldest = self.waiting.iter().position(|waiting| !waiting.is_in_flight);
            if let Some(dropped) = oldest.and_then(|oldest| self.waiting.remove(oldest)) {
                self.report(&dropped, Ending::Dropped);
            }
        }
        self.waiting.push_back(waiting);
        self.gauge();
    }

    /// Starts every attempt whose time has come. Returns when the next one's comes.
    fn start_due(&mut self) -> Option<Instant> {
        let in_flight_max = if self.circuit.is_open() { 1 } else { IN_FLIGHT_MAX };
        if self.in_flight.len() >= in_flight_max {
            return None;
        }
        let now = tokio_now();
        let probe = self.probe();
        let mut orders: BTreeSet<&str> = BTreeSet::new();
        let mut next: Option<Instant> = None;
        for waiting in &mut self.waiting {
            if self.in_flight.len() >= in_flight_max {
                return None;
            }
            let is_first = orders.insert(&waiting.delivery.order);
            let is_chosen = probe.is_none_or(|ticket| ticket == waiting.ticket);
            if waiting.is_in_flight || !is_first || !is_chosen {
                continue;
            }
            let due = waiting.not_before.max(self.paused_until);
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            waiting.is_in_flight = true;
            waiting.attempts += 1;
            let ticket = waiting.ticket;
            let attempt = self.caller.attempt(&self.endpoint, &waiting.delivery, self.clock);
            self.in_flight.push(attempt.map(move |answer| (ticket, answer)).boxed());
        }
        next
    }

    /// What probes an open circuit: of the first of each order the one that has rested longest, so
    /// that no single message that a receiver can't digest keeps all others from it.
    fn probe(&self) -> Option<u64> {
        if !self.circuit.is_open() {
            return None;
        }
        let mut orders: BTreeSet<&str> = BTreeSet::new();
        let firsts = self.waiting.iter().filter(|waiting| orders.insert(&waiting.delivery.order));
        firsts.min_by_key(|waiting| waiting.not_before).map(|waiting| waiting.ticket)
    }

    fn settle(&mut self, ticket: u64, answer: Answer) {
        let status = match answer.attempt {
            Attempt::Status { code, .. } | Attempt::Denied { code } => Some(code),
            Attempt::Transport => None,
        };
        self.telemetry.delivery_attempt(self.endpoint.hook.as_str(), status);
        let was_open = self.circuit.is_open();
        self.circuit.note(answer.attempt);
        if self.circuit.is_open() != was_open {
            self.show_circuit();
        }
        let at = self.waiting.iter().position(|waiting| waiting.ticket == ticket);
        let at = at.expect("what is in flight is never removed from the queue");
        let waiting = &mut self.waiting[at];
        waiting.is_in_flight = false;
        waiting.counted += u32::from(!was_open);
        let elapsed = self.clock.now().since(waiting.delivery.decided_at);
        let policy = self.endpoint.policy;
        let drawn = rand::random::<f64>();
        let number = self.circuit.attempt(waiting.counted);
        let retry = next_attempt(policy, number, elapsed, answer.attempt, drawn);
        let ending = match (retry, status) {
            (Retry::After(pause), _) => {
                self.wait(at, pause, &answer);
                return;
            }
            (Retry::Done, status) => Ending::Delivered { status: status.unwrap_or_default() },
            (Retry::GiveUp(reason), status) => {
                Ending::Failed { why: format!("{reason}; {}", answer.why), status }
            }
        };
        if let Some(ended) = self.waiting.remove(at) {
            self.report(&ended, ending);
        }
        self.gauge();
    }

    fn show_circuit(&self) {
        let (hook, is_open) = (&self.endpoint.hook, self.circuit.is_open());
        self.telemetry.delivery_circuit(hook.as_str(), is_open);
        if is_open {
            let waiting = self.waiting.len();
            tracing::warn!(%hook, waiting, "a receiver keeps failing: one delivery probes it");
        } else {
            tracing::info!(%hook, "a receiver is taken for well");
        }
    }

    fn wait(&mut self, at: usize, pause: Duration, answer: &Answer) {
        let until = tokio_now() + pause;
        let waiting = &mut self.waiting[at];
        waiting.not_before = until;
        let concerns_all = match answer.attempt {
            Attempt::Transport => true,
            Attempt::Denied { .. } => false,
            Attempt::Status { retry_after, .. } => retry_after.is_some() || self.circuit.is_open(),
        };
        if concerns_all {
            self.paused_until = self.paused_until.max(until);
        }
        let (hook, id, error) = (&self.endpoint.hook, &waiting.delivery.id, &answer.why);
        if waiting.attempts == 1 {
            tracing::warn!(%hook, id, error, ?pause, "a delivery failed and will be tried again");
        } else {
            let attempts = waiting.attempts;
            tracing::debug!(%hook, id, error, ?pause, attempts, "a delivery failed again");
        }
    }

    fn report(&self, waiting: &Waiting, ending: Ending) {
        let Waiting { delivery, attempts, .. } = waiting;
        let (hook, id, attempts) = (&self.endpoint.hook, &delivery.id, *attempts);
        let at = self.clock.now();
        let took = at.since(delivery.decided_at);
        let result = match &ending {
            Ending::Delivered { .. } => Some(DeliveryResult::Delivered),
            Ending::Failed { .. } | Ending::Unfinished => Some(DeliveryResult::Failed),
            Ending::Dropped => Some(DeliveryResult::Dropped),
            Ending::Rehearsed { .. } => None,
        };
        if let Some(result) = result {
            self.telemetry.delivery_done(hook.as_str(), result, took);
            let is_sent = result == DeliveryResult::Delivered;
            self.telemetry.beat_done(hook.as_str(), is_sent, at);
        }
        match &ending {
            Ending::Delivered { status } => {
                tracing::info!(%hook, id, status, attempts, ?took, "delivered");
            }
            Ending::Failed { why, .. } => {
                tracing::error!(%hook, id, attempts, error = why, "a delivery was given up");
            }
            Ending::Dropped => {
                tracing::error!(%hook, id, "a delivery was dropped: the queue is full")
            }
            Ending::Unfinished => tracing::warn!(%hook, id, attempts, "stopped before a delivery"),
            Ending::Rehearsed { request } => {
                tracing::info!(%hook, id, request, "rehearsed: nothing was sent");
            }
        }
        send_report(
            &self.reports,
            Report {
                hook: hook.clone(),
                id: id.clone(),
                decided_at: delivery.decided_at,
                at,
                attempts,
                ending,
            },
        );
    }

    fn gauge(&self) {
        let now = self.clock.now();
        let oldest = self.waiting.front().map(|waiting| now.since(waiting.delivery.decided_at));
        let hook = self.endpoint.hook.as_str();
        self.telemetry.delivery_queue(hook, self.waiting.len(), oldest);
    }
}

/// Reports without waiting: whoever reads reports may be waiting for us.
pub(super) fn send_report(reports: &mpsc::Sender<Report>, report: Report) {
    if let Err(mpsc::error::TrySendError::Full(report)) = reports.try_send(report) {
        tracing::error!(hook = %report.hook, id = report.id, "a report on a delivery was lost");
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

fn tokio_now() -> Instant {
    Instant::now()
}
