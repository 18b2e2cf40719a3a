//! Rule files as they were written, with every text parsed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::no_data::NoData;
use super::state::Holds;
use crate::promql::Expr;
use crate::template::Template;

/// A rule file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleFile {
    /// Its groups, in order.
    pub groups: Vec<GroupSpec>,
}

/// A group: rules that are evaluated in order at the same times. Two are equal when they were
/// written alike.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpec {
    /// The file it stands in.
    pub file: String,
    /// Its name, unique in the file.
    pub name: String,
    /// How often it is evaluated, where the default is not wanted.
    pub interval: Option<Duration>,
    /// The most alerts or series that one rule may make; 0 is no limit.
    pub limit: usize,
    /// How far in the past it reads and writes, where the default is not wanted.
    pub query_offset: Option<Duration>,
    /// Labels for all rules. They are among each rule's own labels already.
    pub labels: BTreeMap<String, String>,
    /// The rules.
    pub rules: Vec<RuleSpec>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq)]
pub enum RuleSpec {
    /// `record:`
    Recording(RecordingSpec),
    /// `alert:`
    Alerting(AlertingSpec),
}

/// A rule that writes its result as series.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingSpec {
    /// The name of the series.
    pub record: String,
    /// What is evaluated.
    pub expr: Expr,
    /// Labels that the series get, over those of the result.
    pub labels: BTreeMap<String, String>,
}

/// A rule whose results are alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertingSpec {
    /// The alerts' name.
    pub alert: String,
    /// What is evaluated.
    pub expr: Expr,
    /// `for` and `keep_firing_for`.
    pub holds: Holds,
    /// What becomes of its alerts while there is nothing to judge by.
    pub no_data: NoData,
    /// Labels that the alerts get, over those of the result.
    pub labels: BTreeMap<String, Template>,
    /// Texts for people.
    pub annotations: BTreeMap<String, Template>,
}

impl RuleSpec {
    /// The name of the series or the alert.
    pub fn name(&self) -> &str {
        match self {
            Self::Recording(rule) => &rule.record,
            Self::Alerting(rule) => &rule.alert,
        }
    }

    /// What is evaluated.
    pub fn expr(&self) -> &Expr {
        match self {
            Self::Recording(rule) => &rule.expr,
            Self::Alerting(rule) => &rule.expr,
        }
    }

    /// The labels as they were written.
    pub fn labels(&self) -> BTreeMap<String, String> {
        match self {
            Self::Recording(rule) => rule.labels.clone(),
            Self::Alerting(rule) => written(&rule.labels),
        }
    }

    /// The annotations as they were written; a recording rule has none.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        match self {
            Self::Recording(_) => BTreeMap::new(),
            Self::Alerting(rule) => written(&rule.annotations),
        }
    }
}

fn written(templates: &BTreeMap<String, Template>) -> BTreeMap<String, String> {
    templates.iter().map(|(name, text)| (name.clone(), text.text().to_owned())).collect()
}
