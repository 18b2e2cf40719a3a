//! Carries one request: picks its arm, asks, asks again where that may help, and passes the answer on.

use std::sync::Arc;
use std::time::Duration;

use axum::response::Response;
use http::{HeaderName, HeaderValue};

use super::account::{Account, Opening};
use super::attempt::{Failed, attempt};
use super::crew::{Crew, Full, Hall};
use super::intake::{ARM, Order, shed};
use super::lane::Lane;
use super::mirror;
use super::passing::{Passing, boxed};
use super::prepare::prepare;
use super::search::Search;
use super::surfaces::{refused, tagged};
use crate::model::TargetId;
use crate::provider::ErrorType;
use crate::routing::{
    self, Arm, Arms, Asking, Failure, Next, Place, Reason, Refusal, Route, Share, Tell, Wait, Way,
    assign, retry, way,
};
use crate::telemetry::WaitSource;

/// Carries a request that was taken in.
pub(super) async fn carry(hall: &Arc<Hall>, crew: &Crew, mut order: Order) -> Response {
    let table = Arc::clone(&hall.table.borrow());
    let unknown;
    let arms = match table.arms(&order.desk.route.id) {
        Some(arms) => arms,
        None => {
            unknown = all_on_stable(&order.desk.route);
            &unknown
        }
    };
    let header = |name: &str| order.headers.get(name).and_then(|value| value.to_str().ok());
    let desk = Arc::clone(&order.desk);
    let maker = order.continues.as_deref().and_then(|response| desk.maker(response));
    let asking = Asking {
        client: order.client.as_deref(),
        key: order.key.as_deref(),
        wish: order.wish,
        maker: maker.as_ref(),
    };
    let assignment = assign(&desk.route, arms, asking, header, rand::random());
    desk.state().budget.pay_in(desk.route.retries.budget_percent);
    // Nobody else can continue it, whatever leads to this arm.
    let keeper = maker.filter(|maker| arms.targets(assignment.arm).contains(maker));
    let opening = Opening {
        desk,
        surface: order.surface,
        id: order.id.clone(),
        client: order.client.clone(),
        arrived: order.arrived,
        held: order.held,
        meant: assignment.arm,
        reason: assignment.reason,
        is_kept: keeper.is_some(),
        place: order.place.take(),
    };
    let account = Account::open(Arc::clone(hall), opening);
    let trip = Trip { hall, crew, order: &order, arms, spread: assignment.spread, keeper };
    trip.make(account).await
}

/// What holds for a route that the table does not know yet.
fn all_on_stable(route: &Route) -> Arms {
    Arms {
        stable: route.stable.clone(),
        candidate: Vec::new(),
        share: Share::NONE,
        salt: String::new(),
    }
}

/// The attempts for one request.
struct Trip<'a> {
    hall: &'a Hall,
    crew: &'a Crew,
    order: &'a Order,
    arms: &'a Arms,
    spread: u64,
    /// Who keeps the response that is continued: nobody else can continue it.
    keeper: Option<TargetId>,
}

impl Trip<'_> {
    async fn make(&self, mut account: Account) -> Response {
        let mut lanes = self.lanes(account.arm);
        let mut at = 0;
        let mut search: Option<Search> = None;
        // The arm that let it in.
        let mut entered = None;
        loop {
            if account.attempts == 0
                && let Err(refusal) = self.enter(&mut account, lanes.get(at), &mut entered)
            {
                if let Some(mut found) = search {
                    found.refused(refusal);
                    let Some((arm, lane)) = found.next() else {
                        return self.end(found, account);
                    };
                    account.seek(arm);
                    (lanes, at, search) = (vec![lane], 0, Some(found));
                    continue;
                }
                if account.arm == Arm::Stable || account.is_kept {
                    return self.refuse(account, &refusal);
                }
                account.divert();
                (lanes, at) = (self.lanes(Arm::Stable), 0);
                continue;
            }
            let Some(lane) = lanes.get(at) else {
                return self.refuse(account, &Refusal::NoWay(self.order.surface.path()));
            };
            let prepared = prepare(self.order, lane, &self.hall.telemetry, &self.hall.clock);
            let prepared = match prepared {
                Ok(prepared) => prepared,
                // What only the candidate has no words for is not refused for its sake.
                Err(_) if account.arm == Arm::Candidate && !account.is_kept => {
                    account.divert();
                    (lanes, at) = (self.lanes(Arm::Stable), 0);
                    continue;
                }
                Err(refusal) => return self.refuse(account, &refusal),
            };
            if account.attempts_in_all == 0 && account.meant == Arm::Stable {
                account.mirrored = mirror::offer(self.hall, self.crew, self.order, self.arms);
            }
            let has_others = self.has_others(account.arm);
            account.attempt(lane, has_others);
            if has_others && !account.is_kept {
                lane.standing().asked(account.hall.clock.now());
            }
            let (clock, seat) = (&self.hall.clock, self.hall.seat);
            let asked = attempt(self.order, &prepared, lane, seat, clock, account.sent);
            let failed = match asked.await {
                Ok(answer) => {
                    if let (Some(_), Some(found)) = (&search, &self.order.continues) {
                        self.order.desk.made(found, &lane.target.id);
                    }
                    account.held.go_on();
                    return self.answer(answer, account);
                }
                Err(failed) => failed,
            };
            account.failed(&failed.observed);
            if let (Some(told), ErrorType::SchemaMismatch) =
                (prepared.told, failed.observed.error_type)
            {
                self.hall.telemetry.answer_untold(told.direction);
            }
            let is_missing = failed.observed.lacks_previous && self.order.continues.is_some();
            if is_missing && self.keeper.is_none() && search.is_none() {
                search = Some(Search::among(self.others(&account, lane)));
            }
            if let Some(search) = &mut search
                && account.arrived.elapsed() < self.order.desk.route.timeouts.total
                && let Some((arm, next)) = search.next()
            {
                account.log_attempt(&failed.observed);
                self.pause(&mut account, &failed, Wait::Not).await;
                search.failed(account.arm, lane, failed);
                account.seek(arm);
                (lanes, at) = (vec![next], 0);
                continue;
            }
            let next = self.next(&account, &failed, lanes.get(at + 1));
            if next != Next::GiveUp {
                account.log_attempt(&failed.observed);
            }
            match next {
                Next::GiveUp => {
                    let Some(mut search) = search else { return self.give_up(account, *failed) };
                    search.failed(account.arm, lane, failed);
                    return self.end(search, account);
                }
                Next::Again { place: Place::Stable, .. } => {
                    account.fail_over(&failed.observed);
                    (lanes, at) = (self.lanes(Arm::Stable), 0);
                }
                Next::Again { place, wait } => {
                    at += usize::from(place == Place::Another);
                    self.pause(&mut account, &failed, wait).await;
                }
            }
        }
    }

    /// Takes a place on the account's arm, unless that is full or broken. Who cannot go to another
    /// target of the arm is held up by a broken one as well.
    fn enter(
        &self,
        account: &mut Account,
        first: Option<&Arc<Lane>>,
        entered: &mut Option<Arm>,
    ) -> Result<(), Refusal> {
        let now = self.hall.clock.now();
        // First, so that who gets no further does not use up the arm's trial.
        if let Some(lane) = first.filter(|_| account.is_kept && self.has_others(account.arm)) {
            lane.standing().admit(now).map_err(Refusal::Broken)?;
        }
        if *entered != Some(account.arm) {
            account.room = self.order.desk.place(account.arm).map_err(|Full| shed())?;
            self.order.desk.state().breaker(account.arm).admit(now).map_err(Refusal::Broken)?;
            *entered = Some(account.arm);
        }
        Ok(())
    }

    /// Whether an arm has several targets: then each has a standing of its own.
    fn has_others(&self, arm: Arm) -> bool {
        self.arms.targets(arm).len() > 1
    }

    /// Who else may keep the response that is continued: the other targets that serve anybody, or
    /// those of the arm on which the request has to be.
    fn others(&self, account: &Account, asked: &Lane) -> Vec<(Arm, Arc<Lane>)> {
        let first = account.arm;
        let is_bound = matches!(account.reason, Reason::Pinned | Reason::Wished);
        let arms = [first].into_iter().chain(Arm::ALL.into_iter().filter(|arm| *arm != first));
        arms.filter(|arm| *arm == first || !is_bound)
            .flat_map(|arm| self.lanes(arm).into_iter().map(move |lane| (arm, lane)))
            .filter(|(arm, lane)| is_bound || self.arms.serving(&lane.target.id) == Some(*arm))
            .filter(|(_, lane)| lane.target.id != asked.target.id)
            .collect()
    }

    /// The ways to the targets of an arm that answer at this interface.
    fn lanes(&self, arm: Arm) -> Vec<Arc<Lane>> {
        let mut lanes = self.crew.lanes(&self.order.desk.route, self.arms, arm, self.spread);
        if let Some(keeper) = &self.keeper {
            lanes.retain(|lane| lane.target.id == *keeper);
        }
        lanes.retain(|lane| way(self.order.surface, lane.target.provider.dialect) != Way::Never);
        if lanes.len() > 1 {
            // The others first, and all as they are where each of them is ejected.
            let now = self.hall.clock.now();
            lanes.sort_by_cached_key(|lane| lane.standing().is_ejected(now));
        }
        lanes
    }

    /// What follows a failure. Within an arm the budget has a word; to go to stable costs nothing of
    /// it, since it multiplies nothing, and neither does the first step from a target that did no work
    /// to one that is well.
    fn next(&self, account: &Account, failed: &Failed, another: Option<&Arc<Lane>>) -> Next {
        let route = &self.order.desk.route;
        let failure = Failure {
            error_type: failed.observed.error_type,
            retry_after: failed.observed.retry_after,
            // What is kept on an arm can as little leave it as stable's requests can.
            arm: if account.is_kept { Arm::Stable } else { account.arm },
            attempts: account.attempts_in_all,
            has_another: another.is_some(),
        };
        let next = retry(&route.retries, &failure, rand::random());
        let Next::Again { place, wait } = next else { return next };
        let pause = match wait {
            Wait::Not => Duration::ZERO,
            Wait::Backoff(pause) | Wait::Asked(pause) => pause,
        };
        if account.arrived.elapsed() + pause >= route.timeouts.total {
            return Next::GiveUp;
        }
        let is_well = |lane: &Arc<Lane>| !lane.standing().is_ejected(self.hall.clock.now());
        let is_free = match place {
            Place::Stable => true,
            Place::Another => {
                let is_cheap = routing::is_cheap(&failure);
                is_cheap && account.attempts_in_all == 1 && another.is_some_and(is_well)
            }
            Place::Same => false,
        };
        if !is_free && !self.order.desk.state().budget.take() {
            // A candidate without retries left still has stable beside it.
            let may_leave = failure.arm == Arm::Candidate;
            let to_stable = Next::Again { place: Place::Stable, wait: Wait::Not };
            return if may_leave { to_stable } else { Next::GiveUp };
        }
        next
    }

    async fn pause(&self, account: &mut Account, failed: &Failed, wait: Wait) {
        let telemetry = &self.hall.telemetry;
        let route = &self.order.desk.route.id;
        let because = failed.observed.error_type;
        let (source, pause) = match wait {
            Wait::Not => return telemetry.request_retried(route, because, None),
            Wait::Backoff(pause) => (WaitSource::Backoff, pause),
            Wait::Asked(pause) => (WaitSource::RetryAfter, pause),
        };
        telemetry.request_retried(route, because, Some((source, pause)));
        account.held.pause();
        tokio::time::sleep(pause).await;
        account.held.go_on();
    }

    /// Passes an answer on.
    fn answer(&self, answer: super::attempt::Answer, mut account: Account) -> Response {
        // From here on it is the provider and the client that take time.
        account.held.pause();
        let (arm, lane, id) = (account.arm, account.lane.clone(), account.id.clone());
        let (head, passing) = Passing::new(answer, account);
        let mut response = Response::from_parts(head, boxed(passing));
        let target = lane.as_ref().map(|lane| lane.target.id.as_str());
        self.tag(&mut response, arm, target, &id);
        response
    }

    /// The client hears what the provider said, or that it said nothing.
    fn give_up(&self, account: Account, failed: Failed) -> Response {
        let Failed { observed, answer } = failed;
        if let Some(answer) = answer {
            return self.answer(answer, account);
        }
        let refusal = Refusal::NoAnswer(observed.error_type);
        self.hall.telemetry.request_refused(&refusal);
        let mut response = refused(&refusal, self.order.surface, &self.order.id);
        let (arm, lane) = (account.arm, account.lane.clone());
        account.give_up(&observed, refusal.status());
        let target = lane.as_ref().map(|lane| lane.target.id.as_str());
        self.tag(&mut response, arm, target, &self.order.id);
        response
    }

    fn end(&self, search: Search, mut account: Account) -> Response {
        match search.end(&mut account) {
            Ok(failed) => self.give_up(account, *failed),
            Err(refusal) => self.refuse(account, &refusal),
        }
    }

    fn refuse(&self, account: Account, refusal: &Refusal) -> Response {
        self.hall.telemetry.request_refused(refusal);
        let mut response = refused(refusal, self.order.surface, &self.order.id);
        self.tag(&mut response, account.arm, None, &self.order.id);
        account.refuse(refusal.status());
        response
    }

    /// Tells what the route lets answers tell.
    fn tag(&self, response: &mut Response, arm: Arm, target: Option<&str>, id: &str) {
        let tells = &self.order.desk.route.tells;
        let headers = response.headers_mut();
        if tells.contains(&Tell::Arm) {
            headers.insert(ARM, HeaderValue::from_static(arm.as_str()));
        }
        if tells.contains(&Tell::RequestId) {
            tagged(headers, id);
        } else {
            headers.remove(super::surfaces::REQUEST_ID);
        }
        if let (true, Some(Ok(target))) =
            (tells.contains(&Tell::Target), target.map(HeaderValue::from_str))
        {
            headers.insert(HeaderName::from_static("x-bellwether-target"), target);
        }
    }
}
