//! What a query says beside its result: the result stands, but somebody should look.

use std::fmt;

/// How serious an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Something is off; parts of the result may be missing.
    Warning,
    /// The expression may not mean what its author thinks.
    Info,
}

/// One remark and the part of the expression that it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Annotation {
    /// How serious it is.
    pub severity: Severity,
    /// What is remarked, in Prometheus's words.
    pub message: String,
    /// The line of the part it is about, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// As Prometheus's HTTP API lists it: `PromQL warning: … (1:5)`.
impl fmt::Display for Annotation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Info => "info",
        };
        write!(formatter, "PromQL {severity}: {} ({}:{})", self.message, self.line, self.column)
    }
}
