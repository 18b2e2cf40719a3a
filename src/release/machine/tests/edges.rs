//! The edge cases of sequential tests, each as a release meets it.

use super::*;
use crate::release::gate::{Cause, Verdict};

/// Others pass what they know nothing of, or count it as a failure.
#[test]
fn no_outcomes_at_all_neither_pass_nor_fail_and_are_told() {
    let mut play = Play::new();
    play.ticks(11 * HOUR, NOTHING);
    assert_eq!((play.stage(), play.is("running")), (1, true));
    assert_eq!((play.hold(), &play.told[..]), (Some(&Hold::NoData), &[Notice::NoData][..]));
    let gate = &play.report().gates[0];
    assert_eq!((gate.ln_bad, gate.ln_good), (0.0, Some(0.0)));
    assert_eq!(gate.verdict, Verdict::Inconclusive(Cause::NoData));
}

#[test]
fn counts_that_cannot_be_are_left_out_and_decide_nothing() {
    let mut play = Play::new();
    play.ticks(420, GOOD);
    // Five of three, and one of none.
    for wrong in [((5, 3), (0, 1)), ((1, 0), (0, 1)), ((0, 1), (2, 1))] {
        play.ticks(1, wrong);
        let gate = &play.report().gates[0];
        assert_eq!((gate.bad, gate.finished), (0, 420));
        assert_eq!(gate.verdict, Verdict::Inconclusive(Cause::Rejected));
        assert!(play.rollbacks().is_empty() && play.stage() == 1);
    }
    assert_eq!(play.report().gates[0].rejected, 3);
    assert_eq!(play.ticks(1, GOOD).stage(), 2);
}

/// By the reference two failures are 201 to 1, of which half of the stake is in: the threshold of 100
/// is reached in that very tick, and what is good afterwards cannot take it back.
#[test]
fn good_outcomes_in_the_same_step_do_not_take_a_failure_back() {
    let mut play = Play::new();
    let mut blocks = vec![play.block(BAD), play.block(BAD)];
    blocks.extend((0..2 * HOUR).map(|_| play.block(GOOD)));
    play.step(&Evidence { blocks, ..Evidence::none() });
    assert_eq!(play.rollbacks(), [("next:1:rollback-1", &Trigger::Gate("errors".to_owned()))]);
}

/// An outage that both share is charged to nobody, also once it is over: the reference's rule would
/// roll back one good tick later. Being worse than stable is charged at any time.
#[test]
fn a_moment_in_which_both_fail_is_held_until_the_candidate_is_worse_or_somebody_counts_anew() {
    let mut play = Play::new();
    play.ticks(2, BOTH_BAD);
    assert_eq!((play.hold(), play.is("running")), (Some(&Hold::CommonCause), true));
    play.ticks(2 * HOUR, GOOD);
    assert_eq!((play.hold(), play.is("running")), (Some(&Hold::CommonCause), true));
    let mut worse = Play { state: play.state.clone(), ..Play::still(plan()) };
    (worse.now, worse.number) = (play.now, play.number);
    assert!((0..40).any(|_| worse.ticks(1, BAD).is("rolling_back")), "{:?}", worse.report());

    play.command(resume());
    assert_eq!((play.hold(), play.report().state), (None, "running"));
    play.ticks(420, GOOD);
    assert_eq!((play.stage(), play.report().gates[0].finished), (1, 420));
    assert_eq!(play.ticks(1, GOOD).stage(), 2);
}

/// Stable's good hours must not hide from the test over the whole release that both are bad now.
#[test]
fn a_common_cause_of_the_stage_holds_the_test_over_the_whole_release_too() {
    let mut play = Play::new();
    play.ticks(421, ((0, 1), (0, 50)));
    assert_eq!(play.stage(), 2);
    play.ticks(100, ((1, 2), (25, 50)));
    assert!(play.is("running") && play.rollbacks().is_empty(), "{:?}", play.report());
    assert_eq!(play.told, [Notice::CommonCause]);
}

/// Whether so many failures at most send it back.
fn goes_back(play: &mut Play, failures: u64) -> bool {
    (0..failures).any(|_| play.ticks(1, BAD).is("rolling_back"))
}

#[test]
fn trouble_rolls_back_in_every_state_in_which_the_candidate_has_traffic() {
    // While it is frozen.
    let mut frozen = Play::new();
    let freeze = || Evidence { freeze: Some("nights".to_owned()), ..Evidence::none() };
    frozen.tick_with(GOOD, freeze());
    assert_eq!(frozen.hold(), Some(&Hold::Frozen("nights".to_owned())));
    let back = (0..9).any(|_| frozen.tick_with(BAD, freeze()).is("rolling_back"));
    assert!(back, "{:?}", frozen.report());

    // While its floor is not over, and while a gate holds it.
    assert!(Play::new().ticks(2, BAD).is("rolling_back"));
    let stages = vec![Stage { samples_min: 1_000_000, ..stage(1) }];
    let mut held = Play::of(Plan { stages, ..plan() });
    assert_eq!(held.ticks(5 * HOUR, GOOD).hold(), Some(&Hold::Gate("errors".to_owned())));
    assert!(goes_back(&mut held, 12), "{:?}", held.report());

    // After its deadline, when it waits for somebody.
    let stages = vec![Stage { samples_min: 1_000_000, ..stage(1) }];
    let mut overdue = Play::of(Plan { stages, ..plan() });
    assert!(overdue.ticks(12 * HOUR, GOOD).is("paused"));
    assert!(goes_back(&mut overdue, 40), "{:?}", overdue.report());

    // While nobody was there: the outcomes of that time are looked at late.
    let mut late = Play::new();
    late.ticks(100, GOOD);
    let blocks: Vec<Block> = (0..9).map(|_| late.block(BAD)).collect();
    late.now = late.now + hours(1);
    late.step(&Evidence { blocks, ..Evidence::none() });
    assert!(late.is("rolling_back"), "{:?}", late.report());
}

/// Load changes what breaks, so each stage is judged by its own outcomes; and what an earlier
/// generation suffered is not charged to the next.
#[test]
fn nothing_is_pooled_over_a_rollback() {
    let mut play = Play::new();
    play.ticks(100, GOOD).ticks(9, BAD);
    play.step(&Evidence { rollback: Some(Outcome::Verified), ..Evidence::none() });
    play.command(start(Plan { generation: 2, ..plan() }));
    play.moved();
    let gate = &play.ticks(1, GOOD).report().gates[0];
    assert_eq!((gate.bad, gate.finished), (0, 1));
    // One more failure would be the tenth of the first generation, and is the first of this one.
    assert!(play.ticks(1, BAD).is("running"), "{:?}", play.report());
    play.ticks(400, GOOD);
    assert!(play.is("running") && play.told.len() == 2, "{:?}", play.told);
}

/// Above half of the traffic the candidate's outcomes are no longer compared with those of the early
/// stages: what is pooled stays as it was.
#[test]
fn a_stage_with_most_of_the_traffic_is_not_pooled_with_those_before() {
    let stages = vec![stage(1), stage(100)];
    let mut play = Play::of(Plan { stages, ..plan() });
    play.ticks(421, GOOD);
    assert_eq!(play.stage(), 2);
    let pooled = |play: &Play| match &play.state {
        State::Running(run) => run.whole.standings()[0].finished,
        other => panic!("{}", other.as_str()),
    };
    assert_eq!(pooled(&play), 421);
    play.ticks(50, GOOD);
    assert_eq!((pooled(&play), play.report().gates[0].finished), (421, 50));
}

/// Five of 400 are above the limit of 1 %, and far too few to roll back by: they hold the stage when
/// its time is over, and the record does not say that it passed.
#[test]
fn a_stage_passes_on_time_only_within_its_limit() {
    let mut play = Play::new();
    for number in 1..=4 * HOUR {
        play.ticks(1, if number % 80 == 40 { BAD } else { GOOD });
    }
    assert_eq!((play.stage(), play.hold()), (1, Some(&Hold::Gate("errors".to_owned()))));
    assert_eq!(play.report().passed_on, None);
}

/// A closed form of the same bets underflows here, and takes 3 % for less than 1 %.
#[test]
fn a_broken_candidate_with_a_million_outcomes_a_tick_never_passes() {
    let mut play = Play::new();
    play.ticks(1, ((30_000, 1_000_000), (0, 1_000_000)));
    assert!(play.is("rolling_back"));
    assert_eq!(play.report().gates[0].verdict, Verdict::Fail);
}
