//! Probes as plans and outcomes: what is asked, when, how the answer is checked, what it cost.
//!
//! Pure: the prober carries it out.

mod attention;
mod budget;
mod canary;
mod check;
mod comparison;
mod cost;
mod detail;
mod health;
mod maintenance;
mod outcome;
mod pace;
mod question;
mod schedule;
mod schema;
mod settings;
mod vantage;

pub use crate::provider::{Anomaly, LimitKind, RateLimits, Usage};
pub use attention::{Attention, Attentions, Fund, attentions, merge};
pub use budget::{Ledger, Payer, Reservation, SpentSoFar};
pub use canary::{Canary, Sign};
pub use check::{Shortfall, verify};
pub use comparison::Comparison;
pub use cost::{cost, estimate, estimate_of};
pub use detail::Detail;
pub use health::Health;
#[cfg(test)]
pub(crate) use maintenance::tests::windows as planned_windows;
pub use maintenance::{Calendar, Maintenance, Planned, Window};
pub use outcome::{Outcome, Phases, SkipReason};
pub use pace::{Pace, PaceChange};
pub use question::Question;
pub use schedule::{Cadence, Due, Passed, Tally};
pub use schema::{SchemaError, validate_schema};
pub use settings::{Budget, Check, Connection, Delivery, Target, Thresholds, Timeouts};
pub use vantage::{Vantage, is_unreached};
