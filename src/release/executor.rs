//! What an execution of a plan does next.
//!
//! Each step is tried until it is acknowledged or its time is over: tries rest 0.5 s, doubling to
//! 3 s, and longer where the other side asks for it and the step's time allows. A step that failed
//! is reported and the rest runs, unless it says `stop`. When the plan's deadline comes, what is in
//! flight is abandoned and what has not begun is skipped.
//!
//! It ends as rolled back only if every step is acknowledged, the verification last. Anything else
//! is unverified: that stable answers does not say that traffic went there.
//!
//! Awkward cases: after a crash, steps that are acknowledged on record are not repeated, all others
//! are, by the same keys; the verification always is. The deadline counts anew from there: finishing
//! late is better than not at all. An answer to a try that was abandoned changes nothing. A process
//! that stood still, stopped or starved, could use none of that time: it looks at the clock every
//! second, and what is missing is added to every limit, or a step would fail that nobody tried.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::plan::{Effect, OnError, Plan};
use super::run::{LogEntry, OUTPUT_MAX, Run, RunEnd, RunMode, StepResult, What};
use crate::model::Timestamp;

const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// Nothing under way is left alone for longer, so that a standstill is seen.
const BEAT: Duration = Duration::from_secs(1);
/// What is later than this is no slow machine.
const LATE: Duration = Duration::from_secs(1);
/// A longer standstill is no interruption: as over a restart, what it speaks of may have passed.
const STANDSTILL_MAX: Duration = Duration::from_secs(3600);

/// Something that happened to an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunEvent {
    /// Time passed.
    Tick,
    /// A try ended.
    Tried {
        /// The step's position.
        step: usize,
        /// Which try of it, from 1.
        attempt: u32,
        /// What came of it.
        outcome: TryOutcome,
    },
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryOutcome {
    /// It is acknowledged.
    Good {
        /// What came back, without secrets.
        output: String,
    },
    /// It is not.
    Bad {
        /// Why, and what came back, without secrets.
        output: String,
        /// How long the other side asks to wait.
        retry_after: Option<Duration>,
        /// Whether another try cannot help.
        is_final: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAction {
    /// Write this down; nothing waits for it.
    Record(LogEntry),
    /// Try a step.
    Try {
        /// The step's position.
        step: usize,
        /// Which try of it, from 1.
        attempt: u32,
        /// For how long.
        limit: Duration,
    },
    /// Give up what is in flight for a step.
    Abandon {
        /// The step's position.
        step: usize,
    },
    /// It is over.
    Finish(RunEnd),
}

/// An execution under way.
#[derive(Clone, Debug)]
pub struct Course {
    plan: Arc<Plan>,
    run: Run,
    began_at: Timestamp,
    /// When the plan's time is over.
    deadline: Timestamp,
    /// When it last looked at the clock.
    looked_at: Timestamp,
    steps: Vec<Progress>,
    is_begun: bool,
    end: Option<RunEnd>,
}

#[derive(Clone, Debug)]
enum Progress {
    Waiting,
    Running { until: Timestamp, tries: u32, good: u32, rests_until: Option<Timestamp> },
    Ended { result: StepResult, why: String },
}

impl Course {
    /// Not begun yet. Steps of these names are acknowledged on record.
    pub fn new(plan: Arc<Plan>, run: Run, done: &BTreeSet<String>, now: Timestamp) -> Self {
        let progress = |step: &super::plan::Step| match step.effect {
            Effect::Verify => Progress::Waiting,
            Effect::Webhook { .. } | Effect::Command { .. } | Effect::File { .. } => {
                if done.contains(&step.name) {
                    Progress::Ended { result: StepResult::Done, why: "on record".to_owned() }
                } else {
                    Progress::Waiting
                }
            }
        };
        let steps = plan.steps.iter().map(progress).collect();
        let deadline = now + plan.deadline;
        let (began_at, looked_at) = (now, now);
        Self { plan, run, began_at, deadline, looked_at, steps, is_begun: false, end: None }
    }

    /// What it executes.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// Its names.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// How it ended, if it has.
    pub fn end(&self) -> Option<RunEnd> {
        self.end
    }

    /// Takes an event in. Returns what is to be done, in order.
    pub fn step(mut self, event: RunEvent, now: Timestamp) -> (Self, Vec<RunAction>) {
        let mut actions = Vec::new();
        if self.end.is_some() {
            return (self, actions);
        }
        if !self.is_begun {
            self.is_begun = true;
            let done = self.names(|progress| matches!(progress, Progress::Ended { .. }));
            actions.push(self.record(now, What::Begun { done }));
        }
        self.make_up(now);
        if let RunEvent::Tried { step, attempt, outcome } = event {
            self.tried(step, attempt, outcome, now, &mut actions);
        }
        self.keep_time(now, &mut actions);
        self.begin(now, &mut actions);
        self.finish(now, &mut actions);
        (self, actions)
    }

    /// When time alone changes something.
    pub fn due(&self) -> Option<Timestamp> {
        if self.end.is_some() {
            return None;
        }
        let due = self.steps.iter().filter_map(|progress| match progress {
            Progress::Running { until, rests_until, .. } => {
                Some(rests_until.map_or(*until, |rests| rests.min(*until)))
            }
            Progress::Waiting | Progress::Ended { .. } => None,
        });
        let due = due.min().map(|due| due.min(self.looked_at + BEAT));
        due.or((!self.is_begun).then_some(self.began_at))
    }

    /// Adds the time in which the process stood still to every limit.
    fn make_up(&mut self, now: Timestamp) {
        let stood_still = now.since(self.looked_at + BEAT);
        self.looked_at = now;
        if !(LATE..=STANDSTILL_MAX).contains(&stood_still) {
            return;
        }
        self.deadline = self.deadline + stood_still;
        for progress in &mut self.steps {
            if let Progress::Running { until, .. } = progress {
                *until = *until + stood_still;
            }
        }
    }

    fn tried(
        &mut self,
        step: usize,
        attempt: u32,
        outcome: TryOutcome,
        now: Timestamp,
        actions: &mut Vec<RunAction>,
    ) {
        let Some(Progress::Running { until, tries, good, rests_until }) = self.steps.get_mut(step)
        else {
            return;
        };
        if *tries != attempt || rests_until.is_some() {
            return;
        }
        let settings = &self.plan.steps[step];
        let name = settings.name.clone();
        let (is_good, output) = match &outcome {
            TryOutcome::Good { output } => (true, cut(output)),
            TryOutcome::Bad { output, .. } => (false, cut(output)),
        };
        let ended = match outcome {
            TryOutcome::Good { .. } => {
                *good += 1;
                *rests_until = Some(now);
                (*good >= settings.effect.good_tries()).then_some(StepResult::Done)
            }
            TryOutcome::Bad { retry_after, is_final, .. } => {
                *good = 0;
                let rests = now + pause(*tries, retry_after, *until, now);
                *rests_until = Some(rests);
                (is_final || rests >= *until).then_some(StepResult::Failed)
            }
        };
        let tried = What::Tried { step: name, attempt, is_good, output: output.clone() };
        actions.push(self.record(now, tried));
        if let Some(result) = ended {
            let why = if result == StepResult::Done { String::new() } else { output };
            self.end_step(step, result, why, now, actions);
        }
    }

    /// Ends what is out of time and starts tries that have rested.
    fn keep_time(&mut self, now: Timestamp, actions: &mut Vec<RunAction>) {
        for position in 0..self.steps.len() {
            let attempt_max = self.plan.steps[position].effect.attempt_max();
            let Progress::Running { until, tries, rests_until, .. } = &mut self.steps[position]
            else {
                continue;
            };
            if *until <= now {
                let why = format!("not acknowledged in time after {tries} tries");
                if rests_until.is_none() {
                    actions.push(RunAction::Abandon { step: position });
                }
                self.end_step(position, StepResult::Failed, why, now, actions);
            } else if rests_until.is_some_and(|rests| rests <= now) {
                *tries += 1;
                *rests_until = None;
                let limit = attempt_max.min(until.since(now));
                actions.push(RunAction::Try { step: position, attempt: *tries, limit });
            }
        }
    }

    /// Begins every step that waits for nobody any more, and skips those that never will.
    fn begin(&mut self, now: Timestamp, actions: &mut Vec<RunAction>) {
        let deadline = self.deadline;
        for position in 0..self.steps.len() {
            if !matches!(self.steps[position], Progress::Waiting) {
                continue;
            }
            let step = &self.plan.steps[position];
            let (name, limit) = (step.name.clone(), step.timeout);
            let is_free = self.steps[..position]
                .iter()
                .all(|before| matches!(before, Progress::Ended { .. }));
            if let Some(why) = self.bar(position, deadline, now) {
                let result = match self.run.mode {
                    RunMode::Drill if !step.effect.is_rehearsed() => StepResult::NotRehearsed,
                    RunMode::Drill | RunMode::Real | RunMode::Shift => StepResult::Skipped,
                };
                self.end_step(position, result, why, now, actions);
            } else if is_free || step.moves_traffic {
                let attempt_max = step.effect.attempt_max();
                let until = (now + limit).min(deadline);
                actions.push(self.record(now, What::StepBegun { step: name }));
                let limit = attempt_max.min(until.since(now));
                actions.push(RunAction::Try { step: position, attempt: 1, limit });
                self.steps[position] =
                    Progress::Running { until, tries: 1, good: 0, rests_until: None };
            }
        }
    }

    /// Why a step that waits never begins.
    fn bar(&self, position: usize, deadline: Timestamp, now: Timestamp) -> Option<String> {
        let effect = &self.plan.steps[position].effect;
        if self.run.mode == RunMode::Drill && !effect.is_rehearsed() {
            return Some("its `rehearsal` is `skip`".to_owned());
        }
        if deadline <= now {
            return Some("the plan's deadline came before it".to_owned());
        }
        let stopping = |at: &usize| {
            let failed = Progress::is_failed(&self.steps[*at]);
            failed && self.plan.steps[*at].on_error == OnError::Stop
        };
        let stopped_by = (0..position).find(stopping)?;
        Some(format!("step `{}` failed and says `stop`", self.plan.steps[stopped_by].name))
    }

    fn end_step(
        &mut self,
        position: usize,
        result: StepResult,
        why: String,
        now: Timestamp,
        actions: &mut Vec<RunAction>,
    ) {
        let attempts = match &self.steps[position] {
            Progress::Running { tries, .. } => *tries,
            Progress::Waiting | Progress::Ended { .. } => 0,
        };
        let step = self.plan.steps[position].name.clone();
        let ended = What::StepEnded { step, result, attempts, why: why.clone() };
        actions.push(self.record(now, ended));
        self.steps[position] = Progress::Ended { result, why };
    }

    fn finish(&mut self, now: Timestamp, actions: &mut Vec<RunAction>) {
        if !self.steps.iter().all(|progress| matches!(progress, Progress::Ended { .. })) {
            return;
        }
        let open = self.plan.steps.iter().zip(&self.steps).filter_map(|(step, progress)| {
            let Progress::Ended { result, why } = progress else { return None };
            match result {
                StepResult::Done | StepResult::NotRehearsed => None,
                StepResult::Failed => Some(format!("step `{}` failed: {why}", step.name)),
                StepResult::Skipped => Some(format!("step `{}` was skipped: {why}", step.name)),
            }
        });
        let open: Vec<String> = open.collect();
        let end = match (self.run.mode, open.is_empty()) {
            (RunMode::Real, true) => RunEnd::RolledBack,
            (RunMode::Real, false) => RunEnd::RollbackUnverified,
            (RunMode::Drill, true) => RunEnd::DrillPassed,
            (RunMode::Drill, false) => RunEnd::DrillFailed,
            (RunMode::Shift, true) => RunEnd::Shifted,
            (RunMode::Shift, false) => RunEnd::NotShifted,
        };
        self.end = Some(end);
        let took = now.since(self.began_at).as_millis();
        let took_ms = u64::try_from(took).unwrap_or(u64::MAX);
        actions.push(self.record(
            now,
            What::Ended { end, took_ms, why: open.join("; "), mark: self.plan.mark() },
        ));
        actions.push(RunAction::Finish(end));
    }

    fn names(&self, is: impl Fn(&Progress) -> bool) -> Vec<String> {
        let both = self.plan.steps.iter().zip(&self.steps);
        both.filter(|(_, progress)| is(progress)).map(|(step, _)| step.name.clone()).collect()
    }

    fn record(&self, now: Timestamp, what: What) -> RunAction {
        RunAction::Record(LogEntry {
            run: self.run.key(),
            id: self.run.id.clone(),
            rollback: self.run.rollback.clone(),
            mode: self.run.mode,
            at_ms: now.millis(),
            what,
        })
    }
}

impl Progress {
    fn is_failed(&self) -> bool {
        matches!(self, Self::Ended { result: StepResult::Failed, .. })
    }
}

/// How long a step rests after a bad try. What the other side asks for holds where it leaves time
/// for another try, and not otherwise.
fn pause(tries: u32, retry_after: Option<Duration>, until: Timestamp, now: Timestamp) -> Duration {
    let own = PAUSE_MIN.saturating_mul(1 << tries.saturating_sub(1).min(8)).min(PAUSE_MAX);
    let asked = retry_after.filter(|asked| *asked < until.since(now));
    asked.map_or(own, |asked| asked.max(own))
}

fn cut(text: &str) -> String {
    text.chars().take(OUTPUT_MAX).collect()
}
