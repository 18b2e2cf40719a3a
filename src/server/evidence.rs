//! `POST /api/v1/routing/served`: what came of requests that other routers carried.
//!
//! Each batch is taken whole or, while the engine has no time for it, not at all (503: it is told again).
//! One that was taken before is answered as it was then and counts no second time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use tokio::sync::{mpsc, watch};

use super::guard;
use super::parameters::ApiError;
use crate::access::Scope;
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::routing::{AGE_MAX, BATCH_MAX, Batch, Receipt, Served, Table};
use crate::telemetry::{EvidenceResult, Telemetry};

/// A batch of outcomes with long names.
const BODY_MAX_BYTES: usize = 4 << 20;
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Routers that tell something at the same time; the one that was silent longest is forgotten first.
const SENDERS_MAX: usize = 1_024;
/// As much of a sender's name as is drawn.
const SENDER_LENGTH_MAX: usize = 64;

/// Who takes what came of requests, and what routes there are.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// Takes outcomes; the engine's own router has another end of it.
    pub served: mpsc::Sender<Served>,
    /// The routes.
    pub table: watch::Receiver<Arc<Table>>,
}

#[derive(Clone)]
struct Inbox {
    evidence: Option<Evidence>,
    // Held for a look: a message would cost a turn of the scheduler, and nothing is waited for.
    senders: Arc<Mutex<BTreeMap<String, Sender>>>,
    telemetry: Telemetry,
    clock: Clock,
    /// What stood before may have been counted by the process before this one.
    since: Timestamp,
}

/// What was taken of one sender.
#[derive(Clone, Copy)]
struct Sender {
    number: u64,
    receipt: Receipt,
    heard: Timestamp,
}

pub(super) fn routes(evidence: Option<Evidence>, telemetry: Telemetry, clock: Clock) -> Router {
    let since = clock.now();
    let inbox = Inbox { evidence, senders: Arc::default(), telemetry, clock, since };
    let routes = Router::new().route("/api/v1/routing/served", post(served)).with_state(inbox);
    guard::changing(routes, Scope::Evidence)
}

async fn served(State(inbox): State<Inbox>, request: Request) -> Response {
    match taken(&inbox, request).await {
        Ok(receipt) => Json(receipt).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn taken(inbox: &Inbox, request: Request) -> Result<Receipt, ApiError> {
    let Some(evidence) = &inbox.evidence else {
        return Err(ApiError::bad_data("nothing is routed here"));
    };
    let body = to_bytes(request.into_body(), BODY_MAX_BYTES);
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await;
    let body = body.map_err(|_| ApiError::bad_data("the body took longer than 10 s to come"))?;
    let body =
        body.map_err(|_| ApiError::bad_data("the body is larger than 4 MiB or was cut off"))?;
    let batch: Batch = serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_data(format!("this is no batch of outcomes: {error}")))?;
    if batch.outcomes.len() > BATCH_MAX || batch.sender.len() > SENDER_LENGTH_MAX {
        return Err(ApiError::bad_data(format!(
            "a batch has {BATCH_MAX} outcomes at most, and a sender {SENDER_LENGTH_MAX} characters"
        )));
    }
    inbox.take(evidence, &batch)
}

impl Inbox {
    fn take(&self, evidence: &Evidence, batch: &Batch) -> Result<Receipt, ApiError> {
        let now = self.clock.now();
        let mut senders = self.senders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = senders.get_mut(&batch.sender)
            && batch.number <= sender.number
        {
            sender.heard = now;
            self.telemetry.evidence_received(EvidenceResult::Repeated, batch.outcomes.len());
            return Ok(Receipt { is_repeated: true, ..sender.receipt });
        }
        let (found, receipt) = self.sorted(evidence, batch, now);
        let room = evidence.served.try_reserve_many(found.len());
        let room = room.map_err(|_| ApiError::unavailable())?;
        room.zip(found).for_each(|(place, served)| place.send(served));
        if senders.len() >= SENDERS_MAX && !senders.contains_key(&batch.sender) {
            let silent = senders.iter().min_by_key(|(_, sender)| sender.heard);
            let silent = silent.map(|(name, _)| name.clone());
            silent.iter().for_each(|name| {
                senders.remove(name);
            });
        }
        let sender = Sender { number: batch.number, receipt, heard: now };
        senders.insert(batch.sender.clone(), sender);
        for (result, count) in [
            (EvidenceResult::Taken, receipt.taken),
            (EvidenceResult::Late, receipt.late),
            (EvidenceResult::Unknown, receipt.unknown),
        ] {
            self.telemetry.evidence_received(result, usize::try_from(count).unwrap_or(usize::MAX));
        }
        Ok(receipt)
    }

    /// The outcomes that count.
    fn sorted(&self, evidence: &Evidence, batch: &Batch, now: Timestamp) -> (Vec<Served>, Receipt) {
        let table = Arc::clone(&evidence.table.borrow());
        let mut receipt = Receipt::default();
        let mut found = Vec::with_capacity(batch.outcomes.len());
        for told in &batch.outcomes {
            let served = told.read(now);
            // An arm that has other targets here is served by another configuration.
            let served = served.filter(|served| {
                let arms = table.arms(&served.route);
                arms.is_some_and(|arms| arms.targets(served.arm).contains(&served.target))
            });
            match served {
                None => receipt.unknown += 1,
                Some(served) if told.age() > AGE_MAX || served.finished < self.since => {
                    receipt.late += 1;
                }
                Some(served) => {
                    receipt.taken += 1;
                    found.push(served);
                }
            }
        }
        (found, receipt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RouteId, TargetId};
    use crate::provider::{ErrorType, SloClass};
    use crate::routing::{Arm, Told};

    fn inbox(room: usize) -> (Inbox, Evidence, mpsc::Receiver<Served>) {
        let (served, taken) = mpsc::channel(room);
        let text = r#"{"version":1,"routes":{"chat":{"stable":["old"],"candidate":["new"],
            "share_basis_points":2500,"salt":""}}}"#;
        let table = watch::channel(Arc::new(Table::parse(text).unwrap())).1;
        let clock = Clock::start();
        let evidence = Evidence { served, table };
        let inbox = Inbox {
            evidence: Some(evidence.clone()),
            senders: Arc::default(),
            telemetry: Telemetry::new(),
            clock,
            since: clock.now() - Duration::from_secs(60),
        };
        (inbox, evidence, taken)
    }

    fn told(inbox: &Inbox, target: &str, age: Duration) -> Told {
        let now = inbox.clock.now();
        let served = Served {
            route: RouteId::new("chat"),
            arm: Arm::Candidate,
            target: TargetId::new(target),
            finished: now - age,
            error_type: ErrorType::None,
            class: SloClass::Good,
            broke: None,
            status: Some(200),
            ttft: None,
            total: Duration::from_millis(90),
            usage: None,
            cost: None,
            attempts: 1,
            is_fail_over: false,
        };
        Told::of(&served, now)
    }

    fn batch(number: u64, outcomes: Vec<Told>) -> Batch {
        Batch { sender: "s".to_owned(), number, outcomes }
    }

    fn received(inbox: &Inbox, result: &str) -> f64 {
        let text = inbox.telemetry.exposition();
        let start = format!("bellwether_router_evidence_received_total{{result=\"{result}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_is_told_again_counts_once() {
        let (inbox, evidence, mut taken) = inbox(10);
        let both = || vec![told(&inbox, "new", Duration::ZERO); 2];
        let first = inbox.take(&evidence, &batch(1, both())).unwrap();
        assert_eq!((first.taken, first.is_repeated), (2, false));
        let again = inbox.take(&evidence, &batch(1, both())).unwrap();
        assert_eq!((again.taken, again.is_repeated), (2, true));
        let second = inbox.take(&evidence, &batch(2, both())).unwrap();
        assert_eq!((second.taken, second.is_repeated), (2, false));
        let other = Batch { sender: "t".to_owned(), ..batch(1, both()) };
        assert!(!inbox.take(&evidence, &other).unwrap().is_repeated);
        let mut count = 0;
        while taken.try_recv().is_ok() {
            count += 1;
        }
        assert_eq!(count, 6);
        assert_eq!((received(&inbox, "taken"), received(&inbox, "repeated")), (6.0, 2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_or_not_known_counts_for_nothing() {
        let (mut inbox, evidence, mut taken) = inbox(10);
        let second = Duration::from_secs(1);
        let outcomes = vec![
            told(&inbox, "new", AGE_MAX),
            told(&inbox, "new", AGE_MAX + second),
            // An arm has other targets here.
            told(&inbox, "old", Duration::ZERO),
            told(&inbox, "elsewhere", Duration::ZERO),
        ];
        let receipt = inbox.take(&evidence, &batch(1, outcomes)).unwrap();
        assert_eq!((receipt.taken, receipt.late, receipt.unknown), (1, 1, 2));
        assert!(taken.try_recv().is_ok() && taken.try_recv().is_err());
        // The process began a second ago; the one before may have counted what is older.
        inbox.since = inbox.clock.now() - second;
        let outcomes = vec![told(&inbox, "new", second), told(&inbox, "new", 2 * second)];
        let receipt = inbox.take(&evidence, &batch(2, outcomes)).unwrap();
        assert_eq!((receipt.taken, receipt.late), (1, 1));
        assert_eq!((received(&inbox, "late"), received(&inbox, "unknown")), (2.0, 2.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_is_taken_whole_or_told_again() {
        let (inbox, evidence, mut taken) = inbox(2);
        let outcomes = |count| vec![told(&inbox, "new", Duration::ZERO); count];
        assert!(inbox.take(&evidence, &batch(1, outcomes(3))).is_err());
        assert!(taken.try_recv().is_err());
        assert_eq!(inbox.take(&evidence, &batch(1, outcomes(2))).unwrap().taken, 2);
        assert!(inbox.take(&evidence, &batch(2, outcomes(1))).is_err());
        taken.try_recv().unwrap();
        assert!(!inbox.take(&evidence, &batch(2, outcomes(1))).unwrap().is_repeated);
    }

    #[tokio::test(start_paused = true)]
    async fn senders_are_remembered_up_to_a_bound() {
        let (inbox, evidence, _taken) = inbox(1);
        for number in 0..SENDERS_MAX + 5 {
            let sender = format!("{number}");
            tokio::time::advance(Duration::from_millis(1)).await;
            inbox.take(&evidence, &Batch { sender, number: 1, outcomes: Vec::new() }).unwrap();
        }
        let senders = inbox.senders.lock().unwrap();
        assert_eq!(senders.len(), SENDERS_MAX);
        assert!(!senders.contains_key("4") && senders.contains_key("5"));
    }
}
