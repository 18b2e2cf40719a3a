//! What a query is told and what it answers.

use std::time::Duration;

use super::{Annotation, Interrupt};
use crate::model::{Labels, Sample, Timestamp};

/// How queries are evaluated; the defaults are Prometheus's.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// How old a sample may be and still stand for its series.
    pub lookback: Duration,
    /// The step of a subquery that names none.
    pub subquery_step: Duration,
    /// How many samples a query may hold at once, in all of its parts together; each takes 8 bytes.
    /// Labels that the query makes count as well, by their length.
    pub samples_max: usize,
    /// Whether names fall only at the end of a query instead of at each function, so that
    /// `label_replace` can still read them. Prometheus releases have it off; its conformance suite
    /// has it on.
    pub delayed_name_removal: bool,
    /// Whether `__type__` and `__unit__` are metadata that fall together with the name. Off unless
    /// whoever fills the store writes them so.
    pub type_and_unit_labels: bool,
    /// Asked now and then whether to go on.
    pub interrupt: Interrupt<'a>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            subquery_step: Duration::from_secs(60),
            samples_max: 50_000_000,
            delayed_name_removal: false,
            type_and_unit_labels: false,
            interrupt: Interrupt::default(),
        }
    }
}

/// A query's result and what was remarked on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// Remarks, sorted, each once.
    pub annotations: Vec<Annotation>,
}

/// A result.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// One number.
    Scalar(f64),
    /// A text.
    String(String),
    /// One value for each series: in the order asked for where the outermost function sorts,
    /// otherwise sorted by labels.
    Vector(Vec<Point>),
    /// Several values for each series, sorted by labels.
    Matrix(Vec<Series>),
}

/// A series' value at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which series.
    pub labels: Labels,
    /// The time of the evaluation, not that of the sample.
    pub at: Timestamp,
    /// The value.
    pub value: f64,
}

/// A series and its values in time order.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Which series.
    pub labels: Labels,
    /// Its values, at least one.
    pub samples: Vec<Sample>,
}
