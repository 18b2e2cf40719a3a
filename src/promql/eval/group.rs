//! Which rows belong together: by some of their labels, without building a label set for each.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::super::plan::Key;
use super::block::Naming;
use crate::model::{Label, Labels};

/// Labels, some of which may be hidden.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub labels: &'a Labels,
    pub hides_name: bool,
    pub naming: Naming,
}

impl<'a> View<'a> {
    pub fn iter(self) -> impl Iterator<Item = &'a Label> {
        self.labels
            .iter()
            .filter(move |label| !(self.hides_name && self.naming.is_name(&label.name)))
    }

    fn get(self, name: &str) -> &'a str {
        let is_hidden = self.hides_name && self.naming.is_name(name);
        self.labels.get(name).filter(|_| !is_hidden).unwrap_or_default()
    }

    /// Here the name is `__name__` alone, even where type and unit fall with it.
    fn without(self, names: &[Arc<str>]) -> impl Iterator<Item = &'a Label> {
        self.except(names).filter(|label| *label.name != *Labels::NAME)
    }

    fn except(self, names: &[Arc<str>]) -> impl Iterator<Item = &'a Label> {
        self.iter().filter(move |label| names.binary_search(&label.name).is_err())
    }

    /// The labels that make the group.
    pub fn project(self, key: &Key) -> Labels {
        match key {
            Key::Only(names) => {
                Labels::from_pairs(names.iter().map(|name| (&**name, self.get(name))))
            }
            Key::Without(names) => self.without(names).cloned().collect(),
            Key::Except(names) => self.except(names).cloned().collect(),
        }
    }

    fn hash(self, key: Option<&Key>) -> u64 {
        // Fixed keys: the same query gives the same order.
        let mut hasher = DefaultHasher::new();
        let mut feed = |text: &str| {
            hasher.write(text.as_bytes());
            hasher.write_u8(0xff);
        };
        match key {
            Some(Key::Only(names)) => names.iter().for_each(|name| feed(self.get(name))),
            Some(Key::Without(names)) => self.without(names).for_each(|label| {
                feed(&label.name);
                feed(&label.value);
            }),
            Some(Key::Except(names)) => self.except(names).for_each(|label| {
                feed(&label.name);
                feed(&label.value);
            }),
            None => self.iter().for_each(|label| {
                feed(&label.name);
                feed(&label.value);
            }),
        }
        hasher.finish()
    }

    fn equals(self, other: View<'_>, key: Option<&Key>) -> bool {
        match key {
            Some(Key::Only(names)) => names.iter().all(|name| self.get(name) == other.get(name)),
            Some(Key::Without(names)) => self.without(names).eq(other.without(names)),
            Some(Key::Except(names)) => self.except(names).eq(other.except(names)),
            None => self.iter().eq(other.iter()),
        }
    }
}

/// Numbers for groups, in order of first appearance.
#[derive(Default)]
pub(super) struct Groups<'a> {
    /// The latest group of a hash.
    heads: HashMap<u64, usize>,
    /// A member of each group, and the next group of the same hash.
    members: Vec<(View<'a>, Option<usize>)>,
}

impl<'a> Groups<'a> {
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// The group's number by all visible labels.
    pub fn whole(&mut self, view: View<'a>) -> usize {
        self.number(view, None)
    }

    /// The group's number by a key.
    pub fn by(&mut self, view: View<'a>, key: &Key) -> usize {
        self.number(view, Some(key))
    }

    /// The first member of each group.
    pub fn members(&self) -> impl Iterator<Item = View<'a>> {
        self.members.iter().map(|(view, _)| *view)
    }

    fn number(&mut self, view: View<'a>, key: Option<&Key>) -> usize {
        let hash = view.hash(key);
        let head = self.heads.get(&hash).copied();
        let mut candidate = head;
        while let Some(at) = candidate {
            let (member, next) = self.members[at];
            if member.equals(view, key) {
                return at;
            }
            candidate = next;
        }
        let at = self.members.len();
        self.members.push((view, head));
        self.heads.insert(hash, at);
        at
    }
}
