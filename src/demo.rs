//! The main job on one machine: two simulated providers, clients that ask a router, a release that
//! climbs, and a receiver that checks the signature of what it gets.
//!
//! Everything between the clients and the webhook is what `bellwether run` runs. Only time is
//! compressed: stages last seconds, their limits are wide, and the candidate falls ill at 25 % of the
//! traffic. Nothing leaves loopback.

mod client;
mod receiver;
mod scenario;
mod scratch;
mod story;
mod telling;

pub use scenario::{Expected, Scenario};
pub use story::{Ending, Settings, play};
