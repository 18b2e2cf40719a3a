//! A share that is neither nothing nor all.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A number above 0 and below 1: an allowed share of bad outcomes, or the chance of an error.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Proportion(f64);

/// Why a number is no proportion.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[error("`{0}` is not above 0 and below 1")]
pub struct ProportionError(f64);

impl Proportion {
    /// Checks a number. At 0 or 1 nothing can be tested: the first outcome would decide.
    pub fn new(number: f64) -> Result<Self, ProportionError> {
        if number > 0.0 && number < 1.0 { Ok(Self(number)) } else { Err(ProportionError(number)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }

    /// What evidence has to reach where this is the chance of an error: `ln(1/α)`.
    pub fn threshold_ln(self) -> f64 {
        -self.0.ln()
    }

    /// A part of it, such as a gate's part of a stage's `α`; `None` unless `0 < part ≤ 1`.
    pub fn part(self, part: f64) -> Option<Self> {
        if part > 0.0 && part <= 1.0 { Self::new(self.0 * part).ok() } else { None }
    }
}

impl TryFrom<f64> for Proportion {
    type Error = ProportionError;
    fn try_from(number: f64) -> Result<Self, ProportionError> {
        Self::new(number)
    }
}

impl From<Proportion> for f64 {
    fn from(proportion: Proportion) -> Self {
        proportion.0
    }
}

impl fmt::Display for Proportion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowed_share_of_nothing_or_all_is_refused() {
        for wrong in [0.0, 1.0, -0.0, -0.1, 1.5, f64::NAN, f64::INFINITY] {
            assert!(Proportion::new(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Proportion::new(1.0).unwrap_err().to_string(), "`1` is not above 0 and below 1");
        assert!((Proportion::new(0.01).unwrap().threshold_ln() - 4.605170186).abs() < 1e-9);
        assert!((Proportion::new(0.05).unwrap().threshold_ln() - 2.995732274).abs() < 1e-9);
    }
}
