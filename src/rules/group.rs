//! A group of rules at run time: its state, and what its evaluations do to it.
//!
//! Rules are evaluated in the order of the file, and a later one reads what an earlier one wrote.
//! All of them share one timestamp. A series that a rule wrote last time and does not write now
//! ends with a stale marker. A rule that fails writes nothing, ends nothing and keeps its alerts as
//! they are, so that a broken query never resolves an alert.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::alert::{Alert, AlertState};
use super::evaluation::{Alerts, Context, Judgement, RuleError, Setting, Transition, Vector};
use super::known::{Known, Shown};
use super::spec::{GroupSpec, RuleSpec};
use super::status::{Health, RuleKind, RuleStatus};
use crate::model::{Labels, Sample, Timestamp, stale_marker};
use crate::promql::{Annotation, Selector};
use crate::series::{Sink, Source};

/// What holds for groups that say nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Defaults {
    /// `evaluation_interval`; it is the step of subqueries without one, too.
    pub interval: Duration,
    /// `rule_query_offset`
    pub query_offset: Duration,
}

/// A rule that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleFailure {
    /// Its name.
    pub rule: String,
    /// Why.
    pub error: RuleError,
}

/// What one evaluation of a group came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Rules that failed, in order.
    pub failures: Vec<RuleFailure>,
    /// Alerts that changed their state, by rule and labels.
    pub transitions: Vec<Transition>,
    /// How many samples were written, stale markers left out.
    pub samples: usize,
    /// What PromQL remarked.
    pub annotations: Vec<Annotation>,
}

/// A group at run time.
#[derive(Clone, Debug)]
pub struct Group {
    pub(super) spec: GroupSpec,
    interval: Duration,
    query_offset: Duration,
    subquery_step: Duration,
    /// As long as `spec.rules`, in the same order.
    pub(super) rules: Vec<Memory>,
    /// Their expressions as Prometheus writes them, likewise.
    exprs: Vec<String>,
    /// Series of rules that a reload took away; the next evaluation ends them.
    orphans: BTreeSet<Labels>,
}

/// What is remembered of one rule.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The series of the last evaluation that did not fail.
    pub(super) written: BTreeSet<Labels>,
    pub(super) alerts: Alerts,
    known: Known,
    shown: Shown,
    /// `None` before the first evaluation.
    last: Option<Timestamp>,
    error: Option<RuleError>,
}

impl Group {
    /// A group that was never evaluated.
    pub fn new(spec: GroupSpec, defaults: &Defaults) -> Self {
        Self {
            interval: spec.interval.unwrap_or(defaults.interval).max(Duration::from_millis(1)),
            query_offset: spec.query_offset.unwrap_or(defaults.query_offset),
            subquery_step: defaults.interval,
            rules: spec.rules.iter().map(|_| Memory::default()).collect(),
            exprs: spec.rules.iter().map(|rule| rule.expr().to_string()).collect(),
            orphans: BTreeSet::new(),
            spec,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// The rule file that it stands in.
    pub fn file(&self) -> &str {
        &self.spec.file
    }

    /// How often it is evaluated.
    pub fn interval(&self) -> Duration {
        self.interval
    }

    /// How far in the past it reads and writes.
    pub(super) fn query_offset(&self) -> Duration {
        self.query_offset
    }

    /// What it was made of.
    pub fn spec(&self) -> &GroupSpec {
        &self.spec
    }

    /// The first time after `now` at which it is to be evaluated: a whole number of intervals and an
    /// offset that follows from file and name, so that groups spread over the interval and a restart
    /// moves none of them.
    pub fn next_after(&self, now: Timestamp) -> Timestamp {
        let hash = Sha256::digest(format!("{};{}", self.spec.file, self.spec.name));
        let hash = hash.iter().take(8).fold(0_u64, |hash, byte| hash << 8 | u64::from(*byte));
        let interval = i64::try_from(self.interval.as_millis()).unwrap_or(i64::MAX);
        let offset = i64::try_from(hash % interval.unsigned_abs().max(1)).unwrap_or_default();
        let passed = now.millis().saturating_sub(offset).div_euclid(interval);
        let next = passed.saturating_add(1).saturating_mul(interval).saturating_add(offset);
        Timestamp::from_millis(next)
    }

    /// Evaluates the rules as of `at`, writes their series, and moves their alerts.
    pub fn evaluate(
        &mut self,
        at: Timestamp,
        memory: &mut dyn Sink,
        context: &Context,
    ) -> Evaluation {
        let mut evaluation = Evaluation::default();
        let mut rules = std::mem::take(&mut self.rules);
        for (position, (spec, rule)) in self.spec.rules.iter().zip(&mut rules).enumerate() {
            rule.last = Some(at);
            let result = {
                let source: &dyn Source = memory;
                one(&self.setting(position, at, source, context), spec, rule)
            };
            let judgement = match result {
                Ok(judgement) => judgement,
                Err(error) => {
                    rule.fail(spec, error, &mut evaluation);
                    continue;
                }
            };
            rule.error = None;
            if let Some(error) = judgement.refusal {
                rule.fail(spec, error, &mut evaluation);
            }
            evaluation.samples += judgement.series.len();
            evaluation.transitions.extend(judgement.transitions);
            evaluation.annotations.extend(judgement.annotations);
            self.write(at, &judgement.series, memory);
            let series = &judgement.series;
            let is_same = series.len() == rule.written.len()
                && series.iter().all(|(labels, _)| rule.written.contains(labels));
            if !is_same {
                let written = label_sets(series);
                self.end_series(at, rule.written.difference(&written), memory);
                rule.written = written;
            }
        }
        self.rules = rules;
        let orphans = std::mem::take(&mut self.orphans);
        let is_alive =
            |labels: &Labels| self.rules.iter().any(|rule| rule.written.contains(labels));
        self.end_series(at, orphans.iter().filter(|labels| !is_alive(labels)), memory);
        evaluation
    }

    /// Evaluates the rules early, for rollbacks that can't wait for the next interval. Nothing of
    /// the group's state changes, and recorded series go into the overlay alone. Returns the alerts
    /// that do not fire yet and would if this were an interval evaluation, that is, those whose
    /// condition holds and whose `for` is met; never an end of one. A rule that fails says nothing.
    /// Until an alert is confirmed, each call begins a new incident for it.
    pub fn peek(&self, at: Timestamp, overlay: &mut dyn Sink, context: &Context) -> Vec<Alert> {
        let mut firing = Vec::new();
        for (position, (spec, rule)) in self.spec.rules.iter().zip(&self.rules).enumerate() {
            let source: &dyn Source = overlay;
            let setting = self.setting(position, at, source, context);
            let mut known = rule.known.clone();
            match spec {
                RuleSpec::Recording(recording) => {
                    let Ok((series, _)) = setting.record(recording, &mut known) else { continue };
                    self.write(at, &series, overlay);
                    let written = label_sets(&series);
                    self.end_series(at, rule.written.difference(&written), overlay);
                }
                RuleSpec::Alerting(alerting) => {
                    let found = setting.foresee(alerting, &rule.alerts, &mut known);
                    firing.extend(found.unwrap_or_default());
                }
            }
        }
        firing
    }

    /// Takes over alerts of [`Self::peek`] that were acted on, so that the next evaluation goes on
    /// with the same incidents. Alerts of rules that are no longer here are left out.
    pub fn confirm(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            let Some(held) = self.alerts_of(alert) else { continue };
            let fires =
                held.get(&alert.labels).is_some_and(|held| held.state == AlertState::Firing);
            if !fires {
                held.insert(alert.labels.clone(), alert.clone());
            }
        }
    }

    /// Takes over alerts that were saved before a restart, but for those that the rules have found
    /// again already. Alerts of rules that are no longer here are left out.
    pub fn restore(&mut self, alerts: &[Alert]) {
        for alert in alerts {
            if let Some(held) = self.alerts_of(alert) {
                held.entry(alert.labels.clone()).or_insert_with(|| alert.clone());
            }
        }
    }

    /// Takes over alerts as they were written down before a restart, in place of whatever else is
    /// known. Alerts of rules that are no longer here are left out.
    pub fn reinstate(&mut self, alerts: &[Alert]) {
        self.rules.iter_mut().for_each(|rule| rule.alerts.clear());
        self.restore(alerts);
    }

    /// The alerts of the rule that an alert came from: of its name, and with labels that the alert
    /// bears.
    fn alerts_of(&mut self, alert: &Alert) -> Option<&mut Alerts> {
        let is_origin = |spec: &RuleSpec| match spec {
            RuleSpec::Recording(_) => false,
            RuleSpec::Alerting(spec) => {
                spec.alert == alert.rule
                    && spec.labels.iter().all(|(name, template)| {
                        !template.is_plain()
                            || name == "alertname"
                            || alert.labels.get(name).unwrap_or_default() == template.text()
                    })
            }
        };
        // Two rules that differ in their expressions only are told apart by those.
        let candidates = || self.spec.rules.iter().enumerate().filter(|(_, spec)| is_origin(spec));
        let exact = candidates().find(|(_, spec)| spec.expr().to_string() == alert.expr);
        let (position, _) = exact.or_else(|| candidates().next())?;
        self.rules.get_mut(position).map(|rule| &mut rule.alerts)
    }

    /// Every alert that is pending, firing, or over since at most 15 minutes, in the order of rules
    /// and labels.
    pub fn alerts(&self) -> Vec<Alert> {
        self.rules.iter().flat_map(|rule| rule.alerts.values().cloned()).collect()
    }

    /// How each rule is doing.
    pub fn rules(&self) -> Vec<RuleStatus> {
        let rules = self.spec.rules.iter().zip(&self.rules);
        rules.map(|(spec, rule)| rule.status(spec)).collect()
    }

    /// Everything that its rules read.
    pub fn selectors(&self) -> Vec<Selector> {
        self.spec.rules.iter().flat_map(|rule| rule.expr().selectors()).collect()
    }

    /// Takes over the state of the group that it replaces at a reload: that of every rule whose
    /// name and labels are the same. What the others wrote ends at the next evaluation.
    pub fn adopt(&mut self, old: Self) {
        let mut by_identity: BTreeMap<_, Vec<Memory>> = BTreeMap::new();
        for (spec, rule) in old.spec.rules.iter().zip(old.rules).rev() {
            by_identity.entry(identity(spec)).or_default().push(rule);
        }
        for (spec, rule) in self.spec.rules.iter().zip(&mut self.rules) {
            if let Some(memory) = by_identity.get_mut(&identity(spec)).and_then(Vec::pop) {
                // What was made of labels was made by the former rule.
                *rule = Memory { known: Known::default(), shown: Shown::default(), ..memory };
            }
        }
        self.orphans.extend(old.orphans);
        self.orphans.extend(by_identity.into_values().flatten().flat_map(|rule| rule.written));
    }

    /// Ends every series that the group wrote, for a group that a reload took away.
    pub fn end(&mut self, at: Timestamp, memory: &mut dyn Sink) {
        for rule in &mut self.rules {
            self.orphans.append(&mut rule.written);
        }
        let orphans = std::mem::take(&mut self.orphans);
        self.end_series(at, &orphans, memory);
    }

    /// What the rule at a position is evaluated with.
    fn setting<'a>(
        &'a self,
        position: usize,
        at: Timestamp,
        source: &'a dyn Source,
        context: &'a Context,
    ) -> Setting<'a> {
        Setting {
            file: &self.spec.file,
            group: &self.spec.name,
            limit: self.spec.limit,
            at,
            query_offset: self.query_offset,
            subquery_step: self.subquery_step,
            context,
            source,
            expr: self.exprs.get(position).map_or("", String::as_str),
            asked: Cell::new(0),
        }
    }

    fn write(&self, at: Timestamp, series: &Vector, memory: &mut dyn Sink) {
        let at = at - self.query_offset;
        for (labels, value) in series {
            memory.append(labels, Sample { at, value: *value });
        }
    }

    fn end_series<'l>(
        &self,
        at: Timestamp,
        series: impl IntoIterator<Item = &'l Labels>,
        memory: &mut dyn Sink,
    ) {
        let at = at - self.query_offset;
        for labels in series {
            memory.append(labels, Sample { at, value: stale_marker() });
        }
    }
}

fn one(
    setting: &Setting<'_>,
    spec: &RuleSpec,
    memory: &mut Memory,
) -> Result<Judgement, RuleError> {
    let Memory { alerts, known, shown, .. } = memory;
    match spec {
        RuleSpec::Recording(rule) => {
            let (series, annotations) = setting.record(rule, known)?;
            Ok(Judgement { series, annotations, transitions: Vec::new(), refusal: None })
        }
        RuleSpec::Alerting(rule) => setting.judge(rule, alerts, known, shown),
    }
}

fn label_sets(series: &Vector) -> BTreeSet<Labels> {
    series.iter().map(|(labels, _)| labels.clone()).collect()
}

/// What a rule is known by over a reload.
fn identity(spec: &RuleSpec) -> (bool, String, BTreeMap<String, String>) {
    (matches!(spec, RuleSpec::Recording(_)), spec.name().to_owned(), spec.labels())
}

impl Memory {
    fn fail(&mut self, spec: &RuleSpec, error: RuleError, evaluation: &mut Evaluation) {
        let rule = spec.name().to_owned();
        evaluation.failures.push(RuleFailure { rule, error: error.clone() });
        self.error = Some(error);
    }

    fn status(&self, spec: &RuleSpec) -> RuleStatus {
        let (kind, holds) = match spec {
            RuleSpec::Recording(_) => (RuleKind::Recording, Default::default()),
            RuleSpec::Alerting(rule) => (RuleKind::Alerting, rule.holds),
        };
        let state = (kind == RuleKind::Alerting && self.last.is_some()).then(|| {
            let states = self.alerts.values().map(|alert| alert.state);
            states.max().unwrap_or(AlertState::Inactive)
        });
        RuleStatus {
            kind,
            name: spec.name().to_owned(),
            query: spec.expr().to_string(),
            duration: holds.pending,
            keep_firing_for: holds.firing,
            labels: spec.labels(),
            annotations: spec.annotations(),
            health: match (&self.last, &self.error) {
                (None, _) => Health::Unknown,
                (Some(_), None) => Health::Ok,
                (Some(_), Some(_)) => Health::Err,
            },
            last_error: self.error.as_ref().map(ToString::to_string),
            last_evaluation: self.last,
            state,
            alerts: self.alerts.values().cloned().collect(),
        }
    }
}
