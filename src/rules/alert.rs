//! One alert and what identifies it.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

use crate::model::{Labels, Timestamp};

/// Where an alert stands. The order is that of gravity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// The labels of the sample without its name, overlaid by the rule's, and `alertname`.
    pub labels: Labels,
    /// For people, as of the last evaluation in which the condition held.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// The sample's value at the last evaluation in which the condition held.
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

/// The incident's id: 64 hexadecimal digits.
pub(super) fn incident(
    file: &str,
    group: &str,
    rule: &str,
    labels: &Labels,
    active_at: Timestamp,
) -> String {
    let mut hash = Sha256::new();
    let labels = labels.iter().flat_map(|label| [&*label.name, &*label.value]);
    for part in [file, group, rule].into_iter().chain(labels) {
        // Lengths keep `ab`, `c` and `a`, `bc` apart.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(active_at.millis().to_be_bytes());
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
