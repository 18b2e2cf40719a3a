//! What an answer's status and headers say.

use std::fmt;

use crate::model::Timestamp;

/// The start of an answer.
pub struct Head<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The value of a header by its lower-case name.
    pub headers: &'a dyn Fn(&str) -> Option<String>,
    /// When it came: dates in headers are held against it.
    pub now: Timestamp,
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Head({} at {})", self.status, self.now)
    }
}
