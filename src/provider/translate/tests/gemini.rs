//! Google's Gemini. The names of fields, the finish reasons and the forms of errors are those of its
//! reference for `generateContent`; how efforts become budgets stands in its page on compatibility with
//! OpenAI.

use super::*;

fn weather() -> Value {
    json!({"type": "function", "function": {"name": "weather", "description": "d",
        "parameters": {"type": "object", "additionalProperties": false}}})
}

#[test]
fn a_request_of_openai_is_told_to_google() {
    let body = json!({
        "model": "chat",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ]},
            {"role": "assistant", "content": "let me look", "tool_calls": [
                {"id": "c1", "type": "function",
                    "function": {"name": "weather", "arguments": "{\"city\":\"Ulm\"}"},
                    "extra_content": {"google": {"thought_signature": "c2ln"}}},
                {"id": "c2", "type": "function",
                    "function": {"name": "time", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "noon"},
            {"role": "user", "content": "and now?"},
        ],
        "max_completion_tokens": 7,
        "max_tokens": 9,
        "stop": "END",
        "temperature": 1.5,
        "top_p": 0.9,
        "n": 2,
        "seed": 3,
        "frequency_penalty": 0.1,
        "presence_penalty": 0.2,
        "user": "u",
        "stream": true,
        "stream_options": {"include_usage": true},
        "reasoning_effort": "medium",
        "response_format": {"type": "json_schema",
            "json_schema": {"name": "n", "strict": true, "schema": {"type": "object"}}},
        "tools": [weather()],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
    });
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [
                {"text": "what is this?"},
                {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
                {"fileData": {"fileUri": "https://x.example/a.png"}},
            ]},
            {"role": "model", "parts": [
                {"text": "let me look"},
                {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Ulm"}},
                    "thoughtSignature": "c2ln"},
                {"functionCall": {"id": "c2", "name": "time", "args": {}}},
            ]},
            {"role": "user", "parts": [
                {"functionResponse": {"id": "c1", "name": "weather",
                    "response": {"output": "rain"}}},
                {"functionResponse": {"id": "c2", "name": "time", "response": {"output": "noon"}}},
                {"text": "and now?"},
            ]},
        ],
        "generationConfig": {
            "maxOutputTokens": 7, "stopSequences": ["END"], "temperature": 1.5, "topP": 0.9,
            "candidateCount": 2, "seed": 3, "frequencyPenalty": 0.1, "presencePenalty": 0.2,
            "thinkingConfig": {"thinkingBudget": 8192},
            "responseMimeType": "application/json", "responseJsonSchema": {"type": "object"},
        },
        "tools": [{"functionDeclarations": [{"name": "weather", "description": "d",
            "parametersJsonSchema": {"type": "object", "additionalProperties": false}}]}],
        "toolConfig": {"functionCallingConfig":
            {"mode": "ANY", "allowedFunctionNames": ["weather"]}},
    });
    assert_eq!(strict(Direction::ChatToGemini, &body), expected);
    let least = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    let expected = json!({"contents": [{"role": "user", "parts": [{"text": "hi"}]}]});
    assert_eq!(strict(Direction::ChatToGemini, &least), expected);
}

#[test]
fn a_request_of_anthropic_is_told_to_google() {
    let body = json!({
        "model": "claude",
        "max_tokens": 5,
        "system": "be brief",
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Ulm"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "rain"}]},
        ],
        "stop_sequences": ["END"],
        "stream": true,
        "top_k": 40,
        "metadata": {"user_id": "u"},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    });
    let expected = json!({
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "contents": [
            {"role": "user", "parts": [{"text": "hi"}]},
            {"role": "model", "parts": [
                {"functionCall": {"id": "t1", "name": "weather", "args": {"city": "Ulm"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"id": "t1", "name": "weather",
                "response": {"output": "rain"}}}]},
        ],
        "generationConfig": {
            "maxOutputTokens": 5, "stopSequences": ["END"], "topK": 40,
            "thinkingConfig": {"thinkingBudget": 2048, "includeThoughts": true},
        },
        "tools": [{"functionDeclarations": [
            {"name": "weather", "parametersJsonSchema": {"type": "object"}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY"}},
    });
    assert_eq!(strict(Direction::MessagesToGemini, &body), expected);
}

#[test]
fn from_its_third_version_on_a_call_of_another_model_says_so() {
    let call = json!({"id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}});
    let body = json!({"messages": [{"role": "assistant", "tool_calls": [call, call]}],
        "reasoning_effort": "low"});
    let provider = provider("https://g.example");
    let asked = |model| {
        let body = body.to_string();
        let direction = Direction::ChatToGemini;
        let told =
            request(direction, body.as_bytes(), Names::of(&provider, model), Strictness::Strict);
        serde_json::from_slice::<Value>(&told.unwrap().body).unwrap()
    };
    let third = asked("gemini-3-pro-preview");
    let parts = &third["contents"][0]["parts"];
    assert_eq!(parts[0]["thoughtSignature"], "skip_thought_signature_validator");
    assert_eq!(parts[1].get("thoughtSignature"), None, "the first of several has it");
    assert_eq!(third["generationConfig"]["thinkingConfig"], json!({"thinkingLevel": "low"}));
    let second = asked("gemini-2.5-flash");
    assert_eq!(second["contents"][0]["parts"][0].get("thoughtSignature"), None);
    assert_eq!(second["generationConfig"]["thinkingConfig"], json!({"thinkingBudget": 1024}));
}

#[test]
fn what_google_has_no_words_for_is_named() {
    let ask = |name: &str, value: Value| {
        let mut body = json!({"messages": [{"role": "user", "content": "hi"}],
            "tools": [weather()]});
        body[name] = value;
        body
    };
    for (name, value) in [
        ("logprobs", json!(true)),
        ("logit_bias", json!({})),
        ("parallel_tool_calls", json!(false)),
        ("reasoning_effort", json!("utmost")),
        ("store", json!(true)),
    ] {
        let body = ask(name, value);
        let refused = asked(Direction::ChatToGemini, &body, Strictness::Strict).unwrap_err();
        assert!(refused.contains(&format!("parameter `{name}`")), "{refused}");
        let told = asked(Direction::ChatToGemini, &body, Strictness::Lenient).unwrap();
        assert_eq!(names(&told.lost), [name]);
    }
    let unknown = json!({"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]});
    let refused = asked(Direction::ChatToGemini, &unknown, Strictness::Lenient).unwrap_err();
    assert!(refused.contains("tool_call_id"), "nobody called it: {refused}");
}

#[test]
fn whole_answers_of_google_are_told() {
    let said = json!({
        "candidates": [{"content": {"role": "model", "parts": [
            {"text": "hm", "thought": true},
            {"text": "ok"},
            {"functionCall": {"name": "f", "args": {"a": 1}}, "thoughtSignature": "c2ln"},
            {"functionCall": {"id": "g7", "name": "g"}},
        ]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 12, "cachedContentTokenCount": 5,
            "candidatesTokenCount": 6, "thoughtsTokenCount": 4, "totalTokenCount": 22},
        "modelVersion": "gemini-x", "responseId": "r1",
    });
    let calls = json!([
        {"id": "call_r1_0_0", "type": "function",
            "function": {"name": "f", "arguments": "{\"a\":1}"},
            "extra_content": {"google": {"thought_signature": "c2ln"}}},
        {"id": "g7", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]);
    let expected = json!({"id": "r1", "object": "chat.completion", "created": 7,
        "model": "gemini-x", "choices": [{"index": 0, "logprobs": null,
            "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "ok",
                "refusal": null, "reasoning_content": "hm", "tool_calls": calls}}],
        // Thoughts are billed as output.
        "usage": {"prompt_tokens": 12, "completion_tokens": 10, "total_tokens": 22,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 4}}});
    assert_eq!(answered(Direction::ChatToGemini, &said), expected);
    let expected = json!({"id": "r1", "type": "message", "role": "assistant",
        "model": "gemini-x", "content": [
            {"type": "thinking", "thinking": "hm", "signature": ""},
            {"type": "text", "text": "ok"},
            {"type": "tool_use", "id": "call_r1_0_0", "name": "f", "input": {"a": 1}},
            {"type": "tool_use", "id": "g7", "name": "g", "input": {}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 7, "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 0, "output_tokens": 10}});
    assert_eq!(answered(Direction::MessagesToGemini, &said), expected);
    assert!(answer(Direction::ChatToGemini, b"{\"error\":{}}", 7).is_err());
}

#[test]
fn reasons_of_google_are_told_as_what_they_mean() {
    let finish = |candidate: Value| {
        let said = json!({"candidates": [candidate]});
        answered(Direction::ChatToGemini, &said)["choices"][0]["finish_reason"].clone()
    };
    for (reason, expected) in [
        ("STOP", json!("stop")),
        ("MAX_TOKENS", json!("length")),
        ("SAFETY", json!("content_filter")),
        ("RECITATION", json!("content_filter")),
        ("PROHIBITED_CONTENT", json!("content_filter")),
        // Broken off: `stop` would claim completeness.
        ("MALFORMED_FUNCTION_CALL", json!("length")),
        ("OTHER", json!("length")),
        ("OF_TOMORROW", json!("stop")),
        ("FINISH_REASON_UNSPECIFIED", Value::Null),
    ] {
        assert_eq!(finish(json!({"finishReason": reason})), expected, "{reason}");
    }
    assert_eq!(finish(json!({"content": {"parts": [{"text": "a"}]}})), Value::Null);
    // A question that was blocked has no candidate.
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}});
    let told = answered(Direction::ChatToGemini, &blocked);
    assert_eq!(told["choices"][0]["finish_reason"], "content_filter");
    assert_eq!(answered(Direction::MessagesToGemini, &blocked)["stop_reason"], "refusal");
}

const STREAM: &str = r#"data: {"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9},"modelVersion":"m","responseId":"r1"}

data: {"candidates":[{"content":{"parts":[{"text":"ok"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":1},"modelVersion":"m","responseId":"r1"}

data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}],"role":"model"},"index":0}],"modelVersion":"m","responseId":"r1"}

data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":6,"thoughtsTokenCount":2},"modelVersion":"m","responseId":"r1"}

"#;

#[test]
fn a_stream_of_google_is_told_to_both() {
    let told = streamed(Direction::ChatToGemini, STREAM, usize::MAX);
    let found = events(&told);
    let deltas: Vec<&Value> =
        found[..5].iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let call = json!({"tool_calls": [{"index": 0, "id": "call_r1_0_0", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\":1}"},
        "extra_content": {"google": {"thought_signature": "c2ln"}}}]});
    assert_eq!(
        deltas,
        [
            &json!({"role": "assistant", "content": ""}),
            &json!({"reasoning_content": "hm"}),
            &json!({"content": "ok"}),
            &call,
            &json!({}),
        ]
    );
    assert_eq!(found[4]["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(
        (&found[5]["choices"], &found[5]["usage"]["total_tokens"]),
        (&json!([]), &json!(17))
    );
    assert_eq!((&found[6], found.len()), (&json!("[DONE]"), 7));
    assert!(found[..6].iter().all(|chunk| chunk["id"] == "r1" && chunk["model"] == "m"));

    let messages = streamed(Direction::MessagesToGemini, STREAM, usize::MAX);
    let found = events(&messages);
    let kinds: Vec<&str> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
    let block = ["content_block_start", "content_block_delta", "content_block_stop"];
    let expected =
        [&["message_start"][..], &block, &block, &block, &["message_delta", "message_stop"]];
    assert_eq!(kinds, expected.concat());
    assert_eq!(found[2]["delta"], json!({"type": "thinking_delta", "thinking": "hm"}));
    assert_eq!(found[8]["delta"]["partial_json"], "{\"a\":1}");
    assert_eq!(found[10]["delta"]["stop_reason"], "tool_use");
    assert_eq!(found[10]["usage"]["output_tokens"], 8);
    for size in [1, 2, 7, 100] {
        assert_eq!(streamed(Direction::ChatToGemini, STREAM, size), told, "{size}");
        assert_eq!(streamed(Direction::MessagesToGemini, STREAM, size), messages, "{size}");
    }
}

#[test]
fn a_stream_of_google_that_lacks_its_end_is_told_without_one() {
    let (cut, _) = STREAM.rsplit_once("data: ").unwrap();
    for (direction, end) in
        [(Direction::ChatToGemini, "[DONE]"), (Direction::MessagesToGemini, "message_stop")]
    {
        let told = streamed(direction, cut, 64);
        assert!(told.contains("ok") && !told.contains(end), "{told}");
        assert!(!told.contains("\"finish_reason\":\"") && !told.contains("message_delta"));
    }
}

/// Google writes it on lines of its own, as it does beside a stream.
#[test]
fn an_error_inside_a_stream_of_google_is_told() {
    let (cut, _) = STREAM.rsplit_once("data: ").unwrap();
    let error = "{\n  \"error\": {\n    \"code\": 503,\n    \"message\": \"busy\",\n    \
                 \"status\": \"UNAVAILABLE\"\n  }\n}\n";
    let broken = format!("{cut}{error}");
    let found = events(&streamed(Direction::ChatToGemini, &broken, 64));
    let expected = json!({"message": "busy", "type": "server_error", "param": null,
        "code": "server_is_overloaded"});
    assert_eq!(found.last().unwrap()["error"], expected);
    let found = events(&streamed(Direction::MessagesToGemini, &broken, 64));
    assert_eq!(found.last().unwrap()["error"]["type"], "overloaded_error");
}

#[test]
fn errors_of_google_are_told_by_what_they_mean() {
    let detail = |kind: &str, field: Value| {
        let mut detail = json!({"@type": format!("type.googleapis.com/google.rpc.{kind}")});
        detail.as_object_mut().unwrap().append(&mut field.as_object().unwrap().clone());
        json!([detail])
    };
    let quota =
        detail("QuotaFailure", json!({"violations": [{"quotaId": "RequestsPerDayPerKey"}]}));
    let capacity = detail("ErrorInfo", json!({"reason": "MODEL_CAPACITY_EXHAUSTED"}));
    for (status, word, details, chat, messages, told_status) in [
        (400, "INVALID_ARGUMENT", json!([]), "invalid_argument", "invalid_request_error", 400),
        (401, "UNAUTHENTICATED", json!([]), "invalid_api_key", "authentication_error", 401),
        (403, "PERMISSION_DENIED", json!([]), "permission_denied", "permission_error", 403),
        (404, "NOT_FOUND", json!([]), "model_not_found", "not_found_error", 404),
        (429, "RESOURCE_EXHAUSTED", json!([]), "rate_limit_exceeded", "rate_limit_error", 429),
        (429, "RESOURCE_EXHAUSTED", quota, "insufficient_quota", "billing_error", 429),
        (429, "RESOURCE_EXHAUSTED", capacity, "server_is_overloaded", "overloaded_error", 429),
        (500, "INTERNAL", json!([]), "server_error", "api_error", 500),
        (503, "UNAVAILABLE", json!([]), "server_is_overloaded", "overloaded_error", 529),
    ] {
        let error = json!({"code": status, "message": "m", "status": word, "details": details});
        for body in [json!({"error": error}), json!([{"error": error}])] {
            let body = body.to_string();
            let told = |direction| {
                let told = refusal(direction, status, body.as_bytes()).body;
                let told: Value = serde_json::from_slice(&told).unwrap();
                (super::status(direction, status, body.as_bytes()), told)
            };
            let (as_chat, said) = told(Direction::ChatToGemini);
            assert_eq!((as_chat, &said["error"]["code"]), (status, &json!(chat)), "{body}");
            assert_eq!(said["error"]["message"], "m");
            let (as_messages, said) = told(Direction::MessagesToGemini);
            assert_eq!((as_messages, &said["error"]["type"]), (told_status, &json!(messages)));
        }
    }
}
