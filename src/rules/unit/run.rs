//! Runs a test: feeds the input, evaluates the rules, and compares what was asked about.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::difference::{Difference, Told};
use super::failure::Failure;
use super::script::{AlertCase, ExprCase, Script, Test};
use crate::model::{Labels, Sample, Timestamp};
use crate::promql::{self, Options, Value};
use crate::rules::{Alert, AlertState, Context, Defaults, Group, GroupSpec, RuleFile};
use crate::series::{Place, Settings, Store};

/// More series than any test has; those beyond are refused by the store.
const SERIES_MAX: usize = 1_000_000;

/// A file of tests with the rules that they are about.
#[derive(Clone, Debug)]
pub struct Suite {
    script: Script,
    /// In the order of evaluation.
    groups: Vec<GroupSpec>,
}

/// What came of a test.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was not as expected, in the order of the times and of the file.
    pub failures: Vec<Failure>,
    /// Every series at the end, as far as the test went; only where it was asked for.
    pub series: Vec<(Labels, Vec<Sample>)>,
}

impl Suite {
    /// Puts the groups in the order that the tests ask for; groups that it does not name come with
    /// the first one, in the order of their files.
    pub fn new(script: Script, files: &[RuleFile]) -> Self {
        let groups = files.iter().flat_map(|file| &file.groups);
        let mut groups: Vec<GroupSpec> = groups.cloned().collect();
        groups.sort_by_key(|group| script.order.get(&group.name).copied().unwrap_or(0));
        Self { script, groups }
    }

    /// The tests.
    pub fn script(&self) -> &Script {
        &self.script
    }

    /// Runs one test.
    pub fn run(&self, test: usize) -> Report {
        let Some(test) = self.script.tests.get(test) else {
            return Report { failures: Vec::new(), series: Vec::new() };
        };
        let failures = Run::new(self, test).failures(&self.script);
        Report { failures, series: Vec::new() }
    }

    /// Runs one test, and looks what was stored.
    pub fn run_and_look(&self, test: usize) -> Report {
        let Some(test) = self.script.tests.get(test) else {
            return Report { failures: Vec::new(), series: Vec::new() };
        };
        let mut run = Run::new(self, test);
        let failures = run.failures(&self.script);
        let series: Vec<_> = run.store.live().cloned().collect();
        let series = series.into_iter().map(|labels| (run.store.samples(&labels), labels));
        let mut series: Vec<_> = series.map(|(samples, labels)| (labels, samples)).collect();
        series.sort_by(|left, right| left.0.cmp(&right.0));
        Report { failures, series }
    }
}

struct Run<'a> {
    test: &'a Test,
    groups: Vec<Group>,
    store: Store,
    context: Context,
    /// Which of the input's series are fed: of two descriptions of one the later holds, as in
    /// promtool.
    holds: Vec<bool>,
    /// Where each of them is in the store.
    places: Vec<Place>,
    /// How many steps of the input were fed.
    fed: usize,
}

impl<'a> Run<'a> {
    fn new(suite: &Suite, test: &'a Test) -> Self {
        let interval = suite.script.interval;
        let defaults = Defaults { interval, query_offset: Duration::ZERO };
        let groups = suite.groups.iter().map(|spec| Group::new(spec.clone(), &defaults));
        let retention = Duration::MAX;
        let settings = Settings { retention, size_max_bytes: u64::MAX, series_max: SERIES_MAX };
        let context = Context {
            external_labels: test.external_labels.clone(),
            external_url: test.external_url.clone(),
            resend_delay: Duration::from_secs(60),
        };
        let mut seen = BTreeSet::new();
        let mut holds: Vec<bool> =
            test.input.iter().rev().map(|series| seen.insert(&series.labels)).collect();
        holds.reverse();
        let store = Store::new(settings);
        let places = vec![Place::default(); test.input.len()];
        Self { test, groups: groups.collect(), store, context, holds, places, fed: 0 }
    }

    fn failures(&mut self, script: &Script) -> Vec<Failure> {
        let end = self.test.end();
        let mut failures = Vec::new();
        let mut elapsed = Duration::ZERO;
        let mut cases: Vec<&AlertCase> = self.test.alerts.iter().collect();
        cases.sort_by_key(|case| case.at);
        let mut cases = cases.into_iter().peekable();
        while elapsed <= end {
            let at = self.test.start + elapsed;
            self.feed(elapsed);
            let errors = self.evaluate(at, elapsed);
            if !errors.is_empty() {
                failures.extend(errors);
                return failures;
            }
            // Alerts are those of the last evaluation before or at the time asked about.
            let next = elapsed + script.interval;
            while let Some(case) = cases.next_if(|case| case.at < next) {
                failures.extend(self.check_alerts(case));
            }
            elapsed = next;
        }
        let exprs = self.test.exprs.iter();
        failures.extend(exprs.filter_map(|case| self.check_expr(case, script)));
        failures
    }

    fn feed(&mut self, until: Duration) {
        loop {
            let step = u32::try_from(self.fed).unwrap_or(u32::MAX);
            let offset = self.test.spacing.saturating_mul(step);
            if offset > until {
                return;
            }
            let at = self.test.start + offset;
            let mut is_over = true;
            let places = self.holds.iter().zip(&mut self.places);
            for (series, (holds, place)) in self.test.input.iter().zip(places) {
                is_over &= series.values.len() <= self.fed;
                let value = series.values.get(self.fed).copied().flatten();
                let Some(value) = value.filter(|_| *holds) else { continue };
                let sample = Sample { at, value };
                // Refused where a rule wrote the same series: the rule's sample stays.
                let _is_counted = self.store.append_at(place, &series.labels, sample).is_ok();
            }
            if is_over {
                return;
            }
            self.fed += 1;
        }
    }

    fn evaluate(&mut self, at: Timestamp, elapsed: Duration) -> Vec<Failure> {
        let mut errors = Vec::new();
        for group in &mut self.groups {
            let evaluation = group.evaluate(at, &mut self.store, &self.context);
            errors.extend(evaluation.failures.into_iter().map(|failure| Failure::Rule {
                group: group.name().to_owned(),
                rule: failure.rule,
                at: elapsed,
                error: failure.error.to_string(),
            }));
        }
        errors
    }

    fn check_alerts(&self, case: &AlertCase) -> Option<Failure> {
        let mut got = Vec::new();
        for rule in self.groups.iter().flat_map(Group::rules) {
            if rule.name != case.alertname {
                continue;
            }
            let fires = |alert: &&Alert| alert.state == AlertState::Firing;
            got.extend(rule.alerts.iter().filter(fires).map(|alert| {
                // An annotation that came out empty is no label, and still one to be expected.
                let empty = rule.annotations.keys().map(|name| (name.clone(), String::new()));
                let mut annotations: BTreeMap<_, _> = empty.collect();
                annotations.extend(texts(&alert.annotations));
                Told { labels: texts(&alert.labels).collect(), annotations }
            }));
        }
        got.sort();
        let difference = Difference::between(&case.expected, &got);
        (!difference.is_none()).then(|| Failure::Alerts {
            place: case.place.clone(),
            alertname: case.alertname.clone(),
            at: case.at,
            expected: case.expected.clone(),
            got,
            difference,
        })
    }

    fn check_expr(&self, case: &ExprCase, script: &Script) -> Option<Failure> {
        let options = Options { subquery_step: script.interval, ..Options::default() };
        let answer = promql::instant(&case.expr, &self.store, self.test.start + case.at, &options);
        let error = |error: String| {
            let (place, expr) = (case.place.clone(), case.expr.text().to_owned());
            Some(Failure::Query { place, expr, at: case.at, error })
        };
        let mut got: Vec<(Labels, f64)> = match answer.map(|answer| answer.value) {
            Ok(Value::Scalar(value)) => vec![(Labels::empty(), value)],
            Ok(Value::Vector(points)) => {
                points.into_iter().map(|point| (point.labels, point.value)).collect()
            }
            Ok(Value::String(_) | Value::Matrix(_)) => {
                let kind = case.expr.value_type();
                return error(format!("it yields a {kind}, not an instant vector or a scalar"));
            }
            Err(failure) => return error(failure.to_string()),
        };
        got.sort_by(|left, right| left.0.cmp(&right.0));
        let is_same = |left: &(Labels, f64), right: &(Labels, f64)| {
            left.0 == right.0 && equal(left.1, right.1, script.is_fuzzy)
        };
        let is_equal = got.len() == case.expected.len()
            && case.expected.iter().zip(&got).all(|(expected, got)| is_same(expected, got));
        (!is_equal).then(|| Failure::Samples {
            place: case.place.clone(),
            expr: case.expr.text().to_owned(),
            at: case.at,
            expected: case.expected.clone(),
            got,
        })
    }
}

/// As Go compares: zero equals minus zero, and NaN equals nothing.
fn equal(left: f64, right: f64, is_fuzzy: bool) -> bool {
    let is_near = || right == left.next_up() || right == left.next_down();
    left.partial_cmp(&right) == Some(Ordering::Equal) || is_fuzzy && is_near()
}

fn texts(labels: &Labels) -> impl Iterator<Item = (String, String)> {
    labels.iter().map(|label| (label.name.to_string(), label.value.to_string()))
}
