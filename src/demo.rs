//! The main job on one machine: two simulated providers, the real pipeline, a receiver that checks
//! the signature of what it gets.
//!
//! Everything between the probe and the webhook is what `bellwether run` runs. Only the cadence is
//! compressed (one probe a second, rules each second over short windows), and the candidate falls
//! ill on schedule. Nothing leaves loopback.

mod receiver;
mod scenario;
mod story;

pub use scenario::Scenario;
pub use story::{Ending, Settings, play};
