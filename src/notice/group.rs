//! One group of alerts, and when its receiver is told of it again.
//!
//! The rules are Alertmanager's. A receiver's webhook is told when something fires that it was not
//! told of; when everything is resolved that it was told of; when something more is resolved, if
//! it wants to know; and when nothing changed for the repeat interval. What is resolved leaves the
//! group once that was settled, told or not.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::data::Texts;
use super::payload::{self, Envelope};
use super::route::Node;
use super::{Alert, Delivery, HookId, Integration, Muted, Sending, pagerduty, slack};
use crate::model::{Labels, Timestamp};
use crate::template::Template;

/// Why somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The group was not heard of before.
    First,
    /// Something new fires.
    NewAlerts,
    /// Something no longer fires.
    SomeResolved,
    /// Nothing fires any more.
    AllResolved,
    /// Nothing changed for long.
    Repeat,
}

impl Reason {
    /// Alertmanager's words for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::First => "first notification",
            Self::NewAlerts => "new alerts added",
            Self::SomeResolved => "some alerts resolved",
            Self::AllResolved => "all alerts resolved",
            Self::Repeat => "repeat interval elapsed",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One message to one webhook, and why it goes out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The message.
    pub delivery: Delivery,
    /// Who is told.
    pub receiver: String,
    /// Why.
    pub reason: Reason,
    /// The group's key.
    pub group: String,
    /// The labels of the alerts that it names as firing.
    pub firing: Vec<Labels>,
    /// Of those that it names as resolved.
    pub resolved: Vec<Labels>,
    /// How many more there are than the webhook takes.
    pub truncated: usize,
    /// What went wrong with templates of its texts. It goes out all the same: an error stands in
    /// place of its text, and Alertmanager's message in place of a body.
    pub template_errors: Vec<String>,
}

/// Alerts that are told together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) labels: Labels,
    pub(super) key: String,
    /// The incident of the alert that it began with: names the group from its first alert to its
    /// last, so that what is resolved is what was opened.
    pub(super) incident: String,
    pub(super) alerts: BTreeMap<Labels, Alert>,
    pub(super) next_flush: Timestamp,
    pub(super) has_flushed: bool,
    /// The time intervals for whose sake nobody was told at the last flush.
    pub(super) muted_by: Vec<String>,
    /// What each webhook of the receiver was told last.
    pub(super) told: BTreeMap<HookId, Told>,
}

/// A group as it outlives a reload or the process: whose it is, its times, what was told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    pub(super) receiver: String,
    pub(super) key: String,
    /// Empty in rows of earlier versions.
    #[serde(default)]
    pub(super) incident: String,
    pub(super) next_flush: Timestamp,
    pub(super) has_flushed: bool,
    pub(super) told: BTreeMap<HookId, Told>,
    pub(super) alerts: Vec<Alert>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Told {
    at: Timestamp,
    firing: BTreeSet<Labels>,
    resolved: BTreeSet<Labels>,
}

/// What the group needs to know of the world to tell somebody.
pub(super) struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) route: usize,
    pub(super) node: &'a Node,
    pub(super) hooks: &'a [(HookId, Integration)],
    pub(super) external_url: &'a str,
}

impl Group {
    /// Takes the newest of an alert. One that was resolved before anybody saw it fire is nothing
    /// to this group. Returns whether that is news: a value that moved and an end that was put off
    /// are none.
    pub(super) fn put(&mut self, now: Timestamp, group_wait: Duration, alert: &Alert) -> bool {
        let is_news = match self.alerts.get_mut(&alert.labels) {
            Some(known) if known == alert => false,
            Some(known) => {
                let same = |alert: &Alert| (alert.is_firing, alert.starts_at);
                let is_news = same(known) != same(alert);
                *known = alert.clone();
                is_news
            }
            None if alert.is_resolved(now) => false,
            None => {
                self.alerts.insert(alert.labels.clone(), alert.clone());
                true
            }
        };
        // One that fires for longer than the wait, as after a restart, waits no more.
        if !self.has_flushed && alert.is_firing && alert.starts_at + group_wait < now {
            self.next_flush = self.next_flush.min(now);
        }
        is_news
    }

    /// Everything of it that is to be kept, for the receiver whose group it is.
    pub(super) fn saved(&self, receiver: &str) -> Saved {
        Saved {
            receiver: receiver.to_owned(),
            key: self.key.clone(),
            incident: self.incident.clone(),
            next_flush: self.next_flush,
            has_flushed: self.has_flushed,
            told: self.told.clone(),
            alerts: self.alerts.values().cloned().collect(),
        }
    }

    /// Tells every webhook what it should know by now. Returns what goes out, and the alerts that
    /// leave the group without anybody having heard of them.
    pub(super) fn flush(&mut self, context: &Context<'_>) -> (Vec<Notice>, Vec<Alert>) {
        let now = context.now;
        self.has_flushed = true;
        self.told.retain(|hook, _| context.hooks.iter().any(|(known, _)| known == hook));
        let mut alerts: Vec<&Alert> = self.alerts.values().collect();
        alerts.sort_by(|left, right| written_before(left, right));
        let side = |is_resolved| -> BTreeSet<Labels> {
            let chosen = alerts.iter().filter(|alert| alert.is_resolved(now) == is_resolved);
            chosen.map(|alert| alert.labels.clone()).collect()
        };
        let (firing, resolved) = (side(false), side(true));
        let was_told: BTreeSet<Labels> =
            self.told.values().flat_map(|told| told.firing.iter().cloned()).collect();
        let mut notices = Vec::new();
        let mut tells_resolved = false;
        for (hook, integration) in context.hooks {
            let told = self.told.get(hook);
            let repeat = context.node.repeat_interval;
            let send_resolved = integration.send_resolved();
            let Some(reason) = reason(told, &firing, &resolved, send_resolved, now, repeat) else {
                continue;
            };
            let told = Told { at: now, firing: firing.clone(), resolved: resolved.clone() };
            self.told.insert(hook.clone(), told);
            let chosen: Vec<&Alert> = alerts
                .iter()
                .filter(|alert| send_resolved || !alert.is_resolved(now))
                .copied()
                .collect();
            if !chosen.is_empty() {
                tells_resolved |= send_resolved;
                notices.push(self.notice(context, (hook, integration), reason, &chosen));
            }
        }
        let unheard = alerts
            .iter()
            .filter(|alert| resolved.contains(&alert.labels))
            .filter(|alert| !tells_resolved && !was_told.contains(&alert.labels))
            .filter(|_| !context.hooks.is_empty())
            .map(|alert| (*alert).clone())
            .collect();
        self.alerts.retain(|labels, _| !resolved.contains(labels));
        (notices, unheard)
    }

    /// The group as one of which nobody is told.
    pub(super) fn muted(&self, now: Timestamp, receiver: &str) -> Muted {
        Muted {
            receiver: receiver.to_owned(),
            group: self.key.clone(),
            intervals: self.muted_by.clone(),
            firing: self.alerts.values().filter(|alert| !alert.is_resolved(now)).count(),
        }
    }

    /// Tells nobody. What is resolved and was told of stays, so that its end is told once somebody
    /// may be; the rest leaves the group unheard.
    pub(super) fn settle_muted(&mut self, context: &Context<'_>) -> Vec<Alert> {
        let now = context.now;
        self.has_flushed = true;
        let told = &self.told;
        let is_kept = |alert: &Alert| {
            let mut firing = told.values().map(|told| &told.firing);
            !alert.is_resolved(now) || firing.any(|firing| firing.contains(&alert.labels))
        };
        let unheard = self.alerts.values().filter(|alert| !is_kept(alert)).cloned().collect();
        self.alerts.retain(|_, alert| is_kept(alert));
        unheard
    }

    fn notice(
        &self,
        context: &Context<'_>,
        (hook, integration): (&HookId, &Integration),
        reason: Reason,
        alerts: &[&Alert],
    ) -> Notice {
        let (now, key, receiver) = (context.now, self.key.as_str(), &context.node.receiver);
        let alerts_max = integration.alerts_max().unwrap_or(alerts.len()).min(alerts.len());
        let (chosen, left_out) = alerts.split_at(alerts_max);
        let envelope = Envelope {
            receiver,
            group_labels: &self.labels,
            group_key: key,
            incident: &self.incident,
            external_url: context.external_url,
            reason: reason.as_str(),
            truncated: left_out.len(),
        };
        let mut texts = Texts::new(&envelope, chosen, now);
        let body = match integration {
            Integration::Webhook(webhook) => {
                let own = webhook.body.as_ref().and_then(|body| own_body(&mut texts, body));
                own.unwrap_or_else(|| payload::body(&envelope, chosen, now))
            }
            Integration::PagerDuty(settings) => {
                pagerduty::event(&settings.texts, &mut texts, &envelope, chosen, now)
            }
            Integration::Slack(settings) => {
                slack::message(&settings.texts, &mut texts, &envelope, chosen, now)
            }
        };
        let route = context.route.to_string();
        let id = digest(&[hook.as_str(), &route, key, &now.millis().to_string()]);
        let (resolved, firing): (Vec<&Alert>, Vec<&Alert>) =
            chosen.iter().partition(|alert| alert.is_resolved(now));
        let labels =
            |alerts: Vec<&Alert>| alerts.iter().map(|alert| alert.labels.clone()).collect();
        Notice {
            delivery: Delivery {
                hook: hook.clone(),
                // 128 bits are enough for no two ever to meet.
                id: format!("msg_{}", &id[..32]),
                order: key.to_owned(),
                body: Arc::from(body),
                decided_at: now,
                sending: Sending::Real,
            },
            receiver: receiver.clone(),
            reason,
            group: key.to_owned(),
            firing: labels(firing),
            resolved: labels(resolved),
            truncated: left_out.len(),
            template_errors: texts.errors,
        }
    }
}

/// The body that a template makes, if it is JSON.
fn own_body(texts: &mut Texts<'_>, template: &Template) -> Option<String> {
    let body = texts.try_fill("body", template).ok()?;
    match serde_json::from_str::<serde::de::IgnoredAny>(&body) {
        Ok(_) => Some(body),
        Err(error) => {
            let what = format!("body: what the template makes is no JSON: {error}");
            texts.errors.push(what);
            None
        }
    }
}

/// Whether and why a webhook is told (`DedupStage.needsUpdate` in Alertmanager's notify.go).
fn reason(
    told: Option<&Told>,
    firing: &BTreeSet<Labels>,
    resolved: &BTreeSet<Labels>,
    send_resolved: bool,
    now: Timestamp,
    repeat_interval: Duration,
) -> Option<Reason> {
    let Some(told) = told else { return (!firing.is_empty()).then_some(Reason::First) };
    if !firing.is_subset(&told.firing) {
        return Some(Reason::NewAlerts);
    }
    if firing.is_empty() {
        return (!told.firing.is_empty()).then_some(Reason::AllResolved);
    }
    if send_resolved && !resolved.is_subset(&told.resolved) {
        return Some(Reason::SomeResolved);
    }
    (told.at + repeat_interval <= now).then_some(Reason::Repeat)
}

/// The same for the same parts and for nothing else: 64 hexadecimal digits.
pub(super) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The order in which Alertmanager writes alerts: by `job`, by `instance`, the smaller set first,
/// and at the first difference of two equally large ones the one that lacks the label, or has the
/// smaller value.
fn written_before(left: &Alert, right: &Alert) -> Ordering {
    for name in ["job", "instance"] {
        let order = match (left.labels.get(name), right.labels.get(name)) {
            (Some(left), Some(right)) => left.cmp(right),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    let differing = left.labels.iter().zip(&right.labels).find(|(left, right)| left != right);
    left.labels.len().cmp(&right.labels.len()).then_with(|| match differing {
        None => Ordering::Equal,
        Some((left, right)) if left.name == right.name => left.value.cmp(&right.value),
        Some((left, right)) => right.name.cmp(&left.name),
    })
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::firing;
    use super::*;

    #[test]
    fn alerts_are_written_in_alertmanagers_order() {
        let ordered = [
            firing(&[("alertname", "Z"), ("job", "a"), ("instance", "1"), ("x", "y")], 0),
            firing(&[("alertname", "A"), ("job", "a"), ("instance", "2")], 0),
            firing(&[("alertname", "A"), ("job", "b")], 0),
            firing(&[("alertname", "B")], 0),
            firing(&[("alertname", "A"), ("model", "x")], 0),
            firing(&[("alertname", "A"), ("model", "y")], 0),
            firing(&[("alertname", "A"), ("a", "z")], 0),
        ];
        let mut alerts: Vec<&Alert> = ordered.iter().rev().collect();
        alerts.sort_by(|left, right| written_before(left, right));
        assert_eq!(alerts, ordered.iter().collect::<Vec<_>>());
    }

    #[test]
    fn a_digest_is_of_its_parts_and_of_nothing_else() {
        let digested = digest(&["receiver/all/0", "0", "{}:{}", "1.5"]);
        assert!(digested.len() == 64 && !digested.contains('.'), "{digested}");
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
    }
}
