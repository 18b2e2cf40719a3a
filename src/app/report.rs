//! What a router that follows carried, told to the one that is followed: its evidence.
//!
//! Outcomes are gathered for a second and told in numbered batches, each of which is tried until it is
//! taken, or too old to count. Nothing waits for any of it: what has no room is dropped and counted, and
//! the router goes on whether or not anybody listens.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::follow::{Leader, Unheard};
use crate::clock::Clock;
use crate::routing::{AGE_MAX, BATCH_MAX, Batch, Receipt, Served, Told};
use crate::telemetry::{FollowedFor, ReportResult, Telemetry};

const PERIOD: Duration = Duration::from_secs(1);
/// Batches that wait: what a busy router carries until they are too old.
const WAITING_MAX: usize = 16;
/// How many outcomes are taken in with one turn.
const AT_ONCE: usize = 512;

/// Some outcomes, under a number that is theirs for good.
struct Sealed {
    number: u64,
    served: Vec<Served>,
}

/// Tells a leader what comes of requests, until nothing does any more; then what is left.
pub(super) fn spawn(
    leader: Leader,
    results: mpsc::Receiver<Served>,
    clock: Clock,
    telemetry: Telemetry,
) -> JoinHandle<()> {
    let (sealed, waiting) = mpsc::channel(WAITING_MAX);
    tokio::spawn(gather(results, sealed, telemetry.clone()));
    let sender = format!("{:032x}", rand::random::<u128>());
    let teller = Teller { leader, sender, was_refused: false, clock, telemetry };
    tokio::spawn(teller.run(waiting))
}

/// Puts outcomes into batches of a second, or of as many as one may hold.
async fn gather(
    mut results: mpsc::Receiver<Served>,
    sealed: mpsc::Sender<Sealed>,
    telemetry: Telemetry,
) {
    let mut turns = tokio::time::interval(PERIOD);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut open, mut number) = (Vec::new(), 0);
    let mut seal = |open: &mut Vec<Served>| {
        if open.is_empty() {
            return;
        }
        number += 1;
        let served = std::mem::take(open);
        if let Err(dropped) = sealed.try_send(Sealed { number, served }) {
            let count = dropped.into_inner().served.len();
            telemetry.evidence_reported(ReportResult::QueueFull, count);
        }
    };
    loop {
        let room = BATCH_MAX.saturating_sub(open.len()).min(AT_ONCE);
        tokio::select! {
            count = results.recv_many(&mut open, room) => {
                if open.len() >= BATCH_MAX || count == 0 {
                    seal(&mut open);
                }
                if count == 0 {
                    return;
                }
            }
            _ = turns.tick() => seal(&mut open),
        }
    }
}

struct Teller {
    leader: Leader,
    sender: String,
    was_refused: bool,
    clock: Clock,
    telemetry: Telemetry,
}

impl Teller {
    async fn run(mut self, mut waiting: mpsc::Receiver<Sealed>) {
        while let Some(sealed) = waiting.recv().await {
            self.tell(sealed).await;
        }
    }

    /// Tells a batch until it is taken, or in vain.
    async fn tell(&mut self, sealed: Sealed) {
        loop {
            let now = self.clock.now();
            let is_late = |served: &Served| now.since(served.finished) > AGE_MAX;
            if sealed.served.iter().all(is_late) {
                return self.telemetry.evidence_reported(ReportResult::Late, sealed.served.len());
            }
            let batch = Batch {
                sender: self.sender.clone(),
                number: sealed.number,
                outcomes: sealed.served.iter().map(|served| Told::of(served, now)).collect(),
            };
            match self.leader.report(&batch).await {
                Ok(receipt) => return self.taken(&receipt),
                Err(Unheard::Refused(why)) => {
                    if !std::mem::replace(&mut self.was_refused, true) {
                        tracing::warn!(why, "the leader takes no evidence from here");
                    }
                    self.telemetry.followed(FollowedFor::Evidence, false);
                    let count = sealed.served.len();
                    return self.telemetry.evidence_reported(ReportResult::Refused, count);
                }
                Err(Unheard::Away) => {
                    self.telemetry.followed(FollowedFor::Evidence, false);
                    tokio::time::sleep(PERIOD).await;
                }
            }
        }
    }

    fn taken(&mut self, receipt: &Receipt) {
        if std::mem::take(&mut self.was_refused) {
            tracing::info!("the leader takes evidence from here again");
        }
        self.telemetry.followed(FollowedFor::Evidence, true);
        for (result, count) in [
            (ReportResult::Taken, receipt.taken),
            (ReportResult::Late, receipt.late),
            (ReportResult::Unknown, receipt.unknown),
        ] {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            self.telemetry.evidence_reported(result, count);
        }
    }
}
