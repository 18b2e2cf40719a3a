//! An instant vector at every step of a grid: rows of labels and, row by row, their values.
//!
//! A value that is not there is the stale marker. No operation yields it by accident: selectors drop
//! it, and arithmetic turns it into the quiet NaN.
//!
//! A name that a function drops is only marked so. It is hidden from there on, or, with delayed
//! removal, stays visible until the end; either way no label set is copied before it must be.

use std::collections::HashMap;

use super::super::EvalError;
use super::super::format;
use super::group::{Groups, View};
use crate::model::{Labels, STALE_BITS, is_stale};

pub(super) const ABSENT: f64 = f64::from_bits(STALE_BITS);

pub(super) fn is_absent(value: f64) -> bool {
    is_stale(value)
}

/// What counts as a series' name, and when it falls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Naming {
    pub is_delayed: bool,
    pub has_types: bool,
}

impl Naming {
    pub fn is_name(self, label: &str) -> bool {
        label == Labels::NAME || self.has_types && matches!(label, "__type__" | "__unit__")
    }
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    pub labels: Labels,
    pub drops_name: bool,
}

impl Row {
    /// The labels as functions see them.
    pub fn view(&self, naming: Naming) -> View<'_> {
        View { labels: &self.labels, hides_name: self.drops_name && !naming.is_delayed, naming }
    }

    /// A label's value; empty where it is absent.
    pub fn get(&self, label: &str, naming: Naming) -> &str {
        let is_hidden = self.drops_name && !naming.is_delayed && naming.is_name(label);
        self.labels.get(label).filter(|_| !is_hidden).unwrap_or_default()
    }

    /// Labels with the name gone if it is to fall.
    fn finished(self, naming: Naming) -> Labels {
        if !self.drops_name || !self.labels.iter().any(|label| naming.is_name(&label.name)) {
            return self.labels;
        }
        self.labels.iter().filter(|label| !naming.is_name(&label.name)).cloned().collect()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    pub rows: Vec<Row>,
    /// `steps` values for each row.
    pub values: Vec<f64>,
    pub steps: usize,
    /// Whether the order of the rows is what was asked for.
    pub is_ordered: bool,
}

impl Block {
    pub fn new(steps: usize) -> Self {
        Self { rows: Vec::new(), values: Vec::new(), steps, is_ordered: false }
    }

    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.steps..(row + 1) * self.steps]
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Row, &[f64])> {
        self.rows.iter().enumerate().map(|(at, row)| (row, self.row(at)))
    }

    /// Adds a row unless it is absent at every step.
    pub fn push(&mut self, row: Row, values: impl IntoIterator<Item = f64>) {
        let before = self.values.len();
        self.values.extend(values);
        if self.values[before..].iter().all(|value| is_absent(*value)) {
            self.values.truncate(before);
        } else {
            self.rows.push(row);
        }
    }

    /// The value of the only series of each step; NaN where there is none or more than one.
    pub fn into_scalar(self) -> Vec<f64> {
        let mut scalars = vec![ABSENT; self.steps];
        for (_, values) in self.iter() {
            for (scalar, value) in scalars.iter_mut().zip(values) {
                if !is_absent(*value) {
                    *scalar = if is_absent(*scalar) { *value } else { f64::NAN };
                }
            }
        }
        scalars
            .iter_mut()
            .filter(|scalar| is_absent(**scalar))
            .for_each(|scalar| *scalar = f64::NAN);
        scalars
    }

    fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.steps];
        for (_, values) in self.iter() {
            for (count, value) in counts.iter_mut().zip(values) {
                *count += usize::from(!is_absent(*value));
            }
        }
        counts
    }

    /// Whether there is any series, step by step.
    pub fn presence(&self) -> Vec<bool> {
        self.counts().into_iter().map(|count| count > 0).collect()
    }

    /// One series of ones, where nothing is present.
    pub fn absent(labels: &Labels, presence: &[bool]) -> Self {
        let mut block = Self::new(presence.len());
        let values = presence.iter().map(|is_present| if *is_present { ABSENT } else { 1.0 });
        block.push(Row { labels: labels.clone(), drops_name: false }, values);
        block
    }

    /// Marks every name as dropped. Series that become one are joined where they never meet, and an
    /// error where they do; with delayed removal that is found at the end.
    pub fn drop_names(mut self, naming: Naming) -> Result<Self, EvalError> {
        let mut first: Option<&str> = None;
        let mut is_uniform = true;
        for row in &self.rows {
            let metric = row.labels.metric();
            is_uniform &= !row.drops_name && *first.get_or_insert(metric) == metric;
        }
        // Series of one name differ in other labels, so nothing can become one.
        let is_safe = naming.is_delayed || is_uniform && !naming.has_types;
        for row in &mut self.rows {
            row.drops_name = true;
        }
        if is_safe { Ok(self) } else { self.unify(naming, EvalError::SameLabelset) }
    }

    /// Joins rows whose visible labels are the same; an error where two of them meet at a step.
    pub fn unify(self, naming: Naming, error: EvalError) -> Result<Self, EvalError> {
        if self.rows.len() < 2 {
            return Ok(self);
        }
        let mut groups = Groups::default();
        let ids: Vec<usize> = self.rows.iter().map(|row| groups.whole(row.view(naming))).collect();
        let count = groups.len();
        drop(groups);
        if count == self.rows.len() {
            return Ok(self);
        }
        let mut joined = Self { is_ordered: self.is_ordered, ..Self::new(self.steps) };
        let mut places: HashMap<usize, usize> = HashMap::new();
        for ((row, values), id) in self.iter().zip(&ids) {
            let Some(&place) = places.get(id) else {
                places.insert(*id, joined.rows.len());
                joined.rows.push(row.clone());
                joined.values.extend_from_slice(values);
                continue;
            };
            joined.rows[place].drops_name |= row.drops_name;
            let kept = &mut joined.values[place * self.steps..(place + 1) * self.steps];
            for (kept, value) in kept.iter_mut().zip(values) {
                if !is_absent(*value) {
                    if !is_absent(*kept) {
                        return Err(error);
                    }
                    *kept = *value;
                }
            }
        }
        Ok(joined)
    }

    /// The block with all dropped names gone.
    pub fn finish(self, naming: Naming) -> Result<Self, EvalError> {
        let Self { rows, values, steps, is_ordered } = self;
        let any_dropped = rows.iter().any(|row| row.drops_name);
        let rows = rows
            .into_iter()
            .map(|row| Row { labels: row.finished(naming), drops_name: false })
            .collect();
        let block = Self { rows, values, steps, is_ordered };
        if any_dropped && naming.is_delayed {
            return block.unify(naming, EvalError::SameLabelset);
        }
        Ok(block)
    }
}

/// A row's labels as an error shows them.
pub(super) fn shown(row: &Row, naming: Naming) -> String {
    format::label_set(row.view(naming).iter().map(|label| (&*label.name, &*label.value)))
}
