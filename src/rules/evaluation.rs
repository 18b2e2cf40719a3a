//! One rule at one time: its expression's vector, and what the rule makes of it.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::alert::{Alert, AlertState, incident};
use super::known::{Known, Shown};
use super::no_data::{self, NoData};
use super::spec::{AlertingSpec, RecordingSpec};
use super::state::{self, Finding};
use crate::model::{Label, Labels, Timestamp};
use crate::promql::{self, Annotation, EvalError, Expr, Interrupt, Options, Value, ValueType};
use crate::series::Source;
use crate::template::{Scope, Template, expand};

/// How many samples one evaluation of a rule may look at, the queries of its templates included. It
/// is a number and no time, so that the same samples always give the same alerts. Everything that
/// the loop does waits for a rule, and this many take some seconds. A rule over thirty days of a
/// thousand series that are sampled every 15 seconds looks at 350 million: each sample when it is
/// read and when its window is added up.
const WORK_MAX: u64 = 500_000_000;

/// Why a rule has no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RuleError {
    /// Its expression could not be evaluated.
    #[error("{0}")]
    Query(#[from] EvalError),
    /// Its expression yields something that rules can't use.
    #[error("the result is a {0}, not a vector or a scalar")]
    ResultType(ValueType),
    /// Two results have the same labels once the rule's are applied.
    #[error("vector contains metrics with the same labelset after applying rule labels: {0}")]
    SameLabels(Labels),
    /// There are more results than the group's `limit`. A recording rule then writes nothing; of
    /// alerts, those that are known go on, and new ones are taken up to the limit.
    #[error("exceeded limit of {limit} with {found} results")]
    Limit {
        /// The limit.
        limit: usize,
        /// How many results there are.
        found: usize,
    },
}

/// What evaluations are told from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    /// `$externalLabels`; they are put on alerts only where these are sent.
    pub external_labels: Labels,
    /// `$externalURL`
    pub external_url: String,
    /// How often a firing alert is sent again. Rules themselves send nothing.
    pub resend_delay: Duration,
}

/// An alert that changed its state.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// The alert after it.
    pub alert: Alert,
    /// Where it stood; a new incident begins as inactive.
    pub from: AlertState,
    /// Where it stands. A pending alert whose condition vanished becomes inactive and has no
    /// [`Alert::resolved_at`].
    pub to: AlertState,
}

/// Where and when a group's rules are evaluated.
pub(super) struct Setting<'a> {
    pub(super) file: &'a str,
    pub(super) group: &'a str,
    pub(super) limit: usize,
    pub(super) at: Timestamp,
    pub(super) query_offset: Duration,
    pub(super) subquery_step: Duration,
    pub(super) context: &'a Context,
    pub(super) source: &'a dyn Source,
    /// The rule's expression as Prometheus writes it.
    pub(super) expr: &'a str,
    /// How often the rule's queries asked whether they may go on.
    pub(super) asked: Cell<u64>,
}

/// Labels and values.
pub(super) type Vector = Vec<(Labels, f64)>;

impl Setting<'_> {
    fn ask(&self, expr: &Expr, at: Timestamp) -> Result<(Vector, Vec<Annotation>), RuleError> {
        let question = || {
            self.asked.set(self.asked.get().saturating_add(1));
            let is_over = self.asked.get() > WORK_MAX / Interrupt::PERIOD as u64;
            if is_over { Err(EvalError::TooMuchWork(WORK_MAX)) } else { Ok(()) }
        };
        let options = Options {
            subquery_step: self.subquery_step,
            interrupt: Interrupt::new(&question),
            ..Options::default()
        };
        let answer = promql::instant(expr, self.source, at, &options)?;
        let vector = match answer.value {
            Value::Scalar(value) => vec![(Labels::empty(), value)],
            Value::Vector(points) => {
                points.into_iter().map(|point| (point.labels, point.value)).collect()
            }
            Value::String(_) => return Err(RuleError::ResultType(ValueType::String)),
            Value::Matrix(_) => return Err(RuleError::ResultType(ValueType::Matrix)),
        };
        Ok((vector, answer.annotations))
    }

    /// The series that a recording rule writes.
    pub(super) fn record(
        &self,
        rule: &RecordingSpec,
        known: &mut Known,
    ) -> Result<(Vector, Vec<Annotation>), RuleError> {
        let (vector, annotations) = self.ask(&rule.expr, self.at - self.query_offset)?;
        if self.limit > 0 && vector.len() > self.limit {
            return Err(RuleError::Limit { limit: self.limit, found: vector.len() });
        }
        let own = || {
            [(Labels::NAME, rule.record.as_str())]
                .into_iter()
                .chain(rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        };
        let (made, is_known) = known.made(&vector, |labels, _| overlaid(labels, own()));
        if !is_known {
            let mut seen = BTreeSet::new();
            if let Some(twice) = made.iter().find(|labels| !seen.insert(*labels)) {
                // Or the same result would pass the next time.
                *known = Known::default();
                return Err(RuleError::SameLabels(twice.clone()));
            }
        }
        let vector = made.into_iter().zip(vector).map(|(labels, (_, value))| (labels, value));
        Ok((vector.collect(), annotations))
    }

    /// The samples of an alerting rule by the labels of their alerts.
    fn find(
        &self,
        rule: &AlertingSpec,
        known: &mut Known,
    ) -> Result<(Found, Vec<Annotation>), RuleError> {
        let (vector, annotations) = self.ask(&rule.expr, self.at - self.query_offset)?;
        if !rule.labels.values().all(Template::is_plain) {
            // They may say the value, or ask something.
            *known = Known::default();
        }
        let (made, _) = known.made(&vector, |sample, value| self.labels(rule, sample, value));
        let mut found = Found::new();
        for (labels, (sample, value)) in made.into_iter().zip(vector) {
            if found.insert(labels.clone(), (sample, value)).is_some() {
                return Err(RuleError::SameLabels(labels));
            }
        }
        Ok((found, annotations))
    }

    /// What identifies the alert that a sample makes.
    fn labels(&self, rule: &AlertingSpec, sample: &Labels, value: f64) -> Labels {
        let filled: Vec<(&str, String)> = rule
            .labels
            .iter()
            .map(|(name, template)| (name.as_str(), self.fill(template, sample, value)))
            .chain([("alertname", rule.alert.clone())])
            .collect();
        overlaid(
            &sample.without(&[Labels::NAME]),
            filled.iter().map(|(name, text)| (*name, text.as_str())),
        )
    }

    fn fill(&self, template: &Template, sample: &Labels, value: f64) -> String {
        let query = |text: &str| {
            let expr = promql::parse(text).map_err(|error| error.to_string())?;
            match self.ask(&expr, self.at) {
                Ok((vector, _)) => Ok(vector),
                Err(error) => Err(error.to_string()),
            }
        };
        let scope = Scope {
            labels: sample,
            value,
            external_labels: &self.context.external_labels,
            external_url: &self.context.external_url,
            at: self.at,
            query: &query,
        };
        expand(template, &scope)
    }

    fn finding(&self, rule: &AlertingSpec, sample: &Labels, value: f64) -> Finding<'_> {
        let annotations = rule.annotations.iter().map(|(name, template)| Label {
            name: name.as_str().into(),
            value: self.fill(template, sample, value).into(),
        });
        Finding { annotations: annotations.collect(), value, expr: self.expr }
    }

    /// The alerts that a limit lets in: those that are known go on, new ones come in the order of
    /// their labels.
    fn admit(&self, found: Found, alerts: &Alerts) -> (Found, Option<RuleError>) {
        let count = found.len();
        if self.limit == 0 || count <= self.limit {
            return (found, None);
        }
        let is_known = |labels: &Labels| {
            alerts.get(labels).is_some_and(|alert| alert.state != AlertState::Inactive)
        };
        let known = found.keys().filter(|labels| is_known(labels)).count();
        let mut room = self.limit.saturating_sub(known);
        let admitted = found
            .into_iter()
            .filter(|(labels, _)| {
                let is_admitted = is_known(labels) || room > 0;
                if is_admitted && !is_known(labels) {
                    room -= 1;
                }
                is_admitted
            })
            .collect();
        (admitted, Some(RuleError::Limit { limit: self.limit, found: count }))
    }

    fn begin(&self, rule: &AlertingSpec, labels: &Labels) -> Alert {
        Alert {
            labels: labels.clone(),
            annotations: Labels::empty(),
            state: AlertState::Pending,
            value: 0.0,
            active_at: self.at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            expr: self.expr.to_owned(),
            rule: rule.alert.clone(),
            group: self.group.to_owned(),
            file: self.file.to_owned(),
            incident: incident(self.file, self.group, &rule.alert, labels, self.at),
        }
    }

    /// Moves an alerting rule's alerts. An error leaves them as they are.
    pub(super) fn judge(
        &self,
        rule: &AlertingSpec,
        alerts: &mut Alerts,
        known: &mut Known,
        shown: &mut Shown,
    ) -> Result<Judgement, RuleError> {
        let (found, annotations) = self.find(rule, known)?;
        if found.is_empty() && self.has_nothing(rule) {
            let transitions = match rule.no_data {
                NoData::Ok => None,
                NoData::Keep => Some(self.keep(rule, alerts)),
                NoData::Firing => Some(self.go_on(rule, alerts)),
            };
            if let Some(transitions) = transitions {
                let series = shown.written(alerts);
                return Ok(Judgement { series, transitions, annotations, refusal: None });
            }
        }
        let (mut found, refusal) = self.admit(found, alerts);
        let mut moved = Alerts::new();
        let mut transitions = Vec::new();
        let mut held = std::mem::take(alerts);
        for (labels, (sample, value)) in std::mem::take(&mut found) {
            let before = held.remove(&labels);
            let from = before.as_ref().map_or(AlertState::Inactive, |alert| alert.state);
            let finding = self.finding(rule, &sample, value);
            let alert =
                state::found(before, finding, rule.holds, self.at, || self.begin(rule, &labels));
            note(&mut transitions, from, &alert);
            moved.insert(labels, alert);
        }
        for (labels, before) in held {
            let from = before.state;
            match state::missing(before.clone(), rule.holds, self.at) {
                Some(alert) => {
                    note(&mut transitions, from, &alert);
                    moved.insert(labels, alert);
                }
                None => {
                    let state = AlertState::Inactive;
                    note(&mut transitions, from, &Alert { state, ..before });
                }
            }
        }
        *alerts = moved;
        Ok(Judgement { series: shown.written(alerts), transitions, annotations, refusal })
    }

    /// Whether the rule says what having no data means, and there is none.
    fn has_nothing(&self, rule: &AlertingSpec) -> bool {
        let lookback = Options::default().lookback;
        rule.no_data != NoData::Ok
            && !no_data::has_data(&rule.expr, self.source, self.at - self.query_offset, lookback)
    }

    /// Leaves alerts as they are; only what is over grows older.
    fn keep(&self, rule: &AlertingSpec, alerts: &mut Alerts) -> Vec<Transition> {
        let held = std::mem::take(alerts).into_iter();
        *alerts = held
            .filter_map(|(labels, alert)| match alert.state {
                AlertState::Inactive => {
                    state::missing(alert, rule.holds, self.at).map(|alert| (labels, alert))
                }
                AlertState::Pending | AlertState::Firing => Some((labels, alert)),
            })
            .collect();
        Vec::new()
    }

    /// Moves alerts as if their condition held, with the texts that they have. Where there is none,
    /// one begins that has the rule's own labels only.
    fn go_on(&self, rule: &AlertingSpec, alerts: &mut Alerts) -> Vec<Transition> {
        let is_active = |alert: &Alert| alert.state != AlertState::Inactive;
        if !alerts.values().any(is_active) {
            let (sample, value) = (Labels::empty(), f64::NAN);
            let labels = self.labels(rule, &sample, value);
            let alert = Alert { value, ..self.begin(rule, &labels) };
            let annotations = self.finding(rule, &sample, value).annotations;
            // The end of an earlier one is told no more: this is a new incident.
            alerts.insert(labels, Alert { annotations, ..alert });
        }
        let mut transitions = Vec::new();
        let held = std::mem::take(alerts).into_iter();
        *alerts = held
            .filter_map(|(labels, before)| {
                if !is_active(&before) {
                    return state::missing(before, rule.holds, self.at)
                        .map(|alert| (labels, alert));
                }
                let is_new = before.active_at == self.at && before.fired_at.is_none();
                let from = if is_new { AlertState::Inactive } else { before.state };
                let expr = before.expr.clone();
                let (annotations, value) = (before.annotations.clone(), before.value);
                let finding = Finding { annotations, value, expr: &expr };
                let begin = || self.begin(rule, &labels);
                let alert = state::found(Some(before), finding, rule.holds, self.at, begin);
                note(&mut transitions, from, &alert);
                Some((labels, alert))
            })
            .collect();
        transitions
    }

    /// The alerts that do not fire in `alerts` and would if the rule were judged now: already
    /// firing, with everything that [`super::Group::confirm`] needs.
    pub(super) fn foresee(
        &self,
        rule: &AlertingSpec,
        alerts: &Alerts,
        known: &mut Known,
    ) -> Result<Vec<Alert>, RuleError> {
        let (found, _) = self.find(rule, known)?;
        let (found, _) = self.admit(found, alerts);
        let mut firing = Vec::new();
        for (labels, (sample, value)) in found {
            let held = alerts.get(&labels);
            let since = match held.map(|alert| (alert.state, alert.active_at)) {
                Some((AlertState::Firing, _)) => continue,
                Some((AlertState::Pending, active_at)) => active_at,
                Some((AlertState::Inactive, _)) | None => self.at,
            };
            // Before the texts are filled in: most early evaluations find nothing to fire.
            if self.at.since(since) < rule.holds.pending {
                continue;
            }
            let finding = self.finding(rule, &sample, value);
            firing.push(state::found(held.cloned(), finding, rule.holds, self.at, || {
                self.begin(rule, &labels)
            }));
        }
        Ok(firing)
    }
}

/// Samples by the labels of the alerts that they make.
type Found = BTreeMap<Labels, (Labels, f64)>;

/// A rule's alerts by their labels.
pub(super) type Alerts = BTreeMap<Labels, Alert>;

/// What a rule comes to.
pub(super) struct Judgement {
    pub(super) series: Vector,
    pub(super) transitions: Vec<Transition>,
    pub(super) annotations: Vec<Annotation>,
    /// Set where the limit kept alerts out.
    pub(super) refusal: Option<RuleError>,
}

fn note(transitions: &mut Vec<Transition>, from: AlertState, alert: &Alert) {
    // An incident that begins anew where another has ended goes from inactive to pending or firing.
    if from != alert.state {
        transitions.push(Transition { alert: alert.clone(), from, to: alert.state });
    }
}

fn overlaid<'l>(labels: &Labels, over: impl Iterator<Item = (&'l str, &'l str)>) -> Labels {
    let over = over.map(|(name, value)| Label { name: name.into(), value: value.into() });
    labels.iter().cloned().chain(over).collect()
}
