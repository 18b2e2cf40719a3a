//! Whether bellwether itself is well.
//!
//! A prober on a starved host measures the host. So two things are looked at all the time: how late
//! a timer of this process wakes, and how long an exchange over loopback takes. Either above 250 ms
//! turns the canary red, as does an exchange that fails. It is green again after five seconds in
//! which nothing was wrong. A quarter of a second is far above a healthy host's worst (2 ms for the
//! timer) and far below what rules look for; five seconds keep a host that stutters from being
//! called well in between.
//!
//! After a stall the canary may be the last to wake. So when the last look itself is older than a
//! look's period plus the limit, the canary is red too, whatever it last saw.

use std::time::Duration;

/// Above this, evidence about latency is worth nothing.
const LIMIT: Duration = Duration::from_millis(250);

/// How long nothing may have been wrong before the canary is green again.
const CALM: Duration = Duration::from_secs(5);

/// What the canary saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The timer woke this late.
    Timer(Duration),
    /// An exchange over loopback took this long.
    Loopback(Duration),
    /// An exchange over loopback failed.
    LoopbackFailed,
}

/// The canary's memory. Times count from the start of the process and do not go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    period: Duration,
    looked: Duration,
    // The end of the last thing that was wrong.
    ailed: Option<Duration>,
    lateness: Duration,
}

impl Canary {
    /// How often the timer is looked at.
    pub const PERIOD: Duration = Duration::from_millis(100);

    /// A canary that is green until something is wrong.
    pub fn new(now: Duration) -> Self {
        Self { period: Self::PERIOD, looked: now, ailed: None, lateness: Duration::ZERO }
    }

    /// Takes in what was seen.
    pub fn look(&mut self, now: Duration, sign: Sign) {
        let is_wrong = match sign {
            Sign::Timer(lateness) => {
                // Only the timer is looked at often enough to tell a stall by its absence.
                self.looked = now;
                self.lateness = lateness;
                lateness > LIMIT
            }
            Sign::Loopback(took) => took > LIMIT,
            Sign::LoopbackFailed => true,
        };
        if is_wrong {
            self.ailed = Some(now);
        }
    }

    /// Whether all is well.
    pub fn is_green(&self, now: Duration) -> bool {
        self.was_green(now, now)
    }

    /// Whether all was well from `start` until `now`.
    pub fn was_green(&self, now: Duration, start: Duration) -> bool {
        let is_awake = now.saturating_sub(self.looked) <= self.period + LIMIT;
        is_awake && self.ailed.is_none_or(|ailed| start >= ailed + CALM)
    }

    /// How late the timer last woke.
    pub fn lateness(&self) -> Duration {
        self.lateness
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// Looks each 100 ms from `from` to `to` and sees nothing wrong.
    fn calm(canary: &mut Canary, from: u64, to: u64) {
        for at in (from..=to).step_by(100) {
            canary.look(ms(at), Sign::Timer(ms(1)));
        }
    }

    #[test]
    fn a_canary_is_red_until_five_seconds_of_calm() {
        for sign in [Sign::Timer(ms(251)), Sign::Loopback(ms(251)), Sign::LoopbackFailed] {
            let mut canary = Canary::new(ms(0));
            calm(&mut canary, 0, 1000);
            assert!(canary.is_green(ms(1000)));
            canary.look(ms(1100), sign);
            assert!(!canary.is_green(ms(1100)), "{sign:?}");
            calm(&mut canary, 1200, 6000);
            assert!(!canary.is_green(ms(6099)), "{sign:?}");
            calm(&mut canary, 6100, 6100);
            assert!(canary.is_green(ms(6100)), "{sign:?}");
        }
    }

    #[test]
    fn a_quarter_of_a_second_is_still_well() {
        let mut canary = Canary::new(ms(0));
        canary.look(ms(100), Sign::Timer(ms(250)));
        canary.look(ms(100), Sign::Loopback(ms(250)));
        assert!(canary.is_green(ms(100)));
    }

    #[test]
    fn each_new_fault_starts_the_calm_anew() {
        let mut canary = Canary::new(ms(0));
        canary.look(ms(0), Sign::Timer(ms(300)));
        calm(&mut canary, 100, 4900);
        canary.look(ms(4900), Sign::LoopbackFailed);
        calm(&mut canary, 5000, 9800);
        assert!(!canary.is_green(ms(9800)));
        calm(&mut canary, 9900, 9900);
        assert!(canary.is_green(ms(9900)));
    }

    #[test]
    fn a_stall_is_known_before_the_canary_wakes() {
        let mut canary = Canary::new(ms(0));
        calm(&mut canary, 0, 1000);
        // A probe that wakes first after a stop of two seconds must not believe itself.
        assert!(canary.was_green(ms(1350), ms(900)));
        assert!(!canary.was_green(ms(3000), ms(900)));
    }

    #[test]
    fn a_probe_that_began_in_the_red_stays_inconclusive() {
        let mut canary = Canary::new(ms(0));
        canary.look(ms(100), Sign::Timer(ms(300)));
        calm(&mut canary, 200, 9000);
        assert!(!canary.was_green(ms(9000), ms(5099)));
        assert!(canary.was_green(ms(9000), ms(5100)));
    }
}
