//! The engine: takes in what happened, decides what is to be done.
//!
//! Pure. It owns the sample store, the rule groups, the rollbacks and the grouping of notices, and
//! it is the only place where they meet. `handle` takes one event and the time and returns actions;
//! each action says everything needed to carry it out. It never waits, reads no clock and does no
//! I/O, so a recorded sequence of events replays to the same decisions.
//!
//! The order inside one event is fixed: samples are stored, then groups that are due are evaluated
//! in file order, then firing alerts are offered to the rollbacks, then notices are grouped. A
//! rollback therefore sees the state that the page shows.
//!
//! An early evaluation (see [`Event::Live`]) runs the groups that can cause a rollback over live
//! values laid over the store. It may start a rollback and nothing else: it resolves nothing, clears
//! nothing, and the next interval evaluation has the last word. Where it did start one, its values
//! are stored: otherwise a slot that comes before the next sample would find nothing, resolve the
//! incident, and the one after it would begin another.
//!
//! What must outlive the process is handed out as rows ([`Engine::take_rows`]) after each event, to be
//! written down in one go with the decisions and notices of that event.
//! Alerts that were judged elsewhere ([`Event::Inbound`]) are offered to the rollbacks as our own are,
//! and nothing else comes of them: they are in no series, no notice and no page of alerts.

mod aside;
mod early;
mod event;
mod groups;
mod held;
mod history;
mod memory;
mod outside;
mod outward;
mod past;
mod pulse;
mod releases;
mod settings;
mod slos;
mod snapshot;
mod step;
#[cfg(test)]
mod tests;

pub use aside::{Done, Job};
pub use event::{Action, Ended, Event, Happening, Order, What};
pub use groups::group_key;
pub use outside::{Post, RollbackRuling, Ruling};
pub use past::{Past, TURNS_MAX, Turn};
pub use releases::ReleaseStatus;
pub use settings::Settings;
pub use slos::{BudgetStatus, SloStatus};
pub use snapshot::{Bar, Evaluated, GroupStatus, RECENT_MAX, Snapshot, TargetStatus};
pub use step::Engine;
