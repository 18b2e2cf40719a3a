//! `and`, `or` and `unless`: vectors as sets of matching labels.

use super::super::EvalError;
use super::super::plan::Key;
use super::super::tree::Operator;
use super::Evaluation;
use super::block::{ABSENT, Block, is_absent};
use super::group::Groups;

impl Evaluation<'_> {
    pub(super) fn combine(
        &self,
        operator: Operator,
        key: &Key,
        mut left: Block,
        right: Block,
    ) -> Result<Block, EvalError> {
        let naming = self.naming;
        let mut groups = Groups::default();
        let left_groups: Vec<usize> =
            left.rows.iter().map(|row| groups.by(row.view(naming), key)).collect();
        let right_groups: Vec<usize> =
            right.rows.iter().map(|row| groups.by(row.view(naming), key)).collect();
        let count = groups.len();
        drop(groups);
        if operator == Operator::Or {
            let occupied = occupied(&left, &left_groups, count);
            let steps = left.steps;
            for ((row, values), group) in right.iter().zip(&right_groups) {
                let taken = &occupied[group * steps..(group + 1) * steps];
                let free = values.iter().zip(taken);
                let values = free.map(|(value, taken)| if *taken { ABSENT } else { *value });
                left.push(row.clone(), values);
            }
            left.is_ordered = false;
            // Equal labels have equal matching labels, so they never meet at one step.
            return left.unify(naming, EvalError::SameLabelset);
        }
        let occupied = occupied(&right, &right_groups, count);
        let steps = left.steps;
        for (row, group) in left_groups.iter().enumerate() {
            let taken = &occupied[group * steps..(group + 1) * steps];
            let values = &mut left.values[row * steps..(row + 1) * steps];
            for (value, taken) in values.iter_mut().zip(taken) {
                if *taken != (operator == Operator::And) {
                    *value = ABSENT;
                }
            }
        }
        Ok(left.compact())
    }
}

/// At which steps each group has a row.
fn occupied(block: &Block, of_row: &[usize], groups: usize) -> Vec<bool> {
    let steps = block.steps;
    let mut occupied = vec![false; groups * steps];
    for ((_, values), group) in block.iter().zip(of_row) {
        for (slot, value) in occupied[group * steps..].iter_mut().zip(values) {
            *slot |= !is_absent(*value);
        }
    }
    occupied
}
