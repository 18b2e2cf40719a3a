//! When to ask again after a refusal, and which refusals are asked again at all.
//!
//! A limit on how often *our key* may ask (`rate`) says nothing of the provider, so its pair is asked
//! again, whole, once the wait is over: were only the refused half repeated, the two answers would come
//! from different moments. Nothing else is asked again. A provider without capacity (`capacity`) would
//! have failed a user too, so the pair counts as it is. Where what is allowed for the day (`quota`) or
//! the money (`credit`) is used up no wait helps, and the comparison ends.

use std::time::Duration;

use crate::provider::{ErrorType, LimitKind};

/// The wait where the provider names none, doubled by each further refusal.
const FIRST: Duration = Duration::from_secs(1);
/// Up to this.
const LONGEST: Duration = Duration::from_secs(60);
/// By how much of itself a wait is made longer by lot, so that lanes do not ask all at once.
const JITTER: f64 = 0.5;

/// What an answer means for the pair that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It counts, good or bad.
    Counts,
    /// The pair is asked again later.
    Again,
    /// Nothing more can be learned of this arm: waiting does not help.
    Ends,
}

/// Rules on an answer.
pub fn ruling(error_type: ErrorType, refused_by: Option<LimitKind>) -> Ruling {
    match (error_type, refused_by) {
        (ErrorType::RateLimited, _) => Ruling::Again,
        (_, Some(LimitKind::Quota | LimitKind::Credit)) | (ErrorType::QuotaExhausted, _) => {
            Ruling::Ends
        }
        // A key that is wrong or may not, or a model that is not there, stays so.
        (ErrorType::Http401 | ErrorType::Http403 | ErrorType::Http404 | ErrorType::Internal, _) => {
            Ruling::Ends
        }
        _ => Ruling::Counts,
    }
}

/// How long to wait after so many refusals in a row (from 1 on); never shorter than the provider asks.
/// `draw` is from 0 to 1.
pub fn wait(hint: Option<Duration>, refusals: u32, draw: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << refusals.saturating_sub(1).min(16));
    let least = hint.unwrap_or_default().max(doubled.min(LONGEST));
    least.mul_f64(1.0 + JITTER * draw.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_never_shorter_than_asked() {
        let s = Duration::from_secs;
        for (hint, refusals, draw, expected) in [
            (None, 1, 0.0, s(1)),
            (None, 3, 0.0, s(4)),
            (None, 3, 1.0, s(6)),
            (None, 40, 0.0, s(60)),
            (Some(s(20)), 1, 0.0, s(20)),
            (Some(s(20)), 1, 0.5, s(25)),
            (Some(s(600)), 9, 1.0, s(900)),
        ] {
            assert_eq!(wait(hint, refusals, draw), expected, "{hint:?} {refusals} {draw}");
        }
    }

    #[test]
    fn the_four_limits_are_told_apart() {
        for (error_type, limit, expected) in [
            (ErrorType::RateLimited, Some(LimitKind::Rate), Ruling::Again),
            (ErrorType::QuotaExhausted, Some(LimitKind::Quota), Ruling::Ends),
            (ErrorType::QuotaExhausted, Some(LimitKind::Credit), Ruling::Ends),
            (ErrorType::Overloaded, Some(LimitKind::Capacity), Ruling::Counts),
            (ErrorType::None, None, Ruling::Counts),
            (ErrorType::Http400, None, Ruling::Counts),
            (ErrorType::Http401, None, Ruling::Ends),
        ] {
            assert_eq!(ruling(error_type, limit), expected, "{error_type:?}");
        }
    }
}
