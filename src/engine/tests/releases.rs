//! Releases in the engine: what they ask for, what is on record, and what a restart goes on with.

use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, at, errors, settings};
use crate::engine::{Ended, Engine, Event, Order, Settings, TURNS_MAX, What};
use crate::model::{Matcher, TargetId};
use crate::probe::Target;
use crate::provider::{ErrorType, SloClass};
use crate::release::gate::{Answer, Bound, Counter, Counters, Gate, Subject, Unit};
use crate::release::machine::{AdvanceOn, Basis, Plan, Sealed, Stage};
use crate::release::{
    self, Does, Effect, OnError, Probing, Question, Release, Rollback, RunEnd, RunMode, Step, Tick,
    Traffic, played_again,
};
use crate::routing::{Arm, Served};

const SECOND: Duration = Duration::from_secs(1);

/// A number of whatever kind is due.
fn number<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap()
}

/// 5 % and all, each for ten seconds at least; errors below 1 %.
fn plan(generation: u64) -> Sealed {
    let stage = |share| Stage {
        share,
        floor: 10 * SECOND,
        hold: 3_000 * SECOND,
        deadline: 6_000 * SECOND,
        samples_min: 100,
    };
    let plan = Plan {
        name: "next".to_owned(),
        generation,
        stable: vec![TargetId::new("stable")],
        candidate: vec![TargetId::new("candidate")],
        stages: vec![stage(5), stage(100)],
        gates: vec![Gate {
            name: "errors".to_owned(),
            weight: 1,
            counters: None,
            subject: Subject::Errors { allowed: number("0.01") },
        }],
        advance_on: AdvanceOn::Either,
        rollback_alpha: number("0.01"),
        advance_alpha: number("0.05"),
        unit: Unit::Probe,
        unit_length: SECOND,
        no_data_after: 60 * SECOND,
        bake: 100 * SECOND,
        rollback_deadline: 65 * SECOND,
        rollbacks_daily_max: 3,
        drill_above: 100,
        approval_above: None,
    };
    plan.seal().unwrap()
}

fn verify() -> release::Plan {
    let step = Step {
        name: "verify".to_owned(),
        effect: Effect::Verify,
        timeout: 10 * SECOND,
        on_error: OnError::Continue,
        moves_traffic: false,
    };
    release::Plan { steps: vec![step], deadline: 60 * SECOND }
}

/// The standard bench with a release whose traffic steps move.
fn with(traffic: Traffic, route: Option<&str>) -> Settings {
    let mut settings = settings(&[("rules.yml", super::bench::RULES)]);
    settings.releases = vec![Release {
        plan: plan(1),
        route: route.map(str::to_owned),
        probing: Probing { interval: 15 * SECOND, budget_daily: None },
        traffic,
        datasource: None,
        freezes: Vec::new(),
        drill_age_max: 3600 * SECOND,
        drill_took_max: 60 * SECOND,
        rollback_mark: verify().mark(),
    }];
    settings.rollbacks = vec![Rollback {
        name: "next".to_owned(),
        matchers: vec![Matcher::parse("severity=rollback").unwrap()],
        does: Does::Plan(Arc::new(verify())),
        ..settings.rollbacks[0].clone()
    }];
    settings.receivers.clear();
    settings.route = None;
    settings
}

fn stepped() -> Settings {
    with(Traffic::Steps(Arc::new(verify())), None)
}

fn order(bench: &mut Bench, what: What, now: i64) -> Result<&'static str, String> {
    let order = Order { release: "next".to_owned(), what, by: "ann (::1)".to_owned() };
    bench.handle(Event::Ordered(Box::new(order)), now);
    bench.engine.answer_to("next").map(|report| report.state)
}

fn ended(bench: &mut Bench, mode: RunMode, id: &str, end: RunEnd, now: i64) {
    let ended = Ended {
        rollback: "next".to_owned(),
        mode,
        id: id.to_owned(),
        end,
        took: SECOND,
        why: "step `verify` failed: 503".to_owned(),
        mark: verify().mark(),
    };
    bench.handle(Event::PlanEnded(Box::new(ended)), now);
}

/// A second with ten outcomes of each arm, so many of the candidate's bad.
fn second(bench: &mut Bench, second: i64, bad: usize) {
    for number in 0..10_usize {
        let now = second * 1000 + 50 * i64::try_from(number).unwrap();
        let class = if number < bad { SloClass::Bad } else { SloClass::Good };
        bench.finish("candidate", now, class);
        bench.finish("stable", now, SloClass::Good);
    }
    bench.handle(Event::Tick, second * 1000 + 1000);
}

fn started() -> Bench {
    let mut bench = Bench::new(stepped());
    assert_eq!(order(&mut bench, What::Start { force: false }, 10_000), Ok("running"));
    ended(&mut bench, RunMode::Shift, "next:1:stage-1", RunEnd::Shifted, 10_000);
    bench.take();
    bench
}

fn state(bench: &Bench) -> &'static str {
    bench.engine.releases(at(0))[0].state.as_str()
}

/// The notices that are told, as `event: severity`.
fn told(bench: &mut Bench, now: i64) -> Vec<String> {
    let mut settings = stepped();
    let standard = super::bench::settings(&[]);
    (settings.receivers, settings.route) = (standard.receivers, standard.route);
    let mut engine = Engine::new(settings, &[], at(0));
    engine.restore_releases(std::slice::from_ref(&bench.ticks));
    let mut heard = Bench { engine, ..Bench::new(stepped()) };
    heard.handle(Event::Tick, now);
    heard.handle(Event::Tick, now + 15_000);
    heard.handle(Event::Tick, now + 17_000);
    let bodies = heard.deliveries.iter().map(|delivery| {
        let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
        let labels = &body["alerts"][0]["labels"];
        let text = |name: &str| labels[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", text("release"), text("event"), text("severity"))
    });
    bodies.collect()
}

#[test]
fn a_release_asks_for_a_share_and_counts_from_when_it_is_set() {
    let mut bench = Bench::new(stepped());
    assert_eq!(order(&mut bench, What::Start { force: false }, 10_000), Ok("running"));
    assert_eq!(
        bench.take(),
        ["running: started by ann (::1) with 5 % of the traffic", "ask for 5 %"]
    );
    // Nobody is asked twice while an answer is due, and whoever fails is asked again.
    second(&mut bench, 10, 0);
    assert!(!bench.take().contains(&"ask for 5 %".to_owned()));
    ended(&mut bench, RunMode::Shift, "next:1:stage-1", RunEnd::NotShifted, 11_500);
    assert_eq!(bench.take().last().map(String::as_str), Some("ask for 5 %"));
    ended(&mut bench, RunMode::Shift, "next:1:stage-1", RunEnd::Shifted, 12_000);
    bench.take();
    // 421 good outcomes prove 1 %, ten a second.
    (12..54).for_each(|number| second(&mut bench, number, 0));
    assert!(!bench.take().contains(&"ask for 100 %".to_owned()));
    second(&mut bench, 54, 0);
    let passed = "running: stage 1 passed on evidence; the candidate gets 100 %";
    assert_eq!(bench.take(), [passed, "ask for 100 %"]);
    assert_eq!(told(&mut bench, 55_000), ["next stage: info"]);
}

#[test]
fn both_arms_are_watched_more_closely_from_the_start_until_the_candidate_is_out_of_danger() {
    let mut settings = stepped();
    let minute = |target: &Arc<Target>| Target { interval: 60 * SECOND, ..Target::clone(target) };
    settings.targets = settings.targets.iter().map(minute).map(Arc::new).collect();
    let watched = |bench: &Bench, now| -> Vec<(String, u64)> {
        let attentions = bench.engine.snapshot(at(now)).attentions().into_iter();
        attentions.map(|(id, one)| (id.to_string(), one.interval.as_secs())).collect()
    };
    let mut bench = Bench::new(settings);
    assert_eq!(watched(&bench, 9_000), []);
    assert_eq!(order(&mut bench, What::Start { force: false }, 10_000), Ok("running"));
    let both = [("candidate".to_owned(), 15), ("stable".to_owned(), 15)];
    assert_eq!(watched(&bench, 10_000), both);
    order(&mut bench, What::Pause, 11_000).unwrap();
    assert_eq!(watched(&bench, 11_000), both);
    order(&mut bench, What::RollBack, 12_000).unwrap();
    assert_eq!(watched(&bench, 12_000), []);
}

#[test]
fn a_candidate_that_fails_goes_back_by_a_decision_on_record() {
    let mut bench = started();
    (10..12).for_each(|number| second(&mut bench, number, 10));
    let said = bench.take();
    let begins =
        said.iter().position(|line| line.starts_with("rolling_back: rolled back by the gate"));
    let recorded = said.iter().position(|line| line == "record fired");
    assert!(begins < recorded && recorded.is_some(), "{said:?}");
    assert_eq!(said.last().map(String::as_str), Some("deliver to rollback/next"));
    let delivery = bench.deliveries.pop().unwrap();
    let body: serde_json::Value = serde_json::from_str(&delivery.body).unwrap();
    assert_eq!(body["data"]["alert"]["labels"]["gate"], "errors");
    assert!(body["data"]["reason"].as_str().unwrap().contains("10 of 10 bad"), "{body}");
    assert_eq!(told(&mut bench, 13_000), ["next rolling_back: critical"]);
    // Its failing outcomes begin nothing more.
    (12..14).for_each(|number| second(&mut bench, number, 10));
    assert!(bench.deliveries.is_empty());
    ended(&mut bench, RunMode::Real, &delivery.id, RunEnd::RolledBack, 15_000);
    assert_eq!(state(&bench), "rolled_back");
    assert_eq!(told(&mut bench, 16_000), ["next rolled_back: warning"]);
}

#[test]
fn a_rollback_that_nobody_verifies_pages_after_its_deadline() {
    let mut bench = started();
    assert_eq!(order(&mut bench, What::RollBack, 20_000), Ok("rolling_back"));
    assert_eq!(bench.engine.next_due().map(|due| due <= at(85_000)), Some(true));
    bench.handle(Event::Tick, 85_000);
    assert_eq!(state(&bench), "rollback_unverified");
    assert!(told(&mut bench, 86_000).contains(&"next rollback_unverified: critical".to_owned()));
    // A late proof is taken.
    ended(&mut bench, RunMode::Real, "x", RunEnd::RolledBack, 90_000);
    assert_eq!(state(&bench), "rolled_back");
}

#[test]
fn an_alert_goes_back_once_and_the_release_follows() {
    let mut bench = started();
    let slot = bench.engine.next_due().unwrap();
    assert!(slot.millis() <= 11_000, "the block comes first");
    bench.handle(Event::Scraped(vec![errors("candidate", 1.0)]), 24_000);
    (0..2).for_each(|round| bench.evaluate(26_000 + 15_000 * round));
    assert_eq!(state(&bench), "rolling_back");
    let rollbacks = bench.deliveries.iter().filter(|one| one.hook.is_rollback()).count();
    assert_eq!(rollbacks, 1);
    let why = bench.engine.releases(at(0))[0].report.clone().unwrap().why;
    assert!(why.contains("going back is under way") || why.contains("Broken"), "{why}");
}

#[test]
fn a_rollback_by_hand_that_nobody_announced_is_followed() {
    let mut bench = started();
    ended(&mut bench, RunMode::Real, "by-hand", RunEnd::RolledBack, 20_000);
    assert_eq!(state(&bench), "rolled_back");
    assert!(bench.deliveries.is_empty(), "what was carried out is not carried out again");
}

#[test]
fn nothing_rolls_back_while_bellwether_itself_is_unwell() {
    let mut bench = started();
    bench.health(false, false);
    (10..20).for_each(|number| second(&mut bench, number, 10));
    assert_eq!(state(&bench), "running");
    bench.health(true, false);
    (20..22).for_each(|number| second(&mut bench, number, 10));
    assert_eq!(state(&bench), "rolling_back");
}

#[test]
fn a_restart_goes_on_with_the_same_state_to_the_bit() {
    let mut bench = started();
    (10..40).for_each(|number| second(&mut bench, number, usize::from(number % 13 == 0)));
    let record: Vec<Tick> = bench.ticks.clone();
    let (state, _, differences) = played_again(&record).unwrap();
    assert!(differences.is_empty(), "{differences:?}");
    assert_eq!(state, bench.engine.releases(at(0))[0].state);
    // The next process counts on, and passes when the first would have.
    let mut next = Bench::new(stepped());
    assert!(next.engine.restore_releases(&[record]).is_empty());
    for number in 40..70 {
        second(&mut bench, number, 0);
        second(&mut next, number, 0);
    }
    assert_eq!(next.engine.releases(at(0))[0].state, bench.engine.releases(at(0))[0].state);
    // What readers see of its past is read from the record too.
    let past = bench.engine.releases(at(0))[0].past.clone();
    assert_eq!(next.engine.releases(at(0))[0].past, past);
    // What was carried out is not carried out anew.
    assert!(order(&mut next, What::Start { force: false }, 71_000).is_err());
}

#[test]
fn a_release_remembers_on_what_its_stages_passed_until_it_begins_anew() {
    let mut bench = started();
    order(&mut bench, What::Pause, 11_000).unwrap();
    order(&mut bench, What::Resume, 12_000).unwrap();
    order(&mut bench, What::Advance { force: false }, 13_000).unwrap();
    let status = &bench.engine.releases(at(14_000))[0];
    let passed: Vec<_> = status.past.passed.iter().collect();
    assert_eq!(passed, [(&1, &(at(13_000), Basis::Operator))]);
    let whys: Vec<&str> = status.past.turns.iter().map(|turn| turn.why.as_str()).collect();
    let last = whys.len() - 3;
    assert_eq!(
        whys[last..],
        [
            "paused by ann (::1)",
            "resumed by ann (::1)",
            "stage 1 passed on the word of ann (::1); the candidate gets 100 %"
        ]
    );
    // However much it comes through, a page can show it.
    for second in 0..20 {
        order(&mut bench, What::Pause, 14_000 + 2_000 * second).unwrap();
        order(&mut bench, What::Resume, 15_000 + 2_000 * second).unwrap();
    }
    let past = &bench.engine.releases(at(60_000))[0].past;
    assert_eq!((past.turns.len(), past.passed.len()), (TURNS_MAX, 1));
}

#[test]
fn a_record_that_was_changed_comes_out_otherwise_and_one_that_is_broken_is_named() {
    let mut bench = started();
    (10..13).for_each(|number| second(&mut bench, number, 0));
    let mut record = bench.ticks.clone();
    let last = record.len() - 1;
    record[last].evidence = record[last].evidence.replace("\"bad\":0", "\"bad\":1");
    let (_, _, differences) = played_again(&record).unwrap();
    assert_eq!(differences.len(), 1);
    record[1].evidence = "{".to_owned();
    assert_eq!(played_again(&record).unwrap_err(), record[1].number);
}

#[test]
fn the_routers_share_follows_at_once_and_falls_before_anything_else() {
    let mut bench = Bench::new(with(Traffic::Unattended, Some("chat")));
    order(&mut bench, What::Start { force: false }, 10_000).unwrap();
    let said = bench.take();
    assert!(said.contains(&"chat has 5 %".to_owned()), "{said:?}");
    order(&mut bench, What::Advance { force: false }, 11_000).unwrap();
    assert!(bench.take().contains(&"chat has 100 %".to_owned()));
    order(&mut bench, What::RollBack, 12_000).unwrap();
    assert!(bench.take().contains(&"chat has 0 %".to_owned()));
    assert_eq!(bench.engine.splits()[0].share, 0);
}

#[test]
fn a_gate_on_an_expression_reads_the_samples_at_the_end_of_each_block() {
    let mut settings = stepped();
    let gate = Gate {
        name: "queue".to_owned(),
        weight: 1,
        counters: None,
        subject: Subject::Expression {
            expr: "max(errors)".to_owned(),
            pass: Bound::parse("< 1").unwrap(),
            fail: Bound::parse("> 5").unwrap(),
            failures_in_a_row: 2,
        },
    };
    let sealed = Plan { gates: vec![gate], ..Plan::clone(&settings.releases[0].plan) };
    settings.releases[0].plan = sealed.seal().unwrap();
    settings.rules.clear();
    let mut bench = Bench::new(settings);
    order(&mut bench, What::Start { force: false }, 10_000).unwrap();
    ended(&mut bench, RunMode::Shift, "next:1:stage-1", RunEnd::Shifted, 10_000);
    bench.sample(10_500, &[("candidate", 0.0), ("stable", 9.0)]);
    bench.handle(Event::Tick, 11_000);
    assert_eq!(state(&bench), "running");
    bench.handle(Event::Tick, 12_000);
    assert_eq!(state(&bench), "rolling_back");
}

#[test]
fn a_reload_keeps_what_runs_under_its_sealed_plan() {
    let mut bench = started();
    second(&mut bench, 10, 0);
    let mut other = stepped();
    other.releases[0].plan = plan(2);
    bench.handle(Event::Reload(Box::new(other)), 11_500);
    let status = bench.engine.releases(at(0)).remove(0);
    assert_eq!(status.state.plan().unwrap().generation, 1);
    assert_eq!(status.settings.plan.generation, 2);
    assert_eq!(status.state.run().unwrap().standings()[0].finished, 10);
}

#[test]
fn a_large_stage_waits_for_a_drill_of_this_very_plan() {
    let mut settings = stepped();
    let sealed = Plan { drill_above: 10, ..Plan::clone(&settings.releases[0].plan) };
    settings.releases[0].plan = sealed.seal().unwrap();
    let mut bench = Bench::new(settings);
    order(&mut bench, What::Start { force: false }, 10_000).unwrap();
    ended(&mut bench, RunMode::Shift, "next:1:stage-1", RunEnd::Shifted, 10_000);
    let refused = order(&mut bench, What::Advance { force: false }, 11_000).unwrap_err();
    assert!(refused.contains("its rollback was never rehearsed"), "{refused}");
    ended(&mut bench, RunMode::Drill, "drill-1", RunEnd::DrillFailed, 12_000);
    let refused = order(&mut bench, What::Advance { force: false }, 12_000).unwrap_err();
    assert!(refused.contains("failed"), "{refused}");
    ended(&mut bench, RunMode::Drill, "drill-2", RunEnd::DrillPassed, 13_000);
    assert_eq!(order(&mut bench, What::Advance { force: false }, 13_000), Ok("running"));
    // An hour later it is too old.
    let old = bench.engine.releases(at(3_700_000)).remove(0).undrilled.unwrap();
    assert!(old.contains("older than 1h"), "{old}");
}

/// Counters of a gateway, read by its datasource.
fn counted(datasource: Option<release::Datasource>) -> Bench {
    let mut settings = with(Traffic::Unattended, Some("chat"));
    let counter = |arm: &str| Counter { bad: format!("bad_{arm}"), finished: format!("all_{arm}") };
    let mut plan = Plan::clone(&settings.releases[0].plan);
    plan.gates[0].counters =
        Some(Counters { candidate: counter("new"), stable: Some(counter("old")) });
    settings.releases[0].plan = plan.seal().unwrap();
    settings.releases[0].datasource = datasource;
    let mut bench = Bench::new(settings);
    order(&mut bench, What::Start { force: false }, 10_000).unwrap();
    bench.take();
    bench
}

fn prometheus() -> Option<release::Datasource> {
    Some(release::Datasource {
        url: "http://127.0.0.1:1".to_owned(),
        timeout: SECOND,
        http: crate::model::HttpSettings::default(),
    })
}

fn answer(bench: &mut Bench, block: u64, values: [f64; 4], now: i64) {
    let question = Question { release: "next".to_owned(), block, at: at(now), exprs: Vec::new() };
    let answers = values.map(Answer::Value).to_vec();
    bench.handle(Event::Answered(Box::new((question, answers))), now);
}

fn finished(bench: &Bench) -> (u64, u64) {
    let status = bench.engine.releases(at(0)).remove(0);
    let gate = status.state.run().unwrap().standings().remove(0);
    (gate.bad, gate.finished)
}

#[test]
fn counters_of_a_gateway_are_evidence_once_its_datasource_has_answered() {
    let mut bench = counted(prometheus());
    bench.handle(Event::Tick, 11_000);
    let question = "ask bad_new, all_new, bad_old, all_old".to_owned();
    assert!(bench.take().contains(&question));
    answer(&mut bench, 0, [3.0, 50.0, 0.0, 950.0], 11_200);
    assert_eq!(finished(&bench), (0, 0), "the first reading is where counting begins");
    bench.handle(Event::Tick, 12_000);
    answer(&mut bench, 1, [4.0, 150.0, 0.0, 2_850.0], 12_200);
    assert_eq!(finished(&bench), (1, 100));
    // One that does not answer loses its block and the next, and decides nothing.
    bench.handle(Event::Tick, 13_000);
    bench.handle(Event::Tick, 14_000);
    answer(&mut bench, 2, [40.0, 160.0, 0.0, 3_000.0], 14_100);
    assert_eq!((finished(&bench), state(&bench)), ((1, 100), "running"));
    answer(&mut bench, 3, [40.0, 170.0, 0.0, 3_000.0], 14_200);
    bench.handle(Event::Tick, 15_000);
    answer(&mut bench, 4, [80.0, 270.0, 0.0, 4_900.0], 15_100);
    assert_eq!(state(&bench), "rolling_back", "40 of 100 failed");
    let record = bench.ticks.clone();
    assert!(played_again(&record).unwrap().2.is_empty());
}

#[test]
fn counters_among_our_own_samples_need_nobody_else() {
    let mut bench = counted(None);
    let sample = |name: &str, value: f64| {
        (crate::model::Labels::from_pairs([(crate::model::Labels::NAME, name)]), value)
    };
    for (second, bad, all) in [(11, 3.0, 50.0), (12, 4.0, 150.0), (13, 4.0, 250.0)] {
        let samples = vec![
            sample("bad_new", bad),
            sample("all_new", all),
            sample("bad_old", 0.0),
            sample("all_old", 10.0 * all),
        ];
        bench.handle(Event::Scraped(samples), second * 1000 - 500);
        bench.handle(Event::Tick, second * 1000);
    }
    assert_eq!(finished(&bench), (1, 200));
}

fn served(arm: Arm, class: SloClass, now: i64) -> Served {
    let bad = class == SloClass::Bad;
    Served {
        route: crate::model::RouteId::new("chat"),
        arm,
        target: TargetId::new(if arm == Arm::Stable { "stable" } else { "candidate" }),
        finished: at(now),
        error_type: if bad { ErrorType::TruncatedStream } else { ErrorType::None },
        class,
        broke: None,
        status: Some(200),
        ttft: None,
        total: SECOND,
        usage: None,
        cost: None,
        attempts: 1,
        is_fail_over: false,
    }
}

#[test]
fn requests_of_clients_are_evidence_for_the_arm_that_they_were_meant_for() {
    let mut bench = Bench::new(with(Traffic::Unattended, Some("chat")));
    order(&mut bench, What::Start { force: false }, 10_000).unwrap();
    let mut all: Vec<Served> =
        (0..50).map(|_| served(Arm::Candidate, SloClass::Good, 10_500)).collect();
    all.push(served(Arm::Candidate, SloClass::Bad, 10_500));
    all.push(served(Arm::Stable, SloClass::Bad, 10_500));
    // Saved by stable: it counted where it failed. Excluded: it counts nowhere.
    all.push(Served { is_fail_over: true, ..served(Arm::Stable, SloClass::Bad, 10_500) });
    all.push(served(Arm::Candidate, SloClass::Excluded, 10_500));
    // Told late by another router: the stage had not begun.
    all.push(served(Arm::Candidate, SloClass::Bad, 9_999));
    let other = crate::model::RouteId::new("other");
    all.push(Served { route: other, ..served(Arm::Candidate, SloClass::Bad, 10_500) });
    bench.handle(Event::Served(all), 10_600);
    bench.handle(Event::Tick, 11_000);
    assert_eq!(finished(&bench), (1, 51));
    let tick: serde_json::Value =
        serde_json::from_str(&bench.ticks.last().unwrap().evidence).unwrap();
    let counted = &tick["blocks"][0]["readings"]["errors"]["counts"]["stable"];
    assert_eq!((&counted["bad"], &counted["finished"]), (&1.into(), &1.into()), "{tick}");
}
