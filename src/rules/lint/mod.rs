//! What rules may say and should not: remarks that stop nobody, each with its place and a remedy.
//!
//! Rule files are looked at together, as they are loaded together: a series that one file records is
//! known in all of them.

mod check;
mod facts;
mod look;

pub use check::{Check, Remark};
pub use look::{Kind, Known, lint};
