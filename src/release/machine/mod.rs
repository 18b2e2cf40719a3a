//! A release on its way from stable to candidate: one state, one step.
//!
//! A stage passes on evidence (its floor is over and every gate passes) or on time (its hold is over,
//! outcomes enough, within every limit, no evidence against the candidate); the record says which.
//! Neither by its deadline: it pauses, and people are told. Whatever is inconclusive holds, and no
//! wait ends in an advance by itself.
//!
//! Trouble is looked for in every state that has traffic on the candidate: running, paused, frozen,
//! and after the last stage until the bake is over. Counts begin anew with each stage, since faults
//! depend on load; beside them the whole release is tested, slower, over the stages up to half of the
//! traffic. Maintenance of a provider is left out of the evidence, and holds.
//!
//! A failed gate rolls back unless stable is bad too, what was seen cannot be trusted, or the day has
//! had as many as it may; then it is held, and people are told. An alert for which going back was
//! begun (its rollback asked the same) and an operator's word are followed always. Going back is asked for at every step until its outcome is known, with
//! the same key, so that a crash between two steps loses nothing.
//!
//! A stage counts from when its traffic is acknowledged; until then it is asked for at every step. A
//! stage above some share wants a rollback that was rehearsed, and may want a second person.
//!
//! The plan is sealed when a release starts. Another needs a higher generation, and one that was
//! rolled back does not start again by itself.

mod action;
mod advance;
mod evidence;
mod forecast;
mod plan;
mod state;
mod step;
#[cfg(test)]
mod tests;

pub use action::{Action, Basis, Hold, Notice, Report, Urgency, gate_json};
pub use evidence::{Command, Evidence, Moved, Outcome};
pub use forecast::{Forecast, Rates, StageForecast, forecast};
pub use plan::{AdvanceOn, Plan, PlanError, Sealed, Stage};
pub use state::{PausedBy, Run, State, Told, Trigger};
