//! The one line that somebody reads on a locked phone, or is read by a voice at night.
//!
//! `[FIRING:2] ErrorRatio: error ratio 13.87% on openai/gpt-x (and 1 more)`: Alertmanager's own
//! beginning, the alert's name, then what the worst alert says of itself. Where it says nothing,
//! the labels of the group stand for it.

use super::Alert;
use super::cut::one_line;
use super::payload::Envelope;
use super::severity::Severity;
use crate::model::Timestamp;

/// The line; there is at least one alert.
pub(super) fn headline(envelope: &Envelope<'_>, alerts: &[&Alert], now: Timestamp) -> String {
    let firing = alerts.iter().filter(|alert| !alert.is_resolved(now)).count();
    let status = match firing {
        0 => "[RESOLVED]".to_owned(),
        firing => format!("[FIRING:{firing}]"),
    };
    let Some(worst) = worst(alerts, now) else { return status };
    let name = worst.name();
    let says = worst.annotations.get("summary").map(one_line).filter(|text| !text.is_empty());
    let says = says.unwrap_or_else(|| {
        let others = envelope.group_labels.iter().filter(|label| &*label.name != "alertname");
        others.map(|label| one_line(&label.value)).collect::<Vec<_>>().join(" ")
    });
    let subject = match (name, says.as_str()) {
        ("", says) => says.to_owned(),
        (name, "") => name.to_owned(),
        (name, says) if says.contains(name) => says.to_owned(),
        (name, says) => format!("{name}: {says}"),
    };
    let others = firing.max(1) - 1;
    let others = if others > 0 { format!(" (and {others} more)") } else { String::new() };
    format!("{status} {subject}{others}")
}

/// The alert that matters most: one that fires before one that is over, then the more severe one,
/// then the one that fires for longer.
pub(super) fn worst<'a>(alerts: &[&'a Alert], now: Timestamp) -> Option<&'a Alert> {
    let weight = |alert: &Alert| {
        let age = std::cmp::Reverse(alert.starts_at);
        (!alert.is_resolved(now), Severity::of(alert), age)
    };
    // The first of equals.
    alerts.iter().rev().max_by_key(|alert| weight(alert)).copied()
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::*;
    use crate::model::Labels;

    fn check(alerts: &[&Alert], expected: &str) {
        let group_labels =
            Labels::from_pairs([("alertname", "ErrorRatio"), ("provider", "openai")]);
        let envelope = Envelope {
            receiver: "all",
            group_labels: &group_labels,
            group_key: "",
            reason: "",
            incident: "",
            external_url: "",
            truncated: 0,
        };
        assert_eq!(headline(&envelope, alerts, Timestamp::from_millis(100_000)), expected);
    }

    #[test]
    fn the_line_is_about_the_worst_alert_that_fires() {
        let alert = |model: &str, severity: &str, summary: &str| {
            let labels = [("alertname", "ErrorRatio"), ("model", model), ("severity", severity)];
            let annotations = Labels::from_pairs([("summary", summary)]);
            Alert { annotations, ..firing(&labels, 0) }
        };
        let (mild, bad) = (alert("a", "warning", "slow"), alert("b", "page", "5xx\non b"));
        check(&[&mild], "[FIRING:1] ErrorRatio: slow");
        check(&[&mild, &bad], "[FIRING:2] ErrorRatio: 5xx on b (and 1 more)");
        let over = resolved(&bad, 90);
        check(&[&over, &mild], "[FIRING:1] ErrorRatio: slow");
        check(&[&over], "[RESOLVED] ErrorRatio: 5xx on b");
        check(&[&alert("a", "", "")], "[FIRING:1] ErrorRatio: openai");
        check(&[&alert("a", "", "ErrorRatio is 5%")], "[FIRING:1] ErrorRatio is 5%");
        check(&[&firing(&[], 0)], "[FIRING:1] openai");
    }
}
