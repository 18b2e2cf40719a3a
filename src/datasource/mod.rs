//! Asks what answers Prometheus's query API for the expressions and counters of releases.
//!
//! Each question is asked once, its expressions side by side, within the time that its datasource has.
//! Nothing is repeated: the next block asks anew, and what is missing decides nothing.

mod query;
mod work;

#[cfg(test)]
mod tests;

pub use work::{Datasources, QUESTIONS_MAX};
