//! Unit tests of rules, in promtool's file format.
//!
//! A test holds input series, and what must be so at some moments: which alerts of a name fire, and
//! what an expression yields. The rules run from the test's start to the last such moment, at the
//! test file's own interval whatever a group says, and over nothing but the input and what they
//! write themselves. Verdicts are promtool's; what differs is meant:
//!
//! - A file is read as a whole, and every mistake in it told at once, before any test runs.
//! - Groups that `group_eval_order` does not name keep the order of their files, where promtool
//!   takes any.
//! - A query may hold more than promtool's 10,000 samples.
//! - Native histograms are refused by name.

mod difference;
mod failure;
mod notation;
mod read;
mod run;
mod script;

pub use difference::{Difference, Told};
pub use failure::Failure;
pub use read::parse;
pub use run::{Report, Suite};
pub use script::{AlertCase, ExprCase, Pattern, Script, Series, Test};
