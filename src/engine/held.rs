//! Rollbacks that wait for planned maintenance, told to people as an alert of their own.
//!
//! A rule over the counter of decisions says that something was held; this says what waits, why and
//! until when, at the moment of the decision and until it is over: the rollback fires, its incident
//! ends, or something else holds it. It is asserted with an end, so that it can't outlive bellwether.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Settings;
use super::outward::with_external;
use crate::model::{Labels, Timestamp};
use crate::notice::Alert;
use crate::release::{Decision, Rollbacks, Verdict};

const NAME: &str = "BellwetherMaintenanceHoldsRollback";
/// More incidents at once than a person can be told of.
const HELD_MAX: usize = 1_000;

/// What waits, by rollback and incident.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<(String, String), Alert>);

impl Held {
    /// Takes note of a decision.
    pub(super) fn note(&mut self, decision: &Decision, settings: &Settings) {
        let Verdict::HeldMaintenance { .. } = decision.verdict else { return };
        let key = (decision.rollback.clone(), decision.incident.clone());
        // Said anew it has another end, and is still the same.
        let starts_at = self.0.get(&key).map_or(decision.at, |known| known.starts_at);
        if self.0.len() < HELD_MAX || self.0.contains_key(&key) {
            self.0.insert(key, alert(decision, starts_at, settings));
        }
    }

    /// What is to be said by now: what still waits, and once what waits no more.
    pub(super) fn step(
        &mut self,
        rollbacks: &Rollbacks,
        valid_for: Duration,
        now: Timestamp,
    ) -> Vec<Alert> {
        let mut said = Vec::new();
        self.0.retain(|(rollback, incident), alert| {
            let verdict = rollbacks.verdict(rollback, incident);
            let is_held = matches!(verdict, Some(Verdict::HeldMaintenance { .. }));
            alert.is_firing = is_held;
            alert.ends_at = Some(if is_held { now + valid_for } else { now });
            said.push(alert.clone());
            is_held
        });
        said
    }
}

fn alert(decision: &Decision, starts_at: Timestamp, settings: &Settings) -> Alert {
    let rollback = decision.rollback.as_str();
    let asked_by = decision.alert.name();
    let of_alert = ["target", "provider", "model"];
    let of_alert = of_alert
        .into_iter()
        .filter_map(|name| decision.alert.labels.get(name).map(|value| (name, value)));
    let own = [
        ("alertname", NAME),
        ("severity", "warning"),
        ("rollback", rollback),
        ("held_alertname", asked_by),
    ];
    let labels: Labels = Labels::from_pairs(own.into_iter().chain(of_alert));
    let until = match decision.verdict.until() {
        Some(until) => format!("until {until}"),
        None => "without an end that is known".to_owned(),
    };
    let summary =
        format!("{rollback}: a rollback is due and waits for planned maintenance {until}");
    let description =
        format!("{}. It fires afterwards if the alert still does.", decision.report.why);
    let annotations = [("summary", summary.as_str()), ("description", description.as_str())];
    Alert {
        labels: with_external(&labels, &settings.external_labels),
        annotations: Labels::from_pairs(annotations),
        is_firing: true,
        starts_at,
        ends_at: None,
        value: decision.alert.value,
        generator_url: decision.alert.generator_url.clone(),
        incident: format!("held/{}", decision.id),
    }
}
