//! Aggregations: the rows of a group become one.

use super::super::EvalError;
use super::super::plan::{Key, PartId};
use super::super::tree::Aggregator;
use super::block::{ABSENT, Block, Naming, Row, is_absent};
use super::budget::Budget;
use super::group::Groups;
use super::summation::{Mean, Spread};
use super::{Evaluation, Grid};
use crate::series::Sum;

/// The groups of a block's rows.
pub(super) struct Grouped {
    /// The group of each row.
    pub of_row: Vec<usize>,
    /// The labels of each group.
    pub rows: Vec<Row>,
}

impl Grouped {
    pub fn new(block: &Block, key: &Key, naming: Naming) -> Self {
        let mut groups = Groups::default();
        let of_row: Vec<usize> =
            block.rows.iter().map(|row| groups.by(row.view(naming), key)).collect();
        let mut rows: Vec<Row> = groups
            .members()
            .map(|member| Row { labels: member.project(key), drops_name: false })
            .collect();
        let keeps_name = match key {
            Key::Only(names) => names.iter().any(|name| naming.is_name(name)),
            Key::Without(_) => false,
            Key::Except(_) => true,
        };
        if keeps_name {
            for (row, group) in block.rows.iter().zip(&of_row) {
                rows[*group].drops_name |= row.drops_name;
            }
        }
        Self { of_row, rows }
    }
}

impl Evaluation<'_> {
    pub(super) fn aggregate(
        &mut self,
        operator: Aggregator,
        key: &Key,
        parameter: Option<PartId>,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        if let (Aggregator::Topk | Aggregator::Bottomk, Some(parameter)) = (operator, parameter) {
            return self.rank(operator == Aggregator::Topk, key, parameter, vector, grid);
        }
        if let (Aggregator::Quantile, Some(parameter)) = (operator, parameter) {
            return self.quantile(key, parameter, vector, grid);
        }
        if let (Aggregator::CountValues, Some(parameter)) = (operator, parameter) {
            return self.count_values(key, parameter, vector, grid);
        }
        let mut block = self.operand(vector, grid)?;
        let grouped = Grouped::new(&block, key, self.naming);
        if self.source.has_histograms() {
            self.settle_histograms(operator, vector, &mut block, &grouped)?;
        }
        let budget = self.budget;
        let values = match operator {
            Aggregator::Sum => fold(budget, &block, &grouped, Sum::of, Sum::add, Sum::total),
            Aggregator::Avg => fold(budget, &block, &grouped, Mean::of, Mean::add, Mean::value),
            Aggregator::Count => {
                fold(budget, &block, &grouped, |_| 1.0, |count, _| *count += 1.0, |count| count)
            }
            Aggregator::Group => fold(budget, &block, &grouped, |_| 1.0, |_, _| {}, |one| one),
            Aggregator::Min => fold(
                budget,
                &block,
                &grouped,
                |value| value,
                |min, value| {
                    if value < *min || min.is_nan() {
                        *min = value;
                    }
                },
                |min| min,
            ),
            Aggregator::Max => fold(
                budget,
                &block,
                &grouped,
                |value| value,
                |max, value| {
                    if value > *max || max.is_nan() {
                        *max = value;
                    }
                },
                |max| max,
            ),
            Aggregator::Stddev => variances(budget, &block, &grouped, f64::sqrt),
            Aggregator::Stdvar => variances(budget, &block, &grouped, |variance| variance),
            // Handled above: they have a parameter.
            Aggregator::Topk
            | Aggregator::Bottomk
            | Aggregator::Quantile
            | Aggregator::CountValues => Ok(Vec::new()),
        }?;
        Ok(Block { rows: grouped.rows, values, steps: grid.count, is_ordered: false })
    }
}

fn variances(
    budget: &Budget<'_>,
    block: &Block,
    grouped: &Grouped,
    finish: fn(f64) -> f64,
) -> Result<Vec<f64>, EvalError> {
    fold(budget, block, grouped, Spread::of, Spread::add, |spread| finish(spread.variance()))
}

/// Folds the values of each group at each step.
fn fold<A: Clone>(
    budget: &Budget<'_>,
    block: &Block,
    grouped: &Grouped,
    first: impl Fn(f64) -> A,
    add: impl Fn(&mut A, f64),
    finish: impl Fn(A) -> f64,
) -> Result<Vec<f64>, EvalError> {
    let steps = block.steps;
    // What is folded takes more room than what comes of it.
    let width = size_of::<Option<A>>().div_ceil(size_of::<f64>());
    budget.check(grouped.rows.len().saturating_mul(width), steps)?;
    let mut folded: Vec<Option<A>> = vec![None; grouped.rows.len() * steps];
    for ((_, values), group) in block.iter().zip(&grouped.of_row) {
        let slots = &mut folded[group * steps..(group + 1) * steps];
        for (slot, value) in slots.iter_mut().zip(values) {
            if is_absent(*value) {
                continue;
            }
            match slot {
                Some(slot) => add(slot, *value),
                None => *slot = Some(first(*value)),
            }
        }
    }
    Ok(folded.into_iter().map(|slot| slot.map_or(ABSENT, &finish)).collect())
}
