//! One alert and what identifies it.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{Labels, Timestamp, any_number};

/// Where an alert stands. The order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    /// It has fired and is over.
    Inactive,
    /// Its condition holds, but not yet for as long as the rule asks.
    Pending,
    /// Its condition has held for long enough.
    Firing,
}

impl AlertState {
    /// The word that Prometheus's API and the series `ALERTS` use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inactive => "inactive",
            Self::Pending => "pending",
            Self::Firing => "firing",
        }
    }
}

/// One alert of an alerting rule: identified, within its rule, by its labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The labels of the sample without its name, overlaid by the rule's, and `alertname`.
    pub labels: Labels,
    /// For people, as of the last evaluation in which the condition held.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// The sample's value at the last evaluation in which the condition held.
    #[serde(with = "any_number")]
    pub value: f64,
    /// Since when the condition holds.
    pub active_at: Timestamp,
    /// Since when it fires.
    pub fired_at: Option<Timestamp>,
    /// When it was over.
    pub resolved_at: Option<Timestamp>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<Timestamp>,
    /// The rule's expression, as Prometheus writes it.
    pub expr: String,
    /// The rule's name.
    pub rule: String,
    /// The group's name.
    pub group: String,
    /// The rule file.
    pub file: String,
    /// An id that stays the same from the first pending evaluation until the alert is over, over
    /// restarts too: the hash of rule, labels and [`Self::active_at`].
    pub incident: String,
}

impl Alert {
    /// The alert as it goes on after a time in which nobody evaluated it, which counts for nothing.
    #[must_use]
    pub fn after(mut self, outage: Duration) -> Self {
        if self.state == AlertState::Pending {
            self.active_at = self.active_at + outage;
        }
        self.keep_firing_since = self.keep_firing_since.map(|since| since + outage);
        self
    }

    /// What tells it from every other alert, over restarts and reloads that leave its rule alone:
    /// the hash of rule, expression and labels, 64 hexadecimal digits.
    pub fn identity(&self) -> String {
        let parts = [&self.file, &self.group, &self.rule, &self.expr];
        hashed(parts.into_iter().map(String::as_str), &self.labels, &[])
    }
}

/// The incident's id: 64 hexadecimal digits.
pub(super) fn incident(
    file: &str,
    group: &str,
    rule: &str,
    labels: &Labels,
    active_at: Timestamp,
) -> String {
    hashed([file, group, rule].into_iter(), labels, &active_at.millis().to_be_bytes())
}

fn hashed<'a>(parts: impl Iterator<Item = &'a str>, labels: &'a Labels, end: &[u8]) -> String {
    let mut hash = Sha256::new();
    let labels = labels.iter().flat_map(|label| [&*label.name, &*label.value]);
    for part in parts.chain(labels) {
        // Lengths keep `ab`, `c` and `a`, `bc` apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(end);
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_told_apart_by_every_part() {
        let at = Timestamp::from_millis(1000);
        let labels = Labels::from_pairs([("alertname", "A"), ("target", "x")]);
        let ids = [
            incident("f", "g", "A", &labels, at),
            incident("fg", "", "A", &labels, at),
            incident("f", "g", "B", &labels, at),
            incident("f", "g", "A", &labels.with("target", "y"), at),
            incident("f", "g", "A", &labels, Timestamp::from_millis(1001)),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(ids.iter().all(|id| id.len() == 64));
    }
}
