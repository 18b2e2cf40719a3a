//! Whether a failed attempt is followed by another, where, and after how long.
//!
//! Only before the first byte of an answer has gone to the client; whoever asks sees to that. What
//! the client is to blame for is never tried again. What a provider asks to wait for is waited for,
//! with chance on top and never below, so that a thousand clients who were told the same come back
//! apart and none too early; where it asks for longer than a client would wait, the client is told.
//! A broken target gives way to the next one of its arm at once, and a candidate to stable: users
//! need not suffer for what is being tried out, and the failure is evidence all the same.

use std::time::Duration;

use super::{Arm, Retries};
use crate::provider::ErrorType;

/// An attempt that failed before its first byte went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What came of it.
    pub error_type: ErrorType,
    /// How long the provider asks to be left alone.
    pub retry_after: Option<Duration>,
    /// Which arm was asked.
    pub arm: Arm,
    /// How many attempts there were, this one included.
    pub attempts: u32,
    /// Whether the arm has a target that was not asked yet.
    pub has_another: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The client hears of it.
    GiveUp,
    /// Another attempt.
    Again {
        /// Where.
        place: Place,
        /// When.
        wait: Wait,
    },
}

/// Where the next attempt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To the same target.
    Same,
    /// To the next target of the arm.
    Another,
    /// From the candidate to stable.
    Stable,
}

/// When the next attempt is made, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// At once: somebody else is asked.
    Not,
    /// After a pause of our own.
    Backoff(Duration),
    /// After what the provider asked for, and a little.
    Asked(Duration),
}

/// What a failure says about another attempt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Anybody would say the same.
    Final,
    /// This target will go on failing, another need not.
    Elsewhere,
    /// It may pass.
    Passing,
}

fn kind(error_type: ErrorType) -> Kind {
    match error_type {
        ErrorType::Dns
        | ErrorType::Connect
        | ErrorType::ConnectTimeout
        | ErrorType::ConnectionReset
        | ErrorType::TtftTimeout
        | ErrorType::StalledStream
        | ErrorType::TruncatedStream
        | ErrorType::StreamError
        | ErrorType::RateLimited
        | ErrorType::Overloaded
        | ErrorType::ServerError
        | ErrorType::WrongContentType
        | ErrorType::MalformedJson => Kind::Passing,
        ErrorType::Tls
        | ErrorType::Http401
        | ErrorType::Http403
        | ErrorType::Http404
        | ErrorType::QuotaExhausted
        | ErrorType::SchemaMismatch
        // Its key or its token cannot be had.
        | ErrorType::Internal => Kind::Elsewhere,
        ErrorType::None
        | ErrorType::TotalTimeout
        | ErrorType::Http400
        | ErrorType::Http413
        | ErrorType::EmptyContent
        | ErrorType::ContentCheckFailed
        | ErrorType::ContentFiltered
        | ErrorType::Refusal
        | ErrorType::MaxTokensReached
        | ErrorType::ModelMismatch
        | ErrorType::UsageMissing
        | ErrorType::Cancelled
        | ErrorType::Other => Kind::Final,
    }
}

/// Whether another target need not fail in the same way.
pub fn is_of_the_target(error_type: ErrorType) -> bool {
    kind(error_type) != Kind::Final
}

/// Whether whoever failed did no work: to ask another target instead makes no more of it.
pub fn is_cheap(failure: &Failure) -> bool {
    match failure.error_type {
        ErrorType::Dns
        | ErrorType::Connect
        | ErrorType::ConnectTimeout
        | ErrorType::Tls
        | ErrorType::Http401
        | ErrorType::Http403
        | ErrorType::Http404
        | ErrorType::QuotaExhausted
        | ErrorType::Internal => true,
        ErrorType::RateLimited => failure.retry_after.is_some(),
        _ => false,
    }
}

/// Decides after a failure; `drawn` is uniform between 0 and 1.
pub fn retry(retries: &Retries, failure: &Failure, drawn: f64) -> Next {
    let kind = kind(failure.error_type);
    if kind == Kind::Final || failure.attempts > retries.max {
        return Next::GiveUp;
    }
    let at_once = |place| Next::Again { place, wait: Wait::Not };
    match failure.arm {
        // The last attempt of a request that was meant for the candidate is stable's.
        Arm::Candidate if failure.attempts == retries.max => return at_once(Place::Stable),
        _ if failure.has_another => return at_once(Place::Another),
        Arm::Candidate => return at_once(Place::Stable),
        Arm::Stable if kind == Kind::Elsewhere => return Next::GiveUp,
        Arm::Stable => {}
    }
    let drawn = if drawn.is_finite() { drawn.clamp(0.0, 1.0) } else { 0.0 };
    let wait = match failure.retry_after {
        Some(asked) if asked > retries.pause_max => return Next::GiveUp,
        Some(asked) => {
            // Half a second at least, so that two who were told "3" do not both return at 3.000.
            let spread = Duration::from_millis(500).max(asked / 10);
            Wait::Asked(asked + spread.mul_f64(drawn))
        }
        None => {
            let doublings = failure.attempts.saturating_sub(1).min(16);
            let pause = retries.pause.saturating_mul(1 << doublings).min(retries.pause_max);
            Wait::Backoff(pause + (pause / 2).mul_f64(drawn))
        }
    };
    Next::Again { place: Place::Same, wait }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn failure(error_type: ErrorType) -> Failure {
        Failure { error_type, retry_after: None, arm: Arm::Stable, attempts: 1, has_another: false }
    }

    fn again(place: Place, wait: Wait) -> Next {
        Next::Again { place, wait }
    }

    #[test]
    fn what_the_client_is_to_blame_for_is_never_tried_again() {
        use ErrorType::{Cancelled, ContentFiltered, Http400, Http413, Refusal, TotalTimeout};
        for error_type in [Http400, Http413, Refusal, ContentFiltered, TotalTimeout, Cancelled] {
            let failure = Failure { arm: Arm::Candidate, has_another: true, ..failure(error_type) };
            assert_eq!(retry(&Retries::default(), &failure, 0.5), Next::GiveUp, "{failure:?}");
        }
    }

    #[test]
    fn somebody_else_is_asked_at_once() {
        let retries = Retries::default();
        let overloaded = failure(ErrorType::Overloaded);
        let another = Failure { has_another: true, ..overloaded };
        assert_eq!(retry(&retries, &another, 0.9), again(Place::Another, Wait::Not));
        let candidate = Failure { arm: Arm::Candidate, ..overloaded };
        assert_eq!(retry(&retries, &candidate, 0.9), again(Place::Stable, Wait::Not));
        // A key that is wrong is wrong every time; stable has a key of its own.
        let denied = failure(ErrorType::Http401);
        assert_eq!(retry(&retries, &denied, 0.9), Next::GiveUp);
        let denied = Failure { arm: Arm::Candidate, ..denied };
        assert_eq!(retry(&retries, &denied, 0.9), again(Place::Stable, Wait::Not));
    }

    #[test]
    fn the_last_attempt_is_stables_however_many_targets_the_candidate_has() {
        let retries = Retries { max: 2, ..Retries::default() };
        let at = |attempts| Failure {
            arm: Arm::Candidate,
            attempts,
            has_another: true,
            ..failure(ErrorType::Connect)
        };
        assert_eq!(retry(&retries, &at(1), 0.0), again(Place::Another, Wait::Not));
        assert_eq!(retry(&retries, &at(2), 0.0), again(Place::Stable, Wait::Not));
        assert_eq!(retry(&retries, &at(3), 0.0), Next::GiveUp);
    }

    #[test]
    fn pauses_double_and_chance_lengthens_them() {
        let retries = Retries { max: 9, ..Retries::default() };
        for (attempts, drawn, expected) in [
            (1, 0.0, 200),
            (2, 0.0, 400),
            (2, 1.0, 600),
            (3, 0.5, 1_000),
            (7, 0.0, 10_000),
            (9, 0.0, 10_000),
        ] {
            let failure = Failure { attempts, ..failure(ErrorType::ServerError) };
            let expected = again(Place::Same, Wait::Backoff(expected * MS));
            assert_eq!(retry(&retries, &failure, drawn), expected, "{attempts} {drawn}");
        }
    }

    #[test]
    fn attempts_have_an_end() {
        let retries = Retries { max: 2, ..Retries::default() };
        let at = |attempts| Failure { attempts, ..failure(ErrorType::Connect) };
        assert_ne!(retry(&retries, &at(2), 0.0), Next::GiveUp);
        assert_eq!(retry(&retries, &at(3), 0.0), Next::GiveUp);
        let none = Retries { max: 0, ..retries };
        assert_eq!(retry(&none, &at(1), 0.0), Next::GiveUp);
    }

    #[test]
    fn a_client_is_told_of_a_wait_that_it_would_not_wait() {
        let failure = Failure {
            retry_after: Some(Duration::from_secs(11)),
            ..failure(ErrorType::RateLimited)
        };
        assert_eq!(retry(&Retries::default(), &failure, 0.0), Next::GiveUp);
    }

    #[test]
    fn a_thousand_who_were_told_the_same_come_back_apart() {
        let asked = Duration::from_secs(2);
        let failure = Failure { retry_after: Some(asked), ..failure(ErrorType::RateLimited) };
        let waits: Vec<Duration> = (0..1_000)
            .map(|number| match retry(&Retries::default(), &failure, f64::from(number) / 999.0) {
                Next::Again { wait: Wait::Asked(wait), .. } => wait,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(waits.iter().all(|wait| *wait >= asked));
        assert_eq!((waits[0], waits[999]), (asked, asked + 500 * MS));
        let mut distinct = waits.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), 1_000);
    }

    proptest! {
        #[test]
        fn nobody_comes_back_earlier_than_told(
            asked_ms in 0_u64..20_000,
            attempts in 1_u32..5,
            drawn: f64,
        ) {
            let asked = Duration::from_millis(asked_ms);
            let failure = Failure {
                retry_after: Some(asked),
                attempts,
                ..failure(ErrorType::RateLimited)
            };
            match retry(&Retries::default(), &failure, drawn) {
                Next::GiveUp => {}
                Next::Again { place: Place::Same, wait: Wait::Asked(wait) } => {
                    prop_assert!(wait >= asked);
                }
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }
}
