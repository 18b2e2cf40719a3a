//! A request of Anthropic's messages in the words of OpenAI's chat completions.

use serde_json::{Map, Value, json};

use super::to_messages::kind;
use super::words::{LeftOut, Untranslatable, copy, others_refused};

const KNOWN: [&str; 12] = [
    "model",
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "stream",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "metadata",
    // Where its value is `disabled`.
    "thinking",
];

pub(super) fn request(
    body: &Map<String, Value>,
    model: &str,
    limit: &str,
    left_out: &mut LeftOut,
) -> Result<Value, Untranslatable> {
    others_refused(body, &KNOWN, left_out)?;
    let mut translated = json!({"model": model, "messages": messages(body)?});
    copy(body, "max_tokens", &mut translated, limit);
    copy(body, "stop_sequences", &mut translated, "stop");
    copy(body, "temperature", &mut translated, "temperature");
    copy(body, "top_p", &mut translated, "top_p");
    copy(body, "stream", &mut translated, "stream");
    if body.get("stream") == Some(&Value::Bool(true)) {
        // Anthropic's clients count on it, and nobody sends it unasked here.
        translated["stream_options"] = json!({"include_usage": true});
    }
    if let Some(user) = body.get("metadata").and_then(|metadata| metadata["user_id"].as_str()) {
        translated["user"] = json!(user);
    }
    let thinking = body.get("thinking").map(|thinking| &thinking["type"]);
    if thinking.is_some_and(|kind| !kind.is_null() && kind != "disabled") {
        left_out.parameter("thinking")?;
    }
    tools(body, &mut translated)?;
    Ok(translated)
}

fn messages(body: &Map<String, Value>) -> Result<Vec<Value>, Untranslatable> {
    let wrong = || Untranslatable::Field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut messages = Vec::new();
    if let Some(system) = body.get("system").filter(|system| !system.is_null()) {
        messages.push(json!({"role": "system", "content": text(system)?}));
    }
    for message in said {
        let content = &message["content"];
        match message["role"].as_str().ok_or_else(wrong)? {
            "user" => user(content, &mut messages)?,
            "assistant" => messages.push(assistant(content)?),
            other => return Err(Untranslatable::Part(other.chars().take(64).collect())),
        }
    }
    Ok(messages)
}

/// The text of what is nothing but text.
fn text(content: &Value) -> Result<String, Untranslatable> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match block["type"].as_str() {
                Some("text") => Ok(block["text"].as_str().unwrap_or_default()),
                _ => Err(Untranslatable::Part(kind(block))),
            });
            Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(Untranslatable::Field("content"))
        }
    }
}

/// What a user says: results of tools are messages of their own there, and come first.
fn user(content: &Value, messages: &mut Vec<Value>) -> Result<(), Untranslatable> {
    let Value::Array(blocks) = content else {
        messages.push(json!({"role": "user", "content": text(content)?}));
        return Ok(());
    };
    let mut parts = Vec::new();
    for block in blocks {
        match block["type"].as_str() {
            Some("text") => {
                let text = block["text"].as_str().ok_or(Untranslatable::Field("text"))?;
                parts.push(json!({"type": "text", "text": text}));
            }
            Some("image") => parts.push(image(&block["source"])?),
            Some("tool_result") => {
                let id = block["tool_use_id"].as_str();
                let id = id.ok_or(Untranslatable::Field("tool_use_id"))?;
                let result = text(&block["content"])?;
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
            }
            _ => return Err(Untranslatable::Part(kind(block))),
        }
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": parts}));
    }
    Ok(())
}

fn image(source: &Value) -> Result<Value, Untranslatable> {
    let field = |name: &'static str| source[name].as_str().ok_or(Untranslatable::Field("source"));
    let url = match source["type"].as_str() {
        Some("base64") => format!("data:{};base64,{}", field("media_type")?, field("data")?),
        Some("url") => field("url")?.to_owned(),
        _ => return Err(Untranslatable::Part(kind(source))),
    };
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// What the model said. Its thinking is left behind: it is signed for Anthropic alone.
fn assistant(content: &Value) -> Result<Value, Untranslatable> {
    let Value::Array(blocks) = content else {
        return Ok(json!({"role": "assistant", "content": text(content)?}));
    };
    let (mut said, mut calls) = (String::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str() {
            Some("text") => said.push_str(block["text"].as_str().unwrap_or_default()),
            Some("thinking" | "redacted_thinking") => {}
            Some("tool_use") => {
                let wrong = || Untranslatable::Field("tool_use");
                let arguments = block["input"].to_string();
                calls.push(json!({
                    "id": block["id"].as_str().ok_or_else(wrong)?,
                    "type": "function",
                    "function": {
                        "name": block["name"].as_str().ok_or_else(wrong)?,
                        "arguments": arguments,
                    },
                }));
            }
            _ => return Err(Untranslatable::Part(kind(block))),
        }
    }
    let content = if said.is_empty() { Value::Null } else { json!(said) };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    Ok(message)
}

fn tools(body: &Map<String, Value>, translated: &mut Value) -> Result<(), Untranslatable> {
    let tools = body.get("tools").and_then(Value::as_array);
    let functions = tools.into_iter().flatten().map(|tool| {
        // What the provider runs by itself has no counterpart.
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            return Err(Untranslatable::Part(kind(tool)));
        }
        let name = tool["name"].as_str().ok_or(Untranslatable::Field("tools"))?;
        let mut function = json!({"name": name, "parameters": tool["input_schema"]});
        if let Some(description) = tool["description"].as_str() {
            function["description"] = json!(description);
        }
        Ok(json!({"type": "function", "function": function}))
    });
    let functions = functions.collect::<Result<Vec<_>, _>>()?;
    if functions.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(functions);
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    translated["tool_choice"] = match choice["type"].as_str() {
        Some("auto") => json!("auto"),
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => {
            let name = choice["name"].as_str().ok_or(Untranslatable::Field("tool_choice"))?;
            json!({"type": "function", "function": {"name": name}})
        }
        _ => return Err(Untranslatable::Field("tool_choice")),
    };
    if choice["disable_parallel_tool_use"] == true {
        translated["parallel_tool_calls"] = json!(false);
    }
    Ok(())
}
