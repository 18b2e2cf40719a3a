//! Releases: what gates say about a candidate, when an alert may roll it back, and how a rollback's
//! plan is carried out.
//!
//! Pure: whoever asks passes the evidence and the time.

mod decision;
mod executor;
#[cfg(test)]
mod executor_laws;
pub mod gate;
#[cfg(test)]
mod laws;
pub mod machine;
mod message;
mod plan;
mod record;
mod rollbacks;
mod run;
mod settings;
mod stable;

pub use decision::{Decision, Doubt, Record, Report, Verdict};
pub use executor::{Course, RunAction, RunEvent, TryOutcome};
pub use message::{BODY_BYTES_MAX, operator_body, share_body, step_body};
pub use plan::{DEADLINE_DEFAULT, Effect, OnError, Plan, STEPS_MAX, Step};
pub use record::{Difference, Shift, Split, Tick, mark, played_again};
pub use rollbacks::{Evidence, INCIDENTS_MAX, Rollbacks};
pub use run::{LogEntry, OUTPUT_MAX, Run, RunEnd, RunMode, StepResult, What};
pub use settings::{
    Datasource, Does, Drilled, Mode, Probing, Question, Release, Rollback, SHARE, Traffic,
};
pub use stable::{Health, Recent, StableTarget};
