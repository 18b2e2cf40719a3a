//! All hooks, each with its task.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::queue::{Message, Queue, depth_max, send_report};
use super::report::{Ending, Report};
use crate::clock::Clock;
use crate::notice::{Delivery, Endpoint, HookId};
use crate::telemetry::{DeliveryResult, Telemetry};

/// A reader that is this far behind reads no more.
const REPORTS_MAX: usize = 4096;
/// How long the queue of a hook that a reload removed may still work.
const LEAVE: Duration = Duration::from_secs(30);

/// The handle to all queues.
#[derive(Debug)]
pub struct Notifier {
    clock: Clock,
    telemetry: Telemetry,
    reports: mpsc::Sender<Report>,
    hooks: BTreeMap<HookId, Hook>,
    leaving: JoinSet<()>,
}

#[derive(Debug)]
struct Hook {
    endpoint: Endpoint,
    inbox: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Notifier {
    /// Starts a queue for each endpoint. What becomes of deliveries comes out of the receiver.
    pub fn spawn(
        endpoints: Vec<Endpoint>,
        clock: Clock,
        telemetry: Telemetry,
    ) -> (Self, mpsc::Receiver<Report>) {
        let (reports, ended) = mpsc::channel(REPORTS_MAX);
        let (hooks, leaving) = (BTreeMap::new(), JoinSet::new());
        let mut notifier = Self { clock, telemetry, reports, hooks, leaving };
        notifier.reload(endpoints);
        (notifier, ended)
    }

    /// Takes a delivery on and returns at once.
    pub fn send(&self, delivery: Delivery) {
        let Some(hook) = self.hooks.get(&delivery.hook) else {
            self.drop_delivery(&delivery);
            return;
        };
        // The queue never waits for anything while its inbox fills, so a full one means that more
        // came at once than the queue itself would hold.
        if let Err(error) = hook.inbox.try_send(Message::Send(delivery)) {
            let (mpsc::error::TrySendError::Full(message)
            | mpsc::error::TrySendError::Closed(message)) = error;
            if let Message::Send(delivery) = message {
                self.drop_delivery(&delivery);
            }
        }
    }

    /// Goes over to other endpoints. A hook that stays keeps its queue, by its new settings if they
    /// changed; one that is gone has half a minute to finish.
    pub fn reload(&mut self, endpoints: Vec<Endpoint>) {
        let mut old = std::mem::take(&mut self.hooks);
        for endpoint in endpoints {
            let hook = match old.remove(&endpoint.hook) {
                Some(hook) => self.changed(hook, endpoint),
                None => self.spawned(endpoint),
            };
            self.hooks.insert(hook.endpoint.hook.clone(), hook);
        }
        let deadline = Instant::now() + LEAVE;
        while self.leaving.try_join_next().is_some() {}
        for hook in old.into_values() {
            self.leaving.spawn(finish(hook, deadline));
        }
    }

    /// Stops: what waits is delivered until the deadline, then reported as unfinished.
    pub async fn stop(mut self, within: Duration) {
        let deadline = Instant::now() + within;
        for hook in std::mem::take(&mut self.hooks).into_values() {
            self.leaving.spawn(finish(hook, deadline));
        }
        // A queue ends at its deadline by itself; the rest is for one that could not be told.
        let all = async { while self.leaving.join_next().await.is_some() {} };
        if tokio::time::timeout(within + Duration::from_millis(100), all).await.is_err() {
            tracing::warn!("stopped the notifier before all of its queues ended");
        }
    }

    fn spawned(&self, endpoint: Endpoint) -> Hook {
        let (inbox, messages) = mpsc::channel(depth_max(endpoint.policy));
        let reports = self.reports.clone();
        let queue = Queue::new(endpoint.clone(), self.clock, self.telemetry.clone(), reports);
        Hook { endpoint, inbox, task: tokio::spawn(queue.run(messages)) }
    }

    fn changed(&mut self, mut hook: Hook, endpoint: Endpoint) -> Hook {
        if hook.endpoint == endpoint {
            return hook;
        }
        match hook.inbox.try_send(Message::Change(Box::new(endpoint.clone()))) {
            Ok(()) => {
                hook.endpoint = endpoint;
                hook
            }
            // Its inbox is full this very moment: a new queue takes over and the old one finishes.
            Err(_) => {
                self.leaving.spawn(finish(hook, Instant::now() + LEAVE));
                self.spawned(endpoint)
            }
        }
    }

    fn drop_delivery(&self, delivery: &Delivery) {
        let (hook, id) = (&delivery.hook, &delivery.id);
        tracing::error!(%hook, id, "a delivery was dropped: its hook is gone or its queue full");
        self.telemetry.delivery_done(hook.as_str(), DeliveryResult::Dropped, Duration::ZERO);
        self.telemetry.beat_done(hook.as_str(), false, self.clock.now());
        let report = Report {
            hook: hook.clone(),
            id: id.clone(),
            decided_at: delivery.decided_at,
            at: self.clock.now(),
            attempts: 0,
            ending: Ending::Dropped,
        };
        send_report(&self.reports, report);
    }
}

async fn finish(hook: Hook, deadline: Instant) {
    let told = tokio::time::timeout_at(deadline, hook.inbox.send(Message::Stop(deadline))).await;
    if !matches!(told, Ok(Ok(()))) {
        hook.task.abort();
    }
    if let Err(error) = hook.task.await
        && error.is_panic()
    {
        tracing::error!(hook = %hook.endpoint.hook, "a delivery queue panicked");
    }
}
