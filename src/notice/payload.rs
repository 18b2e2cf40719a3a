//! The body of a webhook: Alertmanager's version 4, field by field.
//!
//! Only what 0.25 sends: later versions add fields, and nobody who reads version 4 may count on
//! them. A firing alert ends at year 1, which is how Go writes "never".

use serde::Serialize;

use super::Alert;
use super::alert::Object;
use crate::model::{Labels, Timestamp};

const NEVER: &str = "0001-01-01T00:00:00Z";

/// What a message says beside its alerts.
pub(super) struct Envelope<'a> {
    pub(super) receiver: &'a str,
    pub(super) group_labels: &'a Labels,
    pub(super) group_key: &'a str,
    /// Names the group from its first alert to its last.
    pub(super) incident: &'a str,
    pub(super) external_url: &'a str,
    /// Why it is told, in Alertmanager's words.
    pub(super) reason: &'a str,
    pub(super) truncated: usize,
}

/// Writes the message; there is at least one alert.
pub(super) fn body(envelope: &Envelope<'_>, alerts: &[&Alert], now: Timestamp) -> String {
    let is_firing = alerts.iter().any(|alert| !alert.is_resolved(now));
    let common_labels = shared(alerts.iter().map(|alert| &alert.labels));
    let common_annotations = shared(alerts.iter().map(|alert| &alert.annotations));
    let message = Message {
        receiver: envelope.receiver,
        status: status(is_firing),
        alerts: alerts.iter().map(|alert| item(alert, now)).collect(),
        group_labels: Object(envelope.group_labels),
        common_labels: Object(&common_labels),
        common_annotations: Object(&common_annotations),
        external_url: envelope.external_url,
        version: "4",
        group_key: envelope.group_key,
        truncated_alerts: envelope.truncated,
    };
    serde_json::to_string(&message).expect("texts and numbers always serialize")
}

pub(super) fn item(alert: &Alert, now: Timestamp) -> Item<'_> {
    let is_resolved = alert.is_resolved(now);
    let ends_at = alert.ends_at.filter(|_| is_resolved);
    Item {
        status: status(!is_resolved),
        labels: Object(&alert.labels),
        annotations: Object(&alert.annotations),
        starts_at: alert.starts_at.rfc3339(),
        ends_at: ends_at.map_or_else(|| NEVER.to_owned(), Timestamp::rfc3339),
        generator_url: &alert.generator_url,
        fingerprint: alert.fingerprint(),
    }
}

pub(super) fn status(is_firing: bool) -> &'static str {
    if is_firing { "firing" } else { "resolved" }
}

/// What all sets agree on.
pub(super) fn shared<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    let mut agreed: Vec<_> = first.iter().collect();
    for set in sets {
        agreed.retain(|label| set.get(&label.name) == Some(&*label.value));
    }
    agreed.into_iter().cloned().collect()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    receiver: &'a str,
    status: &'a str,
    alerts: Vec<Item<'a>>,
    group_labels: Object<'a>,
    common_labels: Object<'a>,
    common_annotations: Object<'a>,
    #[serde(rename = "externalURL")]
    external_url: &'a str,
    version: &'a str,
    group_key: &'a str,
    truncated_alerts: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Item<'a> {
    status: &'a str,
    labels: Object<'a>,
    annotations: Object<'a>,
    starts_at: String,
    ends_at: String,
    #[serde(rename = "generatorURL")]
    generator_url: &'a str,
    fingerprint: String,
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::*;

    fn error_ratio() -> Alert {
        let mut alert = firing(
            &[
                ("alertname", "ErrorRatio"),
                ("model", "gpt-x"),
                ("provider", "openai"),
                ("severity", "critical"),
            ],
            0,
        );
        alert.starts_at = Timestamp::from_millis(1_795_343_236_678);
        alert.annotations = Labels::from_pairs([("summary", "error ratio 13.87%")]);
        alert.generator_url = "http://vm:19103/graph?g0.tab=1".to_owned();
        alert
    }

    fn written(alerts: &[&Alert], truncated: usize) -> String {
        let group_labels =
            Labels::from_pairs([("alertname", "ErrorRatio"), ("provider", "openai")]);
        let envelope = Envelope {
            receiver: "all",
            group_labels: &group_labels,
            group_key: r#"{}:{alertname="ErrorRatio", provider="openai"}"#,
            reason: "",
            incident: "",
            external_url: "http://vm:19792",
            truncated,
        };
        body(&envelope, alerts, Timestamp::from_millis(1_795_343_300_000))
    }

    // The shape and the fingerprint were captured from Alertmanager 0.25.
    #[test]
    fn a_firing_group_reads_as_alertmanager_writes_it() {
        let expected = concat!(
            r#"{"receiver":"all","status":"firing","alerts":[{"status":"firing","#,
            r#""labels":{"alertname":"ErrorRatio","model":"gpt-x","provider":"openai","#,
            r#""severity":"critical"},"annotations":{"summary":"error ratio 13.87%"},"#,
            r#""startsAt":"2026-11-22T10:27:16.678Z","endsAt":"0001-01-01T00:00:00Z","#,
            r#""generatorURL":"http://vm:19103/graph?g0.tab=1","#,
            r#""fingerprint":"e92937bd54bb4eab"}],"#,
            r#""groupLabels":{"alertname":"ErrorRatio","provider":"openai"},"#,
            r#""commonLabels":{"alertname":"ErrorRatio","model":"gpt-x","provider":"openai","#,
            r#""severity":"critical"},"commonAnnotations":{"summary":"error ratio 13.87%"},"#,
            r#""externalURL":"http://vm:19792","version":"4","#,
            r#""groupKey":"{}:{alertname=\"ErrorRatio\", provider=\"openai\"}","#,
            r#""truncatedAlerts":0}"#,
        );
        assert_eq!(written(&[&error_ratio()], 0), expected);
    }

    #[test]
    fn a_resolved_group_carries_its_end_and_what_all_agree_on() {
        let first = resolved(&error_ratio(), 1_795_343_290);
        let mut second = first.clone();
        second.labels = first.labels.with("model", "gpt-y");
        second.annotations = Labels::empty();
        let message: serde_json::Value =
            serde_json::from_str(&written(&[&first, &second], 3)).unwrap();
        assert_eq!(message["status"], "resolved");
        assert_eq!(message["alerts"][1]["endsAt"], "2026-11-22T10:28:10.000Z");
        assert_eq!(message["truncatedAlerts"], 3);
        assert_eq!(message["commonAnnotations"], serde_json::json!({}));
        assert_eq!(
            message["commonLabels"],
            serde_json::json!(
                {"alertname": "ErrorRatio", "provider": "openai", "severity": "critical"}
            )
        );
    }

    #[test]
    fn one_firing_alert_makes_the_group_firing() {
        let fires = error_ratio();
        let mut ended = resolved(&fires, 1_795_343_290);
        ended.labels = fires.labels.with("model", "gpt-y");
        let message: serde_json::Value =
            serde_json::from_str(&written(&[&ended, &fires], 0)).unwrap();
        assert_eq!(message["status"], "firing");
        assert_eq!(message["alerts"][0]["status"], "resolved");
        assert_eq!(message["alerts"][1]["status"], "firing");
    }
}
