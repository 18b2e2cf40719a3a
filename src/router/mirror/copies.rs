//! Sends copies, grades what comes, and holds it against what stable's user got.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::super::attempt::{Answer, Watch, attempt};
use super::super::intake::Order;
use super::super::lane::Lane;
use super::super::observe::Observed;
use super::super::prepare::prepare;
use super::super::workers::Seat;
use super::Mirroring;
use crate::clock::Clock;
use crate::model::{Money, Timestamp};
use crate::probe::{self, Timeouts};
use crate::provider::{Attribution, ErrorType, SloClass, Usage};
use crate::routing::{self, Arm, Reply, Served, Uncopied, likeness, may_copy, tokens_max};
use crate::telemetry::{Mirrored, Purpose, Telemetry};
use crate::upstream::{Stage, classify};

/// A copy that waited longer would be held against an answer of another time.
const WAIT_MAX: Duration = Duration::from_secs(10);
/// A token is four bytes of English, or fewer of anything else.
const BYTES_PER_TOKEN: u64 = 4;
/// What an answer is taken to cost before it is there: as long as its client allows, up to a bound
/// above what is usual; and what is usual where the client says nothing.
const OUTPUT_MAX: u64 = 4_096;
const OUTPUT_USUAL: u64 = 1_024;

/// A copy that waits for its turn.
#[derive(Debug)]
pub(in super::super) struct Copy {
    pub order: Order,
    pub mirroring: Arc<Mirroring>,
    pub lane: Arc<Lane>,
    /// What came of the request itself; closed where nobody answered it.
    pub stable: oneshot::Receiver<(Observed, SloClass)>,
    pub is_evidence: bool,
}

/// What it takes to send copies.
#[derive(Clone, Debug)]
pub(in super::super) struct Means {
    pub served: mpsc::Sender<Served>,
    pub telemetry: Telemetry,
    pub clock: Clock,
}

/// Sends copies until it is dropped; those under way end with it.
pub(in super::super) async fn carry(mut copies: mpsc::Receiver<Copy>, means: Means) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            // Places bound how many there can be.
            Some(copy) = copies.recv() => {
                under_way.spawn(send(copy, means.clone()));
            }
            Some(_) = under_way.join_next() => {}
            else => return,
        }
    }
}

async fn send(copy: Copy, means: Means) {
    let mirroring = Arc::clone(&copy.mirroring);
    let route = &mirroring.desk.route.id;
    let turn = timeout(WAIT_MAX, mirroring.turns.acquire()).await;
    means.telemetry.mirror_queued(route, -1);
    let Ok(Ok(_turn)) = turn else {
        return means.telemetry.mirror_dropped(route, Uncopied::Late);
    };
    if let Err(reason) = exchange(copy, &means).await {
        means.telemetry.mirror_dropped(route, reason);
    }
}

/// Asks, and compares; or says why nobody was asked.
async fn exchange(copy: Copy, means: &Means) -> Result<(), Uncopied> {
    let Copy { order, mirroring, lane, stable, is_evidence } = copy;
    let Means { telemetry, clock, .. } = means;
    if !may_copy(order.surface, &order.body) {
        return Err(Uncopied::SideEffects);
    }
    let prepared = prepare(&order, &lane, telemetry, clock);
    let prepared = prepared.map_err(|_| Uncopied::Untranslatable)?;
    let now = clock.now();
    let reservation = mirroring.reserve(now, estimate(&order, &lane, now));
    let reservation = reservation.ok_or(Uncopied::Budget)?;
    if mirroring.desk.state().candidate.admit(now).is_err() {
        mirroring.settle(reservation, Some(Money::ZERO));
        return Err(Uncopied::CircuitOpen);
    }
    let (route, timeouts) = (&mirroring.desk.route.id, &mirroring.settings.timeouts);
    telemetry.mirror_under_way(route, 1);
    let sent = Instant::now();
    let observed = match attempt(&order, &prepared, &lane, Seat::CALLERS, clock, sent).await {
        Ok(answer) => drained(answer, timeouts, sent).await,
        Err(failed) => failed.observed,
    };
    telemetry.mirror_under_way(route, -1);
    // Stable may take long; what this copy holds is free meanwhile.
    drop((order, prepared));
    let class = routing::class(&lane.target, observed.error_type);
    note(&mirroring, &observed, class, clock.now());
    let served = served(&mirroring, &lane, &observed, class, clock.now());
    mirroring.settle(reservation, served.cost);
    told(means, &lane, &served);
    if is_evidence && means.served.try_send(served).is_err() {
        telemetry.evidence_lost();
    }
    let stable = timeout_at(sent + timeouts.total + WAIT_MAX, stable).await;
    if let Ok(Ok((stable, its))) = stable {
        let found = likeness(&reply(&stable, its), &reply(&observed, class));
        telemetry.mirror_compared(route, &found);
    }
    Ok(())
}

/// Reads an answer to its end, for the grade alone.
async fn drained(answer: Answer, timeouts: &Timeouts, sent: Instant) -> Observed {
    let mut observer = match answer.watch {
        Watch::Graded(observed) => return *observed,
        Watch::Watching(observer) => observer,
    };
    let began = Instant::now();
    let mut rest = answer.rest;
    while let Some(body) = &mut rest {
        let by = observer.deadline(timeouts, began);
        let next = timeout_at(by, body.frame()).await;
        let now = Instant::now();
        let failure = match next {
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    observer.bytes(&bytes, now);
                }
                continue;
            }
            Ok(None) => {
                observer.end(now);
                break;
            }
            Ok(Some(Err(error))) => classify(&error, Stage::Reading),
            Err(_) if now >= sent + timeouts.total => ErrorType::TotalTimeout,
            Err(_) => ErrorType::StalledStream,
        };
        match observer.is_complete() {
            true => {
                observer.end(now);
            }
            false => observer.broke(failure, now),
        }
        rest = None;
    }
    observer.end(Instant::now());
    observer.finish()
}

/// What a copy is taken to cost until its answer is there; `None` without a price.
fn estimate(order: &Order, lane: &Lane, now: Timestamp) -> Option<Money> {
    let price = lane.target.provider.price(&lane.target.model, now)?;
    let output = tokens_max(&order.body).unwrap_or(OUTPUT_USUAL).min(OUTPUT_MAX);
    let input = order.body.len() as u64 / BYTES_PER_TOKEN;
    Some(probe::cost(&Usage { input, output, ..Usage::default() }, price))
}

/// The breaker of the copies learns what came of one, if the target is to blame for it.
fn note(mirroring: &Mirroring, observed: &Observed, class: SloClass, now: Timestamp) {
    let mut state = mirroring.desk.state();
    match observed.error_type.attribution() {
        Attribution::Own => {}
        Attribution::Provider | Attribution::Ambiguous if class == SloClass::Bad => {
            state.candidate.failed(now);
        }
        Attribution::Provider | Attribution::Ambiguous | Attribution::Nobody => {
            state.candidate.succeeded();
        }
    }
}

/// What came of a copy, as if a user had been served.
fn served(
    mirroring: &Mirroring,
    lane: &Lane,
    observed: &Observed,
    class: SloClass,
    finished: Timestamp,
) -> Served {
    let target = &lane.target;
    let price = target.provider.price(&target.model, finished);
    Served {
        route: mirroring.desk.route.id.clone(),
        arm: Arm::Candidate,
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
        attempts: 1,
        is_fail_over: false,
    }
}

fn told(means: &Means, lane: &Lane, served: &Served) {
    let Served { route, error_type, class, ttft, total, usage, cost, finished, .. } = served;
    means.telemetry.mirrored(&Mirrored {
        route,
        error_type: *error_type,
        class: *class,
        ttft: *ttft,
        total: *total,
        usage: *usage,
        cost: *cost,
    });
    means.telemetry.spend(&lane.target, Purpose::Shadow, usage.as_ref(), *cost, *finished);
    tracing::debug!(
        %route,
        target = %lane.target.id,
        error_type = error_type.as_str(),
        total_ms = total.as_secs_f64() * 1e3,
        "copy"
    );
}

fn reply(observed: &Observed, class: SloClass) -> Reply<'_> {
    Reply {
        error_type: observed.error_type,
        class,
        ttft: observed.ttft,
        total: observed.total,
        tokens: observed.usage.map(|usage| usage.output),
        text: &observed.said.text,
        finish: observed.said.finish.as_deref(),
    }
}
