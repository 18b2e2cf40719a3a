//! Gates: what has to hold for a stage of a release to pass, and what the counts say about it.
//!
//! A gate fails on evidence against the candidate, passes on evidence for it, and is inconclusive
//! otherwise: silence is not health. Failing is latched and wins over everything else. A block that
//! was lost, or whose counts cannot be what happened, is left out, and until the next one that can
//! be believed the gate is inconclusive. Both arms are read over the same blocks; where stable is as
//! bad as the candidate and the candidate is not shown to be worse, the cause is a common one, and
//! going back helps nobody.
//!
//! The chance that a healthy candidate is rolled back is shared out among the gates by their
//! weights. That of advancing a bad one is not: every gate has to pass, so the worst of them decides.

mod asked;
mod block;
mod cost;
mod counted;
mod expression;
mod gates;
mod settings;
mod standing;
mod tally;
#[cfg(test)]
mod tests;

pub use asked::{Answer, Counting};
pub use block::{Arms, Block, Reading};
pub use gates::{Gates, Ruling, Stakes, Unit};
pub use settings::{Bound, Comparison, Counter, Counters, Gate, Latency, Subject};
pub use standing::{Cause, Standing, Verdict};
pub use tally::{Arm, Seen, Tally};
