//! What the router itself refuses, and what it tells of itself.

use super::*;

async fn admitting(admission: Admission) -> Stage {
    let healthy = Behavior::default;
    Stage::admitting(healthy(), healthy(), route(), Dialect::OpenaiChat, admission).await
}

#[tokio::test]
async fn without_a_key_nobody_is_served() {
    let admission = Admission { keys: Some(vec![token("team")]), ..Admission::default() };
    let stage = admitting(admission).await;
    let ask = async |name: &str, value: &str| {
        let request = stage.post(Dialect::OpenaiChat, &question(false));
        heard(request.header(name.to_owned(), value.to_owned())).await
    };
    for (name, value, status) in [
        ("x-nothing", "", 401),
        ("authorization", "Bearer key-of-other", 401),
        ("authorization", "Basic key-of-team", 401),
        ("authorization", "Bearer key-of-team", 200),
        ("x-api-key", "key-of-team", 200),
    ] {
        let heard = ask(name, value).await;
        assert_eq!(heard.status, status, "{name} {value}: {heard:?}");
        assert!(!heard.body.contains("key-of"), "{}", heard.body);
    }
    let refused = stage.value("bellwether_router_refused_total", &["\"unauthenticated\""]);
    assert_eq!(refused, 3.0);
    // The provider never saw one of these.
    assert_eq!(stage.old.stats().requests, 2);
    let models = stage.client.get(stage.url("/v1/models"));
    assert_eq!(models.send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_request_that_cannot_be_served_is_told_why() {
    let mut small = route();
    small.body_bytes_max = 2_000;
    let healthy = Behavior::default;
    let stage = Stage::new(healthy(), healthy(), small, Dialect::OpenaiChat).await;
    let post = async |path: &str, body: String| {
        let request = stage.client.post(stage.url(path)).body(body);
        heard(request.header("content-type", "application/json")).await
    };
    for (path, body, status, words) in [
        ("/v1/chat/completions", "{".to_owned(), 400, "not a JSON object"),
        ("/v1/chat/completions", r#"{"model":"a","model":"chat"}"#.to_owned(), 400, "once"),
        ("/v1/chat/completions", r#"{"model":"gpt"}"#.to_owned(), 404, "no route offers"),
        ("/v1/chat/completions", " ".repeat(2_001), 413, "larger than 2000 bytes"),
        // The one provider has nothing of the kind.
        ("/v1/messages/count_tokens", question(false).to_string(), 404, "do not answer at"),
        ("/v1/nothing", String::new(), 404, "nothing is served"),
    ] {
        let heard = post(path, body).await;
        assert_eq!(heard.status, status, "{heard:?}");
        assert!(heard.body.contains(words), "{}", heard.body);
        let said: Value = serde_json::from_str(&heard.body).unwrap();
        assert!(said["error"]["message"].is_string());
        assert_eq!(said["type"] == "error", path.starts_with("/v1/messages"), "{said}");
    }
    assert_eq!(stage.old.stats().requests, 0);
}

#[tokio::test]
async fn what_is_too_much_is_turned_away_at_once() {
    let admission = Admission { in_flight_max: 1, ..Admission::default() };
    let slow = Behavior { ttft: 5_000 * MS, ..Behavior::default() };
    let healthy = Behavior::default();
    let stage = Stage::admitting(slow, healthy, route(), Dialect::OpenaiChat, admission).await;
    let first = stage.post(Dialect::OpenaiChat, &question(true)).send();
    let first = tokio::spawn(first);
    while stage.old.stats().requests == 0 {
        tokio::time::sleep(MS).await;
    }
    let began = tokio::time::Instant::now();
    let heard = stage.ask(Dialect::OpenaiChat, true).await;
    assert!(began.elapsed() < 2_000 * MS);
    assert_eq!(heard.status, 503, "{heard:?}");
    let wait: u64 = heard.header("retry-after").parse().unwrap();
    assert!((1..=3).contains(&wait));
    assert!(heard.body.contains("server_is_overloaded"), "{}", heard.body);
    first.abort();
}

#[tokio::test]
async fn bodies_that_are_held_have_a_bound_together() {
    let admission = Admission { held_bytes_max: 4 << 10, ..Admission::default() };
    let stage = admitting(admission).await;
    let mut large = question(false);
    large["padding"] = json!("x".repeat(8 << 10));
    let heard = heard(stage.post(Dialect::OpenaiChat, &large)).await;
    assert_eq!(heard.status, 503, "{heard:?}");
    assert_eq!(stage.ask(Dialect::OpenaiChat, false).await.status, 200);
}

#[tokio::test]
async fn the_routes_are_listed_as_each_client_expects() {
    let stage = admitting(Admission::default()).await;
    let get = async |path: &str, is_anthropic: bool| {
        let mut request = stage.client.get(stage.url(path));
        if is_anthropic {
            request = request.header("anthropic-version", "2023-06-01");
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        (status, body)
    };
    let (status, listed) = get("/v1/models", false).await;
    assert_eq!((status, &listed["data"][0]["id"]), (200, &json!("chat")));
    assert_eq!(listed["object"], "list");
    let (_, listed) = get("/v1/models", true).await;
    assert_eq!((&listed["first_id"], &listed["has_more"]), (&json!("chat"), &json!(false)));
    assert_eq!(listed["data"][0]["type"], "model");
    assert_eq!(get("/v1/models/chat", false).await.1["object"], "model");
    assert_eq!(get("/v1/models/other", false).await.0, 404);
    let healthy = stage.client.get(stage.url("/-/healthy")).send().await.unwrap();
    assert_eq!(healthy.text().await.unwrap(), "OK\n");
}

#[tokio::test]
async fn what_a_provider_does_not_know_passes_and_is_graded_by_its_status() {
    // What the simulator makes of these is an answer too.
    let mut stage = admitting(Admission::default()).await;
    for (path, status, error_type) in
        [("/v1/responses", 400, ErrorType::Http400), ("/v1/embeddings", 404, ErrorType::Http404)]
    {
        let request = stage.client.post(stage.url(path)).body(r#"{"model":"chat"}"#);
        assert_eq!(heard(request).await.status, status);
        assert_eq!(stage.told().await.error_type, error_type);
    }
}

#[tokio::test]
async fn the_table_is_stored_and_read_back() {
    let stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    stage.split(2_500);
    let version = stage.table.borrow().version();
    let stored = loop {
        match super::super::stored(&stage.storage).unwrap() {
            Some(table) if table.version() == version => break table,
            _ => tokio::time::sleep(5 * MS).await,
        }
    };
    assert_eq!(stored, **stage.table.borrow());
    let weight = stage.value("bellwether_router_weight_ratio", &["arm=\"candidate\""]);
    assert_eq!(weight, 0.25);
    std::fs::write(stage.storage.join("routing-table.json"), "{").unwrap();
    assert!(super::super::stored(&stage.storage).is_err());
    assert!(super::super::stored(std::path::Path::new("/nowhere")).unwrap().is_none());
}
