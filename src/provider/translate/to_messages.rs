//! A request of OpenAI's chat completions in the words of Anthropic's messages.

use serde_json::{Map, Value, json};

use super::asked::{self, Choice, Part, inline, part, text, word};
use super::ledger::{At, Ledger};
use super::words::{Untranslatable, copy};

/// Anthropic asks for a limit always; a client that names none gets a long answer's worth.
const TOKENS_MAX: u64 = 4096;

const TOLD: [&str; 18] = [
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
    "reasoning_effort",
    "safety_identifier",
    "store",
];

/// The efforts that both know by the same word.
const EFFORTS: [&str; 5] = ["low", "medium", "high", "xhigh", "max"];

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
    if let Some(stops) = asked::stops(body)? {
        translated["stop_sequences"] = stops;
    }
    if let Some(temperature) = body.get("temperature").and_then(Value::as_f64) {
        // The scales differ: OpenAI's ends at 2, Anthropic's at 1.
        if temperature > 1.0 {
            ledger.parameter("temperature")?;
        }
        translated["temperature"] = json!(temperature.min(1.0));
    }
    let user = |name: &str| body.get(name).and_then(Value::as_str);
    if let Some(user) = user("user").or_else(|| user("safety_identifier")) {
        translated["metadata"] = json!({"user_id": user});
    }
    let other = body.get("safety_identifier").filter(|id| !id.is_null());
    if other.is_some_and(|id| user("user").is_some() || !id.is_string()) {
        ledger.parameter("safety_identifier")?;
    }
    asked::store(body, ledger)?;
    if body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        ledger.parameter("n")?;
    }
    output_config(body, &mut translated, ledger)?;
    if let Some(options) = body.get("stream_options") {
        // Usage is told by Anthropic unasked, and by whoever tells its stream to the client if asked.
        ledger.unread(options, &["include_usage"], &At::Top.field("stream_options"));
    }
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

/// How hard to think, and the form of the answer.
fn output_config(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let asked = |name: &str| body.get(name).filter(|value| !value.is_null());
    if let Some(effort) = asked("reasoning_effort") {
        if effort.as_str().is_some_and(|effort| EFFORTS.contains(&effort)) {
            translated["output_config"]["effort"] = effort.clone();
        } else {
            ledger.parameter("reasoning_effort")?;
        }
    }
    let Some(format) = asked("response_format") else { return Ok(()) };
    let at = At::Top.field("response_format");
    let form = &format["json_schema"];
    match format["type"].as_str() {
        Some("text") => {}
        Some("json_schema") if form["schema"].is_object() => {
            let schema = json!({"type": "json_schema", "schema": form["schema"]});
            translated["output_config"]["format"] = schema;
            ledger.unread(form, &["name", "schema", "strict"], &at.field("json_schema"));
        }
        _ => return ledger.parameter("response_format"),
    }
    ledger.unread(format, &["type", "json_schema"], &at);
    Ok(())
}

/// What stands at the top on the other side, and the turns.
fn messages(
    body: &Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<(Vec<String>, Vec<Value>), Untranslatable> {
    let all = At::Top.field("messages");
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for (index, message) in asked::messages(body)?.iter().enumerate() {
        let at = all.item(index);
        let (content, inside) = (&message["content"], at.field("content"));
        let (role, blocks) = match word(message, "role", &at)? {
            "system" | "developer" => {
                system.push(text(content, &inside, ledger)?);
                ledger.unread(message, &["role", "content"], &at);
                if !turns.is_empty() {
                    ledger.lose("system", &at);
                }
                continue;
            }
            "user" => {
                let said = blocks(content, &inside, ledger)?;
                ledger.unread(message, &["role", "content"], &at);
                ("user", said)
            }
            "assistant" => ("assistant", spoken(message, &at, ledger)?),
            "tool" => {
                let id = word(message, "tool_call_id", &at)?;
                let content = text(content, &inside, ledger)?;
                ledger.unread(message, &["role", "content", "tool_call_id"], &at);
                let result = json!({"type": "tool_result", "tool_use_id": id, "content": content});
                ("user", vec![result])
            }
            other => return Err(part(other, &at)),
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

/// The blocks of what a user says.
fn blocks(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let parts = asked::parts(content, at, &[], ledger)?;
    let blocks = parts.into_iter().map(|part| match part {
        Part::Text(text) => block(text),
        Part::Image { url, .. } => image(url),
    });
    Ok(blocks.collect())
}

fn block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// A picture: by its address, or inside a `data:` address.
fn image(url: &str) -> Value {
    let source = match inline(url) {
        Some((media, data)) => json!({"type": "base64", "media_type": media, "data": data}),
        None => json!({"type": "url", "url": url}),
    };
    json!({"type": "image", "source": source})
}

/// The blocks of what the model said.
fn spoken(message: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let said = asked::spoken(message, at, ledger)?;
    let mut blocks: Vec<Value> = said.texts().map(block).collect();
    let calls = at.field("tool_calls");
    for (index, call) in asked::calls(message, at, &[], ledger)?.into_iter().enumerate() {
        let (id, name, input) = (call.id, call.name, call.input(&calls.item(index))?);
        blocks.push(json!({"type": "tool_use", "id": id, "name": name, "input": input}));
    }
    Ok(blocks)
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let tools = asked::functions(body, &[], ledger)?.into_iter().map(|function| {
        let schema = match function.parameters {
            Value::Null => json!({"type": "object", "properties": {}}),
            schema => schema.clone(),
        };
        let mut tool = json!({"name": function.name, "input_schema": schema});
        if let Some(description) = function.description {
            tool["description"] = json!(description);
        }
        tool
    });
    let tools: Vec<Value> = tools.collect();
    if tools.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(tools);
    let mut choice = asked::choice(body, ledger)?.map(|choice| match choice {
        Choice::Auto => json!({"type": "auto"}),
        Choice::Required => json!({"type": "any"}),
        Choice::None => json!({"type": "none"}),
        Choice::Function(name) => json!({"type": "tool", "name": name}),
    });
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
