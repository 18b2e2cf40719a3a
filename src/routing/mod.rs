//! Where live requests go: routes, their arms, shares, and what came of each request.
//!
//! Pure: the router carries it out. A [`Table`] says which targets are stable and which candidate, and
//! what share of the requests the candidate takes; [`assign`] picks the arm of one request; [`retry`]
//! says whether a failed attempt is followed by another, and where; [`Breaker`], [`Standing`] and [`Budget`]
//! keep a broken arm, a broken target and a storm of retries from making things worse; [`Served`] is what a release learns,
//! and [`Batch`] how it learns it from routers that only follow; [`Chains`] remembers who made a
//! response, for those who continue it;
//! [`Mirror`] says what is copied to a target that is tried out, and [`likeness`] how its answers compare.

mod settings;
mod share;
mod table;

mod assign;
mod chains;
mod peek;
mod surface;

mod breaker;
mod budget;
mod retry;
mod standing;

mod refusal;
mod report;
mod served;

mod likeness;
mod mirror;

pub use assign::{Arm, Asking, Assignment, Reason, assign, assignment_key};
pub use breaker::Breaker;
pub use budget::Budget;
pub use chains::Chains;
pub use likeness::{Check, Likeness, Measure, Pairing, Reply, Verdict, likeness};
pub use mirror::{Mirror, Uncopied, may_copy, tokens_max};
pub use peek::{Named, NotReadable, Peek, peek};
pub use refusal::Refusal;
pub use report::{AGE_MAX, BATCH_MAX, Batch, Receipt, Told};
pub use retry::{Failure, Next, Place, Wait, is_cheap, is_of_the_target, retry};
pub use served::{Served, class};
pub use settings::{
    Admission, Credentials, KeySource, Pin, Retries, Route, Settings, TIMEOUTS, Tell,
};
pub use share::{Share, ShareError};
pub use standing::Standing;
pub use surface::{Surface, Way, decoder, path, way};
pub use table::{Arms, Split, Table, TableError};
