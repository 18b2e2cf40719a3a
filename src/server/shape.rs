//! Prometheus's JSON: the envelope around every answer, and how points are written.

use axum::Json;
use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::model::{Labels, Sample, Timestamp};
use crate::promql::{Answer, Point, Series, Severity, Value, format_value};

/// Said where a list was cut.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// A successful answer.
#[derive(serde::Serialize)]
pub(super) struct Envelope<T> {
    status: &'static str,
    data: T,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    infos: Vec<String>,
}

impl<T: Serialize> Envelope<T> {
    pub(super) fn new(data: T) -> Self {
        Self { status: "success", data, warnings: Vec::new(), infos: Vec::new() }
    }

    /// The answer as it goes out, written on the thread that calls.
    pub(super) fn encode(&self) -> Encoded {
        Encoded(serde_json::to_vec(self).expect("answers have text for keys and write themselves"))
    }
}

/// An answer that is written already.
pub(super) struct Encoded(Vec<u8>);

impl IntoResponse for Encoded {
    fn into_response(self) -> Response {
        ([(CONTENT_TYPE, "application/json")], Body::from(self.0)).into_response()
    }
}

pub(super) fn success(data: impl Serialize) -> Response {
    Json(Envelope::new(data)).into_response()
}

/// A list, and Prometheus's word where it was cut. 0 is no limit.
pub(super) fn list<T: Serialize>(mut entries: Vec<T>, limit: usize) -> Envelope<Vec<T>> {
    let is_cut = cut(&mut entries, limit);
    let mut envelope = Envelope::new(entries);
    if is_cut {
        envelope.warnings.push(TRUNCATED.to_owned());
    }
    envelope
}

fn cut<T>(entries: &mut Vec<T>, limit: usize) -> bool {
    let is_cut = limit > 0 && entries.len() > limit;
    if is_cut {
        entries.truncate(limit);
    }
    is_cut
}

/// What a query answers.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryData<S> {
    result_type: &'static str,
    result: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    stats: Option<S>,
}

/// The answer to a query with at most so many series; 0 is no limit.
pub(super) fn answer<S: Serialize>(
    answer: Answer,
    at: Timestamp,
    limit: usize,
    stats: Option<S>,
) -> Envelope<QueryData<S>> {
    let remarks = |wanted: Severity| -> Vec<String> {
        let found = answer.annotations.iter().filter(|remark| remark.severity == wanted);
        found.map(ToString::to_string).collect()
    };
    let (mut warnings, infos) = (remarks(Severity::Warning), remarks(Severity::Info));
    let mut value = answer.value;
    let is_cut = match &mut value {
        Value::Vector(points) => cut(points, limit),
        Value::Matrix(series) => cut(series, limit),
        Value::Scalar(_) | Value::String(_) => false,
    };
    if is_cut {
        warnings.push(TRUNCATED.to_owned());
    }
    let result_type = match &value {
        Value::Scalar(_) => "scalar",
        Value::String(_) => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    };
    let data = QueryData { result_type, result: Shown { value, at }, stats };
    Envelope { status: "success", data, warnings, infos }
}

struct Shown {
    value: Value,
    at: Timestamp,
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            // Written by another part of Prometheus, which has its own ways with both numbers.
            Value::Scalar(value) => {
                (PlainSeconds(self.at), format_value(*value)).serialize(serializer)
            }
            Value::String(text) => (PlainSeconds(self.at), text).serialize(serializer),
            Value::Vector(points) => serializer.collect_seq(points.iter().map(OfPoint)),
            Value::Matrix(series) => serializer.collect_seq(series.iter().map(OfSeries)),
        }
    }
}

fn pair(sample: Sample) -> (Seconds, String) {
    (Seconds(sample.at), number(sample.value))
}

struct OfPoint<'a>(&'a Point);

impl Serialize for OfPoint<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Point { labels, at, value } = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &Metric(labels))?;
        map.serialize_entry("value", &pair(Sample { at: *at, value: *value }))?;
        map.end()
    }
}

struct OfSeries<'a>(&'a Series);

impl Serialize for OfSeries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values: Vec<(Seconds, String)> = self.0.samples.iter().copied().map(pair).collect();
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("metric", &Metric(&self.0.labels))?;
        map.serialize_entry("values", &values)?;
        map.end()
    }
}

/// A label set as an object.
pub(super) struct Metric<L>(pub L);

impl<L: AsLabels> Serialize for Metric<L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.labels().iter().map(|label| (&*label.name, &*label.value)))
    }
}

/// Labels, lent or owned.
pub(super) trait AsLabels {
    fn labels(&self) -> &Labels;
}

impl AsLabels for &Labels {
    fn labels(&self) -> &Labels {
        self
    }
}

impl AsLabels for Labels {
    fn labels(&self) -> &Labels {
        self
    }
}

/// A time as Prometheus writes it: whole seconds, or seconds with three decimals.
struct Seconds(Timestamp);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let millis = self.0.millis();
        if millis % 1000 == 0 {
            return serializer.serialize_i64(millis / 1000);
        }
        let sign = if millis < 0 { "-" } else { "" };
        let (seconds, rest) = (millis.unsigned_abs() / 1000, millis.unsigned_abs() % 1000);
        let text = format!("{sign}{seconds}.{rest:03}");
        RawValue::from_string(text).expect("digits and a point are a number").serialize(serializer)
    }
}

/// The time of a scalar or a string: as many decimals as it takes.
struct PlainSeconds(Timestamp);

impl Serialize for PlainSeconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.millis() % 1000 {
            0 => serializer.serialize_i64(self.0.millis() / 1000),
            _ => serializer.serialize_f64(self.0.seconds()),
        }
    }
}

/// A sample's value as Prometheus's API writes it: very small and very large ones with an exponent, unlike in
/// the text of an expression.
fn number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-6..1e21).contains(&value.abs());
    if is_plain { format_value(value) } else { exponent(value) }
}

/// A value as Go's `%e` writes it, which is how Prometheus shows an alert's:
/// `5e-01`, `+Inf`.
pub(super) fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return format_value(value);
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = match power.strip_prefix('-') {
                Some(power) => ('-', power),
                None => ('+', power),
            };
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected: what Prometheus 3.5 answers to `vector(1)` at these times.
    #[test]
    fn times_are_written_as_prometheus_writes_them() {
        for (millis, text) in [
            (0, "0"),
            (1000, "1"),
            (1500, "1.500"),
            (2, "0.002"),
            (-1, "-0.001"),
            (-1500, "-1.500"),
            (1_600_000_000_123, "1600000000.123"),
        ] {
            let written = serde_json::to_string(&Seconds(Timestamp::from_millis(millis))).unwrap();
            assert_eq!(written, text);
        }
    }

    // By hand from Go's `%e` with the shortest digits.
    #[test]
    fn a_value_is_written_as_go_writes_it() {
        for (value, expected) in [
            (0.5, "5e-01"),
            (1.0, "1e+00"),
            (-1234.5, "-1.2345e+03"),
            (1e-10, "1e-10"),
            (0.0, "0e+00"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(exponent(value), expected);
        }
    }
}
