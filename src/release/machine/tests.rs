//! Releases played step by step: what the state machines of others do wrong, and what ours promises.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::model::{TargetId, Timestamp};
use crate::release::gate::{Arms, Block, Bound, Gate, Reading, Subject, Unit};
use crate::release::{Doubt, Health};
use crate::statistics::{Proportion, Totals};

mod edges;

const TICK: Duration = Duration::from_secs(15);
const HOUR: u64 = 240;

fn hours(hours: u64) -> Duration {
    Duration::from_secs(3_600 * hours)
}

fn proportion(number: f64) -> Proportion {
    Proportion::new(number).unwrap()
}

fn stage(share: u8) -> Stage {
    let floor = Duration::from_secs(if share < 25 { 1_800 } else { 3_600 });
    Stage { share, floor, hold: hours(4), deadline: hours(12), samples_min: 300 }
}

fn plan() -> Plan {
    Plan {
        name: "next".to_owned(),
        generation: 1,
        stable: vec![TargetId::new("old")],
        candidate: vec![TargetId::new("new")],
        stages: [1, 5, 10, 25, 50, 100].map(stage).to_vec(),
        gates: vec![Gate {
            name: "errors".to_owned(),
            weight: 1,
            counters: None,
            subject: Subject::Errors { allowed: proportion(0.01) },
        }],
        advance_on: AdvanceOn::Either,
        rollback_alpha: proportion(0.01),
        advance_alpha: proportion(0.05),
        unit: Unit::Probe,
        unit_length: TICK,
        no_data_after: Duration::from_secs(300),
        bake: hours(24),
        rollback_deadline: Duration::from_secs(60),
        rollbacks_daily_max: 3,
        drill_above: 100,
        approval_above: None,
    }
}

fn start(plan: Plan) -> Command {
    let plan = plan.seal().unwrap();
    Command::Start { plan, by: "ann".to_owned(), force: false }
}

fn back() -> Command {
    Command::RollBack { by: "ann".to_owned() }
}

fn advance() -> Command {
    Command::Advance { by: "ann".to_owned(), force: false }
}

fn pause() -> Command {
    Command::Pause { by: "ann".to_owned() }
}

fn resume() -> Command {
    Command::Resume { by: "ann".to_owned() }
}

/// By an operator.
fn by_ann() -> Trigger {
    Trigger::Operator("ann".to_owned())
}

/// What came of one tick, as (bad, finished) of candidate and stable.
type Counts = ((u64, u64), (u64, u64));

const GOOD: Counts = ((0, 1), (0, 1));
const BAD: Counts = ((1, 1), (0, 1));
const BOTH_BAD: Counts = ((1, 1), (1, 1));
const NOTHING: Counts = ((0, 0), (0, 1));

struct Play {
    state: State,
    now: Timestamp,
    number: u64,
    keys: Vec<String>,
    told: Vec<Notice>,
    actions: Vec<Action>,
    report: Option<Report>,
}

impl Play {
    fn of(plan: Plan) -> Self {
        let mut play = Self::still(plan);
        play.moved();
        play
    }

    /// Whose traffic nobody has acknowledged.
    fn still(plan: Plan) -> Self {
        let mut play = Self {
            state: State::Idle,
            now: Timestamp::from_millis(1_700_000_000_000),
            number: 0,
            keys: Vec::new(),
            told: Vec::new(),
            actions: Vec::new(),
            report: None,
        };
        play.command(start(plan));
        play
    }

    fn new() -> Self {
        Self::of(plan())
    }

    /// Whoever moves traffic acknowledges what the stage asks for.
    fn moved(&mut self) {
        let asked = self.actions.iter().find_map(|action| match action {
            Action::SetShare { stage, .. } => Some(*stage),
            Action::RollBack { .. } | Action::Tell { .. } => None,
        });
        if let Some(stage) = asked {
            let (actions, report) = (self.actions.clone(), self.report.clone());
            let moved = Some(Moved { stage, failure: None });
            self.step(&Evidence { moved, ..Evidence::none() });
            (self.actions, self.report) = (actions, report);
        }
    }

    fn step(&mut self, evidence: &Evidence) -> &mut Self {
        let state = std::mem::replace(&mut self.state, State::Idle);
        let (state, actions, report) = state.step(evidence, self.now);
        self.state = state;
        for action in &actions {
            if let Action::Tell { key, .. } = action {
                self.keys.push(key.clone());
            }
            if let Action::Tell { notice, .. } = action
                && *notice != Notice::Stage
            {
                self.told.push(*notice);
            }
        }
        (self.actions, self.report) = (actions, Some(report));
        self
    }

    fn command(&mut self, command: Command) -> &mut Self {
        self.step(&Evidence { command: Some(command), ..Evidence::none() })
    }

    fn block(&mut self, ((bad, finished), (stable_bad, stable)): Counts) -> Block {
        self.now = self.now + TICK;
        let arms = Arms {
            candidate: Totals { bad, finished },
            stable: Totals { bad: stable_bad, finished: stable },
        };
        let readings = BTreeMap::from([("errors".to_owned(), Reading::Counts(arms))]);
        let number = self.number;
        self.number += 1;
        Block { number, end: self.now, readings }
    }

    /// One tick, with whatever else is true.
    fn tick_with(&mut self, counts: Counts, evidence: Evidence) -> &mut Self {
        let blocks = vec![self.block(counts)];
        self.step(&Evidence { blocks, ..evidence });
        self.moved();
        self
    }

    fn ticks(&mut self, ticks: u64, counts: Counts) -> &mut Self {
        (0..ticks).for_each(|_| {
            self.tick_with(counts, Evidence::none());
        });
        self
    }

    fn report(&self) -> &Report {
        self.report.as_ref().expect("a step was made")
    }

    fn hold(&self) -> Option<&Hold> {
        self.report().hold.as_ref()
    }

    fn is(&self, state: &str) -> bool {
        self.state.as_str() == state
    }

    fn stage(&self) -> usize {
        match &self.state {
            State::Running(run) | State::Paused { run, .. } | State::Completed { run, .. } => {
                run.stage_number()
            }
            other => panic!("{} has no stage", other.as_str()),
        }
    }

    fn rollbacks(&self) -> Vec<(&str, &Trigger)> {
        let each = self.actions.iter().filter_map(|action| match action {
            Action::RollBack { key, trigger, .. } => Some((key.as_str(), trigger)),
            Action::SetShare { .. } | Action::Tell { .. } => None,
        });
        each.collect()
    }

    /// The shares that are asked for.
    fn asked(&self) -> Vec<(&str, u8)> {
        let each = self.actions.iter().filter_map(|action| match action {
            Action::SetShare { key, share, .. } => Some((key.as_str(), *share)),
            Action::RollBack { .. } | Action::Tell { .. } => None,
        });
        each.collect()
    }

    /// Healthy until every stage has passed.
    fn complete(&mut self) -> &mut Self {
        (0..6 * 4 * HOUR).any(|_| self.ticks(1, GOOD).is("completed"));
        self
    }
}

#[test]
fn stages_pass_on_evidence_one_after_the_other_and_the_record_says_so() {
    let mut play = Play::new();
    assert_eq!(play.asked(), [("next:1:stage-1", 1)]);
    // 421 good outcomes prove the limit; the floor of half an hour is over long before.
    play.ticks(420, GOOD);
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::TooSoon)));
    play.ticks(1, GOOD);
    assert_eq!(play.report().passed_on, Some(Basis::Evidence));
    assert_eq!(play.asked(), [("next:1:stage-2", 5)]);
    play.complete();
    assert!(play.is("completed"));
    assert_eq!(play.told, [Notice::Completed]);
}

#[test]
fn counts_begin_anew_with_each_stage() {
    let mut play = Play::new();
    play.ticks(421, GOOD).ticks(1, GOOD);
    assert_eq!((play.stage(), play.report().gates[0].finished), (2, 1));
}

#[test]
fn a_floor_holds_whatever_the_evidence() {
    let mut play = Play::new();
    // Ten a tick: 421 after 43 ticks, the floor is 120.
    play.ticks(119, ((0, 10), (0, 10)));
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::TooSoon)));
    assert_eq!(play.ticks(1, ((0, 10), (0, 10))).stage(), 2);
}

#[test]
fn time_passes_a_stage_without_evidence_either_way_and_the_record_says_so() {
    let mut play = Play::new();
    // One bad of 200 is within the limit and proves nothing in 960.
    for number in 1..4 * HOUR {
        play.ticks(1, if number % 200 == 0 { BAD } else { GOOD });
    }
    assert_eq!(play.stage(), 1);
    play.ticks(1, GOOD);
    assert_eq!((play.stage(), play.report().passed_on), (2, Some(Basis::Time)));
}

#[test]
fn a_plan_for_evidence_alone_does_not_pass_on_time_nor_the_other_way_round() {
    let mut play = Play::of(Plan { advance_on: AdvanceOn::Evidence, ..plan() });
    for number in 1..=8 * HOUR {
        play.ticks(1, if number % 150 == 0 { BAD } else { GOOD });
        assert_ne!(play.report().passed_on, Some(Basis::Time));
    }
    let mut play = Play::of(Plan { advance_on: AdvanceOn::Time, ..plan() });
    play.ticks(4 * HOUR - 1, GOOD);
    assert_eq!(play.stage(), 1);
    assert_eq!(play.ticks(1, GOOD).report().passed_on, Some(Basis::Time));
}

#[test]
fn a_stage_that_passes_neither_way_pauses_at_its_deadline_and_says_so_once() {
    // One bad of 80 is more than allowed, and in two hours too little to roll back.
    let stage = Stage { hold: hours(1), deadline: hours(2), ..stage(1) };
    let mut play = Play::of(Plan { stages: vec![stage], ..plan() });
    for number in 0..2 * HOUR {
        play.ticks(1, if number % 80 == 40 { BAD } else { GOOD });
    }
    assert!(play.is("paused"), "{:?}", play.report());
    assert_eq!(play.told, [Notice::Deadline]);
    play.ticks(50, GOOD);
    assert!(play.is("paused"));
    assert_eq!(play.told, [Notice::Deadline]);
}

#[test]
fn a_candidate_that_fails_is_rolled_back_and_stable_is_verified() {
    let mut play = Play::new();
    play.ticks(100, GOOD).ticks(9, BAD);
    assert!(play.is("rolling_back"), "{:?}", play.report());
    play.step(&Evidence { rollback: Some(Outcome::Verified), ..Evidence::none() });
    assert!(play.is("rolled_back"));
    assert_eq!(play.told, [Notice::RollingBack, Notice::RolledBack]);
}

#[test]
fn trouble_while_it_bakes_rolls_back_and_after_it_no_more() {
    let mut play = Play::new();
    play.complete().ticks(100, GOOD);
    assert!((0..12).any(|_| play.ticks(1, BAD).is("rolling_back")), "{:?}", play.report());

    let mut play = Play::new();
    play.complete();
    play.now = play.now + hours(24);
    play.ticks(100, BAD);
    assert!(play.is("completed"));
    play.command(back());
    assert_eq!(play.rollbacks(), [("next:1:rollback-1", &by_ann())]);
}

#[test]
fn an_alert_rolls_back_at_once() {
    let mut play = Play::new();
    play.tick_with(GOOD, Evidence { alert: Some("Broken".to_owned()), ..Evidence::none() });
    assert_eq!(play.rollbacks(), [("next:1:rollback-1", &Trigger::Alert("Broken".to_owned()))]);
}

#[test]
fn a_bad_stable_holds_a_failed_gate_and_it_is_said_once() {
    let mut play = Play::new();
    let stable_bad = || Evidence { stable: Health::Bad, ..Evidence::none() };
    (0..15).for_each(|_| {
        play.tick_with(BAD, stable_bad());
    });
    assert_eq!(play.hold(), Some(&Hold::CommonCause));
    assert_eq!(play.told, [Notice::CommonCause]);
    // As soon as stable is well, it goes back.
    play.tick_with(BAD, Evidence { stable: Health::Good, ..Evidence::none() });
    assert!(play.is("rolling_back"));
}

#[test]
fn a_day_with_as_many_rollbacks_as_it_may_have_holds_the_next_but_not_an_operator() {
    let mut play = Play::new();
    let full = || Evidence { rollbacks_in_last_day: 3, ..Evidence::none() };
    (0..15).for_each(|_| {
        play.tick_with(BAD, full());
    });
    assert_eq!(play.hold(), Some(&Hold::Capped));
    assert_eq!(play.told, [Notice::Capped]);
    play.step(&Evidence { command: Some(back()), ..full() });
    assert!(play.is("rolling_back"));
}

#[test]
fn what_cannot_be_trusted_neither_rolls_back_nor_passes() {
    let mut play = Play::new();
    let doubt = || Evidence { doubt: Some(Doubt::CanaryRed), ..Evidence::none() };
    (0..500).for_each(|_| {
        play.tick_with(BAD, doubt());
    });
    assert!(play.is("running"));
    // Nothing of it was counted.
    assert_eq!(play.ticks(1, GOOD).report().gates[0].finished, 1);
    // A gate that failed before is held while that lasts, and people are told.
    play.ticks(8, BAD);
    let mut held = Play::new();
    (0..7).for_each(|_| {
        held.tick_with(BAD, Evidence { stable: Health::Bad, ..Evidence::none() });
    });
    held.tick_with(BAD, doubt());
    assert_eq!((held.hold(), held.told.last()), (Some(&Hold::Doubtful), Some(&Notice::Doubtful)));
}

#[test]
fn a_freeze_stops_passing_and_never_going_back() {
    let mut play = Play::new();
    (0..13 * HOUR).for_each(|_| {
        let freeze = Some("holidays".to_owned());
        play.tick_with(GOOD, Evidence { freeze, ..Evidence::none() });
    });
    assert_eq!(play.hold(), Some(&Hold::Frozen("holidays".to_owned())));
    assert_eq!((play.stage(), play.is("running")), (1, true), "and its deadline waits");
    play.command(back());
    assert!(play.is("rolling_back"));
}

#[test]
fn maintenance_is_left_out_of_the_evidence_and_of_the_time() {
    let mut play = Play::new();
    play.ticks(HOUR, GOOD);
    (0..20 * HOUR).for_each(|_| {
        let maintenance = Some("openai".to_owned());
        play.tick_with(BAD, Evidence { maintenance, ..Evidence::none() });
    });
    assert_eq!(play.hold(), Some(&Hold::Maintenance("openai".to_owned())));
    assert!(play.is("running") && play.told.is_empty());
    play.ticks(1, GOOD);
    let gate = &play.report().gates[0];
    assert_eq!((gate.bad, gate.finished, gate.rejected), (0, 241, 0));
}

#[test]
fn silence_is_told_once_and_does_not_pass() {
    let mut play = Play::new();
    play.ticks(400, GOOD).ticks(5 * HOUR, NOTHING);
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::NoData)));
    assert_eq!(play.told, [Notice::NoData]);
}

#[test]
fn blocks_that_come_late_are_evaluated_and_not_skipped() {
    let (mut each, mut late) = (Play::new(), Play::new());
    each.ticks(50, GOOD).ticks(2, BAD);
    let mut blocks: Vec<Block> = (0..50).map(|_| late.block(GOOD)).collect();
    blocks.extend((0..2).map(|_| late.block(BAD)));
    late.step(&Evidence { blocks, ..Evidence::none() });
    assert_eq!(each.report().gates, late.report().gates);
}

#[test]
fn the_same_evidence_gives_the_same_states() {
    let run = || {
        let mut play = Play::new();
        for number in 0..2_000 {
            play.ticks(1, if number % 70 == 0 { BAD } else { GOOD });
        }
        (play.state, play.report.map(|report| report.gates))
    };
    assert_eq!(run(), run());
}

#[test]
fn the_whole_release_is_tested_beside_its_stages() {
    // 2.5 % bad: three bad of 120 are not enough for a stage of half an hour; some stages are.
    let stages = (1..=50).map(|share| Stage {
        share,
        floor: Duration::from_secs(60),
        hold: Duration::from_secs(1_800),
        deadline: hours(2),
        samples_min: 1,
    });
    let mut play = Play::of(Plan { stages: stages.collect(), ..plan() });
    for number in 0..50 * 120 {
        play.tick_with(if number % 40 == 5 { BAD } else { GOOD }, Evidence::none());
        if play.is("rolling_back") {
            break;
        }
        if number % 120 == 119 {
            play.command(advance());
        }
    }
    assert!(matches!(play.rollbacks()[..], [(_, Trigger::WholeRelease(_))]), "{:?}", play.report());
}

#[test]
fn a_plan_that_cannot_be_carried_out_is_not_sealed() {
    let refused = |plan: Plan| plan.seal().unwrap_err().to_string();
    let with = |stages: Vec<Stage>| Plan { stages, ..plan() };
    assert_eq!(refused(with(Vec::new())), "it has no stages");
    let none = Plan { gates: Vec::new(), ..plan() };
    assert_eq!(refused(none), "it has no gates, so no stage would ever pass");
    let shares = refused(with(vec![stage(10), stage(10)]));
    assert_eq!(shares, "stage 2: `10` percent is not above the 10 of the stage before");
    let share = refused(with(vec![stage(101)]));
    assert_eq!(share, "stage 1: `101` percent of the traffic is not from 1 to 100");
    let late = refused(with(vec![Stage { hold: hours(12), ..stage(1) }]));
    assert_eq!(late, "stage 1: the hold `12h` is not below the deadline `12h`");
}

// What Flagger's controller does, by its code.

/// There failed checks add up over the whole release, so a long one must fail by chance.
#[test]
fn flagger_1_a_long_release_does_not_fail_by_adding_up() {
    let mut play = Play::of(Plan { advance_on: AdvanceOn::Time, ..plan() });
    // 0.5 % bad, half of what is allowed: 28 failures over 24 hours.
    for number in 0..6 * 4 * HOUR {
        play.ticks(1, if number % 200 == 100 { BAD } else { GOOD });
        assert!(play.rollbacks().is_empty(), "{:?}", play.report());
    }
    assert!(play.is("completed"), "{:?}", play.report());
}

/// There a query that fails counts as a failed check: losing the metrics rolls back.
#[test]
fn flagger_2_losing_the_metrics_rolls_nothing_back() {
    let mut play = Play::new();
    for _ in 0..2 * HOUR {
        let block = Block { readings: BTreeMap::new(), ..play.block(GOOD) };
        play.step(&Evidence { blocks: vec![block], ..Evidence::none() });
        assert!(play.is("running") && play.rollbacks().is_empty());
    }
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::NoData)));
}

/// There a rollback by hand is a gate that is polled: while it can't be asked, it is impossible.
#[test]
fn flagger_4_an_operators_rollback_depends_on_nothing_else() {
    let mut play = Play::new();
    play.step(&Evidence {
        command: Some(back()),
        doubt: Some(Doubt::VantageSuspect),
        maintenance: Some("all".to_owned()),
        stable: Health::Bad,
        rollbacks_in_last_day: 100,
        ..Evidence::none()
    });
    assert_eq!(play.rollbacks(), [("next:1:rollback-1", &by_ann())]);
}

/// There hooks run after the state is stored, once: a crash between loses them.
#[test]
fn flagger_5_going_back_is_asked_for_with_one_key_until_its_outcome_is_known() {
    let mut play = Play::new();
    play.command(back());
    for _ in 0..3 {
        play.step(&Evidence::none());
        assert_eq!(play.rollbacks(), [("next:1:rollback-1", &by_ann())]);
    }
    play.step(&Evidence { rollback: Some(Outcome::Verified), ..Evidence::none() });
    assert!(play.is("rolled_back") && play.rollbacks().is_empty());
}

/// There all traffic went to a broken primary, and the only healthy copy was scaled to nothing.
#[test]
fn flagger_6_going_back_to_a_broken_stable_is_held_and_an_unproven_return_pages() {
    let mut play = Play::new();
    play.ticks(100, BOTH_BAD);
    assert!(play.is("running") && play.rollbacks().is_empty());
    assert_eq!(play.told, [Notice::CommonCause]);

    let mut play = Play::new();
    play.command(back());
    play.now = play.now + Duration::from_secs(60);
    play.step(&Evidence::none());
    assert!(play.is("rollback_unverified"));
    assert_eq!(play.told, [Notice::RollingBack, Notice::Unverified]);
    // An operator may try again, under another key.
    play.command(back());
    assert_eq!(play.rollbacks(), [("next:1:rollback-2", &by_ann())]);
    play.step(&Evidence { rollback: Some(Outcome::Unverified), ..Evidence::none() });
    assert!(play.is("rollback_unverified"));
    play.step(&Evidence { rollback: Some(Outcome::Verified), ..Evidence::none() });
    assert!(play.is("rolled_back"));
}

/// There a suspended canary is not looked at at all.
#[test]
fn flagger_8_a_paused_release_is_still_guarded() {
    let mut play = Play::new();
    play.ticks(100, GOOD).command(pause());
    assert!(play.is("paused"));
    play.ticks(9, BAD);
    assert!(play.is("rolling_back"), "{:?}", play.report());
}

// What Argo Rollouts does, by its code and documents.

/// There an analysis that is cut short counts as successful.
#[test]
fn argo_1_what_is_cut_short_has_not_passed() {
    let mut play = Play::new();
    play.ticks(200, GOOD).command(advance());
    // The record says who, and the next stage begins with nothing.
    assert_eq!((play.stage(), play.report().passed_on), (2, Some(Basis::Operator)));
    assert_eq!(play.report().gates[0].verdict.as_str(), "inconclusive");
    play.moved();
    assert_eq!(play.ticks(1, GOOD).report().gates[0].finished, 1);
}

/// There errors of the metrics' provider end in an abort after four in a row.
#[test]
fn argo_2_errors_are_no_failures_however_many_in_a_row() {
    let expression = Gate {
        name: "queue".to_owned(),
        weight: 1,
        counters: None,
        subject: Subject::Expression {
            expr: "queue".to_owned(),
            pass: Bound::parse("< 1").unwrap(),
            fail: Bound::parse(">= 1").unwrap(),
            failures_in_a_row: 4,
        },
    };
    let mut play = Play::of(Plan { gates: vec![expression], ..plan() });
    let mut say = |reading| {
        let readings = BTreeMap::from([("queue".to_owned(), reading)]);
        let block = Block { readings, ..play.block(GOOD) };
        play.step(&Evidence { blocks: vec![block], ..Evidence::none() });
        play.state.as_str()
    };
    (0..100).for_each(|_| assert_eq!(say(Reading::Lost), "running"));
    (0..3).for_each(|_| assert_eq!(say(Reading::Value(Some(2.0))), "running"));
    // The fourth failure counts, though errors lie between.
    (0..100).for_each(|_| assert_eq!(say(Reading::Lost), "running"));
    assert_eq!(say(Reading::Value(Some(2.0))), "rolling_back");
}

/// There an inconclusive analysis paused, and the end of the pause promoted it.
#[test]
fn argo_3_no_wait_ends_in_an_advance_while_a_gate_is_inconclusive() {
    // Stages that ask for more outcomes than there are.
    let stages = vec![Stage { samples_min: 1_000_000, ..stage(1) }, stage(100)];
    let mut play = Play::of(Plan { stages, ..plan() });
    play.ticks(5 * HOUR, GOOD);
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::Gate("errors".to_owned()))));
    play.command(pause()).ticks(20 * HOUR, GOOD).command(resume());
    play.ticks(5 * HOUR, GOOD);
    assert_eq!((play.stage(), play.is("running")), (1, true));
    play.ticks(8 * HOUR, GOOD);
    assert!(play.is("paused"));
    play.command(resume()).ticks(11 * HOUR, GOOD);
    assert_eq!((play.stage(), play.is("running")), (1, true));
}

/// There nothing remembers an abort but the object, so the same change is tried again.
#[test]
fn argo_4_what_was_rolled_back_does_not_start_again_by_itself() {
    let mut play = Play::new();
    let again = plan().seal().unwrap();
    let again = Command::Start { plan: again, by: "ann".to_owned(), force: false };
    play.command(again.clone());
    assert_eq!(play.hold(), Some(&Hold::Refused), "while it runs");
    play.command(back());
    play.step(&Evidence { rollback: Some(Outcome::Verified), ..Evidence::none() });
    play.ticks(10 * HOUR, GOOD);
    assert!(play.is("rolled_back"));
    play.command(again);
    assert!(play.is("rolled_back"));
    assert_eq!(play.hold(), Some(&Hold::Refused));
    play.command(start(Plan { generation: 2, ..plan() }));
    assert!(play.is("running"));
    assert_eq!(play.asked(), [("next:2:stage-1", 1)]);
}

/// There each replica tells, since what was told is a note on the object.
#[test]
fn argo_5_what_is_told_has_a_key_that_a_second_telling_shares() {
    let told = || {
        let mut play = Play::new();
        (0..15).for_each(|_| {
            play.tick_with(BAD, Evidence { stable: Health::Bad, ..Evidence::none() });
        });
        play.keys
    };
    assert_eq!(told(), ["next:1:stage-1:stage", "next:1:stage-1:common_cause"]);
    assert_eq!(told(), told());
}

#[test]
fn a_stage_counts_from_when_its_traffic_is_acknowledged_and_asks_until_then() {
    let mut play = Play::still(plan());
    for _ in 0..3 {
        let blocks = vec![play.block(GOOD)];
        play.step(&Evidence { blocks, ..Evidence::none() });
        assert_eq!(
            (play.hold(), play.asked()),
            (Some(&Hold::NotMoved), vec![("next:1:stage-1", 1)])
        );
    }
    assert!(play.told.is_empty(), "45 s are no reason to wake anybody");
    let why = "step `weight` failed: 503";
    let moved = Some(Moved { stage: 1, failure: Some(why.to_owned()) });
    play.step(&Evidence { moved, ..Evidence::none() });
    assert_eq!(play.told, [Notice::NotMoved]);
    assert!(play.report().why.ends_with(why), "{}", play.report().why);
    // An answer to another stage's request is none to this one's.
    play.step(&Evidence { moved: Some(Moved { stage: 2, failure: None }), ..Evidence::none() });
    assert_eq!(play.hold(), Some(&Hold::NotMoved));
    play.step(&Evidence { moved: Some(Moved { stage: 1, failure: None }), ..Evidence::none() });
    assert!(play.state.told().all(|(notice, _)| notice == Notice::Stage), "{:?}", play.state);
    play.ticks(420, GOOD);
    assert_eq!((play.stage(), play.report().gates[0].finished), (1, 420));
    play.ticks(1, GOOD);
    assert_eq!(play.stage(), 2);
}

#[test]
fn a_large_stage_waits_for_a_good_drill_and_the_advance_of_an_operator_does_too() {
    let stages = vec![stage(10), stage(25)];
    let mut play = Play::of(Plan { stages, drill_above: 10, ..plan() });
    let undrilled = || {
        let undrilled = Some("its rollback was never rehearsed".to_owned());
        Evidence { undrilled, ..Evidence::none() }
    };
    (0..500).for_each(|_| {
        play.tick_with(GOOD, undrilled());
    });
    assert!(matches!(play.hold(), Some(Hold::Drill(_))));
    assert_eq!((play.stage(), &play.told[..]), (1, &[Notice::Drill][..]));
    play.step(&Evidence { command: Some(advance()), ..undrilled() });
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::Refused)));
    let by_force = Command::Advance { by: "ann".to_owned(), force: true };
    let mut forced = Play { state: play.state.clone(), ..Play::still(plan()) };
    forced.step(&Evidence { command: Some(by_force), ..undrilled() });
    assert_eq!(forced.stage(), 2);
    assert_eq!(play.ticks(1, GOOD).stage(), 2, "as soon as there is one");
    // So does a start that is large at once.
    let mut play = Play::still(Plan { stages: vec![stage(100)], drill_above: 10, ..plan() });
    play.state = State::Idle;
    let command = Some(start(Plan { stages: vec![stage(100)], drill_above: 10, ..plan() }));
    play.step(&Evidence { command, ..undrilled() });
    assert_eq!((play.is("idle"), play.hold()), (true, Some(&Hold::Refused)));
}

#[test]
fn the_last_stage_may_want_the_word_of_a_second_person() {
    let stages = vec![stage(50), stage(100)];
    let mut play = Play::of(Plan { stages, approval_above: Some(50), ..plan() });
    play.ticks(500, GOOD);
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::Approval)));
    assert_eq!(play.told, [Notice::Approval]);
    let approve = |by: &str| Command::Approve { by: by.to_owned() };
    play.command(approve("ann"));
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::Refused)), "she started it");
    play.command(approve("bob"));
    assert_eq!((play.stage(), play.report().passed_on), (2, Some(Basis::Evidence)));
}

#[test]
fn a_plan_and_what_came_are_read_back_as_they_were_written() {
    let mut play = Play::new();
    let command = Some(start(plan()));
    let value = Reading::Value(Some(0.1 + 0.2));
    let mut block = play.block(BOTH_BAD);
    block.readings.insert("queue".to_owned(), value);
    let evidence = Evidence {
        blocks: vec![block],
        command,
        stable: Health::Bad,
        doubt: Some(Doubt::VantageSuspect),
        moved: Some(Moved { stage: 1, failure: Some("no".to_owned()) }),
        rollback: Some(Outcome::Unverified),
        ..Evidence::none()
    };
    let text = serde_json::to_string(&evidence).unwrap();
    assert_eq!(serde_json::from_str::<Evidence>(&text).unwrap(), evidence);
    let nothing = r#"{"stable":"unknown","rollbacks_in_last_day":0}"#;
    assert_eq!(serde_json::to_string(&Evidence::none()).unwrap(), nothing);
    assert!(serde_json::from_str::<Sealed>(&text).is_err());
}
