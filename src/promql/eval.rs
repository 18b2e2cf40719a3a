//! The evaluator: a plan over a source, at one step or at many.
//!
//! Every part is evaluated once for all steps of its grid, so that each selector reads its series
//! once and each grouping is worked out once; a part that is the same at every step is evaluated at
//! the first and spread. Series are visited in place: the common `sum by (x) (rate(y[5m]))` copies
//! no sample.

mod aggregate;
mod binary;
mod block;
mod budget;
mod calendar;
mod group;
mod histogram;
mod labels;
mod map;
mod native;
mod rank;
mod rate;
mod select;
mod set;
mod sort;
mod summation;
mod window;

use std::collections::BTreeSet;
use std::time::Duration;

pub(super) use binary::scalar_operation;

use super::plan::{PartId, Plan, Work};
use super::tree::At;
use super::{Annotation, Answer, EvalError, Expr, Options, Point, Series, Severity, Value};
use super::{ValueType, lexer};
use crate::model::{Labels, Sample, Timestamp};
use crate::series::Source;
use block::{Block, Naming, Row};
use budget::Budget;
use native::Marks;

/// How many remarks are kept. People read the first few; a bad quantile that changes with each step
/// would make one for each.
const ANNOTATIONS_MAX: usize = 1_000;

/// Evaluates an expression at one time.
pub fn instant(
    expr: &Expr,
    source: &dyn Source,
    at: Timestamp,
    options: &Options<'_>,
) -> Result<Answer, EvalError> {
    let grid = Grid { start: at.millis(), step: 1, count: 1 };
    let budget = Budget::new(options);
    let mut evaluation = Evaluation::new(expr, source, options, &budget, grid);
    let root = expr.plan().root;
    let value = match &expr.plan().part(root).work {
        Work::Range(select) => Value::Matrix(evaluation.raw(select)?),
        Work::Subquery(subquery) => {
            let inner = evaluation.subquery(subquery, grid)?;
            Value::Matrix(inner.into_series(evaluation.naming)?)
        }
        _ => match evaluation.part(root, grid)? {
            Frame::Scalar(values) => Value::Scalar(values.first().copied().unwrap_or(f64::NAN)),
            Frame::Text(text) => Value::String(text.to_string()),
            Frame::Vector(block) => Value::Vector(points(block, evaluation.naming, at)?),
        },
    };
    Ok(Answer { value, annotations: evaluation.annotations.into_iter().collect() })
}

/// Evaluates an expression at `start` and every `step` after it, up to `end`.
pub fn range(
    expr: &Expr,
    source: &dyn Source,
    start: Timestamp,
    end: Timestamp,
    step: Duration,
    options: &Options<'_>,
) -> Result<Answer, EvalError> {
    let value_type = expr.value_type();
    if !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
        return Err(EvalError::RangeType(value_type));
    }
    if end < start {
        return Err(EvalError::EndBeforeStart);
    }
    let step_ms = millis(step);
    if step_ms == 0 && start != end {
        return Err(EvalError::ZeroStep);
    }
    let grid = Grid::new(start.millis(), end.millis(), step_ms.max(1));
    let budget = Budget::new(options);
    let mut evaluation = Evaluation::new(expr, source, options, &budget, grid);
    evaluation.end = end.millis();
    evaluation.is_range = true;
    evaluation.check_size(1, grid.count)?;
    let series = match evaluation.part(expr.plan().root, grid)? {
        Frame::Vector(block) => Series::all(block, grid, evaluation.naming)?,
        Frame::Scalar(values) => vec![Series {
            labels: Labels::empty(),
            samples: (0..grid.count)
                .map(|step| Sample { at: grid.timestamp(step), value: values[step] })
                .collect(),
        }],
        Frame::Text(_) => Vec::new(),
    };
    let annotations = evaluation.annotations.into_iter().collect();
    Ok(Answer { value: Value::Matrix(series), annotations })
}

impl Series {
    /// All series of a block, sorted by labels.
    fn all(block: Block, grid: Grid, naming: Naming) -> Result<Vec<Self>, EvalError> {
        let block = block.finish(naming)?;
        let mut series: Vec<Self> = block
            .iter()
            .map(|(row, values)| {
                let present =
                    values.iter().enumerate().filter(|(_, value)| !block::is_absent(**value));
                let samples = present
                    .map(|(step, value)| Sample { at: grid.timestamp(step), value: *value })
                    .collect();
                Self { labels: row.labels.clone(), samples }
            })
            .filter(|series: &Self| !series.samples.is_empty())
            .collect();
        series.sort_by(|left, right| left.labels.cmp(&right.labels));
        Ok(series)
    }
}

fn points(block: Block, naming: Naming, at: Timestamp) -> Result<Vec<Point>, EvalError> {
    let is_ordered = block.is_ordered;
    let block = block.finish(naming)?;
    let mut points: Vec<Point> = block
        .iter()
        .filter(|(_, values)| !block::is_absent(values[0]))
        .map(|(row, values)| Point { labels: row.labels.clone(), at, value: values[0] })
        .collect();
    if !is_ordered {
        points.sort_by(|left, right| left.labels.cmp(&right.labels));
    }
    Ok(points)
}

/// The times at which a part is evaluated.
#[derive(Clone, Copy, Debug)]
struct Grid {
    start: i64,
    step: i64,
    count: usize,
}

impl Grid {
    /// `start` and every `step` after it, up to `end`.
    fn new(start: i64, end: i64, step: i64) -> Self {
        let count =
            end.saturating_sub(start).checked_div(step).map_or(0, |steps| steps.saturating_add(1));
        let count = if end < start { 0 } else { usize::try_from(count).unwrap_or_default() };
        Self { start, step, count }
    }

    fn at(self, step: usize) -> i64 {
        let steps = i64::try_from(step).unwrap_or(i64::MAX);
        self.start.saturating_add(self.step.saturating_mul(steps))
    }

    fn timestamp(self, step: usize) -> Timestamp {
        Timestamp::from_millis(self.at(step))
    }

    fn last(self) -> i64 {
        self.at(self.count.saturating_sub(1))
    }
}

/// What a part yields at each step.
enum Frame {
    Scalar(Vec<f64>),
    Text(std::sync::Arc<str>),
    Vector(Block),
}

impl Frame {
    fn into_vector(self, steps: usize) -> Block {
        match self {
            Self::Vector(block) => block,
            // The parser has checked the types.
            Self::Scalar(_) | Self::Text(_) => Block::new(steps),
        }
    }
}

struct Evaluation<'a> {
    plan: &'a Plan,
    text: &'a str,
    source: &'a dyn Source,
    options: &'a Options<'a>,
    budget: &'a Budget<'a>,
    naming: Naming,
    /// The bounds of the outermost query.
    start: i64,
    end: i64,
    is_range: bool,
    annotations: BTreeSet<Annotation>,
}

impl<'a> Evaluation<'a> {
    fn new(
        expr: &'a Expr,
        source: &'a dyn Source,
        options: &'a Options<'a>,
        budget: &'a Budget<'a>,
        grid: Grid,
    ) -> Self {
        Self {
            plan: expr.plan(),
            text: expr.text(),
            source,
            options,
            budget,
            naming: Naming {
                is_delayed: options.delayed_name_removal,
                has_types: options.type_and_unit_labels,
            },
            start: grid.start,
            end: grid.last(),
            is_range: false,
            annotations: BTreeSet::new(),
        }
    }

    fn annotate(&mut self, severity: Severity, part: PartId, message: String) {
        if self.annotations.len() >= ANNOTATIONS_MAX {
            return;
        }
        let (line, column) = lexer::place(self.text, self.plan.part(part).start as usize);
        self.annotations.insert(Annotation { severity, message, line, column });
    }

    fn check_size(&self, rows: usize, steps: usize) -> Result<(), EvalError> {
        self.budget.check(rows, steps)
    }

    /// The time a selector looks at, before its offset.
    fn fixed(&self, at: Option<At>) -> Option<i64> {
        at.map(|at| match at {
            At::Millis(millis) => millis,
            At::Start => self.start,
            At::End => self.end,
        })
    }

    fn vector(&mut self, part: PartId, grid: Grid) -> Result<Block, EvalError> {
        self.part(part, grid).map(|frame| frame.into_vector(grid.count))
    }

    fn scalar(&mut self, part: PartId, grid: Grid) -> Result<Vec<f64>, EvalError> {
        match self.part(part, grid)? {
            Frame::Scalar(values) => Ok(values),
            Frame::Vector(_) | Frame::Text(_) => Ok(vec![f64::NAN; grid.count]),
        }
    }

    fn part(&mut self, id: PartId, grid: Grid) -> Result<Frame, EvalError> {
        let part = self.plan.part(id);
        let before = self.budget.held();
        let frame = match part.work {
            Work::Number(value) => {
                self.check_size(1, grid.count)?;
                Frame::Scalar(vec![value; grid.count])
            }
            _ if part.is_invariant && grid.count > 1 => {
                let frame = self.work(id, Grid { count: 1, ..grid })?;
                self.spread(frame, grid.count)?
            }
            _ => self.work(id, grid)?,
        };
        self.budget.keep(before, &frame)?;
        Ok(frame)
    }

    /// The frame of one step, at many.
    fn spread(&self, frame: Frame, count: usize) -> Result<Frame, EvalError> {
        Ok(match frame {
            Frame::Scalar(values) => {
                self.check_size(1, count)?;
                Frame::Scalar(values.repeat(count))
            }
            Frame::Text(text) => Frame::Text(text),
            Frame::Vector(block) => {
                self.check_size(block.rows.len(), count)?;
                let values =
                    block.values.iter().flat_map(|value| std::iter::repeat_n(*value, count));
                let values = values.collect();
                Frame::Vector(Block { rows: block.rows, values, steps: count, is_ordered: false })
            }
        })
    }

    // Each level of nesting stands on the stack with this: results pass through as they are, so that
    // it takes little.
    fn work(&mut self, id: PartId, grid: Grid) -> Result<Frame, EvalError> {
        let plan = self.plan;
        let block = match &plan.part(id).work {
            Work::Number(value) => return Ok(Frame::Scalar(vec![*value; grid.count])),
            Work::Text(text) => return Ok(Frame::Text(std::sync::Arc::clone(text))),
            Work::Time => return self.time(grid),
            Work::ScalarOf(vector) => {
                return self.numbers(*vector, grid).map(|block| Frame::Scalar(block.into_scalar()));
            }
            Work::Binary { .. } => return self.chain(id, grid),
            Work::Negate(vector) => return self.negate(*vector, grid),
            Work::Keep(part) => return self.part(*part, grid),
            Work::Instant(select) => self.instant_vector(select, grid, select::Yield::Value),
            Work::Map { map, vector, scalars } => self.map(*map, *vector, scalars, grid),
            Work::Window { window, operand, scalar } => {
                self.window(*window, Marks::of(*window), *operand, *scalar, grid)
            }
            Work::Calendar { calendar, vector } => self.calendar(*calendar, *vector, grid),
            Work::Absent { vector, labels } => self
                .operand(*vector, grid)
                .map(|operand| Block::absent(labels, &operand.presence())),
            // The one that keeps names: series that differ in them only must not collide.
            Work::AbsentOverTime { operand, labels } => self
                .window(super::function::Window::Last, Marks::Counted, *operand, None, grid)
                .map(|operand| Block::absent(labels, &operand.presence())),
            Work::Quantile { quantile, vector } => {
                self.histogram_quantile(*quantile, *vector, grid)
            }
            Work::Fraction { lower, upper, vector } => {
                self.histogram_fraction(*lower, *upper, *vector, grid)
            }
            Work::LabelJoin { vector, target, separator, sources } => {
                self.label_join(*vector, target, separator, sources, grid)
            }
            Work::LabelReplace(replace) => self.label_replace(replace, grid),
            Work::Sort { vector, is_descending } => self.sort(id, *vector, *is_descending, grid),
            Work::Timestamp(vector) => self.timestamp(*vector, grid),
            Work::VectorOf(scalar) => self.vector_of(*scalar, grid),
            Work::Aggregate { operator, key, parameter, vector } => {
                self.aggregate(*operator, key, *parameter, *vector, grid)
            }
            // Evaluated by the function around them, or by `instant`.
            Work::Range(_) | Work::Subquery(_) => Ok(Block::new(grid.count)),
        };
        block.map(Frame::Vector)
    }

    fn time(&self, grid: Grid) -> Result<Frame, EvalError> {
        self.check_size(1, grid.count)?;
        let seconds = (0..grid.count).map(|step| grid.at(step) as f64 / 1000.0);
        Ok(Frame::Scalar(seconds.collect()))
    }

    fn vector_of(&mut self, scalar: PartId, grid: Grid) -> Result<Block, EvalError> {
        let values = self.scalar(scalar, grid)?;
        let row = Row { labels: Labels::empty(), drops_name: false };
        Ok(Block { rows: vec![row], values, steps: grid.count, is_ordered: false })
    }
}

/// A duration in whole milliseconds.
fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
