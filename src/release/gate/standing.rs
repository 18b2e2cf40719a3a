//! How a gate stands: its verdict and the numbers that it rests on.

use std::fmt;

use crate::statistics::Interval;

/// What a gate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The evidence for the candidate suffices.
    Pass,
    /// The evidence against it did at some time.
    Fail,
    /// Neither.
    Inconclusive(Cause),
}

/// Why a gate says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There was no outcome at all.
    NoData,
    /// There were fewer outcomes than the stage asks for.
    TooFew,
    /// The evidence suffices neither way.
    Undecided,
    /// The evidence against the candidate is considerable, though it does not suffice.
    Braked,
    /// The last block was lost or cannot be what happened.
    Rejected,
    /// More than one block of twenty was.
    ManyRejected,
    /// The value is between where it passes and where it fails, or there is none.
    Between,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive(_) => "inconclusive",
        }
    }
}

impl Cause {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoData => "no_data",
            Self::TooFew => "too_few",
            Self::Undecided => "undecided",
            Self::Braked => "braked",
            Self::Rejected => "rejected",
            Self::ManyRejected => "many_rejected",
            Self::Between => "between",
        }
    }
}

/// How a gate stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its name.
    pub gate: String,
    /// What it says.
    pub verdict: Verdict,
    /// Whether it lets the stage pass once its time is over: enough outcomes, within the limit, and
    /// no evidence against the candidate.
    pub passes_on_time: bool,
    /// How many outcomes of the candidate were bad; for costs and expressions none.
    pub bad: u64,
    /// Of how many.
    pub finished: u64,
    /// The bounds of the share of bad ones, at every look together, with a chance of 5 % to err.
    pub bounds: Interval,
    /// The evidence against the candidate, as a logarithm.
    pub ln_bad: f64,
    /// What it has to reach.
    pub ln_bad_threshold: f64,
    /// The evidence for it; `None` where nothing is proved.
    pub ln_good: Option<f64>,
    /// What that has to reach.
    pub ln_good_threshold: f64,
    /// How many more outcomes, or blocks for costs, pass it at the soonest.
    pub needed_to_pass: Option<u64>,
    /// How many more bad outcomes of probes, or blocks of traffic, fail it at the soonest.
    pub needed_to_fail: Option<u64>,
    /// The mean cost in dollars, or the value of the expression.
    pub value: Option<f64>,
    /// Blocks that were left out.
    pub rejected: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Whether stable is as bad, so that the candidate may not be the cause.
    pub is_common_cause: bool,
}

/// Beyond a million nobody reads digits.
fn odds(evidence: f64) -> String {
    if evidence < 1e6 { format!("{evidence:.3}") } else { format!("{evidence:.0e}") }
}

/// One line: `errors: inconclusive, undecided; 3 of 300 bad (0.05 % to 4.46 %), …`.
impl fmt::Display for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.gate, self.verdict.as_str())?;
        if let Verdict::Inconclusive(cause) = self.verdict {
            write!(formatter, ", {}", cause.as_str())?;
        }
        if self.is_common_cause {
            formatter.write_str(", common cause")?;
        }
        if let Some(value) = self.value {
            write!(formatter, "; value {value}")?;
        }
        if self.finished > 0 {
            let [lower, upper] = [self.bounds.lower, self.bounds.upper].map(|bound| 100.0 * bound);
            write!(formatter, "; {} of {} bad ({lower:.2} % ", self.bad, self.finished)?;
            write!(formatter, "to {upper:.2} %)")?;
        }
        if self.ln_bad_threshold > 0.0 {
            let [bad, threshold] = [self.ln_bad, self.ln_bad_threshold].map(f64::exp);
            write!(formatter, "; evidence against {} of {threshold:.0}", odds(bad))?;
        }
        if let Some(good) = self.ln_good {
            let [good, threshold] = [good, self.ln_good_threshold].map(f64::exp);
            write!(formatter, ", for {} of {threshold:.0}", odds(good))?;
        }
        let needed = self.needed_to_pass.filter(|needed| *needed > 0);
        if let Some(needed) = needed.filter(|_| self.verdict != Verdict::Fail) {
            write!(formatter, "; passes after {needed} more at the soonest")?;
        }
        if self.rejected > 0 {
            write!(formatter, "; {} of {} blocks left out", self.rejected, self.blocks)?;
        }
        Ok(())
    }
}
