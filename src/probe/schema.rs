//! A small part of JSON Schema, enough to check a short answer.
//!
//! A keyword that is not known here is refused when the configuration is read, not passed over when
//! an answer is: a schema that is only half looked at would call wrong answers right. Keywords mean
//! what JSON Schema 2020-12 says; a keyword for another type than the value's holds.

use std::fmt;

use serde_json::{Map, Value};

/// Deeper schemas are refused, so that checking an answer cannot exhaust the stack.
const DEPTH_MAX: usize = 32;

/// Where a schema is wrong or broken, and how. The path is made of the schema's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaError {
    path: String,
    what: String,
}

impl fmt::Display for SchemaError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() { "/" } else { &self.path };
        write!(formatter, "{} at `{path}`", self.what)
    }
}

impl std::error::Error for SchemaError {}

fn wrong(path: &str, what: impl Into<String>) -> SchemaError {
    SchemaError { path: path.to_owned(), what: what.into() }
}

/// Checks that a schema uses only what is known here, and uses it rightly.
pub fn validate_schema(schema: &Value) -> Result<(), String> {
    validate("", schema, 0).map_err(|error| error.to_string())
}

fn validate(path: &str, schema: &Value, depth: usize) -> Result<(), SchemaError> {
    let keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(_) => return Ok(()),
        _ => return Err(wrong(path, "a schema is a mapping, `true` or `false`")),
    };
    if depth == DEPTH_MAX {
        return Err(wrong(path, format!("a schema is at most {DEPTH_MAX} levels deep")));
    }
    for (keyword, value) in keywords {
        let is_right = match keyword.as_str() {
            "type" => names(value).is_some_and(|names| {
                !names.is_empty() && names.iter().all(|name| TYPES.contains(name))
            }),
            "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
            "properties" => match value {
                Value::Object(properties) => {
                    for (name, inner) in properties {
                        validate(&format!("{path}/properties/{name}"), inner, depth + 1)?;
                    }
                    true
                }
                _ => false,
            },
            "items" | "additionalProperties" => {
                validate(&format!("{path}/{keyword}"), value, depth + 1)?;
                true
            }
            "enum" => value.as_array().is_some_and(|values| !values.is_empty()),
            "const" => true,
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => value.is_number(),
            "minLength" | "maxLength" | "minItems" | "maxItems" => value.is_u64(),
            "title" | "description" | "$schema" | "$comment" => value.is_string(),
            _ => return Err(wrong(path, format!("the keyword `{keyword}` is not supported"))),
        };
        if !is_right {
            return Err(wrong(path, format!("the keyword `{keyword}` has a wrong value")));
        }
    }
    Ok(())
}

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

/// The names in `type`, which is one name or a list of them.
fn names(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Checks a value against a schema that [`validate_schema`] accepts.
pub(super) fn conform(schema: &Value, value: &Value) -> Result<(), SchemaError> {
    conform_at("", schema, value)
}

fn conform_at(path: &str, schema: &Value, value: &Value) -> Result<(), SchemaError> {
    let keywords = match schema {
        Value::Object(keywords) => keywords,
        Value::Bool(false) => return Err(wrong(path, "nothing is allowed")),
        _ => return Ok(()),
    };
    for (keyword, wanted) in keywords {
        if !holds(keyword, wanted, value) {
            return Err(wrong(path, format!("`{keyword}` does not hold")));
        }
    }
    if let Value::Object(members) = value {
        conform_members(path, keywords, members)?;
    }
    if let (Some(items), Value::Array(values)) = (keywords.get("items"), value) {
        for (index, value) in values.iter().enumerate() {
            conform_at(&format!("{path}/{index}"), items, value)?;
        }
    }
    Ok(())
}

fn conform_members(
    path: &str,
    keywords: &Map<String, Value>,
    members: &Map<String, Value>,
) -> Result<(), SchemaError> {
    let properties = keywords.get("properties").and_then(Value::as_object);
    for (name, schema) in properties.into_iter().flatten() {
        if let Some(value) = members.get(name) {
            conform_at(&format!("{path}/{name}"), schema, value)?;
        }
    }
    if let Some(schema) = keywords.get("additionalProperties") {
        for (name, value) in members {
            if !properties.is_some_and(|properties| properties.contains_key(name)) {
                // Its name is the answer's, so it is not part of the path.
                conform_at(&format!("{path}/*"), schema, value)?;
            }
        }
    }
    Ok(())
}

/// Whether a keyword that looks at the value alone holds; others hold here.
fn holds(keyword: &str, wanted: &Value, value: &Value) -> bool {
    match keyword {
        "type" => names(wanted).is_some_and(|names| names.iter().any(|name| is_a(name, value))),
        "required" => value.as_object().is_none_or(|members| {
            let mut names = wanted.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.all(|name| members.contains_key(name))
        }),
        "enum" => wanted.as_array().into_iter().flatten().any(|one| is_equal(one, value)),
        "const" => is_equal(wanted, value),
        "minimum" => compare(wanted, value, |value, bound| value >= bound),
        "maximum" => compare(wanted, value, |value, bound| value <= bound),
        "exclusiveMinimum" => compare(wanted, value, |value, bound| value > bound),
        "exclusiveMaximum" => compare(wanted, value, |value, bound| value < bound),
        "minLength" => length(value).is_none_or(|length| Some(length) >= wanted.as_u64()),
        "maxLength" => length(value).is_none_or(|length| Some(length) <= wanted.as_u64()),
        "minItems" => count(value).is_none_or(|count| Some(count) >= wanted.as_u64()),
        "maxItems" => count(value).is_none_or(|count| Some(count) <= wanted.as_u64()),
        _ => true,
    }
}

fn is_a(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => name == "null",
        Value::Bool(_) => name == "boolean",
        Value::Object(_) => name == "object",
        Value::Array(_) => name == "array",
        Value::String(_) => name == "string",
        // 1.0 is an integer in JSON Schema.
        Value::Number(number) => {
            name == "number"
                || name == "integer"
                    && (number.is_i64()
                        || number.is_u64()
                        || number.as_f64().is_some_and(|number| number.fract() == 0.0))
        }
    }
}

/// 1 and 1.0 are the same number.
fn is_equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left == right || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

fn compare(bound: &Value, value: &Value, is_within: fn(f64, f64) -> bool) -> bool {
    match (value.as_f64(), bound.as_f64()) {
        (Some(value), Some(bound)) => is_within(value, bound),
        _ => true,
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn count(value: &Value) -> Option<u64> {
    value.as_array().map(|values| values.len() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_conform_as_the_specification_says() {
        let cases = [
            (json!({"type": "integer"}), json!(1), true),
            (json!({"type": "integer"}), json!(1.0), true),
            (json!({"type": "integer"}), json!(1.5), false),
            (json!({"type": ["string", "null"]}), json!(null), true),
            (json!({"type": ["string", "null"]}), json!(false), false),
            (json!({"required": ["a"]}), json!({"a": null}), true),
            (json!({"required": ["a"]}), json!({"b": 1}), false),
            (json!({"required": ["a"]}), json!([]), true),
            (json!({"properties": {"a": {"type": "string"}}}), json!({"a": 1}), false),
            (json!({"properties": {"a": {"type": "string"}}}), json!({}), true),
            (json!({"properties": {"a": false}}), json!({"a": 1}), false),
            (json!({"items": {"minimum": 2}}), json!([2, 3]), true),
            (json!({"items": {"minimum": 2}}), json!([2, 1]), false),
            (json!({"enum": ["a", 1]}), json!("a"), true),
            (json!({"enum": ["a", 1]}), json!("b"), false),
            (json!({"const": {"a": 1}}), json!({"a": 1}), true),
            (json!({"const": 1}), json!(1.0), true),
            (json!({"const": 1}), json!(true), false),
            (json!({"minimum": 1, "maximum": 3}), json!(3), true),
            (json!({"exclusiveMaximum": 3}), json!(3), false),
            (json!({"exclusiveMinimum": 3}), json!(3), false),
            (json!({"minimum": 1}), json!("0"), true),
            (json!({"minLength": 2}), json!("é"), false),
            (json!({"maxLength": 1}), json!("é"), true),
            (json!({"minItems": 1}), json!([]), false),
            (json!({"maxItems": 1}), json!([1, 2]), false),
            (json!({"additionalProperties": false}), json!({"a": 1}), false),
            (
                json!({"properties": {"a": true}, "additionalProperties": false}),
                json!({"a": 1}),
                true,
            ),
        ];
        for (schema, value, expected) in cases {
            assert_eq!(validate_schema(&schema), Ok(()), "{schema}");
            assert_eq!(conform(&schema, &value).is_ok(), expected, "{schema} {value}");
        }
    }

    #[test]
    fn a_schema_that_is_not_understood_is_refused() {
        let mut deep = json!(true);
        for _ in 0..100 {
            deep = json!({"items": deep});
        }
        let cases = [
            (json!({"pattern": "x"}), "the keyword `pattern` is not supported at `/`"),
            (json!({"type": "text"}), "the keyword `type` has a wrong value at `/`"),
            (json!({"type": []}), "the keyword `type` has a wrong value at `/`"),
            (json!({"required": "a"}), "the keyword `required` has a wrong value at `/`"),
            (json!({"enum": []}), "the keyword `enum` has a wrong value at `/`"),
            (json!({"minimum": "1"}), "the keyword `minimum` has a wrong value at `/`"),
            (
                json!({"properties": {"a": {"items": {"oneOf": []}}}}),
                "the keyword `oneOf` is not supported at `/properties/a/items`",
            ),
            (json!("string"), "a schema is a mapping, `true` or `false` at `/`"),
        ];
        for (schema, expected) in cases {
            assert_eq!(validate_schema(&schema), Err(expected.to_owned()), "{schema}");
        }
        assert!(validate_schema(&deep).is_err());
    }

    #[test]
    fn a_break_is_told_by_its_place() {
        let schema = json!({"properties": {"list": {"items": {"type": "number"}}}});
        let error = conform(&schema, &json!({"list": [1, "x"]})).unwrap_err();
        assert_eq!(error.to_string(), "`type` does not hold at `/list/1`");
    }
}
