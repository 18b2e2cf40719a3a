//! As much of JSON Schema (draft 7) as Grafana's schema of dashboards uses.
//!
//! A crate was not taken in: each of them brings dozens more, and these are a dozen keywords. One
//! that is not known here is refused, so that nothing is skipped in silence.

use serde_json::{Map, Value};

/// Keywords that say nothing about what is valid.
const NOTES: [&str; 8] = [
    "$schema",
    "definitions",
    "default",
    "deprecated",
    "description",
    "format",
    "title",
    "x-deprecation-message",
];

/// Where and how a document departs from a schema.
pub fn complaints(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Schema { root: schema }.check(schema, document, "", &mut found);
    found
}

struct Schema<'a> {
    root: &'a Value,
}

impl Schema<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
        let rules = match schema {
            Value::Bool(true) => return,
            Value::Object(rules) => rules,
            _ => return found.push(format!("{at}: nothing is allowed here")),
        };
        for (keyword, rule) in rules {
            let holds = match keyword.as_str() {
                "$ref" => {
                    let pointer = rule.as_str().unwrap_or_default().trim_start_matches('#');
                    let target = self.root.pointer(pointer).unwrap_or(&Value::Null);
                    self.check(target, value, at, found);
                    true
                }
                "type" => is_of(value, rule),
                "const" => value == rule,
                "enum" => array(rule).contains(value),
                "minLength" => {
                    value.as_str().is_none_or(|text| text.chars().count() as f64 >= number(rule))
                }
                "minimum" => value.as_f64().is_none_or(|value| value >= number(rule)),
                "maximum" => value.as_f64().is_none_or(|value| value <= number(rule)),
                "exclusiveMinimum" => value.as_f64().is_none_or(|value| value > number(rule)),
                "exclusiveMaximum" => value.as_f64().is_none_or(|value| value < number(rule)),
                "required" => value.as_object().is_none_or(|fields| {
                    array(rule).iter().filter_map(Value::as_str).all(|due| fields.contains_key(due))
                }),
                "properties" | "additionalProperties" | "items" => {
                    self.check_inside(keyword, rule, rules, value, at, found);
                    true
                }
                "allOf" => self.matching(rule, value) == array(rule).len(),
                "anyOf" => self.matching(rule, value) > 0,
                "oneOf" => self.matching(rule, value) == 1,
                note => NOTES.contains(&note),
            };
            if !holds {
                let (value, rule) = (short(value), short(rule));
                found.push(format!("{at}: `{value}` is against `{keyword}`: {rule}"));
            }
        }
    }

    fn check_inside(
        &self,
        keyword: &str,
        rule: &Value,
        rules: &Map<String, Value>,
        value: &Value,
        at: &str,
        found: &mut Vec<String>,
    ) {
        if keyword == "items" {
            for (index, item) in array(value).iter().enumerate() {
                self.check(rule, item, &format!("{at}/{index}"), found);
            }
            return;
        }
        for (name, inner) in value.as_object().into_iter().flatten() {
            let named = rules.get("properties").and_then(|properties| properties.get(name));
            let applies = match keyword {
                "properties" => named,
                _ => Some(rule).filter(|_| named.is_none()),
            };
            if let Some(schema) = applies {
                self.check(schema, inner, &format!("{at}/{name}"), found);
            }
        }
    }

    fn matching(&self, rules: &Value, value: &Value) -> usize {
        let matches = |rule: &&Value| {
            let mut found = Vec::new();
            self.check(rule, value, "", &mut found);
            found.is_empty()
        };
        array(rules).iter().filter(matches).count()
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(120).collect()
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

fn is_of(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap_or_default() {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        "number" => value.is_number(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        _ => false,
    }
}
