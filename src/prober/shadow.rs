//! Asks two targets the same questions, pair by pair.
//!
//! Lanes take pairs from one schedule. Within a pair the arms are asked one right after the other, so
//! that both meet the same moment; which one is first is the schedule's say. Answers go out as they
//! come and are forgotten here. A rate limit of our own holds back every lane that wants the limited
//! arm, and the pair is asked again whole; `shadow::backoff` says what is asked again at all.

mod arm;
mod house;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::house::House;
use crate::clock::Clock;
use crate::model::Money;
use crate::probe::Target;
use crate::provider::ErrorType;
use crate::provider::translate::Strictness;
use crate::shadow::{Arm, Pair, Prompt, Purse, Turn};
use crate::upstream::warm_up;

/// What is compared, and how.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// What serves today.
    pub stable: Target,
    /// What may take its place.
    pub candidate: Target,
    /// Who judges pairs whose answers differ.
    pub judge: Option<Target>,
    /// What is asked; each can be told to both arms.
    pub prompts: Vec<Prompt>,
    /// In which order.
    pub turns: Vec<Turn>,
    /// How many pairs are asked beforehand and left out, so that connections stand.
    pub warm_up: usize,
    /// How many pairs are under way at once; at least one.
    pub concurrency: usize,
    /// The least time from the begin of one pair to that of the next.
    pub interval: Option<Duration>,
    /// When to end, whatever is left.
    pub duration: Option<Duration>,
    /// How often a pair is asked again.
    pub repeats_max: u32,
    /// What it may cost.
    pub purse: Purse,
    /// What becomes of parameters that an arm has no word for.
    pub strictness: Strictness,
}

/// What happens during a comparison.
#[derive(Clone, Debug)]
pub enum News {
    /// A pair was asked.
    Pair(Box<Pair>),
    /// An arm refused by a limit, and the pair is asked again.
    Refused {
        /// Who.
        arm: Arm,
        /// By which limit.
        limit: &'static str,
        /// How long the arm is left alone.
        wait: Duration,
    },
}

/// Why a comparison ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All pairs were asked.
    Complete,
    /// Somebody stopped it.
    Interrupted,
    /// Its time was up.
    Time,
    /// The next request had no room in the budget.
    Budget,
    /// An arm refuses for a reason that no wait helps against.
    Refused {
        /// Who.
        arm: Arm,
        /// What came of it.
        error_type: ErrorType,
        /// What was seen, without secrets.
        detail: String,
    },
}

/// How a comparison ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Why.
    pub end: End,
    /// What was spent in all.
    pub spent: Money,
    /// What of that the judge cost.
    pub judge: Money,
    /// How many pairs were asked again.
    pub repeats: u64,
    /// How long it took, without the warm-up.
    pub took: Duration,
}

/// Asks all pairs, or as many as `stop` lets it; tells of each by `news`.
pub async fn compare(
    comparison: Comparison,
    clock: Clock,
    news: mpsc::Sender<News>,
    stop: watch::Receiver<bool>,
) -> Ended {
    warm_up();
    let (lanes, extra) = (comparison.concurrency.max(1), comparison.warm_up);
    let duration = comparison.duration;
    let house = Arc::new(House::new(comparison, clock, news));
    let watching = tokio::spawn(watch_stop(Arc::clone(&house), stop));
    let mut asked = 0;
    while asked < extra && !house.has_ended() {
        let some = lanes.min(extra - asked);
        join_all((asked..asked + some).map(|number| house.warm(number))).await;
        asked += some;
    }
    house.begin();
    let timer = duration.map(|duration| tokio::spawn(watch_time(Arc::clone(&house), duration)));
    let mut tasks = JoinSet::new();
    for _ in 0..lanes {
        let house = Arc::clone(&house);
        tasks.spawn(async move { house.lane().await });
    }
    while let Some(joined) = tasks.join_next().await {
        if let Err(error) = joined {
            tracing::error!(%error, "a lane broke off");
        }
    }
    watching.abort();
    if let Some(timer) = timer {
        timer.abort();
    }
    house.ended()
}

async fn watch_stop(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    // Whoever could stop it may be gone: then nobody will.
    if stop.wait_for(|is_stopped| *is_stopped).await.is_ok() {
        house.end(End::Interrupted);
    }
}

async fn watch_time(house: Arc<House>, duration: Duration) {
    tokio::time::sleep(duration).await;
    house.end(End::Time);
}
