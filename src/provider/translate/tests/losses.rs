//! The list of what does not survive: each row has a document, and nothing vanishes beside it.

use super::*;

/// One document for each row of the list: `request`, `answer` or `error`, the row's name, and what is
/// laid over a document in which nothing is lost.
const OF_A_CLIENT_OF_OPENAI: &str = r#"
request audio {"audio": {"voice": "ash", "format": "mp3"}}
request frequency_penalty {"frequency_penalty": 0.5}
request function_call {"function_call": "auto"}
request functions {"functions": [{"name": "f"}]}
request logit_bias {"logit_bias": {"50256": -100}}
request logprobs {"logprobs": true}
request metadata {"metadata": {"run": "1"}}
request modalities {"modalities": ["text"]}
request n {"n": 2}
request prediction {"prediction": {"type": "content", "content": "x"}}
request presence_penalty {"presence_penalty": 0.5}
request prompt_cache_key {"prompt_cache_key": "k"}
request reasoning_effort {"reasoning_effort": "low"}
request response_format {"response_format": {"type": "json_object"}}
request seed {"seed": 7}
request service_tier {"service_tier": "flex"}
request store {"store": false}
request temperature {"temperature": 1.5}
request top_logprobs {"top_logprobs": 2}
request verbosity {"verbosity": "low"}
request other {"web_search_options": {}}
request max_tokens {"max_tokens": null}
request system {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}
request name {"messages": [{"role": "user", "name": "ann", "content": "a"}]}
request detail {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a", "detail": "low"}}]}]}
request strict {"tools": [{"type": "function", "function": {"name": "f", "strict": true}}]}
request reasoning_content {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}]}
request other_fields {"stream_options": {"include_obfuscation": false}}
refused input_audio {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}
refused file {"messages": [{"role": "user", "content": [{"type": "file"}]}]}
refused audio {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}
refused function_call {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]}
refused function {"messages": [{"role": "function", "name": "f", "content": "1"}]}
refused custom {"tools": [{"type": "custom", "custom": {"name": "f"}}]}
answer stop_reason {"stop_reason": "pause_turn"}
answer stop_sequence {"stop_sequence": "END"}
answer signature {"content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
answer redacted_thinking {"content": [{"type": "redacted_thinking", "data": "x"}]}
answer citations {"content": [{"type": "text", "text": "a", "citations": [{"cited_text": "b"}]}]}
answer other_blocks {"content": [{"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}]}
answer cache_creation {"usage": {"cache_creation": {"ephemeral_5m_input_tokens": 1}}}
answer service_tier {"usage": {"service_tier": "standard"}}
answer other_fields {"container": {"id": "c"}}
error other_fields {"request_id": "req_1"}
"#;

const OF_A_CLIENT_OF_ANTHROPIC: &str = r#"
request container {"container": "c"}
request context_management {"context_management": {}}
request mcp_servers {"mcp_servers": []}
request output_config {"output_config": {"effort": "low"}}
request service_tier {"service_tier": "auto"}
request thinking {"thinking": {"type": "enabled", "budget_tokens": 1024}}
request top_k {"top_k": 5}
request other {"inference_geo": "eu"}
request cache_control {"cache_control": {"type": "ephemeral"}}
request citations {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [{"type": "char_location"}]}]}]}
request is_error {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "a", "is_error": true}]}]}
request strict {"tools": [{"name": "f", "input_schema": {}, "strict": true}]}
request thinking_blocks {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "text", "text": "b"}]}]}
request other_fields {"tools": [{"name": "f", "input_schema": {}, "defer_loading": true}]}
refused document {"messages": [{"role": "user", "content": [{"type": "document"}]}]}
refused search_result {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}
refused image {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}]}]}
refused server_tool_use {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}
refused web_search_20250305 {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
answer finish_reason {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "of_tomorrow"}]}
answer choices {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}, {"index": 1, "message": {"content": "b"}, "finish_reason": "stop"}]}
answer logprobs {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop", "logprobs": {"content": []}}]}
answer created {"created": 5}
answer system_fingerprint {"system_fingerprint": "fp"}
answer service_tier {"service_tier": "default"}
answer annotations {"choices": [{"index": 0, "message": {"content": "a", "annotations": [{"type": "url_citation"}]}, "finish_reason": "stop"}]}
answer completion_tokens_details {"usage": {"completion_tokens_details": {"reasoning_tokens": 1}}}
answer other_fields {"usage": {"prompt_tokens_details": {"audio_tokens": 1}}}
error type {"error": {"type": "server_error", "message": "m"}}
error other_fields {"error": {"param": "p", "message": "m"}}
"#;

/// What `bellwether convert` tells, and the list is of.
const CONVERTED: [Direction; 2] = [Direction::ChatToMessages, Direction::MessagesToChat];

/// A document of each kind in which nothing is lost.
fn plain(direction: Direction, within: Within) -> Value {
    let said = json!([{"role": "user", "content": "hi"}]);
    match (direction, within) {
        (_, Within::Request) => json!({"model": "m", "max_tokens": 1, "messages": said}),
        (Direction::ChatToMessages, Within::Answer) => json!({
            "id": "a", "type": "message", "role": "assistant", "model": "m",
            "content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn",
            "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
        }),
        (Direction::MessagesToChat, Within::Answer) => json!({
            "id": "a", "object": "chat.completion", "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi",
                "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }),
        (Direction::ChatToMessages, Within::Error) => {
            json!({"type": "error", "error": {"type": "api_error", "message": "m"}})
        }
        (Direction::MessagesToChat, Within::Error) => json!({"error": {"message": "m"}}),
        (other, _) => panic!("{other:?} is not converted"),
    }
}

fn lay(over: &Value, document: &mut Value) {
    for (name, value) in over.as_object().unwrap() {
        if let (Value::Object(_), Some(Value::Object(_))) = (value, document.get(name)) {
            lay(value, &mut document[name]);
        } else {
            document[name] = value.clone();
        }
    }
}

fn told(direction: Direction, within: Within, document: &Value) -> Result<Translated, String> {
    let body = document.to_string();
    match within {
        Within::Request => asked(direction, document, Strictness::Lenient),
        Within::Answer => answer(direction, body.as_bytes(), 7).map_err(|error| error.to_string()),
        Within::Error => Ok(refusal(direction, 500, body.as_bytes())),
    }
}

#[test]
fn every_row_of_the_list_is_what_becomes_of_a_document() {
    let mut seen = Vec::new();
    for (direction, lines) in [
        (Direction::ChatToMessages, OF_A_CLIENT_OF_OPENAI),
        (Direction::MessagesToChat, OF_A_CLIENT_OF_ANTHROPIC),
    ] {
        for within in [Within::Request, Within::Answer, Within::Error] {
            let clean = told(direction, within, &plain(direction, within)).unwrap();
            assert_eq!(clean.lost, [], "{direction:?} {within:?}");
        }
        for line in lines.trim().lines() {
            let [kind, name, over] = line.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let within = match kind {
                "answer" => Within::Answer,
                "error" => Within::Error,
                _ => Within::Request,
            };
            let mut document = plain(direction, within);
            lay(&serde_json::from_str(over).unwrap(), &mut document);
            let is_refused = kind == "refused";
            let row = LOSSES.iter().position(|loss| {
                (loss.direction, loss.within, loss.name) == (direction, within, name)
                    && (loss.fate == Fate::Refused) == is_refused
            });
            seen.push(row.unwrap_or_else(|| panic!("no row for {line}")));
            let told = told(direction, within, &document);
            if is_refused {
                let expected = format!("a part of type `{name}`");
                assert!(told.as_ref().is_err_and(|error| error.contains(&expected)), "{line}");
                continue;
            }
            let row = &LOSSES[row.unwrap()];
            let lost = told.unwrap().lost;
            let found: Vec<&Loss> = lost.iter().map(|lost| lost.loss).collect();
            assert_eq!(found, [row], "{line}");
            if within == Within::Request {
                let strict = asked(direction, &document, Strictness::Strict);
                assert_eq!(strict.is_err(), row.fate == Fate::Strictness, "{line}");
            }
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..LOSSES.len()).collect::<Vec<_>>(), "each row once");
    for direction in CONVERTED {
        let mut names: Vec<&str> = Loss::parameters(direction).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "a label's values stand once");
    }
}

/// Documents with every field that the vendors' own clients know, as of their versions of 2026.
fn full(direction: Direction, within: Within) -> Value {
    let mut document = plain(direction, within);
    let over = match (direction, within) {
        (Direction::ChatToMessages, Within::Request) => json!({
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "be brief"}]},
                {"role": "developer", "content": "be kind", "name": "d"},
                {"role": "user", "name": "ann", "content": [
                    {"type": "text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
                ]},
                {"role": "assistant", "content": "b", "refusal": "c", "name": "bot",
                    "annotations": [{"type": "url_citation"}],
                    "tool_calls": [{"id": "t", "type": "function",
                        "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
                {"role": "tool", "tool_call_id": "t", "content": "d"},
            ],
            "max_tokens": null, "max_completion_tokens": 5, "stop": ["END"], "stream": true,
            "stream_options": {"include_obfuscation": true}, "temperature": 0.5, "top_p": 0.5,
            "parallel_tool_calls": false, "user": "u", "tool_choice": "required",
            "tools": [{"type": "function", "function": {"name": "f", "description": "d",
                "parameters": {"type": "object"}, "strict": true}}],
            "audio": {"voice": "ash"}, "frequency_penalty": 0.1, "logit_bias": {"1": 2},
            "logprobs": true, "metadata": {"a": "b"}, "modalities": ["text"],
            "moderation": {"model": "m"}, "n": 2, "prediction": {"type": "content"},
            "presence_penalty": 0.1, "prompt_cache_key": "k", "prompt_cache_options": {"ttl": "30m"},
            "prompt_cache_retention": "24h", "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s"}},
            "safety_identifier": "s", "seed": 7, "service_tier": "flex", "store": true,
            "top_logprobs": 3, "verbosity": "low", "web_search_options": {"search_context_size": "low"},
        }),
        (Direction::MessagesToChat, Within::Request) => json!({
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"},
                        "citations": [{"cited_text": "x"}]},
                    {"type": "image", "cache_control": {"type": "ephemeral", "ttl": "1h"},
                        "source": {"type": "base64", "media_type": "image/png", "data": "AA"}},
                    {"type": "image", "source": {"type": "url", "url": "https://x.example/a"},
                        "transformations": {"resize": "x"}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "b"},
                    {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1},
                        "caller": {"type": "direct"}, "toolset_name": "s"},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t", "is_error": true,
                        "content": [{"type": "text", "text": "c"}], "toolset_name": "s"},
                ]},
            ],
            "system": [{"type": "text", "text": "d", "cache_control": {"type": "ephemeral"}}],
            "cache_control": {"type": "ephemeral"}, "container": "c", "diagnostics": {"a": true},
            "inference_geo": "eu", "metadata": {"user_id": "u", "of_tomorrow": "x"},
            "output_config": {"effort": "low"}, "service_tier": "auto", "speed": "fast",
            "stop_sequences": ["END"], "stream": true, "temperature": 0.5, "top_p": 0.5, "top_k": 4,
            "thinking": {"type": "enabled", "budget_tokens": 1024}, "prefill": "x",
            "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
            "tools": [{"type": "custom", "name": "f", "description": "d", "strict": true,
                "input_schema": {"type": "object"}, "allowed_callers": ["direct"],
                "cache_control": {"type": "ephemeral"}, "defer_loading": true,
                "eager_input_streaming": true, "input_examples": [{"a": 1}]}],
            "user_profile_id": "p", "workspace_id": "w",
        }),
        (Direction::ChatToMessages, Within::Answer) => json!({
            "content": [
                {"type": "thinking", "thinking": "a", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "text", "text": "b", "citations": [{"cited_text": "x"}]},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
                {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1},
                    "caller": {"type": "direct"}, "toolset_name": "s"},
            ],
            "container": {"id": "c"}, "diagnostics": {"a": 1}, "stop_details": {"category": "x"},
            "stop_reason": "stop_sequence", "stop_sequence": "END",
            "usage": {"cache_creation": {"ephemeral_1h_input_tokens": 1},
                "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3,
                "inference_geo": "eu", "output_tokens_details": {"thinking_tokens": 1},
                "server_tool_use": {"web_search_requests": 1}, "service_tier": "standard",
                "speed": "fast"},
        }),
        (Direction::MessagesToChat, Within::Answer) => json!({
            "choices": [
                {"index": 0, "finish_reason": "tool_calls", "logprobs": {"content": [{"token": "a"}]},
                    "message": {"role": "assistant", "content": "a", "refusal": null,
                        "annotations": [{"type": "url_citation"}], "audio": {"id": "x"},
                        "function_call": {"name": "g"}, "reasoning_content": "b",
                        "tool_calls": [{"id": "t", "type": "function",
                            "function": {"name": "f", "arguments": "{\"a\":1}"}}]}},
                {"index": 1, "finish_reason": "stop", "message": {"content": "c"}},
            ],
            "created": 5, "metadata": {"a": "b"}, "moderation": {"input": {"type": "x"}},
            "service_tier": "flex", "system_fingerprint": "fp",
            "usage": {"prompt_tokens": 9, "completion_tokens": 4,
                "completion_tokens_details": {"reasoning_tokens": 1},
                "prompt_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2,
                    "audio_tokens": 3, "text_tokens": 4}},
        }),
        (Direction::ChatToMessages, Within::Error) => json!({
            "request_id": "r", "error": {"details": {"error_code": "x"}},
        }),
        (Direction::MessagesToChat, Within::Error) => json!({
            "error": {"type": "x", "param": "p", "code": "c"},
        }),
        (other, _) => panic!("{other:?} is not converted"),
    };
    lay(&over, &mut document);
    document
}

/// The places of everything that is neither object nor list, as the ledger writes them and as pointers.
fn leaves(value: &Value, at: &str, pointer: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if at.is_empty() { "" } else { "." };
                leaves(value, &format!("{at}{dot}{name}"), &format!("{pointer}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{at}[{index}]"), &format!("{pointer}/{index}"), found);
            }
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.push((at.to_owned(), pointer.to_owned()));
        }
    }
}

/// What is told in another form, or follows from the rest.
const UNDERSTOOD: [&str; 5] = ["type", "object", "index", "role", "total_tokens"];

#[test]
fn nothing_vanishes_without_being_named() {
    let mut vanished = Vec::new();
    for direction in CONVERTED {
        for within in [Within::Request, Within::Answer, Within::Error] {
            let document = full(direction, within);
            let whole = told(direction, within, &document).unwrap();
            let mut found = Vec::new();
            leaves(&document, "", "", &mut found);
            assert!(found.len() > 3);
            for (at, pointer) in found {
                let name = pointer.rsplit('/').next().unwrap();
                // Whoever asks names the model anew.
                let is_replaced = within == Within::Request && pointer == "/model";
                if UNDERSTOOD.contains(&name) || is_replaced {
                    continue;
                }
                let mut without = document.clone();
                *without.pointer_mut(&pointer).unwrap() = Value::Null;
                let is_told = told(direction, within, &without)
                    .map_or(true, |without| without.body != whole.body);
                // Places are kept for the first of a kind; its name stands for the others.
                let is_named = whole.lost.iter().any(|lost| {
                    at.starts_with(&lost.at)
                        || at.split(['.', '[']).any(|part| part == lost.loss.name)
                        || lost.at.ends_with(&format!(".{name}"))
                });
                if !is_told && !is_named {
                    vanished.push(format!("{direction:?} {within:?} {at}"));
                }
            }
        }
    }
    assert!(vanished.is_empty(), "{vanished:#?}");
}

#[test]
fn a_place_leads_to_what_is_wrong() {
    let call = json!({"id": "t", "type": "function", "function": {"name": "f", "arguments": "{"}});
    for (direction, messages, expected) in [
        (
            Direction::ChatToMessages,
            json!([{"role": "user"}, {"content": "a"}]),
            "`messages[1].role`",
        ),
        (
            Direction::ChatToMessages,
            json!([{"role": "assistant", "tool_calls": [call]}]),
            "`messages[0].tool_calls[0].function.arguments`",
        ),
        (
            Direction::MessagesToChat,
            json!([{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "video"}]}]),
            "a part of type `video` has no counterpart in the provider's dialect \
             (`messages[0].content[1]`)",
        ),
    ] {
        let body = json!({"messages": messages, "max_tokens": 1});
        let error = asked(direction, &body, Strictness::Lenient).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let usage = UsageWish::Asked;
    let names = Names { model: None, limit: LimitField::MaxTokens, usage };
    let read = |body: &str| {
        let told = request(Direction::MessagesToChat, body.as_bytes(), names, Strictness::Strict);
        told.unwrap_err().to_string()
    };
    assert_eq!(
        read("{\n  \"a\": 1\n  \"b\": 2}"),
        "the body is not JSON: expected `,` or `}` at line 3 column 3"
    );
    assert_eq!(read("[]"), "the body is not a document of this interface: it is no JSON object");
    assert_eq!(read("\u{feff}{}"), "the field `model` is missing or of the wrong form");
}

#[test]
fn a_stream_names_what_it_loses_and_keeps_to_one_choice() {
    let mut stream = Stream::new(Direction::MessagesToChat, true, 7);
    let chunk = |index: u64, delta: Value, end: Value| {
        let choice = json!({"index": index, "delta": delta, "finish_reason": end});
        format!("data: {}\n\n", json!({"id": "c", "model": "m", "created": 5, "choices": [choice]}))
    };
    let mut told = Vec::new();
    for chunk in [
        chunk(0, json!({"content": "mine"}), Value::Null),
        chunk(1, json!({"content": "other"}), json!("length")),
        chunk(0, json!({}), json!("stop")),
        "data: [DONE]\n\n".to_owned(),
    ] {
        told.extend(stream.feed(chunk.as_bytes()));
    }
    told.extend(stream.end());
    let told = String::from_utf8(told).unwrap();
    assert!(
        told.contains("mine") && !told.contains("other") && told.contains("end_turn"),
        "{told}"
    );
    assert_eq!(names(stream.lost()), ["created", "choices"]);
    assert_eq!(stream.lost()[0].times, 3);
    assert!(stream.has_ended());

    // What Anthropic's own tools are asked belongs to no call of the client's.
    let searched = OF_MESSAGES.replace(
        "event: message_delta",
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"server_tool_use\",\"id\":\"s1\",\"name\":\"web_search\",\"input\":{}}}\n\n\
         event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"query\\\":1}\"}}\n\n\
         event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n\
         event: message_delta",
    );
    let plain = streamed(Direction::ChatToMessages, OF_MESSAGES, 64);
    assert_eq!(streamed(Direction::ChatToMessages, &searched, 64), plain);
}
