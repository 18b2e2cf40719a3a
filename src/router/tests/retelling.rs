//! Clients of one dialect, providers of another.

use super::*;
use crate::provider::SloClass;

const PAIRS: [(Dialect, Dialect); 7] = [
    (Dialect::OpenaiChat, Dialect::AnthropicMessages),
    (Dialect::OpenaiChat, Dialect::Gemini),
    (Dialect::OpenaiChat, Dialect::OpenaiResponses),
    (Dialect::AnthropicMessages, Dialect::OpenaiChat),
    (Dialect::AnthropicMessages, Dialect::AzureOpenai),
    (Dialect::AnthropicMessages, Dialect::Gemini),
    (Dialect::AnthropicMessages, Dialect::OpenaiResponses),
];

/// What a client of a dialect asks: one of Anthropic's knows no `stream_options`.
fn asked(client: Dialect, is_streamed: bool) -> Value {
    let mut body = question(is_streamed);
    if client == Dialect::AnthropicMessages {
        body.as_object_mut().unwrap().remove("stream_options");
    }
    body
}

/// The data of a stream's events.
fn events(body: &str) -> Vec<Value> {
    let lines = body.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

#[tokio::test]
async fn an_answer_comes_in_the_clients_words_and_is_graded_in_the_providers() {
    for (client, provider) in PAIRS {
        for is_streamed in [true, false] {
            let mut stage = Stage::stable(Behavior::default(), provider).await;
            let heard = heard(stage.post(client, &asked(client, is_streamed))).await;
            assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
            let (text, end): (String, Value) = match (client, is_streamed) {
                (Dialect::OpenaiChat, true) => {
                    let events = events(&heard.body);
                    assert_eq!(events.last(), Some(&json!("[DONE]")), "{}", heard.body);
                    assert_eq!(events[events.len() - 2]["usage"]["completion_tokens"], 8);
                    let choices = events.iter().map(|event| &event["choices"][0]);
                    let text = choices.clone().filter_map(|one| one["delta"]["content"].as_str());
                    let ends = choices.map(|one| &one["finish_reason"]);
                    (text.collect(), ends.filter(|end| end.is_string()).cloned().collect())
                }
                (Dialect::OpenaiChat, false) => {
                    let answer: Value = serde_json::from_str(&heard.body).unwrap();
                    let choice = &answer["choices"][0];
                    let text = choice["message"]["content"].as_str().unwrap().to_owned();
                    (text, json!([choice["finish_reason"]]))
                }
                (Dialect::AnthropicMessages, true) => {
                    let events = events(&heard.body);
                    assert_eq!(events.last().unwrap()["type"], "message_stop", "{}", heard.body);
                    let text = events.iter().filter_map(|event| event["delta"]["text"].as_str());
                    let end = events[events.len() - 2]["delta"]["stop_reason"].clone();
                    assert_eq!(events[events.len() - 2]["usage"]["output_tokens"], 8);
                    (text.collect(), json!([end]))
                }
                (Dialect::AnthropicMessages, false) => {
                    let answer: Value = serde_json::from_str(&heard.body).unwrap();
                    let text = answer["content"][0]["text"].as_str().unwrap().to_owned();
                    (text, json!([answer["stop_reason"]]))
                }
                (other, _) => panic!("no surface speaks {other:?}"),
            };
            assert!(text.starts_with("7f3a"), "{text}");
            let expected = match client {
                Dialect::OpenaiChat => json!(["stop"]),
                Dialect::AnthropicMessages => json!(["end_turn"]),
                other => panic!("no surface speaks {other:?}"),
            };
            assert_eq!(end, expected);
            let told = stage.told().await;
            assert_eq!((told.error_type, told.class), (ErrorType::None, SloClass::Good));
            assert_eq!(told.usage.unwrap().output, 8);
        }
    }
}

#[tokio::test]
async fn errors_come_in_the_clients_words() {
    let http = |status| Fault::Http { status, retry_after: Some(Duration::from_secs(30)) };
    for (client, provider) in PAIRS {
        for (status, seen, error_type) in [
            (401, 401, ErrorType::Http401),
            (429, 429, ErrorType::RateLimited),
            // Anthropic's alone; what OpenAI's clients know is 503.
            (529, if client == Dialect::OpenaiChat { 503 } else { 529 }, ErrorType::Overloaded),
        ] {
            let mut stage = Stage::stable(failing(http(status)), provider).await;
            let heard = heard(stage.post(client, &asked(client, true))).await;
            assert_eq!(heard.status, seen, "{heard:?}");
            let said: Value = serde_json::from_str(&heard.body).unwrap();
            assert!(said["error"]["message"].is_string(), "{said}");
            assert_eq!(said["type"] == "error", client == Dialect::AnthropicMessages, "{said}");
            if status == 429 {
                assert_eq!(heard.header("retry-after"), "30");
            }
            assert_eq!(stage.told().await.error_type, error_type);
        }
    }
}

#[tokio::test]
async fn a_stream_that_fails_fails_in_the_clients_words_too() {
    for (client, provider) in PAIRS {
        let mut stage = Stage::stable(failing(Fault::OverloadedMidStream), provider).await;
        let heard = heard(stage.post(client, &asked(client, true))).await;
        let last = events(&heard.body).pop().unwrap();
        assert!(last["error"]["message"].is_string(), "{}", heard.body);
        assert_eq!(stage.told().await.error_type, ErrorType::Overloaded);
        // No end is told that did not come.
        let stage = Stage::stable(failing(Fault::Truncated), provider).await;
        let heard = super::heard(stage.post(client, &asked(client, true))).await;
        assert!(!heard.is_whole, "{heard:?}");
        assert!(!heard.body.contains("[DONE]") && !heard.body.contains("message_stop"));
    }
}

#[tokio::test]
async fn what_the_provider_has_no_words_for_is_refused_or_left_out_by_name() {
    let client = Dialect::OpenaiChat;
    let mut body = asked(client, false);
    body["seed"] = json!(7);
    let stage = Stage::stable(Behavior::default(), Dialect::AnthropicMessages).await;
    let refused = heard(stage.post(client, &body)).await;
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.contains("parameter `seed`"), "{}", refused.body);
    assert_eq!(stage.old.stats().requests, 0);
    let lenient = Route { strictness: Strictness::Lenient, ..route() };
    let healthy = Behavior::default;
    let stage = Stage::new(healthy(), healthy(), lenient, Dialect::AnthropicMessages).await;
    assert_eq!(heard(stage.post(client, &body)).await.status, 200);
    let dropped = "bellwether_router_translation_dropped_params_total";
    assert_eq!(stage.value(dropped, &["param=\"seed\"", "chat_to_messages"]), 1.0);
}

#[tokio::test]
async fn a_request_that_only_the_candidate_cannot_be_told_goes_to_stable() {
    let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    let base_url = stage.new.base_url();
    let other = target("new", &base_url, Dialect::AnthropicMessages);
    stage.settings.targets.insert(other.id.clone(), other.into());
    stage.router.reload(stage.settings.clone());
    stage.split(10_000);
    let mut body = asked(Dialect::OpenaiChat, false);
    let arm = async |body: &Value| {
        let heard = heard(stage.post(Dialect::OpenaiChat, body)).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        heard.header("x-bellwether-arm").to_owned()
    };
    assert_eq!(arm(&body).await, "candidate");
    body["seed"] = json!(7);
    assert_eq!(arm(&body).await, "stable");
}

#[tokio::test]
async fn azure_answers_clients_of_openai_at_its_own_addresses() {
    let version = |version: Option<&str>| crate::provider::Wire {
        api_version: version.map(str::to_owned),
        ..crate::provider::Wire::default()
    };
    for wire in [version(None), version(Some("2024-10-21"))] {
        let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
        let mut azure = target("old", &stage.old.base_url(), Dialect::AzureOpenai);
        let provider = Arc::get_mut(&mut azure.provider).unwrap();
        provider.wire = wire;
        stage.settings.targets.insert(azure.id.clone(), azure.into());
        stage.router.reload(stage.settings.clone());
        for is_streamed in [true, false] {
            let heard = stage.ask(Dialect::OpenaiChat, is_streamed).await;
            assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
            // As it came, with what Azure's filters say.
            assert!(heard.body.contains("prompt_filter_results"), "{}", heard.body);
            let told = stage.told().await;
            // A deployment answers as the model behind it: that is no other model.
            assert_eq!((told.error_type, told.class), (ErrorType::None, SloClass::Good));
            assert_eq!(told.usage.unwrap().output, 8);
        }
    }
}

#[tokio::test]
async fn responses_pass_and_are_graded_by_what_they_say() {
    let ask = async |stage: &Stage, is_streamed: bool| {
        let body = json!({"model": "chat", "input": "say exactly 7f3a", "stream": is_streamed});
        heard(stage.client.post(stage.url("/v1/responses")).body(body.to_string())).await
    };
    for is_streamed in [true, false] {
        let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiResponses).await;
        let heard = ask(&stage, is_streamed).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        let told = stage.told().await;
        assert_eq!((told.error_type, told.usage.unwrap().output), (ErrorType::None, 8));
    }
    for (fault, is_whole, error_type) in [
        (Fault::Truncated, false, ErrorType::TruncatedStream),
        (Fault::OverloadedMidStream, true, ErrorType::Overloaded),
    ] {
        let mut stage = Stage::stable(failing(fault), Dialect::OpenaiResponses).await;
        assert_eq!(ask(&stage, true).await.is_whole, is_whole);
        assert_eq!(stage.told().await.error_type, error_type);
    }
}

/// A response that is made in the background is not there yet, and that is no failure of its answer.
#[tokio::test]
async fn a_response_that_is_asked_for_later_is_graded_by_its_status() {
    let answer = json!({"id": "resp_1", "object": "response", "status": "queued",
        "model": "old-upstream", "output": []});
    let answering = axum::routing::post(async move || answer.to_string());
    let application = axum::Router::new().route("/v1/responses", answering);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, application).await.unwrap() });
    let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiResponses).await;
    let old = target("old", &url, Dialect::OpenaiResponses);
    stage.settings.targets.insert(old.id.clone(), old.into());
    stage.router.reload(stage.settings.clone());
    for (is_deferred, is_good) in [(true, true), (false, false)] {
        let body = json!({"model": "chat", "input": "hi", "background": is_deferred});
        let asked = stage.client.post(stage.url("/v1/responses")).body(body.to_string());
        assert_eq!(heard(asked).await.status, 200);
        let told = stage.told().await;
        assert_eq!(told.error_type == ErrorType::None, is_good, "{told:?}");
    }
}

/// The matrix of faults for those who are told in other words: what they see, what is counted, what
/// the evidence says.
#[tokio::test]
async fn each_fault_of_a_stream_is_seen_through_other_words_too() {
    use ErrorType as E;
    for (fault, seen, says_error, error_type) in [
        (Fault::Truncated, (200, false), false, E::TruncatedStream),
        (Fault::Reset, (200, false), false, E::ConnectionReset),
        (Fault::Stall, (200, false), false, E::StalledStream),
        (Fault::PingsOnly, (200, false), false, E::StalledStream),
        (Fault::NeverStarts, (504, true), true, E::TtftTimeout),
        (Fault::NoHeaders, (504, true), true, E::TtftTimeout),
        (Fault::Html200, (502, true), true, E::WrongContentType),
        (Fault::JsonOnStream, (502, true), true, E::WrongContentType),
        (Fault::OverloadedMidStream, (200, true), true, E::Overloaded),
        (Fault::MalformedJson, (200, true), true, E::MalformedJson),
        (Fault::EmptyContent, (200, true), false, E::EmptyContent),
    ] {
        for (client, provider) in PAIRS {
            let mut route = route();
            route.timeouts = Timeouts {
                connect: 5000 * MS,
                first_token: 400 * MS,
                idle: 200 * MS,
                total: 1500 * MS,
            };
            let healthy = Behavior::default();
            let mut stage = Stage::new(failing(fault), healthy, route, provider).await;
            let heard = heard(stage.post(client, &asked(client, true))).await;
            let what = format!("{fault:?} {client:?} {provider:?}: {heard:?}");
            assert_eq!((heard.status, heard.is_whole), seen, "{what}");
            assert_eq!(heard.body.contains("\"error\""), says_error, "{what}");
            let told = stage.told().await;
            assert_eq!((told.error_type, told.class), (error_type, SloClass::Bad), "{what}");
            let error = format!("error_type=\"{}\"", error_type.as_str());
            let labels = ["arm=\"stable\"", error.as_str(), "slo=\"bad\""];
            assert_eq!(stage.value("bellwether_router_requests_total", &labels), 1.0, "{what}");
            super::faults::broke(&stage, &told);
        }
    }
}

/// A provider that always says this.
async fn saying(media: &'static str, body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = move || std::future::ready(([(http::header::CONTENT_TYPE, media)], body.clone()));
    let application = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, application).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test]
async fn what_nobody_knows_is_told_by_the_nearest_word_and_counted() {
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = |content: Value, reason: Value| {
        json!({"id": "m", "type": "message", "role": "assistant", "model": "m",
            "content": content, "stop_reason": reason, "stop_sequence": null, "usage": usage})
    };
    let text = json!({"type": "text", "text": "7f3a"});
    let whole = message(json!([text, {"type": "of_tomorrow"}]), json!("of_tomorrow"));
    let streamed: String = [
        json!({"type": "message_start", "message": message(json!([]), Value::Null)}),
        json!({"type": "content_block_start", "index": 0, "content_block": text}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "of_tomorrow"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "message_delta", "delta": {"stop_reason": "of_tomorrow"}, "usage": usage}),
        json!({"type": "message_stop"}),
    ]
    .iter()
    .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()))
    .collect();
    for (is_streamed, media, body) in
        [(false, "application/json", whole.to_string()), (true, "text/event-stream", streamed)]
    {
        let mut stage = Stage::stable(Behavior::default(), Dialect::AnthropicMessages).await;
        let base_url = saying(media, body).await;
        let odd = target("old", &base_url, Dialect::AnthropicMessages);
        stage.settings.targets.insert(odd.id.clone(), Arc::new(odd));
        stage.router.reload(stage.settings.clone());
        let heard = stage.ask(Dialect::OpenaiChat, is_streamed).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        assert!(heard.body.contains(r#""finish_reason":"stop""#), "{}", heard.body);
        assert!(!heard.body.contains("of_tomorrow"), "{}", heard.body);
        stage.told().await;
        let metric = "bellwether_router_translation_unknown_total";
        for (kind, times) in [("other_reasons", 1.0), ("other_blocks", 1.0), ("other_fields", 0.0)]
        {
            let labels = ["chat_to_messages", &format!("kind=\"{kind}\"")];
            assert_eq!(stage.value(metric, &labels), times, "{kind} streamed: {is_streamed}");
        }
    }
}
