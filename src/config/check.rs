//! `check:`: how an answer is judged.
//!
//! A schema with a keyword that the grader does not know would be obeyed in part and believed in
//! full, so such keywords are refused.

use std::rc::Rc;

use serde_json::{Map, Value};

use super::reader::{Reader, prefixed};
use super::scalar::{choice, plain, raw, text};
use crate::model::Mistake;
use crate::probe::Check;
use crate::yaml::{Node, Yaml};

const DUE: &str = "write `nonce`, `any`, or one of `contains`, `regex` and `json` below it";
const KEYWORDS: [&str; 6] = ["type", "required", "properties", "items", "enum", "const"];
const TYPES: [(&str, ()); 7] = [
    ("object", ()),
    ("array", ()),
    ("string", ()),
    ("number", ()),
    ("integer", ()),
    ("boolean", ()),
    ("null", ()),
];

/// Reads a check: `any`, `nonce`, or a mapping with one of `contains`, `regex` and `json`.
pub(super) fn check(reader: &mut Reader, node: &Node, what: &str, owner: &str) -> Option<Check> {
    if node.entries().is_none() {
        let words = [("nonce", Check::Nonce), ("any", Check::Any)];
        let check = choice(node, &words).map_err(|mistake| match mistake.remedy {
            Some(_) => mistake,
            None => mistake.remedy(DUE),
        });
        return reader.judge(owner, "check", check);
    }
    let fields = reader.fields(node, what, &["contains", "regex", "json"])?;
    let written = ["contains", "regex", "json"].into_iter().filter(|name| fields.has(name)).count();
    if written != 1 {
        let message = prefixed(what, &format!("{written} ways to check are written, not one"));
        reader.report(Mistake::new(node.place.clone(), message).remedy(DUE));
        return None;
    }
    if let Some(schema) = fields.get("json") {
        schema_is_known(reader, schema, &fields.part("json"))?;
        return reader.judge(what, "json", json(schema)).map(Check::Json);
    }
    let contains = reader.optional(&fields, "contains", text).map(Check::Contains);
    let patterns = Rc::clone(&reader.patterns);
    let regex = reader.optional(&fields, "regex", |node| patterns.regex(node));
    contains.or(regex.map(Check::Regex))
}

fn schema_is_known(reader: &mut Reader, node: &Node, what: &str) -> Option<()> {
    let fields = reader.fields(node, what, &KEYWORDS)?;
    if let Some(node) = fields.get("type") {
        let each: Vec<&Node> = node.items().map_or_else(|| vec![node], |all| all.iter().collect());
        for node in each {
            reader.judge(what, "type", choice(node, &TYPES));
        }
    }
    reader.list(&fields, "required", text);
    if let Some(node) = fields.get("enum").filter(|node| node.items().is_none()) {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        reader.judge::<()>(what, "enum", Err(wrong.remedy("write a list of values")));
    }
    if let Some(node) = fields.get("properties") {
        let mut parts = Vec::new();
        match node.entries() {
            Some(entries) => parts.extend(entries.iter().filter(|(key, _)| key.text().is_some())),
            None => {
                let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
                reader.judge::<()>(what, "properties", Err(wrong.remedy("write a mapping")));
            }
        }
        for (key, schema) in parts {
            let name = key.text().unwrap_or_default();
            schema_is_known(reader, schema, &fields.part(&format!("properties, {name}")));
        }
    }
    if let Some(items) = fields.get("items") {
        schema_is_known(reader, items, &fields.part("items"));
    }
    Some(())
}

/// YAML to JSON; serde decides what a plain scalar is.
pub(super) fn json(node: &Node) -> Result<Value, Mistake> {
    Ok(match &node.value {
        Yaml::Null => Value::Null,
        // An infinity has no word in JSON; serde would make it `null`.
        Yaml::Scalar(scalar) => plain(node)
            .filter(|value: &Value| value.is_number() || value.is_boolean())
            .unwrap_or_else(|| Value::String(scalar.text.clone())),
        Yaml::Sequence(items) => {
            Value::Array(items.iter().map(json).collect::<Result<_, Mistake>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, entry) in entries {
                object.insert(raw(key, "a key")?.to_owned(), json(entry)?);
            }
            Value::Object(object)
        }
    })
}
