//! Releases: for now, when an alert may roll a candidate back.
//!
//! Pure: whoever asks passes the evidence and the time.

mod settings;

pub use settings::{Mode, Rollback};
