//! Copies of stable's requests: what is sent, what is not, and that no user notices.

use super::*;
use crate::provider::SloClass;
use crate::routing::{Arm, Mirror};

/// Everything is copied to the candidate.
fn copying() -> Mirror {
    Mirror {
        to: None,
        share: Share::ALL,
        in_flight_max: 8,
        queued_max: 64,
        timeouts: patience(),
        budget: Budget::Unlimited,
        is_evidence: false,
    }
}

/// A candidate without a share of the traffic, and copies for it.
async fn stage(new: Behavior, mirror: Mirror) -> Stage {
    let route = Route { mirror: Some(mirror), ..route() };
    let stage = Stage::new(Behavior::default(), new, route, Dialect::OpenaiChat).await;
    stage.split(0);
    stage
}

impl Stage {
    /// Waits until a series has a value.
    async fn reaches(&self, metric: &str, labels: &[&str], expected: f64) {
        let reached = async {
            while self.value(metric, labels) < expected {
                tokio::time::sleep(MS).await;
            }
        };
        let is_reached = tokio::time::timeout(Duration::from_secs(20), reached).await.is_ok();
        let found = self.value(metric, labels);
        assert!(is_reached && found == expected, "{metric} {labels:?}: {found}");
    }

    async fn dropped(&self, reason: &str, expected: f64) {
        let reason = format!("reason=\"{reason}\"");
        self.reaches("bellwether_router_mirror_dropped_total", &[&reason], expected).await;
    }

    /// Asks as a user would, who is answered by stable.
    async fn served(&self, question: &Value) {
        let heard = heard(self.post(Dialect::OpenaiChat, question)).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        assert_eq!(heard.header("x-bellwether-arm"), "stable");
    }
}

const GOOD: [&str; 2] = ["error_type=\"none\"", "slo=\"good\""];
const MIRRORED: &str = "bellwether_router_mirrored_total";
const PAIRS: &str = "bellwether_router_mirror_pairs_total";

#[tokio::test]
async fn copies_are_answered_compared_and_dropped() {
    let mut stage = stage(Behavior::default(), copying()).await;
    for is_streamed in [true, true, false] {
        stage.served(&question(is_streamed)).await;
    }
    stage.reaches(PAIRS, &["good=\"both\""], 3.0).await;
    assert_eq!(stage.value(MIRRORED, &GOOD), 3.0);
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (3, 3));
    for check in ["error_type", "finish"] {
        let labels = [&*format!("check=\"{check}\""), "verdict=\"match\""];
        assert_eq!(stage.value("bellwether_router_mirror_checks_total", &labels), 3.0, "{check}");
    }
    // Prose has no form to compare, and whole answers no first token.
    let labels = ["check=\"schema\"", "verdict=\"inconclusive\""];
    assert_eq!(stage.value("bellwether_router_mirror_checks_total", &labels), 3.0);
    for (measure, count) in [("total", 3.0), ("ttft", 2.0), ("length", 3.0)] {
        let measure = format!("measure=\"{measure}\"");
        let counted = stage.value("bellwether_router_mirror_ratio_count", &[&measure]);
        assert_eq!(counted, count, "{measure}");
    }
    // Both sides answer eight tokens.
    let length = ["measure=\"length\""];
    assert_eq!(stage.value("bellwether_router_mirror_ratio_sum", &length), 3.0);
    assert_eq!(stage.value("bellwether_router_mirror_tokens_total", &["type=\"output\""]), 24.0);
    // None of it is traffic, or evidence.
    for _ in 0..3 {
        assert_eq!(stage.told().await.arm, Arm::Stable);
    }
    assert!(stage.served.try_recv().is_err());
    let candidate = ["arm=\"candidate\"", "error_type=\"none\""];
    assert_eq!(stage.value("bellwether_router_requests_total", &candidate), 0.0);
}

#[tokio::test]
async fn what_clients_and_copies_cost_is_told_apart() {
    let stage = stage(Behavior::default(), copying()).await;
    stage.served(&question(false)).await;
    stage.reaches(PAIRS, &["good=\"both\""], 1.0).await;
    let input = stage.value("bellwether_router_mirror_tokens_total", &["type=\"input\""]);
    // A dollar for a million tokens in, two for a million out, eight of which came.
    let expected = (input + 16.0) / 1e6;
    for (metric, labels) in [
        ("bellwether_router_mirror_cost_usd_total", &["route=\"chat\""][..]),
        ("bellwether_router_cost_usd_total", &["arm=\"stable\""]),
        ("bellwether_cost_usd_total", &["purpose=\"live\""]),
        ("bellwether_cost_usd_total", &["purpose=\"shadow\""]),
    ] {
        let found = stage.value(metric, labels);
        assert!((found - expected).abs() < 1e-12, "{metric} {labels:?}: {found}, not {expected}");
    }
    assert_eq!(stage.value("bellwether_router_cost_usd_total", &["arm=\"candidate\""]), 0.0);
}

#[tokio::test]
async fn a_target_that_hangs_holds_its_copies_and_no_user() {
    let slow = Duration::from_secs(3_600);
    let hanging = Behavior { headers: slow, ttft: slow, ..Behavior::default() };
    let mirror = Mirror { in_flight_max: 1, queued_max: 1, ..copying() };
    let stage = stage(hanging, mirror).await;
    for _ in 0..5 {
        stage.served(&question(true)).await;
    }
    // One is under way, one waits, and there is no place for three.
    stage.dropped("queue_full", 3.0).await;
    stage.reaches("bellwether_router_mirror_in_flight", &[], 1.0).await;
    assert_eq!(stage.value("bellwether_router_mirror_queued", &[]), 1.0);
    assert_eq!(stage.old.stats().requests, 5);
}

#[tokio::test]
async fn a_copy_is_given_up_by_its_own_timeouts() {
    let slow = Duration::from_secs(3_600);
    let hanging = Behavior { headers: slow, ttft: slow, ..Behavior::default() };
    let timeouts = Timeouts { first_token: 50 * MS, ..patience() };
    let stage = stage(hanging, Mirror { timeouts, ..copying() }).await;
    stage.served(&question(true)).await;
    stage.reaches(MIRRORED, &["error_type=\"ttft_timeout\"", "slo=\"bad\""], 1.0).await;
    stage.reaches(PAIRS, &["good=\"stable_only\""], 1.0).await;
}

#[tokio::test]
async fn what_is_marked_or_would_do_more_than_answer_is_not_copied() {
    let stage = stage(Behavior::default(), copying()).await;
    for said in ["off", "False"] {
        let request = stage.post(Dialect::OpenaiChat, &question(true));
        let heard = heard(request.header("x-bellwether-mirror", said)).await;
        assert_eq!(heard.status, 200);
    }
    stage.dropped("marked", 2.0).await;
    let mut kept = question(false);
    kept["store"] = json!(true);
    stage.served(&kept).await;
    stage.dropped("side_effects", 1.0).await;
    assert_eq!(stage.new.stats().requests, 0);
    let heard =
        heard(stage.post(Dialect::OpenaiChat, &question(true)).header("x-bellwether-mirror", "on"));
    assert_eq!(heard.await.status, 200);
    stage.reaches(PAIRS, &["good=\"both\""], 1.0).await;
}

#[tokio::test]
async fn without_a_candidate_nothing_is_copied() {
    let route = Route { mirror: Some(copying()), ..route() };
    let healthy = Behavior::default;
    let stage = Stage::new(healthy(), healthy(), route, Dialect::OpenaiChat).await;
    stage.served(&question(true)).await;
    stage.dropped("no_target", 1.0).await;
    // Whoever names a target needs no release.
    let to = Some(TargetId::new("new"));
    let route =
        Route { mirror: Some(Mirror { to, ..copying() }), ..(*stage.settings.routes[0]).clone() };
    stage.router.reload(Settings { routes: vec![route.into()], ..stage.settings.clone() });
    stage.served(&question(true)).await;
    stage.reaches(PAIRS, &["good=\"both\""], 1.0).await;
}

#[tokio::test]
async fn a_target_that_fails_in_a_row_is_not_sent_more_and_diverts_nobody() {
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    let stage = stage(fault, Mirror { in_flight_max: 1, ..copying() }).await;
    for count in 1..=10 {
        stage.served(&question(true)).await;
        let bad = ["error_type=\"server_error\"", "slo=\"bad\""];
        stage.reaches(MIRRORED, &bad, f64::from(count)).await;
    }
    stage.served(&question(true)).await;
    stage.dropped("circuit_open", 1.0).await;
    assert_eq!(stage.value("bellwether_router_circuit_open", &["arm=\"candidate\""]), 0.0);
}

#[tokio::test]
async fn a_candidate_that_is_broken_for_users_is_sent_no_copies() {
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    let stage = stage(fault, copying()).await;
    stage.split(10_000);
    for _ in 0..10 {
        stage.ask(Dialect::OpenaiChat, true).await;
    }
    assert_eq!(stage.value("bellwether_router_circuit_open", &["arm=\"candidate\""]), 1.0);
    stage.split(0);
    stage.served(&question(true)).await;
    stage.dropped("circuit_open", 1.0).await;
    assert_eq!(stage.value(MIRRORED, &["error_type=\"server_error\""]), 0.0);
}

#[tokio::test]
async fn copies_stop_where_their_budget_does_and_a_restart_gives_nothing_back() {
    // A question costs some 0.00003 dollars by its estimate, of which 32 tokens out are 0.000064.
    let daily = Some(Money::from_nanos(150_000));
    let budget = Budget::Limited { daily, monthly: None };
    let stage = stage(Behavior::default(), Mirror { budget, ..copying() }).await;
    let mut asked = 0.0;
    while stage.value("bellwether_router_mirror_dropped_total", &["reason=\"budget\""]) < 1.0 {
        stage.served(&question(false)).await;
        asked += 1.0;
        let settled = async {
            let dropped = ["reason=\"budget\""];
            while stage.value(MIRRORED, &GOOD)
                + stage.value("bellwether_router_mirror_dropped_total", &dropped)
                < asked
            {
                tokio::time::sleep(MS).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), settled).await.unwrap();
        assert!(asked < 30.0, "the budget has no end");
    }
    let spent = stage.value("bellwether_router_mirror_cost_usd_total", &[]);
    assert!(spent > 0.0 && spent <= 0.000_15, "{spent}");
    // Another router on the same storage.
    let storage = stage.storage.clone();
    let crew = super::super::crew::Crew::build(stage.settings.clone(), Threads::Callers, None);
    super::super::mirror::write_down(&stage.router.crew.borrow().clone(), &storage).await;
    let (sender, watched) = watch::channel(Arc::new(crew));
    let keeper = tokio::spawn(super::super::mirror::keep(watched, storage));
    let resumed = async {
        loop {
            let crew = Arc::clone(&sender.borrow());
            let (_, mirroring) = crew.mirrorings().next().unwrap();
            if mirroring.so_far().day_nanos > 0 {
                return mirroring.so_far().day_nanos;
            }
            tokio::time::sleep(MS).await;
        }
    };
    let resumed = tokio::time::timeout(Duration::from_secs(20), resumed).await.unwrap();
    assert_eq!(resumed as f64 / 1e9, (spent * 1e9).round() / 1e9);
    keeper.abort();
}

#[tokio::test]
async fn copies_are_evidence_where_the_configuration_says_so() {
    let fault = failing(Fault::Truncated);
    let mut stage = stage(fault, Mirror { is_evidence: true, ..copying() }).await;
    stage.served(&question(true)).await;
    let mut told = [stage.told().await, stage.told().await];
    told.sort_by_key(|served| served.arm);
    let [stable, copy] = told;
    assert_eq!((stable.arm, stable.class), (Arm::Stable, SloClass::Good));
    assert_eq!((copy.arm, copy.class), (Arm::Candidate, SloClass::Bad));
    assert_eq!((copy.error_type, copy.is_fail_over), (ErrorType::TruncatedStream, false));
    stage.reaches(PAIRS, &["good=\"stable_only\""], 1.0).await;
}

#[tokio::test]
async fn a_copy_is_told_in_its_targets_words() {
    let route = Route { mirror: Some(copying()), ..route() };
    let healthy = Behavior::default;
    let stage = Stage::new(healthy(), healthy(), route, Dialect::AnthropicMessages).await;
    stage.split(0);
    for is_streamed in [true, false] {
        stage.served(&question(is_streamed)).await;
    }
    stage.reaches(PAIRS, &["good=\"both\""], 2.0).await;
    // What it has no words for is not asked.
    let mut odd = question(false);
    odd["logit_bias"] = json!({"50256": -100});
    let to = Some(TargetId::new("new"));
    let mut settings = stage.settings.clone();
    let old = settings.targets[&TargetId::new("old")].clone();
    let spoken = target("old", &old.provider.base_url, Dialect::OpenaiChat);
    settings.targets.insert(spoken.id.clone(), spoken.into());
    let copied =
        Route { mirror: Some(Mirror { to, ..copying() }), ..(*settings.routes[0]).clone() };
    settings.routes = vec![copied.into()];
    stage.router.reload(settings);
    stage.served(&odd).await;
    stage.dropped("untranslatable", 1.0).await;
}

#[tokio::test]
async fn a_user_who_went_away_is_compared_with_nothing() {
    let slow = Behavior { gap: 50 * MS, tokens: 30, ..Behavior::default() };
    let route = Route { mirror: Some(copying()), ..route() };
    let stage = Stage::new(slow, Behavior::default(), route, Dialect::OpenaiChat).await;
    stage.split(0);
    let mut response = stage.post(Dialect::OpenaiChat, &question(true)).send().await.unwrap();
    response.chunk().await.unwrap();
    drop(response);
    stage.reaches(PAIRS, &["good=\"unknown\""], 1.0).await;
}

#[tokio::test]
async fn a_share_is_drawn_for_each_request() {
    let share = Share::from_percent(25).unwrap();
    let stage = stage(Behavior::default(), Mirror { share, ..copying() }).await;
    for _ in 0..200 {
        stage.served(&question(false)).await;
    }
    let drawn = stage.new.stats().requests;
    // Six deviations around 50 of 200.
    assert!((14..=87).contains(&drawn), "{drawn}");
}
