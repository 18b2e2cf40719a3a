//! A request of OpenAI's chat completions in the words of Anthropic's messages.

use serde_json::{Map, Value, json};

use super::ledger::{At, Ledger};
use super::words::{Untranslatable, copy};

/// Anthropic asks for a limit always; a client that names none gets a long answer's worth.
const TOKENS_MAX: u64 = 4096;

const TOLD: [&str; 15] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "n",
    "response_format",
];

pub(super) fn request(
    body: &Map<String, Value>,
    model: &str,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    ledger.unread_parameters(body, &TOLD)?;
    let limit = ["max_completion_tokens", "max_tokens"].into_iter().find_map(|name| body.get(name));
    let limit = limit.filter(|limit| !limit.is_null()).cloned();
    if limit.is_none() {
        ledger.lose("max_tokens", &At::Top.field("max_tokens"));
    }
    let (system, messages) = messages(body, ledger)?;
    let mut translated = json!({
        "model": model,
        "max_tokens": limit.unwrap_or_else(|| json!(TOKENS_MAX)),
        "messages": messages,
    });
    if !system.is_empty() {
        translated["system"] = json!(system.join("\n\n"));
    }
    copy(body, "stream", &mut translated, "stream");
    copy(body, "top_p", &mut translated, "top_p");
    match body.get("stop") {
        None | Some(Value::Null) => {}
        Some(Value::String(stop)) => translated["stop_sequences"] = json!([stop]),
        Some(stops @ Value::Array(_)) => translated["stop_sequences"] = stops.clone(),
        Some(_) => return Err(wrong(&At::Top.field("stop"))),
    }
    if let Some(temperature) = body.get("temperature").and_then(Value::as_f64) {
        // The scales differ: OpenAI's ends at 2, Anthropic's at 1.
        if temperature > 1.0 {
            ledger.parameter("temperature")?;
        }
        translated["temperature"] = json!(temperature.min(1.0));
    }
    if let Some(user) = body.get("user").and_then(Value::as_str) {
        translated["metadata"] = json!({"user_id": user});
    }
    if body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        ledger.parameter("n")?;
    }
    let format = body.get("response_format").map(|format| &format["type"]);
    if format.is_some_and(|format| !format.is_null() && format != "text") {
        ledger.parameter("response_format")?;
    }
    if let Some(options) = body.get("stream_options") {
        // Usage is told by Anthropic unasked, and by whoever tells its stream to the client if asked.
        ledger.unread(options, &["include_usage"], &At::Top.field("stream_options"));
    }
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

fn wrong(at: &At<'_>) -> Untranslatable {
    Untranslatable::Field(at.to_string())
}

fn word<'a>(object: &'a Value, name: &str, at: &At<'_>) -> Result<&'a str, Untranslatable> {
    object[name].as_str().ok_or_else(|| wrong(&at.field(name)))
}

/// A part without a counterpart.
pub(super) fn part(kind: &str, at: &At<'_>) -> Untranslatable {
    let kind = kind.chars().take(64).collect();
    Untranslatable::Part { kind, at: at.to_string() }
}

/// What a part calls itself.
pub(super) fn kind(part: &Value) -> String {
    part["type"].as_str().unwrap_or("none").to_owned()
}

/// What stands at the top on the other side, and the turns.
fn messages(
    body: &Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<(Vec<String>, Vec<Value>), Untranslatable> {
    let all = At::Top.field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(|| wrong(&all))?;
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (index, message) in said.iter().enumerate() {
        let at = all.item(index);
        let (content, inside) = (&message["content"], at.field("content"));
        let mut told: &[&str] = &["role", "content"];
        let (role, blocks) = match word(message, "role", &at)? {
            "system" | "developer" => {
                system.push(text(content, &inside, ledger)?);
                ledger.unread(message, told, &at);
                if !turns.is_empty() {
                    ledger.lose("system", &at);
                }
                continue;
            }
            "user" => ("user", parts(content, &inside, ledger)?),
            "assistant" => {
                told = &["role", "content", "refusal", "tool_calls"];
                ("assistant", spoken(message, &at, ledger)?)
            }
            "tool" => {
                told = &["role", "content", "tool_call_id"];
                let id = word(message, "tool_call_id", &at)?;
                let content = text(content, &inside, ledger)?;
                let result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
                ("user", vec![result])
            }
            other => return Err(part(other, &at)),
        };
        ledger.unread(message, told, &at);
        match turns.last_mut() {
            // Results of several tools belong into one turn.
            Some((last, before)) if *last == role => before.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    let turns = turns.into_iter().filter(|(_, blocks)| !blocks.is_empty());
    let turns = turns.map(|(role, blocks)| json!({"role": role, "content": blocks}));
    Ok((system, turns.collect()))
}

/// The text of a message that is nothing but text.
pub(super) fn text(
    content: &Value,
    at: &At<'_>,
    ledger: &mut Ledger,
) -> Result<String, Untranslatable> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Array(parts) => {
            let mut told = String::new();
            for (index, one) in parts.iter().enumerate() {
                let at = at.item(index);
                // A refusal is text that has a name.
                let name = if one["type"] == "refusal" { "refusal" } else { "text" };
                told.push_str(one[name].as_str().ok_or_else(|| part(&kind(one), &at))?);
                ledger.unread(one, &["type", name], &at);
            }
            Ok(told)
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err(wrong(at)),
    }
}

/// The blocks of what a user says.
fn parts(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let Value::Array(parts) = content else {
        let text = text(content, at, ledger)?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![block(&text)] });
    };
    let mut blocks = Vec::with_capacity(parts.len());
    for (index, one) in parts.iter().enumerate() {
        let at = at.item(index);
        match one["type"].as_str() {
            Some("text") => {
                blocks.push(block(word(one, "text", &at)?));
                ledger.unread(one, &["type", "text"], &at);
            }
            Some("image_url") => {
                let inside = at.field("image_url");
                blocks.push(image(word(&one["image_url"], "url", &inside)?));
                ledger.unread(one, &["type", "image_url"], &at);
                ledger.unread(&one["image_url"], &["url"], &inside);
            }
            _ => return Err(part(&kind(one), &at)),
        }
    }
    Ok(blocks)
}

fn block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A picture: by its address, or inside a `data:` address.
fn image(url: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    let source = match data {
        Some((media, data)) => json!({"type": "base64", "media_type": media, "data": data}),
        None => json!({"type": "url", "url": url}),
    };
    json!({"type": "image", "source": source})
}

/// The blocks of what the model said.
fn spoken(message: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    for old in ["function_call", "audio"] {
        if !message[old].is_null() {
            return Err(part(old, &at.field(old)));
        }
    }
    let said = text(&message["content"], &at.field("content"), ledger)?;
    let refused = message["refusal"].as_str().unwrap_or_default();
    let texts = [said.as_str(), refused].into_iter().filter(|text| !text.is_empty());
    let mut blocks: Vec<Value> = texts.map(block).collect();
    let calls = at.field("tool_calls");
    for (index, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let at = calls.item(index);
        let function = &call["function"];
        if function.is_null() {
            return Err(part(&kind(call), &at));
        }
        let inside = at.field("function");
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        let input = arguments.map_or_else(|| Ok(json!({})), serde_json::from_str::<Value>);
        blocks.push(json!({
            "type": "tool_use",
            "id": word(call, "id", &at)?,
            "name": word(function, "name", &inside)?,
            "input": input.map_err(|_| wrong(&inside.field("arguments")))?,
        }));
        // Streams number their calls, and clients send that back.
        ledger.unread(call, &["id", "type", "function", "index"], &at);
        ledger.unread(function, &["name", "arguments"], &inside);
    }
    Ok(blocks)
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let all = At::Top.field("tools");
    let tools = body.get("tools").and_then(Value::as_array);
    let mut told = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = all.item(index);
        if tool["type"] != "function" {
            return Err(part(&kind(tool), &at));
        }
        let (function, inside) = (&tool["function"], at.field("function"));
        let schema = match &function["parameters"] {
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        };
        let mut one = json!({"name": word(function, "name", &inside)?, "input_schema": schema});
        if let Some(description) = function["description"].as_str() {
            one["description"] = json!(description);
        }
        told.push(one);
        ledger.unread(tool, &["type", "function"], &at);
        ledger.unread(function, &["name", "description", "parameters"], &inside);
    }
    if told.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(told);
    let mut choice = choice(body)?;
    if body.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = json!(true);
        }
    }
    if let Some(choice) = choice {
        translated["tool_choice"] = choice;
    }
    Ok(())
}

/// Which tool shall be called.
fn choice(body: &Map<String, Value>) -> Result<Option<Value>, Untranslatable> {
    let at = At::Top.field("tool_choice");
    Ok(match body.get("tool_choice") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(match word.as_str() {
            "auto" => json!({"type": "auto"}),
            "required" => json!({"type": "any"}),
            "none" => json!({"type": "none"}),
            _ => return Err(wrong(&at)),
        }),
        Some(choice) => {
            let name = word(&choice["function"], "name", &at.field("function"))?;
            Some(json!({"type": "tool", "name": name}))
        }
    })
}
