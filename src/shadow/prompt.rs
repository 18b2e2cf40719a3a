//! What both arms are asked: a set of prompts, one JSON object a line.
//!
//! ```json
//! {"id": "greeting", "prompt": "Answer with exactly this word: {nonce}"}
//! {"id": "order", "messages": [{"role": "user", "content": "…"}], "max_tokens": 300, "check": {"json": {"required": ["total"]}}}
//! ```
//!
//! `{nonce}` becomes a word that is new for each pair and the same for both arms. A prompt that asks
//! for it is checked for it; any other answer will do unless `check` says more. Every mistake of a file
//! is reported, with its line.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Map, Value};

use crate::model::{Mistake, Place, suggest};
use crate::probe::{Check, Delivery, Question, validate_schema};
use crate::provider::Conversation;

/// How many prompts a set may have: more are asked by nobody in one run.
pub const PROMPTS_MAX: usize = 100_000;
/// The limit on an answer's tokens where a prompt names none.
pub const TOKENS_MAX_DEFAULT: u32 = 256;
const KEYS: [&str; 6] = ["id", "prompt", "messages", "system", "max_tokens", "check"];
const ID_BYTES_MAX: usize = 128;
/// The set that is asked where none is named.
const BUILT_IN: &str = include_str!("prompts.jsonl");

/// One thing to ask.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// What reports call it; its number where it has no name.
    pub id: String,
    /// What is said.
    pub said: Said,
    /// The limit on the answer's tokens.
    pub tokens_max: u32,
    /// How an answer is judged.
    pub check: Check,
    /// How the answer comes; as the stable target is configured where absent.
    pub delivery: Option<Delivery>,
}

/// What is said to a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// One message of a user.
    Text(String),
    /// A whole request.
    Whole(Conversation),
}

impl Said {
    /// The same with a nonce in place of `{nonce}`. A nonce is letters and digits, so that it may be
    /// put into JSON as it is.
    #[must_use]
    pub fn with_nonce(&self, nonce: &str) -> Self {
        match self {
            Self::Text(text) => Self::Text(text.replace("{nonce}", nonce)),
            Self::Whole(conversation) => {
                let text = Value::Object(conversation.body.clone()).to_string();
                let body = if text.contains("{nonce}") {
                    serde_json::from_str(&text.replace("{nonce}", nonce)).unwrap_or_default()
                } else {
                    conversation.body.clone()
                };
                Self::Whole(Conversation { dialect: conversation.dialect, body })
            }
        }
    }

    /// How many bytes of input it is at most, for an estimate.
    pub fn size_bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::Whole(conversation) => {
                Value::Object(conversation.body.clone()).to_string().len() as u64
            }
        }
    }

    /// What is said last, for a report or a judge that is to see it.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(conversation) => {
                let list = ["messages", "contents", "input"];
                let turns = list.into_iter().find_map(|name| conversation.body.get(name));
                match turns {
                    Some(Value::Array(turns)) => {
                        turns.iter().map(turn).collect::<Vec<_>>().join("\n")
                    }
                    Some(Value::String(text)) => text.clone(),
                    _ => String::new(),
                }
            }
        }
    }
}

fn turn(turn: &Value) -> String {
    let said = if turn["content"].is_null() { &turn["parts"] } else { &turn["content"] };
    let role = turn["role"].as_str().unwrap_or("user");
    match said {
        Value::String(text) => format!("{role}: {text}"),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            format!("{role}: {}", texts.join(" "))
        }
        _ => format!("{role}:"),
    }
}

/// The built-in set: short questions of the kinds that production traffic has, most with an answer that
/// can be checked.
///
/// # Panics
///
/// Never: a test reads it.
pub fn built_in() -> Vec<Prompt> {
    parse("built-in", BUILT_IN).expect("the set that ships is read by a test")
}

/// Reads a set.
pub fn parse(file: &str, text: &str) -> Result<Vec<Prompt>, Vec<Mistake>> {
    let file: Arc<str> = Arc::from(file);
    let (mut prompts, mut mistakes) = (Vec::new(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let place = Place { file: Arc::clone(&file), line: number, column: 1 };
        match prompt(line, prompts.len() + 1) {
            Ok(prompt) => prompts.push(prompt),
            Err(wrong) => mistakes.push(Mistake { place, ..wrong }),
        }
        if prompts.len() > PROMPTS_MAX || mistakes.len() >= 100 {
            break;
        }
    }
    let whole = || Place { file: Arc::clone(&file), line: 1, column: 1 };
    if prompts.len() > PROMPTS_MAX {
        mistakes.push(Mistake::new(whole(), format!("there are more than {PROMPTS_MAX} prompts")));
    }
    if prompts.is_empty() && mistakes.is_empty() {
        let wrong = Mistake::new(whole(), "there is no prompt in it");
        mistakes.push(wrong.remedy("write a line such as `{\"prompt\": \"Say {nonce}\"}`"));
    }
    if mistakes.is_empty() { Ok(prompts) } else { Err(mistakes) }
}

/// A mistake whose place the caller knows.
fn wrong(message: impl Into<String>) -> Mistake {
    Mistake::new(Place { file: Arc::from(""), line: 1, column: 1 }, message)
}

fn prompt(line: &str, number: usize) -> Result<Prompt, Mistake> {
    let object = match serde_json::from_str(line) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return Err(wrong("is no JSON object")),
        Err(error) => return Err(wrong(format!("is no JSON: column {}", error.column()))),
    };
    if let Some(unknown) = object.keys().find(|name| !KEYS.contains(&name.as_str())) {
        let message = format!("`{}` is not known", unknown.chars().take(64).collect::<String>());
        return Err(match suggest::nearest(unknown, KEYS) {
            Some(known) => wrong(message).remedy(format!("`{known}`?")),
            None => wrong(message).remedy(format!("known are `{}`", KEYS.join("`, `"))),
        });
    }
    let said = said(&object)?;
    let id = match object.get("id") {
        None => number.to_string(),
        Some(Value::String(id)) if (1..=ID_BYTES_MAX).contains(&id.len()) => id.clone(),
        Some(_) => return Err(wrong("`id` is no text of 1 to 128 bytes")),
    };
    let tokens_max = match object.get("max_tokens") {
        None => TOKENS_MAX_DEFAULT,
        Some(limit) => limit
            .as_u64()
            .and_then(|limit| u32::try_from(limit).ok())
            .filter(|limit| *limit > 0)
            .ok_or_else(|| wrong(format!("`max_tokens` is `{limit}`, not a number from 1 up")))?,
    };
    let has_nonce = said.text().contains("{nonce}");
    let check = match object.get("check") {
        None if has_nonce => Check::Nonce,
        None => Check::Any,
        Some(written) => check(written)?,
    };
    if check == Check::Nonce && !has_nonce {
        return Err(wrong("`check` looks for a nonce that the prompt does not ask for")
            .remedy("write `{nonce}` into the prompt"));
    }
    Ok(Prompt { id, said, tokens_max, check, delivery: None })
}

fn said(object: &Map<String, Value>) -> Result<Said, Mistake> {
    let system = match object.get("system") {
        None => None,
        Some(Value::String(text)) => Some(serde_json::json!({"role": "system", "content": text})),
        Some(_) => return Err(wrong("`system` is no text")),
    };
    match (object.get("prompt"), object.get("messages")) {
        (Some(Value::String(text)), None) if !text.is_empty() => Ok(match system {
            None => Said::Text(text.clone()),
            Some(system) => {
                let user = serde_json::json!({"role": "user", "content": text});
                Said::Whole(Conversation::of_messages(vec![system, user]))
            }
        }),
        (None, Some(Value::Array(messages))) if !messages.is_empty() => {
            if let Some(index) = messages.iter().position(|message| !message["role"].is_string()) {
                return Err(wrong(format!("message {} has no `role`", index + 1)));
            }
            let all = system.into_iter().chain(messages.iter().cloned());
            Ok(Said::Whole(Conversation::of_messages(all.collect())))
        }
        (Some(_), Some(_)) => Err(wrong("has both `prompt` and `messages`")),
        (None, None) => Err(wrong("has neither `prompt` nor `messages`")),
        (Some(_), None) => Err(wrong("`prompt` is empty or no text")),
        (None, Some(_)) => Err(wrong("`messages` is no list, or empty")),
    }
}

fn check(written: &Value) -> Result<Check, Mistake> {
    const DUE: &str =
        "write `\"any\"`, `\"nonce\"`, or one of `contains`, `regex`, `json` in an object";
    match written {
        Value::String(word) if word == "any" => return Ok(Check::Any),
        Value::String(word) if word == "nonce" => return Ok(Check::Nonce),
        _ => {}
    }
    let one = written.as_object().filter(|object| object.len() == 1);
    let (name, value) = one
        .and_then(|object| object.iter().next())
        .ok_or_else(|| wrong("`check` is none").remedy(DUE))?;
    match (name.as_str(), value) {
        ("contains", Value::String(text)) => Ok(Check::Contains(text.clone())),
        ("regex", Value::String(text)) => {
            // The size bounds what a compiled expression may take.
            let regex = regex::RegexBuilder::new(text).size_limit(1 << 20).build();
            let regex: Result<Regex, _> = regex;
            regex
                .map(|regex| Check::Regex(regex.into()))
                .map_err(|_| wrong(format!("`regex` `{text}` is none")))
        }
        ("json", schema) => match validate_schema(schema) {
            Ok(()) => Ok(Check::Json(schema.clone())),
            Err(error) => Err(wrong(format!("`json` is no schema: {error}"))),
        },
        _ => Err(wrong("`check` is none").remedy(DUE)),
    }
}

/// The nonce of a pair, from a drawn number; the same word as a probe's.
pub fn nonce(draw: u32) -> String {
    Question::new(None, draw).nonce
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_that_ships_is_sound_and_mostly_checked() {
        let prompts = built_in();
        assert!(prompts.len() >= 40, "{}", prompts.len());
        let checked = prompts.iter().filter(|prompt| prompt.check != Check::Any).count();
        assert!(checked * 4 >= prompts.len() * 3, "{checked} of {}", prompts.len());
        let ids: std::collections::BTreeSet<_> = prompts.iter().map(|prompt| &prompt.id).collect();
        assert_eq!(ids.len(), prompts.len(), "each id once");
    }

    #[test]
    fn mistakes_are_told_by_line_all_of_them() {
        let text = "{\"prompt\": \"hi\"}\n\n{\"promt\": \"hi\"}\n[]\n{\"prompt\": \"hi\", \"check\": \"nonce\"}\n\
                    {\"prompt\": \"x\", \"max_tokens\": 0}\n{\"prompt\": \"x\", \"check\": {\"regex\": \"(\"}}\nnot json";
        let found: Vec<String> =
            parse("set.jsonl", text).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "set.jsonl:3:1: `promt` is not known (`prompt`?)",
                "set.jsonl:4:1: is no JSON object",
                "set.jsonl:5:1: `check` looks for a nonce that the prompt does not ask for (write `{nonce}` into the prompt)",
                "set.jsonl:6:1: `max_tokens` is `0`, not a number from 1 up",
                "set.jsonl:7:1: `regex` `(` is none",
                "set.jsonl:8:1: is no JSON: column 2",
            ]
        );
        assert!(parse("set.jsonl", "\n").is_err());
    }

    #[test]
    fn a_nonce_stands_in_texts_and_in_messages() {
        let text = "{\"prompt\": \"Say {nonce}\"}\n{\"system\": \"s\", \"messages\": [{\"role\": \"user\", \"content\": \"{nonce}!\"}]}";
        let prompts = parse("set.jsonl", text).unwrap();
        assert!(prompts.iter().all(|prompt| prompt.check == Check::Nonce));
        assert_eq!(prompts[0].said.with_nonce("bw1"), Said::Text("Say bw1".to_owned()));
        assert_eq!(prompts[1].said.with_nonce("bw1").text(), "system: s\nuser: bw1!");
        assert_eq!(prompts[0].id, "1");
    }
}
