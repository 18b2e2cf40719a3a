//! Functions of a range vector: each series by itself, each window by itself.

use super::super::function::Window;
use super::super::plan::{PartId, Select, Work};
use super::super::{EvalError, Severity, format};
use super::block::{ABSENT, Block, Row, is_absent};
use super::budget::Budget;
use super::native::Marks;
use super::rate::{self, Growth};
use super::select::Windows;
use super::summation::{Mean, Variance, quantile};
use super::{Evaluation, Grid};
use crate::model::{Labels, MatchOp, Matcher, Sample};
use crate::series::{Seen, Sum, Wants};

impl<'a> Evaluation<'a> {
    pub(super) fn window(
        &mut self,
        window: Window,
        marks: Marks,
        operand: PartId,
        scalar: Option<PartId>,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let scalars = scalar.map(|scalar| self.scalar(scalar, grid)).transpose()?;
        let mut rows = Rows::new(window, grid, self.budget);
        let mut scratch = Vec::new();
        let call = |windows: &Windows, step: usize| Call {
            range_ms: windows.range_ms,
            end: windows.end(step),
            now: grid.at(step),
            scalar: scalars.as_ref().map_or(f64::NAN, |scalars| scalars[step]),
        };
        if let Some((select, wants)) = self.long_windows(window, operand, grid) {
            self.each_look(select, grid, &mut |windows, row, series| {
                rows.push(row, 0, |rows| {
                    for step in 0..grid.count {
                        let seen = windows.seen(series, step, wants);
                        let samples = seen.head.len() + seen.tail.len();
                        rows.put(samples, || {
                            call(windows, step).around(window, &seen, wants, &mut scratch)
                        });
                    }
                });
            });
        } else {
            self.each_window(operand, marks, grid, &mut |windows, row, samples| {
                rows.push(row, samples.len(), |rows| {
                    windows.slide(samples, |step, samples| {
                        rows.put(samples.len(), || {
                            call(windows, step).value(window, samples, &mut scratch)
                        });
                    });
                });
            })?;
        }
        let mut block = rows.finish()?;
        self.remark(window, operand, scalar, scalars.as_deref(), &block);
        if matches!(window, Window::First | Window::Last) {
            return Ok(block);
        }
        if self.only_name(operand).is_some() && !self.naming.has_types {
            block.rows.iter_mut().for_each(|row| row.drops_name = true);
            return Ok(block);
        }
        block.drop_names(self.naming)
    }

    /// The selector of windows of which the source may know more than their samples, where the
    /// function can go by that, and what it needs to know. At many steps, short windows that overlap
    /// are read once.
    fn long_windows(
        &self,
        window: Window,
        operand: PartId,
        grid: Grid,
    ) -> Option<(&'a Select, Wants)> {
        const LONG_MS: i64 = 2 * 60 * 60 * 1000;
        let plan = self.plan;
        let Work::Range(select) = &plan.part(operand).work else { return None };
        // A digest tells nothing of marks.
        let is_worth_it =
            (grid.count == 1 || select.range_ms >= LONG_MS) && !self.source.has_histograms();
        digest_for(window).filter(|_| is_worth_it).map(|wants| (select, wants))
    }

    /// The name that a selector demands, so that none of its series needs to be asked for its own.
    fn only_name(&self, operand: PartId) -> Option<&str> {
        let plan = self.plan;
        let Work::Range(select) = &plan.part(operand).work else { return None };
        let is_name =
            |matcher: &&Matcher| matcher.name() == Labels::NAME && matcher.op() == MatchOp::Equal;
        select.matchers.iter().find(is_name).map(Matcher::value)
    }

    fn remark(
        &mut self,
        window: Window,
        operand: PartId,
        scalar: Option<PartId>,
        scalars: Option<&[f64]>,
        block: &Block,
    ) {
        if let (Window::Quantile, Some(scalar), Some(scalars)) = (window, scalar, scalars) {
            let asked = scalars.iter().zip(block.presence());
            let asked = asked.filter_map(|(scalar, is_present)| is_present.then_some(*scalar));
            self.remark_quantiles(scalar, &asked.collect::<Vec<f64>>());
        }
        if !matches!(window, Window::Rate | Window::Increase) {
            return;
        }
        const COUNTERS: [&str; 4] = ["_total", "_sum", "_count", "_bucket"];
        let mut suspect: Vec<&str> = Vec::new();
        let demanded = self.only_name(operand).filter(|_| !block.rows.is_empty());
        let found = block.rows.iter().filter(|row| !row.drops_name && demanded.is_none());
        for metric in demanded.into_iter().chain(found.map(|row| row.labels.metric())) {
            let is_counter = COUNTERS.iter().any(|suffix| metric.ends_with(suffix));
            if !metric.is_empty() && !is_counter && suspect.last() != Some(&metric) {
                suspect.push(metric);
            }
        }
        let messages: Vec<String> = suspect
            .into_iter()
            .map(|metric| {
                format!(
                    "metric might not be a counter, name does not end in \
                     _total/_sum/_count/_bucket: \"{metric}\""
                )
            })
            .collect();
        for message in messages {
            self.annotate(Severity::Info, operand, message);
        }
    }

    /// Remarks on quantiles outside of 0 to 1.
    pub(super) fn remark_quantiles(&mut self, part: PartId, quantiles: &[f64]) {
        let mut last = None;
        for quantile in quantiles {
            if !(0.0..=1.0).contains(quantile) && last != Some(quantile.to_bits()) {
                last = Some(quantile.to_bits());
                let shown = format::format_remarked(*quantile);
                let message = format!("quantile value should be between 0 and 1, got {shown}");
                self.annotate(Severity::Warning, part, message);
            }
        }
    }
}

/// What of a digest a function's value follows from; nothing where it needs the samples.
fn digest_for(window: Window) -> Option<Wants> {
    match window {
        Window::Count
        | Window::Delta
        | Window::First
        | Window::Increase
        | Window::Last
        | Window::Present
        | Window::Rate
        | Window::Resets => Some(Wants::Growth),
        Window::Avg | Window::Changes | Window::Max | Window::Min | Window::Sum => {
            Some(Wants::Sums)
        }
        Window::Stddev | Window::Stdvar => Some(Wants::Deviations),
        Window::Deriv
        | Window::Idelta
        | Window::Irate
        | Window::PredictLinear
        | Window::Quantile => None,
    }
}

/// The rows of a result as they come.
struct Rows<'a> {
    block: Block,
    budget: &'a Budget<'a>,
    /// Work for each sample of a window.
    weight: usize,
    stopped: Result<(), EvalError>,
}

impl<'a> Rows<'a> {
    fn new(window: Window, grid: Grid, budget: &'a Budget<'a>) -> Self {
        // A quantile sorts its window.
        let weight = if window == Window::Quantile { 8 } else { 1 };
        Self { block: Block::new(grid.count), budget, weight, stopped: Ok(()) }
    }

    /// Adds a row of as many samples unless `fill` puts no value at any step.
    fn push(&mut self, row: Row, samples: usize, fill: impl FnOnce(&mut Self)) {
        if self.stopped.is_ok() {
            let room = self.budget.check(self.block.rows.len() + 1, self.block.steps);
            self.stopped = room.and_then(|()| self.budget.visit(samples, 0));
        }
        if self.stopped.is_err() {
            return;
        }
        let before = self.block.values.len();
        fill(self);
        if self.block.values[before..].iter().all(|value| is_absent(*value)) {
            self.block.values.truncate(before);
        } else {
            self.block.rows.push(row);
        }
    }

    /// The next step's value, from a window of as many samples.
    fn put(&mut self, samples: usize, value: impl FnOnce() -> Option<f64>) {
        if self.stopped.is_ok() {
            self.stopped = self.budget.spend(self.weight * samples);
        }
        let value = if self.stopped.is_ok() { value() } else { None };
        self.block.values.push(value.unwrap_or(ABSENT));
    }

    fn finish(self) -> Result<Block, EvalError> {
        self.stopped.map(|()| self.block)
    }
}

/// One window's place in time, and the function's further argument.
struct Call {
    range_ms: i64,
    end: i64,
    /// The time of the evaluation; the window's end lies elsewhere with `offset` or `@`.
    now: i64,
    scalar: f64,
}

impl Call {
    /// The value for a window whose middle may not have been read.
    fn around(
        &self,
        window: Window,
        seen: &Seen<'_>,
        wants: Wants,
        scratch: &mut Vec<f64>,
    ) -> Option<f64> {
        let Some(middle) = seen.middle else { return self.value(window, seen.head, scratch) };
        let growth = |kind| rate::growth_around(kind, middle, seen, self.range_ms, self.end);
        let digest = || seen.digest(middle, wants);
        match window {
            Window::Rate => growth(Growth::Rate),
            Window::Increase => growth(Growth::Increase),
            Window::Delta => growth(Growth::Delta),
            Window::Changes => Some(f64::from(digest().changes)),
            Window::Resets => Some(f64::from(digest().resets)),
            Window::Count => Some(f64::from(digest().count)),
            Window::Present => Some(1.0),
            Window::First => Some(seen.head.first().unwrap_or(&middle.first).value),
            Window::Last => Some(seen.tail.last().unwrap_or(&middle.last).value),
            Window::Min => Some(digest().min),
            Window::Max => Some(digest().max),
            Window::Sum => Some(digest().sum.total()),
            Window::Avg => Some(digest().mean()),
            Window::Stddev => Some(digest().variance().sqrt()),
            Window::Stdvar => Some(digest().variance()),
            // Never asked for a window that was not read.
            Window::Deriv
            | Window::Idelta
            | Window::Irate
            | Window::PredictLinear
            | Window::Quantile => None,
        }
    }

    fn value(&self, window: Window, samples: &[Sample], scratch: &mut Vec<f64>) -> Option<f64> {
        let (first, last) = (samples.first()?, samples.last()?);
        let values = samples.iter().map(|sample| sample.value);
        match window {
            Window::Rate => rate::growth(Growth::Rate, samples, self.range_ms, self.end),
            Window::Increase => rate::growth(Growth::Increase, samples, self.range_ms, self.end),
            Window::Delta => rate::growth(Growth::Delta, samples, self.range_ms, self.end),
            Window::Irate => rate::instant_growth(true, samples),
            Window::Idelta => rate::instant_growth(false, samples),
            Window::Deriv => rate::regression(samples, first.at.millis()).map(|(slope, _)| slope),
            Window::PredictLinear => rate::regression(samples, self.now)
                .map(|(slope, intercept)| slope * self.scalar + intercept),
            Window::Changes => Some(rate::changes(samples)),
            Window::Resets => Some(rate::resets(samples)),
            Window::Count => Some(samples.len() as f64),
            Window::Present => Some(1.0),
            Window::First => Some(first.value),
            Window::Last => Some(last.value),
            Window::Min => {
                values.reduce(|min, value| if value < min || min.is_nan() { value } else { min })
            }
            Window::Max => {
                values.reduce(|max, value| if value > max || max.is_nan() { value } else { max })
            }
            Window::Sum => {
                let mut sum = Sum::default();
                values.for_each(|value| sum.add(value));
                Some(sum.total())
            }
            Window::Avg => {
                let mut mean = Mean::of(first.value);
                values.skip(1).for_each(|value| mean.add(value));
                Some(mean.value())
            }
            Window::Stddev | Window::Stdvar => {
                let mut variance = Variance::default();
                values.for_each(|value| variance.add(value));
                let variance = variance.value();
                Some(if window == Window::Stddev { variance.sqrt() } else { variance })
            }
            Window::Quantile => {
                scratch.clear();
                scratch.extend(values);
                Some(quantile(self.scalar, scratch))
            }
        }
    }
}
