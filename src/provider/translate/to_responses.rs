//! A request of OpenAI's chat completions in the words of OpenAI's responses.
//!
//! Two defaults differ, and are written out: chat completions are kept by nobody and their functions'
//! schemas are not enforced, unless the request says so.

use serde_json::{Map, Value, json};

use super::ledger::{At, Ledger};
use super::to_messages::{kind, part, text};
use super::words::{Untranslatable, copy, field};

const KNOWN: [&str; 24] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "n",
    "metadata",
    "service_tier",
    "store",
    "prompt_cache_key",
    "safety_identifier",
    "response_format",
    "reasoning_effort",
    "verbosity",
    // Where their values ask for nothing.
    "logprobs",
    "frequency_penalty",
    "presence_penalty",
];

pub(super) fn request(
    body: &Map<String, Value>,
    model: &str,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    ledger.unread_parameters(body, &KNOWN)?;
    let mut translated = json!({"model": model, "input": input(body, ledger)?, "store": false});
    for (name, other) in [
        ("max_tokens", "max_output_tokens"),
        // The newer name wins.
        ("max_completion_tokens", "max_output_tokens"),
        ("stream", "stream"),
        ("temperature", "temperature"),
        ("top_p", "top_p"),
        ("parallel_tool_calls", "parallel_tool_calls"),
        ("user", "user"),
        ("metadata", "metadata"),
        ("service_tier", "service_tier"),
        ("store", "store"),
        ("prompt_cache_key", "prompt_cache_key"),
        ("safety_identifier", "safety_identifier"),
    ] {
        copy(body, name, &mut translated, other);
    }
    if body.get("n").and_then(Value::as_u64).is_some_and(|n| n > 1) {
        ledger.parameter("n")?;
    }
    if body.get("logprobs") == Some(&Value::Bool(true)) {
        ledger.parameter("logprobs")?;
    }
    for name in ["frequency_penalty", "presence_penalty"] {
        if body.get(name).and_then(Value::as_f64).is_some_and(|penalty| penalty != 0.0) {
            ledger.parameter(name)?;
        }
    }
    if let Some(effort) = body.get("reasoning_effort").filter(|effort| !effort.is_null()) {
        translated["reasoning"] = json!({"effort": effort});
    }
    copy_text(body, &mut translated);
    tools(body, &mut translated)?;
    Ok(translated)
}

/// What is asked of the text: its form and how long-winded it is.
fn copy_text(body: &Map<String, Value>, translated: &mut Value) {
    if let Some(format) = body.get("response_format").filter(|format| !format.is_null()) {
        let mut told = json!({"type": format["type"]});
        // What stands inside there stands beside the type here.
        for (name, value) in format["json_schema"].as_object().into_iter().flatten() {
            told[name] = value.clone();
        }
        translated["text"] = json!({"format": told});
    }
    if let Some(verbosity) = body.get("verbosity").filter(|verbosity| !verbosity.is_null()) {
        translated["text"]["verbosity"] = verbosity.clone();
    }
}

fn input(body: &Map<String, Value>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let wrong = || field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut items = Vec::new();
    let all = At::Top.field("messages");
    for (index, message) in said.iter().enumerate() {
        let content = &message["content"];
        let at = all.item(index);
        let inside = at.field("content");
        match message["role"].as_str().ok_or_else(wrong)? {
            role @ ("system" | "developer") => {
                items.push(json!({"role": role, "content": text(content, &inside, ledger)?}));
            }
            "user" => {
                items.push(json!({"role": "user", "content": parts(content, &inside, ledger)?}))
            }
            "assistant" => spoken(message, &mut items, &inside, ledger)?,
            "tool" => {
                let id = message["tool_call_id"].as_str();
                let id = id.ok_or_else(|| field("tool_call_id"))?;
                let output = text(content, &inside, ledger)?;
                items
                    .push(json!({"type": "function_call_output", "call_id": id, "output": output}));
            }
            other => return Err(part(other, &at)),
        }
    }
    Ok(items)
}

fn parts(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    let Value::Array(parts) = content else { return Ok(json!(text(content, at, ledger)?)) };
    let mut told = Vec::with_capacity(parts.len());
    for (index, one) in parts.iter().enumerate() {
        let at = at.item(index);
        match one["type"].as_str() {
            Some("text") => {
                let text = one["text"].as_str().ok_or_else(|| field("text"))?;
                told.push(json!({"type": "input_text", "text": text}));
                ledger.unread(one, &["type", "text"], &at);
            }
            Some("image_url") => {
                let image = &one["image_url"];
                let url = image["url"].as_str().ok_or_else(|| field("image_url"))?;
                let detail = image["detail"].as_str().unwrap_or("auto");
                told.push(json!({"type": "input_image", "image_url": url, "detail": detail}));
                ledger.unread(one, &["type", "image_url"], &at);
            }
            _ => return Err(part(&kind(one), &at)),
        }
    }
    Ok(Value::from(told))
}

/// What the model said before: its words, then its calls.
fn spoken(
    message: &Value,
    items: &mut Vec<Value>,
    inside: &At<'_>,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let said = text(&message["content"], inside, ledger)?;
    let refused = message["refusal"].as_str().unwrap_or_default();
    let mut content = Vec::new();
    if !said.is_empty() {
        content.push(json!({"type": "output_text", "text": said}));
    }
    if !refused.is_empty() {
        content.push(json!({"type": "refusal", "refusal": refused}));
    }
    if !content.is_empty() {
        items.push(json!({"role": "assistant", "content": content}));
    }
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let wrong = || field("tool_calls");
        let function = &call["function"];
        items.push(json!({
            "type": "function_call",
            "call_id": call["id"].as_str().ok_or_else(wrong)?,
            "name": function["name"].as_str().ok_or_else(wrong)?,
            "arguments": function["arguments"].as_str().unwrap_or("{}"),
        }));
    }
    Ok(())
}

fn tools(body: &Map<String, Value>, translated: &mut Value) -> Result<(), Untranslatable> {
    let tools = body.get("tools").and_then(Value::as_array);
    let functions = tools.into_iter().flatten().map(|tool| {
        if tool["type"] != "function" {
            return Err(part(&kind(tool), &At::Top.field("tools")));
        }
        let function = &tool["function"];
        let name = function["name"].as_str().ok_or_else(|| field("tools"))?;
        Ok(json!({
            "type": "function",
            "name": name,
            "description": function["description"],
            "parameters": function["parameters"],
            "strict": function["strict"] == true,
        }))
    });
    let functions = functions.collect::<Result<Vec<_>, _>>()?;
    if functions.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(functions);
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    translated["tool_choice"] = match choice {
        Value::String(_) => choice.clone(),
        _ => {
            let name = choice["function"]["name"].as_str();
            let name = name.ok_or_else(|| field("tool_choice"))?;
            json!({"type": "function", "name": name})
        }
    };
    Ok(())
}
