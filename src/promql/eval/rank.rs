//! Aggregations that look at the values of a group one by one: `topk`, `bottomk`, `quantile` and
//! `count_values`.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::plan::{Key, PartId};
use super::super::{EvalError, format_value};
use super::aggregate::Grouped;
use super::block::{ABSENT, Block, Row, is_absent};
use super::sort::by_value;
use super::summation::quantile;
use super::{Evaluation, Frame, Grid};

impl Evaluation<'_> {
    /// The `k` largest or smallest rows of each group, with their own labels. NaN comes last; of
    /// equal values the smaller labels come first.
    pub(super) fn rank(
        &mut self,
        is_top: bool,
        key: &Key,
        parameter: PartId,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let counts = self.scalar(parameter, grid)?;
        let block = self.vector(vector, grid)?;
        if counts.iter().any(|count| count.is_nan()) {
            return Err(EvalError::ParameterNan);
        }
        // Nothing is asked for, so a number below all integers does no harm.
        if counts.iter().all(|count| *count < 1.0) {
            return Ok(Block::new(grid.count));
        }
        let limit = i64::MAX as f64;
        if let Some(count) = counts.iter().find(|count| count.abs() >= limit) {
            return Err(EvalError::ParameterTooLarge(*count));
        }
        let grouped = Grouped::new(&block, key, self.naming);
        let mut members: Vec<Vec<usize>> = vec![Vec::new(); grouped.rows.len()];
        for (row, group) in grouped.of_row.iter().enumerate() {
            members[*group].push(row);
        }
        let mut groups: Vec<usize> = (0..members.len()).collect();
        groups.sort_by(|left, right| grouped.rows[*left].labels.cmp(&grouped.rows[*right].labels));
        let mut kept = Block { values: vec![ABSENT; block.values.len()], ..block.clone() };
        let mut order = Vec::new();
        for (step, count) in counts.iter().enumerate() {
            self.budget.spend(4 * block.rows.len())?;
            let count = if *count < 1.0 { 0 } else { *count as usize };
            for group in &groups {
                let value = |row: usize| block.row(row)[step];
                let mut rows: Vec<usize> =
                    members[*group].iter().copied().filter(|row| !is_absent(value(*row))).collect();
                rows.sort_by(|left, right| {
                    by_value(value(*left), value(*right), is_top)
                        .then_with(|| block.rows[*left].labels.cmp(&block.rows[*right].labels))
                });
                rows.truncate(count);
                for row in &rows {
                    kept.values[row * block.steps + step] = value(*row);
                }
                order.extend(rows);
            }
        }
        // One step: the order counts. Several: series come sorted by their labels anyway.
        Ok(if grid.count == 1 { kept.reordered(&order) } else { kept.compact() })
    }

    pub(super) fn quantile(
        &mut self,
        key: &Key,
        parameter: PartId,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let quantiles = self.scalar(parameter, grid)?;
        // Here Prometheus remarks on the worst of all steps in each direction.
        let worst = match quantiles.iter().find(|quantile| quantile.is_nan()) {
            Some(nan) => [Some(*nan), None],
            None => [
                quantiles.iter().copied().reduce(f64::max).filter(|greatest| *greatest > 1.0),
                quantiles.iter().copied().reduce(f64::min).filter(|least| *least < 0.0),
            ],
        };
        self.remark_quantiles(parameter, &worst.into_iter().flatten().collect::<Vec<f64>>());
        let block = self.vector(vector, grid)?;
        let grouped = Grouped::new(&block, key, self.naming);
        self.check_size(grouped.rows.len(), grid.count)?;
        let mut values = vec![ABSENT; grouped.rows.len() * grid.count];
        let mut of_group: Vec<Vec<f64>> = vec![Vec::new(); grouped.rows.len()];
        for (step, q) in quantiles.iter().enumerate() {
            self.budget.spend(block.rows.len())?;
            for ((_, row), group) in block.iter().zip(&grouped.of_row) {
                if !is_absent(row[step]) {
                    of_group[*group].push(row[step]);
                }
            }
            for (group, members) in of_group.iter_mut().enumerate() {
                if !members.is_empty() {
                    values[group * grid.count + step] = quantile(*q, members);
                    members.clear();
                }
            }
        }
        Ok(Block { rows: grouped.rows, values, steps: grid.count, is_ordered: false })
    }

    /// How many rows of a group have each value; the value becomes a label.
    pub(super) fn count_values(
        &mut self,
        key: &Key,
        parameter: PartId,
        vector: PartId,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let label = match self.part(parameter, grid)? {
            Frame::Text(label) if !label.is_empty() => label,
            _ => return Err(EvalError::LabelName(String::new())),
        };
        let is_excluded = matches!(key, Key::Without(names) if names.contains(&label));
        let block = self.vector(vector, grid)?;
        let grouped = Grouped::new(&block, key, self.naming);
        let mut counted = Block::new(grid.count);
        let mut places: HashMap<(usize, Arc<str>), usize> = HashMap::new();
        for ((_, values), group) in block.iter().zip(&grouped.of_row) {
            for (step, value) in values.iter().enumerate().filter(|(_, value)| !is_absent(**value))
            {
                let text: Arc<str> = Arc::from(format_value(*value));
                let place = *places.entry((*group, Arc::clone(&text))).or_insert_with(|| {
                    let Row { labels, drops_name } = &grouped.rows[*group];
                    let labels =
                        if is_excluded { labels.clone() } else { labels.with(&label, &text) };
                    counted.rows.push(Row { labels, drops_name: *drops_name });
                    counted.values.extend(std::iter::repeat_n(ABSENT, grid.count));
                    counted.rows.len() - 1
                });
                let count = &mut counted.values[place * grid.count + step];
                *count = if is_absent(*count) { 1.0 } else { *count + 1.0 };
            }
            self.check_size(counted.rows.len(), grid.count)?;
        }
        let counted = counted.sum_equal(self)?;
        let mut order: Vec<usize> = (0..counted.rows.len()).collect();
        order.sort_by(|left, right| counted.rows[*left].labels.cmp(&counted.rows[*right].labels));
        Ok(Block { is_ordered: false, ..counted.reordered(&order) })
    }
}

impl Block {
    /// Values of different groups may meet where the new label replaces the grouping one: their
    /// counts are added.
    fn sum_equal(self, evaluation: &Evaluation<'_>) -> Result<Self, EvalError> {
        let everything = Key::Except(Vec::new());
        let grouped = Grouped::new(&self, &everything, evaluation.naming);
        if grouped.rows.len() == self.rows.len() {
            return Ok(self);
        }
        let mut summed = Self { rows: grouped.rows, ..Self::new(self.steps) };
        summed.values = vec![ABSENT; summed.rows.len() * self.steps];
        for ((_, values), group) in self.iter().zip(&grouped.of_row) {
            for (step, value) in values.iter().enumerate().filter(|(_, value)| !is_absent(**value))
            {
                let sum = &mut summed.values[group * self.steps + step];
                *sum = if is_absent(*sum) { *value } else { *sum + value };
            }
        }
        Ok(summed)
    }
}
