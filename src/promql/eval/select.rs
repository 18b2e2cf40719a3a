//! Selectors: a series' newest sample at each step, and the windows of samples that functions read.

use super::super::plan::{PartId, Select, Subquery, Work};
use super::super::{EvalError, Series};
use super::block::{ABSENT, Block, Naming, Row};
use super::native::Marks;
use super::{Evaluation, Grid, millis};
use crate::model::{Labels, Sample, Timestamp, is_histogram, is_stale};
use crate::series::{Look, Seen, Wants};

/// What a selector yields for the sample it finds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Yield {
    Value,
    /// Or the mark of a native histogram, which whoever asks deals with.
    ValueOrMark,
    /// The sample's own time, in seconds.
    Time,
}

/// The windows that a function reads, one for each step: those samples with
/// `end - range < at <= end`.
#[derive(Clone, Copy)]
pub(super) struct Windows {
    pub range_ms: i64,
    offset_ms: i64,
    fixed: Option<i64>,
    grid: Grid,
}

impl Windows {
    /// The last moment of a step's window.
    pub fn end(&self, step: usize) -> i64 {
        self.fixed.unwrap_or_else(|| self.grid.at(step)).saturating_sub(self.offset_ms)
    }

    fn start(&self, step: usize) -> i64 {
        self.end(step).saturating_sub(self.range_ms)
    }

    fn last(&self) -> i64 {
        self.end(self.grid.count.saturating_sub(1))
    }

    /// What lies in a step's window.
    pub fn seen<'s>(&self, series: &'s mut dyn Look, step: usize, wants: Wants) -> Seen<'s> {
        let (start, end) = (self.start(step), self.end(step));
        series.window(Timestamp::from_millis(start), Timestamp::from_millis(end), wants)
    }

    /// Calls back with each step and its samples. The samples stand in time order and so do the
    /// windows, hence both their edges only move forward.
    pub fn slide<'s>(&self, samples: &'s [Sample], mut visit: impl FnMut(usize, &'s [Sample])) {
        let (mut from, mut to) = (0, 0);
        for step in 0..self.grid.count {
            let (start, end) = (self.start(step), self.end(step));
            while to < samples.len() && samples[to].at.millis() <= end {
                to += 1;
            }
            while from < to && samples[from].at.millis() <= start {
                from += 1;
            }
            visit(step, &samples[from..to]);
        }
    }
}

impl Evaluation<'_> {
    /// The newest sample of each series at each step, if it is younger than the lookback and does not
    /// end the series.
    pub(super) fn instant_vector(
        &self,
        select: &Select,
        grid: Grid,
        yields: Yield,
    ) -> Result<Block, EvalError> {
        let windows = Windows {
            range_ms: millis(self.options.lookback),
            offset_ms: select.offset_ms,
            fixed: self.fixed(select.at),
            grid,
        };
        let mut block = Block::new(grid.count);
        let mut error = None;
        let refuses_marks = yields == Yield::Value && self.source.has_histograms();
        self.select(select, &windows, &mut |labels, samples| {
            if error.is_some() {
                return;
            }
            let room = self.check_size(block.rows.len() + 1, grid.count);
            error = room.and_then(|()| self.budget.visit(samples.len(), grid.count)).err();
            let mut has_marks = false;
            let before = block.values.len();
            let mut is_present = false;
            windows.slide(samples, |_, window| {
                let value = match window.last() {
                    Some(sample) if !is_stale(sample.value) => {
                        is_present = true;
                        has_marks |= refuses_marks && is_histogram(sample.value);
                        match yields {
                            Yield::Value | Yield::ValueOrMark => sample.value,
                            Yield::Time => sample.at.seconds(),
                        }
                    }
                    _ => ABSENT,
                };
                block.values.push(value);
            });
            if has_marks && error.is_none() {
                error = Some(EvalError::NativeHistogram(labels.clone()));
            }
            if is_present {
                block.rows.push(Row { labels: labels.clone(), drops_name: false });
            } else {
                block.values.truncate(before);
            }
        });
        error.map_or(Ok(block), Err)
    }

    fn select(
        &self,
        select: &Select,
        windows: &Windows,
        visit: &mut dyn FnMut(&Labels, &[Sample]),
    ) {
        if windows.grid.count == 0 {
            return;
        }
        let after = Timestamp::from_millis(windows.start(0));
        let until = Timestamp::from_millis(windows.last());
        self.source.select(&select.matchers, after, until, visit);
    }

    /// The samples of a range selector at the one step of an instant query.
    pub(super) fn raw(&self, select: &Select) -> Result<Vec<Series>, EvalError> {
        let grid = Grid { start: self.start, step: 1, count: 1 };
        let windows = self.windows(select, grid);
        let mut series = Vec::new();
        let mut count: usize = 0;
        let mut stopped = Ok(());
        self.select(select, &windows, &mut |labels, samples| {
            if stopped.is_err() {
                return;
            }
            count += samples.len();
            stopped = self
                .check_size(count, 1)
                .and_then(|()| self.budget.visit(samples.len(), 0))
                .and_then(|()| self.check_numbers(labels, samples));
            let samples: Vec<Sample> =
                samples.iter().filter(|sample| !is_stale(sample.value)).copied().collect();
            if stopped.is_ok() && !samples.is_empty() {
                series.push(Series { labels: labels.clone(), samples });
            }
        });
        stopped?;
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(series)
    }

    /// Refuses the marks of native histograms where nothing but numbers will do.
    fn check_numbers(&self, labels: &Labels, samples: &[Sample]) -> Result<(), EvalError> {
        let has_marks =
            self.source.has_histograms() && samples.iter().any(|sample| is_histogram(sample.value));
        if has_marks { Err(EvalError::NativeHistogram(labels.clone())) } else { Ok(()) }
    }

    fn windows(&self, select: &Select, grid: Grid) -> Windows {
        Windows {
            range_ms: select.range_ms,
            offset_ms: select.offset_ms,
            fixed: self.fixed(select.at),
            grid,
        }
    }

    /// Visits each series of a range selector with a way to look at its windows.
    pub(super) fn each_look(
        &self,
        select: &Select,
        grid: Grid,
        visit: &mut dyn FnMut(&Windows, Row, &mut dyn Look),
    ) {
        let windows = self.windows(select, grid);
        if grid.count == 0 {
            return;
        }
        let after = Timestamp::from_millis(windows.start(0));
        let until = Timestamp::from_millis(windows.last());
        self.source.look(&select.matchers, after, until, &mut |labels, series| {
            visit(&windows, Row { labels: labels.clone(), drops_name: false }, series);
        });
    }

    /// Visits each series of a range vector with its windows; stale markers are gone from the
    /// samples. `visit` gets the labels, whether the name is dropped already, and the samples.
    pub(super) fn each_window(
        &mut self,
        operand: PartId,
        marks: Marks,
        grid: Grid,
        visit: &mut dyn FnMut(&Windows, Row, &[Sample]),
    ) -> Result<(), EvalError> {
        let plan = self.plan;
        match &plan.part(operand).work {
            Work::Range(select) => {
                let windows = self.windows(select, grid);
                let mut kept = Vec::new();
                let mut checked = Ok(());
                self.select(select, &windows, &mut |labels, samples| {
                    if checked.is_ok() && marks == Marks::Refused {
                        checked = self.check_numbers(labels, samples);
                    }
                    let row = Row { labels: labels.clone(), drops_name: false };
                    if !samples.iter().any(|sample| is_stale(sample.value)) {
                        return visit(&windows, row, samples);
                    }
                    kept.clear();
                    kept.extend(samples.iter().filter(|sample| !is_stale(sample.value)));
                    if !kept.is_empty() {
                        visit(&windows, row, &kept);
                    }
                });
                checked
            }
            Work::Subquery(subquery) => {
                let Resampled { block, grid: inner } = self.subquery(subquery, grid)?;
                let windows = Windows {
                    range_ms: subquery.range_ms,
                    offset_ms: subquery.offset_ms,
                    fixed: self.fixed(subquery.at),
                    grid,
                };
                let mut samples = Vec::new();
                for (row, values) in block.iter() {
                    samples.clear();
                    samples.extend(present(values, inner));
                    visit(&windows, row.clone(), &samples);
                }
                Ok(())
            }
            // The parser has checked the types.
            _ => Ok(()),
        }
    }

    /// Evaluates a subquery's expression at all multiples of its step that any of the windows of
    /// `grid` holds.
    pub(super) fn subquery(
        &mut self,
        subquery: &Subquery,
        grid: Grid,
    ) -> Result<Resampled, EvalError> {
        let step = subquery.step_ms.unwrap_or(millis(self.options.subquery_step)).max(1);
        let windows = Windows {
            range_ms: subquery.range_ms,
            offset_ms: subquery.offset_ms,
            fixed: self.fixed(subquery.at),
            grid,
        };
        // The window is left-open: the first multiple strictly after its start.
        let start = windows.start(0).div_euclid(step).saturating_add(1).saturating_mul(step);
        let inner = Grid::new(start, windows.last(), step);
        self.check_size(1, inner.count)?;
        if inner.count == 0 || grid.count == 0 {
            return Ok(Resampled { block: Block::new(inner.count), grid: inner });
        }
        Ok(Resampled { block: self.vector(subquery.inner, inner)?, grid: inner })
    }
}

/// A subquery's expression at each of its own steps.
pub(super) struct Resampled {
    block: Block,
    grid: Grid,
}

impl Resampled {
    pub fn into_series(self, naming: Naming) -> Result<Vec<Series>, EvalError> {
        Series::all(self.block, self.grid, naming)
    }
}

fn present(values: &[f64], grid: Grid) -> impl Iterator<Item = Sample> {
    let samples = values
        .iter()
        .enumerate()
        .map(move |(step, value)| Sample { at: grid.timestamp(step), value: *value });
    samples.filter(|sample| !is_stale(sample.value))
}
