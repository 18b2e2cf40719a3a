//! What counts say, however often they are looked at.
//!
//! Pure numbers: counts in, evidence out. Evidence is an e-process: while the hypothesis holds, the
//! chance that it ever reaches `1/α` is at most `α`, at every look together, so a gate may look
//! after each request. Everything is kept as a logarithm, so that nothing underflows, and is a
//! function of the counts alone: the same ticks in the same order give the same bits.
//!
//! The bound holds if, at every tick, the chance of a bad outcome given the past is within the
//! hypothesis. A burst of errors is outside it even where the long-run mean is not; means over
//! blocks of a minute restore most of that.
//!
//! What was planned beforehand and is looked at once, at its end, has narrower bounds of its own:
//! `binomial`, `paired`, `ratio`.

mod beta;
mod binomial;
mod gamma;
mod grid;
mod needed;
mod paired;
mod process;
mod proportion;
mod quantile;
mod ratio;
mod relative;
mod sequence;
mod test;
mod tick;

pub use binomial::{exact_interval, order_ranks, sign_test};
pub use grid::Grid;
pub use needed::{failures_max, failures_min};
pub use paired::Discordant;
pub use process::{Process, Restarts};
pub use proportion::{Proportion, ProportionError};
pub use quantile::{Ranks, quantile_ranks};
pub use ratio::{Bounded, Sorted, mean, paired_ratio, quantile_ratio, ratio_of_means};
pub use relative::Relative;
pub use sequence::{Interval, interval};
pub use test::Test;
pub use tick::{Impossible, Mean, Tick, Totals};
