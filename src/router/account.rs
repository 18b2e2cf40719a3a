//! Keeps account of one request: settled exactly once, whatever becomes of it.
//!
//! It travels with the request and then with its answer. Who drops it unsettled is a client that went
//! away: hyper drops what it has no use for any more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::crew::{Desk, Hall};
use super::intake::Held;
use super::lane::Lane;
use super::observe::Observed;
use crate::probe;
use crate::provider::{Attribution, ErrorType, SloClass};
use crate::routing::{self, Arm, Credentials, Reason, Served, Surface};
use crate::telemetry::{FailOver, Purpose};

/// A request on its way.
pub(super) struct Account {
    pub hall: Arc<Hall>,
    pub desk: Arc<Desk>,
    pub surface: Surface,
    pub id: String,
    pub client: Option<String>,
    pub arrived: Instant,
    pub held: Held,
    /// The arm that it was meant for, and why.
    pub meant: Arm,
    pub reason: Reason,
    /// Why it is not there any more, if so.
    pub detour: Option<Detour>,
    /// Whether only the target that is asked can answer it.
    pub is_kept: bool,
    /// Where it is now.
    pub arm: Arm,
    pub lane: Option<Arc<Lane>>,
    /// Whether the arm has other targets than the one that is asked.
    has_others: bool,
    pub sent: Instant,
    /// Attempts on this arm, and on all.
    pub attempts: u32,
    pub attempts_in_all: u32,
    /// Whoever holds a copy's answer against this one.
    pub mirrored: Option<oneshot::Sender<(Observed, SloClass)>>,
    /// Whether it is remembered who made the answer.
    is_made_known: bool,
    /// On the arm, where the route bounds what is under way there.
    pub room: Option<OwnedSemaphorePermit>,
    is_under_way: bool,
    is_settled: bool,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why a request that was meant for the candidate is with stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detour {
    Failed,
    Diverted,
}

/// What an account is opened with.
pub(super) struct Opening {
    pub desk: Arc<Desk>,
    pub surface: Surface,
    pub id: String,
    pub client: Option<String>,
    pub arrived: Instant,
    pub held: Held,
    pub meant: Arm,
    pub reason: Reason,
    pub is_kept: bool,
    pub place: Option<OwnedSemaphorePermit>,
}

impl Account {
    pub fn open(hall: Arc<Hall>, opening: Opening) -> Self {
        let Opening { desk, surface, id, client, arrived, held, meant, reason, is_kept, place } =
            opening;
        let mut account = Self {
            hall,
            desk,
            surface,
            id,
            client,
            arrived,
            held,
            meant,
            reason,
            detour: None,
            is_kept,
            arm: meant,
            lane: None,
            has_others: false,
            sent: arrived,
            attempts: 0,
            attempts_in_all: 0,
            mirrored: None,
            is_made_known: false,
            room: None,
            is_under_way: false,
            is_settled: false,
            _place: place,
        };
        account.enter(meant);
        account
    }

    /// From here on it is with this arm.
    fn enter(&mut self, arm: Arm) {
        let route = &self.desk.route.id;
        if self.is_under_way {
            self.hall.telemetry.request_under_way(route, self.arm, -1);
        }
        self.hall.telemetry.request_under_way(route, arm, 1);
        self.room = None;
        (self.arm, self.attempts, self.is_under_way) = (arm, 0, true);
    }

    /// An attempt begins.
    pub fn attempt(&mut self, lane: &Arc<Lane>, has_others: bool) {
        self.lane = Some(Arc::clone(lane));
        self.has_others = has_others;
        self.attempts += 1;
        self.attempts_in_all += 1;
        self.held.pause();
        self.sent = Instant::now();
    }

    /// An attempt failed before its first byte went out.
    pub fn failed(&mut self, observed: &Observed) {
        self.held.go_on();
        self.count_attempt(observed.error_type);
        self.note(observed);
    }

    fn count_attempt(&self, error_type: ErrorType) {
        let target = self.lane.as_ref().map(|lane| &lane.target);
        let on = (&self.desk.route.id, self.arm);
        self.hall.telemetry.request_attempted(on, target.map(|target| &**target), error_type);
    }

    /// One line for an attempt that is followed by another; the last one is in the request's.
    pub fn log_attempt(&self, observed: &Observed) {
        tracing::info!(
            request.id = self.id,
            route = %self.desk.route.id,
            arm = %self.arm,
            target = self.lane.as_ref().map_or("", |lane| lane.target.id.as_str()),
            status = observed.status.unwrap_or_default(),
            error_type = observed.error_type.as_str(),
            detail = observed.detail,
            provider.request_id = observed.request_id.as_deref().unwrap_or_default(),
            attempt = self.attempts_in_all,
            "attempt failed"
        );
    }

    /// The candidate is given up for stable; that it failed is evidence.
    pub fn fail_over(&mut self, observed: &Observed) {
        self.tell(observed);
        self.detour = Some(Detour::Failed);
        self.enter(Arm::Stable);
    }

    /// The candidate is not even asked.
    pub fn divert(&mut self) {
        self.hall.telemetry.request_failed_over(&self.desk.route.id, FailOver::Diverted);
        self.detour = Some(Detour::Diverted);
        self.enter(Arm::Stable);
    }

    /// What it continues may be kept by a target of this arm.
    pub fn seek(&mut self, arm: Arm) {
        (self.meant, self.reason, self.is_kept) = (arm, Reason::Continued, true);
        if arm == Arm::Candidate && self.detour.take() == Some(Detour::Failed) {
            // Stable did not save it.
            self.hall.telemetry.request_failed_over(&self.desk.route.id, FailOver::Failed);
        }
        if self.arm == arm {
            self.attempts = 0;
        } else {
            self.enter(arm);
        }
    }

    /// The answer has an id by which others may continue it.
    pub fn made(&mut self, answer_id: Option<&str>) {
        if self.surface != Surface::Responses || self.is_made_known {
            return;
        }
        if let (Some(id), Some(lane)) = (answer_id, &self.lane) {
            self.is_made_known = true;
            self.desk.made(id, &lane.target.id);
        }
    }

    /// The breakers learn of an attempt, if the arm or the target is to blame for it or to be praised.
    fn note(&self, observed: &Observed) {
        let error_type = observed.error_type;
        self.note_target(observed);
        let is_failure = match error_type.attribution() {
            Attribution::Provider | Attribution::Ambiguous => is_bad(error_type),
            Attribution::Nobody => false,
            // It says nothing of the arm.
            Attribution::Own => return,
        };
        if is_failure && self.is_kept && self.has_others {
            // Nor does this: it could not go to the others.
            return;
        }
        let now = self.hall.clock.now();
        let mut state = self.desk.state();
        let breaker = state.breaker(self.arm);
        let was_open = breaker.is_open();
        if is_failure {
            breaker.failed(now)
        } else {
            breaker.succeeded()
        }
        let is_open = breaker.is_open();
        let (route, arm) = (&self.desk.route.id, self.arm);
        if was_open != is_open {
            // Under the lock, so that of two changes the later one is shown.
            self.hall.telemetry.circuit(route, arm, is_open);
        }
        drop(state);
        if was_open != is_open {
            if is_open {
                tracing::warn!(%route, %arm, "an arm failed too often in a row: one request at a time tries it");
            } else {
                tracing::info!(%route, %arm, "an arm answers again");
            }
        }
    }

    /// What the target's standing learns, where its arm has others: limits of our own key are its
    /// failures too, since another target has another key. Those of a client's key are nobody else's.
    fn note_target(&self, observed: &Observed) {
        let Some(lane) = self.lane.as_ref().filter(|_| self.has_others) else { return };
        let (error_type, now) = (observed.error_type, self.hall.clock.now());
        let is_failure = is_bad(error_type) || routing::is_of_the_target(error_type);
        let is_own = error_type.attribution() == Attribution::Own;
        if is_own && (!is_failure || self.desk.route.credentials == Credentials::Clients) {
            return;
        }
        let mut standing = lane.standing();
        let was_broken = standing.is_broken();
        if !is_failure {
            standing.succeeded();
        } else if let Some(wait) = observed.retry_after {
            standing.told(now, wait);
        }
        // A limit that says when it ends is no fault; whoever is broken is, whatever it promises.
        if is_failure && (observed.retry_after.is_none() || is_bad(error_type)) {
            standing.failed(now);
        }
        let is_broken = standing.is_broken();
        let target = &lane.target.id;
        if was_broken != is_broken {
            // As above.
            self.hall.telemetry.target_ejected(target, is_broken);
        }
        drop(standing);
        if was_broken != is_broken {
            if is_broken {
                let why = error_type.as_str();
                tracing::warn!(%target, error_type = why, "a target failed too often in a row: others of its arm are asked first");
            } else {
                tracing::info!(%target, "a target answers again");
            }
        }
    }

    /// An answer has ended, well or not; it was an attempt that has not been counted yet.
    pub fn settle(mut self, observed: &Observed) {
        self.made(observed.answer_id.as_deref());
        self.count_attempt(observed.error_type);
        self.note(observed);
        self.close(observed, observed.status);
    }

    /// The client hears of a failure that has been counted; `answered` is the status that it gets.
    pub fn give_up(mut self, observed: &Observed, answered: u16) {
        self.close(observed, Some(answered));
    }

    /// The client is refused before anybody was asked.
    pub fn refuse(mut self, status: u16) {
        self.is_settled = true;
        let route = &self.desk.route.id;
        if self.detour == Some(Detour::Failed) {
            self.hall.telemetry.request_failed_over(route, FailOver::Failed);
        }
        self.hall.telemetry.request_answered(route, self.arm, self.surface, Some(status));
        self.leave();
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.is_under_way) {
            self.hall.telemetry.request_under_way(&self.desk.route.id, self.arm, -1);
        }
    }

    fn close(&mut self, observed: &Observed, answered: Option<u16>) {
        self.is_settled = true;
        self.held.pause();
        let class = self.tell(observed);
        if let Some((mirrored, class)) = self.mirrored.take().zip(class) {
            // The copy may not have waited for it.
            let _is_compared = mirrored.send((observed.clone(), class)).is_ok();
        }
        let telemetry = &self.hall.telemetry;
        let route = &self.desk.route.id;
        if self.detour == Some(Detour::Failed) {
            let is_saved = class != Some(SloClass::Bad);
            let result = if is_saved { FailOver::Saved } else { FailOver::Failed };
            telemetry.request_failed_over(route, result);
        }
        telemetry.request_answered(route, self.arm, self.surface, answered);
        telemetry.request_overhead(route, self.held.total());
        self.log(observed, class, answered);
        self.leave();
    }

    /// Tells what came of the request on the arm where it is; returns what it counts as.
    fn tell(&self, observed: &Observed) -> Option<SloClass> {
        let target = &self.lane.as_ref()?.target;
        let class = routing::class(target, observed.error_type);
        let finished = self.hall.clock.now();
        let price = target.provider.price(&target.model, finished);
        let served = Served {
            route: self.desk.route.id.clone(),
            arm: self.arm,
            target: target.id.clone(),
            finished,
            error_type: observed.error_type,
            class,
            broke: observed.broke,
            status: observed.status,
            ttft: observed.ttft,
            total: observed.total,
            usage: observed.usage,
            cost: observed.usage.zip(price).map(|(usage, price)| probe::cost(&usage, price)),
            attempts: self.attempts,
            is_fail_over: self.detour.is_some(),
        };
        self.hall.telemetry.request_served(&served);
        let (usage, cost) = (served.usage.as_ref(), served.cost);
        self.hall.telemetry.spend(target, Purpose::Live, usage, cost, finished);
        if self.hall.served.try_send(served).is_err() {
            self.hall.telemetry.evidence_lost();
        }
        Some(class)
    }

    /// One line a request: those that went wrong at `info`, the others at `debug`.
    fn log(&self, observed: &Observed, class: Option<SloClass>, answered: Option<u16>) {
        let target = self.lane.as_ref().map_or("", |lane| lane.target.id.as_str());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    request.id = self.id,
                    route = %self.desk.route.id,
                    arm = %self.arm,
                    meant = %self.meant,
                    reason = ?self.reason,
                    target,
                    client = self.client.as_deref().unwrap_or_default(),
                    api = self.surface.api(),
                    status = answered.unwrap_or_default(),
                    error_type = observed.error_type.as_str(),
                    detail = observed.detail,
                    provider.request_id = observed.request_id.as_deref().unwrap_or_default(),
                    attempts = self.attempts_in_all,
                    ttft_ms = observed.ttft.map_or(-1.0, |ttft| ttft.as_secs_f64() * 1e3),
                    total_ms = self.arrived.elapsed().as_secs_f64() * 1e3,
                    held_us = u64::try_from(self.held.total().as_micros()).unwrap_or(u64::MAX),
                    "request"
                )
            };
        }
        if class == Some(SloClass::Bad) || self.attempts_in_all > 1 || self.detour.is_some() {
            line!(info);
        } else {
            line!(debug);
        }
    }
}

/// Whether an attempt of which this came speaks against whom it was made at.
fn is_bad(error_type: ErrorType) -> bool {
    matches!(error_type.attribution(), Attribution::Provider | Attribution::Ambiguous)
        && error_type.class() == SloClass::Bad
        && !matches!(error_type, ErrorType::Refusal | ErrorType::ContentFiltered)
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        // The client went away while the provider was being asked, or between two attempts.
        let detail = "the client went away".to_owned();
        let observed = Observed::nothing(ErrorType::Cancelled, detail, self.sent.elapsed());
        let route = &self.desk.route.id;
        self.hall.telemetry.client_disconnected(route);
        self.count_attempt(ErrorType::Cancelled);
        self.close(&observed, None);
    }
}
