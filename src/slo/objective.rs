//! The share of events that must be good.
//!
//! Kept as a whole number, so that what is allowed to fail is written into rules as `0.001` and not
//! as the 0.0009999999999999432 that subtracting floats makes of it.

use std::fmt;

/// Millionths of a percent in the whole.
const WHOLE: u64 = 100_000_000;
const DECIMALS: usize = 6;

/// A percentage between 0 and 100, neither included, with at most six decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Objective(u64);

/// Why a text is not an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ObjectiveError {
    /// Not a decimal number.
    #[error("which is not a percentage")]
    Malformed,
    /// More decimals than are kept.
    #[error("which has more than six decimals")]
    TooFine,
    /// 0 % or less, 100 % or more.
    #[error("where more than 0 and less than 100 percent is due")]
    OutOfRange,
}

impl Objective {
    /// Reads a percentage such as `99.9`.
    pub fn parse(text: &str) -> Result<Self, ObjectiveError> {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_digit());
        if !is_digits(whole) || !is_digits(decimals) {
            let is_negative =
                text.strip_prefix('-').is_some_and(|rest| rest.parse::<f64>().is_ok());
            return Err(if is_negative {
                ObjectiveError::OutOfRange
            } else {
                ObjectiveError::Malformed
            });
        }
        let decimals = decimals.trim_end_matches('0');
        if decimals.len() > DECIMALS {
            return Err(ObjectiveError::TooFine);
        }
        let millionths = format!("{whole}{decimals:0<DECIMALS$}").parse().unwrap_or(u64::MAX);
        if (1..WHOLE).contains(&millionths) {
            Ok(Self(millionths))
        } else {
            Err(ObjectiveError::OutOfRange)
        }
    }

    /// The share that must be good, from 0 to 1.
    pub fn ratio(self) -> f64 {
        self.0 as f64 / WHOLE as f64
    }

    /// The share that may fail, from 0 to 1.
    pub fn allowed(self) -> f64 {
        (WHOLE - self.0) as f64 / WHOLE as f64
    }

    /// [`Self::ratio`] as it is written in rules.
    pub(super) fn ratio_text(self) -> String {
        fraction(self.0)
    }

    /// [`Self::allowed`] as it is written in rules.
    pub(super) fn allowed_text(self) -> String {
        fraction(WHOLE - self.0)
    }
}

/// `99.9%`
impl fmt::Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let decimals = format!("{rest:06}");
        match decimals.trim_end_matches('0') {
            "" => write!(formatter, "{whole}%"),
            decimals => write!(formatter, "{whole}.{decimals}%"),
        }
    }
}

fn fraction(parts: u64) -> String {
    format!("0.{parts:08}").trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_objective_is_read_and_written_without_a_float_between() {
        for (text, shown, ratio, allowed) in [
            ("99.9", "99.9%", "0.999", "0.001"),
            ("99", "99%", "0.99", "0.01"),
            ("99.50", "99.5%", "0.995", "0.005"),
            ("99.999999", "99.999999%", "0.99999999", "0.00000001"),
            ("50", "50%", "0.5", "0.5"),
            ("0.5", "0.5%", "0.005", "0.995"),
        ] {
            let objective = Objective::parse(text).unwrap();
            let written = (objective.ratio_text(), objective.allowed_text());
            assert_eq!(objective.to_string(), shown);
            assert_eq!(written, (ratio.to_owned(), allowed.to_owned()), "{text}");
            assert_eq!(objective.allowed(), allowed.parse::<f64>().unwrap(), "{text}");
        }
    }

    #[test]
    fn what_leaves_no_budget_or_asks_for_nothing_is_refused() {
        for (text, error) in [
            ("100", ObjectiveError::OutOfRange),
            ("0", ObjectiveError::OutOfRange),
            ("-1", ObjectiveError::OutOfRange),
            ("99999999999999999999", ObjectiveError::OutOfRange),
            ("99.9999999", ObjectiveError::TooFine),
            ("99.9%", ObjectiveError::Malformed),
            ("99.", ObjectiveError::Malformed),
            (".9", ObjectiveError::Malformed),
            ("high", ObjectiveError::Malformed),
            ("1e1", ObjectiveError::Malformed),
            ("", ObjectiveError::Malformed),
        ] {
            assert_eq!(Objective::parse(text), Err(error), "{text}");
        }
    }
}
