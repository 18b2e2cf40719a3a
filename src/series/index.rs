//! Which series satisfy a set of matchers.
//!
//! For each label name and value, the ids of the series that have it, sorted. A matcher that the
//! empty value does not satisfy selects the lists of the values it matches; one that the empty
//! value does satisfy also matches series without the label, so it takes away the lists of the
//! values it does not match. The lists of one name never overlap: a series has one value of each.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{Labels, MatchOp, Matcher};

/// A series in the store. Ids grow and are never given again, so that whoever remembers one can't
/// meet another series under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesId(pub(super) u64);

/// The lists of ids.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    all: Vec<SeriesId>,
    lists: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Vec<SeriesId>>>,
}

impl Index {
    /// Adds a series whose id is above all earlier ones.
    pub(super) fn add(&mut self, id: SeriesId, labels: &Labels) {
        self.all.push(id);
        for label in labels {
            let values = self.lists.entry(Arc::clone(&label.name)).or_default();
            values.entry(Arc::clone(&label.value)).or_default().push(id);
        }
    }

    /// Removes series, all in one pass over each list that names one of them.
    pub(super) fn remove(&mut self, gone: &BTreeMap<SeriesId, Labels>) {
        self.all.retain(|id| !gone.contains_key(id));
        let touched: BTreeSet<_> =
            gone.values().flatten().map(|label| (&label.name, &label.value)).collect();
        for (name, value) in touched {
            let Some(values) = self.lists.get_mut(name) else { continue };
            if let Some(ids) = values.get_mut(value) {
                ids.retain(|id| !gone.contains_key(id));
                if ids.is_empty() {
                    values.remove(value);
                }
            }
            if values.is_empty() {
                self.lists.remove(name);
            }
        }
    }

    /// The series that satisfy all matchers, sorted; every series where there are no matchers.
    pub(super) fn select(&self, matchers: &[Matcher]) -> Vec<SeriesId> {
        let (absent_too, present): (Vec<_>, Vec<_>) =
            matchers.iter().partition(|matcher| matcher.matches(""));
        let mut chosen: Vec<Cow<'_, [SeriesId]>> =
            present.into_iter().map(|matcher| self.with_value(matcher)).collect();
        // From the shortest on, so that each step has the least to look up.
        chosen.sort_by_key(|list| list.len());
        let mut chosen = chosen.into_iter();
        let mut ids = chosen.next().map_or_else(|| self.all.clone(), Cow::into_owned);
        for list in chosen {
            ids.retain(|id| list.binary_search(id).is_ok());
        }
        for matcher in absent_too {
            if ids.is_empty() {
                break;
            }
            let refused = self.against(matcher);
            ids.retain(|id| refused.binary_search(id).is_err());
        }
        ids
    }

    /// The series whose value of the label is there and satisfies the matcher.
    fn with_value(&self, matcher: &Matcher) -> Cow<'_, [SeriesId]> {
        let Some(values) = self.lists.get(matcher.name()) else { return Cow::default() };
        if matcher.op() == MatchOp::Equal {
            return values.get(matcher.value()).map(Cow::from).unwrap_or_default();
        }
        joined(values.iter().filter(|(value, _)| matcher.matches(value)).map(|(_, ids)| ids))
    }

    /// The series whose value of the label is there and does not satisfy the matcher.
    fn against(&self, matcher: &Matcher) -> Cow<'_, [SeriesId]> {
        let Some(values) = self.lists.get(matcher.name()) else { return Cow::default() };
        if matcher.op() == MatchOp::NotEqual {
            return values.get(matcher.value()).map(Cow::from).unwrap_or_default();
        }
        joined(values.iter().filter(|(value, _)| !matcher.matches(value)).map(|(_, ids)| ids))
    }
}

fn joined<'a>(lists: impl Iterator<Item = &'a Vec<SeriesId>>) -> Cow<'a, [SeriesId]> {
    let mut ids: Vec<SeriesId> = lists.flatten().copied().collect();
    ids.sort_unstable();
    ids.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(sets: &[Labels]) -> Index {
        let mut index = Index::default();
        for (id, labels) in (0..).zip(sets) {
            index.add(SeriesId(id), labels);
        }
        index
    }

    fn matcher(text: &str) -> Matcher {
        Matcher::parse(text).unwrap()
    }

    #[test]
    fn every_kind_of_matcher_selects_as_prometheus_does() {
        let index = index(&[
            Labels::from_pairs([("n", "1")]),
            Labels::from_pairs([("n", "1"), ("i", "a")]),
            Labels::from_pairs([("n", "1"), ("i", "b")]),
            Labels::from_pairs([("n", "2")]),
            Labels::empty(),
        ]);
        // After Prometheus's tsdb/querier_test.go, TestPostingsForMatchers, worked by hand here.
        for (matchers, expected) in [
            (&[] as &[&str], &[0_u64, 1, 2, 3, 4] as &[u64]),
            (&["n=1"], &[0, 1, 2]),
            (&["n=1", "i=a"], &[1]),
            (&["n=1", "i=missing"], &[]),
            (&["missing="], &[0, 1, 2, 3, 4]),
            (&["missing=x"], &[]),
            (&["n=1", "i="], &[0]),
            (&["i="], &[0, 3, 4]),
            (&["n!=1"], &[3, 4]),
            (&["n=1", "i!="], &[1, 2]),
            (&["i!=a"], &[0, 2, 3, 4]),
            (&["missing!="], &[]),
            (&["missing!=x"], &[0, 1, 2, 3, 4]),
            (&["n=1", "i=~a|b"], &[1, 2]),
            (&["n=~1"], &[0, 1, 2]),
            (&["i=~.*"], &[0, 1, 2, 3, 4]),
            (&["i=~.+"], &[1, 2]),
            (&["i=~a?"], &[0, 1, 3, 4]),
            (&["i=~|b"], &[0, 2, 3, 4]),
            (&["n=1", "i!~a"], &[0, 2]),
            (&["i!~.*"], &[]),
            (&["i!~.+"], &[0, 3, 4]),
            (&["i!~|a"], &[2]),
            (&["n!=1", "n!=2"], &[4]),
            (&["n=~1|2", "i!=a", "i!~b"], &[0, 3]),
        ] {
            let parsed: Vec<_> = matchers.iter().map(|text| matcher(text)).collect();
            let ids: Vec<u64> = index.select(&parsed).into_iter().map(|id| id.0).collect();
            assert_eq!(ids, expected, "{matchers:?}");
        }
    }

    #[test]
    fn removed_series_leave_no_list_behind() {
        let sets = [
            Labels::from_pairs([("n", "1"), ("i", "a")]),
            Labels::from_pairs([("n", "1")]),
            Labels::from_pairs([("n", "2")]),
        ];
        let mut index = index(&sets);
        index.remove(&BTreeMap::from([(SeriesId(0), sets[0].clone())]));
        assert_eq!(index.select(&[matcher("n=1")]), [SeriesId(1)]);
        assert_eq!(index.lists.keys().map(|name| &**name).collect::<Vec<_>>(), ["n"]);
        index.remove(&BTreeMap::from([
            (SeriesId(1), sets[1].clone()),
            (SeriesId(2), sets[2].clone()),
        ]));
        assert!(index.all.is_empty() && index.lists.is_empty());
    }

    proptest! {
        #[test]
        fn the_index_agrees_with_asking_each_series(
            sets in prop::collection::vec(
                prop::collection::vec(("[abc]", "[xyz]{0,2}"), 0..4), 0..20),
            asked in prop::collection::vec(
                ("[abcd]", 0_usize..4, "[xyz]{0,2}|x.*|x\\|y|.*|.+|\\||z?"), 0..4),
            gone in prop::collection::btree_set(0_u64..20, 0..10),
        ) {
            let sets: Vec<Labels> = sets
                .iter()
                .map(|set| Labels::from_pairs(set.iter().map(|(n, v)| (n.as_str(), v.as_str()))))
                .collect();
            let ops = [MatchOp::Equal, MatchOp::NotEqual, MatchOp::Regex, MatchOp::NotRegex];
            let matchers: Vec<Matcher> = asked
                .iter()
                .filter_map(|(name, op, value)| Matcher::new(name, ops[*op], value).ok())
                .collect();
            let mut index = index(&sets);
            let numbered = || (0..).map(SeriesId).zip(&sets);
            let gone: BTreeMap<_, _> = numbered()
                .filter(|(id, _)| gone.contains(&id.0))
                .map(|(id, labels)| (id, labels.clone()))
                .collect();
            index.remove(&gone);
            let expected: Vec<SeriesId> = numbered()
                .filter(|(id, _)| !gone.contains_key(id))
                .filter(|(_, labels)| matchers.iter().all(|one| one.matches_labels(labels)))
                .map(|(id, _)| id)
                .collect();
            prop_assert_eq!(index.select(&matchers), expected);
        }
    }
}
