//! `toJson`: a value as Go's `encoding/json` writes it, which escapes what HTML could stumble over.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::number;
use super::value::Value;

pub(super) fn json(value: &Value) -> String {
    let text = serde_json::to_string(&Written(value)).expect("texts and numbers always serialize");
    // Inside JSON these can stand in texts only.
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Structs keep the order of their fields.
struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Absent | Value::Root => serializer.serialize_unit(),
            Value::Bool(is_true) => serializer.serialize_bool(*is_true),
            Value::Int(number) | Value::Span(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Labels(labels) => {
                serializer.collect_map(labels.iter().map(|label| (&*label.name, &*label.value)))
            }
            Value::Sample(..) | Value::List(_) => serializer.serialize_str(&self.0.shown()),
            Value::Map(entries) => {
                serializer.collect_map(entries.iter().map(|(key, value)| (key, Written(value))))
            }
            Value::Time(at, zone) => serializer.serialize_str(&number::rfc3339(*at, zone)),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Written)),
            Value::Record(record) => {
                let mut map = serializer.serialize_map(None)?;
                for (_, name, value) in record.fields() {
                    map.serialize_entry(name, &Written(value))?;
                }
                map.end()
            }
        }
    }
}
