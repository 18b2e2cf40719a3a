//! A request of OpenAI's chat completions in the words of Google's `generateContent`.
//!
//! Who the client's user is (`user`) has told its arm by now and goes no further: Google asks for no
//! such thing. JSON schemas go as they are (`parametersJsonSchema`, `responseJsonSchema`), since the
//! older fields take a part of them only.

use serde_json::{Map, Value, json};

use super::ledger::{At, Ledger};
use super::to_messages::{kind, part, text};
use super::words::{Untranslatable, copy, field};

const KNOWN: [&str; 19] = [
    "model",
    "messages",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    // Says the address.
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "user",
    "n",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "response_format",
    "reasoning_effort",
];
/// What Google's documentation gives for calls whose signature is not known, as those of another model
/// are: models from Gemini 3 on refuse one without.
const UNSIGNED: &str = "skip_thought_signature_validator";

pub(super) fn request(
    body: &Map<String, Value>,
    model: &str,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    ledger.unread_parameters(body, &KNOWN)?;
    let is_third = model.contains("gemini-3");
    let (system, contents) = messages(body, is_third, ledger)?;
    let mut translated = json!({"contents": contents});
    if !system.is_empty() {
        translated["systemInstruction"] = json!({"parts": [{"text": system.join("\n\n")}]});
    }
    let config = config(body, is_third, ledger)?;
    if config.as_object().is_some_and(|config| !config.is_empty()) {
        translated["generationConfig"] = config;
    }
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

/// Takes out of a request of Anthropic's messages what Google has words for and chat completions
/// don't; [`add`] puts it where it belongs.
pub(super) fn of_messages(body: &mut Map<String, Value>) -> Map<String, Value> {
    let mut own = Map::new();
    if let Some(top) = body.remove("top_k").filter(|top| !top.is_null()) {
        own.insert("topK".to_owned(), top);
    }
    let thinking = body.get("thinking");
    if let Some(thinking) = thinking.filter(|thinking| thinking["type"] == "enabled") {
        let budget = &thinking["budget_tokens"];
        let config = json!({"thinkingBudget": budget, "includeThoughts": true});
        own.insert("thinkingConfig".to_owned(), config);
        body.remove("thinking");
    }
    own
}

/// Adds to the generation's configuration.
pub(super) fn add(translated: &mut Value, own: Map<String, Value>) {
    for (name, value) in own {
        translated["generationConfig"][name] = value;
    }
}

fn config(
    body: &Map<String, Value>,
    is_third: bool,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    let mut config = json!({});
    for (name, other) in [
        ("max_tokens", "maxOutputTokens"),
        // The newer name wins.
        ("max_completion_tokens", "maxOutputTokens"),
        ("temperature", "temperature"),
        ("top_p", "topP"),
        ("seed", "seed"),
        ("frequency_penalty", "frequencyPenalty"),
        ("presence_penalty", "presencePenalty"),
    ] {
        copy(body, name, &mut config, other);
    }
    match body.get("stop") {
        None | Some(Value::Null) => {}
        Some(Value::String(stop)) => config["stopSequences"] = json!([stop]),
        Some(stops @ Value::Array(_)) => config["stopSequences"] = stops.clone(),
        Some(_) => return Err(field("stop")),
    }
    if let Some(count) = body.get("n").and_then(Value::as_u64).filter(|count| *count > 1) {
        config["candidateCount"] = json!(count);
    }
    if let Some(format) = body.get("response_format").filter(|format| !format.is_null()) {
        match format["type"].as_str() {
            Some("text") => {}
            Some("json_object") => config["responseMimeType"] = json!("application/json"),
            Some("json_schema") => {
                config["responseMimeType"] = json!("application/json");
                let schema = &format["json_schema"]["schema"];
                if !schema.is_null() {
                    config["responseJsonSchema"] = schema.clone();
                }
            }
            _ => ledger.parameter("response_format")?,
        }
    }
    if let Some(effort) = body.get("reasoning_effort").filter(|effort| !effort.is_null()) {
        match thinking(effort.as_str().unwrap_or_default(), is_third) {
            Some(thinking) => config["thinkingConfig"] = thinking,
            None => ledger.parameter("reasoning_effort")?,
        }
    }
    Ok(config)
}

/// The budgets and levels that Google's own interface of chat completions takes for an effort.
fn thinking(effort: &str, is_third: bool) -> Option<Value> {
    let budget = match effort {
        "none" => 0,
        "minimal" | "low" => 1_024,
        "medium" => 8_192,
        "high" => 24_576,
        _ => return None,
    };
    match (is_third, effort) {
        // It cannot be told not to think.
        (true, "none") => None,
        (true, level) => Some(json!({"thinkingLevel": level})),
        (false, _) => Some(json!({"thinkingBudget": budget})),
    }
}

/// What stands at the top on the other side, and the turns.
fn messages(
    body: &Map<String, Value>,
    is_third: bool,
    ledger: &mut Ledger,
) -> Result<(Vec<String>, Vec<Value>), Untranslatable> {
    let wrong = || field("messages");
    let said = body.get("messages").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    let all = At::Top.field("messages");
    for (index, message) in said.iter().enumerate() {
        let at = all.item(index);
        let inside = at.field("content");
        let (role, parts) = match message["role"].as_str().ok_or_else(wrong)? {
            "system" | "developer" => {
                system.push(text(&message["content"], &inside, ledger)?);
                continue;
            }
            "user" => ("user", parts(&message["content"], &inside, ledger)?),
            "assistant" => ("model", spoken(message, is_third, &inside, ledger)?),
            "tool" => ("user", vec![result(message, &said[..index], &inside, ledger)?]),
            other => return Err(part(other, &at)),
        };
        match turns.last_mut() {
            // Results of calls that were made together belong into one turn.
            Some((last, before)) if *last == role => before.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    let turns = turns.into_iter().filter(|(_, parts)| !parts.is_empty());
    let turns = turns.map(|(role, parts)| json!({"role": role, "parts": parts}));
    Ok((system, turns.collect()))
}

fn parts(content: &Value, at: &At<'_>, ledger: &mut Ledger) -> Result<Vec<Value>, Untranslatable> {
    let Value::Array(parts) = content else {
        let text = text(content, at, ledger)?;
        return Ok(if text.is_empty() { Vec::new() } else { vec![json!({"text": text})] });
    };
    let mut told = Vec::with_capacity(parts.len());
    for (index, one) in parts.iter().enumerate() {
        let at = at.item(index);
        match one["type"].as_str() {
            Some("text") => {
                let text = one["text"].as_str().ok_or_else(|| field("text"))?;
                told.push(json!({"text": text}));
                ledger.unread(one, &["type", "text"], &at);
            }
            Some("image_url") => {
                let url = one["image_url"]["url"].as_str();
                told.push(image(url.ok_or_else(|| field("image_url"))?));
                ledger.unread(one, &["type", "image_url"], &at);
                ledger.unread(&one["image_url"], &["url"], &at.field("image_url"));
            }
            _ => return Err(part(&kind(one), &at)),
        }
    }
    Ok(told)
}

/// A picture: inside a `data:` address, or by its address, which Google fetches.
fn image(url: &str) -> Value {
    let data = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
    match data {
        Some((media, data)) => json!({"inlineData": {"mimeType": media, "data": data}}),
        None => json!({"fileData": {"fileUri": url}}),
    }
}

/// What the model said before.
fn spoken(
    message: &Value,
    is_third: bool,
    inside: &At<'_>,
    ledger: &mut Ledger,
) -> Result<Vec<Value>, Untranslatable> {
    let said = text(&message["content"], inside, ledger)?;
    let refused = message["refusal"].as_str().unwrap_or_default();
    let texts = [said.as_str(), refused].into_iter().filter(|text| !text.is_empty());
    let mut parts: Vec<Value> = texts.map(|text| json!({"text": text})).collect();
    let calls = message["tool_calls"].as_array();
    for (at, call) in calls.into_iter().flatten().enumerate() {
        let wrong = || field("tool_calls");
        let function = &call["function"];
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        let args = arguments.map_or_else(|| Ok(json!({})), serde_json::from_str::<Value>);
        let mut part = json!({"functionCall": {
            "id": call["id"].as_str().ok_or_else(wrong)?,
            "name": function["name"].as_str().ok_or_else(wrong)?,
            "args": args.map_err(|_| wrong())?,
        }});
        // Where Google's own chat completions keep it; of calls made together the first one has it.
        let signature = call["extra_content"]["google"]["thought_signature"].as_str();
        let signature = signature.or((is_third && at == 0).then_some(UNSIGNED));
        if let Some(signature) = signature {
            part["thoughtSignature"] = json!(signature);
        }
        parts.push(part);
    }
    Ok(parts)
}

/// What a tool answered. It is told by the function's name, which stands where it was called.
fn result(
    message: &Value,
    before: &[Value],
    inside: &At<'_>,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    let id = &message["tool_call_id"];
    let calls = before.iter().rev().filter_map(|message| message["tool_calls"].as_array());
    let call = calls.flatten().find(|call| id.is_string() && call["id"] == *id);
    let name = call.and_then(|call| call["function"]["name"].as_str());
    let name = name.ok_or_else(|| field("tool_call_id"))?;
    let output = text(&message["content"], inside, ledger)?;
    let response = json!({"output": output});
    Ok(json!({"functionResponse": {"id": id, "name": name, "response": response}}))
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let tools = body.get("tools").and_then(Value::as_array);
    let declarations = tools.into_iter().flatten().map(|tool| {
        if tool["type"] != "function" {
            return Err(part(&kind(tool), &At::Top.field("tools")));
        }
        let function = &tool["function"];
        let name = function["name"].as_str().ok_or_else(|| field("tools"))?;
        let mut declaration = json!({"name": name});
        for (field, other) in
            [("description", "description"), ("parameters", "parametersJsonSchema")]
        {
            if !function[field].is_null() {
                declaration[other] = function[field].clone();
            }
        }
        Ok(declaration)
    });
    let declarations = declarations.collect::<Result<Vec<_>, _>>()?;
    if declarations.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!([{"functionDeclarations": declarations}]);
    if body.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        ledger.parameter("parallel_tool_calls")?;
    }
    let Some(choice) = body.get("tool_choice").filter(|choice| !choice.is_null()) else {
        return Ok(());
    };
    let config = match choice.as_str() {
        Some("auto") => json!({"mode": "AUTO"}),
        Some("required") => json!({"mode": "ANY"}),
        Some("none") => json!({"mode": "NONE"}),
        _ => {
            let name = choice["function"]["name"].as_str();
            let name = name.ok_or_else(|| field("tool_choice"))?;
            json!({"mode": "ANY", "allowedFunctionNames": [name]})
        }
    };
    translated["toolConfig"] = json!({"functionCallingConfig": config});
    Ok(())
}
