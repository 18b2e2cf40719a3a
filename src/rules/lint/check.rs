//! The kinds of remarks.

use std::fmt;

use crate::model::Mistake;

/// What is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// Two rules of a file have the same name and labels, so that one overwrites the other.
    DuplicateRules,
    /// A function for counters reads what is none.
    CounterFunctions,
    /// An alert for people looks at one moment and does not wait.
    MissingFor,
    /// A ratio or a quantile speaks however few samples it rests on.
    MinimumSamples,
    /// A metric of ours that does not exist.
    UnknownMetrics,
    /// A recorded series is read before it is recorded, or is recorded nowhere.
    RecordingOrder,
}

impl Check {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DuplicateRules,
        Self::CounterFunctions,
        Self::MissingFor,
        Self::MinimumSamples,
        Self::UnknownMetrics,
        Self::RecordingOrder,
    ];

    /// Its name on the command line; the first is promtool's.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DuplicateRules => "duplicate-rules",
            Self::CounterFunctions => "counter-functions",
            Self::MissingFor => "missing-for",
            Self::MinimumSamples => "minimum-samples",
            Self::UnknownMetrics => "unknown-metrics",
            Self::RecordingOrder => "recording-order",
        }
    }
}

/// Something to think about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where, what, and what to do about it.
    pub mistake: Mistake,
    /// Of which kind.
    pub check: Check,
}

/// `file:line:column: message (remedy) [check]`
impl fmt::Display for Remark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} [{}]", self.mistake, self.check.as_str())
    }
}
