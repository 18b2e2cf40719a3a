//! Every direction, by cases that were written from the vendors' documentation.

mod gemini;
mod responses;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Auth, Dialect, LimitField, Provider, UsageWish};
use super::*;
use crate::model::{HttpSettings, ProviderId};

mod losses;

fn provider(base_url: &str) -> Provider {
    Provider {
        id: ProviderId::new("p"),
        dialect: Dialect::OpenaiChat,
        system: "p".to_owned(),
        base_url: base_url.to_owned(),
        auth: Auth::None,
        http: HttpSettings::default(),
        models: BTreeMap::new(),
        wire: crate::provider::Wire::default(),
    }
}

fn asked(direction: Direction, body: &Value, strictness: Strictness) -> Result<Translated, String> {
    let provider = provider("https://relay.example");
    let names = Names::of(&provider, "their-name");
    let translated = request(direction, body.to_string().as_bytes(), names, strictness);
    translated.map_err(|error| error.to_string())
}

fn names(lost: &[Lost]) -> Vec<&'static str> {
    lost.iter().map(|lost| lost.loss.name).collect()
}

fn strict(direction: Direction, body: &Value) -> Value {
    let translated = asked(direction, body, Strictness::Strict).unwrap();
    serde_json::from_slice(&translated.body).unwrap()
}

#[test]
fn a_request_of_openai_is_told_to_anthropic() {
    let tool = json!({"type": "function", "function": {"name": "weather", "description": "d",
        "parameters": {"type": "object"}}});
    let call = json!({"id": "c1", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Ulm\"}"}});
    let body = json!({
        "model": "chat",
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            {"role": "tool", "tool_call_id": "c2", "content": "sun"},
            {"role": "user", "content": "and now?"},
        ],
        "max_completion_tokens": 7,
        "max_tokens": 9,
        "stop": "END",
        "temperature": 0.5,
        "top_p": 0.9,
        "n": 1,
        "user": "u",
        "stream": true,
        "stream_options": {"include_usage": true},
        "response_format": {"type": "text"},
        "tools": [tool],
        "tool_choice": "required",
        "parallel_tool_calls": false,
    });
    let expected = json!({
        "model": "their-name",
        "max_tokens": 7,
        "system": "be brief\n\nbe kind",
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
                {"type": "image", "source": {"type": "url", "url": "https://x.example/a.png"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "c1", "content": "rain"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "sun"},
                {"type": "text", "text": "and now?"},
            ]},
        ],
        "stop_sequences": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "stream": true,
        "metadata": {"user_id": "u"},
        "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
    });
    let told = asked(Direction::ChatToMessages, &body, Strictness::Strict).unwrap();
    assert_eq!(told.lost, []);
    assert_eq!(serde_json::from_slice::<Value>(&told.body).unwrap(), expected);
    let least = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    // Anthropic takes nothing without a limit.
    assert_eq!(strict(Direction::ChatToMessages, &least)["max_tokens"], 4096);
}

#[test]
fn a_request_of_anthropic_is_told_to_openai() {
    let body = json!({
        "model": "claude",
        "max_tokens": 5,
        "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "let me look"},
                {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Ulm"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1",
                    "content": [{"type": "text", "text": "rain"}]},
                {"type": "text", "text": "and?"},
                {"type": "image",
                    "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
        ],
        "stop_sequences": ["END"],
        "stream": true,
        "temperature": 1,
        "metadata": {"user_id": "u"},
        "thinking": {"type": "disabled"},
        "tools": [{"name": "weather", "description": "d", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "weather", "disable_parallel_tool_use": true},
    });
    let expected = json!({
        "model": "their-name",
        "max_tokens": 5,
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "let me look", "tool_calls": [{
                "id": "t1", "type": "function",
                "function": {"name": "weather", "arguments": "{\"city\":\"Ulm\"}"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "rain"},
            {"role": "user", "content": [
                {"type": "text", "text": "and?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            ]},
        ],
        "stop": ["END"],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 1,
        "user": "u",
        "tools": [{"type": "function", "function": {"name": "weather", "description": "d",
            "parameters": {"type": "object"}}}],
        "tool_choice": {"type": "function", "function": {"name": "weather"}},
        "parallel_tool_calls": false,
    });
    assert_eq!(strict(Direction::MessagesToChat, &body), expected);
    // OpenAI itself calls the limit otherwise, and so does whoever is configured to.
    let least = json!({"max_tokens": 5, "messages": []}).to_string();
    let mut relay = provider("https://relay.example");
    relay.wire.limit = Some(LimitField::MaxCompletionTokens);
    for provider in [provider("https://api.openai.com"), relay] {
        let names = Names::of(&provider, "m");
        let told = request(Direction::MessagesToChat, least.as_bytes(), names, Strictness::Strict);
        let told: Value = serde_json::from_slice(&told.unwrap().body).unwrap();
        assert_eq!(told["max_completion_tokens"], 5);
    }
}

/// By the vendors' own clients: OpenAI's `ResponseFormatJSONSchema` and `ReasoningEffort`, Anthropic's
/// `OutputConfigParam`.
#[test]
fn the_form_of_an_answer_and_the_effort_are_told_both_ways() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}},
        "required": ["a"], "additionalProperties": false});
    let form = json!({"name": "answer", "schema": schema, "strict": true});
    let turns = json!([{"role": "user", "content": "hi"}]);
    let chat = json!({"model": "m", "max_completion_tokens": 5, "messages": turns,
        "reasoning_effort": "xhigh", "store": false, "safety_identifier": "s",
        "response_format": {"type": "json_schema", "json_schema": form}});
    let told = strict(Direction::ChatToMessages, &chat);
    let config = json!({"effort": "xhigh", "format": {"type": "json_schema", "schema": schema}});
    assert_eq!(told["output_config"], config);
    assert_eq!(told["metadata"], json!({"user_id": "s"}));
    let messages = json!({"model": "m", "max_tokens": 5, "messages": turns,
        "output_config": config});
    let told = strict(Direction::MessagesToChat, &messages);
    assert_eq!(told["reasoning_effort"], "xhigh");
    assert_eq!(told["response_format"], chat["response_format"]);
    let told = strict(Direction::MessagesToResponses, &messages);
    assert_eq!(told["reasoning"], json!({"effort": "xhigh"}));
    let format = json!({"type": "json_schema", "name": "answer", "schema": schema, "strict": true});
    assert_eq!(told["text"], json!({"format": format}));
    let mut messages = messages;
    messages["output_config"]["effort"] = json!("medium");
    let told = &strict(Direction::MessagesToGemini, &messages)["generationConfig"];
    assert_eq!(told["responseJsonSchema"], schema);
    assert_eq!(told["thinkingConfig"], json!({"thinkingBudget": 8192}));
}

#[test]
fn what_has_no_counterpart_is_refused_by_name_or_left_out_by_name() {
    let chat = |name: &str, value: Value| {
        let mut body = json!({"max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]});
        body[name] = value;
        (Direction::ChatToMessages, body, name.to_owned())
    };
    let messages = |name: &str, value: Value| {
        let mut body = json!({"messages": [], "max_tokens": 1});
        body[name] = value;
        (Direction::MessagesToChat, body, name.to_owned())
    };
    for (direction, body, name) in [
        chat("n", json!(2)),
        chat("logprobs", json!(true)),
        chat("logit_bias", json!({})),
        chat("seed", json!(1)),
        chat("frequency_penalty", json!(0.5)),
        chat("presence_penalty", json!(0.5)),
        chat("temperature", json!(1.5)),
        chat("response_format", json!({"type": "json_object"})),
        chat("reasoning_effort", json!("minimal")),
        chat("store", json!(true)),
        chat("store", json!("yes")),
        chat("safety_identifier", json!(7)),
        chat("reasoning_effort", json!({})),
        chat("response_format", json!("json")),
        messages("output_config", json!("high")),
        messages("top_k", json!(5)),
        messages("thinking", json!({"type": "enabled", "budget_tokens": 1024})),
    ] {
        let refused = asked(direction, &body, Strictness::Strict).unwrap_err();
        assert!(refused.contains(&format!("parameter `{name}`")), "{refused}");
        let told = asked(direction, &body, Strictness::Lenient).unwrap();
        assert_eq!(names(&told.lost), [name.as_str()]);
        let told: Value = serde_json::from_slice(&told.body).unwrap();
        assert!(name == "temperature" || told.get(&name).is_none(), "{told}");
    }
    let (direction, body, _) = chat("invented", json!(1));
    let told = asked(direction, &body, Strictness::Lenient).unwrap();
    assert_eq!((names(&told.lost), told.lost[0].at.as_str()), (vec!["other"], "invented"));
    let (direction, body, _) = chat("seed", Value::Null);
    assert!(asked(direction, &body, Strictness::Strict).is_ok(), "nothing is asked for");
}

#[test]
fn a_part_whose_loss_would_change_the_question_is_refused_always() {
    let audio = json!([{"role": "user", "content": [{"type": "input_audio"}]}]);
    let document = json!([{"role": "user", "content": [{"type": "document"}]}]);
    for (direction, messages) in
        [(Direction::ChatToMessages, audio), (Direction::MessagesToChat, document)]
    {
        let body = json!({"messages": messages, "max_tokens": 1});
        let refused = asked(direction, &body, Strictness::Lenient).unwrap_err();
        assert!(refused.contains("a part of type"), "{refused}");
    }
}

fn answered(direction: Direction, body: &Value) -> Value {
    let told = answer(direction, body.to_string().as_bytes(), 7).unwrap();
    serde_json::from_slice(&told.body).unwrap()
}

#[test]
fn whole_answers_are_told() {
    let usage = json!({"input_tokens": 3, "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 5, "output_tokens": 6});
    let said = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": "ok"},
            {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}],
        "stop_reason": "tool_use", "usage": usage});
    let expected = json!({"id": "msg_1", "object": "chat.completion", "created": 7,
        "model": "claude", "choices": [{"index": 0, "logprobs": null,
            "finish_reason": "tool_calls", "message": {"role": "assistant", "content": "ok",
                "refusal": null, "tool_calls": [{"id": "t1", "type": "function",
                    "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 4}}});
    assert_eq!(answered(Direction::ChatToMessages, &said), expected);

    let said = json!({"id": "c1", "object": "chat.completion", "model": "gpt",
        "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "content": null, "tool_calls": [{"id": "t1", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\":1}"}}]}}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 6, "total_tokens": 18,
            "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3}}});
    let expected = json!({"id": "c1", "type": "message", "role": "assistant", "model": "gpt",
        "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}],
        "stop_reason": "tool_use", "stop_sequence": null,
        "usage": {"input_tokens": 4, "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 3, "output_tokens": 6}});
    assert_eq!(answered(Direction::MessagesToChat, &said), expected);
    let error = answer(Direction::MessagesToChat, b"<html>", 7).unwrap_err().to_string();
    assert_eq!(error, "the body is not JSON: expected value at line 1 column 1");
}

#[test]
fn reasons_are_told_as_what_they_mean() {
    for (reason, expected) in [
        (json!("end_turn"), json!("stop")),
        (json!("stop_sequence"), json!("stop")),
        (json!("max_tokens"), json!("length")),
        (json!("tool_use"), json!("tool_calls")),
        (json!("refusal"), json!("content_filter")),
        // Unfinished: `stop` would claim completeness.
        (json!("pause_turn"), json!("length")),
        (json!("model_context_window_exceeded"), json!("length")),
        (json!("of_tomorrow"), json!("stop")),
        // What was not said is not supplied.
        (Value::Null, Value::Null),
    ] {
        let said = json!({"content": [], "stop_reason": reason, "usage": {}});
        let told = answered(Direction::ChatToMessages, &said);
        assert_eq!(told["choices"][0]["finish_reason"], expected, "{reason}");
    }
    for (reason, expected) in [
        (json!("stop"), json!("end_turn")),
        (json!("length"), json!("max_tokens")),
        (json!("tool_calls"), json!("tool_use")),
        (json!("content_filter"), json!("refusal")),
        (Value::Null, Value::Null),
    ] {
        let said = json!({"choices": [{"message": {}, "finish_reason": reason}]});
        assert_eq!(answered(Direction::MessagesToChat, &said)["stop_reason"], expected, "{reason}");
    }
}

#[test]
fn errors_keep_what_they_say() {
    let told = |direction, status, body: &Value| -> (u16, Value) {
        let body = body.to_string();
        let told = refusal(direction, status, body.as_bytes());
        let told = serde_json::from_slice(&told.body).unwrap();
        (super::status(direction, status, body.as_bytes()), told)
    };
    let anthropic = |kind: &str| json!({"type": "error", "error": {"type": kind, "message": "m"}});
    let openai = |code: &str| json!({"error": {"message": "m", "type": "x", "code": code}});
    let (status, body) = told(Direction::ChatToMessages, 529, &anthropic("overloaded_error"));
    assert_eq!((status, &body["error"]["type"]), (503, &json!("overloaded_error")));
    for (status, code, expected, kind) in [
        (503, "server_is_overloaded", 529, "overloaded_error"),
        (503, "other", 503, "api_error"),
        (429, "rate_limit_exceeded", 429, "rate_limit_error"),
        (429, "insufficient_quota", 429, "billing_error"),
        (401, "invalid_api_key", 401, "authentication_error"),
        (404, "model_not_found", 404, "not_found_error"),
    ] {
        let (told, body) = told(Direction::MessagesToChat, status, &openai(code));
        assert_eq!((told, &body["error"]["type"]), (expected, &json!(kind)), "{code}");
        assert_eq!((&body["type"], &body["error"]["message"]), (&json!("error"), &json!("m")));
    }
}

/// What comes of a stream that was cut after every `size` bytes.
fn streamed(direction: Direction, text: &str, size: usize) -> String {
    let mut stream = Stream::new(direction, true, 7);
    let mut told = Vec::new();
    for bytes in text.as_bytes().chunks(size) {
        told.extend(stream.feed(bytes));
    }
    told.extend(stream.end());
    String::from_utf8(told).unwrap()
}

/// The data of a stream's events.
fn events(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("data: "));
    lines.map(|data| serde_json::from_str(data).unwrap_or_else(|_| json!(data))).collect()
}

const OF_MESSAGES: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"usage":{"input_tokens":9,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"ok"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":6}}

event: message_stop
data: {"type":"message_stop"}

"#;

#[test]
fn a_stream_of_anthropic_is_told_in_chunks() {
    let told = streamed(Direction::ChatToMessages, OF_MESSAGES, usize::MAX);
    let found = events(&told);
    let deltas: Vec<&Value> =
        found[..6].iter().map(|chunk| &chunk["choices"][0]["delta"]).collect();
    let call = |function: Value| json!({"tool_calls": [{"index": 0, "function": function}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "t1", "type": "function",
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
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 0}});
    assert_eq!((&found[6]["choices"], &found[6]["usage"]), (&json!([]), &usage));
    assert_eq!(found[7], "[DONE]");
    assert_eq!(found.len(), 8);
    assert!(found[..7].iter().all(|chunk| chunk["id"] == "msg_1" && chunk["model"] == "m"));
    // However it was cut.
    for size in [1, 2, 7, 100] {
        assert_eq!(streamed(Direction::ChatToMessages, OF_MESSAGES, size), told, "{size}");
    }
}

const OF_CHAT: &str = r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"ok"},"finish_reason":null}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]},"finish_reason":null}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]},"finish_reason":null}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":null}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":6,"total_tokens":15}}

data: [DONE]

"#;

#[test]
fn a_stream_of_openai_is_told_in_events() {
    let told = streamed(Direction::MessagesToChat, OF_CHAT, usize::MAX);
    let found = events(&told);
    let kinds: Vec<&str> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let names = told.lines().filter_map(|line| line.strip_prefix("event: "));
    assert_eq!(names.collect::<Vec<_>>(), kinds);
    assert_eq!(found[2]["delta"], json!({"type": "text_delta", "text": "ok"}));
    let tool = json!({"type": "tool_use", "id": "t1", "name": "f", "input": {}});
    assert_eq!((&found[4]["content_block"], &found[4]["index"]), (&tool, &json!(1)));
    assert_eq!(found[7]["delta"]["stop_reason"], "tool_use");
    let usage = json!({"input_tokens": 9, "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0, "output_tokens": 6});
    assert_eq!(found[7]["usage"], usage);
    for size in [1, 2, 7, 100] {
        assert_eq!(streamed(Direction::MessagesToChat, OF_CHAT, size), told, "{size}");
    }
    // Where `[DONE]` is missing, the finish reason is the end.
    let without = OF_CHAT.replace("data: [DONE]\n\n", "");
    assert_eq!(streamed(Direction::MessagesToChat, &without, usize::MAX), told);
}

#[test]
fn an_end_that_was_not_told_is_not_told() {
    let cut = |text: &str, before: &str| text.split_once(before).unwrap().0.to_owned();
    let told = streamed(Direction::ChatToMessages, &cut(OF_MESSAGES, "event: message_stop"), 64);
    assert!(!told.contains("[DONE]") && told.contains("tool_calls"), "{told}");
    let told = streamed(
        Direction::MessagesToChat,
        &cut(
            OF_CHAT,
            r#"data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"tool_calls""#,
        ),
        64,
    );
    assert!(!told.contains("message_stop") && !told.contains("message_delta"), "{told}");
    // `[DONE]` without a finish reason tells no reason for the end.
    let told =
        streamed(Direction::MessagesToChat, "data: {\"choices\":[]}\n\ndata: [DONE]\n\n", 64);
    assert!(!told.contains("message_stop"), "{told}");
}

#[test]
fn an_error_inside_a_stream_is_told_and_nothing_after_it() {
    let broken = OF_MESSAGES.replace(
        "event: message_delta",
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\nevent: message_delta",
    );
    let found = events(&streamed(Direction::ChatToMessages, &broken, 64));
    let error = json!({"message": "Overloaded", "type": "overloaded_error", "param": null,
        "code": null});
    assert_eq!(found.last().unwrap()["error"], error);
    let broken = "data: {\"id\":\"c1\",\"choices\":[]}\n\ndata: {\"error\":{\"message\":\"slow\",\
                  \"code\":\"server_is_overloaded\"}}\n\ndata: [DONE]\n\n";
    let told = streamed(Direction::MessagesToChat, broken, 64);
    let found = events(&told);
    assert_eq!(found.last().unwrap()["error"]["type"], "overloaded_error");
    assert!(told.contains("event: error\n"));
}

/// What is left out of a stream that goes on would be missing from what seems complete.
#[test]
fn what_cannot_be_read_is_told_as_an_error_and_nothing_after_it() {
    for (direction, rest) in [
        (Direction::ChatToMessages, OF_MESSAGES),
        (Direction::MessagesToChat, OF_CHAT),
        (Direction::ChatToGemini, OF_CHAT),
        (Direction::MessagesToResponses, OF_MESSAGES),
    ] {
        let found = events(&streamed(direction, &format!("data: {{\"broken\n\n{rest}"), 64));
        assert_eq!(found.len(), 1, "{direction:?}: {found:?}");
        assert!(found[0]["error"]["message"].is_string(), "{found:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        for direction in Direction::ALL {
            let mut stream = Stream::new(direction, true, 0);
            stream.feed(&bytes);
            stream.end();
            drop(answer(direction, &bytes, 0));
            drop(refusal(direction, 500, &bytes));
            let usage = UsageWish::Asked;
            let names = Names { model: None, limit: LimitField::MaxTokens, usage };
            drop(request(direction, &bytes, names, Strictness::Lenient));
        }
    }
}
