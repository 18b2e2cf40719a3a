//! Which fields an answer has, whatever they hold.
//!
//! Clients read fields that no dialect promises, so a provider that lacks one breaks them although
//! every answer is sound. A field is told by its path: names joined by dots, `[]` for what stands in
//! a list. Only names are kept; those are the provider's. Where a value is a map whose names are
//! somebody else's (what a tool is called with, words that were said to whom), nothing is looked at.

use std::collections::BTreeSet;

use serde_json::Value;

use super::sse::{Decoder, Frame};

/// Real answers have some forty fields.
const FIELDS_MAX: usize = 400;
/// Deeper ones are no part of any dialect.
const DEPTH_MAX: usize = 12;
/// No dialect has a longer name.
const NAME_BYTES_MAX: usize = 64;
/// Of a list the first few say what it holds.
const ITEMS_MAX: usize = 16;

/// Values whose names are not the provider's.
const FOREIGN: [&str; 6] = ["arguments", "args", "input", "metadata", "logit_bias", "top_logprobs"];

/// The paths of an answer's fields.
pub type Fields = BTreeSet<String>;

/// The fields of an answer's body, a stream of events or one object; at most 400 of them. Empty where
/// it is neither.
pub fn fields(body: &[u8], is_stream: bool) -> Fields {
    let mut fields = Fields::new();
    if !is_stream {
        if let Ok(value) = serde_json::from_slice::<Value>(body) {
            gather(&value, String::new(), 0, &mut fields);
        }
        return fields;
    }
    let mut decoder = Decoder::default();
    let mut take = |frame: Frame| {
        let (Frame::Event { data, .. } | Frame::Tail { data, .. }) = frame else { return };
        if let Ok(value) = serde_json::from_str::<Value>(&data) {
            gather(&value, String::new(), 0, &mut fields);
        }
    };
    decoder.feed(body, &mut take);
    decoder.end(&mut take);
    fields
}

fn gather(value: &Value, path: String, depth: usize, fields: &mut Fields) {
    if depth > DEPTH_MAX || fields.len() >= FIELDS_MAX {
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                // A field without a value is there for no reader.
                if value.is_null() || name.len() > NAME_BYTES_MAX || fields.len() >= FIELDS_MAX {
                    continue;
                }
                let dot = if path.is_empty() { "" } else { "." };
                let path = format!("{path}{dot}{name}");
                fields.insert(path.clone());
                if !FOREIGN.contains(&name.as_str()) {
                    gather(value, path, depth + 1, fields);
                }
            }
        }
        Value::Array(items) => {
            for item in items.iter().take(ITEMS_MAX) {
                gather(item, format!("{path}[]"), depth + 1, fields);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_fields_of_all_of_its_events() {
        let stream = b"data: {\"id\":\"a\",\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n\
            : ping\n\ndata: {\"usage\":{\"total_tokens\":3,\"cost\":null}}\n\ndata: [DONE]\n\n";
        let found: Vec<String> = fields(stream, true).into_iter().collect();
        let expected = [
            "choices",
            "choices[].delta",
            "choices[].delta.content",
            "id",
            "usage",
            "usage.total_tokens",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_others_named_is_not_looked_at() {
        let body = br#"{"content": [{"type": "tool_use", "input": {"canary": 1}}]}"#;
        let found: Vec<String> = fields(body, false).into_iter().collect();
        assert_eq!(found, ["content", "content[].input", "content[].type"]);
        assert!(fields(b"<html>", false).is_empty());
        let many = (0..1000).map(|n| format!("\"f{n}\": 1")).collect::<Vec<_>>().join(",");
        assert_eq!(fields(format!("{{{many}}}").as_bytes(), false).len(), FIELDS_MAX);
    }
}
