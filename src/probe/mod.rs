//! Probes as plans and outcomes: what is asked, when, how the answer is checked, what it cost.
//!
//! Pure: the prober carries it out.

mod outcome;
mod settings;

pub use crate::provider::{Anomaly, RateLimits, Usage};
pub use outcome::{Outcome, Phases, SkipReason};
pub use settings::{Budget, Check, Connection, Delivery, Target, Thresholds, Timeouts};
