//! Carries out plans: calls, runs programs, replaces files, asks stable. `release::Course` says what
//! is next; nothing is decided here.
//!
//! One rollback has one execution at a time. One that is meant ends a drill of the same name and
//! waits for no record: its entries are handed on without waiting.

mod command;
mod effects;
mod file;
mod work;

pub use effects::{Answer, Ask, Call, Reach};
pub use work::{Executor, Planned, Refused};

#[cfg(test)]
mod tests;
