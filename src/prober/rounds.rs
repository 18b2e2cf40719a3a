//! The rounds of one target: what is due is fired, skipped or missed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::attempt::attempt;
use super::grading::{Circumstances, booked, excuse};
use super::line::{Line, LineError};
use super::pulse::Pulse;
use super::purses::{Purses, Reserved, paying};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::probe::{
    Attentions, Cadence, Calendar, Due, Ledger, Outcome, Pace, PaceChange, Passed, SkipReason,
    SpentSoFar, Tally, Target,
};
use crate::telemetry::Telemetry;

/// What all targets share.
#[derive(Debug)]
pub(super) struct House {
    pub start: Instant,
    pub clock: Clock,
    pub telemetry: Telemetry,
    pub pulse: Arc<Pulse>,
    pub outcomes: mpsc::Sender<Outcome>,
    // Read at the end of a probe, changed by a reload; held for a clone.
    pub calendar: Mutex<Arc<Calendar>>,
    pub attentions: watch::Receiver<Arc<Attentions>>,
    pub purses: Purses,
}

impl House {
    /// Whether a probe that began at a time overlaps planned maintenance of its provider.
    fn is_planned(&self, target: &Target, began: Timestamp, outcome: &Outcome) -> bool {
        let calendar = Arc::clone(&self.calendar.lock().unwrap_or_else(PoisonError::into_inner));
        calendar.touches(&target.provider.id, began, outcome.finished)
    }
}

/// What outlives a change of a target's settings: the day's money, the counting, and the wait that
/// the provider asked for.
#[derive(Debug, Default)]
pub(super) struct Account {
    ledger: Ledger,
    pace: Pace,
    pub tally: Tally,
}

impl Account {
    pub(super) fn with(ledger: Ledger) -> Self {
        Self { ledger, tally: Tally::default(), pace: Pace::default() }
    }

    pub(super) fn so_far(&self) -> SpentSoFar {
        self.ledger.so_far()
    }
}

/// Shared between a target's rounds and its probes, which settle what they cost; held for a sum.
pub(super) type SharedAccount = Arc<Mutex<Account>>;

/// One target's task.
#[derive(Debug)]
pub(super) struct Rounds {
    house: Arc<House>,
    target: Arc<Target>,
    account: SharedAccount,
    stop: watch::Receiver<bool>,
    attentions: watch::Receiver<Arc<Attentions>>,
    watched: Arc<Attentions>,
    interval: Duration,
    line: Option<Arc<Result<Line, LineError>>>,
    probes: JoinSet<()>,
    has_fired: bool,
}

impl Rounds {
    pub fn new(
        house: Arc<House>,
        target: Arc<Target>,
        account: SharedAccount,
        stop: watch::Receiver<bool>,
    ) -> Self {
        Self {
            attentions: house.attentions.clone(),
            watched: Arc::default(),
            interval: target.interval,
            house,
            target,
            account,
            stop,
            line: None,
            probes: JoinSet::new(),
            has_fired: false,
        }
    }

    /// Keeps the cadence until told to stop, then waits for the probes under way.
    pub async fn keep(mut self) {
        self.attend();
        let mut cadence = self.cadence();
        // Here and not in `new`, so that a reload waits for no certificate file.
        self.line();
        loop {
            let due = self.house.start + cadence.next_due();
            tokio::select! {
                biased;
                () = stopped(&mut self.stop) => break,
                Some(_) = self.probes.join_next() => self.show_in_flight(),
                Ok(()) = self.attentions.changed() => {
                    if self.attend() {
                        // What came due until now belongs to the cadence that ends.
                        let passed = cadence.pass(self.house.start.elapsed());
                        self.account_for(passed);
                        cadence = self.cadence();
                    }
                }
                () = sleep_until(due) => {
                    let passed = cadence.pass(self.house.start.elapsed());
                    self.account_for(passed);
                }
            }
        }
        while self.probes.join_next().await.is_some() {
            self.show_in_flight();
        }
    }

    /// The cadence from now on.
    fn cadence(&self) -> Cadence {
        self.house.telemetry.probe_interval(&self.target, self.interval);
        let elapsed = self.house.start.elapsed();
        Cadence::new(elapsed, &self.target.id, self.interval)
            .counting_on(lock(&self.account).tally.due)
    }

    /// Takes up how closely the target is watched; says whether its cadence changed.
    fn attend(&mut self) -> bool {
        self.watched = Arc::clone(&self.attentions.borrow_and_update());
        let attention = self.watched.get(&self.target.id);
        let own = self.target.interval;
        let interval = attention.map_or(own, |attention| attention.interval.min(own));
        std::mem::replace(&mut self.interval, interval) != interval
    }

    /// Accounts for what came due, in one go: whoever looks at the tally finds it whole.
    fn account_for(&mut self, passed: Passed) {
        let telemetry = &self.house.telemetry;
        let now = self.house.clock.now();
        let has_room = self.in_flight() < self.target.in_flight_max;
        let mut account = lock(&self.account);
        account.tally.due += passed.due;
        account.tally.missed += passed.missed;
        if passed.due > 0 {
            telemetry.probe_due(&self.target, passed.due);
            // Said again each time, since a reload says the configured one.
            telemetry.probe_interval(&self.target, self.interval);
        }
        if passed.missed > 0 {
            telemetry.probe_missed(&self.target, passed.missed);
        }
        let Some(due) = passed.fire else { return };
        if !has_room {
            account.tally.in_flight += 1;
            return telemetry.probe_skipped(&self.target, SkipReason::InFlight);
        }
        if account.pace.spares(now) {
            account.tally.rate_limited += 1;
            return telemetry.probe_skipped(&self.target, SkipReason::RateLimited);
        }
        let purses = &self.house.purses;
        let reserved = purses.reserve(&mut account.ledger, &self.target, &self.watched, now);
        if let Some(fund) = paying(&self.watched, &self.target) {
            let [today, _] = purses.spent_by(&fund.release);
            telemetry.release_probe_budget_spent(&fund.release, today);
        }
        telemetry.probe_budget(&self.target, account.ledger.spent());
        let Some(reserved) = reserved else {
            account.tally.budget_skipped += 1;
            return telemetry.probe_skipped(&self.target, SkipReason::BudgetSkipped);
        };
        account.tally.fired += 1;
        drop(account);
        self.fire(due, reserved);
    }

    fn fire(&mut self, due: Due, reserved: Reserved) {
        let line = self.line();
        let due_at = self.house.start + due.at;
        let circumstances = Circumstances {
            sequence: due.sequence,
            due: self.house.clock.at(due_at),
            lateness: due_at.elapsed(),
            is_cold: !self.has_fired,
        };
        self.has_fired = true;
        self.house.telemetry.probe_sent(&self.target, circumstances.lateness);
        self.probes.spawn(probe(
            Arc::clone(&self.house),
            Arc::clone(&self.target),
            line,
            (Arc::clone(&self.account), reserved),
            circumstances,
            self.stop.clone(),
        ));
        self.show_in_flight();
    }

    /// The line, built anew as long as it cannot be: a certificate file may have come since.
    fn line(&mut self) -> Arc<Result<Line, LineError>> {
        match &self.line {
            Some(line) if line.is_ok() => Arc::clone(line),
            _ => Arc::clone(self.line.insert(Arc::new(Line::new(&self.target)))),
        }
    }

    fn in_flight(&self) -> u32 {
        u32::try_from(self.probes.len()).unwrap_or(u32::MAX)
    }

    fn show_in_flight(&self) {
        self.house.telemetry.probe_in_flight(&self.target, self.in_flight());
    }
}

async fn probe(
    house: Arc<House>,
    target: Arc<Target>,
    line: Arc<Result<Line, LineError>>,
    (account, reserved): (SharedAccount, Reserved),
    circumstances: Circumstances,
    mut stop: watch::Receiver<bool>,
) {
    let line = Result::as_ref(&line);
    let cancel = stopped(&mut stop);
    let attempt = attempt(&target, line, &house.clock, circumstances, cancel).await;
    let was_sent = attempt.was_sent();
    let was_green = house.pulse.was_green(attempt.started);
    let host = line.ok().and_then(|line| line.carrier.origin().host()).unwrap_or_default();
    let mut outcome = attempt.outcome;
    let (change, pace, spent) = {
        let mut account = lock(&account);
        house.purses.settle(&mut account.ledger, reserved, booked(&outcome, was_sent));
        (account.pace.hear(&outcome, target.interval), account.pace, account.ledger.spent())
    };
    house.telemetry.probe_budget(&target, spent);
    if let Some(change) = change {
        tell_pace(&target, change, &pace, &outcome);
    }
    outcome.is_planned = house.is_planned(&target, house.clock.at(attempt.started), &outcome);
    let is_vantage_suspect = house.pulse.hear(&target, host, &outcome);
    excuse(&mut outcome, was_green, is_vantage_suspect);
    house.telemetry.probe_finished(&target, &outcome);
    house.telemetry.probe_slowed(&target, pace.is_slowed());
    if house.outcomes.send(outcome).await.is_err() {
        tracing::debug!(target.id = target.id.as_str(), "nobody takes outcomes any more");
    }
}

fn tell_pace(target: &Target, change: PaceChange, pace: &Pace, outcome: &Outcome) {
    let id = target.id.as_str();
    match change {
        PaceChange::Slowed => {
            let until = pace.until().map(Timestamp::rfc3339).unwrap_or_default();
            let error_type = outcome.error_type.as_str();
            tracing::info!(target.id = id, error_type, until, "a limit is used up: probed less");
        }
        PaceChange::Recovered => {
            tracing::info!(target.id = id, "no limit in the way: probed at its cadence again");
        }
    }
}

/// Ends when told to, or when whoever could tell is gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let told = stop.wait_for(|is_stopped| *is_stopped).await.is_ok();
    tracing::trace!(told, "rounds stop");
}

pub(super) fn lock(account: &SharedAccount) -> std::sync::MutexGuard<'_, Account> {
    account.lock().unwrap_or_else(PoisonError::into_inner)
}
