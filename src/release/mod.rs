//! Releases: what gates say about a candidate, and when an alert may roll it back.
//!
//! Pure: whoever asks passes the evidence and the time.

mod decision;
pub mod gate;
#[cfg(test)]
mod laws;
pub mod machine;
mod message;
mod rollbacks;
mod settings;
mod stable;

pub use decision::{Decision, Doubt, Record, Report, Verdict};
pub use message::BODY_BYTES_MAX;
pub use rollbacks::{Evidence, INCIDENTS_MAX, Rollbacks};
pub use settings::{Mode, Rollback};
pub use stable::{Health, Recent, StableTarget};
