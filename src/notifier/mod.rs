//! Carries notices, rollback calls and posts to Alertmanagers out over HTTP.
//!
//! Every hook has a queue and a task of its own, so one that hangs delays nobody else, and never
//! the loop that decides. Which answer means what, and when to try again, is `notice`'s to say.
//! What became of each delivery is reported back.

mod exchange;
mod hooks;
mod queue;
mod report;

#[cfg(test)]
mod tests;

pub use exchange::call_once;
pub use hooks::Notifier;
pub use report::{Ending, Report};
