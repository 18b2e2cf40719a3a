//! Rules, receivers and rollbacks over history: what would have happened when, with nothing sent.
//!
//! Samples that were recorded are given to the very engine that a run has, in their order, and its
//! slots come when their time has come; what it says is to be done is written down and not done. So
//! there is no second opinion on what a rule, a receiver or a rollback means. What samples can't
//! tell is said in the remarks: the exact moment of a result between two samples, and with it early
//! evaluations.
//!
//! Memory is bounded: samples are read piece by piece, only those that the rules select, and the
//! store lets go of what is older than its retention.

mod course;
mod difference;
mod entry;
mod error;
mod evidence;
mod plan;
mod play;
mod prometheus;
mod recording;
mod run;
mod scrapes;
mod summary;

pub use difference::Difference;
pub use entry::{Entry, What};
pub use error::ReplayError;
pub use play::{Origin, Outcome, Progress, Replay, Request};
pub use prometheus::Server;
pub use summary::Summary;
