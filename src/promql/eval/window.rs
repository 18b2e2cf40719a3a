//! Functions of a range vector: each series by itself, each window by itself.

use super::super::function::Window;
use super::super::plan::{PartId, Work};
use super::super::{EvalError, Severity, format};
use super::block::{ABSENT, Block, is_absent};
use super::rate::{self, Growth};
use super::summation::{Mean, Sum, Variance, quantile};
use super::{Evaluation, Grid};
use crate::model::{Labels, MatchOp, Matcher, Sample};

impl Evaluation<'_> {
    pub(super) fn window(
        &mut self,
        window: Window,
        operand: PartId,
        scalar: Option<PartId>,
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let scalars = scalar.map(|scalar| self.scalar(scalar, grid)).transpose()?;
        let mut block = Block::new(grid.count);
        let mut scratch = Vec::new();
        let samples_max = self.options.samples_max;
        let mut is_too_large = false;
        self.each_window(operand, grid, &mut |windows, row, samples| {
            if is_too_large {
                return;
            }
            is_too_large = block.values.len().saturating_add(grid.count) > samples_max;
            let before = block.values.len();
            let mut is_present = false;
            windows.slide(samples, |step, samples| {
                let value = if samples.is_empty() {
                    ABSENT
                } else {
                    let call = Call {
                        range_ms: windows.range_ms,
                        end: windows.end(step),
                        now: grid.at(step),
                        scalar: scalars.as_ref().map_or(f64::NAN, |scalars| scalars[step]),
                    };
                    call.value(window, samples, &mut scratch).unwrap_or(ABSENT)
                };
                is_present |= !is_absent(value);
                block.values.push(value);
            });
            if is_present {
                block.rows.push(row);
            } else {
                block.values.truncate(before);
            }
        })?;
        if is_too_large {
            return Err(EvalError::TooManySamples);
        }
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

/// One window's place in time, and the function's further argument.
struct Call {
    range_ms: i64,
    end: i64,
    /// The time of the evaluation; the window's end lies elsewhere with `offset` or `@`.
    now: i64,
    scalar: f64,
}

impl Call {
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
