//! A request of OpenAI's chat completions in the words of Google's `generateContent`.
//!
//! The model, and whether a stream is wanted, go into the address and not into the body. JSON schemas go
//! as they are (`parametersJsonSchema`, `responseJsonSchema`), since the older fields take a part of them
//! only; Google holds every answer to its schema, be it asked `strict` or not.

use serde_json::{Map, Value, json};

use super::asked::{self, Choice, Part, inline, part, text, word};
use super::ledger::{At, Ledger};
use super::words::{Untranslatable, copy, wrong};

const KNOWN: [&str; 20] = [
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
    "store",
];
/// Anthropic's wish for one call at a time.
const ALONE: &str = "disable_parallel_tool_use";
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
    if let Some(options) = body.get("stream_options") {
        // Google tells the usage unasked.
        ledger.unread(options, &["include_usage"], &At::Top.field("stream_options"));
    }
    if body.get("user").is_some_and(Value::is_string) {
        ledger.lose("user", &At::Top.field("user"));
    }
    asked::store(body, ledger)?;
    let config = config(body, is_third, ledger)?;
    if config.as_object().is_some_and(|config| !config.is_empty()) {
        translated["generationConfig"] = config;
    }
    tools(body, &mut translated, ledger)?;
    Ok(translated)
}

/// Takes out of a request of Anthropic's messages what Google has words for and chat completions
/// don't; [`add`] puts it where it belongs. What neither has words for is named as Anthropic names it.
pub(super) fn of_messages(
    body: &mut Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<Map<String, Value>, Untranslatable> {
    let mut own = Map::new();
    if let Some(top) = body.remove("top_k").filter(|top| !top.is_null()) {
        own.insert("topK".to_owned(), top);
    }
    let thinking = body.get("thinking");
    if let Some(thinking) = thinking.filter(|thinking| thinking["type"] == "enabled") {
        let budget = &thinking["budget_tokens"];
        let config = json!({"thinkingBudget": budget, "includeThoughts": true});
        ledger.unread(thinking, &["type", "budget_tokens"], &At::Top.field("thinking"));
        own.insert("thinkingConfig".to_owned(), config);
        body.remove("thinking");
    }
    if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut)
        && metadata.remove("user_id").is_some_and(|user| user.is_string())
    {
        ledger.lose("user_id", &At::Top.field("metadata").field("user_id"));
    }
    if let Some(config) = body.get_mut("output_config").and_then(Value::as_object_mut)
        && let Some(effort) = config.get("effort").and_then(Value::as_str)
        && (own.contains_key("thinkingConfig") || matches!(effort, "xhigh" | "max"))
    {
        config.remove("effort");
        let at = At::Top.field("output_config");
        ledger.parameter_at("output_config", &at.field("effort"))?;
    }
    let has_tools = body.get("tools").and_then(Value::as_array).is_some_and(|all| !all.is_empty());
    if let Some(choice) = body.get_mut("tool_choice").and_then(Value::as_object_mut)
        && choice.remove(ALONE) == Some(Value::Bool(true))
        && has_tools
    {
        ledger.parameter_at(ALONE, &At::Top.field("tool_choice").field(ALONE))?;
    }
    Ok(own)
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
    if let Some(stops) = asked::stops(body)? {
        config["stopSequences"] = stops;
    }
    if let Some(count) = body.get("n").and_then(Value::as_u64).filter(|count| *count > 1) {
        config["candidateCount"] = json!(count);
    }
    if let Some(format) = body.get("response_format").filter(|format| !format.is_null()) {
        let at = At::Top.field("response_format");
        ledger.unread(format, &["type", "json_schema"], &at);
        match format["type"].as_str() {
            Some("text") => {}
            Some("json_object") => config["responseMimeType"] = json!("application/json"),
            Some("json_schema") => {
                config["responseMimeType"] = json!("application/json");
                let form = &format["json_schema"];
                if !form["schema"].is_null() {
                    config["responseJsonSchema"] = form["schema"].clone();
                }
                ledger.unread(form, &["name", "schema", "strict"], &at.field("json_schema"));
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
    let mut system = Vec::new();
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    let all = At::Top.field("messages");
    let said = asked::messages(body)?;
    for (index, message) in said.iter().enumerate() {
        let at = all.item(index);
        let (content, inside) = (&message["content"], at.field("content"));
        let (role, parts) = match word(message, "role", &at)? {
            "system" | "developer" => {
                system.push(text(content, &inside, ledger)?);
                ledger.unread(message, &["role", "content"], &at);
                if !turns.is_empty() {
                    ledger.lose("system", &at);
                }
                continue;
            }
            "user" => {
                let parts = parts(content, &inside, ledger)?;
                ledger.unread(message, &["role", "content"], &at);
                ("user", parts)
            }
            "assistant" => ("model", spoken(message, is_third, &at, ledger)?),
            "tool" => ("user", vec![result(message, &said[..index], &at, ledger)?]),
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
    let parts = asked::parts(content, at, &[], ledger)?;
    let parts = parts.into_iter().map(|part| match part {
        Part::Text(text) => json!({"text": text}),
        Part::Image { url, .. } => image(url),
    });
    Ok(parts.collect())
}

/// A picture: inside a `data:` address, or by its address, which Google fetches.
fn image(url: &str) -> Value {
    match inline(url) {
        Some((media, data)) => json!({"inlineData": {"mimeType": media, "data": data}}),
        None => json!({"fileData": {"fileUri": url}}),
    }
}

/// What the model said before.
fn spoken(
    message: &Value,
    is_third: bool,
    at: &At<'_>,
    ledger: &mut Ledger,
) -> Result<Vec<Value>, Untranslatable> {
    let said = asked::spoken(message, at, ledger)?;
    let mut parts: Vec<Value> = said.texts().map(|text| json!({"text": text})).collect();
    let all = at.field("tool_calls");
    let calls = asked::calls(message, at, &["extra_content"], ledger)?;
    for (index, call) in calls.into_iter().enumerate() {
        let args = call.input(&all.item(index))?;
        let mut part = json!({"functionCall": {"id": call.id, "name": call.name, "args": args}});
        // Where Google's own chat completions keep it; of calls made together the first one has it.
        let signature = call.given["extra_content"]["google"]["thought_signature"].as_str();
        let signature = signature.or((is_third && index == 0).then_some(UNSIGNED));
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
    at: &At<'_>,
    ledger: &mut Ledger,
) -> Result<Value, Untranslatable> {
    let id = word(message, "tool_call_id", at)?;
    let calls = before.iter().rev().filter_map(|message| message["tool_calls"].as_array());
    let call = calls.flatten().find(|call| call["id"] == id);
    let name = call.and_then(|call| call["function"]["name"].as_str());
    let name = name.ok_or_else(|| wrong(&at.field("tool_call_id")))?;
    let output = text(&message["content"], &at.field("content"), ledger)?;
    ledger.unread(message, &["role", "content", "tool_call_id"], at);
    let response = json!({"output": output});
    Ok(json!({"functionResponse": {"id": id, "name": name, "response": response}}))
}

fn tools(
    body: &Map<String, Value>,
    translated: &mut Value,
    ledger: &mut Ledger,
) -> Result<(), Untranslatable> {
    let declarations = asked::functions(body, &[], ledger)?.into_iter().map(|function| {
        let mut declaration = json!({"name": function.name});
        if let Some(description) = function.description {
            declaration["description"] = json!(description);
        }
        if !function.parameters.is_null() {
            declaration["parametersJsonSchema"] = function.parameters.clone();
        }
        declaration
    });
    let declarations: Vec<Value> = declarations.collect();
    if declarations.is_empty() {
        return Ok(());
    }
    translated["tools"] = json!([{"functionDeclarations": declarations}]);
    if body.get("parallel_tool_calls") == Some(&Value::Bool(false)) {
        ledger.parameter("parallel_tool_calls")?;
    }
    let Some(choice) = asked::choice(body, ledger)? else { return Ok(()) };
    let config = match choice {
        Choice::Auto => json!({"mode": "AUTO"}),
        Choice::Required => json!({"mode": "ANY"}),
        Choice::None => json!({"mode": "NONE"}),
        Choice::Function(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
    };
    translated["toolConfig"] = json!({"functionCallingConfig": config});
    Ok(())
}
