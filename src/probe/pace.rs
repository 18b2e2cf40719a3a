//! How a target is spared whose limit is used up.
//!
//! A probe repeats nothing, and a key that is refused for asking too often must not be asked on as if
//! nothing had been said: it may be production's own. So after such an answer due probes are skipped,
//! and counted, until the wait is over that the provider hinted at, or at least two intervals,
//! twice as many after each further refusal in a row, up to a quarter of an hour. A hint holds up to
//! an hour. The first answer that is no such refusal ends it: the target is at its cadence again.
//!
//! A spent quota is spared too, though waiting may not help: asking tells nothing new. A provider
//! without capacity is not: that is its failure, and what probes are there to see.

use std::time::Duration;

use super::outcome::Outcome;
use crate::model::Timestamp;
use crate::provider::ErrorType;

/// Without a hint nobody waits longer than this: a limit that was raised must be noticed.
const WAIT_MAX: Duration = Duration::from_secs(15 * 60);

/// A hint may be a day; for probing, that is blindness.
const HINT_MAX: Duration = Duration::from_secs(60 * 60);

/// How one target is spared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// Refusals in a row.
    refusals: u32,
    until: Timestamp,
}

/// What an outcome changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceChange {
    /// The target is spared from now on.
    Slowed,
    /// The target is at its cadence again.
    Recovered,
}

impl Pace {
    /// Whether a probe that is due now is to be skipped.
    pub fn spares(&self, now: Timestamp) -> bool {
        self.refusals > 0 && now < self.until
    }

    /// Whether the last answer was a refusal.
    pub fn is_slowed(&self) -> bool {
        self.refusals > 0
    }

    /// Until when due probes are skipped, while they are.
    pub fn until(&self) -> Option<Timestamp> {
        self.is_slowed().then_some(self.until)
    }

    /// Takes in what came of a probe. An exchange without an answer changes nothing.
    pub fn hear(&mut self, outcome: &Outcome, interval: Duration) -> Option<PaceChange> {
        let was_slowed = self.is_slowed();
        if matches!(outcome.error_type, ErrorType::RateLimited | ErrorType::QuotaExhausted) {
            self.refusals = self.refusals.saturating_add(1);
            // Half an interval less, so that the due time at its end is not skipped for a hair.
            let steps = 1_u32 << self.refusals.min(16);
            let usual = (interval.saturating_mul(steps) - interval / 2).min(WAIT_MAX);
            let hint = outcome.rate_limits.retry_after.unwrap_or_default().min(HINT_MAX);
            let until = outcome.finished + usual.max(hint);
            // Of two refusals of probes that overlap the later end holds.
            self.until = self.until.max(until);
            return (!was_slowed).then_some(PaceChange::Slowed);
        }
        outcome.status?;
        *self = Self::default();
        was_slowed.then_some(PaceChange::Recovered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TargetId;
    use crate::probe::{Phases, RateLimits};
    use crate::provider::SloClass;

    const MINUTE: Duration = Duration::from_secs(60);

    fn outcome(at_s: i64, error_type: ErrorType, hint_s: Option<u64>) -> Outcome {
        let is_answered = !matches!(error_type, ErrorType::Connect);
        Outcome {
            target: TargetId::new("t"),
            sequence: 0,
            due: Timestamp::default(),
            finished: Timestamp::from_millis(at_s * 1000),
            lateness: Duration::ZERO,
            error_type,
            class: SloClass::Excluded,
            detail: String::new(),
            broke: None,
            phases: Phases::default(),
            ttft: None,
            ttfo: None,
            time_per_output_token: None,
            gaps: Vec::new(),
            total: Duration::ZERO,
            status: is_answered.then_some(429),
            usage: None,
            cost: None,
            anomalies: Vec::new(),
            rate_limits: RateLimits {
                retry_after: hint_s.map(Duration::from_secs),
                ..RateLimits::default()
            },
            certificate_expires: None,
            request_id: None,
            is_cold: false,
            is_conclusive: true,
            is_planned: false,
        }
    }

    /// Hears outcomes at a minute's cadence; says until which second each leads.
    fn heard(outcomes: &[(i64, ErrorType, Option<u64>)]) -> Vec<Option<i64>> {
        let mut pace = Pace::default();
        let step = |(at, error_type, hint): &(i64, ErrorType, Option<u64>)| {
            pace.hear(&outcome(*at, *error_type, *hint), MINUTE);
            pace.until().map(|until| until.millis() / 1000)
        };
        outcomes.iter().map(step).collect()
    }

    #[test]
    fn refusals_in_a_row_double_the_wait_up_to_a_quarter_of_an_hour() {
        use ErrorType::RateLimited;
        // 2, 4, 8 and 16 minutes less half a minute; the last is cut to 15 minutes.
        let found = heard(&[
            (0, RateLimited, None),
            (120, RateLimited, None),
            (360, RateLimited, None),
            (840, RateLimited, None),
        ]);
        assert_eq!(found, [Some(90), Some(120 + 210), Some(360 + 450), Some(840 + 900)]);
    }

    #[test]
    fn a_hint_lengthens_the_wait_and_never_shortens_it() {
        use ErrorType::RateLimited;
        assert_eq!(heard(&[(0, RateLimited, Some(5))]), [Some(90)]);
        assert_eq!(heard(&[(0, RateLimited, Some(600))]), [Some(600)]);
        assert_eq!(heard(&[(0, RateLimited, Some(86_400))]), [Some(3600)]);
    }

    #[test]
    fn the_first_answer_that_is_no_refusal_ends_it() {
        use ErrorType::{Connect, None as Good, Overloaded, QuotaExhausted, ServerError};
        assert_eq!(heard(&[(0, QuotaExhausted, None), (90, Good, None)]), [Some(90), None]);
        assert_eq!(heard(&[(0, QuotaExhausted, None), (90, ServerError, None)]), [Some(90), None]);
        // Nobody answered, so nobody said that the limit is free again.
        assert_eq!(heard(&[(0, QuotaExhausted, None), (90, Connect, None)]), [Some(90), Some(90)]);
        assert_eq!(heard(&[(0, Overloaded, Some(600))]), [None]);
    }

    #[test]
    fn each_change_is_told_once() {
        let mut pace = Pace::default();
        let mut hear = |at, error_type| pace.hear(&outcome(at, error_type, None), MINUTE);
        assert_eq!(hear(0, ErrorType::RateLimited), Some(PaceChange::Slowed));
        assert_eq!(hear(90, ErrorType::RateLimited), None);
        assert_eq!(hear(300, ErrorType::None), Some(PaceChange::Recovered));
        assert_eq!(hear(360, ErrorType::None), None);
        pace.hear(&outcome(0, ErrorType::RateLimited, None), MINUTE);
        let at = |second: i64| Timestamp::from_millis(second * 1000);
        assert!(pace.spares(at(89)) && !pace.spares(at(90)));
    }

    #[test]
    fn extremes_do_not_panic() {
        let mut pace = Pace::default();
        for interval in [Duration::ZERO, Duration::MAX] {
            for _ in 0..100 {
                pace.hear(&outcome(0, ErrorType::RateLimited, Some(u64::MAX)), interval);
            }
        }
        assert_eq!(pace.until(), Some(Timestamp::from_millis(3_600_000)));
    }
}
