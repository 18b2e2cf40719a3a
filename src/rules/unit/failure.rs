//! What was not as a test expects, and how that reads.

use std::fmt;
use std::time::Duration;

use super::difference::{Difference, Told};
use crate::model::{Labels, Place, format_duration};
use crate::promql::format_value;

/// One thing that was not as expected.
#[derive(Clone, Debug)]
pub enum Failure {
    /// A rule could not be evaluated, which ends the test.
    Rule {
        /// The rule's group.
        group: String,
        /// The rule.
        rule: String,
        /// When, from the test's start.
        at: Duration,
        /// Why.
        error: String,
    },
    /// Other alerts fire.
    Alerts {
        /// Where the expectation is written.
        place: Place,
        /// Whose alerts.
        alertname: String,
        /// When, from the test's start.
        at: Duration,
        /// What should fire, sorted.
        expected: Vec<Told>,
        /// What does, sorted.
        got: Vec<Told>,
        /// How they differ.
        difference: Difference,
    },
    /// An expression could not be evaluated.
    Query {
        /// Where it is written.
        place: Place,
        /// The expression.
        expr: String,
        /// When, from the test's start.
        at: Duration,
        /// Why.
        error: String,
    },
    /// An expression yields other samples.
    Samples {
        /// Where it is written.
        place: Place,
        /// The expression.
        expr: String,
        /// When, from the test's start.
        at: Duration,
        /// What it should yield, sorted by labels.
        expected: Vec<(Labels, f64)>,
        /// What it does.
        got: Vec<(Labels, f64)>,
    },
}

impl Failure {
    /// Where the expectation is written; nothing where a rule failed.
    pub fn place(&self) -> Option<&Place> {
        match self {
            Self::Rule { .. } => None,
            Self::Alerts { place, .. }
            | Self::Query { place, .. }
            | Self::Samples { place, .. } => Some(place),
        }
    }

    /// What was expected and what came, one line for each piece, for a line-by-line comparison.
    pub fn sides(&self) -> Option<(Vec<String>, Vec<String>)> {
        match self {
            Self::Rule { .. } | Self::Query { .. } => None,
            Self::Alerts { expected, got, .. } => Some((listed(expected), listed(got))),
            Self::Samples { expected, got, .. } => {
                let lines = |samples: &[(Labels, f64)]| samples.iter().map(sample).collect();
                Some((lines(expected), lines(got)))
            }
        }
    }

    /// What is wrong in one line.
    pub fn headline(&self) -> String {
        match self {
            Self::Rule { group, rule, at, error } => format!(
                "the rule `{rule}` of the group `{group}` failed at {}: {error}",
                format_duration(*at)
            ),
            Self::Alerts { place, alertname, at, expected, got, .. } => format!(
                "{place}: `{alertname}` at {}: {} expected to fire, {} fire{}",
                format_duration(*at),
                count(expected.len(), "alert"),
                got.len(),
                if got.len() == 1 { "s" } else { "" },
            ),
            Self::Query { place, expr, at, error } => {
                format!("{place}: `{}` at {}: {error}", expr.trim(), format_duration(*at))
            }
            Self::Samples { place, expr, at, expected, got } => format!(
                "{place}: `{}` at {}: {} expected, got {}",
                expr.trim(),
                format_duration(*at),
                count(expected.len(), "sample"),
                got.len(),
            ),
        }
    }
}

/// Several lines; all but the first are indented.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.headline())?;
        match self {
            Self::Rule { .. } | Self::Query { .. } => Ok(()),
            Self::Alerts { difference, .. } => write_alerts(formatter, difference),
            Self::Samples { expected, got, .. } => write_samples(formatter, expected, got),
        }
    }
}

fn write_alerts(formatter: &mut fmt::Formatter<'_>, difference: &Difference) -> fmt::Result {
    for (expected, got) in &difference.differing {
        write!(formatter, "\n  differs     {}", braced(got))?;
        let parts = [
            ("label", &expected.labels, &got.labels),
            ("annotation", &expected.annotations, &got.annotations),
        ];
        for (what, expected, got) in parts {
            let names =
                expected.keys().chain(got.keys().filter(|name| !expected.contains_key(*name)));
            for name in names.filter(|name| expected.get(*name) != got.get(*name)) {
                write!(formatter, "\n    {what} `{name}`")?;
                write!(formatter, "\n      expected  {}", shown(expected.get(name)))?;
                write!(formatter, "\n      got       {}", shown(got.get(name)))?;
            }
            if what == "label" && expected.values().any(String::is_empty) {
                write!(formatter, "\n      (an alert has no empty labels: leave it out)")?;
            }
        }
    }
    for told in &difference.missing {
        write!(formatter, "\n  missing     {}", braced(told))?;
    }
    for told in &difference.unexpected {
        write!(formatter, "\n  unexpected  {}", braced(told))?;
        for (name, text) in &told.annotations {
            write!(formatter, "\n    annotation `{name}`: {text:?}")?;
        }
    }
    Ok(())
}

fn write_samples(
    formatter: &mut fmt::Formatter<'_>,
    expected: &[(Labels, f64)],
    got: &[(Labels, f64)],
) -> fmt::Result {
    let mut left: Vec<&(Labels, f64)> = got.iter().collect();
    for wanted in expected {
        let position = left.iter().position(|other| other.0 == wanted.0);
        match position.map(|position| left.remove(position)) {
            None => write!(formatter, "\n  missing     {}", sample(wanted))?,
            Some(found) if found.1 == wanted.1 => {}
            Some(found) => {
                write!(formatter, "\n  differs     {}", found.0)?;
                write!(formatter, "\n      expected  {}", format_value(wanted.1))?;
                write!(formatter, "\n      got       {}", format_value(found.1))?;
                if wanted.1.is_nan() {
                    write!(formatter, "\n      (NaN equals nothing, itself neither)")?;
                }
            }
        }
    }
    left.iter().try_for_each(|other| write!(formatter, "\n  unexpected  {}", sample(other)))
}

fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

fn shown(text: Option<&String>) -> String {
    text.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"))
}

fn braced(told: &Told) -> String {
    let pairs = told.labels.iter().map(|(name, value)| format!("{name}={value:?}"));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
}

fn sample((labels, value): &(Labels, f64)) -> String {
    format!("{labels} {}", format_value(*value))
}

fn listed(alerts: &[Told]) -> Vec<String> {
    let mut lines = Vec::new();
    for told in alerts {
        lines.push("- labels:".to_owned());
        lines.extend(told.labels.iter().map(|(name, value)| format!("    {name}: {value:?}")));
        lines.push("  annotations:".to_owned());
        lines.extend(told.annotations.iter().map(|(name, text)| format!("    {name}: {text:?}")));
    }
    lines
}
