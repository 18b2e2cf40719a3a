//! What a template's expressions evaluate to.
//!
//! No value is deep, so that neither printing nor dropping one can run away. A list holds samples
//! only. What is nested in arrays, maps and records is the data of a notice, or was made by a
//! function that bounds its depth.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::number;
use crate::model::{Labels, Timestamp};

#[derive(Clone, Debug)]
/// A value.
pub enum Value {
    /// Go's nil, and the value of a key that a map lacks.
    Absent,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float64`
    Float(f64),
    /// `string`
    Text(Arc<str>),
    /// `map[string]string`
    Labels(Labels),
    /// One result of `query`.
    Sample(Labels, f64),
    /// The results of `query`.
    List(Arc<[(Labels, f64)]>),
    /// What `args` and `dict` make.
    Map(Arc<BTreeMap<String, Value>>),
    /// The template's own data: `.` at the top, and `$`.
    Root,
    /// A time, and in which zone it is written.
    Time(Timestamp, TimeZone),
    /// In nanoseconds.
    Span(i64),
    /// A slice: alerts, pairs, texts.
    Array(Arc<[Value]>),
    /// A struct of a notice's data.
    Record(Arc<Record>),
}

/// What Go holds as a struct: fields in order.
#[derive(Clone, Debug)]
pub struct Record {
    kind: &'static str,
    fields: Vec<(&'static str, &'static str, Value)>,
}

impl Record {
    /// A struct of a type, each field with its name in Go and its name in JSON.
    pub fn new<const N: usize>(
        kind: &'static str,
        fields: [(&'static str, &'static str, Value); N],
    ) -> Self {
        Self { kind, fields: fields.into() }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(field, ..)| *field == name).map(|(.., value)| value)
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = (&'static str, &'static str, &Value)> {
        self.fields.iter().map(|(name, json, value)| (*name, *json, value))
    }
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The type's name in Go, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Absent => "nil",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Text(_) => "string",
            Self::Labels(_) => "map[string]string",
            Self::Sample(..) => "sample",
            Self::List(_) => "query result",
            Self::Map(_) => "map[string]interface {}",
            Self::Root => "template data",
            Self::Time(..) => "time",
            Self::Span(_) => "duration",
            Self::Array(_) => "list",
            Self::Record(record) => record.kind,
        }
    }

    /// What touching all of it counts for against the limit on work.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len() / 64,
            Self::Labels(labels) => labels.len(),
            Self::List(samples) => samples.len(),
            Self::Map(entries) => entries.len() + entries.values().map(Self::weight).sum::<usize>(),
            Self::Absent
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Sample(..)
            | Self::Root
            | Self::Time(..)
            | Self::Span(_) => 0,
            Self::Array(items) => items.len() + items.iter().map(Self::weight).sum::<usize>(),
            Self::Record(record) => record.fields().map(|(.., value)| value.weight()).sum(),
        }
    }

    /// How deep arrays and maps are nested in it; the data of a notice counts as one.
    pub(super) fn depth(&self) -> usize {
        let deepest = match self {
            Self::Array(items) => items.iter().map(Self::depth).max(),
            Self::Map(entries) => entries.values().map(Self::depth).max(),
            _ => return usize::from(matches!(self, Self::Record(_))),
        };
        1 + deepest.unwrap_or_default()
    }

    /// Whether `if` and `with` take it: not zero and not empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Bool(is_true) => *is_true,
            Self::Int(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::Labels(labels) => !labels.is_empty(),
            Self::List(samples) => !samples.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Span(nanos) => *nanos != 0,
            Self::Array(items) => !items.is_empty(),
            Self::Sample(..) | Self::Root | Self::Time(..) | Self::Record(_) => true,
        }
    }

    /// As an action prints it.
    pub(super) fn printed(&self) -> String {
        match self {
            Self::Absent => "<no value>".to_owned(),
            other => other.shown(),
        }
    }

    /// As `%v` prints it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Absent => "<nil>".to_owned(),
            Self::Bool(is_true) => is_true.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => number::float(*number, 'g', None),
            Self::Text(text) => text.to_string(),
            Self::Labels(labels) => shown_labels(labels),
            Self::Sample(labels, value) => shown_sample(labels, *value),
            Self::List(samples) => {
                let shown: Vec<String> =
                    samples.iter().map(|(labels, value)| shown_sample(labels, *value)).collect();
                format!("[{}]", shown.join(" "))
            }
            Self::Map(entries) => {
                let shown: Vec<String> =
                    entries.iter().map(|(key, value)| format!("{key}:{}", value.shown())).collect();
                format!("map[{}]", shown.join(" "))
            }
            Self::Root => "{…}".to_owned(),
            Self::Time(at, zone) => number::time(*at, zone),
            Self::Span(nanos) => number::span(*nanos),
            Self::Array(items) => {
                let shown: Vec<String> = items.iter().map(Self::shown).collect();
                format!("[{}]", shown.join(" "))
            }
            Self::Record(record) => {
                let shown: Vec<String> = record.fields().map(|(.., value)| value.shown()).collect();
                format!("{{{}}}", shown.join(" "))
            }
        }
    }
}

fn shown_labels(labels: &Labels) -> String {
    let shown: Vec<String> =
        labels.iter().map(|label| format!("{}:{}", label.name, label.value)).collect();
    format!("map[{}]", shown.join(" "))
}

fn shown_sample(labels: &Labels, value: f64) -> String {
    format!("{{{} {}}}", shown_labels(labels), number::float(value, 'g', None))
}
