//! What templates of notices have beside Go's own functions: Alertmanager's functions, and the
//! methods of its data.
//!
//! `list`, `append` and `dict` make values of values: no deeper than [`DEPTH_MAX`], so that neither
//! printing nor dropping one can run away. `routeLabels` is not here: routes have no labels.

use std::sync::Arc;

use super::dates;
use super::functions::{Function, at_least, exactly, text};
use super::json;
use super::layout;
use super::value::{Record, Value};
use crate::model::{Labels, Timestamp};

/// Those that only rules have.
pub(super) const OF_RULES: [&str; 22] = [
    "query",
    "first",
    "label",
    "value",
    "strvalue",
    "sortByLabel",
    "humanize",
    "humanize1024",
    "humanizePercentage",
    "humanizeTimestamp",
    "toTime",
    "toDuration",
    "parseDuration",
    "stripPort",
    "stripDomain",
    "urlQueryEscape",
    "graphLink",
    "tableLink",
    "args",
    "externalURL",
    "pathPrefix",
    "call",
];

/// Lists and maps within each other.
const DEPTH_MAX: usize = 16;

pub(super) static FUNCTIONS: [Function; 16] = [
    exactly("title", 1, |_, arguments| Ok(Value::text(title(text(&arguments[0])?)))),
    exactly("trimSpace", 1, |_, arguments| Ok(Value::text(text(&arguments[0])?.trim()))),
    exactly("join", 2, |_, arguments| {
        let parts: Vec<&str> = texts(&arguments[1])?;
        Ok(Value::text(parts.join(text(&arguments[0])?)))
    }),
    at_least("stringSlice", 0, |_, arguments| {
        arguments.iter().try_for_each(|argument| text(argument).map(|_| ()))?;
        Ok(Value::Array(Arc::from(arguments)))
    }),
    exactly("safeUrl", 1, |_, arguments| Ok(Value::text(text(&arguments[0])?))),
    exactly("urlUnescape", 1, |_, arguments| url_unescape(text(&arguments[0])?).map(Value::text)),
    exactly("toJson", 1, |_, arguments| Ok(Value::text(json::json(&arguments[0])))),
    exactly("now", 0, |scope, _| Ok(Value::Time(scope.at, jiff::tz::TimeZone::UTC))),
    exactly("since", 1, |scope, arguments| {
        let Value::Time(at, _) = &arguments[0] else { return Err(no_time(&arguments[0])) };
        Ok(span(scope.at, *at))
    }),
    exactly("tz", 2, |_, arguments| {
        let Value::Time(at, _) = &arguments[1] else { return Err(no_time(&arguments[1])) };
        let name = text(&arguments[0])?;
        let zone = jiff::tz::TimeZoneDatabase::bundled().get(name);
        let zone = zone.map_err(|_| format!("`{name:.100}` is no time zone"))?;
        Ok(Value::Time(*at, zone))
    }),
    exactly("date", 2, |_, arguments| {
        let Value::Time(at, zone) = &arguments[1] else { return Err(no_time(&arguments[1])) };
        Ok(Value::text(layout::format(text(&arguments[0])?, *at, zone)))
    }),
    exactly("toDate", 2, |_, arguments| {
        let read = dates::parse(text(&arguments[0])?, text(&arguments[1])?);
        let (at, zone) = read.unwrap_or((ZERO_TIME, jiff::tz::TimeZone::UTC));
        Ok(Value::Time(at, zone))
    }),
    exactly("mustToDate", 2, |_, arguments| {
        let (layout, shown) = (text(&arguments[0])?, text(&arguments[1])?);
        let read = dates::parse(layout, shown);
        let (at, zone) = read
            .ok_or_else(|| format!("`{shown:.100}` is no time as `{layout:.100}` writes them"))?;
        Ok(Value::Time(at, zone))
    }),
    at_least("list", 0, |_, arguments| made(Value::Array(Arc::from(arguments)))),
    at_least("append", 1, |_, arguments| {
        let before: &[Value] = match &arguments[0] {
            Value::Absent => &[],
            Value::Array(items) => items,
            other => return Err(format!("it needs a list, not a {}", other.kind())),
        };
        made(Value::Array(before.iter().chain(&arguments[1..]).cloned().collect()))
    }),
    at_least("dict", 0, |_, arguments| {
        let (pairs, rest) = arguments.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("it needs a value for each key".to_owned());
        }
        let entry = |[key, value]: &[Value; 2]| match key {
            Value::Text(key) => Ok((key.to_string(), value.clone())),
            other => Err(format!("a key must be a text, not a {}", other.kind())),
        };
        made(Value::Map(Arc::new(pairs.iter().map(entry).collect::<Result<_, _>>()?)))
    }),
];

/// A value of values, unless it is too deep.
fn made(value: Value) -> Result<Value, String> {
    if value.depth() > DEPTH_MAX {
        return Err(format!("it makes more than {DEPTH_MAX} lists within each other"));
    }
    Ok(value)
}

/// Finds one.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// What a method says, or nothing where the value has none of that name.
pub(super) fn method(
    value: &Value,
    name: &str,
    arguments: &[Value],
) -> Option<Result<Value, String>> {
    let said = match (value, name, arguments) {
        (Value::Labels(labels), "SortedPairs", []) => Ok(pairs(labels)),
        (Value::Labels(labels), "Names", []) => Ok(names(labels)),
        (Value::Labels(labels), "Values", []) => Ok(values(labels)),
        (Value::Labels(labels), "Remove", [removed]) => texts(removed).map(|removed| {
            let kept = labels.iter().filter(|label| !removed.contains(&&*label.name));
            Value::Labels(kept.cloned().collect())
        }),
        (Value::Labels(labels), "String", []) => {
            let shown = labels.iter().map(|label| format!("{}={}", label.name, label.value));
            Ok(Value::text(shown.collect::<Vec<_>>().join(", ")))
        }
        (Value::Array(items), "Names", []) => column(items, "Name"),
        (Value::Array(items), "Values", []) => column(items, "Value"),
        (Value::Array(items), "Firing", []) => Ok(with_status(items, "firing")),
        (Value::Array(items), "Resolved", []) => Ok(with_status(items, "resolved")),
        (Value::Time(at, zone), _, _) => return time_method(*at, zone, name, arguments),
        (Value::Span(nanos), "Seconds", []) => Ok(Value::Float(*nanos as f64 / 1e9)),
        (Value::Span(nanos), "Minutes", []) => Ok(Value::Float(*nanos as f64 / 6e10)),
        (Value::Span(nanos), "Hours", []) => Ok(Value::Float(*nanos as f64 / 3.6e12)),
        (Value::Span(nanos), "Milliseconds", []) => Ok(Value::Int(nanos / 1_000_000)),
        (Value::Span(_), "String", []) => Ok(Value::text(value.shown())),
        _ => return None,
    };
    Some(said)
}

fn time_method(
    at: Timestamp,
    zone: &jiff::tz::TimeZone,
    name: &str,
    arguments: &[Value],
) -> Option<Result<Value, String>> {
    let said = match (name, arguments) {
        ("Format", [layout]) => {
            text(layout).map(|layout| Value::text(layout::format(layout, at, zone)))
        }
        ("UTC" | "Local", []) => Ok(Value::Time(at, jiff::tz::TimeZone::UTC)),
        ("Unix", []) => Ok(Value::Int(at.millis().div_euclid(1000))),
        ("UnixMilli", []) => Ok(Value::Int(at.millis())),
        ("IsZero", []) => Ok(Value::Bool(at.millis() == ZERO_TIME.millis())),
        ("String", []) => Ok(Value::text(Value::Time(at, zone.clone()).shown())),
        ("Sub", [Value::Time(other, _)]) => Ok(span(at, *other)),
        ("Before", [Value::Time(other, _)]) => Ok(Value::Bool(at < *other)),
        ("After", [Value::Time(other, _)]) => Ok(Value::Bool(at > *other)),
        ("Equal", [Value::Time(other, _)]) => Ok(Value::Bool(at == *other)),
        ("Add", [Value::Span(nanos)]) => {
            let millis = at.millis().saturating_add(nanos / 1_000_000);
            Ok(Value::Time(Timestamp::from_millis(millis), zone.clone()))
        }
        ("Sub" | "Before" | "After" | "Equal", [other]) => Err(no_time(other)),
        _ => return None,
    };
    Some(said)
}

/// Go's zero time: the first second of the year one.
pub(super) const ZERO_TIME: Timestamp = Timestamp::from_millis(-62_135_596_800_000);

fn no_time(value: &Value) -> String {
    format!("it needs a time, not a {}", value.kind())
}

fn span(later: Timestamp, earlier: Timestamp) -> Value {
    let millis = later.millis().saturating_sub(earlier.millis());
    Value::Span(millis.saturating_mul(1_000_000))
}

fn pairs(labels: &Labels) -> Value {
    // As Alertmanager sorts them: by name, but the alert's name first.
    let (first, others): (Vec<_>, Vec<_>) =
        labels.iter().partition(|label| &*label.name == "alertname");
    let pairs = first.into_iter().chain(others).map(|label| {
        let fields = [
            ("Name", "Name", Value::Text(label.name.clone())),
            ("Value", "Value", Value::Text(label.value.clone())),
        ];
        Value::Record(Arc::new(Record::new("template.Pair", fields)))
    });
    Value::Array(pairs.collect())
}

fn names(labels: &Labels) -> Value {
    column(&array(&pairs(labels)), "Name").unwrap_or(Value::Absent)
}

fn values(labels: &Labels) -> Value {
    column(&array(&pairs(labels)), "Value").unwrap_or(Value::Absent)
}

fn array(value: &Value) -> Arc<[Value]> {
    match value {
        Value::Array(items) => Arc::clone(items),
        _ => Arc::from([]),
    }
}

fn column(items: &[Value], name: &str) -> Result<Value, String> {
    let of = |item: &Value| match item {
        Value::Record(record) => record.field(name).cloned(),
        _ => None,
    };
    let found: Option<Arc<[Value]>> = items.iter().map(of).collect();
    found.map(Value::Array).ok_or_else(|| format!("what is listed here has no `{name}`"))
}

fn with_status(items: &[Value], status: &str) -> Value {
    let is = |item: &&Value| match item {
        Value::Record(record) => {
            matches!(record.field("Status"), Some(Value::Text(text)) if &**text == status)
        }
        _ => false,
    };
    Value::Array(items.iter().filter(is).cloned().collect())
}

fn texts(value: &Value) -> Result<Vec<&str>, String> {
    match value {
        Value::Array(items) => items.iter().map(text).collect(),
        other => Err(format!("it needs a list of texts, not a {}", other.kind())),
    }
}

/// Upper case for the first letter of each word and lower case for the rest, as the Unicode title
/// casing does that Alertmanager uses: an apostrophe or a dot between letters ends no word.
fn title(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut is_inside = false;
    for (at, character) in characters.iter().enumerate() {
        let is_word = |other: char| other.is_alphanumeric() || other == '_';
        if is_word(*character) {
            if is_inside {
                out.extend(character.to_lowercase());
            } else {
                out.extend(character.to_uppercase());
            }
            // A word that begins with digits has its first letter in upper case all the same.
            is_inside |= character.is_alphabetic();
            continue;
        }
        let joins = matches!(character, '\'' | '’' | '.' | ':' | '·');
        let next = characters.get(at + 1).is_some_and(|next| next.is_alphabetic());
        is_inside = is_inside && joins && next;
        out.push(*character);
    }
    out
}

fn url_unescape(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = [rest.next(), rest.next()];
                let digit = |byte: Option<u8>| byte.and_then(|byte| char::from(byte).to_digit(16));
                let [Some(high), Some(low)] = digits.map(digit) else {
                    return Err(format!("`{text:.100}` has a broken escape"));
                };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
            }
            plain => bytes.push(plain),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
