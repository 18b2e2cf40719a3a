//! Keys, models, paths, steering, counts, stopping.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_demanded_key_may_come_either_way_and_must_be_right() {
    let simulator = simulator("key: sk-good").await;
    let chat = |headers: &str| chat(true).replace("connection: close", headers);
    let messages = |headers: &str| messages(true).replace("connection: close", headers);
    for (request, status, part) in [
        (chat("connection: close"), "401", "invalid_api_key"),
        (chat("connection: close\r\nauthorization: Bearer sk-bad"), "401", "invalid_api_key"),
        (chat("connection: close\r\nauthorization: Bearer sk-good"), "200", "[DONE]"),
        (messages("connection: close\r\nx-api-key: sk-bad"), "401", "authentication_error"),
        (messages("connection: close\r\nx-api-key: sk-good"), "200", "message_stop"),
        (messages("connection: close\r\nauthorization: Bearer sk-good"), "200", "message_stop"),
        (request("GET", "/v1/models", "", ""), "401", "invalid_api_key"),
    ] {
        let heard = ask(&simulator, &request).await;
        assert_eq!(heard.status(), status, "{request}");
        assert!(heard.raw.contains(part), "{}", heard.raw);
    }
    let by_fault = simulator.stats().by_fault;
    assert_eq!((by_fault["unauthorized"], by_fault["healthy"]), (3, 3));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn models_are_listed_in_the_askers_dialect_and_others_do_not_exist() {
    let simulator = simulator("models: [m, n]").await;
    let version = "anthropic-version: 2023-06-01\r\n";
    for (request, status, part) in [
        (request("GET", "/v1/models", "", ""), "200", r#""id":"n","object":"model""#),
        (request("GET", "/v1/models", version, ""), "200", r#""has_more":false,"last_id":"n""#),
        (chat(true).replace(r#""model":"m""#, r#""model":"x""#), "404", "model_not_found"),
        (messages(true).replace(r#""model":"m""#, r#""model":"x""#), "404", "not_found_error"),
        (
            messages(true).replace("anthropic-version", "anthropic-revision"),
            "400",
            "anthropic-version",
        ),
        (post("/v1/chat/completions", "", "{"), "400", "the body is not JSON"),
        (post("/v1/chat/completions", "", &"x".repeat((1 << 20) + 1)), "413", "cannot be read"),
        (request("GET", "/v1/messages", "", ""), "405", ""),
        (request("GET", "/nothing", "", ""), "404", ""),
    ] {
        let heard = ask(&simulator, &request).await;
        let shown = &request[..request.len().min(300)];
        assert_eq!(heard.status(), status, "{shown}");
        assert!(heard.body().contains(part), "{shown}: {}", heard.raw);
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_timeline_follows_the_clock_and_a_new_script_begins_anew() {
    let script = "phases: [{after: 0s}, {after: 20s, faults: [{kind: http, status: 500}]}]";
    let simulator = simulator(script).await;
    let status = async || ask(&simulator, &chat(true)).await.status().to_owned();
    assert_eq!(status().await, "200");
    tokio::time::advance(Duration::from_secs(20)).await;
    assert_eq!(status().await, "500");
    simulator.set(parsed(script));
    assert_eq!(status().await, "200");
    let stats = simulator.stats();
    assert_eq!((stats.requests, stats.by_fault["http_500"], stats.by_fault["healthy"]), (3, 1, 2));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_steered_by_http() {
    let simulator = simulator("").await;
    let status = async || ask(&simulator, &chat(true)).await.status().to_owned();
    let steps = [
        ("POST", "/-/fault", r#"{"kind": "http", "status": 503}"#, "503"),
        ("DELETE", "/-/fault", "", "200"),
        ("PUT", "/-/script", "phases: [{after: 0s, faults: [{kind: http, status: 529}]}]", "529"),
        ("POST", "/-/fault", r#"{"kind": "crlf", "share": 0}"#, "200"),
        ("PUT", "/-/script", r#"{"phases": [{"after": "0s"}]}"#, "200"),
    ];
    for (method, path, body, expected) in steps {
        let heard = ask(&simulator, &request(method, path, "", body)).await;
        assert_eq!(heard.status(), "200", "{method} {path}: {}", heard.raw);
        assert_eq!(status().await, expected, "after {method} {path} {body}");
    }
    let heard = ask(&simulator, &request("GET", "/-/script", "", "")).await;
    assert!(heard.body().starts_with("phases:\n- after: 0s\n"), "{}", heard.body());
    let heard = ask(&simulator, &request("GET", "/-/stats", "", "")).await;
    let expected = r#"{"requests":5,"slow":0,"by_fault":{"healthy":3,"http_503":1,"http_529":1}}"#;
    assert_eq!(heard.body(), expected);
    for path in ["/-/healthy", "/-/ready"] {
        let heard = ask(&simulator, &request("GET", path, "", "")).await;
        assert_eq!(heard.status(), "200", "{path}");
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_script_changes_nothing_and_web_pages_steer_nothing() {
    let simulator = simulator("").await;
    let fault = r#"{"kind":"reset"}"#;
    let from_elsewhere =
        post("/-/fault", "", fault).replace("host: 127.0.0.1", "host: evil.example");
    for (request, status, part) in [
        (
            request("PUT", "/-/script", "", "phases: [{after: x}]"),
            "400",
            "the request's body:1:18: ",
        ),
        (post("/-/fault", "", r#"{"kind":"nap"}"#), "400", "`nap` is not known"),
        (post("/-/fault", "origin: http://127.0.0.1\r\n", fault), "403", ""),
        (from_elsewhere, "403", ""),
        (post("/-/stats", "", ""), "405", ""),
        (request("GET", "/-/nothing", "", ""), "404", ""),
    ] {
        let heard = ask(&simulator, &request).await;
        assert_eq!(heard.status(), status, "{request}");
        assert!(heard.body().contains(part), "{}", heard.raw);
    }
    assert_eq!(ask(&simulator, &chat(true)).await.status(), "200");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_connections_that_hang() {
    let simulator = simulator("phases: [{after: 0s, faults: [{kind: stall}]}]").await;
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    socket.write_all(chat(true).as_bytes()).await.unwrap();
    let mut buffer = [0; 64];
    assert!(socket.read(&mut buffer).await.unwrap() > 0);
    let started = Instant::now();
    simulator.stop().await;
    assert!(started.elapsed() < Duration::from_secs(2));
    let mut rest = Vec::new();
    assert!(timeout(PATIENCE, socket.read_to_end(&mut rest)).await.is_ok());
}
