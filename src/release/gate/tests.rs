//! Gates as a release meets them: blocks in, verdicts out.

use std::collections::BTreeMap;

use super::*;
use crate::model::{Money, Timestamp};
use crate::statistics::{Proportion, Totals};

fn proportion(number: f64) -> Proportion {
    Proportion::new(number).unwrap()
}

fn stakes(unit: Unit) -> Stakes {
    Stakes {
        rollback: proportion(0.01),
        advance: proportion(0.05),
        display: proportion(0.05),
        unit,
        planned_units: Some(960),
        samples_min: 300,
    }
}

fn gate(name: &str, subject: Subject) -> Gate {
    Gate { name: name.to_owned(), weight: 1, subject, counters: None }
}

fn errors() -> Gate {
    gate("errors", Subject::Errors { allowed: proportion(0.01) })
}

fn counts(candidate: (u64, u64), stable: (u64, u64)) -> Reading {
    let [candidate, stable] = [candidate, stable].map(|(bad, finished)| Totals { bad, finished });
    Reading::Counts(Arms { candidate, stable })
}

/// Gates, and the number of the next block.
struct Play {
    gates: Gates,
    number: u64,
}

impl Play {
    fn new(gates: &[Gate], unit: Unit) -> Self {
        Self { gates: Gates::new(gates, &stakes(unit)).unwrap(), number: 0 }
    }

    fn block(&mut self, readings: &[(&str, Reading)]) -> &mut Self {
        let readings: BTreeMap<String, Reading> =
            readings.iter().map(|(name, reading)| ((*name).to_owned(), *reading)).collect();
        let end = Timestamp::from_millis(15_000 * self.number as i64);
        self.gates.observe(&Block { number: self.number, end, readings });
        self.number += 1;
        self
    }

    /// So many blocks of the gate `errors`.
    fn errors(&mut self, blocks: u64, candidate: (u64, u64), stable: (u64, u64)) -> &mut Self {
        (0..blocks).for_each(|_| {
            self.block(&[("errors", counts(candidate, stable))]);
        });
        self
    }

    fn first(&self) -> Standing {
        self.gates.standings().remove(0)
    }

    fn ruling(&self) -> Ruling {
        self.gates.ruling()
    }
}

#[test]
fn without_outcomes_a_gate_neither_passes_nor_fails() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    assert_eq!(play.first().verdict, Verdict::Inconclusive(Cause::NoData));
    let standing = play.errors(1_000, (0, 0), (0, 0)).first();
    assert_eq!(standing.verdict, Verdict::Inconclusive(Cause::NoData));
    assert!(!standing.passes_on_time);
}

#[test]
fn a_release_without_gates_does_not_pass() {
    assert!(matches!(
        Gates::new(&[], &stakes(Unit::Probe)).unwrap().ruling(),
        Ruling::Inconclusive { .. }
    ));
}

#[test]
fn two_probes_that_fail_roll_back_and_421_good_ones_pass() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    // E(2/2) is 201.06 by the reference; half of the stake waits for later starts: 101.03.
    assert_eq!(play.first().needed_to_fail, Some(2));
    let one = play.errors(1, (1, 1), (0, 1)).first();
    assert_eq!(one.verdict, Verdict::Inconclusive(Cause::TooFew));
    assert_eq!(one.needed_to_fail, Some(1));
    let two = play.errors(1, (1, 1), (0, 1)).first();
    assert_eq!(two.verdict, Verdict::Fail);
    assert!((two.ln_bad.exp() - 101.03).abs() < 0.01, "{}", two.ln_bad.exp());
    assert_eq!(play.errors(900, (0, 1), (0, 1)).first().verdict, Verdict::Fail, "it is latched");

    let mut play = Play::new(&[errors()], Unit::Probe);
    assert_eq!(play.first().needed_to_pass, Some(421));
    let standing = play.errors(420, (0, 1), (0, 1)).first();
    assert_eq!(standing.verdict, Verdict::Inconclusive(Cause::Undecided));
    assert_eq!(standing.needed_to_pass, Some(1));
    assert!(standing.passes_on_time);
    assert_eq!(play.errors(1, (0, 1), (0, 1)).first().verdict, Verdict::Pass);
}

#[test]
fn fewer_outcomes_than_asked_for_pass_neither_on_evidence_nor_on_time() {
    let mut play =
        Play::new(&[gate("errors", Subject::Errors { allowed: proportion(0.1) })], Unit::Probe);
    // 41 good ones prove a share below 10 %; the stage asks for 300.
    let standing = play.errors(299, (0, 1), (0, 1)).first();
    assert_eq!(standing.verdict, Verdict::Inconclusive(Cause::TooFew));
    assert!(!standing.passes_on_time);
    assert_eq!(standing.needed_to_pass, Some(1));
    assert_eq!(play.errors(1, (0, 1), (0, 1)).first().verdict, Verdict::Pass);
}

#[test]
fn more_bad_than_allowed_do_not_pass_on_time() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(396, (0, 1), (0, 1)).errors(4, (1, 1), (0, 1));
    let at_limit = play.first();
    assert_eq!((at_limit.bad, at_limit.finished), (4, 400));
    // Four in a row at the end of a healthy stage: the later starts see them.
    assert_ne!(at_limit.verdict, Verdict::Pass);
    let mut play = Play::new(&[errors()], Unit::Probe);
    for _ in 0..5 {
        play.errors(79, (0, 1), (0, 1)).errors(1, (1, 1), (0, 1));
    }
    let over = play.first();
    assert_eq!((over.bad, over.finished), (5, 400));
    assert_eq!(over.verdict, Verdict::Inconclusive(Cause::Undecided));
    assert!(!over.passes_on_time);
}

/// Wilson's 95 % interval of 3 of 60 is 1.71 % to 13.70 %, all of it above the limit; that of 0 of 400
/// ends at 0.95 %, below it. Looked at after each request, it is wrong in a third of all stages at the
/// limit, so it decides nothing here; nor is it shown.
#[test]
fn wilsons_interval_neither_fails_nor_passes_a_gate() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    for _ in 0..3 {
        play.errors(19, (0, 1), (0, 1)).errors(1, (1, 1), (0, 1));
    }
    let above = play.first();
    assert_eq!((above.bad, above.finished), (3, 60));
    assert_ne!(above.verdict, Verdict::Fail);
    let (low, high) = (above.bounds.lower, above.bounds.upper);
    assert!(low < 0.01 && high > 0.137, "{low} to {high}");

    let mut play = Play::new(&[errors()], Unit::Probe);
    let below = play.errors(400, (0, 1), (0, 1)).first();
    assert_eq!(below.verdict, Verdict::Inconclusive(Cause::Undecided));
    assert!(below.bounds.upper > 0.01, "{}", below.bounds.upper);
}

#[test]
fn both_arms_bad_are_a_common_cause() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(20, (5, 10), (5, 10));
    assert_eq!(play.first().verdict, Verdict::Fail);
    assert_eq!(play.ruling(), Ruling::CommonCause { gate: "errors".to_owned() });
}

#[test]
fn a_candidate_that_is_worse_than_a_bad_stable_is_the_cause() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(20, (9, 10), (2, 10));
    assert_eq!(play.ruling(), Ruling::Fail { gate: "errors".to_owned() });
}

#[test]
fn a_bad_stable_alone_fails_nothing() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(50, (0, 10), (5, 10));
    assert_eq!(play.ruling(), Ruling::Pass);
}

#[test]
fn a_burst_of_one_minute_does_not_roll_traffic_back_and_an_outage_does() {
    let mut play = Play::new(&[errors()], Unit::Minute);
    // Half of a minute's thousand fail: one by one they would be 500 witnesses.
    play.errors(30, (2, 1_000), (2, 1_000)).errors(1, (500, 1_000), (2, 1_000));
    assert_eq!(play.first().verdict, Verdict::Inconclusive(Cause::Braked));
    // A total outage is found within minutes.
    let minutes = (1..30)
        .find(|_| play.errors(1, (1_000, 1_000), (2, 1_000)).first().verdict == Verdict::Fail);
    assert!(minutes.is_some_and(|minutes| minutes <= 5), "{minutes:?}");
}

#[test]
fn impossible_counts_are_left_out_and_decide_nothing() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(421, (0, 1), (0, 1));
    assert_eq!(play.ruling(), Ruling::Pass);
    let standing = play.errors(1, (3, 2), (0, 1)).first();
    assert_eq!(standing.verdict, Verdict::Inconclusive(Cause::Rejected));
    assert!(!standing.passes_on_time);
    assert_eq!((standing.finished, standing.rejected, standing.blocks), (421, 1, 422));
    assert_eq!(play.errors(1, (0, 1), (1, 0)).first().finished, 421, "nor those of stable");
    assert_eq!(play.errors(1, (0, 1), (0, 1)).ruling(), Ruling::Pass);
}

#[test]
fn a_block_that_is_missing_or_lost_is_inconclusive() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(421, (0, 1), (0, 1));
    play.number += 1;
    let standing = play.errors(1, (0, 1), (0, 1)).first();
    assert_eq!(standing.verdict, Verdict::Inconclusive(Cause::Rejected));
    assert_eq!((standing.finished, standing.rejected, standing.blocks), (422, 1, 423));
    assert_eq!(play.errors(1, (0, 1), (0, 1)).ruling(), Ruling::Pass);
    for lost in [&[("errors", Reading::Lost)][..], &[], &[("errors", Reading::Value(Some(0.0)))]] {
        let verdict = play.block(lost).first().verdict;
        assert_eq!(verdict, Verdict::Inconclusive(Cause::Rejected), "{lost:?}");
        assert_eq!(play.errors(1, (0, 1), (0, 1)).ruling(), Ruling::Pass);
    }
}

#[test]
fn a_gate_that_lost_more_than_one_block_of_twenty_does_not_pass() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    for _ in 0..60 {
        play.errors(10, (0, 1), (0, 1)).block(&[]).errors(1, (0, 1), (0, 1));
    }
    assert_eq!(play.first().verdict, Verdict::Inconclusive(Cause::ManyRejected));
}

#[test]
fn a_block_that_came_before_is_not_counted_twice() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(3, (0, 1), (0, 1));
    play.number = 1;
    let before = play.gates.clone();
    play.errors(2, (1, 1), (0, 1));
    assert_eq!(play.gates, before);
}

#[test]
fn a_failed_gate_stays_failed_when_blocks_are_lost() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(9, (1, 1), (0, 1)).block(&[]);
    assert_eq!(play.first().verdict, Verdict::Fail);
}

#[test]
fn failing_wins_over_inconclusive_and_passing() {
    let content = gate("content", Subject::Content { allowed: proportion(0.01) });
    let mut play = Play::new(&[errors(), content], Unit::Probe);
    for _ in 0..10 {
        play.block(&[("content", counts((10, 10), (0, 10)))]);
    }
    assert_eq!(play.ruling(), Ruling::Fail { gate: "content".to_owned() });
}

/// With two gates each has half of the 1 %: the threshold is 200, and by weights 3 : 1 it is 133
/// and 400. An expression has no part.
#[test]
fn the_chance_of_an_error_is_shared_out_by_weight() {
    let expression = gate(
        "value",
        Subject::Expression {
            expr: "up".to_owned(),
            pass: Bound::parse(">= 1").unwrap(),
            fail: Bound::parse("< 1").unwrap(),
            failures_in_a_row: 3,
        },
    );
    let content =
        |weight| Gate { weight, ..gate("content", Subject::Content { allowed: proportion(0.01) }) };
    let thresholds = |gates: &[Gate]| -> Vec<f64> {
        let standings = Play::new(gates, Unit::Probe).gates.standings();
        standings.iter().map(|standing| standing.ln_bad_threshold.exp().round()).collect()
    };
    assert_eq!(thresholds(&[errors(), content(1), expression.clone()]), [200.0, 200.0, 1.0]);
    assert_eq!(thresholds(&[Gate { weight: 3, ..errors() }, content(1)]), [133.0, 400.0]);
    assert_eq!(thresholds(&[errors(), expression]), [100.0, 1.0]);
}

#[test]
fn against_stable_fails_a_worse_candidate_whatever_both_suffer_from() {
    let against = gate("errors", Subject::AgainstStable);
    let mut play = Play::new(std::slice::from_ref(&against), Unit::Probe);
    assert_eq!(play.errors(100, (5, 10), (5, 10)).ruling(), Ruling::Pass);
    assert_eq!(play.errors(40, (9, 10), (5, 10)).first().verdict, Verdict::Fail);
    assert_eq!(play.ruling(), Ruling::Fail { gate: "errors".to_owned() });
    let mut play = Play::new(&[against], Unit::Probe);
    play.errors(100, (0, 10), (0, 2));
    assert_eq!(play.first().verdict, Verdict::Inconclusive(Cause::TooFew), "stable has 200");
    play.errors(50, (0, 10), (0, 2));
    assert_eq!(play.ruling(), Ruling::Pass);
}

#[test]
fn a_mean_cost_above_its_limit_fails_and_one_well_below_passes() {
    let cents = |cents: u64| Money::from_nanos(cents * 10_000_000);
    let cost = gate("cost", Subject::Cost { mean_max: cents(2), ceiling: cents(10) });
    let play = |each: u64, blocks: u64| {
        let mut play = Play::new(std::slice::from_ref(&cost), Unit::Minute);
        for _ in 0..blocks {
            play.block(&[("cost", Reading::Cost { spent: cents(100 * each), finished: 100 })]);
        }
        play.first()
    };
    let low = play(1, 240);
    assert_eq!(low.verdict, Verdict::Pass);
    assert!((low.value.unwrap() - 0.01).abs() < 1e-12);
    assert_eq!(play(8, 60).verdict, Verdict::Fail);
    // Money beyond the ceiling counts as the ceiling, not as an error.
    assert_eq!(play(50, 60).verdict, Verdict::Fail);
    let limit = play(2, 240);
    assert_eq!(limit.verdict, Verdict::Inconclusive(Cause::Undecided));
    assert!(limit.passes_on_time);
    let mut odd = Play::new(&[cost], Unit::Minute);
    odd.block(&[("cost", Reading::Cost { spent: cents(1), finished: 0 })]);
    assert_eq!(odd.first().verdict, Verdict::Inconclusive(Cause::Rejected));
}

#[test]
fn a_cost_limit_at_its_ceiling_or_of_nothing_is_refused() {
    for (mean_max, ceiling) in [(0, 5), (5, 5), (6, 5), (0, 0)] {
        let [mean_max, ceiling] = [mean_max, ceiling].map(Money::from_nanos);
        let cost = gate("cost", Subject::Cost { mean_max, ceiling });
        assert!(Gates::new(&[cost], &stakes(Unit::Minute)).is_err(), "{mean_max} {ceiling}");
    }
}

#[test]
fn an_expression_fails_only_after_failures_in_a_row() {
    let subject = Subject::Expression {
        expr: "queue_length".to_owned(),
        pass: Bound::parse("< 10").unwrap(),
        fail: Bound::parse("> 20").unwrap(),
        failures_in_a_row: 3,
    };
    let mut play = Play::new(&[gate("queue", subject)], Unit::Minute);
    let mut say = |value: Option<f64>| play.block(&[("queue", Reading::Value(value))]).first();
    assert_eq!(say(Some(5.0)).verdict, Verdict::Pass);
    assert_eq!(say(Some(15.0)).verdict, Verdict::Inconclusive(Cause::Between));
    assert_eq!(say(None).verdict, Verdict::Inconclusive(Cause::NoData));
    assert_eq!(say(Some(f64::NAN)).verdict, Verdict::Inconclusive(Cause::NoData));
    // Failures that are apart are not added up, however many there are.
    for _ in 0..50 {
        assert_eq!(say(Some(25.0)).verdict, Verdict::Inconclusive(Cause::Braked));
        assert_eq!(say(Some(25.0)).needed_to_fail, Some(1));
        assert_eq!(say(Some(5.0)).verdict, Verdict::Pass);
    }
    say(Some(25.0));
    say(Some(25.0));
    let failed = say(Some(25.0));
    assert_eq!((failed.verdict, failed.value), (Verdict::Fail, Some(25.0)));
    assert_eq!(say(Some(5.0)).verdict, Verdict::Fail);
}

#[test]
fn a_standing_reads_as_one_line() {
    let mut play = Play::new(&[errors()], Unit::Probe);
    play.errors(297, (0, 1), (0, 1)).errors(3, (1, 1), (0, 1)).block(&[]);
    let line = play.first().to_string();
    // 3 of 300 by the reference: 0.00051120 to 0.04463018, for exp(−0.988127983).
    assert!(line.starts_with("errors: inconclusive, rejected; 3 of 300 bad (0.05 % to 4.46 %)"));
    assert!(line.contains(" of 100, for 0.372 of 20; passes after "), "{line}");
    assert!(line.ends_with("1 of 301 blocks left out"), "{line}");
}

#[test]
fn the_same_blocks_give_the_same_state() {
    let run = || {
        let mut play = Play::new(&[errors()], Unit::Minute);
        for number in 0..300 {
            play.errors(1, (number % 3, 100 + number), (number % 2, 100));
        }
        let standing = play.first();
        (play.gates, standing.ln_bad.to_bits(), standing.ln_good.map(f64::to_bits))
    };
    assert_eq!(run(), run());
}
