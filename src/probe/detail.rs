//! How much is told of each target, where there are many.

/// Which series a target has. What each level leaves out stands in `telemetry::metrics`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// What rules of availability and latency need: results as good, bad and excluded, and a few bounds
    /// beside the thresholds.
    Minimal,
    /// Everything but the phases of an exchange and the gaps between its pieces.
    Lean,
    /// Everything.
    #[default]
    Full,
}

impl Detail {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 3] = [Self::Minimal, Self::Lean, Self::Full];

    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Lean => "lean",
            Self::Full => "full",
        }
    }
}
