//! Functions of each value by itself.

use super::super::EvalError;
use super::super::function::Map;
use super::super::plan::{PartId, Work};
use super::block::{ABSENT, Block, is_absent};
use super::select::Yield;
use super::{Evaluation, Frame, Grid};

impl Evaluation<'_> {
    pub(super) fn map(
        &mut self,
        map: Map,
        vector: PartId,
        scalars: &[PartId],
        grid: Grid,
    ) -> Result<Block, EvalError> {
        let block = self.numbers(vector, grid)?;
        let scalars =
            scalars.iter().map(|part| self.scalar(*part, grid)).collect::<Result<Vec<_>, _>>()?;
        let argument = |at: usize, step: usize| scalars.get(at).map(|values| values[step]);
        let value = |step: usize, value: f64| match map {
            Map::Clamp => {
                let min = argument(0, step).unwrap_or(f64::NAN);
                let max = argument(1, step).unwrap_or(f64::NAN);
                if min > max { ABSENT } else { greater(min, lesser(max, value)) }
            }
            Map::ClampMax => lesser(argument(0, step).unwrap_or(f64::NAN), value),
            Map::ClampMin => greater(argument(0, step).unwrap_or(f64::NAN), value),
            // The inverse is exact where `to` is not, as for 0.1.
            Map::Round => {
                let inverse = 1.0 / argument(0, step).unwrap_or(1.0);
                (value * inverse + 0.5).floor() / inverse
            }
            _ => plain(map, value),
        };
        let mapped = block.map(value).compact();
        mapped.drop_names(self.naming)
    }

    pub(super) fn negate(&mut self, operand: PartId, grid: Grid) -> Result<Frame, EvalError> {
        Ok(match self.part(operand, grid)? {
            Frame::Vector(block) => {
                Frame::Vector(block.map(|_, value| -value).drop_names(self.naming)?)
            }
            Frame::Scalar(values) => {
                Frame::Scalar(values.into_iter().map(|value| -value).collect())
            }
            Frame::Text(text) => Frame::Text(text),
        })
    }

    /// The time of each sample where a selector stands inside, of the step where anything else does.
    pub(super) fn timestamp(&mut self, vector: PartId, grid: Grid) -> Result<Block, EvalError> {
        let plan = self.plan;
        let block = match &plan.part(vector).work {
            Work::Instant(select) => self.instant_vector(select, grid, Yield::Time)?,
            _ => self.vector(vector, grid)?.map(|step, _| grid.timestamp(step).seconds()),
        };
        block.drop_names(self.naming)
    }
}

impl Block {
    /// Puts each value that is there through a function of its step and itself.
    pub fn map(mut self, value: impl Fn(usize, f64) -> f64) -> Self {
        if self.steps > 0 {
            for row in self.values.chunks_mut(self.steps) {
                for (step, slot) in row.iter_mut().enumerate() {
                    if !is_absent(*slot) {
                        *slot = value(step, *slot);
                    }
                }
            }
        }
        self
    }

    /// Leaves out rows that are absent at every step.
    pub fn compact(self) -> Self {
        if self.steps == 0
            || self.values.chunks(self.steps).all(|row| !row.iter().all(|value| is_absent(*value)))
        {
            return self;
        }
        let mut kept = Self { is_ordered: self.is_ordered, ..Self::new(self.steps) };
        for (row, values) in self.iter() {
            kept.push(row.clone(), values.iter().copied());
        }
        kept
    }
}

/// Go's `math.Min`: infinity beats NaN, and of two zeros the negative one is less.
fn lesser(left: f64, right: f64) -> f64 {
    if left == f64::NEG_INFINITY || right == f64::NEG_INFINITY {
        f64::NEG_INFINITY
    } else if left.is_nan() || right.is_nan() {
        f64::NAN
    } else if left == right {
        if left.is_sign_negative() { left } else { right }
    } else {
        left.min(right)
    }
}

/// Go's `math.Max`.
fn greater(left: f64, right: f64) -> f64 {
    -lesser(-left, -right)
}

fn plain(map: Map, value: f64) -> f64 {
    match map {
        Map::Abs => value.abs(),
        Map::Acos => value.acos(),
        Map::Acosh => value.acosh(),
        Map::Asin => value.asin(),
        Map::Asinh => value.asinh(),
        Map::Atan => value.atan(),
        Map::Atanh => value.atanh(),
        Map::Ceil => value.ceil(),
        Map::Cos => value.cos(),
        Map::Cosh => value.cosh(),
        Map::Deg => value * 180.0 / std::f64::consts::PI,
        Map::Exp => value.exp(),
        Map::Floor => value.floor(),
        Map::Ln => value.ln(),
        Map::Log10 => value.log10(),
        Map::Log2 => value.log2(),
        Map::Rad => value * std::f64::consts::PI / 180.0,
        Map::Sgn if value < 0.0 => -1.0,
        Map::Sgn if value > 0.0 => 1.0,
        Map::Sgn => value,
        Map::Sin => value.sin(),
        Map::Sinh => value.sinh(),
        Map::Sqrt => value.sqrt(),
        Map::Tan => value.tan(),
        Map::Tanh => value.tanh(),
        // Have further arguments, see above.
        Map::Clamp | Map::ClampMax | Map::ClampMin | Map::Round => value,
    }
}
