//! A tree made ready to run: parentheses and signs resolved, constants folded, keys of groups sorted,
//! regular expressions compiled, and each part marked that is the same at every step.
//!
//! `@ start()` and `@ end()` stay symbolic here, because one plan serves every evaluation of its
//! expression; the evaluator puts in the bounds of the outermost query.

mod lowering;

use std::sync::Arc;

use regex::Regex;

use super::function::{Calendar, Map, Window};
use super::tree::{Aggregator, At, Group, Operator, Tree};
use crate::model::{Labels, Matcher};

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub parts: Vec<Part>,
    pub root: PartId,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PartId(pub u32);

#[derive(Debug)]
pub(super) struct Part {
    pub work: Work,
    /// Whether it yields the same at every step of a range, so that one step is enough.
    pub is_invariant: bool,
    /// Where its text begins; annotations point there.
    pub start: u32,
}

#[derive(Debug)]
pub(super) enum Work {
    Number(f64),
    Text(Arc<str>),
    Instant(Select),
    /// A range selector; evaluated by the function around it.
    Range(Select),
    Subquery(Subquery),
    Negate(PartId),
    Keep(PartId),
    Map {
        map: Map,
        vector: PartId,
        scalars: Vec<PartId>,
    },
    Window {
        window: Window,
        operand: PartId,
        scalar: Option<PartId>,
    },
    Calendar {
        calendar: Calendar,
        vector: Option<PartId>,
    },
    Absent {
        vector: PartId,
        labels: Labels,
    },
    AbsentOverTime {
        operand: PartId,
        labels: Labels,
    },
    Quantile {
        quantile: PartId,
        vector: PartId,
    },
    Fraction {
        lower: PartId,
        upper: PartId,
        vector: PartId,
    },
    LabelJoin {
        vector: PartId,
        target: Arc<str>,
        separator: Arc<str>,
        sources: Vec<Arc<str>>,
    },
    LabelReplace(Box<LabelReplace>),
    ScalarOf(PartId),
    Sort {
        vector: PartId,
        is_descending: bool,
    },
    Time,
    Timestamp(PartId),
    VectorOf(PartId),
    Aggregate {
        operator: Aggregator,
        key: Key,
        parameter: Option<PartId>,
        vector: PartId,
    },
    Binary {
        operator: Operator,
        is_bool: bool,
        matching: Matched,
        left: PartId,
        right: PartId,
    },
}

#[derive(Debug)]
pub(super) struct Select {
    pub matchers: Vec<Matcher>,
    /// 0 for an instant vector.
    pub range_ms: i64,
    pub offset_ms: i64,
    pub at: Option<At>,
}

#[derive(Debug)]
pub(super) struct Subquery {
    pub inner: PartId,
    pub range_ms: i64,
    pub step_ms: Option<i64>,
    pub offset_ms: i64,
    pub at: Option<At>,
}

#[derive(Debug)]
pub(super) struct LabelReplace {
    pub vector: PartId,
    pub target: Arc<str>,
    pub replacement: Arc<str>,
    pub source: Arc<str>,
    /// A bad one is an error of the evaluation, as in Prometheus: the rule file still loads.
    pub regex: Result<Regex, String>,
}

/// Which labels make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// These labels, sorted.
    Only(Vec<Arc<str>>),
    /// All labels but these and the name, sorted.
    Without(Vec<Arc<str>>),
    /// All labels but these, sorted; the name counts.
    Except(Vec<Arc<str>>),
}

impl Key {
    fn new(is_without: bool, labels: &[Arc<str>]) -> Self {
        let mut labels = labels.to_vec();
        labels.sort();
        labels.dedup();
        if is_without { Self::Without(labels) } else { Self::Only(labels) }
    }
}

/// How two vectors match.
#[derive(Debug)]
pub(super) struct Matched {
    pub key: Key,
    /// Which side may have many, and what it takes from the other.
    pub group: Option<Group>,
}

impl Plan {
    /// Lowers a checked tree.
    pub fn lower(tree: &Tree) -> Self {
        lowering::lower(tree)
    }

    pub fn part(&self, id: PartId) -> &Part {
        &self.parts[id.0 as usize]
    }
}
