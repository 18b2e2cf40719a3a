//! When a target's probes are due.
//!
//! The due times of a target are `start + offset + k × interval`, where `start` is the same for all
//! targets of a process and `offset` is a stable hash of the target's name within the interval. So
//! targets are spread, a restart keeps the spread, and nothing that a probe does moves the next one.
//!
//! Every due time is fired, skipped or missed, exactly once. When several have passed before
//! anybody looked (a stopped process, a starved host), all but the newest are missed. The newest is
//! fired late if less than half an interval has gone by; later than that the next due time is
//! nearer, and firing would set two probes close together and, after a long stall, all targets at
//! the same moment. A due time at `now` has passed.

use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::model::TargetId;

/// Below this a schedule would only be a loop; the configuration refuses far longer ones.
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// The due times of one target, and which of them have been accounted for. Times count from the
/// start of the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cadence {
    interval: Duration,
    next: Duration,
    counted: u64,
}

/// A due time that is to be fired or skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// Counts the target's due times from 0.
    pub sequence: u64,
    /// When it was due.
    pub at: Duration,
}

/// The due times that have passed since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How many came due: those that were missed, and the one to fire.
    pub due: u64,
    /// How many went by without anybody there to fire.
    pub missed: u64,
    /// The one to fire now.
    pub fire: Option<Due>,
}

/// What became of a target's due times: always `due = fired + skipped + missed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that came due.
    pub due: u64,
    /// Those that were fired.
    pub fired: u64,
    /// Those that were skipped because too many probes were under way.
    pub in_flight: u64,
    /// Those that were skipped because the day's budget was spent.
    pub budget_skipped: u64,
    /// Those that were skipped because a limit is used up.
    pub rate_limited: u64,
    /// Those that went by without anybody there to fire.
    pub missed: u64,
}

impl Cadence {
    /// The cadence of a target from now on: its first due time is the first at or after `now`.
    pub fn new(now: Duration, target: &TargetId, interval: Duration) -> Self {
        let interval = interval.max(INTERVAL_MIN);
        let offset = offset(target, interval);
        let mut cadence = Self { interval, next: offset, counted: 0 };
        if now > offset {
            let behind = (now - offset).as_nanos();
            let steps = behind.div_ceil(interval.as_nanos());
            cadence.next = offset + times(interval, steps);
        }
        cadence
    }

    /// The same cadence, counting on from `counted`, for a target whose settings changed.
    #[must_use]
    pub fn counting_on(self, counted: u64) -> Self {
        Self { counted, ..self }
    }

    /// When the next probe is due.
    pub fn next_due(&self) -> Duration {
        self.next
    }

    /// Accounts for all due times up to and including `now`.
    pub fn pass(&mut self, now: Duration) -> Passed {
        let Some(behind) = now.checked_sub(self.next) else { return Passed::default() };
        let older = behind.as_nanos() / self.interval.as_nanos();
        let newest = self.next + times(self.interval, older);
        let due = u64::try_from(older).unwrap_or(u64::MAX).saturating_add(1);
        let is_near = now - newest < self.interval / 2;
        let sequence = self.counted.saturating_add(due - 1);
        self.next = newest + self.interval;
        self.counted = self.counted.saturating_add(due);
        Passed {
            due,
            missed: if is_near { due - 1 } else { due },
            fire: is_near.then_some(Due { sequence, at: newest }),
        }
    }
}

/// A stable hash, so that neither a restart nor another build moves a target within its interval.
fn offset(target: &TargetId, interval: Duration) -> Duration {
    let digest = Sha256::digest(target.as_str().as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    let nanos = u128::from(u64::from_be_bytes(first)) % interval.as_nanos();
    duration(nanos)
}

fn times(interval: Duration, count: u128) -> Duration {
    duration(interval.as_nanos().saturating_mul(count))
}

/// Saturates after 584 years.
fn duration(nanos: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A cadence of one second whose first due time is at 300 ms.
    fn cadence() -> Cadence {
        Cadence { interval: SECOND, next: ms(300), counted: 0 }
    }

    // The first eight bytes of sha256("gpt"), worked out with `printf gpt | sha256sum`.
    #[test]
    fn the_offset_follows_from_the_name_alone() {
        let first = Cadence::new(Duration::ZERO, &TargetId::new("gpt"), SECOND);
        let again = Cadence::new(Duration::ZERO, &TargetId::new("gpt"), SECOND);
        assert_eq!(first, again);
        assert!(first.next_due() < SECOND);
        assert_eq!(first.next_due(), Duration::from_nanos(GPT_FIRST_8_BYTES % 1_000_000_000));
    }
    const GPT_FIRST_8_BYTES: u64 = 0x053ea4804ef1bb33;

    #[test]
    fn a_thousand_targets_are_spread_over_the_interval() {
        let mut tenths = [0; 10];
        for number in 0..1000 {
            let target = TargetId::new(&format!("target-{number}"));
            let due = Cadence::new(Duration::ZERO, &target, SECOND).next_due();
            tenths[(due.as_millis() / 100) as usize] += 1;
        }
        // 100 each on average; nine standard deviations of a binomial are 85.
        assert!(tenths.iter().all(|count| (60..140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn each_due_time_is_fired_or_missed() {
        // (looks at, due, missed, fired at)
        let looks = [
            (299, 0, 0, None),
            (300, 1, 0, Some(300)),
            (300, 0, 0, None),
            (1299, 0, 0, None),
            (1301, 1, 0, Some(1300)),
            // Late by less than half an interval: fired late.
            (2799, 1, 0, Some(2300)),
            // Late by half an interval: the next one is as near, so it is missed.
            (3800, 1, 1, None),
            // Four passed; the newest is near.
            (7400, 4, 3, Some(7300)),
            // Three passed; the newest is too far away.
            (10_900, 3, 3, None),
            (11_300, 1, 0, Some(11_300)),
        ];
        let mut cadence = cadence();
        let mut counted = 0;
        for (at, due, missed, fired) in looks {
            let passed = cadence.pass(ms(at));
            counted += due;
            let fire = fired.map(|at| Due { sequence: counted - 1, at: ms(at) });
            assert_eq!(passed, Passed { due, missed, fire }, "at {at} ms");
        }
        // 300, 1300, …, 11300
        assert_eq!(counted, 12);
    }

    #[test]
    fn a_target_that_comes_later_keeps_to_the_grid_and_fires_nothing_at_once() {
        let target = TargetId::new("gpt");
        let first = Cadence::new(Duration::ZERO, &target, SECOND).next_due();
        for later in [ms(1), first, first + ms(1), ms(123_456)] {
            let due = Cadence::new(later, &target, SECOND).next_due();
            assert!(due >= later && due < later + SECOND, "{later:?}");
            assert_eq!((due - first).as_nanos() % SECOND.as_nanos(), 0, "{later:?}");
        }
    }

    #[test]
    fn extremes_do_not_panic() {
        let target = TargetId::new("gpt");
        for interval in [Duration::ZERO, Duration::from_secs(u64::MAX / 1_000_000_000 / 4)] {
            let mut cadence = Cadence::new(Duration::from_secs(1 << 30), &target, interval);
            cadence.pass(Duration::from_secs(1 << 31));
        }
    }

    proptest! {
        #[test]
        fn the_accounts_are_exact_whenever_anybody_looks(
            interval in 1_u64..5_000,
            steps in prop::collection::vec(0_u64..20_000, 1..50),
        ) {
            let interval = ms(interval);
            let mut cadence = Cadence::new(Duration::ZERO, &TargetId::new("t"), interval);
            let first = cadence.next_due();
            let (mut now, mut fired, mut missed, mut due) = (Duration::ZERO, 0, 0, 0);
            let mut last = None;
            for step in steps {
                now += ms(step);
                let passed = cadence.pass(now);
                due += passed.due;
                missed += passed.missed;
                if let Some(fire) = passed.fire {
                    fired += 1;
                    prop_assert!(fire.at <= now);
                    prop_assert!(last.is_none_or(|last| last < fire.sequence));
                    prop_assert_eq!(fire.at, first + interval * u32::try_from(fire.sequence).unwrap());
                    last = Some(fire.sequence);
                }
            }
            // Counted on fingers: every due time on the grid up to now.
            let mut expected = 0;
            let mut at = first;
            while at <= now {
                expected += 1;
                at += interval;
            }
            prop_assert_eq!(due, expected);
            prop_assert_eq!(fired + missed, expected);
        }
    }
}
