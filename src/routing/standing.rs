//! Whether a target is passed over while its arm has others.
//!
//! The breaker of an arm is no help where one of several targets is broken: what the others answer
//! closes it again. So each target has one of its own, which ejects it: clients whose turn it would be
//! are served by the next one, and now and then one request tries it. A target that asked to be left
//! alone is left alone, too. Nothing is refused for any of this but what one broken target alone can
//! answer: where all targets of an arm are ejected, each is asked as if none were, and the arm's own
//! breaker decides.

use std::time::Duration;

use super::Breaker;
use crate::model::Timestamp;

/// Whoever asks for hours is tried again after this: other keys' limits end sooner than they say.
const TOLD_MAX: Duration = Duration::from_secs(300);

/// How one target did lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    breaker: Breaker,
    /// Until when it asked to be left alone.
    told_until: Option<Timestamp>,
    failed_at: Option<Timestamp>,
}

impl Standing {
    /// Whether others are asked first.
    pub fn is_ejected(&self, now: Timestamp) -> bool {
        self.breaker.is_resting(now) || self.told_until.is_some_and(|until| now < until)
    }

    /// Whether a request that only this target can answer may ask it; if not, after how long it is
    /// worth coming back. What it asked for itself is between it and the client.
    pub fn admit(&mut self, now: Timestamp) -> Result<(), Duration> {
        self.breaker.admit(now)
    }

    /// A request is about to ask it; if it was ejected until now, that is the one that tries it, and
    /// the next one waits for another pause.
    pub fn asked(&mut self, now: Timestamp) {
        // Whoever asks it in spite of all tries nothing.
        let _may = self.breaker.admit(now).is_ok();
    }

    /// It answered well, or the request was to blame.
    pub fn succeeded(&mut self) {
        // What it asked for stands: this may have begun before.
        self.breaker.succeeded();
    }

    /// It failed in a way in which another one need not.
    pub fn failed(&mut self, now: Timestamp) {
        self.breaker.failed(now);
        self.failed_at = Some(now);
    }

    /// It asked to be left alone for a while.
    pub fn told(&mut self, now: Timestamp, wait: Duration) {
        let until = now + wait.min(TOLD_MAX);
        self.told_until = Some(self.told_until.map_or(until, |before| before.max(until)));
    }

    /// Forgets what nobody has seen again for five minutes: a target that is asked no more, as that of
    /// a release that was rolled back, is not ejected for ever.
    pub fn forgive(&mut self, now: Timestamp) {
        if self.failed_at.is_some_and(|failed| now.since(failed) > TOLD_MAX) {
            (self.breaker, self.failed_at) = (Breaker::default(), None);
        }
    }

    /// Whether it failed so often in a row that it is ejected, if only until the next try.
    pub fn is_broken(&self) -> bool {
        self.breaker.is_open()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + ms)
    }

    #[test]
    fn ten_failures_eject_and_one_request_at_a_time_tries() {
        let mut standing = Standing::default();
        for _ in 0..9 {
            standing.failed(at(0));
        }
        assert!(!standing.is_ejected(at(0)));
        standing.failed(at(0));
        assert!(standing.is_ejected(at(999)) && !standing.is_ejected(at(1_000)));
        standing.asked(at(1_000));
        assert!(standing.is_ejected(at(1_001)), "somebody is trying it");
        standing.failed(at(1_100));
        assert!(standing.is_ejected(at(3_000)), "the pause has doubled");
        standing.succeeded();
        assert!(!standing.is_ejected(at(3_000)) && !standing.is_broken());
    }

    #[test]
    fn who_is_asked_no_more_is_forgiven() {
        let mut standing = Standing::default();
        (0..10).for_each(|_| standing.failed(at(0)));
        standing.forgive(at(300_000));
        assert!(standing.is_broken());
        standing.forgive(at(300_001));
        assert_eq!(standing, Standing::default());
    }

    #[test]
    fn who_asks_to_be_left_alone_is_for_as_long_and_at_most_five_minutes() {
        let mut standing = Standing::default();
        standing.told(at(0), Duration::from_secs(3));
        standing.told(at(500), Duration::from_secs(1));
        assert!(standing.is_ejected(at(2_999)) && !standing.is_ejected(at(3_000)));
        standing.told(at(0), Duration::from_secs(86_400));
        assert!(standing.is_ejected(at(299_999)) && !standing.is_ejected(at(300_000)));
        // Being asked in spite of that ends nothing.
        standing.asked(at(1_000));
        assert!(standing.is_ejected(at(1_000)));
    }
}
