//! What the simulator has done so far.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts since the start; a new script does not reset them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Questions: every POST to one of the two dialects' paths.
    pub requests: u64,
    /// How many of them were answered slowly on purpose.
    pub slow: u64,
    /// The questions by what was planned for them: `healthy`, a fault (`http_503`, `reset`), or a
    /// refusal that the asker earned (`unauthorized`, `unknown_model`, `bad_request`). They add up to
    /// the requests.
    pub by_fault: BTreeMap<String, u64>,
}

impl Stats {
    pub(super) fn count(&mut self, planned_as: &str) {
        self.requests += 1;
        *self.by_fault.entry(planned_as.to_owned()).or_default() += 1;
    }
}
