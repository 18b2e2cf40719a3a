//! A request of OpenAI's chat completions in the words of Anthropic's messages.

use serde_json::{Map, Value, json};

use super::words::{LeftOut, Untranslatable, copy, others_refused};

/// Anthropic asks for a limit always; a client that names none gets a long answer's worth.
const TOKENS_MAX: u64 = 4096;

const KNOWN: [&str; 15] = [
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
    left_out: &mut LeftOut,
) -> Result<Value, Untranslatable> {
    others_refused(body, &KNOWN, left_out)?;
    let limit = ["max_completion_tokens", "max_tokens"].into_iter().find_map(|name| body.get(name));
    let limit = limit.filter(|limit| !limit.is_null()).cloned();
    let (system, messages) = messages(body)?;
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
        Some(_) => return Err(Untranslatable::Field("stop")),
    }
    if let Some(temperature) = body.get("temperature").and_then(Value::as_f64) {
        // The scales differ: OpenAI's ends at 2, Anthropic's at 1.
        if temperature > 1.0 {
            left_out.parameter("temperature")?;
        }
        translated["temperature"] = json!(temperature.min(1.0));
    }
    if let Some(user) = body.get("user").and_then(Value::as_str) {
        translated["metadata"] = json!({"user_id": user});
    }
    if body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        left_out.parameter("n")?;
    }
    let format = body.get("response_format").map(|format| &format["type"]);
    if format.is_some_and(|format| !format.is_null() && format != "text") {
        left_out.parameter("response_format")?;
    }
    tools(body, &mut translated)?;
    Ok(translated)
}

/// What stands at the top on the other side, and the turns.
fn messages(body: &Map<String, Value>) -> Result<(Vec<String>, Vec<Value>), Untranslatable> {
    let wrong = || Untranslatable::Field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in said {
        let (role, blocks) = match message["role"].as_str().ok_or_else(wrong)? {
            "system" | "developer" => {
                system.push(text(&message["content"])?);
                continue;
            }
            "user" => ("user", parts(&message["content"])?),
            "assistant" => ("assistant", spoken(message)?),
            "tool" => {
                let id = message["tool_call_id"].as_str();
                let id = id.ok_or(Untranslatable::Field("tool_call_id"))?;
                let content = text(&message["content"])?;
                let result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
                ("user", vec![result])
            }
            other => return Err(Untranslatable::Part(other.chars().take(64).collect())),
        };
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
fn text(content: &Value) -> Result<String, Untranslatable> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Null => Ok(String::new()),
        Value::Array(parts) => {
            let texts = parts
                .iter()
                .map(|part| part["text"].as_str().ok_or_else(|| Untranslatable::Part(kind(part))));
            Ok(texts.collect::<Result<Vec<_>, _>>()?.concat())
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(Untranslatable::Field("content"))
        }
    }
}

/// The blocks of what a user says.
fn parts(content: &Value) -> Result<Vec<Value>, Untranslatable> {
    let Value::Array(parts) = content else {
        let text = text(content)?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![block(&text)] });
    };
    parts
        .iter()
        .map(|part| match part["type"].as_str() {
            Some("text") => {
                let text = part["text"].as_str();
                text.map(block).ok_or(Untranslatable::Field("text"))
            }
            Some("image_url") => {
                let url = part["image_url"]["url"].as_str();
                Ok(image(url.ok_or(Untranslatable::Field("image_url"))?))
            }
            _ => Err(Untranslatable::Part(kind(part))),
        })
        .collect()
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
fn spoken(message: &Value) -> Result<Vec<Value>, Untranslatable> {
    let said = text(&message["content"])?;
    let refused = message["refusal"].as_str().unwrap_or_default();
    let texts = [said.as_str(), refused].into_iter().filter(|text| !text.is_empty());
    let mut blocks: Vec<Value> = texts.map(block).collect();
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let wrong = || Untranslatable::Field("tool_calls");
        let function = &call["function"];
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        let input = arguments.map_or_else(|| Ok(json!({})), serde_json::from_str::<Value>);
        blocks.push(json!({
            "type": "tool_use",
            "id": call["id"].as_str().ok_or_else(wrong)?,
            "name": function["name"].as_str().ok_or_else(wrong)?,
            "input": input.map_err(|_| wrong())?,
        }));
    }
    Ok(blocks)
}

fn tools(body: &Map<String, Value>, translated: &mut Value) -> Result<(), Untranslatable> {
    let wrong = || Untranslatable::Field("tools");
    let tools = body.get("tools").and_then(Value::as_array);
    let translated_tools = tools.into_iter().flatten().map(|tool| {
        if tool["type"] != "function" {
            return Err(Untranslatable::Part(kind(tool)));
        }
        let function = &tool["function"];
        let schema = match &function["parameters"] {
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        };
        let name = function["name"].as_str().ok_or_else(wrong)?;
        let mut tool = json!({"name": name, "input_schema": schema});
        if let Some(description) = function["description"].as_str() {
            tool["description"] = json!(description);
        }
        Ok(tool)
    });
    let translated_tools = translated_tools.collect::<Result<Vec<_>, _>>()?;
    let has_tools = !translated_tools.is_empty();
    if has_tools {
        translated["tools"] = json!(translated_tools);
    }
    let mut choice = match body.get("tool_choice") {
        None | Some(Value::Null) => None,
        Some(Value::String(word)) => Some(match word.as_str() {
            "auto" => json!({"type": "auto"}),
            "required" => json!({"type": "any"}),
            "none" => json!({"type": "none"}),
            _ => return Err(Untranslatable::Field("tool_choice")),
        }),
        Some(choice) => {
            let name = choice["function"]["name"].as_str();
            let name = name.ok_or(Untranslatable::Field("tool_choice"))?;
            Some(json!({"type": "tool", "name": name}))
        }
    };
    if has_tools && body.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        let choice = choice.get_or_insert_with(|| json!({"type": "auto"}));
        if choice["type"] != "none" {
            choice["disable_parallel_tool_use"] = json!(true);
        }
    }
    if let Some(choice) = choice.filter(|_| has_tools) {
        translated["tool_choice"] = choice;
    }
    Ok(())
}

/// What a part calls itself, short enough for a message.
pub(super) fn kind(part: &Value) -> String {
    part["type"].as_str().unwrap_or("none").chars().take(64).collect()
}
