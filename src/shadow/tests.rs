//! Reports of pairs that are written by hand.

use std::time::Duration;

use super::{
    Answer, Arm, ArmFacts, Both, Frame, Limits, Metric, Pair, Prompt, RatioLimit, Report, RunFacts,
    Said, Tally, Texts, Turn, Word, markdown, page, text,
};
use crate::model::{Money, TargetId, Timestamp};
use crate::probe::{Check, Outcome, Phases, RateLimits, Usage};
use crate::provider::{ErrorType, Fields};
use crate::statistics::Proportion;

fn answer(error_type: ErrorType, ttft_ms: u64, nanos: u64, text: &str) -> Answer {
    let outcome = Outcome {
        target: TargetId::new("t"),
        sequence: 0,
        due: Timestamp::from_millis(0),
        finished: Timestamp::from_millis(0),
        lateness: Duration::ZERO,
        error_type,
        class: error_type.class(),
        detail: String::new(),
        broke: None,
        phases: Phases::default(),
        ttft: Some(Duration::from_millis(ttft_ms)),
        ttfo: None,
        time_per_output_token: None,
        gaps: Vec::new(),
        total: Duration::from_millis(2 * ttft_ms),
        status: Some(200),
        usage: Some(Usage { input: 10, output: 20, ..Usage::default() }),
        cost: Some(Money::from_nanos(nanos)),
        anomalies: Vec::new(),
        rate_limits: RateLimits::default(),
        certificate_expires: None,
        request_id: None,
        is_cold: false,
        is_conclusive: true,
        is_planned: false,
    };
    let fields = Fields::from(["id".to_owned(), format!("only_{nanos}")]);
    Answer { outcome, text: text.to_owned(), model: Some("<m>".to_owned()), fields }
}

fn pair(number: usize, stable: Answer, candidate: Answer) -> Pair {
    let prompt = Prompt {
        id: "p<1>".to_owned(),
        said: Said::Text("canary-prompt".to_owned()),
        tokens_max: 9,
        check: Check::Nonce,
        delivery: None,
    };
    let turn = Turn { prompt: 0, first: Arm::Stable, draw: 1, is_swapped: false };
    Pair { number, turn, prompt, at: 0.0, stable, candidate, judged: None }
}

fn frame(limits: Limits) -> Frame {
    let arm = |target: &str| ArmFacts {
        target: target.to_owned(),
        dialect: "openai_chat",
        ..ArmFacts::default()
    };
    Frame {
        written: "2026-11-30T12:00:00Z".to_owned(),
        alpha: Proportion::new(0.05).unwrap(),
        limits,
        monthly_requests: Some(1_000_000),
        arms: Both { stable: arm("old<script>"), candidate: arm("new") },
        run: RunFacts::default(),
        ids: vec!["p<1>".to_owned()],
    }
}

/// A report of so many pairs, each told by its number.
fn report(pairs: usize, limits: Limits, of: impl Fn(usize) -> (Answer, Answer)) -> Report {
    let mut tally = Tally::new(Texts::Forgotten);
    // Pairs end in any order.
    for number in (0..pairs).rev() {
        let (stable, candidate) = of(number);
        tally.take(&pair(number, stable, candidate));
    }
    tally.report(frame(limits))
}

fn good(ttft_ms: u64, nanos: u64) -> Answer {
    answer(ErrorType::None, ttft_ms, nanos, "canary-answer")
}

fn errors(limit: f64) -> Limits {
    Limits { error_increase: Some(limit), allows_model_mismatch: true, ..Limits::default() }
}

#[test]
fn a_limit_is_kept_broken_or_undecided_by_its_interval() {
    // Without failures the upper bound is z²/(n + z²): at 1.96 it takes 381 pairs for one percent.
    // By scipy (see `statistics::paired`), 12 of 600 is from 1.15 to 3.46 percent.
    for (pairs, failures, limit, expected) in [
        (380, 0, 0.01, Word::Insufficient),
        (381, 0, 0.01, Word::Pass),
        (600, 12, 0.01, Word::Failed),
        (600, 12, 0.02, Word::Insufficient),
        (600, 12, 0.035, Word::Pass),
        (1, 1, 0.01, Word::Insufficient),
        (0, 0, 0.01, Word::Insufficient),
    ] {
        let report = report(pairs, errors(limit), |number| {
            let failed = answer(ErrorType::ServerError, 100, 0, "");
            (good(100, 2), if number < failures { failed } else { good(100, 1) })
        });
        assert_eq!(report.verdict.word, expected, "{pairs} {failures} {limit}");
        let gate = &report.verdict.gates[0];
        // What was found at the limit itself stays undecided, however many more there are.
        let is_at_limit = (failures as f64 - limit * pairs as f64).abs() < 1e-9;
        let is_open = expected == Word::Insufficient && !is_at_limit;
        assert_eq!(gate.pairs_needed.is_some(), is_open, "{pairs} {failures} {limit}");
    }
}

#[test]
fn failures_of_both_at_once_are_charged_to_nobody() {
    let report = report(600, errors(0.01), |number| {
        let failed = || answer(ErrorType::Overloaded, 1, 0, "");
        if number < 300 { (failed(), failed()) } else { (good(100, 1), good(100, 1)) }
    });
    assert_eq!(report.verdict.word, Word::Pass);
    assert_eq!((report.failures.stable.count, report.failures.candidate.count), (300, 300));
    // What returned at once makes nobody fast.
    assert_eq!(report.times[0].pairs, 300);
    assert_eq!(report.times[0].stable_seconds.p50.unwrap().value, 0.1);
}

#[test]
fn a_p99_of_few_pairs_is_undecided_and_says_how_many_it_takes() {
    let ratio = RatioLimit { metric: Metric::Total, percentile: 99, max: 1.5 };
    let limits = Limits { ratios: vec![ratio], allows_model_mismatch: true, ..Limits::default() };
    let of = |number: usize| (good(100 + number as u64 % 7, 1), good(100 + number as u64 % 5, 1));
    let few = report(367, limits.clone(), of);
    assert_eq!(few.verdict.word, Word::Insufficient);
    assert_eq!(few.verdict.gates[0].pairs_needed, Some(368));
    assert_eq!(report(368, limits, of).verdict.word, Word::Pass);
}

#[test]
fn what_is_our_own_fault_is_set_aside() {
    let report = report(10, errors(0.01), |number| {
        let limited = answer(ErrorType::RateLimited, 1, 0, "");
        (good(100, 1), if number < 4 { limited } else { good(100, 1) })
    });
    assert_eq!((report.run.pairs_asked, report.run.pairs_counted), (10, 6));
    assert_eq!(report.run.set_aside.get("rate_limited"), Some(&4));
    assert_eq!(report.failures.candidate.count, 0);
}

#[test]
fn money_and_months_are_as_worked_by_hand() {
    // 4,000 and 1,000 nano-dollars by turns against half of each.
    let report = report(10, errors(0.5), |number| {
        let nanos = if number % 2 == 0 { 4000 } else { 1000 };
        (good(100, nanos), good(100, nanos / 2))
    });
    let cost = report.cost.unwrap();
    assert!((cost.stable_usd.value - 2.5e-6).abs() < 1e-15);
    assert!((cost.ratio.value - 0.5).abs() < 1e-12);
    let monthly = cost.monthly.unwrap();
    assert!((monthly.stable_usd.value - 2.5).abs() < 1e-9);
    assert!((monthly.saved_usd.value - 1.25).abs() < 1e-9);
}

#[test]
fn another_model_fails_unless_it_is_allowed() {
    let of = |number: usize| {
        let other = answer(ErrorType::ModelMismatch, 100, 1, "x");
        (good(100, 1), if number == 3 { other } else { good(100, 1) })
    };
    let strict = Limits { allows_model_mismatch: false, ..errors(0.05) };
    assert_eq!(report(400, strict, of).verdict.word, Word::Failed);
    assert_eq!(report(400, errors(0.05), of).verdict.word, Word::Pass);
}

#[test]
fn no_rendering_holds_words_or_becomes_markup() {
    let report = report(50, errors(0.01), |number| {
        let failed = answer(ErrorType::ContentCheckFailed, 100, 1, "canary-answer");
        (good(100, 2), if number < 9 { failed } else { good(130, 1) })
    });
    assert_eq!(report.worst[0].candidate_bad, 9);
    assert_eq!(report.fields.only_candidate.keys().collect::<Vec<_>>(), ["only_1"]);
    let json = serde_json::to_string(&report).unwrap();
    let (text, markdown, page) = (text(&report), markdown(&report), page(&report));
    for written in [&json, &text, &markdown, &page] {
        assert!(!written.contains("canary"), "{written}");
        assert!(written.contains("only_2"), "{written}");
    }
    assert!(!page.contains("<script") && page.contains("old&lt;script&gt;"), "{page}");
    assert!(!page.contains("p<1>") && !page.contains("NaN") && !page.contains("inf"), "{page}");
    assert!(!markdown.contains("| p<1>"), "{markdown}");
}

#[test]
fn texts_are_kept_only_where_that_was_asked_for() {
    let mut tally = Tally::new(Texts::Kept);
    tally.take(&pair(0, good(1, 1), answer(ErrorType::None, 1, 1, "</pre><b>other")));
    tally.take(&pair(1, good(1, 1), good(1, 1)));
    let report = tally.report(frame(errors(0.01)));
    assert_eq!(report.examples.len(), 1, "equal answers are no example");
    let page = page(&report);
    assert!(page.contains("canary-prompt") && page.contains("&lt;/pre&gt;"), "{page}");
    assert!(text(&report).contains("canary-answer"));
}

#[test]
fn an_empty_run_is_written_without_a_number_that_is_none() {
    let report = report(0, errors(0.01), |_| (good(1, 1), good(1, 1)));
    assert_eq!(report.verdict.word, Word::Insufficient);
    for written in [text(&report), markdown(&report), page(&report)] {
        assert!(!written.contains("NaN") && !written.contains("inf "), "{written}");
    }
}

/// Lines that are almost prompts or captures.
fn almost() -> impl proptest::strategy::Strategy<Value = String> {
    use proptest::prelude::*;
    let word = prop_oneof![
        Just("{\"prompt\": \"x {nonce}\"}".to_owned()),
        Just("{\"body\": {\"messages\": [{\"role\": \"user\", \"content\": []}]}".to_owned()),
        Just("{\"log\": {\"entries\": [{\"request\": {\"method\": \"POST\"}}]}}".to_owned()),
        Just("{\"messages\": [{}, 1, null], \"check\": {\"json\": {\"items\": 1}}}".to_owned()),
        Just("```json\n".to_owned()),
        Just("\n".to_owned()),
        "\\PC{0,12}",
        "[{}\\[\\]\":, a-z0-9\u{feff}-]{0,12}",
    ];
    proptest::collection::vec(word, 0..8).prop_map(|words| words.concat())
}

proptest::proptest! {
    #[test]
    fn no_text_is_too_strange(one in almost(), other in almost()) {
        for prompt in super::parse_prompts("f", &one).into_iter().flatten() {
            let is_open = prompt.said.with_nonce("bw1").text().contains("{nonce}");
            proptest::prop_assert!(!is_open, "a nonce is still to come");
        }
        if let Ok(capture) = super::parse_capture("f", &one) {
            proptest::prop_assert!(!capture.prompts.is_empty());
        }
        let alike = super::outcome::likeness(&one, &one);
        proptest::prop_assert!(alike.is_equal);
        super::outcome::likeness(&one, &other);
    }
}
