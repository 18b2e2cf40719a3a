//! `sort` and `sort_desc`.

use std::cmp::Ordering;

use super::super::plan::PartId;
use super::super::{EvalError, Severity};
use super::block::Block;
use super::{Evaluation, Grid};

impl Evaluation<'_> {
    pub(super) fn sort(
        &mut self,
        part: PartId,
        vector: PartId,
        is_descending: bool,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let block = self.vector(vector, grid)?;
        if self.is_range {
            let message =
                "sort is ineffective for range queries since results are always ordered by labels";
            self.annotate(Severity::Warning, part, message.to_owned());
            return Ok(block);
        }
        let mut order: Vec<usize> = (0..block.rows.len()).collect();
        order.sort_by(|left, right| {
            let values = (block.row(*left)[0], block.row(*right)[0]);
            by_value(values.0, values.1, is_descending)
                .then_with(|| block.rows[*left].labels.cmp(&block.rows[*right].labels))
        });
        Ok(block.reordered(&order))
    }
}

/// NaN stands last in both directions.
pub(super) fn by_value(left: f64, right: f64, is_descending: bool) -> Ordering {
    let by_nan = left.is_nan().cmp(&right.is_nan());
    let by_value = left.partial_cmp(&right).unwrap_or(Ordering::Equal);
    by_nan.then(if is_descending { by_value.reverse() } else { by_value })
}

impl Block {
    /// The same rows in another order, which from here on counts.
    pub fn reordered(&self, order: &[usize]) -> Self {
        let mut ordered = Self { is_ordered: true, ..Self::new(self.steps) };
        for row in order {
            ordered.rows.push(self.rows[*row].clone());
            ordered.values.extend_from_slice(self.row(*row));
        }
        ordered
    }
}
