//! A tree into a plan: a loop, because children stand before their parents.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use regex::Regex;

use super::super::eval::scalar_operation;
use super::super::format::quote;
use super::super::function::{Routine, Window};
use super::super::tree::{Grouping, Id, Kind, Matching, Selection, Shift, Tree};
use super::{Key, LabelReplace, Matched, Part, PartId, Plan, Select, Subquery, Work};
use crate::model::{Labels, MatchOp, RegexRoom};

/// Lowers a checked tree.
pub(super) fn lower(tree: &Tree) -> Plan {
    let mut lowering =
        Lowering { tree, parts: Vec::new(), of_node: Vec::new(), regexes: RegexRoom::default() };
    for node in 0..tree.nodes.len() {
        let part = lowering.node(Id(u32::try_from(node).unwrap_or(u32::MAX)));
        lowering.of_node.push(part);
    }
    let root = lowering.of_node.last().copied().unwrap_or_default();
    Plan { parts: lowering.parts, root }
}

struct Lowering<'a> {
    tree: &'a Tree,
    parts: Vec<Part>,
    of_node: Vec<PartId>,
    regexes: RegexRoom,
}

impl Lowering<'_> {
    fn part(&self, id: Id) -> PartId {
        self.of_node[id.0 as usize]
    }

    fn is_invariant(&self, part: PartId) -> bool {
        self.parts[part.0 as usize].is_invariant
    }

    fn number(&self, part: PartId) -> Option<f64> {
        match self.parts[part.0 as usize].work {
            Work::Number(value) => Some(value),
            _ => None,
        }
    }

    /// The text that an argument is; only literals are of that type.
    fn text(&self, id: Id) -> Arc<str> {
        match &self.tree.node(self.tree.bare(id)).kind {
            Kind::Text(text) => Arc::clone(text),
            _ => Arc::from(""),
        }
    }

    fn push(&mut self, work: Work, is_invariant: bool, node: Id) -> PartId {
        let start = self.tree.node(node).span.start;
        self.parts.push(Part { work, is_invariant, start });
        PartId(u32::try_from(self.parts.len() - 1).unwrap_or(u32::MAX))
    }

    fn node(&mut self, id: Id) -> PartId {
        let tree = self.tree;
        match &tree.node(id).kind {
            Kind::Number { value, .. } => self.push(Work::Number(*value), true, id),
            Kind::Text(text) => self.push(Work::Text(Arc::clone(text)), true, id),
            Kind::Selection(selection) => self.selection(selection, id),
            Kind::Subquery { inner, range_ms, step_ms, shift } => {
                let Shift { offset_ms, at } = *shift;
                let subquery = Subquery {
                    inner: self.part(*inner),
                    range_ms: *range_ms,
                    step_ms: *step_ms,
                    offset_ms: offset_ms.unwrap_or_default(),
                    at,
                };
                self.push(Work::Subquery(subquery), at.is_some(), id)
            }
            Kind::Paren(inner) => self.part(*inner),
            // A part of its own: what looks for a selector directly inside must not see through it.
            Kind::Unary { is_negation: false, operand } => {
                let operand = self.part(*operand);
                self.push(Work::Keep(operand), self.is_invariant(operand), id)
            }
            Kind::Unary { is_negation: true, operand } => {
                let operand = self.part(*operand);
                match self.number(operand) {
                    Some(value) => self.push(Work::Number(-value), true, id),
                    None => self.push(Work::Negate(operand), self.is_invariant(operand), id),
                }
            }
            Kind::Call { function, arguments } => self.call(function.routine, arguments, id),
            Kind::Aggregate { operator, grouping, parameter, operand } => {
                let Grouping { is_without, labels } = grouping;
                let parameter = parameter.map(|parameter| self.part(parameter));
                let vector = self.part(*operand);
                let is_invariant = self.is_invariant(vector)
                    && parameter.is_none_or(|parameter| self.is_invariant(parameter));
                let key = Key::new(*is_without, labels);
                let work = Work::Aggregate { operator: *operator, key, parameter, vector };
                self.push(work, is_invariant, id)
            }
            Kind::Binary { operator, is_bool, matching, left, right } => {
                let (left, right) = (self.part(*left), self.part(*right));
                if let (Some(first), Some(second)) = (self.number(left), self.number(right)) {
                    let value = scalar_operation(*operator, first, second);
                    return self.push(Work::Number(value), true, id);
                }
                let is_invariant = self.is_invariant(left) && self.is_invariant(right);
                let Matching { is_on, labels, group } = matching.clone().unwrap_or_default();
                let matching = Matched { key: Key::new(!is_on, &labels), group };
                let (operator, is_bool) = (*operator, *is_bool);
                let work = Work::Binary { operator, is_bool, matching, left, right };
                self.push(work, is_invariant, id)
            }
        }
    }

    fn selection(&mut self, selection: &Selection, id: Id) -> PartId {
        let Shift { offset_ms, at } = selection.shift;
        let select = Select {
            matchers: selection.matchers.clone(),
            range_ms: selection.range_ms.unwrap_or_default(),
            offset_ms: offset_ms.unwrap_or_default(),
            at,
        };
        let is_range = selection.range_ms.is_some();
        let work = if is_range { Work::Range(select) } else { Work::Instant(select) };
        self.push(work, at.is_some(), id)
    }

    fn call(&mut self, routine: Routine, arguments: &[Id], id: Id) -> PartId {
        let parts: Vec<PartId> = arguments.iter().map(|argument| self.part(*argument)).collect();
        let is_invariant = parts.iter().all(|part| self.is_invariant(*part))
            && match routine {
                Routine::Time | Routine::Window(Window::PredictLinear) => false,
                Routine::Calendar(_) => !parts.is_empty(),
                // Of a selector it is the time of the sample, of anything else that of the step.
                Routine::Timestamp => parts
                    .iter()
                    .all(|part| matches!(self.parts[part.0 as usize].work, Work::Instant(_))),
                _ => true,
            };
        let work = self.routine(routine, arguments, &parts);
        self.push(work, is_invariant, id)
    }

    fn routine(&mut self, routine: Routine, arguments: &[Id], parts: &[PartId]) -> Work {
        match (routine, parts) {
            (Routine::Map(map), [vector, scalars @ ..]) => {
                Work::Map { map, vector: *vector, scalars: scalars.to_vec() }
            }
            (Routine::Window(window @ Window::Quantile), [scalar, operand]) => {
                Work::Window { window, operand: *operand, scalar: Some(*scalar) }
            }
            (Routine::Window(window), [operand, scalars @ ..]) => {
                Work::Window { window, operand: *operand, scalar: scalars.first().copied() }
            }
            (Routine::Calendar(calendar), vector) => {
                Work::Calendar { calendar, vector: vector.first().copied() }
            }
            (Routine::Absent, [vector]) => {
                Work::Absent { vector: *vector, labels: self.absent_labels(*vector) }
            }
            (Routine::AbsentOverTime, [operand]) => {
                Work::AbsentOverTime { operand: *operand, labels: self.absent_labels(*operand) }
            }
            (Routine::HistogramQuantile, [quantile, vector]) => {
                Work::Quantile { quantile: *quantile, vector: *vector }
            }
            (Routine::HistogramFraction, [lower, upper, vector]) => {
                Work::Fraction { lower: *lower, upper: *upper, vector: *vector }
            }
            (Routine::LabelJoin, [vector, ..]) => Work::LabelJoin {
                vector: *vector,
                target: self.text(arguments[1]),
                separator: self.text(arguments[2]),
                sources: arguments[3..].iter().map(|argument| self.text(*argument)).collect(),
            },
            (Routine::LabelReplace, [vector, ..]) => Work::LabelReplace(Box::new(LabelReplace {
                vector: *vector,
                target: self.text(arguments[1]),
                replacement: self.text(arguments[2]),
                source: self.text(arguments[3]),
                regex: self.regex(&self.text(arguments[4])),
            })),
            (Routine::Scalar, [vector]) => Work::ScalarOf(*vector),
            (Routine::Sort, [vector]) => Work::Sort { vector: *vector, is_descending: false },
            (Routine::SortDesc, [vector]) => Work::Sort { vector: *vector, is_descending: true },
            (Routine::Timestamp, [vector]) => Work::Timestamp(*vector),
            (Routine::Vector, [scalar]) => Work::VectorOf(*scalar),
            (Routine::Time, _) => Work::Time,
            (Routine::Pi, _) => Work::Number(std::f64::consts::PI),
            // The parser has counted the arguments.
            _ => Work::Number(f64::NAN),
        }
    }

    fn regex(&mut self, pattern: &str) -> Result<Regex, String> {
        self.regexes.compile(pattern).map_err(|_| quote(pattern))
    }

    /// What `absent()` can say about the series that is missing: labels that its selector demands
    /// by `=`. A later condition on the same label takes it away, as in Prometheus.
    fn absent_labels(&self, operand: PartId) -> Labels {
        let (Work::Instant(select) | Work::Range(select)) = &self.parts[operand.0 as usize].work
        else {
            return Labels::empty();
        };
        // Of each name the value, `None` once something takes it away.
        let mut labels: BTreeMap<&str, Option<&str>> = BTreeMap::new();
        for matcher in select.matchers.iter().filter(|matcher| matcher.name() != Labels::NAME) {
            let value = Some(matcher.value()).filter(|_| matcher.op() == MatchOp::Equal);
            match labels.entry(matcher.name()) {
                Entry::Vacant(entry) if value.is_some() => {
                    entry.insert(value);
                }
                Entry::Vacant(_) => {}
                Entry::Occupied(mut entry) => {
                    entry.insert(None);
                }
            }
        }
        Labels::from_pairs(labels.into_iter().filter_map(|(name, value)| Some((name, value?))))
    }
}
