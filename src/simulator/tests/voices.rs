//! Healthy answers of the dialects that `wire` does not look at, held against their documentation.

use serde_json::{Value, json};

use super::*;

const TWO_TOKENS: &str = "phases: [{after: 0s, tokens: 2}]";

/// The data of a stream's events, in order.
fn data(body: &str) -> Vec<Value> {
    body.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_healthy_response_numbers_its_events_and_ends_with_the_whole() {
    let simulator = simulator(TWO_TOKENS).await;
    let body = r#"{"model":"m","input":"Say exactly abcdef","stream":true,"store":false}"#;
    let heard = ask(&simulator, &post("/v1/responses", "", body)).await;
    let events = data(&heard.body());
    let told: Vec<String> = events
        .iter()
        .map(|event| format!("{} {}", event["sequence_number"], event["type"]))
        .collect();
    let expected = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.completed",
    ];
    let expected: Vec<String> =
        (0..).zip(expected).map(|(number, kind)| format!("{number} \"{kind}\"")).collect();
    assert_eq!(told, expected);
    assert_eq!((&events[4]["delta"], &events[5]["delta"]), (&json!("abc"), &json!("def")));
    let response = &events[7]["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], "abcdef");
    // 18 characters of prompt are 18 / 4 + 1 tokens.
    assert_eq!(response["usage"]["input_tokens"], 5);
    assert_eq!(response["usage"]["output_tokens"], 2);
    assert!(!heard.body().contains("[DONE]"));
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_healthy_answer_of_googles_ends_with_its_reason_and_nothing_else() {
    let simulator = simulator(TWO_TOKENS).await;
    let body = r#"{"contents":[{"parts":[{"text":"Say exactly abcdef"}]}],"generationConfig":{"maxOutputTokens":9}}"#;
    let path = "/v1beta/models/g-1:streamGenerateContent?alt=sse";
    let heard = ask(&simulator, &post(path, "", body)).await;
    let chunks = data(&heard.body());
    let said: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["candidates"][0]["content"]["parts"][0]["text"]).collect();
    assert_eq!(said, ["abc", "def", ""]);
    assert_eq!(chunks[1]["candidates"][0]["finishReason"], Value::Null);
    assert_eq!(chunks[2]["candidates"][0]["finishReason"], "STOP");
    assert_eq!(chunks[2]["modelVersion"], "g-1");
    let usage = json!({ "promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7 });
    assert_eq!(chunks[2]["usageMetadata"], usage);
    let whole = ask(&simulator, &post("/v1beta/models/g-1:generateContent", "", body)).await;
    let whole: Value = serde_json::from_str(&whole.body()).unwrap();
    assert_eq!(whole["candidates"][0]["content"]["parts"][0]["text"], "abcdef");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_azures_begins_without_choices_and_has_a_choice_without_delta() {
    let simulator = simulator(TWO_TOKENS).await;
    let body = r#"{"stream":true,"messages":[{"role":"user","content":"Say exactly abcdef"}]}"#;
    let path = "/openai/deployments/d/chat/completions?api-version=2024-10-21";
    let heard = ask(&simulator, &post(path, "", body)).await;
    let chunks = data(&heard.body());
    assert_eq!(chunks[0]["choices"], json!([]));
    assert!(chunks[0]["prompt_filter_results"].is_array());
    assert_eq!(chunks[2]["choices"][0]["delta"]["content"], "abc");
    assert_eq!(chunks[2]["model"], "d");
    assert_eq!(chunks[4]["choices"][0]["delta"], Value::Null);
    assert!(heard.body().ends_with("data: [DONE]\n\n"));
    assert!(heard.head().contains("apim-request-id: sim00000001"), "{}", heard.head());
    let undated = path.split('?').next().unwrap();
    assert_eq!(ask(&simulator, &post(undated, "", body)).await.status(), "400");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_dialect_reports_overload_inside_a_stream_in_its_own_words() {
    let script = "phases: [{after: 0s, tokens: 2, faults: [{kind: overloaded_mid_stream}]}]";
    let simulator = simulator(script).await;
    let responses = post("/v1/responses", "", r#"{"model":"m","input":"x y","stream":true}"#);
    let heard = ask(&simulator, &responses).await.body();
    let failed = data(&heard).pop().unwrap();
    assert_eq!(failed["type"], "response.failed");
    assert_eq!(failed["response"]["error"]["code"], "server_is_overloaded");
    let path = "/v1beta/models/g:streamGenerateContent?alt=sse";
    let body = r#"{"contents":[{"role":"user","parts":[{"text":"x y"}]}]}"#;
    let heard = ask(&simulator, &post(path, "", body)).await.body();
    let (_, stray) = heard.split_once("\n{\n").unwrap();
    assert!(stray.contains("\"status\": \"UNAVAILABLE\""), "{heard}");
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn googles_wait_stands_in_the_body_and_its_daily_quota_is_named() {
    for (fault, told) in [
        ("kind: http, status: 429, retry_after: 2500ms", "\"retryDelay\":\"2.5s\""),
        ("kind: quota_exhausted", "PerDay"),
    ] {
        let simulator = simulator(&format!("phases: [{{after: 0s, faults: [{{{fault}}}]}}]")).await;
        let body = r#"{"contents":[{"parts":[{"text":"x"}]}]}"#;
        let heard = ask(&simulator, &post("/v1beta/models/g:generateContent", "", body)).await;
        assert_eq!(heard.status(), "429");
        assert!(heard.body().contains(told), "{}", heard.body());
        assert!(!heard.head().contains("retry-after"), "{}", heard.head());
        simulator.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_vendor_lists_its_models_where_it_does() {
    let simulator = simulator("{models: [a, b]}").await;
    for (path, list, first) in [
        ("/v1/models", "/data/0/id", "a"),
        ("/openai/v1/models", "/data/0/id", "a"),
        ("/openai/models?api-version=2024-10-21", "/data/0/id", "a"),
        ("/v1beta/models", "/models/0/name", "models/a"),
    ] {
        let heard = ask(&simulator, &request("GET", path, "", "")).await;
        let body: Value = serde_json::from_str(&heard.body()).unwrap();
        assert_eq!(body.pointer(list), Some(&json!(first)), "{path}");
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_is_continued_where_it_was_made_and_nowhere_else() {
    let (first, second) = (simulator(TWO_TOKENS).await, simulator(TWO_TOKENS).await);
    let asking = |previous: &str| {
        let body = json!({"model": "m", "input": "x y", "previous_response_id": previous});
        post("/v1/responses", "", &body.to_string())
    };
    let made = ask(&first, &post("/v1/responses", "", r#"{"model":"m","input":"x y"}"#)).await;
    let made: Value = serde_json::from_str(&made.body()).unwrap();
    let id = made["id"].as_str().unwrap();
    assert_eq!(ask(&first, &asking(id)).await.status(), "200");
    for (simulator, id) in [(&second, id), (&first, "resp_1"), (&first, "")] {
        let refused = ask(simulator, &asking(id)).await;
        assert_eq!(refused.status(), "400");
        let refused: Value = serde_json::from_str(&refused.body()).unwrap();
        assert_eq!(refused["error"]["code"], "previous_response_not_found");
        assert_eq!(refused["error"]["param"], "previous_response_id");
    }
    first.stop().await;
    second.stop().await;
}
