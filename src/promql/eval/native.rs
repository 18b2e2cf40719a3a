//! Native histograms: a source may say where they are, never what they hold.
//!
//! What needs no more than that answers as Prometheus does. Everything else is refused: leaving them
//! out silently would be another answer.

use super::super::function::Window;
use super::super::plan::{PartId, Work};
use super::super::tree::Aggregator;
use super::super::{EvalError, Severity};
use super::aggregate::Grouped;
use super::block::{ABSENT, Block, is_absent};
use super::select::Yield;
use super::{Evaluation, Frame, Grid};
use crate::model::is_histogram;

/// What a function does with the marks in its windows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Marks {
    /// They are samples as others are.
    Counted,
    Refused,
}

impl Marks {
    pub fn of(window: Window) -> Self {
        match window {
            Window::Count | Window::Present => Self::Counted,
            _ => Self::Refused,
        }
    }
}

impl Evaluation<'_> {
    /// A vector, with the marks if it selects the samples itself.
    pub(super) fn operand(&mut self, vector: PartId, grid: Grid) -> Result<Block, EvalError> {
        let plan = self.plan;
        let part = plan.part(vector);
        let Work::Instant(select) = &part.work else { return self.vector(vector, grid) };
        if !self.source.has_histograms() {
            return self.vector(vector, grid);
        }
        let first = Grid { count: grid.count.min(1), ..grid };
        let read = if part.is_invariant { first } else { grid };
        let before = self.budget.held();
        let mut frame = Frame::Vector(self.instant_vector(select, read, Yield::ValueOrMark)?);
        if part.is_invariant && grid.count > 1 {
            frame = self.spread(frame, grid.count)?;
        }
        self.budget.keep(before, &frame)?;
        Ok(frame.into_vector(grid.count))
    }

    /// A vector for a function that passes native histograms by.
    pub(super) fn numbers(&mut self, vector: PartId, grid: Grid) -> Result<Block, EvalError> {
        let mut block = self.operand(vector, grid)?;
        if self.source.has_histograms() && block.forget_histograms() {
            block = block.compact();
        }
        Ok(block)
    }

    /// Does with each mark what Prometheus does with the histogram: those that have no order are
    /// left out with a remark, groups that mix them with numbers have no sum and are remarked on.
    /// The sum of histograms is one, and refused.
    pub(super) fn settle_histograms(
        &mut self,
        operator: Aggregator,
        vector: PartId,
        block: &mut Block,
        grouped: &Grouped,
    ) -> Result<(), EvalError> {
        if !block.values.iter().any(|value| is_histogram(*value)) {
            return Ok(());
        }
        match operator {
            // Whatever they hold, they count.
            Aggregator::Count | Aggregator::Group => {}
            Aggregator::Sum | Aggregator::Avg => self.drop_mixed(vector, block, grouped)?,
            _ => {
                block.forget_histograms();
                let name = operator.as_str();
                let message = format!("ignored histogram in {name} aggregation");
                self.annotate(Severity::Info, vector, message);
            }
        }
        Ok(())
    }

    fn drop_mixed(
        &mut self,
        vector: PartId,
        block: &mut Block,
        grouped: &Grouped,
    ) -> Result<(), EvalError> {
        let steps = block.steps;
        let mut has_numbers = vec![false; grouped.rows.len() * steps];
        let mut has_marks = has_numbers.clone();
        for ((_, values), group) in block.iter().zip(&grouped.of_row) {
            for (step, value) in values.iter().enumerate().filter(|(_, value)| !is_absent(**value))
            {
                let found = if is_histogram(*value) { &mut has_marks } else { &mut has_numbers };
                found[group * steps + step] = true;
            }
        }
        for (row, group) in grouped.of_row.iter().enumerate() {
            for step in 0..steps {
                let value = &mut block.values[row * steps + step];
                match (has_marks[group * steps + step], has_numbers[group * steps + step]) {
                    (true, true) => *value = ABSENT,
                    (true, false) if !is_absent(*value) => {
                        return Err(EvalError::NativeHistogram(block.rows[row].labels.clone()));
                    }
                    _ => {}
                }
            }
        }
        let message = "encountered a mix of histograms and floats for aggregation".to_owned();
        self.annotate(Severity::Warning, vector, message);
        Ok(())
    }
}

impl Block {
    /// Makes every mark absent. Whether there was one.
    fn forget_histograms(&mut self) -> bool {
        let mut has_marks = false;
        for value in self.values.iter_mut().filter(|value| is_histogram(**value)) {
            *value = ABSENT;
            has_marks = true;
        }
        has_marks
    }
}
