//! Binary operators between scalars and vectors.

use std::collections::HashMap;

use super::super::EvalError;
use super::super::plan::{Key, Matched, PartId, Work};
use super::super::tree::Operator;
use super::block::{ABSENT, Block, Naming, Row, is_absent, shown};
use super::group::Groups;
use super::{Evaluation, Frame, Grid};
use crate::model::{Label, Labels};
use crate::promql::format;

/// What an operator makes of two numbers; 1 and 0 of a comparison.
pub(in super::super) fn scalar_operation(operator: Operator, left: f64, right: f64) -> f64 {
    let holds = |holds: bool| f64::from(u8::from(holds));
    match operator {
        Operator::Add => left + right,
        Operator::Subtract => left - right,
        Operator::Multiply => left * right,
        Operator::Divide => left / right,
        Operator::Modulo => left % right,
        Operator::Power => left.powf(right),
        Operator::Atan2 => left.atan2(right),
        Operator::Equal => holds(left == right),
        Operator::NotEqual => holds(left != right),
        Operator::Less => holds(left < right),
        Operator::LessEqual => holds(left <= right),
        Operator::Greater => holds(left > right),
        Operator::GreaterEqual => holds(left >= right),
        // Between vectors only.
        Operator::Or | Operator::And | Operator::Unless => f64::NAN,
    }
}

/// An operator and whether it filters.
#[derive(Clone, Copy)]
struct Operation {
    operator: Operator,
    is_filter: bool,
}

impl Operation {
    fn is_bool(self) -> bool {
        self.operator.is_comparison() && !self.is_filter
    }

    /// The result, or nothing where the filter does not hold; a filter keeps `kept`.
    fn value(self, left: f64, right: f64, kept: f64) -> f64 {
        let value = scalar_operation(self.operator, left, right);
        match self.is_filter {
            true if value == 0.0 => ABSENT,
            true => kept,
            false => value,
        }
    }
}

impl Evaluation<'_> {
    /// A chain of operators from the left, as a loop.
    pub(super) fn chain(&mut self, id: PartId, grid: Grid) -> Result<Frame, EvalError> {
        let plan = self.plan;
        let mut chain = Vec::new();
        let mut bottom = id;
        while let Work::Binary { operator, is_bool, matching, left, right } =
            &plan.part(bottom).work
        {
            chain.push((*operator, *is_bool, matching, *right));
            bottom = *left;
            if plan.part(bottom).is_invariant && grid.count > 1 {
                break;
            }
        }
        let before = self.budget.held();
        let mut frame = self.part(bottom, grid)?;
        for (operator, is_bool, matching, right) in chain.into_iter().rev() {
            let right = self.part(right, grid)?;
            let is_filter = operator.is_comparison() && !is_bool;
            let operation = Operation { operator, is_filter };
            frame = match (frame, right) {
                (Frame::Scalar(left), Frame::Scalar(right)) => Frame::Scalar(
                    left.into_iter()
                        .zip(right)
                        .map(|(left, right)| scalar_operation(operator, left, right))
                        .collect(),
                ),
                (Frame::Vector(block), Frame::Scalar(scalars)) => {
                    let mapped =
                        block.map(|step, value| operation.value(value, scalars[step], value));
                    Frame::Vector(self.after(operation, mapped)?)
                }
                (Frame::Scalar(scalars), Frame::Vector(block)) => {
                    let mapped =
                        block.map(|step, value| operation.value(scalars[step], value, value));
                    Frame::Vector(self.after(operation, mapped)?)
                }
                (Frame::Vector(left), Frame::Vector(right)) if operator.is_set() => {
                    Frame::Vector(self.combine(operator, &matching.key, left, right)?)
                }
                (Frame::Vector(left), Frame::Vector(right)) => {
                    Frame::Vector(self.match_vectors(operation, matching, &left, &right)?)
                }
                // The parser has checked the types.
                (frame, _) => frame,
            };
            self.budget.keep(before, &frame)?;
        }
        Ok(frame)
    }

    fn after(&self, operation: Operation, block: Block) -> Result<Block, EvalError> {
        if operation.is_filter { Ok(block.compact()) } else { block.drop_names(self.naming) }
    }

    fn match_vectors(
        &self,
        operation: Operation,
        matching: &Matched,
        left: &Block,
        right: &Block,
    ) -> Result<Block, EvalError> {
        let naming = self.naming;
        let many_is_left = matching.group.as_ref().is_none_or(|group| group.many_is_left);
        let (many, one) = if many_is_left { (left, right) } else { (right, left) };
        let steps = many.steps;
        let mut groups = Groups::default();
        let one_groups: Vec<usize> =
            one.rows.iter().map(|row| groups.by(row.view(naming), &matching.key)).collect();
        let many_groups: Vec<usize> =
            many.rows.iter().map(|row| groups.by(row.view(naming), &matching.key)).collect();
        let occupied = many.presence();
        let mut partners: Vec<Option<usize>> = vec![None; groups.len()];
        let mut is_taken = vec![false; groups.len()];
        let mut output = Output::new(matching, operation, naming, steps);
        for step in (0..steps).filter(|step| occupied[*step]) {
            partners.fill(None);
            is_taken.fill(false);
            for (row, group) in one_groups.iter().enumerate() {
                if is_absent(one.row(row)[step]) {
                    continue;
                }
                if let Some(other) = partners[*group].replace(row) {
                    let side = if many_is_left { "right" } else { "left" };
                    let rows = (&one.rows[other], &one.rows[row]);
                    return Err(many_to_many(side, rows, &matching.key, naming));
                }
            }
            for (row, group) in many_groups.iter().enumerate() {
                let value = many.row(row)[step];
                let Some(partner) = partners[*group].filter(|_| !is_absent(value)) else {
                    continue;
                };
                if matching.group.is_none() && std::mem::replace(&mut is_taken[*group], true) {
                    return Err(EvalError::ManyToOne);
                }
                let other = one.row(partner)[step];
                let (first, second) = if many_is_left { (value, other) } else { (other, value) };
                // A filter keeps the left value, as in Prometheus, also with `group_right`.
                let value = operation.value(first, second, first);
                if !is_absent(value) {
                    output.put((row, &many.rows[row]), (partner, &one.rows[partner]), step, value);
                }
            }
            self.check_size(output.block.rows.len(), steps)?;
        }
        let block = output.sorted();
        match matching.group {
            Some(_) => block.unify(naming, EvalError::GroupNotUnique),
            // At one step the matched labels tell all results apart.
            None if steps > 1 => block.unify(naming, EvalError::SameLabelset),
            None => Ok(block),
        }
    }
}

/// Results of a match, by the rows that they come from.
struct Output<'a> {
    matching: &'a Matched,
    operation: Operation,
    naming: Naming,
    block: Block,
    places: HashMap<(usize, usize), usize>,
}

impl<'a> Output<'a> {
    fn new(matching: &'a Matched, operation: Operation, naming: Naming, steps: usize) -> Self {
        Self { matching, operation, naming, block: Block::new(steps), places: HashMap::new() }
    }

    fn put(&mut self, many: (usize, &Row), one: (usize, &Row), step: usize, value: f64) {
        let includes = self.matching.group.as_ref().is_some_and(|group| !group.include.is_empty());
        let steps = self.block.steps;
        let origin = (many.0, if includes { one.0 } else { 0 });
        let place = match self.places.get(&origin) {
            Some(place) => *place,
            None => {
                let place = self.block.rows.len();
                self.block.rows.push(self.row(many.1, one.1));
                self.block.values.extend(std::iter::repeat_n(ABSENT, steps));
                self.places.insert(origin, place);
                place
            }
        };
        self.block.values[place * steps + step] = value;
    }

    /// The rows in the order of those they come from: whatever step they first appeared at, a sum
    /// over them adds in the same order.
    fn sorted(self) -> Block {
        // One step puts them in order by itself.
        if self.block.steps < 2 {
            return self.block;
        }
        let mut origins: Vec<((usize, usize), usize)> = self.places.into_iter().collect();
        origins.sort_unstable();
        let order: Vec<usize> = origins.into_iter().map(|(_, place)| place).collect();
        Block { is_ordered: false, ..self.block.reordered(&order) }
    }

    fn row(&self, many: &Row, one: &Row) -> Row {
        let naming = self.naming;
        let drops_name = many.drops_name || !self.operation.is_filter;
        let Some(group) = &self.matching.group else {
            let labels = match &self.matching.key {
                Key::Without(names) if names.is_empty() => many.labels.clone(),
                Key::Without(names) => many
                    .labels
                    .iter()
                    .filter(|label| names.binary_search(&label.name).is_err())
                    .cloned()
                    .collect(),
                key => many.view(naming).project(key),
            };
            return Row { labels, drops_name };
        };
        if group.include.is_empty() {
            return Row { labels: many.labels.clone(), drops_name };
        }
        // Whether the name falls is settled first: `group_left(__name__)` sets a new one, save that
        // `bool` drops that, too.
        let base = Row { labels: many.labels.clone(), drops_name };
        let kept = base.view(naming).iter().filter(|label| !group.include.contains(&label.name));
        let included = group.include.iter().map(|name| Label {
            name: std::sync::Arc::clone(name),
            value: std::sync::Arc::from(one.get(name, naming)),
        });
        let labels: Labels = kept.cloned().chain(included).collect();
        let drops_included = self.operation.is_bool() || naming.is_delayed;
        Row { labels, drops_name: drops_name && drops_included }
    }
}

fn many_to_many(side: &'static str, rows: (&Row, &Row), key: &Key, naming: Naming) -> EvalError {
    let group = rows.0.view(naming).project(key);
    let group = format::label_set(group.iter().map(|label| (&*label.name, &*label.value)));
    let mut shown = [shown(rows.0, naming), shown(rows.1, naming)];
    shown.sort();
    let [first, second] = shown;
    EvalError::ManyToMany { group, side, first, second }
}
