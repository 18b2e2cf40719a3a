//! What a client of OpenAI's chat completions asks, read for whoever tells it in other words.
//!
//! What a part, a call or a function holds beside the fields that are read here is named in the ledger;
//! `told` names those that the caller tells too.

use serde_json::{Map, Value, json};

use super::ledger::{At, Ledger};
use super::words::{Untranslatable, wrong};

/// A field that is text.
pub(super) fn word<'a>(
    object: &'a Value,
    name: &str,
    at: &At<'_>,
) -> Result<&'a str, Untranslatable> {
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

/// Whether the answer shall be kept: `false` is what others than OpenAI do anyway.
pub(super) fn store(body: &Map<String, Value>, ledger: &mut Ledger) -> Result<(), Untranslatable> {
    match body.get("store") {
        None | Some(Value::Null | Value::Bool(false)) => Ok(()),
        Some(_) => ledger.parameter("store"),
    }
}

/// The turns of a conversation.
pub(super) fn messages(body: &Map<String, Value>) -> Result<&Vec<Value>, Untranslatable> {
    let messages = body.get("messages").and_then(Value::as_array);
    messages.ok_or_else(|| wrong(&At::Top.field("messages")))
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

/// Something that a user says.
pub(super) enum Part<'a> {
    Text(&'a str),
    /// A picture, by its address or inside a `data:` address, and how closely to look.
    Image {
        url: &'a str,
        detail: &'a Value,
    },
}

/// What a user says; nothing where a text that stands alone is empty.
pub(super) fn parts<'a>(
    content: &'a Value,
    at: &At<'_>,
    told: &[&str],
    ledger: &mut Ledger,
) -> Result<Vec<Part<'a>>, Untranslatable> {
    let parts = match content {
        Value::Array(parts) => parts,
        Value::String(text) if !text.is_empty() => return Ok(vec![Part::Text(text)]),
        Value::String(_) | Value::Null => return Ok(Vec::new()),
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(wrong(at)),
    };
    let mut said = Vec::with_capacity(parts.len());
    for (index, one) in parts.iter().enumerate() {
        let at = at.item(index);
        match one["type"].as_str() {
            Some("text") => {
                said.push(Part::Text(word(one, "text", &at)?));
                ledger.unread(one, &["type", "text"], &at);
            }
            Some("image_url") => {
                let (image, inside) = (&one["image_url"], at.field("image_url"));
                let (url, detail) = (word(image, "url", &inside)?, &image["detail"]);
                said.push(Part::Image { url, detail });
                ledger.unread(one, &["type", "image_url"], &at);
                ledger.unread(image, &[&["url"], told].concat(), &inside);
            }
            _ => return Err(part(&kind(one), &at)),
        }
    }
    Ok(said)
}

/// The type and the data of a picture that stands inside its address.
pub(super) fn inline(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// What the model said before; an old form of saying it is refused.
pub(super) fn spoken(
    message: &Value,
    at: &At<'_>,
    ledger: &mut Ledger,
) -> Result<Spoken, Untranslatable> {
    for old in ["function_call", "audio"] {
        if !message[old].is_null() {
            return Err(part(old, &at.field(old)));
        }
    }
    let text = text(&message["content"], &at.field("content"), ledger)?;
    let refusal = message["refusal"].as_str().unwrap_or_default().to_owned();
    ledger.unread(message, &["role", "content", "refusal", "tool_calls"], at);
    Ok(Spoken { text, refusal })
}

/// What the model said before.
pub(super) struct Spoken {
    pub text: String,
    pub refusal: String,
}

impl Spoken {
    /// Both, as far as there is something.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        [self.text.as_str(), self.refusal.as_str()].into_iter().filter(|text| !text.is_empty())
    }
}

/// A tool that the model called before.
pub(super) struct Call<'a> {
    pub id: &'a str,
    pub name: &'a str,
    /// JSON, as far as one knows; an object without fields where nothing stands.
    pub arguments: &'a str,
    /// All of it.
    pub given: &'a Value,
}

impl Call<'_> {
    /// The arguments, read; `at` is where the call stands.
    pub fn input(&self, at: &At<'_>) -> Result<Value, Untranslatable> {
        let read = serde_json::from_str(self.arguments);
        read.map_err(|_| wrong(&at.field("function").field("arguments")))
    }
}

/// The tools that the model called in what it said before.
pub(super) fn calls<'a>(
    message: &'a Value,
    at: &At<'_>,
    told: &[&str],
    ledger: &mut Ledger,
) -> Result<Vec<Call<'a>>, Untranslatable> {
    let all = at.field("tool_calls");
    let mut calls = Vec::new();
    for (index, given) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
        let at = all.item(index);
        let function = &given["function"];
        if function.is_null() {
            return Err(part(&kind(given), &at));
        }
        let inside = at.field("function");
        let arguments = function["arguments"].as_str().filter(|text| !text.trim().is_empty());
        calls.push(Call {
            id: word(given, "id", &at)?,
            name: word(function, "name", &inside)?,
            arguments: arguments.unwrap_or("{}"),
            given,
        });
        // Streams number their calls, and clients send that back.
        ledger.unread(given, &[&["id", "type", "function", "index"], told].concat(), &at);
        ledger.unread(function, &["name", "arguments"], &inside);
    }
    Ok(calls)
}

/// A tool that the model may call.
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub description: Option<&'a str>,
    /// A schema; null where there is none.
    pub parameters: &'a Value,
    pub is_strict: bool,
}

/// The tools that the model may call.
pub(super) fn functions<'a>(
    body: &'a Map<String, Value>,
    told: &[&str],
    ledger: &mut Ledger,
) -> Result<Vec<Function<'a>>, Untranslatable> {
    let all = At::Top.field("tools");
    let tools = body.get("tools").and_then(Value::as_array);
    let mut functions = Vec::new();
    for (index, tool) in tools.into_iter().flatten().enumerate() {
        let at = all.item(index);
        if tool["type"] != "function" {
            return Err(part(&kind(tool), &at));
        }
        let (function, inside) = (&tool["function"], at.field("function"));
        functions.push(Function {
            name: word(function, "name", &inside)?,
            description: function["description"].as_str(),
            parameters: &function["parameters"],
            is_strict: function["strict"] == true,
        });
        ledger.unread(tool, &["type", "function"], &at);
        let read = [&["name", "description", "parameters"], told].concat();
        ledger.unread(function, &read, &inside);
    }
    Ok(functions)
}

/// Which tool shall be called.
pub(super) enum Choice<'a> {
    Auto,
    Required,
    None,
    Function(&'a str),
}

/// Which tool shall be called, if somebody chose.
pub(super) fn choice<'a>(
    body: &'a Map<String, Value>,
    ledger: &mut Ledger,
) -> Result<Option<Choice<'a>>, Untranslatable> {
    let at = At::Top.field("tool_choice");
    Ok(Some(match body.get("tool_choice") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(word)) => match word.as_str() {
            "auto" => Choice::Auto,
            "required" => Choice::Required,
            "none" => Choice::None,
            _ => return Err(wrong(&at)),
        },
        Some(choice) => {
            let inside = at.field("function");
            let name = word(&choice["function"], "name", &inside)?;
            ledger.unread(choice, &["type", "function"], &at);
            ledger.unread(&choice["function"], &["name"], &inside);
            Choice::Function(name)
        }
    }))
}

/// What ends the answer, as a list.
pub(super) fn stops(body: &Map<String, Value>) -> Result<Option<Value>, Untranslatable> {
    match body.get("stop") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(stop)) => Ok(Some(json!([stop]))),
        Some(stops @ Value::Array(_)) => Ok(Some(stops.clone())),
        Some(_) => Err(wrong(&At::Top.field("stop"))),
    }
}
