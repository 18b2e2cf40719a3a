//! What a template's expressions evaluate to.
//!
//! Values are shallow: a list holds samples only, and a map never holds a map, so that neither
//! printing nor dropping one can run away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::number;
use crate::model::{Labels, Timestamp};

#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Go's nil, and the value of a key that a map lacks.
    Absent,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(Arc<str>),
    /// `map[string]string`
    Labels(Labels),
    /// One result of `query`.
    Sample(Labels, f64),
    /// The results of `query`.
    List(Arc<[(Labels, f64)]>),
    /// What `args` makes.
    Map(Arc<BTreeMap<String, Value>>),
    /// The template's own data: `.` at the top, and `$`.
    Root,
    Time(Timestamp),
    /// In nanoseconds.
    Span(i64),
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
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
            Self::Time(_) => "time",
            Self::Span(_) => "duration",
        }
    }

    /// What touching all of it counts for against the limit on work.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Text(text) => text.len() / 64,
            Self::Labels(labels) => labels.len(),
            Self::List(samples) => samples.len(),
            Self::Map(entries) => entries.values().map(Self::weight).sum(),
            Self::Absent
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Sample(..)
            | Self::Root
            | Self::Time(_)
            | Self::Span(_) => 0,
        }
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
            Self::Sample(..) | Self::Root | Self::Time(_) => true,
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
            Self::Time(at) => number::time(*at),
            Self::Span(nanos) => number::span(*nanos),
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
