//! Bellwether's own metrics and logs.
//!
//! Every metric's name, help text, labels and buckets stand in `metrics` and nowhere else; the
//! instruments are the `prometheus` crate's. Doers record through [`Telemetry`]'s typed methods, so
//! a label's value can only come from the configuration or from a closed enum, and no handle
//! outlives a reload.

mod calls;
mod catalog;
mod evidence;
mod exposition;
mod heartbeats;
mod instruments;
mod known;
mod logs;
pub mod metrics;
mod mirrors;
mod probes;
mod process;
mod recorder;
mod registry;
mod releases;
mod routes;
mod sampling;
mod slos;
mod spending;
#[cfg(test)]
mod tests;
mod usual;

pub use calls::{CallRefused, PostResult};
pub use catalog::ModelReading;
pub use evidence::{EvidenceResult, FollowedFor, ReportResult};
pub use exposition::CONTENT_TYPE;
pub use logs::{LogFormat, start_logs};
pub use mirrors::Mirrored;
pub use recorder::{DeliveryResult, PlanEnded, Telemetry};
pub use releases::{GateReading, RELEASE_NOTICES, RELEASE_STATES, ReleaseReading};
pub use routes::{FailOver, WaitSource};
pub use sampling::{Sampler, Samples};
pub use slos::SloReading;
pub use spending::{Compared, Purpose, Spent, SpentOn};
