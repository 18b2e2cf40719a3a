//! A gate as the configuration describes it.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::Money;
use crate::statistics::Proportion;

/// An entry of a release's `gates:`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Its name, once in a release.
    pub name: String,
    /// Its part of the chance of a wrong rollback, against that of the others; 1 by default.
    pub weight: u32,
    /// What it looks at.
    pub subject: Subject,
    /// Who counts, where that is neither the prober nor the router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counters: Option<Counters>,
}

/// Counters of traffic that somebody else carries: PromQL expressions of what only grows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// What came of the candidate.
    pub candidate: Counter,
    /// What came of stable.
    pub stable: Option<Counter>,
}

/// Two counters of one arm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counter {
    /// Bad outcomes, as the gate understands bad.
    pub bad: String,
    /// All that are finished.
    pub finished: String,
}

/// What a gate looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The share of outcomes that are bad.
    Errors {
        /// How large it may be.
        allowed: Proportion,
    },
    /// The share of outcomes that are later than a threshold, or bad. So "p99 within 2 s" is "1 %
    /// over 2 s"; what timed out is late too, or the slowest would be left out.
    Slow {
        /// Until when.
        latency: Latency,
        /// How long it may take.
        threshold: Duration,
        /// How large the share may be.
        allowed: Proportion,
    },
    /// The share of answers whose content fails its check.
    Content {
        /// How large it may be.
        allowed: Proportion,
    },
    /// Whether the candidate has more bad outcomes than stable at the same time.
    AgainstStable,
    /// What a request costs on average.
    Cost {
        /// How much it may.
        mean_max: Money,
        /// What no request costs more than; it bounds how much one can weigh.
        ceiling: Money,
    },
    /// The value of a PromQL expression.
    Expression {
        /// The expression.
        expr: String,
        /// Where it passes.
        pass: Bound,
        /// Where it fails. Between the two it is inconclusive.
        fail: Bound,
        /// How many blocks in a row have to fail, so that one odd value decides nothing.
        failures_in_a_row: u32,
    },
}

/// Until when a latency is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    /// The first token.
    Ttft,
    /// The end.
    Total,
    /// Each token after the first, on average.
    PerToken,
}

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub number: f64,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

impl Gate {
    /// The expressions that are evaluated for it at the end of a block, in order.
    pub fn questions(&self) -> Vec<&str> {
        match (&self.subject, &self.counters) {
            (Subject::Expression { expr, .. }, _) => vec![expr],
            (_, Some(counters)) => {
                let arms = [Some(&counters.candidate), counters.stable.as_ref()];
                let arms = arms.into_iter().flatten();
                arms.flat_map(|arm| [arm.bad.as_str(), arm.finished.as_str()]).collect()
            }
            (_, None) => Vec::new(),
        }
    }
}

impl Subject {
    /// The share of bad outcomes that it allows; `None` where it counts none.
    pub fn allowed(&self) -> Option<Proportion> {
        match self {
            Self::Errors { allowed } | Self::Slow { allowed, .. } | Self::Content { allowed } => {
                Some(*allowed)
            }
            Self::AgainstStable | Self::Cost { .. } | Self::Expression { .. } => None,
        }
    }

    /// Whether it is tested with a chance of an error; expressions are not.
    pub fn is_tested(&self) -> bool {
        match self {
            Self::Errors { .. }
            | Self::Slow { .. }
            | Self::Content { .. }
            | Self::AgainstStable
            | Self::Cost { .. } => true,
            Self::Expression { .. } => false,
        }
    }

    /// The word for it in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Errors { .. } => "errors",
            Self::Slow { latency: Latency::Ttft, .. } => "ttft",
            Self::Slow { latency: Latency::Total, .. } => "latency",
            Self::Slow { latency: Latency::PerToken, .. } => "time_per_token",
            Self::Content { .. } => "content",
            Self::AgainstStable => "against_stable",
            Self::Cost { .. } => "cost",
            Self::Expression { .. } => "expression",
        }
    }
}

impl Bound {
    /// Reads a comparison such as `< 0.5`; `None` for anything else, and for NaN.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (comparison, rest) = [
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ]
        .into_iter()
        .find_map(|(sign, comparison)| Some((comparison, text.strip_prefix(sign)?)))?;
        let number: f64 = rest.trim().parse().ok()?;
        number.is_finite().then_some(Self { comparison, number })
    }

    /// Whether a value is within it; NaN is within none.
    pub fn holds(self, value: f64) -> bool {
        match self.comparison {
            Comparison::Less => value < self.number,
            Comparison::LessOrEqual => value <= self.number,
            Comparison::Greater => value > self.number,
            Comparison::GreaterOrEqual => value >= self.number,
        }
    }

    /// Whether some value is within both.
    pub fn meets(self, other: Self) -> bool {
        let is_upper =
            |bound: Self| matches!(bound.comparison, Comparison::Less | Comparison::LessOrEqual);
        match (is_upper(self), is_upper(other)) {
            (true, true) | (false, false) => true,
            (true, false) => {
                other.number < self.number || (self.holds(other.number) && other.holds(self.number))
            }
            (false, true) => other.meets(self),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.comparison {
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        };
        write!(formatter, "{sign} {}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(text: &str) -> Bound {
        Bound::parse(text).unwrap()
    }

    #[test]
    fn bounds_are_read_as_they_are_written() {
        for text in ["< 0.5", "<= 3", "> -1", ">= 1000"] {
            assert_eq!(bound(text).to_string(), text);
        }
        assert_eq!(bound(" >=2 ").to_string(), ">= 2");
        for wrong in ["", "0.5", "== 1", "< ", "< x", "< NaN", "> inf", "< 1 2"] {
            assert_eq!(Bound::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nan_is_within_no_bound() {
        for text in ["< 1", "<= 1", "> 1", ">= 1"] {
            assert!(!bound(text).holds(f64::NAN), "{text}");
        }
    }

    #[test]
    fn bounds_meet_where_a_value_is_within_both() {
        for (one, other, expected) in [
            ("< 1", "> 1", false),
            ("<= 1", "> 1", false),
            ("<= 1", ">= 1", true),
            ("< 1", ">= 1", false),
            ("< 2", "> 1", true),
            ("< 1", "> 2", false),
            ("< 1", "< 2", true),
        ] {
            assert_eq!(bound(one).meets(bound(other)), expected, "{one}, {other}");
            assert_eq!(bound(other).meets(bound(one)), expected, "{other}, {one}");
        }
    }
}
