//! An alert as receivers are told of it.

use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};

use crate::model::{Labels, Timestamp, any_number};

/// An alert that fires or has fired. Its identity is its label set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is; `alertname` is among them.
    pub labels: Labels,
    /// What it says to people.
    pub annotations: Labels,
    /// Whether it fires.
    pub is_firing: bool,
    /// When it began to fire.
    pub starts_at: Timestamp,
    /// When it was resolved; of a firing alert, when it counts as resolved unless it is asserted
    /// again (`None` is never).
    pub ends_at: Option<Timestamp>,
    /// What the rule's expression gave last.
    #[serde(with = "any_number")]
    pub value: f64,
    /// Where the expression can be looked at; may be empty.
    pub generator_url: String,
    /// The same from the first moment of one incident to its end, and over restarts.
    pub incident: String,
}

impl Alert {
    /// The alert's name, empty where it has none.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").unwrap_or_default()
    }

    /// Whether it counts as resolved at a time.
    pub fn is_resolved(&self, now: Timestamp) -> bool {
        !self.is_firing || self.ends_at.is_some_and(|ends_at| ends_at <= now)
    }

    /// What Alertmanager calls its fingerprint.
    pub fn fingerprint(&self) -> String {
        format!("{:016x}", fingerprint(&self.labels))
    }
}

/// FNV-1a, 64 bits, over names and values in order, each followed by the byte 255 that no UTF-8
/// holds (github.com/prometheus/common/model, `LabelSet.Fingerprint`).
fn fingerprint(labels: &Labels) -> u64 {
    let texts = labels.iter().flat_map(|label| [&label.name, &label.value]);
    texts.flat_map(|text| text.bytes().chain([255])).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Labels as a JSON object in order of their names.
pub(super) struct Object<'a>(pub(super) &'a Labels);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for label in self.0 {
            map.serialize_entry(&*label.name, &*label.value)?;
        }
        map.end()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An alert that fires since a time in seconds and points nowhere.
    pub(crate) fn firing(labels: &[(&str, &str)], starts_at_secs: i64) -> Alert {
        Alert {
            labels: Labels::from_pairs(labels.iter().copied()),
            annotations: Labels::empty(),
            is_firing: true,
            starts_at: Timestamp::from_millis(starts_at_secs * 1000),
            ends_at: None,
            value: 1.0,
            generator_url: String::new(),
            incident: format!("{labels:?} since {starts_at_secs}"),
        }
    }

    /// The same alert, resolved.
    pub(crate) fn resolved(alert: &Alert, ends_at_secs: i64) -> Alert {
        let ends_at = Some(Timestamp::from_millis(ends_at_secs * 1000));
        Alert { is_firing: false, ends_at, ..alert.clone() }
    }

    #[test]
    fn a_fingerprint_is_the_one_alertmanager_gives() {
        // The first was captured from Alertmanager 0.25; the second is FNV-1a's offset basis.
        for (labels, expected) in [
            (
                &[
                    ("severity", "critical"),
                    ("provider", "openai"),
                    ("model", "gpt-x"),
                    ("alertname", "ErrorRatio"),
                ][..],
                "e92937bd54bb4eab",
            ),
            (&[], "cbf29ce484222325"),
        ] {
            assert_eq!(firing(labels, 0).fingerprint(), expected);
        }
    }

    #[test]
    fn a_firing_alert_that_nobody_asserts_again_counts_as_resolved() {
        let mut alert = firing(&[("alertname", "A")], 0);
        assert!(!alert.is_resolved(Timestamp::MAX));
        alert.ends_at = Some(Timestamp::from_millis(4000));
        assert!(!alert.is_resolved(Timestamp::from_millis(3999)));
        assert!(alert.is_resolved(Timestamp::from_millis(4000)));
    }
}
