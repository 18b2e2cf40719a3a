//! Responses are continued where they were made, while shares move and targets fail.

use super::*;
use crate::routing::{Arm, Pin};

/// Asks for a response that continues another one, whole or streamed.
async fn respond(stage: &Stage, previous: Option<&str>, is_streamed: bool) -> Heard {
    let mut body = json!({"model": "chat", "input": "say exactly 7f3a", "stream": is_streamed});
    if let Some(previous) = previous {
        body["previous_response_id"] = json!(previous);
    }
    heard(stage.client.post(stage.url("/v1/responses")).body(body.to_string())).await
}

/// The id of a response, and who made it.
fn made(heard: &Heard) -> (String, String) {
    assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
    let mut data = heard.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let body: Value = serde_json::from_str(data.next().unwrap_or(&heard.body)).unwrap();
    let response = body.get("response").unwrap_or(&body);
    (response["id"].as_str().unwrap().to_owned(), heard.header("x-bellwether-target").to_owned())
}

async fn stage(route: Route) -> Stage {
    Stage::new(Behavior::default(), Behavior::default(), route, Dialect::OpenaiChat).await
}

/// A router that has carried nothing yet, before the same providers.
async fn another(stage: &Stage) -> Stage {
    let mut other = Stage::new(
        Behavior::default(),
        Behavior::default(),
        (*stage.settings.routes[0]).clone(),
        Dialect::OpenaiChat,
    )
    .await;
    other.router.reload(stage.settings.clone());
    other.settings = stage.settings.clone();
    other
}

#[tokio::test]
async fn a_chain_stays_on_its_arm_while_the_share_moves() {
    for is_streamed in [false, true] {
        let mut stage = stage(route()).await;
        let (first, target) = made(&respond(&stage, None, is_streamed).await);
        assert_eq!(target, "old");
        // Everybody moves, and whoever began before goes on.
        stage.split(10_000);
        let (second, target) = made(&respond(&stage, Some(&first), is_streamed).await);
        assert_eq!(target, "old");
        let (third, target) = made(&respond(&stage, None, is_streamed).await);
        assert_eq!(target, "new");
        // One of a hundred, and a chain of the candidate's is still the candidate's.
        stage.split(1);
        assert_eq!(made(&respond(&stage, Some(&third), is_streamed).await).1, "new");
        assert_eq!(made(&respond(&stage, Some(&second), is_streamed).await).1, "old");
        assert_eq!(
            stage.old.stats().requests + stage.new.stats().requests,
            5,
            "none was looked for"
        );
        for arm in [Arm::Stable, Arm::Stable, Arm::Candidate, Arm::Candidate, Arm::Stable] {
            let served = stage.told().await;
            assert_eq!((served.arm, served.error_type), (arm, ErrorType::None));
        }
    }
}

#[tokio::test]
async fn a_rollback_takes_chains_with_it() {
    let stage = stage(route()).await;
    stage.split(10_000);
    let (first, _) = made(&respond(&stage, None, false).await);
    stage.split(0);
    let heard = respond(&stage, Some(&first), false).await;
    assert_eq!((heard.status, heard.header("x-bellwether-target")), (400, "old"));
    let error: Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(error["error"]["code"], "previous_response_not_found");
    assert_eq!(stage.new.stats().requests, 1, "a candidate without a share is not asked");
}

#[tokio::test]
async fn a_chain_that_nobody_remembers_is_looked_for() {
    let stage = stage(route()).await;
    let (first, _) = made(&respond(&stage, None, false).await);
    let mut other = another(&stage).await;
    other.split(10_000);
    let (second, target) = made(&respond(&other, Some(&first), false).await);
    assert_eq!(target, "old");
    let served = other.told().await;
    assert_eq!((served.arm, served.error_type), (Arm::Stable, ErrorType::None));
    assert!(!served.is_fail_over, "it belongs there");
    let retried = other.value("bellwether_router_retries_total", &["reason=\"http_400\""]);
    assert_eq!(retried, 1.0);
    // From here on it is known.
    assert_eq!(made(&respond(&other, Some(&second), false).await).1, "old");
    assert_eq!(stage.new.stats().requests, 1);
    // What nobody has is asked of each once, and the client hears what they say.
    let heard = respond(&other, Some("resp_of_somebody_else"), true).await;
    assert_eq!(heard.status, 400);
    assert!(heard.body.contains("previous_response_not_found"), "{heard:?}");
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (4, 2));
    let none = other.value("bellwether_router_circuit_open", &["arm=\"candidate\""]);
    assert_eq!(none, 0.0);
}

#[tokio::test]
async fn who_is_pinned_is_looked_for_on_stable_alone() {
    let mut pinned = route();
    pinned.pins = vec![Pin::Key("u".to_owned())];
    pinned.keys = vec![KeySource::User];
    let stage = stage(pinned).await;
    stage.split(10_000);
    let mut body = json!({"model": "chat", "input": "x", "user": "u"});
    body["previous_response_id"] = json!("resp_of_somebody_else");
    let request = stage.client.post(stage.url("/v1/responses")).body(body.to_string());
    assert_eq!(heard(request).await.status, 400);
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (1, 0));
}

#[tokio::test]
async fn a_chain_whose_target_fails_is_not_failed_over() {
    let mut route = route();
    route.retries = Retries { max: 1, pause: MS, ..Retries::default() };
    let stage = stage(route).await;
    stage.split(10_000);
    let (first, _) = made(&respond(&stage, None, false).await);
    let fault = failing(Fault::Http { status: 500, retry_after: None });
    stage.new.set(Script::always(fault));
    let heard = respond(&stage, Some(&first), false).await;
    // Stable would only say that it does not have it.
    assert_eq!((heard.status, heard.header("x-bellwether-target")), (500, "new"));
    assert_eq!((stage.old.stats().requests, stage.new.stats().requests), (0, 3));
    // Others are saved as ever.
    assert_eq!(made(&respond(&stage, None, false).await).1, "old");
}

/// A router whose stable has both simulators, and users of each.
async fn of_two(mut route: Route) -> (Stage, BTreeMap<String, String>) {
    route.stable = vec![TargetId::new("old"), TargetId::new("new")];
    let stage = stage(route).await;
    let mut users = BTreeMap::new();
    for user in 0..20 {
        let user = format!("user-{user}");
        let heard = respond_as(&stage, &user, None).await;
        users.insert(made(&heard).1, user);
    }
    assert_eq!(users.len(), 2, "each target has some");
    (stage, users)
}

async fn respond_as(stage: &Stage, user: &str, previous: Option<&str>) -> Heard {
    let mut body = json!({"model": "chat", "input": "say exactly 7f3a", "user": user});
    body["previous_response_id"] = json!(previous);
    heard(stage.client.post(stage.url("/v1/responses")).body(body.to_string())).await
}

#[tokio::test]
async fn a_broken_target_holds_up_its_chains_and_not_its_arm() {
    let (stage, users) = of_two(route()).await;
    let (first, _) = made(&respond_as(&stage, &users["old"], None).await);
    // Whoever continues it comes to its maker.
    assert_eq!(made(&respond_as(&stage, &users["new"], Some(&first)).await).1, "old");
    stage.old.set(Script::always(failing(Fault::Http { status: 500, retry_after: None })));
    let before = stage.old.stats().requests;
    for _ in 0..10 {
        let heard = respond_as(&stage, &users["new"], Some(&first)).await;
        assert_eq!((heard.status, heard.header("x-bellwether-target")), (500, "old"));
    }
    let heard = respond_as(&stage, &users["new"], Some(&first)).await;
    assert_eq!((heard.status, heard.header("retry-after")), (503, "1"), "{heard:?}");
    assert_eq!(stage.old.stats().requests - before, 10);
    let broken = stage.value("bellwether_router_circuit_open", &["arm=\"stable\""]);
    assert_eq!(broken, 0.0, "the other one is well");
    assert_eq!(stage.value("bellwether_router_target_ejected", &["target=\"old\""]), 1.0);
    // Who continues nothing is served by the other, and so are the other's chains.
    let (second, target) = made(&respond_as(&stage, &users["old"], None).await);
    assert_eq!(target, "new");
    assert_eq!(made(&respond_as(&stage, &users["old"], Some(&second)).await).1, "new");
}

#[tokio::test]
async fn who_is_pinned_comes_to_the_maker_as_well() {
    let mut pinned = route();
    pinned.pins = vec![Pin::Key("bank".to_owned())];
    let (stage, users) = of_two(pinned).await;
    for user in users.values() {
        let (first, target) = made(&respond_as(&stage, user, None).await);
        assert_eq!(made(&respond_as(&stage, "bank", Some(&first)).await).1, target);
    }
}

#[tokio::test]
async fn a_maker_that_cannot_answer_is_not_said_to_have_nothing() {
    let stage = stage(route()).await;
    let (first, _) = made(&respond(&stage, None, false).await);
    let mut other = another(&stage).await;
    other.split(10_000);
    stage.old.set(Script::always(failing(Fault::Http { status: 500, retry_after: None })));
    let heard = respond(&other, Some(&first), false).await;
    assert_eq!((heard.status, heard.header("x-bellwether-target")), (500, "old"), "{heard:?}");
    let served = other.told().await;
    assert_eq!((served.arm, served.error_type), (Arm::Stable, ErrorType::ServerError));
    assert_eq!(served.attempts, 1);
}

#[tokio::test]
async fn the_search_goes_on_behind_one_that_fails() {
    let maker = stage(route()).await;
    maker.split(10_000);
    let (first, at) = made(&respond(&maker, None, false).await);
    assert_eq!(at, "new");
    let mut route = route();
    route.stable = vec![TargetId::new("old"), TargetId::new("dead")];
    route.retries = Retries::default();
    let dead = target("dead", "http://127.0.0.1:1", Dialect::OpenaiChat);
    let mut settings = Settings { routes: vec![route.into()], ..maker.settings.clone() };
    settings.targets.insert(dead.id.clone(), Arc::new(dead));
    let mut last = None;
    for user in 0..6 {
        let mut other = another(&maker).await;
        other.settings = settings.clone();
        other.router.reload(settings.clone());
        other.split(1);
        let asked = maker.old.stats().requests;
        for _ in 0..2 {
            let heard = respond_as(&other, &format!("user-{user}"), Some(&first)).await;
            assert_eq!(made(&heard).1, "new", "whoever was asked first");
        }
        assert_eq!(maker.old.stats().requests - asked, 1, "what was found is remembered");
        // Where the others have nothing, the one that could not say may have it.
        let heard = respond_as(&other, &format!("user-{user}"), Some("resp_1")).await;
        assert_eq!((heard.status, heard.header("x-bellwether-target")), (502, "dead"), "{heard:?}");
        while let Ok(served) = other.served.try_recv() {
            assert!(served.attempts > 0, "{served:?}");
            if served.error_type != ErrorType::None {
                last = Some((served.arm, served.error_type));
            }
        }
        assert_eq!(last.take(), Some((Arm::Stable, ErrorType::Connect)));
        // Once that one is broken it is not asked, and may have it all the same.
        let mut statuses = Vec::new();
        while statuses.last() != Some(&503) && statuses.len() < 12 {
            let heard = respond_as(&other, &format!("user-{user}"), Some("resp_1")).await;
            statuses.push(heard.status);
        }
        assert!(statuses.iter().rev().skip(1).all(|status| *status == 502), "{statuses:?}");
        assert_eq!(statuses.last(), Some(&503), "{statuses:?}");
    }
}
