//! What real Alertmanagers are told, and how often.
//!
//! They forget an alert that nobody asserts, so Prometheus says everything again: at once when it
//! changes, then whenever `resend_delay` has passed, a resolve for 15 minutes. All Alertmanagers
//! are told everything; they agree among themselves who acts. A post that fails is not tried
//! again: the next one carries the state as it then is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Alert;
use super::alert::Object;
use super::{Delivery, HookId, Sending};
use crate::model::{Labels, Timestamp};

/// The most alerts in one post, as Prometheus bounds it.
pub const ALERTS_A_POST: usize = 256;
/// How long a resolved alert is said again.
pub const RETENTION: Duration = Duration::from_secs(900);

/// The most alerts that are followed; those beyond it are sent at every evaluation.
const FOLLOWED_MAX: usize = 50_000;

/// One `POST /api/v2/alerts`, the same for all Alertmanagers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The JSON array.
    pub body: Arc<str>,
    /// How many alerts it holds.
    pub alerts: usize,
}

impl Post {
    /// The post on its way to each of so many Alertmanagers.
    pub fn deliveries(&self, now: Timestamp, alertmanagers: usize) -> Vec<Delivery> {
        (0..alertmanagers)
            .map(|position| Delivery {
                hook: HookId::alertmanager(position),
                // Only for the log: Alertmanager knows alerts by their labels.
                id: format!("post_{}", now.millis()),
                order: String::new(),
                body: Arc::clone(&self.body),
                decided_at: now,
                sending: Sending::Real,
            })
            .collect()
    }
}

/// When each alert was said last.
#[derive(Clone, Debug)]
pub struct Resend {
    delay: Duration,
    external_labels: Labels,
    said: BTreeMap<Labels, Said>,
}

#[derive(Clone, Debug)]
struct Said {
    is_firing: bool,
    incident: String,
    at: Timestamp,
}

impl Resend {
    /// Nothing was said yet. External labels are added to alerts that lack them.
    pub fn new(delay: Duration, external_labels: Labels) -> Self {
        Self { delay, external_labels, said: BTreeMap::new() }
    }

    /// Takes over from before a reload, so that nothing is said again for its sake.
    pub fn adopt(&mut self, old: Self) {
        self.said = old.said;
    }

    /// After the evaluation of one rule group: all of its alerts that fire or were resolved lately,
    /// and the group's interval. Returns what is due to be said.
    pub fn step(&mut self, now: Timestamp, interval: Duration, alerts: &[Alert]) -> Vec<Post> {
        // Long enough that an Alertmanager which missed three posts still holds the alert.
        let valid_until = now + 4 * interval.max(self.delay);
        // A resolve is older than that only once it is no longer said.
        self.said.retain(|_, said| now.since(said.at) <= RETENTION.max(4 * self.delay));
        let mut due = Vec::new();
        for alert in alerts {
            if self.is_due(now, alert) {
                due.push(alert);
                if self.said.len() < FOLLOWED_MAX || self.said.contains_key(&alert.labels) {
                    let (is_firing, incident) = (alert.is_firing, alert.incident.clone());
                    let said = Said { is_firing, incident, at: now };
                    self.said.insert(alert.labels.clone(), said);
                }
            }
        }
        due.chunks(ALERTS_A_POST)
            .map(|alerts| Post { body: self.body(alerts, valid_until), alerts: alerts.len() })
            .collect()
    }

    fn is_due(&self, now: Timestamp, alert: &Alert) -> bool {
        if !alert.is_firing && alert.ends_at.is_some_and(|at| now.since(at) > RETENTION) {
            return false;
        }
        let Some(said) = self.said.get(&alert.labels) else { return true };
        let is_same = said.is_firing == alert.is_firing && said.incident == alert.incident;
        !is_same || said.at + self.delay < now
    }

    fn body(&self, alerts: &[&Alert], valid_until: Timestamp) -> Arc<str> {
        let labels: Vec<Labels> = alerts.iter().map(|alert| self.outward(&alert.labels)).collect();
        let items: Vec<Item<'_>> = alerts
            .iter()
            .zip(&labels)
            .map(|(alert, labels)| Item {
                annotations: Object(&alert.annotations),
                ends_at: alert.ends_at.unwrap_or(valid_until).rfc3339(),
                starts_at: alert.starts_at.rfc3339(),
                generator_url: &alert.generator_url,
                labels: Object(labels),
            })
            .collect();
        Arc::from(serde_json::to_string(&items).expect("texts always serialize"))
    }

    /// An alert's own labels win.
    fn outward(&self, labels: &Labels) -> Labels {
        if self.external_labels.is_empty() {
            return labels.clone();
        }
        self.external_labels.iter().chain(labels).cloned().collect()
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    annotations: Object<'a>,
    ends_at: String,
    starts_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "str::is_empty")]
    generator_url: &'a str,
    labels: Object<'a>,
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);
    const INTERVAL: Duration = Duration::from_secs(15);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_millis(secs * 1000)
    }

    // The shape was captured from Prometheus 2.42, endsAt worked out by its rule.
    #[test]
    fn a_post_reads_as_prometheus_writes_it() {
        let mut alert = firing(
            &[("alertname", "ErrorRatio"), ("provider", "p06"), ("severity", "")],
            1_795_342_321,
        );
        alert.annotations = Labels::from_pairs([("summary", "error ratio 13.87% on p06")]);
        alert.generator_url = "http://vm:19103/graph?g0.tab=1".to_owned();
        let mut resend = Resend::new(MINUTE, Labels::empty());
        let posts = resend.step(at(1_795_342_321), INTERVAL, &[alert]);
        let expected = concat!(
            r#"[{"annotations":{"summary":"error ratio 13.87% on p06"},"#,
            r#""endsAt":"2026-11-22T10:16:01.000Z","startsAt":"2026-11-22T10:12:01.000Z","#,
            r#""generatorURL":"http://vm:19103/graph?g0.tab=1","#,
            r#""labels":{"alertname":"ErrorRatio","provider":"p06"}}]"#,
        );
        assert_eq!(posts, [Post { body: Arc::from(expected), alerts: 1 }]);
    }

    #[test]
    fn an_alert_is_said_on_change_and_again_after_the_delay() {
        let alert = firing(&[("alertname", "A")], 0);
        let ended = resolved(&alert, 150);
        let again = firing(&[("alertname", "A")], 165);
        let mut resend = Resend::new(MINUTE, Labels::empty());
        for (now, alert, posts) in [
            (0, &alert, 1),
            (15, &alert, 0),
            // Exactly the delay is not yet more than the delay.
            (60, &alert, 0),
            (75, &alert, 1),
            (135, &alert, 0),
            (150, &ended, 1),
            (160, &ended, 0),
            (165, &again, 1),
            (180, &again, 0),
            (240, &again, 1),
        ] {
            let sent = resend.step(at(now), INTERVAL, std::slice::from_ref(alert));
            assert_eq!(sent.len(), posts, "at {now}");
        }
    }

    #[test]
    fn a_resolve_is_said_for_fifteen_minutes() {
        let ended = resolved(&firing(&[("alertname", "A")], 0), 10);
        let mut resend = Resend::new(MINUTE, Labels::empty());
        let said = (10..3000).step_by(10).filter(|now| {
            !resend.step(at(*now), INTERVAL, std::slice::from_ref(&ended)).is_empty()
        });
        // Every 70 s from 10 on, the last no later than 910.
        assert_eq!(said.collect::<Vec<_>>(), (10..=910).step_by(70).collect::<Vec<_>>());
    }

    #[test]
    fn many_alerts_go_in_posts_of_256() {
        let names: Vec<String> = (0..600).map(|number| format!("A{number}")).collect();
        let alerts: Vec<Alert> =
            names.iter().map(|name| firing(&[("alertname", name)], 0)).collect();
        let mut resend = Resend::new(MINUTE, Labels::empty());
        let posts = resend.step(at(0), INTERVAL, &alerts);
        assert_eq!(posts.iter().map(|post| post.alerts).collect::<Vec<_>>(), [256, 256, 88]);
    }

    #[test]
    fn external_labels_are_added_only_where_absent() {
        let external = Labels::from_pairs([("region", "eu"), ("team", "infra")]);
        let alert = firing(&[("alertname", "A"), ("team", "models")], 0);
        let posts = Resend::new(MINUTE, external).step(at(0), INTERVAL, &[alert]);
        let body: serde_json::Value = serde_json::from_str(&posts[0].body).unwrap();
        assert_eq!(
            body[0]["labels"],
            serde_json::json!({"alertname": "A", "region": "eu", "team": "models"})
        );
    }
}
