//! The list of what does not survive: each row has a document, and nothing vanishes beside it.

use super::*;

/// One document for each row of the list: `request`, `answer` or `error`, or `refused` where a request
/// is, the row's name, and what is laid over a document in which nothing is lost. Where a direction needs
/// another document than the rest, it is named.
const ASKED_OF_CHAT: &str = r#"
request audio {"audio": {"voice": "ash", "format": "mp3"}}
request frequency_penalty {"frequency_penalty": 0.5}
request function_call {"function_call": "auto"}
request functions {"functions": [{"name": "f"}]}
request logit_bias {"logit_bias": {"50256": -100}}
request logprobs {"logprobs": true}
request metadata {"metadata": {"run": "1"}}
request modalities {"modalities": ["text"]}
request n {"n": 2}
request parallel_tool_calls {"parallel_tool_calls": false, "tools": [{"type": "function", "function": {"name": "f"}}]}
request prediction {"prediction": {"type": "content", "content": "x"}}
request presence_penalty {"presence_penalty": 0.5}
request prompt_cache_key {"prompt_cache_key": "k"}
request reasoning_effort {"reasoning_effort": "minimal"}
request@chat_to_gemini reasoning_effort {"reasoning_effort": "utmost"}
request response_format {"response_format": {"type": "json_object"}}
request@chat_to_gemini response_format {"response_format": {"type": "grammar"}}
request seed {"seed": 7}
request safety_identifier {"safety_identifier": "s"}
request@chat_to_messages safety_identifier {"safety_identifier": "s", "user": "u"}
request service_tier {"service_tier": "flex"}
request stop {"stop": "END"}
request store {"store": true}
request temperature {"temperature": 1.5}
request top_logprobs {"top_logprobs": 2}
request verbosity {"verbosity": "low"}
request web_search_options {"web_search_options": {}}
request other {"of_tomorrow": 1}
request max_tokens {"max_tokens": null}
request system {"messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}]}
request name {"messages": [{"role": "user", "name": "ann", "content": "a"}]}
request detail {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/a", "detail": "low"}}]}]}
request strict {"tools": [{"type": "function", "function": {"name": "f", "strict": true}}]}
request reasoning_content {"messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}]}
request user {"user": "u"}
request other_fields {"stream_options": {"of_tomorrow": 1}}
refused input_audio {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}
refused file {"messages": [{"role": "user", "content": [{"type": "file"}]}]}
refused audio {"messages": [{"role": "assistant", "audio": {"id": "a"}}]}
refused function_call {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}]}
refused function {"messages": [{"role": "function", "name": "f", "content": "1"}]}
refused custom {"tools": [{"type": "custom", "custom": {"name": "f"}}]}
"#;

const ASKED_OF_MESSAGES: &str = r#"
request container {"container": "c"}
request context_management {"context_management": {}}
request disable_parallel_tool_use {"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "auto", "disable_parallel_tool_use": true}}
request mcp_servers {"mcp_servers": []}
request output_config {"output_config": {"effort": "low", "task_budget": {"type": "tokens", "total": 20000}}}
request@messages_to_gemini output_config {"output_config": {"effort": "xhigh"}}
request service_tier {"service_tier": "auto"}
request stop_sequences {"stop_sequences": ["END"]}
request thinking {"thinking": {"type": "enabled", "budget_tokens": 1024}}
request@messages_to_gemini thinking {"thinking": {"type": "adaptive"}}
request top_k {"top_k": 5}
request other {"inference_geo": "eu"}
request cache_control {"cache_control": {"type": "ephemeral"}}
request citations {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "a", "citations": [{"type": "char_location"}]}]}]}
request is_error {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "f", "input": {}}]}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "a", "is_error": true}]}]}
request strict {"tools": [{"name": "f", "input_schema": {}, "strict": true}]}
request thinking_blocks {"messages": [{"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "text", "text": "b"}]}]}
request user_id {"metadata": {"user_id": "u"}}
request other_fields {"tools": [{"name": "f", "input_schema": {}, "defer_loading": true}]}
refused document {"messages": [{"role": "user", "content": [{"type": "document"}]}]}
refused search_result {"messages": [{"role": "user", "content": [{"type": "search_result"}]}]}
refused image {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [{"type": "image"}]}]}]}
refused server_tool_use {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]}
refused web_search_20250305 {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}
"#;

const ANSWERED_BY_MESSAGES: &str = r#"
answer stop_reason {"stop_reason": "pause_turn"}
answer other_reasons {"stop_reason": "of_tomorrow"}
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

const ANSWERED_BY_CHAT: &str = r#"
answer other_reasons {"choices": [{"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "of_tomorrow"}]}
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

const ANSWERED_BY_GEMINI: &str = r#"
answer finishReason {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "RECITATION"}]}
answer other_reasons {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "OF_TOMORROW"}]}
answer blockReason {"candidates": [], "promptFeedback": {"blockReason": "SAFETY"}}
answer thoughtSignature {"candidates": [{"content": {"parts": [{"text": "a", "thoughtSignature": "s"}]}, "finishReason": "STOP"}]}
answer other_parts {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}, "finishReason": "STOP"}]}
answer citationMetadata {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "citationMetadata": {"citations": []}}]}
answer groundingMetadata {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["b"]}}]}
answer safetyRatings {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "safetyRatings": [{"category": "c"}]}]}
answer candidates {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}, {"content": {"parts": [{"text": "b"}]}, "finishReason": "SAFETY", "index": 1}]}
answer thoughtsTokenCount {"usageMetadata": {"thoughtsTokenCount": 3}}
answer other_fields {"createTime": "2026-01-01T00:00:00Z"}
error status {"error": {"status": "INTERNAL"}}
error other_fields {"error": {"details": [{"reason": "x"}]}}
"#;

const ANSWERED_BY_RESPONSES: &str = r#"
answer other_reasons {"status": "incomplete", "incomplete_details": {"reason": "of_tomorrow"}}
answer annotations {"output": [{"type": "message", "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "url_citation"}]}]}]}
answer encrypted_content {"output": [{"type": "reasoning", "summary": [], "encrypted_content": "x"}]}
answer other_items {"output": [{"type": "web_search_call", "id": "w", "status": "completed"}]}
answer created_at {"created_at": 5}
answer service_tier {"service_tier": "flex"}
answer reasoning_tokens {"usage": {"output_tokens_details": {"reasoning_tokens": 1}}}
answer other_fields {"conversation": {"id": "c"}}
error type {"error": {"type": "server_error", "message": "m"}}
error other_fields {"of_tomorrow": 1}
"#;

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
        (Direction::ChatToGemini | Direction::MessagesToGemini, Within::Answer) => json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": "hi"}]},
                "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 1,
                "totalTokenCount": 2},
            "modelVersion": "m", "responseId": "a",
        }),
        (Direction::ChatToResponses | Direction::MessagesToResponses, Within::Answer) => json!({
            "id": "a", "object": "response", "status": "completed", "model": "m",
            "output": [{"type": "message", "role": "assistant",
                "content": [{"type": "output_text", "text": "hi"}]}],
            "usage": {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2},
        }),
        (Direction::ChatToMessages, Within::Error) => {
            json!({"type": "error", "error": {"type": "api_error", "message": "m"}})
        }
        (_, Within::Error) => json!({"error": {"message": "m"}}),
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

/// A document of a row, as it stands in the lists above.
struct Case<'a> {
    line: &'a str,
    kind: &'a str,
    /// The only direction that it is for.
    only: Option<&'a str>,
    name: &'a str,
    over: &'a str,
}

fn cases(lines: &str) -> Vec<Case<'_>> {
    let cases = lines.lines().filter(|line| !line.is_empty()).map(|line| {
        let mut words = line.splitn(3, ' ');
        let kind = words.next().unwrap();
        let (kind, only) = match kind.split_once('@') {
            Some((kind, only)) => (kind, Some(only)),
            None => (kind, None),
        };
        let (name, over) = (words.next().unwrap(), words.next().unwrap());
        Case { line, kind, only, name, over }
    });
    cases.collect()
}

fn within(kind: &str) -> Within {
    match kind {
        "request" | "refused" => Within::Request,
        "answer" => Within::Answer,
        "error" => Within::Error,
        other => panic!("{other}"),
    }
}

#[test]
fn every_row_of_the_list_is_what_becomes_of_a_document() {
    use Direction::{
        ChatToGemini, ChatToMessages, ChatToResponses, MessagesToChat, MessagesToGemini,
        MessagesToResponses,
    };
    let mut seen = Vec::new();
    for (directions, lines) in [
        (&[ChatToMessages, ChatToGemini, ChatToResponses] as &[_], ASKED_OF_CHAT),
        (&[MessagesToChat, MessagesToGemini, MessagesToResponses], ASKED_OF_MESSAGES),
        (&[ChatToMessages], ANSWERED_BY_MESSAGES),
        (&[MessagesToChat], ANSWERED_BY_CHAT),
        (&[ChatToGemini, MessagesToGemini], ANSWERED_BY_GEMINI),
        (&[ChatToResponses, MessagesToResponses], ANSWERED_BY_RESPONSES),
    ] {
        let cases = cases(lines);
        for (direction, case) in
            directions.iter().flat_map(|one| cases.iter().map(move |case| (*one, case)))
        {
            let Case { line, kind, only, name, over } = case;
            let has_own = cases.iter().any(|other| {
                (other.kind, other.name, other.only) == (kind, name, Some(direction.as_str()))
            });
            if only.map_or(has_own, |only| only != direction.as_str()) {
                continue;
            }
            let (within, is_refused) = (within(kind), *kind == "refused");
            let row = LOSSES.iter().position(|loss| {
                loss.is_of(direction)
                    && (loss.within, loss.name) == (within, name)
                    && (loss.fate == Fate::Refused) == is_refused
            });
            let mut document = plain(direction, within);
            lay(&serde_json::from_str(over).unwrap(), &mut document);
            let told = told(direction, within, &document);
            let Some(row) = row else {
                // It is told, then.
                let lost =
                    told.unwrap_or_else(|error| panic!("{direction:?} {line}: {error}")).lost;
                assert!(lost.is_empty(), "{direction:?} {line}: {lost:?}");
                continue;
            };
            seen.push((row, direction));
            if is_refused {
                let expected = format!("a part of type `{name}`");
                assert!(told.as_ref().is_err_and(|error| error.contains(&expected)), "{line}");
                continue;
            }
            let row = &LOSSES[row];
            let lost = told.unwrap_or_else(|error| panic!("{direction:?} {line}: {error}")).lost;
            let found: Vec<&Loss> = lost.iter().map(|lost| lost.loss).collect();
            assert_eq!(found, [row], "{direction:?} {line}");
            if within == Within::Request {
                let strict = asked(direction, &document, Strictness::Strict);
                let is_strict = row.fate == Fate::Strictness;
                assert_eq!(strict.is_err(), is_strict, "{direction:?} {line}");
            }
        }
    }
    let each = LOSSES.iter().enumerate();
    let each = each.flat_map(|(row, loss)| loss.directions.iter().map(move |one| (row, *one)));
    seen.sort_unstable();
    assert_eq!(seen, each.collect::<Vec<_>>(), "each row once, in each of its directions");
    for direction in Direction::ALL {
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
        (
            Direction::ChatToMessages | Direction::ChatToGemini | Direction::ChatToResponses,
            Within::Request,
        ) => json!({
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
        (
            Direction::MessagesToChat
            | Direction::MessagesToGemini
            | Direction::MessagesToResponses,
            Within::Request,
        ) => json!({
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
        (Direction::ChatToGemini | Direction::MessagesToGemini, Within::Answer) => json!({
            "candidates": [
                {"index": 0, "finishReason": "OTHER", "finishMessage": "m", "tokenCount": 3,
                    "avgLogprobs": 0.1, "logprobsResult": {"logProbabilitySum": 0.2},
                    "citationMetadata": {"citations": [{"uri": "u"}]},
                    "groundingMetadata": {"webSearchQueries": ["q"]},
                    "safetyRatings": [{"category": "c", "probability": "LOW"}],
                    "urlContextMetadata": {"urlMetadata": [{"retrievedUrl": "u"}]},
                    "content": {"role": "model", "parts": [
                        {"text": "hm", "thought": true, "thoughtSignature": "s"},
                        {"text": "a", "partMetadata": {"a": "b"}},
                        {"functionCall": {"id": "t", "name": "f", "args": {"a": 1},
                            "willContinue": true}, "thoughtSignature": "s"},
                        {"executableCode": {"language": "PYTHON", "code": "1"}},
                    ]}},
                {"index": 1, "finishReason": "STOP",
                    "content": {"parts": [{"text": "b"}]}},
            ],
            "createTime": "2026-01-01T00:00:00Z", "modelStatus": {"modelStage": "STABLE"},
            "promptFeedback": {"blockReason": "SAFETY", "blockReasonMessage": "m",
                "safetyRatings": [{"category": "c"}]},
            "usageMetadata": {"cachedContentTokenCount": 1, "candidatesTokenCount": 2,
                "promptTokenCount": 9, "thoughtsTokenCount": 3, "toolUsePromptTokenCount": 4,
                "totalTokenCount": 18, "promptTokensDetails": [{"modality": "TEXT"}],
                "serviceTier": "s", "trafficType": "ON_DEMAND"},
        }),
        (Direction::ChatToResponses | Direction::MessagesToResponses, Within::Answer) => json!({
            "created_at": 5, "completed_at": 6, "status": "incomplete",
            "incomplete_details": {"reason": "x"}, "service_tier": "flex",
            "conversation": {"id": "c"}, "billing": {"payer": "p"},
            "output": [
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}],
                    "content": [{"type": "reasoning_text", "text": "ha"}],
                    "encrypted_content": "x"},
                {"type": "web_search_call", "action": {"query": "q"}},
                {"type": "message", "role": "assistant", "phase": "final_answer", "content": [
                    {"type": "output_text", "text": "a", "annotations": [{"url": "u"}],
                        "logprobs": [{"token": "a"}]}]},
                {"type": "function_call", "call_id": "t", "name": "f", "arguments": "{\"a\":1}",
                    "namespace": "n", "caller": "c"},
            ],
            "usage": {"input_tokens": 9, "output_tokens": 4,
                "input_tokens_details": {"cached_tokens": 1, "cache_write_tokens": 2,
                    "text_tokens": 6},
                "output_tokens_details": {"reasoning_tokens": 1, "text_tokens": 3}},
        }),
        (Direction::MessagesToChat | Direction::MessagesToResponses, Within::Error) => json!({
            "error": {"type": "x", "param": "p", "code": "c"},
        }),
        (Direction::ChatToResponses, Within::Error) => json!({
            "error": {"type": "x", "param": "p", "code": "c"}, "request_id": "r",
        }),
        (Direction::ChatToGemini | Direction::MessagesToGemini, Within::Error) => json!({
            "error": {"code": 429, "status": "OF_TOMORROW",
                "details": [{"reason": "RATE_LIMIT_EXCEEDED"}]},
            "of_tomorrow": 1,
        }),
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
const UNDERSTOOD: [&str; 6] =
    ["type", "object", "index", "role", "total_tokens", "totalTokenCount"];
/// What a request to Google says without a word: the address says whether a stream is wanted, every
/// answer is held to its schema, and the schema needs no name.
const OF_GOOGLE: [&str; 3] =
    ["/stream", "/response_format/json_schema/name", "/response_format/json_schema/strict"];

#[test]
fn nothing_vanishes_without_being_named() {
    let mut vanished = Vec::new();
    for direction in Direction::ALL {
        let is_of_google =
            direction == Direction::ChatToGemini || direction == Direction::MessagesToGemini;
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
                let is_implied = is_of_google
                    && within == Within::Request
                    && OF_GOOGLE.contains(&pointer.as_str());
                if UNDERSTOOD.contains(&name) || is_replaced || is_implied {
                    continue;
                }
                let mut without = document.clone();
                *without.pointer_mut(&pointer).unwrap() = Value::Null;
                let is_told = told(direction, within, &without)
                    .map_or(true, |without| without.body != whole.body);
                // Places are kept for the first of a kind; its name stands for the others.
                // Those that are left out of a list are named by it, and the others are told.
                let is_list = |name: &str| ["candidates", "choices"].contains(&name);
                let is_named = whole.lost.iter().any(|lost| {
                    let within = at.strip_prefix(&lost.at);
                    within.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
                        || !is_list(lost.loss.name)
                            && at.split(['.', '[']).any(|part| part == lost.loss.name)
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
