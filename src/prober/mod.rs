//! Carries probes out: keeps the cadence, asks, measures, grades, and watches its own health.
//!
//! One task for each target keeps its cadence and does nothing that can block; each probe is a task
//! of its own. A result is counted first and handed on after, so that whoever receives it finds it
//! in the counters. A receiver that is stuck holds probes back only up to `in_flight_max`, and what
//! is skipped for it is counted.

mod attempt;
mod catalog;
mod exchange;
mod grading;
mod line;
mod loopback;
mod once;
mod pulse;
mod purses;
mod record;
mod reference;
mod roster;
mod rounds;
mod shadow;

pub use catalog::{CatalogError, list_models};
pub use once::{Step, Trace, probe_once};
pub use purses::Purses;
pub use roster::{Ends, Prober};
pub use shadow::{Comparison, End, Ended, News, compare};

#[cfg(test)]
mod tests;
