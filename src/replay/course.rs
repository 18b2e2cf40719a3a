//! What the engine said, as a timeline and as the course of each alert.
//!
//! The engine runs for a while before the time that was asked for. What it says then is not part of
//! the timeline; alerts that are active when the time begins are said once, at its beginning.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::entry::{Entry, What};
use crate::engine::{Action, Happening};
use crate::model::{Labels, Timestamp};
use crate::notice::{Delivery, Muted};
use crate::release::Decision;
use crate::rules::{AlertState, Transition};

/// From the first moment of an alert to its end.
#[derive(Clone, Debug)]
pub(super) struct Incident {
    id: String,
    pub(super) began: Timestamp,
    pub(super) fired: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

/// A rollback that was decided on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Decided {
    pub(super) at: Timestamp,
    pub(super) rollback: String,
    pub(super) verdict: &'static str,
    pub(super) labels: Labels,
}

/// How often a rule failed, and why at last.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure {
    pub(super) count: u64,
    pub(super) error: String,
}

/// A rule by its file and group, and its name.
pub(super) type RuleName = (String, String);

/// All that was said.
#[derive(Debug)]
pub(super) struct Course {
    from: Timestamp,
    /// What begins before this may have begun before the first evaluation.
    settled: Timestamp,
    is_open: bool,
    entries: Vec<Entry>,
    /// The message that a notice is about: it comes before it.
    delivery: Option<Delivery>,
    pub(super) alerts: BTreeMap<Labels, Vec<Incident>>,
    pub(super) fired_rules: BTreeSet<RuleName>,
    pub(super) notices: BTreeMap<String, u64>,
    pub(super) posts: u64,
    pub(super) decisions: Vec<Decided>,
    pub(super) failures: BTreeMap<RuleName, Failure>,
    pub(super) refused_alerts: usize,
}

impl Course {
    pub(super) fn new(from: Timestamp, settled: Timestamp) -> Self {
        Self {
            from,
            settled,
            is_open: false,
            entries: Vec::new(),
            delivery: None,
            alerts: BTreeMap::new(),
            fired_rules: BTreeSet::new(),
            notices: BTreeMap::new(),
            posts: 0,
            decisions: Vec::new(),
            failures: BTreeMap::new(),
            refused_alerts: 0,
        }
    }

    /// The lines since the last call.
    pub(super) fn take_entries(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries)
    }

    /// Notes what is to be done at a time.
    pub(super) fn take(&mut self, at: Timestamp, actions: Vec<Action>) {
        if at >= self.from {
            self.open();
        }
        for action in actions {
            match action {
                // The decision itself is told, too.
                Action::Record(_)
                | Action::Note(_)
                | Action::Ask(_)
                | Action::Split(_)
                | Action::Shift(_) => {}
                Action::Deliver(delivery) | Action::Enqueue(delivery) => self.deliver(delivery),
                Action::Tell(happening) => self.tell(at, happening),
            }
        }
    }

    /// Begins the timeline. What ended before is forgotten.
    pub(super) fn open(&mut self) {
        if std::mem::replace(&mut self.is_open, true) {
            return;
        }
        for (labels, incidents) in &mut self.alerts {
            incidents.retain(|incident| incident.ended.is_none());
            for incident in incidents {
                let since = incident.fired.unwrap_or(incident.began);
                let (labels, is_firing) = (labels.clone(), incident.fired.is_some());
                let or_earlier = incident.began < self.settled;
                let what = What::Already { labels, is_firing, since, or_earlier };
                self.entries.push(Entry { at: self.from, what });
            }
        }
        self.alerts.retain(|_, incidents| !incidents.is_empty());
    }

    fn say(&mut self, at: Timestamp, what: What) {
        if self.is_open {
            self.entries.push(Entry { at, what });
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        if self.is_open && delivery.hook.as_str().starts_with("alertmanager/") {
            self.posts += 1;
        }
        self.delivery = Some(delivery);
    }

    fn tell(&mut self, at: Timestamp, happening: Happening) {
        match happening {
            Happening::Transition(transition) => self.moved(at, transition),
            Happening::Noticed { receiver, reason, firing, resolved } => {
                self.noticed(at, receiver, reason, (firing, resolved));
            }
            Happening::Muted(Muted { receiver, group, intervals, .. }) => {
                self.say(at, What::Muted { receiver, group, intervals });
            }
            Happening::Unheard(alert) => self.say(at, What::Unheard { labels: alert.labels }),
            Happening::Decided { decision, .. } => self.decided(at, &decision),
            Happening::RuleFailed { group, rule, error } => self.failed(at, group, rule, error),
            Happening::Health(health) => {
                let (is_green, is_vantage_suspect) = (health.is_green, health.is_vantage_suspect);
                self.say(at, What::Health { is_green, is_vantage_suspect });
            }
            Happening::Refused { alerts } => self.refused_alerts += alerts,
            // Results are what was read, and nothing is delivered.
            Happening::Finished(_)
            | Happening::TemplatesFailed { .. }
            | Happening::Released { .. }
            | Happening::PlanEnded(_)
            | Happening::Delivered { .. } => {}
        }
    }

    fn moved(&mut self, at: Timestamp, transition: Transition) {
        let Transition { alert, from, to } = transition;
        let incidents = self.alerts.entry(alert.labels.clone()).or_default();
        let known = incidents.iter().rposition(|known| known.id == alert.incident);
        let position = known.unwrap_or_else(|| {
            let id = alert.incident.clone();
            incidents.push(Incident { id, began: at, fired: None, ended: None });
            incidents.len() - 1
        });
        let Some(incident) = incidents.get_mut(position) else { return };
        let (labels, value) = (alert.labels, alert.value);
        let since = |time: Option<Timestamp>| time.map_or(Duration::ZERO, |time| at.since(time));
        let what = match to {
            AlertState::Pending => {
                incident.fired = None;
                What::Pending { labels, value }
            }
            AlertState::Firing => {
                incident.fired = Some(at);
                let pending = at.since(incident.began);
                if self.is_open {
                    let rule = (format!("{};{}", alert.file, alert.group), alert.rule);
                    self.fired_rules.insert(rule);
                }
                What::Firing { labels, value, pending }
            }
            AlertState::Inactive => {
                incident.ended = Some(at);
                match from {
                    AlertState::Firing => What::Resolved { labels, fired: since(incident.fired) },
                    AlertState::Pending | AlertState::Inactive => {
                        What::Cleared { labels, pending: at.since(incident.began) }
                    }
                }
            }
        };
        self.say(at, what);
    }

    fn noticed(
        &mut self,
        at: Timestamp,
        receiver: String,
        reason: &'static str,
        (firing, resolved): (Vec<Labels>, Vec<Labels>),
    ) {
        let Some(delivery) = self.delivery.take() else { return };
        if self.is_open {
            *self.notices.entry(receiver.clone()).or_default() += 1;
        }
        let hook = delivery.hook.to_string();
        self.say(at, What::Notice { hook, receiver, reason, firing, resolved });
    }

    fn decided(&mut self, at: Timestamp, decision: &Decision) {
        let (rollback, verdict) = (decision.rollback.clone(), decision.verdict.as_str());
        let labels = decision.alert.labels.clone();
        let why = decision.report.to_string();
        if self.is_open {
            let (rollback, labels) = (rollback.clone(), labels.clone());
            self.decisions.push(Decided { at, rollback, verdict, labels });
        }
        self.say(at, What::Rollback { rollback, verdict, labels, why });
    }

    fn failed(&mut self, at: Timestamp, group: String, rule: String, error: String) {
        if !self.is_open {
            return;
        }
        let failure = self.failures.entry((group.clone(), rule.clone())).or_default();
        failure.count += 1;
        if failure.error != error {
            failure.error.clone_from(&error);
            self.say(at, What::Failed { group, rule, error });
        }
    }
}
