//! What all lanes share, and how one pair is asked.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::arm::Side;
use super::{Comparison, End, Ended, News};
use crate::clock::Clock;
use crate::model::Money;
use crate::probe::{Check, Delivery, Target};
use crate::prober::attempt::{Attempt, Errand, carry_out};
use crate::prober::grading::{Circumstances, booked};
use crate::provider::{ErrorType, LimitKind, fields};
use crate::shadow::{
    self, Answer, Arm, Asking, Judgement, Pair, Prompt, Ruling, Said, Standing, Turn, asking,
    nonce, ruling, standing, wait,
};

/// A judge is asked for one word; some think before they say it.
const JUDGE_TOKENS_MAX: u32 = 256;
/// What a judge sees of each text, in characters.
const JUDGE_CHARS_MAX: usize = 8000;

#[derive(Debug)]
pub(super) struct House {
    comparison: Comparison,
    clock: Clock,
    news: mpsc::Sender<News>,
    sides: [Side; 2],
    judge: Option<Side>,
    next: AtomicUsize,
    /// Makes the nonces of this run: with those of the last one a cache could answer.
    salt: u32,
    repeats: AtomicU64,
    began: OnceLock<Instant>,
    state: Mutex<State>,
    /// Why it ends, once it does; the first to say so is right.
    ending: watch::Sender<Option<End>>,
}

/// What changes with each request. A lock and no channel: it is held for a few additions.
#[derive(Debug)]
struct State {
    purse: shadow::Purse,
    judge: Money,
    /// When the next pair may begin.
    slot: Option<Instant>,
}

impl House {
    pub fn new(comparison: Comparison, clock: Clock, news: mpsc::Sender<News>) -> Self {
        let sides = [comparison.stable.clone(), comparison.candidate.clone()].map(Side::new);
        let judge = comparison.judge.clone().map(Side::new);
        let state = State { purse: comparison.purse, judge: Money::ZERO, slot: None };
        Self {
            comparison,
            clock,
            news,
            sides,
            judge,
            next: AtomicUsize::new(0),
            salt: rand::random(),
            repeats: AtomicU64::new(0),
            began: OnceLock::new(),
            state: Mutex::new(state),
            ending: watch::Sender::new(None),
        }
    }

    /// The measured part begins.
    pub fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// It is to end; whoever said so before was right.
    pub fn end(&self, end: End) {
        self.ending.send_if_modified(|ending| {
            let is_first = ending.is_none();
            if is_first {
                *ending = Some(end);
            }
            is_first
        });
    }

    pub fn has_ended(&self) -> bool {
        self.ending.borrow().is_some()
    }

    /// What came of it, once all lanes are through.
    pub fn ended(&self) -> Ended {
        let end = self.ending.borrow().clone().unwrap_or(End::Complete);
        let took = self.began.get().map(Instant::elapsed).unwrap_or_default();
        let state = self.state();
        let (spent, judge) = (state.purse.spent(), state.judge);
        Ended { end, spent, judge, repeats: self.repeats.load(Ordering::Relaxed), took }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn side(&self, arm: Arm) -> &Side {
        match arm {
            Arm::Stable => &self.sides[0],
            Arm::Candidate => &self.sides[1],
        }
    }

    /// Asks pairs until there is none left or it ends.
    pub async fn lane(&self) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(turn) = self.comparison.turns.get(number).copied() else { return };
            if !self.wait_for_slot().await {
                return;
            }
            let Some(pair) = self.pair(number, turn).await else { return };
            if self.news.send(News::Pair(Box::new(pair))).await.is_err() {
                return;
            }
        }
    }

    /// Asks a pair that is left out.
    pub async fn warm(&self, number: usize) {
        let turns = &self.comparison.turns;
        if let Some(turn) = turns.get(number % turns.len().max(1)) {
            let turn = Turn { draw: rand::random(), ..*turn };
            let left_out = self.pair(number, turn).await;
            tracing::debug!(asked = left_out.is_some(), "a pair was asked to warm up");
        }
    }

    /// Waits for the next begin of a pair. A slot that was missed is not made up for: a burst would
    /// measure something else.
    async fn wait_for_slot(&self) -> bool {
        let Some(interval) = self.comparison.interval else { return !self.has_ended() };
        let slot = {
            let mut state = self.state();
            let now = Instant::now();
            let slot = state.slot.map_or(now, |slot| slot.max(now));
            state.slot = Some(slot + interval);
            slot
        };
        self.wait_until(slot).await
    }

    /// Waits; false where it ends before.
    async fn wait_until(&self, moment: Instant) -> bool {
        tokio::select! {
            biased;
            () = self.stopped() => false,
            () = sleep_until(moment) => true,
        }
    }

    async fn stopped(&self) {
        let mut ending = self.ending.subscribe();
        // The sender lives as long as this does.
        let told = ending.wait_for(Option::is_some).await.is_ok();
        tracing::trace!(told, "a comparison ends");
    }

    /// Asks one pair, again where a limit of our own is in the way; nothing where it ends before.
    async fn pair(&self, number: usize, turn: Turn) -> Option<Pair> {
        let prompt = self.comparison.prompts.get(turn.prompt)?;
        let word = nonce(turn.draw ^ self.salt);
        let prompt = Prompt { said: prompt.said.with_nonce(&word), ..prompt.clone() };
        let mut refusals = 0;
        loop {
            let is_last = refusals >= self.comparison.repeats_max;
            let at = self.began.get().map(Instant::elapsed).unwrap_or_default();
            let mut answers: [Option<Answer>; 2] = [None, None];
            let mut is_again = false;
            for arm in [turn.first, turn.first.other()] {
                let answer = self.half(arm, &prompt, &word).await?;
                match ruling(answer.outcome.error_type, answer.outcome.rate_limits.refused_by) {
                    Ruling::Counts => {}
                    Ruling::Again => {
                        refusals += 1;
                        self.back_off(arm, &answer, refusals).await;
                        is_again = true;
                    }
                    Ruling::Ends => {
                        self.end(End::Refused {
                            arm,
                            error_type: answer.outcome.error_type,
                            detail: answer.outcome.detail.clone(),
                        });
                        return None;
                    }
                }
                answers[usize::from(arm == Arm::Candidate)] = Some(answer);
                if is_again && !is_last {
                    break;
                }
            }
            if is_again && !is_last {
                self.repeats.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let [Some(stable), Some(candidate)] = answers else { return None };
            let judged = self.judged(&prompt, &stable, &candidate, turn).await;
            return Some(Pair {
                number,
                turn,
                prompt,
                at: at.as_secs_f64(),
                stable,
                candidate,
                judged,
            });
        }
    }

    async fn back_off(&self, arm: Arm, answer: &Answer, refusals: u32) {
        let wait = wait(answer.outcome.rate_limits.retry_after, refusals, rand::random());
        self.side(arm).pause(wait);
        let limit = answer.outcome.rate_limits.refused_by.unwrap_or(LimitKind::Rate).as_str();
        if self.news.send(News::Refused { arm, limit, wait }).await.is_err() {
            tracing::debug!("nobody takes news any more");
        }
    }

    /// Asks one arm; nothing where it ends before an answer is there.
    async fn half(&self, arm: Arm, prompt: &Prompt, word: &str) -> Option<Answer> {
        let side = self.side(arm);
        let delivery = self.comparison.stable.delivery;
        let asking = asking(&side.target, prompt, delivery, self.comparison.strictness);
        // Whoever planned this has seen that it can be told.
        let Asking { target, request, .. } = asking.ok()?;
        let estimate = shadow::price(&side.target, prompt, self.clock.now());
        let errand = Errand { request, nonce: word.to_owned(), is_taped: true };
        let (attempt, _) = self.ask(side, &target, &errand, estimate).await?;
        let is_stream = target.delivery == Delivery::Streamed;
        let fields = fields(attempt.tape.as_deref().unwrap_or_default(), is_stream);
        let (text, model) = (attempt.heard.text, attempt.heard.model);
        Some(Answer { outcome: attempt.outcome, text, model, fields })
    }

    /// Sends one request within the budget, once its arm may be asked; tells what was booked.
    async fn ask(
        &self,
        side: &Side,
        target: &Target,
        errand: &Errand,
        estimate: Option<Money>,
    ) -> Option<(Attempt, Money)> {
        while let Some(until) = side.paused_until() {
            if !self.wait_until(until).await {
                return None;
            }
        }
        if self.has_ended() {
            return None;
        }
        let reserved = estimate.unwrap_or_default();
        if !self.state().purse.reserve(reserved) {
            self.end(End::Budget);
            return None;
        }
        let circumstances = Circumstances::unscheduled(&self.clock);
        let cancel = self.stopped();
        let attempt =
            carry_out(target, side.line.as_ref(), &self.clock, circumstances, errand, cancel).await;
        let cost = booked(&attempt.outcome, attempt.was_sent());
        self.state().purse.settle(reserved, cost);
        let is_cancelled = attempt.outcome.error_type == ErrorType::Cancelled;
        (!is_cancelled).then_some((attempt, cost.unwrap_or(reserved)))
    }

    /// What the judge says, where there is one and both arms answered.
    async fn judged(
        &self,
        prompt: &Prompt,
        stable: &Answer,
        candidate: &Answer,
        turn: Turn,
    ) -> Option<Judgement> {
        let side = self.judge.as_ref()?;
        let is_answered =
            |answer: &Answer| standing(answer.outcome.error_type) == Standing::Answered;
        if !is_answered(stable) || !is_answered(candidate) {
            return None;
        }
        if stable.text.trim() == candidate.text.trim() {
            return Some(Judgement::Same);
        }
        let cut = |text: &str| text.chars().take(JUDGE_CHARS_MAX).collect::<String>();
        let (asked, stable, candidate) =
            (cut(&prompt.said.text()), cut(&stable.text), cut(&candidate.text));
        let question = shadow::question(&asked, &stable, &candidate, turn.is_swapped);
        let prompt = Prompt {
            id: String::new(),
            said: Said::Text(question),
            tokens_max: JUDGE_TOKENS_MAX,
            check: Check::Any,
            delivery: Some(Delivery::Whole),
        };
        let estimate = shadow::price(&side.target, &prompt, self.clock.now());
        for refusals in 1..=self.comparison.repeats_max.saturating_add(1) {
            let strictness = self.comparison.strictness;
            let Asking { target, request, .. } =
                asking(&side.target, &prompt, Delivery::Whole, strictness).ok()?;
            let errand = Errand { request, nonce: String::new(), is_taped: false };
            let (attempt, cost) = self.ask(side, &target, &errand, estimate).await?;
            self.state().judge += cost;
            if attempt.outcome.error_type != ErrorType::RateLimited {
                return Some(shadow::judgement(&attempt.heard.text, turn.is_swapped));
            }
            let hint: Option<Duration> = attempt.outcome.rate_limits.retry_after;
            side.pause(wait(hint, refusals, rand::random()));
        }
        Some(Judgement::Unclear)
    }
}
