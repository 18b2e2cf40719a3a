//! Scripts: what is refused, what holds when, and that chance comes from the seed.

use serde_json::json;

use super::super::draws::Draws;
use super::super::plan::plan;
use super::super::question::Question;
use super::super::route::Asked;
use super::super::{Behavior, Fault, Share};
use super::*;
use crate::model::Timestamp;
use crate::provider::Dialect;

#[test]
fn a_script_that_cannot_be_played_is_refused_with_its_place() {
    for (text, place, message) in [
        ("phases: [{after: 0s, tppt: 1s}]", "s.yml:1:22", "unknown field `tppt`"),
        ("modles: []", "s.yml:1:1", "unknown field `modles`"),
        (
            "phases:\n  - after: 0s\n    ttft: 3 lightyears\n",
            "s.yml:3:11",
            "invalid value: string \"3 lightyears\", expected a duration",
        ),
        ("phases:\n  - {after: 0s, jitter: 1.5}", "s.yml:2:25", "share `1.5` is not from 0 to 1"),
        ("phases: [{after: 0s, ttft: 300}]", "s.yml:1:28", "expected a duration"),
        ("phases: [{after: 0s, tokens: 0}]", "s.yml:1:1", "tokens `0` is not from 1 to 10000"),
        ("phases: [{after: 2s}, {after: 2s}]", "s.yml:1:1", "phase 2 begins after `2s`"),
        (
            "phases: [{after: 0s, faults: [{kind: rest}]}]",
            "s.yml:1:30",
            "fault kind `rest` is not known",
        ),
        (
            "phases: [{after: 0s, faults: [{kind: http}]}]",
            "s.yml:1:30",
            "needs a `status` from 400 to 599",
        ),
        (
            "phases: [{after: 0s, faults: [{kind: http, status: 200}]}]",
            "s.yml:1:30",
            "needs a `status`",
        ),
        (
            "phases: [{after: 0s, faults: [{kind: reset, status: 500}]}]",
            "s.yml:1:30",
            "not `reset`",
        ),
        (
            "phases: [{after: 0s, faults: [{kind: reset, share: 0.7}, {kind: stall, share: 0.4}]}]",
            "s.yml:1:1",
            "add up to `1.1",
        ),
        ("phases: [", "s.yml:", ""),
        ("- a", "s.yml:1:1", "invalid type"),
    ] {
        let mistake = parse_script("s.yml", text).unwrap_err().to_string();
        assert!(mistake.starts_with(place) && mistake.contains(message), "{text}\n{mistake}");
    }
}

#[test]
fn a_phase_keeps_what_it_does_not_write() {
    let script = parsed(
        "phases:\n\
         - {after: 0s, ttft: 200ms, tokens: 3}\n\
         - {after: 20s, faults: [{kind: reset, share: 0.5}]}\n\
         - {after: 1m, faults: [], ttft: 2s}\n",
    );
    let at = |seconds| script.behavior(Duration::from_secs(seconds));
    for (seconds, ttft_ms, faults) in [(0, 200, 0), (19, 200, 0), (20, 200, 1), (60, 2000, 0)] {
        let behavior = at(seconds);
        assert_eq!(behavior.ttft, Duration::from_millis(ttft_ms), "at {seconds}");
        assert_eq!(behavior.faults.len(), faults, "at {seconds}");
        assert_eq!(behavior.tokens, 3, "at {seconds}");
    }
    assert_eq!(at(30).faults[0].fault, Fault::Reset);
    assert_eq!(parsed("phases: [{after: 5s, tokens: 3}]").behavior(Duration::ZERO).tokens, 8);
}

#[test]
fn a_script_that_is_written_out_reads_back_the_same() {
    let script = parsed(
        "key: k\nmodels: [a, b]\nphases:\n\
         - {after: 0s, ttft: 200ms, jitter: 0.1, slow: {share: 0.03, ttft: 2s}}\n\
         - {after: 1m 30s, faults: [{kind: http, status: 429, retry_after: 3s, share: 0.25}, {kind: stall, share: 0.5, after_tokens: 0}]}\n",
    );
    let written = serde_yaml::to_string(&script).unwrap();
    assert_eq!(parsed(&written), script, "{written}");
    let written = serde_json::to_string(&script).unwrap();
    assert_eq!(parsed(&written), script, "{written}");
}

fn planned(behavior: &Behavior, seed: u64, number: u64) -> String {
    let body = json!({
        "model": "m", "stream": true, "messages": [{ "role": "user", "content": "exactly abc" }],
    });
    let question =
        Question::read(&Asked::of(Dialect::OpenaiChat), body.to_string().as_bytes()).unwrap();
    let now = Timestamp::from_millis(1_700_000_000_000);
    format!("{:?}", plan(&question, behavior, 1, number, now, Draws::of(seed, number)))
}

#[test]
fn the_same_seed_and_number_give_the_same_answer_and_others_do_not() {
    let script = parsed(
        "phases: [{after: 0s, ttft: 100ms, gap: 10ms, jitter: 0.5, faults: [{kind: stall, share: 0.5}]}]",
    );
    let behavior = script.behavior(Duration::ZERO);
    assert_eq!(planned(&behavior, 1, 1), planned(&behavior, 1, 1));
    assert_ne!(planned(&behavior, 1, 1), planned(&behavior, 2, 1));
    assert_ne!(planned(&behavior, 1, 1), planned(&behavior, 1, 2));
}

#[test]
fn faults_and_slow_answers_come_in_their_shares() {
    let script = parsed(
        "phases: [{after: 0s, slow: {share: 0.03, ttft: 2s}, faults: [{kind: reset, share: 0.2}, {kind: stall, share: 0.1}]}]",
    );
    let behavior = script.behavior(Duration::ZERO);
    let plans: Vec<String> = (0..10_000).map(|number| planned(&behavior, 42, number)).collect();
    let count = |part: &str| plans.iter().filter(|plan| plan.contains(part)).count();
    // Four standard deviations of a binomial count of 10,000.
    for (part, expected, spread) in [
        ("fault: Some(Reset)", 2000, 160),
        ("fault: Some(Stall)", 1000, 120),
        ("is_slow: true", 300, 70),
    ] {
        let seen = count(part);
        assert!(seen.abs_diff(expected) < spread, "{part}: {seen}");
    }
}

#[test]
fn jitter_keeps_a_time_within_its_part() {
    let time = Duration::from_millis(100);
    for number in 0..1000 {
        let mut draws = Draws::of(3, number);
        let jittered = draws.jittered(time, Share::new(0.2).unwrap());
        let within = Duration::from_millis(80)..=Duration::from_millis(120);
        assert!(within.contains(&jittered), "{jittered:?}");
        assert_eq!(draws.jittered(time, Share::NONE), time);
    }
}
