//! Watches bellwether's own health and tells everybody.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::loopback::Loopback;
use crate::clock::Clock;
use crate::model::TargetId;
use crate::probe::{Canary, Health, Outcome, Sign, Target, Vantage, is_unreached};
use crate::telemetry::Telemetry;

/// How often the loopback is tried.
const LOOPBACK_PERIOD: Duration = Duration::from_secs(1);

/// The health that all probes share.
#[derive(Debug)]
pub(super) struct Pulse {
    start: Instant,
    clock: Clock,
    telemetry: Telemetry,
    health: watch::Sender<Health>,
    // Probes must know at their end whether they can be believed, without a round trip to a task
    // that may itself be late; held for a few comparisons.
    canary: Mutex<Canary>,
    // Held for a look over one entry a target.
    vantage: Mutex<Vantage>,
}

impl Pulse {
    pub fn new(
        start: Instant,
        clock: Clock,
        telemetry: Telemetry,
        health: watch::Sender<Health>,
    ) -> Self {
        let canary = Mutex::new(Canary::new(start.elapsed()));
        Self { start, clock, telemetry, health, canary, vantage: Mutex::default() }
    }

    /// Looks forever.
    pub async fn watch(self: Arc<Self>) {
        let mut loopback = Loopback::open().await;
        if loopback.is_none() {
            tracing::warn!("no loopback interface: the self-canary watches its timer alone");
        }
        let mut due = Instant::now() + Canary::PERIOD;
        let mut loopback_due = due;
        loop {
            sleep_until(due).await;
            let woken = Instant::now();
            self.look(woken, Sign::Timer(woken - due));
            if let Some(loopback) = &mut loopback
                && woken >= loopback_due
            {
                let sign = loopback.exchange().await;
                self.look(Instant::now(), sign);
                loopback_due = woken + LOOPBACK_PERIOD;
            }
            let (is_green, lateness) = self.publish();
            self.telemetry.canary(is_green, lateness);
            // From now on: a stall is one fault, not as many as it had periods.
            due = Instant::now() + Canary::PERIOD;
        }
    }

    fn look(&self, now: Instant, sign: Sign) {
        let mut canary = self.canary.lock().unwrap_or_else(PoisonError::into_inner);
        canary.look(now - self.start, sign);
    }

    /// Whether all was well since an instant.
    pub fn was_green(&self, since: Instant) -> bool {
        let canary = self.canary.lock().unwrap_or_else(PoisonError::into_inner);
        let since = since.saturating_duration_since(self.start);
        canary.was_green(self.start.elapsed(), since)
    }

    /// Takes in an outcome; returns whether the vantage is suspect with it.
    pub fn hear(&self, target: &Target, host: &str, outcome: &Outcome) -> bool {
        let is_suspect = {
            let mut vantage = self.vantage.lock().unwrap_or_else(PoisonError::into_inner);
            let now = outcome.finished;
            // Whoever said that it will not answer accuses nobody.
            if outcome.is_planned && is_unreached(outcome.error_type) {
                vantage.forget(&target.id);
            } else {
                vantage.hear(now, target, host, outcome.error_type);
            }
            vantage.is_suspect(now)
        };
        self.publish();
        is_suspect
    }

    /// Whether anybody could not be reached lately.
    pub fn has_unreached(&self) -> bool {
        let vantage = self.vantage.lock().unwrap_or_else(PoisonError::into_inner);
        vantage.has_unreached(self.clock.now())
    }

    /// Takes in whether the reference endpoint failed.
    pub fn hear_reference(&self, has_failed: bool) {
        self.vantage.lock().unwrap_or_else(PoisonError::into_inner).hear_reference(has_failed);
        self.publish();
    }

    /// Forgets a target that is gone.
    pub fn forget(&self, target: &TargetId) {
        self.vantage.lock().unwrap_or_else(PoisonError::into_inner).forget(target);
    }

    /// Tells what changed; returns whether all is well and how late the last timer was.
    fn publish(&self) -> (bool, Duration) {
        let now = Instant::now();
        let (is_green, lateness) = {
            let canary = self.canary.lock().unwrap_or_else(PoisonError::into_inner);
            (canary.is_green(now - self.start), canary.lateness())
        };
        let at = self.clock.at(now);
        let is_vantage_suspect =
            self.vantage.lock().unwrap_or_else(PoisonError::into_inner).is_suspect(at);
        self.telemetry.vantage(is_vantage_suspect);
        self.health.send_if_modified(|health| {
            let has_changed =
                health.is_green != is_green || health.is_vantage_suspect != is_vantage_suspect;
            if health.is_green != is_green {
                health.since = at;
            }
            health.is_green = is_green;
            health.is_vantage_suspect = is_vantage_suspect;
            health.lateness = lateness;
            has_changed
        });
        (is_green, lateness)
    }
}
