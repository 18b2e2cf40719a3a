//! Which arm a request goes to, and what happens where it fails.

use std::collections::BTreeSet;

use super::*;
use crate::model::{OAuth2, SecretSource, TlsSettings};
use crate::provider::SloClass;
use crate::routing::{Arm, Pin};

fn from(user: &str) -> Value {
    let mut body = question(true);
    body["user"] = json!(user);
    body
}

async fn arm_of(stage: &Stage, user: &str) -> String {
    arm_that_answers(stage, &from(user)).await
}

async fn arm_that_answers(stage: &Stage, question: &Value) -> String {
    let heard = heard(stage.post(Dialect::OpenaiChat, question)).await;
    assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
    heard.header("x-bellwether-arm").to_owned()
}

#[tokio::test]
async fn a_new_table_holds_from_the_next_request_on() {
    let stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    for (points, expected) in [(0, "stable"), (10_000, "candidate"), (0, "stable")] {
        stage.split(points);
        assert_eq!(arm_of(&stage, "u").await, expected, "{points}");
    }
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (2, 1));
}

#[tokio::test]
async fn whoever_is_in_stays_in_while_the_share_grows() {
    let stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    let mut before = BTreeSet::new();
    for points in [500, 2_500, 6_000] {
        stage.split(points);
        let mut inside = BTreeSet::new();
        for user in 0..120 {
            if arm_of(&stage, &format!("user-{user}")).await == "candidate" {
                inside.insert(user);
            }
        }
        assert!(before.is_subset(&inside), "{before:?} {inside:?}");
        before = inside;
    }
    // Six deviations around 72 of 120.
    assert!((40..=104).contains(&before.len()), "{}", before.len());
}

#[tokio::test]
async fn an_answer_under_way_finishes_where_it_is() {
    let slow = Behavior { gap: 40 * MS, tokens: 12, ..Behavior::default() };
    let stage = Stage::new(slow.clone(), slow, route(), Dialect::OpenaiChat).await;
    stage.split(10_000);
    let mut response = stage.post(Dialect::OpenaiChat, &from("u")).send().await.unwrap();
    assert_eq!(response.headers()["x-bellwether-arm"], "candidate");
    stage.split(0);
    let mut body = String::new();
    while let Some(bytes) = response.chunk().await.unwrap() {
        body.push_str(&String::from_utf8_lossy(&bytes));
    }
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert_eq!(arm_of(&stage, "u").await, "stable");
}

#[tokio::test]
async fn stable_saves_what_the_candidate_fails() {
    let mut route = route();
    route.retries = Retries::default();
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    let mut stage = Stage::new(Behavior::default(), fault, route, Dialect::OpenaiChat).await;
    stage.split(10_000);
    assert_eq!(arm_of(&stage, "u").await, "stable");
    let failed = stage.told().await;
    assert_eq!((failed.arm, failed.error_type), (Arm::Candidate, ErrorType::ServerError));
    assert_eq!((failed.class, failed.is_fail_over), (SloClass::Bad, false));
    let saved = stage.told().await;
    assert_eq!((saved.arm, saved.class, saved.is_fail_over), (Arm::Stable, SloClass::Good, true));
    let count = |labels: &[&str]| stage.value("bellwether_router_requests_total", labels);
    assert_eq!(count(&["arm=\"candidate\"", "error_type=\"server_error\""]), 1.0);
    // It was not meant for stable, and is no evidence there.
    assert_eq!(count(&["arm=\"stable\"", "error_type=\"none\""]), 0.0);
    assert_eq!(stage.value("bellwether_router_fail_overs_total", &["result=\"saved\""]), 1.0);
}

#[tokio::test]
async fn stable_saves_whom_the_candidate_has_no_token_for() {
    let mut route = route();
    route.retries = Retries::default();
    let healthy = Behavior::default;
    let mut stage = Stage::new(healthy(), healthy(), route, Dialect::OpenaiChat).await;
    let mut new = target("new", &stage.new.base_url(), Dialect::OpenaiChat);
    let mut provider = (*new.provider).clone();
    provider.http.oauth2 = Some(OAuth2 {
        client_id: "id".to_owned(),
        client_secret: SecretSource::Env("PATH".to_owned()),
        scopes: Vec::new(),
        token_url: "http://127.0.0.1:1/token".to_owned(),
        endpoint_params: Vec::new(),
        proxy_url: None,
        tls: TlsSettings::default(),
    });
    new.provider = Arc::new(provider);
    stage.settings.targets.insert(new.id.clone(), Arc::new(new));
    stage.router.reload(stage.settings.clone());
    stage.split(10_000);
    assert_eq!(arm_of(&stage, "u").await, "stable");
    let failed = stage.told().await;
    assert_eq!((failed.arm, failed.error_type), (Arm::Candidate, ErrorType::Internal));
    assert_eq!(stage.told().await.arm, Arm::Stable);
    assert_eq!(stage.new.stats().requests, 0);
}

#[tokio::test]
async fn an_arm_that_fails_in_a_row_is_not_waited_for() {
    let mut route = route();
    route.retries = Retries::default();
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    let stage = Stage::new(Behavior::default(), fault, route, Dialect::OpenaiChat).await;
    stage.split(10_000);
    for _ in 0..15 {
        assert_eq!(arm_of(&stage, "u").await, "stable");
    }
    let asked = stage.new.stats().requests;
    // Ten open the breaker; a second later one more may try.
    assert!((10..=12).contains(&asked), "{asked}");
    assert_eq!(stage.value("bellwether_router_circuit_open", &["arm=\"candidate\""]), 1.0);
    let diverted = stage.value("bellwether_router_fail_overs_total", &["result=\"diverted\""]);
    assert_eq!(diverted, 15.0 - asked as f64);
}

#[tokio::test]
async fn what_the_candidate_has_no_room_for_goes_to_stable_and_no_further() {
    let slow = || Behavior { ttft: 400 * MS, ..Behavior::default() };
    let mut route = route();
    route.in_flight_max = Some(1);
    let stage = Stage::new(slow(), slow(), route, Dialect::OpenaiChat).await;
    stage.split(10_000);
    let ask = |user: &str| heard(stage.post(Dialect::OpenaiChat, &from(user)));
    let all = tokio::join!(ask("a"), ask("b"), ask("c"));
    let mut said: Vec<(u16, String)> = [all.0, all.1, all.2]
        .iter()
        .map(|heard| (heard.status, heard.header("x-bellwether-arm").to_owned()))
        .collect();
    said.sort_unstable();
    let expected = [(200, "candidate"), (200, "stable"), (503, "stable")];
    assert_eq!(said, expected.map(|(status, arm)| (status, arm.to_owned())));
    // Their places are free again.
    assert_eq!(arm_of(&stage, "d").await, "candidate");
}

/// An arm of two targets, of which the first fails in this way.
async fn of_two(fault: Fault) -> Stage {
    let mut route = route();
    route.stable = vec![TargetId::new("old"), TargetId::new("new")];
    route.retries = Retries::default();
    Stage::new(failing(fault), Behavior::default(), route, Dialect::OpenaiChat).await
}

#[tokio::test]
async fn a_broken_target_is_passed_over_while_its_arm_has_another() {
    let mut stage = of_two(Fault::Http { status: 500, retry_after: None }).await;
    for user in 0..100 {
        assert_eq!(arm_of(&stage, &format!("user-{user}")).await, "stable");
    }
    // Half of the users are its own. Ten failures eject it; a trial a second later may have come.
    let asked = stage.old.stats().requests;
    assert!((10..=13).contains(&asked), "{asked}");
    assert_eq!(stage.new.stats().requests, 100);
    let is_ejected = |target| stage.value("bellwether_router_target_ejected", &[target]);
    assert_eq!(is_ejected("target=\"old\""), 1.0);
    assert_eq!(stage.value("bellwether_router_circuit_open", &["arm=\"stable\""]), 0.0);
    // What served is what counts.
    assert_eq!(stage.told().await.target, TargetId::new("new"));
}

#[tokio::test]
async fn a_target_that_asks_to_be_left_alone_is_asked_once() {
    let stage = of_two(Fault::Http { status: 429, retry_after: Some(60_000 * MS) }).await;
    for user in 0..30 {
        assert_eq!(arm_of(&stage, &format!("user-{user}")).await, "stable");
    }
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (1, 30));
}

#[tokio::test]
async fn where_all_targets_are_ejected_the_arm_decides() {
    let mut route = route();
    route.stable = vec![TargetId::new("old"), TargetId::new("new")];
    route.retries = Retries { budget_percent: 0, ..Retries::default() };
    let fault = || failing(Fault::Http { status: 500, retry_after: None });
    let stage = Stage::new(fault(), fault(), route, Dialect::OpenaiChat).await;
    let mut statuses = BTreeMap::new();
    for user in 0..40 {
        let heard = heard(stage.post(Dialect::OpenaiChat, &from(&user.to_string()))).await;
        *statuses.entry(heard.status).or_insert(0) += 1;
    }
    // Each request failed twice until ten in a row had broken the arm; the rest waits for nobody.
    assert!(statuses[&500] <= 15 && statuses[&503] >= 25, "{statuses:?}");
    let asked = stage.old.stats().requests + stage.new.stats().requests;
    assert!(asked <= 30, "an outage is not multiplied: {asked}");
}

#[tokio::test]
async fn a_broken_stable_is_said_to_be_broken() {
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    let stage = Stage::stable(fault, Dialect::AnthropicMessages).await;
    for _ in 0..10 {
        assert_eq!(stage.ask(Dialect::AnthropicMessages, true).await.status, 500);
    }
    let heard = stage.ask(Dialect::AnthropicMessages, true).await;
    assert_eq!((heard.status, heard.header("retry-after")), (503, "1"), "{heard:?}");
    let said: Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(said["error"]["type"], "overloaded_error");
    assert_eq!(stage.old.stats().requests, 10);
}

#[tokio::test]
async fn testers_choose_and_pins_hold() {
    let mut route = route();
    route.pins = vec![Pin::Client("bank".to_owned())];
    let keys = Some(vec![token("qa"), token("bank"), token("other")]);
    let admission = Admission { keys, ..Admission::default() };
    let healthy = Behavior::default;
    let dialect = Dialect::OpenaiChat;
    let stage = Stage::admitting(healthy(), healthy(), route, dialect, admission).await;
    stage.split(5_000);
    let arm = async |name: &str, wish: &str| {
        let request = stage.post(dialect, &from("someone"));
        let request = request.header("authorization", format!("Bearer key-of-{name}"));
        heard(request.header("x-bellwether-arm", wish)).await.header("x-bellwether-arm").to_owned()
    };
    assert_eq!(arm("qa", "candidate").await, "candidate");
    assert_eq!(arm("qa", "stable").await, "stable");
    assert_eq!(arm("bank", "candidate").await, "stable");
    // Nobody else has a say.
    assert_eq!(arm("other", "candidate").await, arm("other", "stable").await);
}

/// The stages of a release with a rollback and a reload in the middle, under load.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_shares_change() {
    // `tests/router` has the long run, through the built program.
    const REQUESTS: usize = 6_400;
    let healthy = Behavior::default;
    let stage = Stage::new(healthy(), healthy(), route(), Dialect::OpenaiChat).await;
    let stage = Arc::new(stage);
    let done = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let clients: Vec<_> = (0..32)
        .map(|client| {
            let (stage, done) = (Arc::clone(&stage), Arc::clone(&done));
            tokio::spawn(async move {
                let mut arms = Vec::new();
                for number in 0..REQUESTS / 32 {
                    let mut question = question(number % 10 == 0);
                    question["user"] = json!(format!("user-{client}-{number}"));
                    question["max_tokens"] = json!(2);
                    let version = stage.table.borrow().version();
                    arms.push((version, arm_that_answers(&stage, &question).await));
                    done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
                arms
            })
        })
        .collect();
    let reached = async |count: usize| {
        while done.load(std::sync::atomic::Ordering::Relaxed) < count {
            tokio::time::sleep(MS).await;
        }
    };
    // The first table is all on stable; the versions that follow are 2, 3, 4, 5.
    for (step, points) in [100, 500, 2_500, 0].into_iter().enumerate() {
        reached(REQUESTS * (step + 1) / 5).await;
        stage.split(points);
        if points == 2_500 {
            stage.router.reload(stage.settings.clone());
        }
    }
    let mut by_version: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
    for client in clients {
        for (version, arm) in client.await.unwrap() {
            let counts = by_version.entry(version).or_default();
            counts.0 += 1;
            counts.1 += u32::from(arm == "candidate");
        }
    }
    let all: u32 = by_version.values().map(|counts| counts.0).sum();
    assert_eq!(all as usize, REQUESTS, "each was answered whole");
    for (version, share) in [(1, 0.0), (2, 0.01), (3, 0.05), (4, 0.25), (5, 0.0)] {
        let (count, candidate) = by_version[&version];
        let expected = f64::from(count) * share;
        // Six deviations, and the 32 that were under way as the table changed.
        let room = 6.0 * (expected * (1.0 - share)).sqrt() + 32.0;
        let off = (f64::from(candidate) - expected).abs();
        assert!(off <= room, "version {version}: {candidate} of {count}");
    }
}
