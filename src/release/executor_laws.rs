//! What holds for executions: hand-made courses second by second, and a crash at every instant.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::rollbacks::tests::rollback;
use super::{
    Course, Does, Effect, OnError, Plan, Run, RunAction, RunEnd, RunEvent, RunMode, Step,
    StepResult, TryOutcome, What,
};
use crate::model::Timestamp;

const SECOND: Duration = Duration::from_secs(1);

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000) + Duration::from_millis(millis)
}

fn webhook() -> Effect {
    let Does::Call(webhook) = rollback().does else { panic!("it calls") };
    Effect::Webhook { webhook, is_rehearsed: false }
}

fn command() -> Effect {
    Effect::Command { argv: vec!["true".to_owned()], environment: vec![], rehearsal: None }
}

fn step(name: &str, effect: Effect) -> Step {
    Step {
        name: name.to_owned(),
        timeout: effect.timeout_default(),
        effect,
        on_error: OnError::Continue,
        moves_traffic: false,
    }
}

fn plan(steps: Vec<Step>) -> Arc<Plan> {
    Arc::new(Plan { steps, deadline: 60 * SECOND })
}

fn three() -> Arc<Plan> {
    plan(vec![step("move", webhook()), step("undo", command()), step("ask", Effect::Verify)])
}

fn run(mode: RunMode) -> Run {
    Run { rollback: "gpt-next".to_owned(), generation: 7, mode, id: "i".to_owned() }
}

/// A world whose answers are given: the outcome of each try, and how long it takes in milliseconds.
struct World<A> {
    now: u64,
    answer: A,
    /// Tries: when, which step, which try.
    tried: Vec<(u64, usize, u32)>,
    ended: Vec<(u64, String, StepResult)>,
    in_flight: Vec<(u64, usize, u32, TryOutcome)>,
}

fn good() -> (u64, TryOutcome) {
    (0, TryOutcome::Good { output: String::new() })
}

fn bad(retry_after: Option<Duration>, is_final: bool) -> (u64, TryOutcome) {
    (0, TryOutcome::Bad { output: "status 503".to_owned(), retry_after, is_final })
}

impl<A: FnMut(u64, usize, u32) -> (u64, TryOutcome)> World<A> {
    fn new(answer: A) -> Self {
        Self { now: 0, answer, tried: vec![], ended: vec![], in_flight: vec![] }
    }

    /// Runs to the end, or until so many actions were taken; the rest is then lost, as in a crash.
    fn go(&mut self, mut course: Course, actions_max: usize) -> Option<RunEnd> {
        let mut event = RunEvent::Tick;
        let mut taken = 0;
        loop {
            let (next, actions) = course.step(event, at(self.now));
            course = next;
            for action in actions {
                if taken == actions_max {
                    return None;
                }
                taken += 1;
                self.take(action);
            }
            if course.end().is_some() {
                return course.end();
            }
            let due = course.due().map(|due| due.since(at(0)).as_millis() as u64);
            let first = (0..self.in_flight.len()).min_by_key(|index| self.in_flight[*index].0);
            match first.filter(|index| due.is_none_or(|due| self.in_flight[*index].0 <= due)) {
                Some(index) => {
                    let (when, step, attempt, outcome) = self.in_flight.remove(index);
                    self.now = self.now.max(when);
                    event = RunEvent::Tried { step, attempt, outcome };
                }
                None => {
                    self.now = self.now.max(due.expect("an execution always ends"));
                    event = RunEvent::Tick;
                }
            }
        }
    }

    fn take(&mut self, action: RunAction) {
        match action {
            RunAction::Try { step, attempt, limit } => {
                assert!(limit > Duration::ZERO);
                self.tried.push((self.now, step, attempt));
                let (takes, outcome) = (self.answer)(self.now, step, attempt);
                let limit = u64::try_from(limit.as_millis()).unwrap();
                let outcome = if takes < limit { outcome } else { bad(None, false).1 };
                self.in_flight.push((self.now + takes.min(limit), step, attempt, outcome));
            }
            RunAction::Abandon { step } => self.in_flight.retain(|flight| flight.1 != step),
            RunAction::Record(entry) => {
                if let What::StepEnded { step, result, .. } = entry.what {
                    self.ended.push((self.now, step, result));
                }
            }
            RunAction::Finish(_) => {}
        }
    }

    fn results(&self) -> Vec<(u64, &str, StepResult)> {
        self.ended.iter().map(|(when, step, result)| (*when, step.as_str(), *result)).collect()
    }
}

fn fresh(plan: Arc<Plan>, mode: RunMode) -> Course {
    Course::new(plan, run(mode), &BTreeSet::new(), at(0))
}

use StepResult::{Done, Failed, NotRehearsed, Skipped};

#[test]
fn a_plan_runs_in_order_and_ends_rolled_back_after_three_good_probes() {
    let mut world = World::new(|_, _, _| (100, good().1));
    let end = world.go(fresh(three(), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RolledBack));
    let tried = [(0, 0, 1), (100, 1, 1), (200, 2, 1), (300, 2, 2), (400, 2, 3)];
    assert_eq!(world.tried, tried);
    assert_eq!(world.results(), [(100, "move", Done), (200, "undo", Done), (500, "ask", Done)]);
}

/// Rests of 0.5, 1, 2, 3, 3, 3 and 3 s: the try at 15.5 s is the first after 15 s.
#[test]
fn a_webhook_that_is_down_for_15_s_is_called_until_it_is_up() {
    let up = |now| if now < 15_000 { bad(None, false) } else { good() };
    let mut world = World::new(|now, _, _| up(now));
    let end = world.go(fresh(three(), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RolledBack));
    let calls: Vec<u64> = world.tried.iter().filter(|try_| try_.1 == 0).map(|t| t.0).collect();
    assert_eq!(calls, [0, 500, 1500, 3500, 6500, 9500, 12_500, 15_500]);
}

#[test]
fn retry_after_is_heeded_where_the_steps_time_allows_and_ignored_where_not() {
    for (asked, second_at) in [(0, 500), (10, 10_000), (24, 24_000), (25, 500), (3600, 500)] {
        let asked = Some(asked * SECOND);
        let mut world =
            World::new(|_, _, attempt| if attempt == 1 { bad(asked, false) } else { good() });
        world.go(fresh(three(), RunMode::Real), usize::MAX);
        assert_eq!(world.tried[1], (second_at, 0, 2), "{asked:?}");
    }
}

#[test]
fn a_failed_step_is_reported_and_the_rest_still_runs() {
    let mut world = World::new(|_, step, _| if step == 0 { bad(None, true) } else { good() });
    let end = world.go(fresh(three(), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RollbackUnverified));
    assert_eq!(world.results(), [(0, "move", Failed), (0, "undo", Done), (0, "ask", Done)]);
}

#[test]
fn a_step_that_says_stop_keeps_those_behind_it_from_running() {
    let mut steps = Vec::clone(&three().steps);
    steps[0].on_error = OnError::Stop;
    let mut world = World::new(|_, step, _| if step == 0 { bad(None, true) } else { good() });
    let end = world.go(fresh(plan(steps), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RollbackUnverified));
    assert_eq!(world.results(), [(0, "move", Failed), (0, "undo", Skipped), (0, "ask", Skipped)]);
}

#[test]
fn a_step_that_moves_traffic_waits_for_nobody() {
    let mut steps = vec![step("undo", command()), step("move", webhook())];
    steps[1].moves_traffic = true;
    steps.push(step("ask", Effect::Verify));
    let takes = |step| if step == 0 { 20_000 } else { 0 };
    let mut world = World::new(|_, step, _| (takes(step), good().1));
    let end = world.go(fresh(plan(steps), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RolledBack));
    assert_eq!(world.results()[0], (0, "move", Done));
    assert_eq!(world.results()[2], (20_000, "ask", Done));
}

/// Each has 25 s, tries of 5 s and rests between them: 0, 5.5, 11.5, 18.5 and then no room for
/// another rest. The second step hangs for its 25 s; the verification has what is left of 60 s.
#[test]
fn every_limit_holds_where_nothing_answers() {
    let mut world = World::new(|_, _, _| (u64::MAX, good().1));
    let end = world.go(fresh(three(), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RollbackUnverified));
    let calls: Vec<u64> = world.tried.iter().filter(|try_| try_.1 == 0).map(|t| t.0).collect();
    assert_eq!(calls, [0, 5500, 11_500, 18_500]);
    assert_eq!(
        world.results(),
        [(23_500, "move", Failed), (48_500, "undo", Failed), (58_500, "ask", Failed)]
    );
}

#[test]
fn the_plans_deadline_skips_what_has_not_begun() {
    let short = Plan { deadline: 10 * SECOND, ..Plan::clone(&three()) };
    let mut world = World::new(|_, _, _| (u64::MAX, good().1));
    let end = world.go(fresh(Arc::new(short), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RollbackUnverified));
    assert_eq!(world.now, 10_000);
    let skipped = [(10_000, "undo", Skipped), (10_000, "ask", Skipped)];
    assert_eq!(world.results()[1..], skipped);
}

#[test]
fn a_bad_probe_begins_the_count_of_good_ones_anew() {
    let mut world = World::new(|_, _, attempt| match attempt {
        3 => bad(None, false),
        _ => good(),
    });
    let end = world.go(fresh(plan(vec![step("ask", Effect::Verify)]), RunMode::Real), usize::MAX);
    assert_eq!(end, Some(RunEnd::RolledBack));
    assert_eq!(world.tried.len(), 6);
}

#[test]
fn a_drill_leaves_out_what_has_no_form_for_it() {
    let mut world = World::new(|_, _, _| good());
    let end = world.go(fresh(three(), RunMode::Drill), usize::MAX);
    assert_eq!(end, Some(RunEnd::DrillPassed));
    let left_out = [(0, "move", NotRehearsed), (0, "undo", NotRehearsed), (0, "ask", Done)];
    assert_eq!(world.results(), left_out);
    let mut world = World::new(|_, _, _| bad(None, true));
    assert_eq!(world.go(fresh(three(), RunMode::Drill), usize::MAX), Some(RunEnd::DrillFailed));
}

#[test]
fn an_answer_to_an_abandoned_try_changes_nothing() {
    let (course, _) = fresh(three(), RunMode::Real).step(RunEvent::Tick, at(0));
    let (_, outcome) = bad(None, false);
    let bad = RunEvent::Tried { step: 0, attempt: 1, outcome };
    let (course, _) = course.step(bad, at(5000));
    let late = TryOutcome::Good { output: String::new() };
    let late = RunEvent::Tried { step: 0, attempt: 1, outcome: late };
    let (_, actions) = course.step(late, at(5001));
    assert_eq!(actions, []);
}

/// Stopped for 20 s in the middle of a verification that has 10: the try is lost, the rest of the
/// step's time is not. It ends with three good answers in a row after the standstill.
#[test]
fn time_in_which_the_process_stood_still_is_no_steps_fault() {
    let asking = plan(vec![step("ask", Effect::Verify)]);
    let (course, _) = fresh(Arc::clone(&asking), RunMode::Real).step(RunEvent::Tick, at(0));
    assert_eq!(course.due(), Some(at(1000)), "it looks every second");
    let (course, _) = course.step(RunEvent::Tick, at(1000));
    let (_, outcome) = bad(None, false);
    let lost = RunEvent::Tried { step: 0, attempt: 1, outcome };
    let (mut course, actions) = course.step(lost, at(21_000));
    assert!(!actions.iter().any(|action| matches!(action, RunAction::Finish(_))), "{actions:?}");
    for (attempt, millis) in [(2, 21_500), (3, 22_000), (4, 22_500)] {
        (course, _) = course.step(RunEvent::Tick, at(millis));
        let outcome = TryOutcome::Good { output: String::new() };
        (course, _) = course.step(RunEvent::Tried { step: 0, attempt, outcome }, at(millis));
    }
    assert_eq!(course.end(), Some(RunEnd::RolledBack));

    // The plan's own time waits as well, for the steps that have not begun.
    let course = fresh(three(), RunMode::Real);
    let (course, _) = course.step(RunEvent::Tick, at(0));
    let (course, _) = course.step(RunEvent::Tick, at(100_000));
    let outcome = TryOutcome::Good { output: String::new() };
    let (course, actions) =
        course.step(RunEvent::Tried { step: 0, attempt: 1, outcome }, at(100_000));
    assert_eq!(course.end(), None);
    assert!(
        actions.iter().any(|action| matches!(action, RunAction::Try { step: 1, .. })),
        "{actions:?}"
    );

    // A standstill of two hours is the end of it: what it speaks of may have passed.
    let (course, _) = fresh(asking, RunMode::Real).step(RunEvent::Tick, at(0));
    let (course, _) = course.step(RunEvent::Tick, at(7_200_000));
    assert_eq!(course.end(), Some(RunEnd::RollbackUnverified));
}

/// The process dies after every possible number of actions, of which the last may be on record or
/// not. What goes on from the record finishes, and repeats nothing that is acknowledged there.
#[test]
fn a_crash_at_any_instant_is_survived() {
    let mut crashes = 0;
    for actions_max in 0.. {
        let mut first = World::new(|_, _, _| (100, good().1));
        if first.go(fresh(three(), RunMode::Real), actions_max).is_some() {
            break;
        }
        crashes += 1;
        let recorded = first.ended.iter().filter(|ended| ended.2 == Done);
        let done: BTreeSet<String> = recorded.map(|ended| ended.1.clone()).collect();
        let mut second = World::new(|_, _, _| (100, good().1));
        let course = Course::new(three(), run(RunMode::Real), &done, at(0));
        assert_eq!(second.go(course, usize::MAX), Some(RunEnd::RolledBack), "{actions_max}");
        let repeated = second.tried.iter().map(|try_| ["move", "undo", "ask"][try_.1]);
        let repeated: BTreeSet<&str> = repeated.filter(|step| *step != "ask").collect();
        for step in ["move", "undo"] {
            assert_eq!(repeated.contains(step), !done.contains(step), "{step} after {actions_max}");
        }
    }
    assert!(crashes > 15, "{crashes}");
}
