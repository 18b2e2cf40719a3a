//! A file of unit tests, read.

use std::collections::BTreeMap;
use std::time::Duration;

use super::difference::Told;
use crate::model::{Labels, Place, Timestamp};
use crate::promql::Expr;

/// A file of unit tests.
#[derive(Clone, Debug)]
pub struct Script {
    /// The rule files, relative to this one.
    pub rule_files: Vec<Pattern>,
    /// How often rules are evaluated; also the step of subqueries without one.
    pub interval: Duration,
    /// Positions of groups by name.
    pub order: BTreeMap<String, usize>,
    /// Whether values may differ in their last bit.
    pub is_fuzzy: bool,
    /// The tests in order.
    pub tests: Vec<Test>,
}

/// A path of a rule file, perhaps with `*`, `?` or `[…]`.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Where it is written.
    pub place: Place,
    /// As it is written.
    pub text: String,
}

/// One test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Where it begins.
    pub place: Place,
    /// Its name, empty where it has none.
    pub name: String,
    /// When its first sample is, and what its other times count from.
    pub start: Timestamp,
    /// From one sample of a series to the next.
    pub spacing: Duration,
    /// `$externalLabels`
    pub external_labels: Labels,
    /// `$externalURL`
    pub external_url: String,
    /// What the rules read.
    pub input: Vec<Series>,
    /// Which alerts fire when.
    pub alerts: Vec<AlertCase>,
    /// What expressions yield.
    pub exprs: Vec<ExprCase>,
}

/// An input series.
#[derive(Clone, Debug)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// One entry for each step; `None` is a gap.
    pub values: Vec<Option<f64>>,
}

/// All alerts of a name that fire at a time.
#[derive(Clone, Debug)]
pub struct AlertCase {
    /// Where it is written.
    pub place: Place,
    /// When, from the test's start.
    pub at: Duration,
    /// Whose alerts.
    pub alertname: String,
    /// What must fire, and nothing else.
    pub expected: Vec<Told>,
}

/// An expression's samples at a time.
#[derive(Clone, Debug)]
pub struct ExprCase {
    /// Where it is written.
    pub place: Place,
    /// When, from the test's start.
    pub at: Duration,
    /// The expression.
    pub expr: Expr,
    /// Its samples, sorted by labels.
    pub expected: Vec<(Labels, f64)>,
}

impl Script {
    /// What a test is called: by its name, or by its position where it has none.
    pub fn name(&self, test: usize) -> String {
        match self.tests.get(test) {
            Some(test) if !test.name.is_empty() => test.name.clone(),
            _ => format!("unnamed#{test}"),
        }
    }
}

impl Test {
    /// The last moment that it asks about.
    pub(super) fn end(&self) -> Duration {
        let alerts = self.alerts.iter().map(|case| case.at);
        alerts.chain(self.exprs.iter().map(|case| case.at)).max().unwrap_or_default()
    }
}
