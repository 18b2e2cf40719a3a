//! What holds of any expression over any data.
//!
//! An input is the expression's text up to the first zero byte, and the bytes after it choose the
//! [`Scene`].

use std::time::Duration;

use bellwether::model::{Labels, Timestamp};
use bellwether::promql::{self, Answer, EvalError, Expr, Point, Series, Value, ValueType};

use crate::scene::Scene;

/// Evaluates at one time and over a range. Nothing panics; an instant is a range of one step, each
/// step of a range is what an instant gives there; no answer is larger than the options allow.
pub fn check(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0).unwrap_or(input.len());
    let text = String::from_utf8_lossy(&input[..end]);
    let Ok(expr) = promql::parse(&text) else { return };
    let scene = Scene::new(&expr, input.get(end + 1..).unwrap_or_default());
    let instant = at(&expr, &scene, scene.at);
    let Scene { store, options, .. } = &scene;
    let one = promql::range(&expr, store, scene.at, scene.at, Duration::ZERO, options);
    check_size(&instant, &scene);
    check_size(&one, &scene);
    if !matches!(expr.value_type(), ValueType::Scalar | ValueType::Vector) {
        assert_eq!(one, Err(EvalError::RangeType(expr.value_type())));
        return;
    }
    compare(&text, &instant, &one, scene.at);
    let range = promql::range(&expr, store, scene.at, scene.end, scene.step, options);
    check_size(&range, &scene);
    // A series that is joined over several steps loses its name at all of them with delayed
    // removal, here as in Prometheus; and `@ start()` is another time in a longer query.
    let is_alike = !options.delayed_name_removal && !text.contains(['@']);
    if let (Ok(_), true) = (&range, is_alike) {
        for time in scene.times() {
            compare(&text, &at(&expr, &scene, time), &range, time);
        }
    }
}

fn at(expr: &Expr, scene: &Scene, at: Timestamp) -> Result<Answer, EvalError> {
    promql::instant(expr, &scene.store, at, &scene.options)
}

fn check_size(answer: &Result<Answer, EvalError>, scene: &Scene) {
    let size = match answer {
        Err(error) => return assert!(!error.to_string().is_empty()),
        Ok(answer) => match &answer.value {
            Value::Scalar(_) | Value::String(_) => 0,
            Value::Vector(points) => points.len(),
            Value::Matrix(series) => series.iter().map(|series| series.samples.len()).sum(),
        },
    };
    assert!(size <= scene.options.samples_max, "{size} samples");
}

/// Holds an instant's answer to what a range says of the same time.
fn compare(
    text: &str,
    instant: &Result<Answer, EvalError>,
    range: &Result<Answer, EvalError>,
    at: Timestamp,
) {
    let (instant, range) = match (instant, range) {
        (Ok(instant), Ok(range)) => (&instant.value, &range.value),
        (Err(one), Err(other)) => {
            return assert_eq!(one.to_string(), other.to_string(), "`{text}`");
        }
        (one, other) => panic!("`{text}` at {at:?}: {one:?}\nis not {other:?}"),
    };
    let mut points = match instant {
        Value::Vector(points) => points.clone(),
        Value::Scalar(value) => vec![Point { labels: Labels::empty(), at, value: *value }],
        Value::String(_) | Value::Matrix(_) => Vec::new(),
    };
    points.sort_by(|left, right| left.labels.cmp(&right.labels));
    let Value::Matrix(series) = range else { panic!("`{text}`: {range:?} is no matrix") };
    let value = |series: &Series| series.samples.iter().find(|s| s.at == at).map(|s| s.value);
    let found: Vec<_> =
        series.iter().filter_map(|series| Some((&series.labels, value(series)?))).collect();
    let is_same = found.len() == points.len()
        && found
            .iter()
            .zip(&points)
            .all(|((labels, value), point)| **labels == point.labels && same(*value, point.value));
    assert!(is_same, "`{text}` at {at:?}: {points:?}\nis not {found:?}");
}

fn same(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || left.is_nan() && right.is_nan()
}
