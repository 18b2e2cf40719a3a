//! A gate on the value of an expression.
//!
//! Nothing is known of how such a value scatters, so there is no chance of an error to state. It
//! fails after several blocks in a row outside; failures that are not in a row are forgotten, or a
//! long release would have to fail by chance. It passes while the last value is within.

use super::settings::Bound;
use super::standing::{Cause, Standing, Verdict};
use crate::statistics::Interval;

/// The state of such a gate.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Expression {
    pass: Bound,
    fail: Bound,
    failures_max: u32,
    failures: u32,
    has_failed: bool,
    value: Option<f64>,
}

impl Expression {
    /// Nothing is known yet.
    pub(super) fn new(pass: Bound, fail: Bound, failures_max: u32) -> Self {
        let failures_max = failures_max.max(1);
        Self { pass, fail, failures_max, failures: 0, has_failed: false, value: None }
    }

    /// Takes in a block's value. None, or NaN, is neither a failure nor an end to a run of them.
    pub(super) fn observe(&mut self, value: Option<f64>) {
        self.value = value.filter(|value| !value.is_nan());
        let Some(value) = self.value else { return };
        self.failures = if self.fail.holds(value) { self.failures.saturating_add(1) } else { 0 };
        self.has_failed |= self.failures >= self.failures_max;
    }

    /// What it says, but for the blocks that were left out.
    pub(super) fn verdict(&self) -> Verdict {
        match self.value {
            _ if self.has_failed => Verdict::Fail,
            Some(value) if self.pass.holds(value) => Verdict::Pass,
            Some(value) if self.fail.holds(value) => Verdict::Inconclusive(Cause::Braked),
            Some(_) => Verdict::Inconclusive(Cause::Between),
            None => Verdict::Inconclusive(Cause::NoData),
        }
    }

    /// How it stands, but for the blocks that were left out.
    pub(super) fn standing(&self, gate: &str) -> Standing {
        let verdict = self.verdict();
        Standing {
            gate: gate.to_owned(),
            verdict,
            passes_on_time: verdict == Verdict::Pass,
            bad: 0,
            finished: 0,
            bounds: Interval { lower: 0.0, upper: 1.0 },
            ln_bad: 0.0,
            ln_bad_threshold: 0.0,
            ln_good: None,
            ln_good_threshold: 0.0,
            needed_to_pass: None,
            needed_to_fail: Some(u64::from(self.failures_max.saturating_sub(self.failures))),
            value: self.value,
            rejected: 0,
            blocks: 0,
            is_common_cause: false,
        }
    }
}
