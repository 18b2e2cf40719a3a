//! A label set: what tells one series from another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// One name and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// The label's name.
    pub name: Arc<str>,
    /// Its value, never empty inside a [`Labels`].
    pub value: Arc<str>,
}

/// Labels sorted by name, names unique, no empty values (an empty value means the label is absent,
/// as in Prometheus). Cloning is one reference count.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// The name of the label that holds a metric's name.
    pub const NAME: &'static str = "__name__";

    /// No labels at all.
    pub fn empty() -> Self {
        Self(Arc::from([]))
    }

    /// Builds a set from labels in any order; of equal names the last wins, empty values are dropped.
    pub fn new(labels: impl IntoIterator<Item = Label>) -> Self {
        let mut sorted: Vec<Label> = labels.into_iter().collect();
        sorted.sort_by(|left, right| left.name.cmp(&right.name));
        sorted.dedup_by(|later, earlier| {
            let same = later.name == earlier.name;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        sorted.retain(|label| !label.value.is_empty());
        Self(Arc::from(sorted))
    }

    /// Builds a set from pairs of text.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(
            pairs
                .into_iter()
                .map(|(name, value)| Label { name: Arc::from(name), value: Arc::from(value) }),
        )
    }

    /// The value of a label, or `None` where it is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Names of different lengths are told apart without reading them, so among the few labels
        // of a series this finds one sooner than a binary search.
        self.0.iter().find(|label| *label.name == *name).map(|label| &*label.value)
    }

    /// The metric's name, empty where there is none.
    pub fn metric(&self) -> &str {
        self.get(Self::NAME).unwrap_or_default()
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    /// How many labels there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The same set with one label set; an empty value removes it.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let kept = self.0.iter().filter(|label| *label.name != *name).cloned();
        Self::new(kept.chain([Label { name: Arc::from(name), value: Arc::from(value) }]))
    }

    /// The same set without the named labels.
    #[must_use]
    pub fn without(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|label| !names.contains(&&*label.name)).cloned().collect())
    }

    /// Only the named labels.
    #[must_use]
    pub fn keep(&self, names: &[&str]) -> Self {
        Self(self.0.iter().filter(|label| names.contains(&&*label.name)).cloned().collect())
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        Self::new(labels)
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// As Prometheus writes a series: `metric{name="value", …}`.
impl fmt::Display for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.metric())?;
        let others = self.0.iter().filter(|label| &*label.name != Self::NAME);
        if self.0.is_empty() || others.clone().next().is_some() {
            formatter.write_str("{")?;
            for (position, label) in others.enumerate() {
                let comma = if position == 0 { "" } else { ", " };
                write!(formatter, "{comma}{}={:?}", label.name, label.value)?;
            }
            formatter.write_str("}")?;
        }
        Ok(())
    }
}

/// A JSON object in order of the names.
impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for label in self {
            map.serialize_entry(&*label.name, &*label.value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(Self::from_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_names_wins_and_empty_values_vanish() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "x"), ("b", "2"), ("c", "")]);
        assert_eq!(labels.to_string(), r#"{a="x", b="2"}"#);
        assert_eq!(Labels::from_pairs([("a", "x"), ("a", "")]), Labels::empty());
    }

    #[test]
    fn a_series_reads_as_prometheus_writes_it() {
        let labels = Labels::from_pairs([("__name__", "up"), ("job", "a\"b")]);
        assert_eq!(labels.to_string(), r#"up{job="a\"b"}"#);
        assert_eq!(labels.without(&["job"]).to_string(), "up");
        assert_eq!(Labels::empty().to_string(), "{}");
    }

    #[test]
    fn labels_are_written_as_an_object_and_read_back() {
        let labels = Labels::from_pairs([("b", "2"), ("a", "x\"y")]);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(text, r#"{"a":"x\"y","b":"2"}"#);
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
    }
}
