//! Whether an evaluation gives what its script expects.

use std::time::Duration;

use bellwether::model::{Labels, Timestamp};
use bellwether::promql::{self, Answer, Expr, Options, Series, Severity, Value as Result_};

use crate::case::{Case, Expected, Times, Value, Wanted};

pub enum Outcome {
    Passed,
    /// Not built, and said so by name.
    Refused(String),
    /// Reads samples that the engine is not given, and would be wrong without them.
    Unreadable(&'static str),
    Wrong(String),
}

/// Prometheus's own tolerance.
const TOLERANCE: f64 = 1e-6;

/// When names fall; see [`Options::delayed_name_removal`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Names {
    /// As Prometheus's own suite runs.
    AtTheEnd,
    /// As Prometheus is released.
    AtOnce,
}

pub fn judge(case: &Case, names: Names) -> Outcome {
    let expr = match promql::parse(&case.query) {
        Ok(expr) => expr,
        Err(error) if error.message.contains("not supported") => {
            return Outcome::Refused(error.message);
        }
        Err(error) => return failure(&case.expected, &error.message),
    };
    let options = Options {
        delayed_name_removal: names == Names::AtTheEnd,
        type_and_unit_labels: true,
        ..Options::default()
    };
    case.store.touched.set(None);
    let outcome = match evaluate(&expr, case, case.times, &options) {
        Ok(answer) => compare(case, &expr, &answer, &options),
        Err(error) if !case.expected.fails && error.contains("not supported") => {
            Outcome::Refused("samples that are native histograms".to_owned())
        }
        Err(error) => failure(&case.expected, &error),
    };
    match (outcome, case.store.touched.get()) {
        (Outcome::Wrong(_), Some(what)) => Outcome::Unreadable(what),
        (outcome, _) => outcome,
    }
}

fn evaluate(expr: &Expr, case: &Case, times: Times, options: &Options) -> Result<Answer, String> {
    let answer = match times {
        Times::At(at) => promql::instant(expr, &case.store, Timestamp::from_millis(at), options),
        Times::Range { start, end, step } => promql::range(
            expr,
            &case.store,
            Timestamp::from_millis(start),
            Timestamp::from_millis(end),
            Duration::from_millis(step.unsigned_abs()),
            options,
        ),
    };
    answer.map_err(|error| error.to_string())
}

fn failure(expected: &Expected, message: &str) -> Outcome {
    if !expected.fails {
        return Outcome::Wrong(format!("fails: {message}"));
    }
    match expected.fail_texts.iter().all(|wanted| wanted.accepts(message)) {
        true => Outcome::Passed,
        false => Outcome::Wrong(format!("fails with another message: {message}")),
    }
}

fn compare(case: &Case, expr: &Expr, answer: &Answer, options: &Options) -> Outcome {
    let expected = &case.expected;
    if expected.fails {
        return Outcome::Wrong("does not fail".to_owned());
    }
    if let Err(why) = annotations(expected, answer) {
        return Outcome::Wrong(why);
    }
    let checked = match case.times {
        Times::At(at) => instant(expected, answer, at)
            .and_then(|()| again_as_range(case, expr, answer, at, options)),
        Times::Range { start, step, .. } => match &answer.value {
            Result_::Matrix(series) => matrix(&expected.series, series, start, step),
            other => Err(format!("not a matrix but {other:?}")),
        },
    };
    checked.map_or_else(Outcome::Wrong, |()| Outcome::Passed)
}

fn annotations(expected: &Expected, answer: &Answer) -> Result<(), String> {
    let of = |severity: Severity| -> Vec<String> {
        let annotations = answer.annotations.iter().filter(|found| found.severity == severity);
        annotations.map(ToString::to_string).collect()
    };
    for (found, wanted, is_refused) in [
        (of(Severity::Warning), &expected.warns, expected.no_warn),
        (of(Severity::Info), &expected.infos, expected.no_info),
    ] {
        if is_refused && !found.is_empty() {
            return Err(format!("has annotations {found:?}"));
        }
        let is_met = |wanted: &Wanted| found.iter().any(|found| wanted.accepts(found));
        if !wanted.iter().all(is_met) {
            return Err(format!("lacks an annotation, has {found:?}"));
        }
        let is_wanted = |found: &String| wanted.iter().any(|wanted| wanted.accepts(found));
        if !wanted.is_empty() && !found.iter().all(is_wanted) {
            return Err(format!("has unexpected annotations {found:?}"));
        }
    }
    Ok(())
}

fn instant(expected: &Expected, answer: &Answer, at: i64) -> Result<(), String> {
    match &answer.value {
        Result_::String(text) => match &expected.string {
            Some(string) if string == text => Ok(()),
            _ => Err(format!("is the string {text:?}")),
        },
        Result_::Scalar(value) => match expected.scalar {
            Some(scalar) if is_close(scalar, *value) => Ok(()),
            scalar => Err(format!("is {value}, not {scalar:?}")),
        },
        Result_::Matrix(series) => {
            let (start, _, step) = expected.range.unwrap_or((at, at, 1));
            matrix(&expected.series, series, start, step)
        }
        Result_::Vector(points) => {
            let found: Vec<(Labels, f64)> =
                points.iter().map(|point| (point.labels.clone(), point.value)).collect();
            let mut wanted = Vec::new();
            for (labels, values) in &expected.series {
                let [Value::Float(value)] = values[..] else {
                    return Err(format!("is {found:?}, not {values:?}"));
                };
                wanted.push((labels.clone(), value));
            }
            let (mut left, mut right) = (found, wanted);
            if !expected.is_ordered {
                left.sort_by(|left, right| left.0.cmp(&right.0));
                right.sort_by(|left, right| left.0.cmp(&right.0));
            }
            let is_same = left.len() == right.len()
                && left
                    .iter()
                    .zip(&right)
                    .all(|(left, right)| left.0 == right.0 && is_close(right.1, left.1));
            if is_same { Ok(()) } else { Err(format!("is {left:?}, not {right:?}")) }
        }
    }
}

fn matrix(
    expected: &[(Labels, Vec<Value>)],
    found: &[Series],
    start: i64,
    step: i64,
) -> Result<(), String> {
    let mut wanted: Vec<(&Labels, Vec<(i64, f64)>)> = Vec::new();
    for (labels, values) in expected {
        let mut samples = Vec::new();
        for (at, value) in values.iter().enumerate() {
            match value {
                Value::Absent | Value::Stale => {}
                Value::Float(value) => samples.push((start + step * at as i64, *value)),
                Value::Histogram => return Err("has no histograms".to_owned()),
            }
        }
        if !samples.is_empty() {
            wanted.push((labels, samples));
        }
    }
    wanted.sort_by(|left, right| left.0.cmp(right.0));
    let is_same = wanted.len() == found.len()
        && wanted.iter().zip(found).all(|((labels, samples), series)| {
            **labels == series.labels
                && samples.len() == series.samples.len()
                && samples.iter().zip(&series.samples).all(|(wanted, found)| {
                    wanted.0 == found.at.millis() && is_close(wanted.1, found.value)
                })
        });
    if is_same { Ok(()) } else { Err(format!("is {found:?}, not {wanted:?}")) }
}

/// The same at one step of a range, and in the middle of three.
fn again_as_range(
    case: &Case,
    expr: &Expr,
    answer: &Answer,
    at: i64,
    options: &Options,
) -> Result<(), String> {
    let expected: Vec<(Labels, f64)> = match &answer.value {
        Result_::Scalar(value) => vec![(Labels::empty(), *value)],
        Result_::Vector(points) => {
            let mut points: Vec<_> =
                points.iter().map(|point| (point.labels.clone(), point.value)).collect();
            points.sort_by(|left, right| left.0.cmp(&right.0));
            points
        }
        Result_::String(_) | Result_::Matrix(_) => return Ok(()),
    };
    let depends_on_bounds = case.query.contains("start()") || case.query.contains("end()");
    let minute = 60_000;
    let single = Times::Range { start: at, end: at, step: minute };
    let three = Times::Range { start: at - minute, end: at + minute, step: minute };
    for times in [single, three] {
        if depends_on_bounds && matches!(times, Times::Range { start, end, .. } if start != end) {
            continue;
        }
        let range = match evaluate(expr, case, times, options) {
            Ok(range) => range,
            // Another step may fail where this one does not.
            Err(_) if matches!(times, Times::Range { start, end, .. } if start != end) => continue,
            Err(error) => return Err(format!("as a range fails: {error}")),
        };
        let Result_::Matrix(series) = range.value else { return Err("no matrix".to_owned()) };
        let found: Vec<(Labels, f64)> = series
            .iter()
            .filter_map(|series| {
                let sample = series.samples.iter().find(|sample| sample.at.millis() == at)?;
                Some((series.labels.clone(), sample.value))
            })
            .collect();
        let is_same = found.len() == expected.len()
            && found
                .iter()
                .zip(&expected)
                .all(|(found, expected)| found.0 == expected.0 && is_close(expected.1, found.1));
        if !is_same {
            return Err(format!("as a range is {found:?}, not {expected:?}"));
        }
    }
    Ok(())
}

/// Equal within Prometheus's own tolerance; NaN equals NaN.
pub fn is_close(wanted: f64, found: f64) -> bool {
    if wanted.is_nan() || found.is_nan() {
        return wanted.is_nan() && found.is_nan();
    }
    if wanted == found {
        return true;
    }
    let sum = wanted.abs() + found.abs();
    let difference = (wanted - found).abs();
    if wanted == 0.0 || found == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
