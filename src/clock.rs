//! The one place that reads the wall clock.
//!
//! For all that is decided here it is read once, at the start, and then follows the monotonic clock: a step of the system's
//! clock changes no cadence, no `for` and no deadline, and a test that pauses time moves it.

use crate::model::Timestamp;

/// The time of day, anchored at the start of the process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    anchor: tokio::time::Instant,
    real: std::time::Instant,
    wall: Timestamp,
}

impl Clock {
    /// Anchors the clock now.
    #[expect(clippy::disallowed_methods, reason = "the clocks themselves")]
    pub fn start() -> Self {
        let (anchor, real) = (tokio::time::Instant::now(), std::time::Instant::now());
        Self { anchor, real, wall: read_wall() }
    }

    /// What the wall clock says at this moment: only for what others hold against their own clocks,
    /// such as a signature's timestamp. After a suspended machine, or a clock that was set late,
    /// [`Clock::now`] is behind, and a receiver would take the message for an old one.
    pub fn wall(&self) -> Timestamp {
        // Apart from each other only where a test moves tokio's time.
        let (moved, passed) = (self.anchor.elapsed(), self.real.elapsed());
        read_wall() + moved.saturating_sub(passed)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.at(tokio::time::Instant::now())
    }

    /// The time of day at an instant of the monotonic clock.
    pub fn at(&self, instant: tokio::time::Instant) -> Timestamp {
        match instant.checked_duration_since(self.anchor) {
            Some(since) => self.wall + since,
            None => self.wall - self.anchor.duration_since(instant),
        }
    }

    /// The instant of the monotonic clock at a time of day; the anchor where it lies before.
    pub fn instant(&self, at: Timestamp) -> tokio::time::Instant {
        self.anchor + at.since(self.wall)
    }
}

#[expect(clippy::disallowed_methods, reason = "the only reading of the wall clock")]
fn read_wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let millis = since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    Timestamp::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_time_of_day_follows_the_monotonic_clock() {
        let clock = Clock::start();
        let (wall, instant) = (clock.now(), tokio::time::Instant::now());
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().millis() - wall.millis(), 1500);
        assert_eq!(clock.at(instant), wall);
        assert_eq!(clock.at(instant - Duration::from_secs(2)), wall - Duration::from_secs(2));
        // 2020-09-13, which no machine's clock is before.
        assert!(wall.millis() > 1_600_000_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_of_a_time_is_never_before_it() {
        let clock = Clock::start();
        let due = clock.now() + Duration::from_millis(250);
        assert!(clock.at(clock.instant(due)) >= due);
        let past = clock.now() - Duration::from_secs(5);
        assert_eq!(clock.instant(past), clock.instant(clock.now()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_wall_moves_with_a_test_that_moves_time() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_secs(3600)).await;
        let hour = Duration::from_secs(3600);
        assert_eq!(clock.now().since(clock.at(clock.anchor)), hour);
        // The machine's own time passes too, by far less than a minute.
        let apart = clock.wall().since(clock.now()).max(clock.now().since(clock.wall()));
        assert!(apart < Duration::from_secs(60), "{apart:?}");
    }
}
