//! A request of Anthropic's messages in the words of OpenAI's chat completions.

use serde_json::{Map, Value, json};

use super::super::UsageWish;
use super::Names;
use super::asked::{kind, part, word};
use super::ledger::{At, Ledger};
use super::words::{Untranslatable, copy, wrong};

const TOLD: [&str; 14] = [
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
    "output_config",
    // Where its value is `disabled`.
    "thinking",
    // A hint, which changes the price and not the answer.
    "cache_control",
];

pub(super) fn request(
    body: &Map<String, Value>,
    model: &str,
    names: Names<'_>,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    ledger.unread_parameters(body, &TOLD)?;
    let mut translated = json!({"model": model, "messages": messages(body, ledger)?});
    copy(body, "max_tokens", &mut translated, names.limit.as_str());
    copy(body, "stop_sequences", &mut translated, "stop");
    copy(body, "temperature", &mut translated, "temperature");
    copy(body, "top_p", &mut translated, "top_p");
    copy(body, "stream", &mut translated, "stream");
    let wants_usage = names.usage == UsageWish::Asked;
    if wants_usage && body.get("stream") == Some(&Value::Bool(true)) {
        // Anthropic's clients count on it, and nobody sends it unasked here.
        translated["stream_options"] = json!({"include_usage": true});
    }
    if let Some(metadata) = body.get("metadata") {
        if let Some(user) = metadata["user_id"].as_str() {
            translated["user"] = json!(user);
        }
        ledger.unread(metadata, &["user_id"], &At::Top.field("metadata"));
    }
    let thinking = body.get("thinking").map(|thinking| &thinking["type"]);
    if thinking.is_some_and(|kind| !kind.is_null() && kind != "disabled") {
        ledger.parameter("thinking")?;
    }
    if body.get("cache_control").is_some_and(|hint| !hint.is_null()) {
        ledger.lose("cache_control", &At::Top.field("cache_control"));
    }
    if let Some(config) = body.get("output_config") {
        output_config(config, &mut translated, ledger)?;
    }
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

/// How hard to think, and the form of the answer, to which Anthropic always holds it.
fn output_config(
    config: &Value,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let at = At::Top.field("output_config");
    if !config.is_object() && !config.is_null() {
        return ledger.parameter("output_config");
    }
    for (name, value) in config.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("effort", Value::String(effort)) => translated["reasoning_effort"] = json!(effort),
            ("format", format) if format["type"] == "json_schema" => {
                // OpenAI insists on a name.
                let form = json!({"name": "answer", "schema": format["schema"], "strict": true});
                translated["response_format"] = json!({"type": "json_schema", "json_schema": form});
                ledger.unread(format, &["type", "schema"], &at.field("format"));
            }
            _ => ledger.parameter_at("output_config", &at.field(name))?,
        }
    }
    Ok(())
}

fn messages(body: &Map<String, Value>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let all = At::Top.field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(|| wrong(&all))?;
    let mut messages = Vec::new();
    if let Some(system) = body.get("system").filter(|system| !system.is_null()) {
        let text = text(system, &At::Top.field("system"), ledger)?;
        messages.push(json!({"role": "system", "content": text}));
    }
    for (index, message) in said.iter().enumerate() {
        let at = all.item(index);
        let (content, inside) = (&message["content"], at.field("content"));
        match word(message, "role", &at)? {
            "user" => user(content, &inside, &mut messages, ledger)?,
            "assistant" => messages.push(assistant(content, &inside, ledger)?),
            other => return Err(part(other, &at)),
        }
        ledger.unread(message, &["role", "content"], &at);
    }
    Ok(messages)
}

/// The text of what is nothing but text.
fn text(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<String, Untranslatable> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Array(blocks) => {
            let mut texts = Vec::with_capacity(blocks.len());
            for (index, block) in blocks.iter().enumerate() {
                let at = at.item(index);
                if block["type"] != "text" {
                    return Err(part(&kind(block), &at));
                }
                texts.push(word(block, "text", &at)?);
                ledger.unread(block, &["type", "text"], &at);
            }
            Ok(texts.join("\n"))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong(at)),
    }
}

/// What a user says: results of tools are messages of their own there, and come first.
fn user(
    content: &Value,
    at: &At<'_>,
    messages: &mut Vec<Value>,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let Value::Array(blocks) = content else {
        messages.push(json!({"role": "user", "content": text(content, at, ledger)?}));
        return Ok(());
    };
    let mut parts = Vec::new();
    for (index, block) in blocks.iter().enumerate() {
        let at = at.item(index);
        match block["type"].as_str() {
            Some("text") => {
                parts.push(json!({"type": "text", "text": word(block, "text", &at)?}));
                ledger.unread(block, &["type", "text"], &at);
            }
            Some("image") => {
                parts.push(image(&block["source"], &at.field("source"), ledger)?);
                ledger.unread(block, &["type", "source"], &at);
            }
            Some("tool_result") => {
                let id = word(block, "tool_use_id", &at)?;
                let result = text(&block["content"], &at.field("content"), ledger)?;
                messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
                ledger.unread(block, &["type", "tool_use_id", "content"], &at);
            }
            _ => return Err(part(&kind(block), &at)),
        }
    }
    if !parts.is_empty() {
        messages.push(json!({"role": "user", "content": parts}));
    }
    Ok(())
}

fn image(source: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    let (url, told): (String, &[&str]) = match source["type"].as_str() {
        Some("base64") => {
            let (media, data) = (word(source, "media_type", at)?, word(source, "data", at)?);
            (format!("data:{media};base64,{data}"), &["type", "media_type", "data"])
        }
        Some("url") => (word(source, "url", at)?.to_owned(), &["type", "url"]),
        _ => return Err(part(&kind(source), at)),
    };
    ledger.unread(source, told, at);
    Ok(json!({"type": "image_url", "image_url": {"url": url}}))
}

/// What the model said. Its thinking is left behind: it is signed for Anthropic alone.
fn assistant(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    let Value::Array(blocks) = content else {
        return Ok(json!({"role": "assistant", "content": text(content, at, ledger)?}));
    };
    let (mut said, mut calls) = (String::new(), Vec::new());
    for (index, block) in blocks.iter().enumerate() {
        let at = at.item(index);
        match block["type"].as_str() {
            Some("text") => {
                said.push_str(word(block, "text", &at)?);
                ledger.unread(block, &["type", "text"], &at);
            }
            Some("thinking" | "redacted_thinking") => ledger.lose("thinking_blocks", &at),
            Some("tool_use") => {
                let arguments = block["input"].to_string();
                let (id, name) = (word(block, "id", &at)?, word(block, "name", &at)?);
                let function = json!({"name": name, "arguments": arguments});
                calls.push(json!({"id": id, "type": "function", "function": function}));
                ledger.unread(block, &["type", "id", "name", "input"], &at);
            }
            _ => return Err(part(&kind(block), &at)),
        }
    }
    let content = if said.is_empty() { Value::Null } else { json!(said) };
    let mut message = json!({"role": "assistant", "content": content});
    if !calls.is_empty() {
        message["tool_calls"] = json!(calls);
    }
    Ok(message)
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let all = At::Top.field("tools");
    let tools = body.get("tools").and_then(Value::as_array);
    let mut functions = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = all.item(index);
        // What the provider runs by itself has no counterpart.
        if !matches!(tool["type"].as_str(), None | Some("custom")) {
            return Err(part(&kind(tool), &at));
        }
        let name = word(tool, "name", &at)?;
        let mut function = json!({"name": name, "parameters": tool["input_schema"]});
        if let Some(description) = tool["description"].as_str() {
            function["description"] = json!(description);
        }
        functions.push(json!({"type": "function", "function": function}));
        ledger.unread(tool, &["type", "name", "description", "input_schema"], &at);
    }
    if functions.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(functions);
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    let at = At::Top.field("tool_choice");
    translated["tool_choice"] = match choice["type"].as_str() {
        Some("auto") => json!("auto"),
        Some("any") => json!("required"),
        Some("none") => json!("none"),
        Some("tool") => {
            json!({"type": "function", "function": {"name": word(choice, "name", &at)?}})
        }
        _ => return Err(wrong(&at)),
    };
    if choice["disable_parallel_tool_use"] == true {
        translated["parallel_tool_calls"] = json!(false);
    }
    ledger.unread(choice, &["type", "name", "disable_parallel_tool_use"], &at);
    Ok(())
}
