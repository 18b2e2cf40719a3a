//! Prometheus rules: rule files, groups, the alert state machine, templates.
//!
//! Pure: what a group says at a time follows from its file, its state and the samples it reads. The
//! same file loads in a real Prometheus and fires the same alerts; the differences that are meant
//! (what a `limit` does, early evaluations, labels that hold a value) stand with the code.

mod alert;
mod evaluation;
mod fields;
mod file;
mod group;
mod inheritance;
mod known;
pub mod lint;
mod no_data;
mod spec;
mod state;
mod status;
pub mod unit;
mod watches;

pub use alert::{Alert, AlertState};
pub use evaluation::{Context, RuleError, Transition};
pub use fields::Unknown;
pub use file::{Sourced, parse, parse_sourced};
pub use group::{Defaults, Evaluation, Group, RuleFailure};
pub use inheritance::OUTAGE_MAX;
pub use no_data::{NO_DATA, NoData};
pub use spec::{AlertingSpec, GroupSpec, RecordingSpec, RuleFile, RuleSpec};
pub use state::Holds;
pub use status::{Health, RuleKind, RuleStatus};
pub use watches::watches;
