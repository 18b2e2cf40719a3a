//! Copies of stable's requests, sent to a target that is tried out.
//!
//! A user must never notice. A request that is drawn costs a few permits that are taken or not, never
//! waited for; its body is shared and not copied; all else (whether it may be copied, the budget, other
//! words, the asking itself) is done by a task that no request waits for. Copies wait in a queue of
//! their own, hold memory of their own, and have a breaker of their own: what the copies' target does
//! diverts nobody's traffic. While the candidate itself is broken for users, it is not sent copies
//! either.
//!
//! What comes of a copy is counted apart from requests and is no evidence for a release, unless the
//! configuration says so: a copy is asked at other moments than stable's requests are, by other
//! timeouts, and nobody waits for its answer.

mod copies;
mod mirroring;
mod offer;
mod spent;

pub(super) use copies::{Copy, Means, carry};
pub(super) use mirroring::Mirroring;
pub(super) use offer::offer;
pub(super) use spent::{keep, write_down};
