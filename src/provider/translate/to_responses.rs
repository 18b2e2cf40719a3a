//! A request of OpenAI's chat completions in the words of OpenAI's responses.
//!
//! Two defaults differ, and are written out: chat completions are kept by nobody and their functions'
//! schemas are not enforced, unless the request says so.

use serde_json::{Map, Value, json};

use super::asked::{self, Choice, Part, part, text, word};
use super::ledger::{At, Ledger};
use super::words::{Untranslatable, copy};

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
    if let Some(options) = body.get("stream_options") {
        // Usage is told unasked.
        if !options["include_obfuscation"].is_null() {
            let wish = options["include_obfuscation"].clone();
            translated["stream_options"] = json!({"include_obfuscation": wish});
        }
        let told = ["include_usage", "include_obfuscation"];
        ledger.unread(options, &told, &At::Top.field("stream_options"));
    }
    copy_text(body, &mut translated, ledger);
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

/// Takes out of a request of Anthropic's messages what chat completions have words for and responses
/// don't, so that it is named as Anthropic names it.
pub(super) fn of_messages(
    body: &mut Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let stops = body.remove("stop_sequences");
    if stops.is_some_and(|stops| !stops.is_null() && stops != json!([])) {
        ledger.parameter("stop_sequences")?;
    }
    Ok(())
}

/// What is asked of the text: its form and how long-winded it is.
fn copy_text(body: &Map<String, Value>, translated: &mut Value, ledger: &mut Ledger) {
    if let Some(format) = body.get("response_format").filter(|format| !format.is_null()) {
        let mut told = json!({"type": format["type"]});
        ledger.unread(format, &["type", "json_schema"], &At::Top.field("response_format"));
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
    let mut items = Vec::new();
    let all = At::Top.field("messages");
    for (index, message) in asked::messages(body)?.iter().enumerate() {
        let at = all.item(index);
        let (content, inside) = (&message["content"], at.field("content"));
        let mut told: &[&str] = &["role", "content"];
        match word(message, "role", &at)? {
            role @ ("system" | "developer") => {
                items.push(json!({"role": role, "content": text(content, &inside, ledger)?}));
            }
            "user" => {
                items.push(json!({"role": "user", "content": parts(content, &inside, ledger)?}))
            }
            "assistant" => {
                spoken(message, &mut items, &at, ledger)?;
                continue;
            }
            "tool" => {
                let id = word(message, "tool_call_id", &at)?;
                let output = text(content, &inside, ledger)?;
                items
                    .push(json!({"type": "function_call_output", "call_id": id, "output": output}));
                told = &["role", "content", "tool_call_id"];
            }
            other => return Err(part(other, &at)),
        }
        ledger.unread(message, told, &at);
    }
    Ok(items)
}

fn parts(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Value, Untranslatable> {
    if !content.is_array() {
        return Ok(json!(text(content, at, ledger)?));
    }
    let parts = asked::parts(content, at, &["detail"], ledger)?;
    let parts = parts.into_iter().map(|part| match part {
        Part::Text(text) => json!({"type": "input_text", "text": text}),
        Part::Image { url, detail } => {
            let detail = detail.as_str().unwrap_or("auto");
            json!({"type": "input_image", "image_url": url, "detail": detail})
        }
    });
    Ok(parts.collect())
}

/// What the model said before: its words, then its calls.
fn spoken(
    message: &Value,
    items: &mut Vec<Value>,
    at: &At<'_>,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let said = asked::spoken(message, at, ledger)?;
    let mut content = Vec::new();
    if !said.text.is_empty() {
        content.push(json!({"type": "output_text", "text": said.text}));
    }
    if !said.refusal.is_empty() {
        content.push(json!({"type": "refusal", "refusal": said.refusal}));
    }
    if !content.is_empty() {
        items.push(json!({"role": "assistant", "content": content}));
    }
    for call in asked::calls(message, at, &[], ledger)? {
        let (id, name, arguments) = (call.id, call.name, call.arguments);
        let call =
            json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments});
        items.push(call);
    }
    Ok(())
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let functions = asked::functions(body, &["strict"], ledger)?.into_iter().map(|function| {
        json!({
            "type": "function",
            "name": function.name,
            "description": function.description,
            "parameters": function.parameters,
            "strict": function.is_strict,
        })
    });
    let functions: Vec<Value> = functions.collect();
    if functions.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!(functions);
    if let Some(choice) = asked::choice(body, ledger)? {
        translated["tool_choice"] = match choice {
            Choice::Auto => json!("auto"),
            Choice::Required => json!("required"),
            Choice::None => json!("none"),
            Choice::Function(name) => json!({"type": "function", "name": name}),
        };
    }
    Ok(())
}
