//! Whether and when a delivery is tried again.
//!
//! A 2xx is the end. What the receiver will say again is final: a redirect, which is not followed,
//! and every 4xx but 408 (it waited too long for us) and 429 (not now). Everything else, a broken
//! connection or a 5xx, is tried again after a pause that doubles. Chance only ever lengthens a
//! pause, so that a thousand senders who failed together come back apart and none comes back
//! sooner than the receiver asked.
//!
//! A rollback is urgent and has a deadline: it is tried fast and often, and where `Retry-After`
//! would let the deadline pass, the deadline wins.

use std::fmt;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;

use crate::model::{Timestamp, format_duration};

/// How hard a delivery is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Up to 30 times in at most 24 hours, attempts at a receiver that takes nothing at all left
    /// out (see [`super::Circuit`]).
    Notice,
    /// Fast tries inside 25 seconds.
    Rollback,
    /// Once: whoever asked sends the current state again soon anyway.
    Once,
}

/// The most attempts at one notice that a receiver which takes others does not take; with pauses of
/// up to a minute that is over 20 minutes.
pub(super) const ATTEMPTS_MAX: u32 = 30;

impl Policy {
    /// From the decision on, how long it is worth trying at all.
    pub fn window(self) -> Duration {
        match self {
            Self::Notice | Self::Once => Duration::from_secs(24 * 3600),
            // The webhook's share of the 60 s in which a rollback is to be verified.
            Self::Rollback => Duration::from_secs(25),
        }
    }

    /// The longest that one attempt may take, whatever the configuration says.
    pub fn attempt_max(self) -> Duration {
        match self {
            Self::Notice | Self::Once => Duration::MAX,
            Self::Rollback => Duration::from_secs(5),
        }
    }

    /// The longest pause that grows by doubling.
    fn pause_max(self) -> Duration {
        match self {
            Self::Notice | Self::Once => Duration::from_secs(60),
            Self::Rollback => Duration::from_secs(3),
        }
    }
}

/// What came of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// No answer: no connection, a broken one, or none in time.
    Transport,
    /// An answer.
    Status {
        /// Its status.
        code: u16,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// An answer whose status is a success, and whose text says that it is none.
    Denied {
        /// Its status.
        code: u16,
    },
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Nothing: it was delivered.
    Done,
    /// Nothing: it never will be.
    GiveUp(GiveUp),
    /// Try again after this long.
    After(Duration),
}

/// Why a delivery is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GiveUp {
    /// The receiver will say the same again.
    Refused(u16),
    /// It points elsewhere, and a signed message is not carried elsewhere.
    Redirected(u16),
    /// This many attempts failed.
    Attempts(u32),
    /// The next attempt would come too long after the decision.
    TooLate(Duration),
}

/// In words, true after "given up: ".
impl fmt::Display for GiveUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(formatter, "refused with status {code}"),
            Self::Redirected(code) => {
                write!(formatter, "status {code} points elsewhere, and redirects are not followed")
            }
            Self::Attempts(1) => formatter.write_str("the attempt failed"),
            Self::Attempts(count) => write!(formatter, "{count} attempts failed"),
            Self::TooLate(window) => {
                write!(formatter, "no success within {}", format_duration(*window))
            }
        }
    }
}

/// Whether an attempt failed in a way that may pass: no answer, 408, 429 or a 5xx.
pub(super) fn is_failure(attempt: Attempt) -> bool {
    match attempt {
        Attempt::Transport => true,
        Attempt::Denied { .. } => false,
        Attempt::Status { code, .. } => !matches!(code, 200..=407 | 409..=428 | 430..=499),
    }
}

/// Decides after an attempt. `attempt` counts from 1, `elapsed` runs from the decision to deliver,
/// `drawn` is uniform between 0 and 1.
pub fn next_attempt(
    policy: Policy,
    attempt: u32,
    elapsed: Duration,
    outcome: Attempt,
    drawn: f64,
) -> Retry {
    let asked = match outcome {
        Attempt::Status { code: 200..=299, .. } => return Retry::Done,
        Attempt::Status { code: code @ 300..=399, .. } => {
            return Retry::GiveUp(GiveUp::Redirected(code));
        }
        Attempt::Status { code: code @ 400..=499, .. } if !matches!(code, 408 | 429) => {
            return Retry::GiveUp(GiveUp::Refused(code));
        }
        Attempt::Denied { code } => return Retry::GiveUp(GiveUp::Refused(code)),
        Attempt::Status { retry_after, .. } => retry_after,
        Attempt::Transport => None,
    };
    let attempts_max = match policy {
        Policy::Notice => ATTEMPTS_MAX,
        Policy::Once => 1,
        // Its window ends it; the count only bounds an answer that comes in no time.
        Policy::Rollback => 50,
    };
    if attempt >= attempts_max {
        return Retry::GiveUp(GiveUp::Attempts(attempt));
    }
    let drawn = if drawn.is_finite() { drawn.clamp(0.0, 1.0) } else { 0.0 };
    let doubled = Duration::from_millis(500)
        .saturating_mul(1 << attempt.saturating_sub(1).min(16))
        .min(policy.pause_max());
    let own = doubled + doubled.div_f64(2.0).mul_f64(drawn);
    let pause = match asked {
        // Half a second at least, so that two senders told "3" do not both return at 3.000.
        Some(asked) if asked >= doubled => {
            let spread = Duration::from_millis(500).max(asked / 10);
            asked.saturating_add(spread.mul_f64(drawn))
        }
        Some(_) | None => own,
    };
    let is_in_time = |pause: Duration| elapsed.saturating_add(pause) < policy.window();
    match policy {
        Policy::Rollback if !is_in_time(pause) && is_in_time(own) => Retry::After(own),
        _ if is_in_time(pause) => Retry::After(pause),
        _ => Retry::GiveUp(GiveUp::TooLate(policy.window())),
    }
}

/// Reads `Retry-After`: seconds, or a date. Anything else is as if it were absent.
pub fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(366 * 24 * 3600)));
    }
    let at = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()).since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Attempt {
        Attempt::Status { code, retry_after: None }
    }

    fn asks(code: u16, seconds: u64) -> Attempt {
        Attempt::Status { code, retry_after: Some(Duration::from_secs(seconds)) }
    }

    #[test]
    fn only_what_may_change_is_tried_again() {
        for (outcome, expected) in [
            (status(200), Retry::Done),
            (status(204), Retry::Done),
            (status(301), Retry::GiveUp(GiveUp::Redirected(301))),
            (status(400), Retry::GiveUp(GiveUp::Refused(400))),
            (asks(404, 1), Retry::GiveUp(GiveUp::Refused(404))),
            (status(410), Retry::GiveUp(GiveUp::Refused(410))),
            (status(408), Retry::After(Duration::from_millis(500))),
            (status(429), Retry::After(Duration::from_millis(500))),
            (status(500), Retry::After(Duration::from_millis(500))),
            (status(503), Retry::After(Duration::from_millis(500))),
            (Attempt::Transport, Retry::After(Duration::from_millis(500))),
        ] {
            assert_eq!(next_attempt(Policy::Notice, 1, Duration::ZERO, outcome, 0.0), expected);
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_chance_only_lengthens_them() {
        let check = |policy, attempt, drawn, millis| {
            let retry = next_attempt(policy, attempt, Duration::ZERO, Attempt::Transport, drawn);
            assert_eq!(retry, Retry::After(Duration::from_millis(millis)), "{policy:?} {attempt}");
        };
        for (attempt, millis) in [(1, 500), (2, 1000), (3, 2000), (7, 32_000), (8, 60_000)] {
            check(Policy::Notice, attempt, 0.0, millis);
            check(Policy::Notice, attempt, 1.0, millis + millis / 2);
        }
        for (attempt, millis) in [(1, 500), (2, 1000), (3, 2000), (4, 3000), (9, 3000)] {
            check(Policy::Rollback, attempt, 0.0, millis);
        }
        check(Policy::Notice, 29, 0.0, 60_000);
        check(Policy::Notice, 1, f64::NAN, 500);
        check(Policy::Notice, 1, 7.0, 750);
    }

    #[test]
    fn nobody_comes_back_sooner_than_asked() {
        for (attempt, asked, drawn, millis) in [
            (1, 3, 0.0, 3000),
            (1, 3, 1.0, 3500),
            (1, 120, 1.0, 132_000),
            // Asked for less than it would have waited by itself.
            (4, 1, 0.0, 4000),
            (1, 0, 0.0, 500),
        ] {
            let outcome = asks(429, asked);
            let retry = next_attempt(Policy::Notice, attempt, Duration::ZERO, outcome, drawn);
            assert_eq!(retry, Retry::After(Duration::from_millis(millis)), "{attempt} {asked}");
        }
    }

    #[test]
    fn every_policy_comes_to_an_end() {
        let hours = Duration::from_secs(24 * 3600);
        let check = |policy, attempt, elapsed, outcome, expected| {
            assert_eq!(next_attempt(policy, attempt, elapsed, outcome, 0.0), expected);
        };
        let too_late = |window| Retry::GiveUp(GiveUp::TooLate(window));
        let attempts = |count| Retry::GiveUp(GiveUp::Attempts(count));
        check(Policy::Notice, 30, Duration::ZERO, status(500), attempts(30));
        check(Policy::Notice, 2, hours, status(500), too_late(hours));
        check(Policy::Notice, 1, Duration::ZERO, asks(503, 90_000), too_late(hours));
        check(Policy::Once, 1, Duration::ZERO, status(500), attempts(1));
        let window = Duration::from_secs(25);
        check(Policy::Rollback, 8, Duration::from_secs(22), status(500), too_late(window));
        check(
            Policy::Rollback,
            8,
            Duration::from_secs(21),
            status(500),
            Retry::After(Duration::from_secs(3)),
        );
    }

    #[test]
    fn a_rollback_does_not_wait_beyond_its_deadline_because_it_was_asked_to() {
        let retry =
            |seconds| next_attempt(Policy::Rollback, 1, Duration::ZERO, asks(429, seconds), 0.0);
        assert_eq!(retry(5), Retry::After(Duration::from_secs(5)));
        assert_eq!(retry(60), Retry::After(Duration::from_millis(500)));
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        // RFC 9110's own example of a date, one minute earlier.
        let now = Timestamp::from_millis(784_111_717_000);
        for (text, expected) in [
            ("3", Some(3)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(60)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(parse_retry_after(text, now), expected.map(Duration::from_secs), "{text}");
        }
    }
}
