//! Looks at rule files and says what is odd in them.

use std::collections::BTreeMap;

use super::check::{Check, Remark};
use super::facts::{self, Recorded, name};
use crate::model::{Mistake, Place, suggest};
use crate::promql::{Part, PartKind};
use crate::rules::file::{RuleSource, Sourced};
use crate::rules::{AlertingSpec, GroupSpec, RuleSpec};

/// What begins the names of our own metrics.
const OURS: &str = "bellwether_";
/// Functions that take a fall for a reset.
const COUNTER_FUNCTIONS: [&str; 4] = ["rate", "irate", "increase", "resets"];
/// Alerts with this severity start a rollback and wake nobody.
const ROLLBACK: &str = "rollback";

/// What kind of metric a family is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Classic buckets: `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// Our own metrics by name.
pub type Known = BTreeMap<&'static str, Kind>;

/// Looks at files that are loaded together, for the kinds of oddities that are wanted.
pub fn lint(files: &[Sourced], known: &Known, wanted: &[Check]) -> Vec<Remark> {
    let groups = || files.iter().flat_map(|sourced| &sourced.file.groups);
    let recording = groups().flat_map(|group| &group.rules).filter_map(|rule| match rule {
        RuleSpec::Recording(rule) => Some((rule.record.as_str(), &rule.expr)),
        RuleSpec::Alerting(_) => None,
    });
    let mut look =
        Look { known, wanted, recorded: facts::recorded(recording), remarks: Vec::new() };
    for sourced in files {
        look.duplicates(sourced);
        for (group, sources) in sourced.file.groups.iter().zip(&sourced.sources) {
            for (position, (rule, source)) in group.rules.iter().zip(sources).enumerate() {
                look.rule(group, position, rule, source);
            }
        }
    }
    look.remarks.sort();
    look.remarks.dedup();
    look.remarks
}

struct Look<'a> {
    known: &'a Known,
    wanted: &'a [Check],
    recorded: Recorded,
    remarks: Vec<Remark>,
}

impl Look<'_> {
    fn say(&mut self, check: Check, place: Place, message: String, remedy: String) {
        if self.wanted.contains(&check) {
            let mistake = Mistake::new(place, message).remedy(remedy);
            self.remarks.push(Remark { mistake, check });
        }
    }

    /// By name and labels, as promtool compares: the expression does not matter.
    fn duplicates(&mut self, sourced: &Sourced) {
        let mut seen = BTreeMap::new();
        let rules = sourced.file.groups.iter().flat_map(|group| &group.rules);
        for (rule, source) in rules.zip(sourced.sources.iter().flatten()) {
            let identity = (rule.name().to_owned(), rule.labels());
            let Some(first) = seen.insert(identity, source.name.line) else { continue };
            let message = format!("`{}` has the same name and labels as line {first}", rule.name());
            let remedy = "tell them apart by a label: one writes the series of the other";
            self.say(Check::DuplicateRules, source.name.clone(), message, remedy.to_owned());
        }
    }

    fn rule(&mut self, group: &GroupSpec, position: usize, rule: &RuleSpec, source: &RuleSource) {
        let parts = rule.expr().parts();
        // Where the text that was parsed begins with white space, so does the node's.
        let place = |part: &Part<'_>| source.expr.place_at(part.offset);
        for part in &parts {
            match &part.kind {
                PartKind::Call { function, arguments } => {
                    let read = arguments.first().and_then(|first| innermost(&parts, *first));
                    if let Some(read) = read.filter(|_| COUNTER_FUNCTIONS.contains(function)) {
                        self.counter(function, read, place(part));
                    }
                }
                PartKind::Selection { matchers, .. } => {
                    if let Some(read) = name(matchers) {
                        self.metric(read, place(part));
                        self.order(group, position, read, place(part));
                    }
                }
                PartKind::Constant
                | PartKind::Subquery { .. }
                | PartKind::Around(_)
                | PartKind::Aggregate { .. }
                | PartKind::Binary { .. } => {}
            }
        }
        if let RuleSpec::Alerting(alert) = rule {
            self.alert(alert, source);
        }
    }

    fn counter(&mut self, function: &str, read: &str, place: Place) {
        let why = match self.kind(read) {
            Some(Kind::Counter | Kind::Histogram) => return,
            Some(Kind::Gauge) => "is a gauge",
            None if read.starts_with(OURS) => return,
            None if is_counter_name(read) => return,
            None => "is not named as a counter",
        };
        let message = format!("`{function}` reads `{read}`, which {why}");
        let remedy = "counters end in `_total`, `_count`, `_sum` or `_bucket`; for a gauge write \
                      `delta` or `deriv`";
        self.say(Check::CounterFunctions, place, message, remedy.to_owned());
    }

    /// The kind of one of our own metrics, by the name of a series.
    fn kind(&self, series: &str) -> Option<Kind> {
        if let Some(kind) = self.known.get(series).filter(|kind| **kind != Kind::Histogram) {
            return Some(*kind);
        }
        let family =
            ["_bucket", "_sum", "_count"].iter().find_map(|end| series.strip_suffix(end))?;
        self.known.get(family).copied().filter(|kind| *kind == Kind::Histogram)
    }

    fn metric(&mut self, read: &str, place: Place) {
        let is_known = self.kind(read).is_some() || self.recorded.contains_key(read);
        if !read.starts_with(OURS) || is_known {
            return;
        }
        let remedy = match self.known.get(read) {
            Some(_) => format!("it is a histogram: read `{read}_bucket`, `_sum` or `_count`"),
            None => match suggest::nearest(read, self.known.keys().copied()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "README.md lists them all".to_owned(),
            },
        };
        let message = format!("bellwether has no metric `{read}`");
        self.say(Check::UnknownMetrics, place, message, remedy);
    }

    fn order(&mut self, group: &GroupSpec, position: usize, read: &str, place: Place) {
        let records =
            |rule: &RuleSpec| matches!(rule, RuleSpec::Recording(_)) && rule.name() == read;
        if !self.recorded.contains_key(read) {
            if read.contains(':') {
                let message = format!("`{read}` is recorded in none of these files");
                let remedy = "check the files together that are loaded together";
                self.say(Check::RecordingOrder, place, message, remedy.to_owned());
            }
            return;
        }
        let (earlier, later) = group.rules.split_at(position.min(group.rules.len()));
        if !earlier.iter().any(records) && later.iter().skip(1).any(records) {
            let message = format!("`{read}` is recorded further down in this group");
            let remedy = "move the recording rule up: this one reads the last interval's value";
            self.say(Check::RecordingOrder, place, message, remedy.to_owned());
        }
    }

    fn alert(&mut self, alert: &AlertingSpec, source: &RuleSource) {
        let facts = facts::whole(&alert.expr, &self.recorded);
        let severity = alert.labels.get("severity").map(|severity| severity.text());
        let wakes_people = severity != Some(ROLLBACK);
        if wakes_people && alert.holds.pending.is_zero() && !facts.is_windowed {
            let message = format!("`{}` has no `for` and looks at one moment only", alert.alert);
            let remedy = "write `for: 1m` or more, so that a single sample wakes nobody";
            self.say(Check::MissingFor, source.name.clone(), message, remedy.to_owned());
        }
        if facts.is_ratio && !facts.has_minimum {
            let message =
                format!("`{}` speaks of a ratio or quantile of however few samples", alert.alert);
            let remedy =
                "add a minimum, such as `and sum by (target) (increase(…_total[1h])) >= 20`";
            self.say(Check::MinimumSamples, source.name.clone(), message, remedy.to_owned());
        }
    }
}

/// The name of the series that a window is over.
fn innermost<'p>(parts: &'p [Part<'_>], mut position: usize) -> Option<&'p str> {
    loop {
        match &parts.get(position)?.kind {
            PartKind::Around(inner) | PartKind::Subquery { inner, .. } => position = *inner,
            PartKind::Selection { matchers, .. } => return name(matchers),
            PartKind::Constant
            | PartKind::Call { .. }
            | PartKind::Aggregate { .. }
            | PartKind::Binary { .. } => return None,
        }
    }
}

fn is_counter_name(name: &str) -> bool {
    ["_total", "_count", "_sum", "_bucket"].iter().any(|end| name.ends_with(end))
}
