//! Each fault, in each dialect, streamed and whole.

use super::super::fault::PLAIN;
use super::*;

#[tokio::test(start_paused = true)]
async fn a_healthy_chat_stream_has_role_content_finish_usage_and_done() {
    let simulator = simulator("phases: [{after: 0s, tokens: 2}]").await;
    let heard = ask(&simulator, &chat(true)).await;
    assert!(heard.raw.starts_with("HTTP/1.1 200 OK\r\n"), "{}", heard.raw);
    for header in [
        "content-type: text/event-stream; charset=utf-8",
        "x-request-id: req_sim00000001",
        "x-ratelimit-remaining-requests: 9998",
        "transfer-encoding: chunked",
    ] {
        assert!(heard.head().contains(header), "{header} in {}", heard.head());
    }
    let body = heard.body();
    let frames: Vec<serde_json::Value> = body
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ")?).ok())
        .collect();
    let shown: Vec<String> = frames
        .iter()
        .map(|frame| {
            let choice = &frame["choices"][0];
            format!("{} {} {}", choice["delta"], choice["finish_reason"], frame["usage"])
        })
        .collect();
    // 18 characters of prompt are 18 / 4 + 1 tokens.
    let usage = r#"{"completion_tokens":2,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":7}"#;
    assert_eq!(
        shown,
        [
            r#"{"content":"","role":"assistant"} null null"#.to_owned(),
            r#"{"content":"abc"} null null"#.to_owned(),
            r#"{"content":"def"} null null"#.to_owned(),
            r#"{} "stop" null"#.to_owned(),
            format!("null null {usage}"),
        ]
    );
    assert!(body.ends_with("data: [DONE]\n\n"), "{body}");
    assert_eq!(heard.ending, Ending::Complete);
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_healthy_messages_stream_has_the_documented_events_in_order() {
    let simulator = simulator("phases: [{after: 0s, tokens: 2}]").await;
    let heard = ask(&simulator, &messages(true)).await;
    let body = heard.body();
    let expected = [
        "event: message_start\ndata: {\"message\":{\"content\":[],\"id\":\"msg_sim00000001\",\"model\":\"m\",\"role\":\"assistant\",\"stop_reason\":null,\"stop_sequence\":null,\"type\":\"message\",\"usage\":{\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"input_tokens\":5,\"output_tokens\":1}},\"type\":\"message_start\"}",
        "event: content_block_start\ndata: {\"content_block\":{\"text\":\"\",\"type\":\"text\"},\"index\":0,\"type\":\"content_block_start\"}",
        "event: ping\ndata: {\"type\":\"ping\"}",
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"abc\",\"type\":\"text_delta\"},\"index\":0,\"type\":\"content_block_delta\"}",
        "event: content_block_delta\ndata: {\"delta\":{\"text\":\"def\",\"type\":\"text_delta\"},\"index\":0,\"type\":\"content_block_delta\"}",
        "event: content_block_stop\ndata: {\"index\":0,\"type\":\"content_block_stop\"}",
        "event: message_delta\ndata: {\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"type\":\"message_delta\",\"usage\":{\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"input_tokens\":5,\"output_tokens\":2}}",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}",
        "",
    ];
    assert_eq!(body.split("\n\n").collect::<Vec<_>>(), expected);
    assert!(heard.head().contains("request-id: req_sim00000001"), "{}", heard.head());
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_healthy_whole_answer_says_the_nonce_and_its_usage() {
    let simulator = simulator("").await;
    for (request, text, usage) in [
        (chat(false), r#""content":"abcdef ok ok""#, r#""completion_tokens":8"#),
        (messages(false), r#""text":"abcdef ok ok""#, r#""output_tokens":8"#),
    ] {
        let heard = ask(&simulator, &request).await;
        assert_eq!(heard.ending, Ending::Complete);
        assert!(heard.head().contains("content-type: application/json"), "{}", heard.head());
        assert!(heard.head().contains("content-length: "), "{}", heard.head());
        assert!(heard.body().contains(text) && heard.body().contains(usage), "{}", heard.body());
    }
    simulator.stop().await;
}

/// Asks one question under one fault: how it ends, what the body has, and what it must not have.
async fn check(request: &str, fault: &str, ending: Ending, has: &[&str], lacks: &[&str]) {
    let script = format!("phases: [{{after: 0s, tokens: 6, faults: [{{{fault}}}]}}]");
    let simulator = simulator(&script).await;
    let heard = ask(&simulator, request).await;
    assert_eq!(heard.ending, ending, "{fault}: {}", heard.raw);
    let seen = format!("{}\n\n{}", heard.head(), heard.body());
    for part in has {
        assert!(seen.contains(part), "{fault}: no {part} in {seen}");
    }
    for part in lacks {
        assert!(!seen.contains(part), "{fault}: {part} in {seen}");
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_chat_stream_is_on_the_wire() {
    use Ending::{Complete, Reset, Silent};
    const STREAM: &str = "content-type: text/event-stream";
    const C: &str = r#"{"content":"c"}"#;
    const D: &str = r#"{"content":"d"}"#;
    const DONE: &str = "data: [DONE]\n\n";
    const FINISH: &str = r#""finish_reason":"stop""#;
    let overloaded = r#"data: {"error":{"code":"server_is_overloaded","message":"simulated: overloaded","param":null,"type":"server_error"}}"#;
    let cases: &[(&str, Ending, &[&str], &[&str])] = &[
        ("kind: overloaded_mid_stream", Complete, &[STREAM, C, overloaded], &[D, DONE]),
        (
            "kind: overloaded_mid_stream, after_tokens: 0",
            Complete,
            &[STREAM, overloaded],
            &[r#"{"content":"a"}"#, DONE],
        ),
        ("kind: truncated", Complete, &[STREAM, C], &[D, DONE, FINISH]),
        ("kind: reset", Reset, &[STREAM, C], &[D, DONE]),
        ("kind: stall", Silent, &[STREAM, C], &[D, DONE]),
        ("kind: pings_only", Silent, &[STREAM, ": still working\n\n: still working\n\n"], &[C]),
        ("kind: never_starts", Silent, &["HTTP/1.1 200 OK", STREAM], &["data:"]),
        ("kind: no_headers", Silent, &[], &["HTTP"]),
        ("kind: html_200", Complete, &["200 OK", "text/html", "<!doctype html>"], &["data:"]),
        ("kind: json_on_stream", Complete, &["application/json", "chat.completion\""], &["data:"]),
        (
            "kind: malformed_json",
            Complete,
            &[DONE, D, "\"object\":\"chat.completion.chunk\",\"usage\":\n\n"],
            &[],
        ),
        ("kind: schema_mismatch", Complete, &[DONE, D, r#""choices":"none""#], &[]),
        ("kind: empty_content", Complete, &[DONE, FINISH, "completion_tokens\":0"], &[C]),
        ("kind: wrong_answer", Complete, &[DONE, FINISH, r#"{"content":"baa "}"#], &[C]),
        ("kind: refusal", Complete, &[DONE, r#"{"refusal":"I will not answer that."}"#], &[C]),
        ("kind: content_filter", Complete, &[DONE, C, r#""finish_reason":"content_filter""#], &[D]),
        ("kind: max_tokens", Complete, &[DONE, C, r#""finish_reason":"length""#], &[D]),
        (
            "kind: wrong_model",
            Complete,
            &[DONE, D, r#""model":"another-model""#],
            &[r#""model":"m""#],
        ),
        ("kind: usage_missing", Complete, &[DONE, D], &["usage"]),
        (
            "kind: unprefixed_error",
            Complete,
            &[STREAM, C, "\n\n{\n  \"error\": {\n    \"code\": \"server_is_overloaded\","],
            &[D, DONE, "data: {\"error\""],
        ),
        (
            "kind: early_finish",
            Complete,
            &[DONE, "\"stop\",\"index\":0,\"logprobs\":null}],\"created\"", D],
            &[],
        ),
        ("kind: no_done", Complete, &[FINISH, D, "completion_tokens\":6"], &[DONE]),
        ("kind: lingering_socket", Silent, &[FINISH, D, DONE], &[]),
        ("kind: crlf", Complete, &["data: [DONE]\r\n\r\n", D], &["}\n\n"]),
        (
            "kind: comments",
            Complete,
            &[": PROCESSING\n\n: still working\n\n: PROCESSING", D, DONE],
            &[],
        ),
        (
            "kind: usage_with_choices",
            Complete,
            &["\"stop\",\"index\":0,\"logprobs\":null}]", DONE],
            &["\"choices\":[]"],
        ),
    ];
    for (fault, ending, has, lacks) in cases {
        check(&chat(true), fault, *ending, has, lacks).await;
    }
    for (name, _) in PLAIN.iter().filter(|(name, _)| *name != "quota_exhausted") {
        assert!(cases.iter().any(|(fault, ..)| fault.contains(name)), "{name} has no case");
    }
}

#[tokio::test(start_paused = true)]
async fn each_fault_of_a_messages_stream_is_on_the_wire() {
    use Ending::{Complete, Reset, Silent};
    const C: &str = r#""text":"c""#;
    const D: &str = r#""text":"d""#;
    const STOP: &str = "event: message_stop";
    let cases: &[(&str, Ending, &[&str], &[&str])] = &[
        (
            "kind: overloaded_mid_stream",
            Complete,
            &[
                C,
                "event: error\ndata: {\"error\":{\"message\":\"simulated: overloaded\",\"type\":\"overloaded_error\"},\"request_id\":\"req_sim00000001\",\"type\":\"error\"}\n\n",
            ],
            &[D, STOP],
        ),
        ("kind: truncated", Complete, &[C], &[D, STOP, "message_delta"]),
        ("kind: reset", Reset, &[C], &[D, STOP]),
        ("kind: stall", Silent, &[C], &[D, STOP]),
        (
            "kind: pings_only",
            Silent,
            &["event: ping\ndata: {\"type\":\"ping\"}\n\nevent: ping"],
            &[C],
        ),
        ("kind: empty_content", Complete, &[STOP, "end_turn"], &["content_block"]),
        ("kind: schema_mismatch", Complete, &[STOP, r#""text":17"#, D], &[]),
        ("kind: refusal", Complete, &[STOP, r#""stop_reason":"refusal""#], &["content_block"]),
        ("kind: content_filter", Complete, &[STOP, C, r#""stop_reason":"refusal""#], &[D]),
        ("kind: max_tokens", Complete, &[STOP, C, r#""stop_reason":"max_tokens""#], &[D]),
        ("kind: usage_missing", Complete, &[STOP, D], &["usage"]),
        ("kind: no_done", Complete, &[STOP, D], &[]),
        (
            "kind: early_finish",
            Complete,
            &[
                STOP,
                "stop_sequence\":null},\"type\":\"message_delta\"}\n\nevent: content_block_delta",
                D,
            ],
            &[],
        ),
        ("kind: comments", Complete, &[": PROCESSING\n\nevent: ping", STOP], &[]),
        ("kind: lingering_socket", Silent, &[STOP], &[]),
    ];
    for (fault, ending, has, lacks) in cases {
        check(&messages(true), fault, *ending, has, lacks).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_answer_fails_in_the_nearest_way() {
    use Ending::{Complete, Reset, Short, Silent};
    let cases: &[(&str, Ending, &[&str], &[&str])] = &[
        ("kind: overloaded_mid_stream", Complete, &["200 OK", "\"error\":{"], &["choices"]),
        ("kind: truncated", Short, &["200 OK"], &["total_tokens"]),
        ("kind: reset", Reset, &["200 OK"], &["total_tokens"]),
        ("kind: stall", Silent, &["200 OK"], &["total_tokens"]),
        ("kind: pings_only", Silent, &["200 OK", "\n\n\n\n\n"], &["choices"]),
        ("kind: never_starts", Silent, &["200 OK", "application/json"], &["choices"]),
        ("kind: no_headers", Silent, &[], &["HTTP"]),
        ("kind: html_200", Complete, &["text/html"], &["choices"]),
        ("kind: malformed_json", Complete, &["200 OK", "{\"choices\""], &["total_tokens"]),
        ("kind: schema_mismatch", Complete, &[r#""choices":"none""#], &[]),
        ("kind: empty_content", Complete, &[r#""content":"""#, r#""stop""#], &[]),
        ("kind: refusal", Complete, &[r#""content":null,"refusal":"I"#], &[]),
        ("kind: usage_missing", Complete, &["abcdef"], &["usage"]),
        ("kind: lingering_socket", Complete, &["abcdef"], &[]),
    ];
    for (fault, ending, has, lacks) in cases {
        check(&chat(false), fault, *ending, has, lacks).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_http_status_comes_with_the_dialects_error_body_and_hints() {
    let cases: &[(&str, bool, &[&str])] = &[
        (
            "kind: http, status: 400",
            true,
            &["400 Bad Request", r#""type":"invalid_request_error""#],
        ),
        ("kind: http, status: 401", true, &["401", r#""code":"invalid_api_key""#]),
        ("kind: http, status: 404", true, &["404", r#""code":"model_not_found""#]),
        ("kind: http, status: 413", true, &["413", r#""param":null"#]),
        (
            "kind: http, status: 429, retry_after: 1500ms",
            true,
            &["429", r#""code":"rate_limit_exceeded""#, "retry-after: 2", "retry-after-ms: 1500"],
        ),
        ("kind: quota_exhausted", true, &["429", r#""code":"insufficient_quota""#]),
        ("kind: http, status: 500", true, &["500", r#""type":"server_error""#, r#""code":null"#]),
        ("kind: http, status: 503", true, &["503", r#""code":"server_is_overloaded""#]),
        ("kind: http, status: 403", false, &["403", r#""type":"permission_error""#]),
        ("kind: http, status: 429", false, &["429", "rate_limit_error", "retry-after: 1"]),
        ("kind: quota_exhausted", false, &["402", r#""type":"billing_error""#]),
        ("kind: http, status: 500", false, &["500", r#""type":"api_error""#]),
        (
            "kind: http, status: 529",
            false,
            &["529", r#""type":"overloaded_error""#, r#""request_id":"req_sim00000001""#],
        ),
    ];
    for (fault, is_chat, has) in cases {
        for stream in [true, false] {
            let request = if *is_chat { chat(stream) } else { messages(stream) };
            check(&request, fault, Ending::Complete, has, &["200 OK", "data:"]).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn times_count_from_the_question_and_tokens_follow_at_the_gap() {
    let simulator =
        simulator("phases: [{after: 0s, headers: 100ms, ttft: 400ms, gap: 50ms, tokens: 5}]").await;
    for request in [chat(true), messages(false)] {
        let heard = ask(&simulator, &request).await;
        // The last token follows the first by four gaps. The timer's grain is a millisecond.
        let late = heard.took.saturating_sub(Duration::from_millis(600));
        assert!(heard.took >= Duration::from_millis(600) && late < Duration::from_millis(20));
    }
    simulator.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kept_connection_serves_the_next_question() {
    let simulator = simulator("phases: [{after: 0s, tokens: 1}]").await;
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    for _ in 0..2 {
        let request = chat(true).replace("connection: close\r\n", "");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut heard = String::new();
        while !heard.ends_with("0\r\n\r\n") {
            let mut buffer = [0; 4096];
            let count = socket.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed after {heard}");
            heard.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        assert!(heard.contains("[DONE]"));
    }
    simulator.stop().await;
}
