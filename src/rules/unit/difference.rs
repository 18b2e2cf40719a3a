//! How the alerts that fire differ from those that should.

use std::collections::BTreeMap;

/// What is told of an alert: labels, the name among them, and annotations.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, empty ones too.
    pub annotations: BTreeMap<String, String>,
}

/// What is left of two lists of alerts once equal ones are taken away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Alerts that are alike but not equal: expected and got.
    pub differing: Vec<(Told, Told)>,
    /// What should fire and does not.
    pub missing: Vec<Told>,
    /// What fires and should not.
    pub unexpected: Vec<Told>,
}

impl Difference {
    /// Compares two lists; the order in them means nothing.
    pub fn between(expected: &[Told], got: &[Told]) -> Self {
        let mut missing: Vec<Told> = expected.to_vec();
        let mut unexpected = Vec::new();
        for told in got {
            match missing.iter().position(|other| other == told) {
                Some(position) => drop(missing.remove(position)),
                None => unexpected.push(told.clone()),
            }
        }
        let mut differing = Vec::new();
        // Those with the same labels first, so that none of them is taken for another.
        for likeness_min in [Likeness::SameLabels, Likeness::MostLabels] {
            let mut position = 0;
            while position < missing.len() {
                let likest = unexpected
                    .iter()
                    .enumerate()
                    .filter(|(_, other)| likeness(&missing[position], other) >= likeness_min)
                    .max_by_key(|(_, other)| shared(&missing[position], other))
                    .map(|(at, _)| at);
                match likest {
                    Some(at) => {
                        differing.push((missing.remove(position), unexpected.remove(at)));
                    }
                    None => position += 1,
                }
            }
        }
        Self { differing, missing, unexpected }
    }

    /// Whether the lists hold the same.
    pub fn is_none(&self) -> bool {
        self.differing.is_empty() && self.missing.is_empty() && self.unexpected.is_empty()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Likeness {
    Other,
    MostLabels,
    SameLabels,
}

fn likeness(left: &Told, right: &Told) -> Likeness {
    if left.labels == right.labels {
        return Likeness::SameLabels;
    }
    // `alertname` is always shared and says nothing.
    let most = left.labels.len().max(right.labels.len()).saturating_sub(1);
    let shared = shared(left, right).saturating_sub(1);
    if 2 * shared >= most { Likeness::MostLabels } else { Likeness::Other }
}

fn shared(left: &Told, right: &Told) -> usize {
    left.labels.iter().filter(|(name, value)| right.labels.get(*name) == Some(*value)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(labels: &[(&str, &str)], summary: &str) -> Told {
        let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let annotations = BTreeMap::from([("summary".to_owned(), summary.to_owned())]);
        Told { labels: labels.collect(), annotations }
    }

    #[test]
    fn alerts_are_paired_with_what_they_were_meant_to_be() {
        let a = told(&[("alertname", "A"), ("target", "a"), ("severity", "page")], "x");
        let b = told(&[("alertname", "A"), ("target", "b"), ("severity", "page")], "x");
        let a_other = Told { annotations: BTreeMap::new(), ..a.clone() };
        let b_warns = told(&[("alertname", "A"), ("target", "b"), ("severity", "warning")], "x");
        let far = told(&[("alertname", "A"), ("zone", "z"), ("team", "t")], "x");
        let between = |expected: &[&Told], got: &[&Told]| {
            let own = |list: &[&Told]| list.iter().map(|told| (*told).clone()).collect::<Vec<_>>();
            let found = Difference::between(&own(expected), &own(got));
            (found.differing.len(), found.missing.len(), found.unexpected.len())
        };
        assert_eq!(between(&[&a, &b], &[&b, &a]), (0, 0, 0));
        assert_eq!(between(&[&a, &b], &[&b_warns, &a_other]), (2, 0, 0));
        assert_eq!(between(&[&a], &[&far]), (0, 1, 1));
        // The same alert twice, as two rules of one name make it, is two alerts.
        assert_eq!(between(&[&a], &[&a, &a]), (0, 0, 1));
        assert_eq!(between(&[&a, &a], &[&a]), (0, 1, 0));
    }
}
