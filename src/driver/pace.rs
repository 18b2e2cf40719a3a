//! How often early evaluations may happen.

use std::time::Duration;

use tokio::time::Instant;

/// In the long run 15 a second, and up to [`BURST`] at once: results of many targets come together,
/// and the one that matters must not wait for its turn. So there are at most 20 in any second.
const PERIOD: Duration = Duration::from_nanos(1_000_000_000 / 15);
const BURST: u32 = 5;
/// Where one takes long (many targets, many rules), the loop rests for this many times as long, so
/// that early evaluations take a fifth of its time at most.
const REST: u32 = 4;

/// The generic cell rate algorithm (ITU-T I.371), with a rest that follows from the work.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the next one would come if all of them were spread evenly.
    even: Instant,
    rested: Instant,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { even: now, rested: now }
    }

    /// From when on there may be another one.
    pub fn free(&self) -> Instant {
        let ahead = PERIOD * (BURST - 1);
        // An instant has no time before it to go back to.
        self.even.checked_sub(ahead).unwrap_or(self.rested).max(self.rested)
    }

    /// There was one, and it took so long.
    pub fn took(&mut self, started: Instant, took: Duration) {
        self.even = self.even.max(started) + PERIOD;
        self.rested = started + took * (REST + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many there are within `length` if results never stop coming, each taking `took`.
    fn count(length: Duration, took: Duration) -> usize {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut now = start;
        let mut count = 0;
        while now < start + length {
            pace.took(now, took);
            count += 1;
            now = pace.free().max(now + took);
        }
        count
    }

    #[test]
    fn results_that_come_together_do_not_wait_for_each_other() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..BURST {
            assert!(pace.free() <= start);
            pace.took(start, Duration::ZERO);
        }
        assert_eq!(pace.free(), start + PERIOD);
    }

    #[test]
    fn there_are_never_more_than_twenty_in_a_second() {
        assert_eq!(count(Duration::from_secs(1), Duration::from_micros(1)), 20);
        assert_eq!(count(Duration::from_secs(10), Duration::from_micros(1)), 155);
    }

    #[test]
    fn slow_ones_take_a_fifth_of_the_time() {
        // 100 ms of work in every 500 ms.
        assert_eq!(count(Duration::from_secs(10), Duration::from_millis(100)), 20);
    }
}
