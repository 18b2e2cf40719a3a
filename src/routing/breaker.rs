//! Whether an arm is asked at all.
//!
//! An arm that failed ten times in a row, with no success between, is broken: the breaker opens, and
//! for a while nobody waits for it. Then one request tries it; its success closes the breaker, its
//! failure doubles the pause. A count in a row and no share was chosen, since an arm that still
//! serves one request in ten serves these better than nobody does: to judge shares is what gates of
//! releases are for. Only what the arm is to blame for counts: neither a client that went away nor a
//! request that was wrong, and no limit of our own key.

use std::time::Duration;

use crate::model::Timestamp;

/// In a healthy arm one request in a thousand fails; ten in a row are no chance.
const FAILURES_MAX: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// One arm's recent failures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breaker {
    failures: u32,
    /// Until when nobody asks; then one at a time does.
    opened_until: Option<Timestamp>,
}

impl Breaker {
    /// Whether a request may ask the arm; if not, after how long it is worth coming back. Whoever may
    /// while the breaker is open is the one that tries, and the next waits for another pause.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        let Some(until) = self.opened_until else { return Ok(()) };
        if now < until {
            return Err(until.since(now));
        }
        self.opened_until = Some(now + self.pause());
        Ok(())
    }

    /// Whether nobody asks at present.
    pub fn is_resting(&self, now: Timestamp) -> bool {
        self.opened_until.is_some_and(|until| now < until)
    }

    /// The arm answered well, or the request was to blame.
    pub fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// The arm failed.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_MAX {
            self.opened_until = Some(now + self.pause());
        }
    }

    /// Whether the arm is broken.
    pub fn is_open(&self) -> bool {
        self.opened_until.is_some()
    }

    fn pause(&self) -> Duration {
        let doublings = self.failures.saturating_sub(FAILURES_MAX).min(5);
        (PAUSE * (1 << doublings)).min(PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    fn open() -> Breaker {
        let mut breaker = Breaker::default();
        (0..10).for_each(|_| breaker.failed(at(0)));
        breaker
    }

    #[test]
    fn ten_failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::default();
        for _ in 0..9 {
            breaker.failed(at(0));
        }
        breaker.succeeded();
        for _ in 0..9 {
            breaker.failed(at(0));
        }
        assert!(!breaker.is_open() && breaker.admit(at(0)).is_ok());
        breaker.failed(at(0));
        assert_eq!(breaker.admit(at(400)), Err(Duration::from_millis(600)));
    }

    #[test]
    fn one_at_a_time_tries_an_open_one() {
        let mut breaker = open();
        assert_eq!(breaker.admit(at(1_000)), Ok(()));
        assert!(breaker.admit(at(1_001)).is_err());
        breaker.succeeded();
        assert_eq!(breaker.admit(at(1_002)), Ok(()));
        assert!(!breaker.is_open());
    }

    #[test]
    fn each_failed_trial_doubles_the_pause_up_to_half_a_minute() {
        let mut breaker = open();
        let mut now = 0;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert_eq!(breaker.admit(at(now)), Err(Duration::from_secs(seconds)));
            now += i64::try_from(seconds).unwrap() * 1_000;
            assert_eq!(breaker.admit(at(now)), Ok(()));
            breaker.failed(at(now));
        }
    }
}
