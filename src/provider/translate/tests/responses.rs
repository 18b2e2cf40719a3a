//! OpenAI's responses, by the reference of that interface and OpenAI's guide from chat completions to it.

use super::*;

#[test]
fn a_request_of_chat_completions_is_told_as_a_response() {
    let body = json!({
        "model": "chat",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png", "detail": "low"}},
            ]},
            {"role": "assistant", "content": "let me look", "tool_calls": [{"id": "c1",
                "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
        ],
        "max_completion_tokens": 7,
        "temperature": 0.5,
        "stream": true,
        "stream_options": {"include_usage": true},
        "user": "u",
        "reasoning_effort": "low",
        "verbosity": "low",
        "parallel_tool_calls": false,
        "response_format": {"type": "json_schema",
            "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}},
        "tools": [{"type": "function", "function": {"name": "weather", "description": "d",
            "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    });
    let expected = json!({
        "model": "their-name",
        "store": false,
        "input": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "https://x.example/a.png", "detail": "low"},
            ]},
            {"role": "assistant", "content": [{"type": "output_text", "text": "let me look"}]},
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": "rain"},
        ],
        "max_output_tokens": 7,
        "temperature": 0.5,
        "stream": true,
        "user": "u",
        "reasoning": {"effort": "low"},
        "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n",
            "strict": true, "schema": {"type": "object"}}},
        "parallel_tool_calls": false,
        "tools": [{"type": "function", "name": "weather", "description": "d",
            "parameters": {"type": "object"}, "strict": false}],
        "tool_choice": {"type": "function", "name": "weather"},
    });
    assert_eq!(strict(Direction::ChatToResponses, &body), expected);
    for (name, value) in [("stop", json!("END")), ("seed", json!(1)), ("n", json!(2))] {
        let mut body = json!({"messages": []});
        body[name] = value;
        let refused = asked(Direction::ChatToResponses, &body, Strictness::Strict).unwrap_err();
        assert!(refused.contains(&format!("parameter `{name}`")), "{refused}");
    }
}

#[test]
fn a_request_of_anthropic_is_told_as_a_response() {
    let body = json!({"model": "claude", "max_tokens": 5, "system": "be brief",
        "messages": [{"role": "user", "content": "hi"}], "metadata": {"user_id": "u"}});
    let expected = json!({"model": "their-name", "store": false, "max_output_tokens": 5,
        "user": "u", "input": [{"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"}]});
    assert_eq!(strict(Direction::MessagesToResponses, &body), expected);
}

fn response() -> Value {
    json!({"id": "resp_1", "object": "response", "created_at": 3, "status": "completed",
        "error": null, "incomplete_details": null, "model": "m", "output": [
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": "ok", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"a\":1}"}],
        "usage": {"input_tokens": 12, "input_tokens_details": {"cached_tokens": 5},
            "output_tokens": 6, "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 18}})
}

#[test]
fn whole_responses_are_told() {
    let expected = json!({"id": "resp_1", "object": "chat.completion", "created": 3, "model": "m",
        "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "ok", "refusal": null,
                "reasoning_content": "hm", "tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 4}}});
    assert_eq!(answered(Direction::ChatToResponses, &response()), expected);
    let told = answered(Direction::MessagesToResponses, &response());
    assert_eq!(
        (&told["stop_reason"], &told["usage"]["input_tokens"]),
        (&json!("tool_use"), &json!(7))
    );
    for (reason, expected) in
        [("max_output_tokens", "length"), ("content_filter", "content_filter")]
    {
        let mut said = response();
        said["status"] = json!("incomplete");
        said["incomplete_details"] = json!({"reason": reason});
        let told = answered(Direction::ChatToResponses, &said);
        assert_eq!(told["choices"][0]["finish_reason"], expected);
    }
    // What failed, or is not there yet, is no answer.
    for status in ["failed", "in_progress", "queued", "cancelled"] {
        let mut said = response();
        said["status"] = json!(status);
        assert!(answer(Direction::ChatToResponses, said.to_string().as_bytes(), 7).is_err());
    }
}

fn stream(last: &Value) -> String {
    let begun = json!({"id": "resp_1", "created_at": 3, "model": "m", "status": "in_progress"});
    let call = json!({"type": "function_call", "call_id": "c1", "name": "f", "arguments": ""});
    let arguments = "response.function_call_arguments.delta";
    let events = [
        json!({"type": "response.created", "response": begun}),
        json!({"type": "response.in_progress", "response": begun}),
        json!({"type": "response.output_item.added", "output_index": 0,
            "item": {"type": "message", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 0, "delta": "ok"}),
        json!({"type": "response.output_text.done", "output_index": 0, "text": "ok"}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": call}),
        json!({"type": arguments, "output_index": 1, "delta": "{\"a\":"}),
        json!({"type": arguments, "output_index": 1, "delta": "1}"}),
        last.clone(),
    ];
    let text = events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap()));
    text.collect()
}

#[test]
fn a_stream_of_a_response_is_told_to_both() {
    let text = stream(&json!({"type": "response.completed", "response": response()}));
    let told = streamed(Direction::ChatToResponses, &text, usize::MAX);
    let found = events(&told);
    let deltas: Vec<&Value> =
        found[..6].iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
        "function": {"name": "f", "arguments": ""}}]});
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"content": "ok"}),
            &first,
            &call(json!({"arguments": "{\"a\":"})),
            &call(json!({"arguments": "1}"})),
            &json!({}),
        ]
    );
    assert_eq!(found[5]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(found[6]["usage"]["total_tokens"], 18);
    assert_eq!((&found[7], found.len()), (&json!("[DONE]"), 8));

    let messages = streamed(Direction::MessagesToResponses, &text, usize::MAX);
    let found = events(&messages);
    let last = &found[found.len() - 2];
    assert_eq!(last["delta"]["stop_reason"], "tool_use");
    assert_eq!(last["usage"]["output_tokens"], 6);
    assert_eq!(found.last().unwrap()["type"], "message_stop");
    for size in [1, 7, 100] {
        assert_eq!(streamed(Direction::ChatToResponses, &text, size), told, "{size}");
    }
}

#[test]
fn a_response_that_fails_or_breaks_off_is_not_told_as_complete() {
    let overloaded = json!({"code": "server_is_overloaded", "message": "busy"});
    let failed = json!({"type": "response.failed", "response":
        {"id": "resp_1", "model": "m", "status": "failed", "error": overloaded}});
    let bare = json!({"type": "error", "code": "server_is_overloaded", "message": "busy",
        "param": null});
    for last in [failed, bare] {
        let found = events(&streamed(Direction::ChatToResponses, &stream(&last), 64));
        let error = &found.last().unwrap()["error"];
        assert_eq!(
            (&error["message"], &error["code"]),
            (&json!("busy"), &json!("server_is_overloaded"))
        );
        let found = events(&streamed(Direction::MessagesToResponses, &stream(&last), 64));
        assert_eq!(found.last().unwrap()["error"]["type"], "overloaded_error");
    }
    let cut = stream(&json!({"type": "response.nothing"}));
    let told = streamed(Direction::ChatToResponses, &cut, 64);
    assert!(!told.contains("[DONE]") && !told.contains("\"finish_reason\":\""), "{told}");
    assert!(!streamed(Direction::MessagesToResponses, &cut, 64).contains("message_stop"));
}

#[test]
fn how_a_response_was_served_is_told_streamed_and_whole() {
    let mut last = response();
    last["service_tier"] = json!("flex");
    assert_eq!(answered(Direction::ChatToResponses, &last)["service_tier"], "flex");
    let said = json!({"type": "response.completed", "response": last});
    let told = streamed(Direction::ChatToResponses, &format!("data: {said}\n\n"), 64);
    assert!(told.contains("\"service_tier\":\"flex\""), "{told}");
}
