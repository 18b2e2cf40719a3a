//! What a day and a month of probes may still cost.
//!
//! Before a probe is fired its estimate is reserved, and when its cost is known the reservation is
//! settled; so probes that are under way together cannot overdraw the period. Days and months are
//! UTC's. A probe that ends after midnight is settled against the day in which it was fired, which
//! is over: the new day starts at nothing; so it is with months. What was spent outlives the
//! process: a month that began anew at every restart would be no limit.

use serde::{Deserialize, Serialize};

use super::settings::Budget;
use crate::model::{Money, TargetId, Timestamp};

/// What was spent in one period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Account {
    period: i64,
    spent: Money,
    reserved: Money,
}

/// The accounts of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    day: Account,
    month: Account,
}

/// Money set aside for a probe that is under way. Settle it exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an unsettled reservation blocks the budget for the rest of the period"]
pub struct Reservation {
    day: i64,
    month: i64,
    amount: Money,
}

/// Whose money it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Payer {
    /// All probes together.
    Together,
    /// A release that sets money aside for its probes.
    Release(String),
    /// A target, for its own probes.
    Target(TargetId),
}

/// Stands before the name of a release. No target has it in its name, which has no tab.
const OF_RELEASE: &str = "release\t";

impl Payer {
    /// The payer of a key.
    pub fn of_key(key: &str) -> Self {
        match key.strip_prefix(OF_RELEASE) {
            Some(release) => Self::Release(release.to_owned()),
            None if key.is_empty() => Self::Together,
            None => Self::Target(TargetId::new(key)),
        }
    }

    /// The key by which it is remembered.
    pub fn key(&self) -> String {
        match self {
            Self::Together => String::new(),
            Self::Release(release) => format!("{OF_RELEASE}{release}"),
            Self::Target(target) => target.to_string(),
        }
    }
}

/// What was spent, to be remembered over a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpentSoFar {
    /// Which day, counted from 1970.
    pub day: i64,
    /// In nano-dollars.
    pub day_nanos: u64,
    /// Which month, counted from the year 0.
    pub month: i64,
    /// In nano-dollars.
    pub month_nanos: u64,
}

impl Account {
    /// Time that goes back does not give the period's money back.
    fn turn(&mut self, period: i64) {
        if period > self.period {
            *self = Self { period, ..Self::default() };
        }
    }

    fn has_room(&self, amount: Money, limit: Option<Money>) -> bool {
        limit.is_none_or(|limit| self.spent + self.reserved + amount <= limit)
    }

    fn settle(&mut self, period: i64, reserved: Money, cost: Money) {
        if period == self.period {
            let left = self.reserved.nanos().saturating_sub(reserved.nanos());
            self.reserved = Money::from_nanos(left);
            self.spent += cost;
        }
    }
}

impl Ledger {
    /// Goes on with what an earlier run spent.
    pub fn resumed(spent: &SpentSoFar) -> Self {
        let account = |period, nanos| Account {
            period,
            spent: Money::from_nanos(nanos),
            reserved: Money::ZERO,
        };
        Self {
            day: account(spent.day, spent.day_nanos),
            month: account(spent.month, spent.month_nanos),
        }
    }

    /// Sets a probe's estimate aside, or tells that a budget has no room for it.
    ///
    /// Where the price is unknown a budget cannot be kept, so nothing is fired under it.
    pub fn reserve(
        &mut self,
        now: Timestamp,
        budget: Budget,
        estimate: Option<Money>,
    ) -> Option<Reservation> {
        self.day.turn(day(now));
        self.month.turn(month(now));
        let amount = match budget {
            Budget::Unlimited => estimate.unwrap_or_default(),
            Budget::Limited { daily, monthly } => {
                let amount = estimate?;
                if !self.day.has_room(amount, daily) || !self.month.has_room(amount, monthly) {
                    return None;
                }
                amount
            }
        };
        self.day.reserved += amount;
        self.month.reserved += amount;
        Some(Reservation { day: self.day.period, month: self.month.period, amount })
    }

    /// What is left of a day's money, reservations taken off.
    pub fn left(&mut self, now: Timestamp, daily: Money) -> Money {
        self.day.turn(day(now));
        let gone = self.day.spent + self.day.reserved;
        Money::from_nanos(daily.nanos().saturating_sub(gone.nanos()))
    }

    /// Books what a probe cost; `None`, where nobody said, books its estimate.
    pub fn settle(&mut self, reservation: Reservation, cost: Option<Money>) {
        let Reservation { day, month, amount } = reservation;
        let cost = cost.unwrap_or(amount);
        self.day.settle(day, amount, cost);
        self.month.settle(month, amount, cost);
    }

    /// What was booked in the day and in the month of the last reservation.
    pub fn spent(&self) -> [Money; 2] {
        [self.day.spent, self.month.spent]
    }

    /// What is to be remembered.
    pub fn so_far(&self) -> SpentSoFar {
        SpentSoFar {
            day: self.day.period,
            day_nanos: self.day.spent.nanos(),
            month: self.month.period,
            month_nanos: self.month.spent.nanos(),
        }
    }
}

fn day(now: Timestamp) -> i64 {
    const DAY_MS: i64 = 24 * 3_600_000;
    now.millis().div_euclid(DAY_MS)
}

fn month(now: Timestamp) -> i64 {
    let moment = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    let date = jiff::tz::TimeZone::UTC.to_datetime(moment);
    i64::from(date.year()) * 12 + i64::from(date.month()) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    // 2026-12-01T00:00:00Z, by `date -u -d 2026-12-01 +%s`.
    const DECEMBER: i64 = 1_796_083_200_000;

    const fn limited(daily: Option<u64>, monthly: Option<u64>) -> Budget {
        const fn money(nanos: Option<u64>) -> Option<Money> {
            match nanos {
                Some(nanos) => Some(Money::from_nanos(nanos)),
                None => None,
            }
        }
        Budget::Limited { daily: money(daily), monthly: money(monthly) }
    }

    const BUDGET: Budget = limited(Some(100), None);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn usd(nanos: u64) -> Option<Money> {
        Some(Money::from_nanos(nanos))
    }

    #[test]
    fn probes_under_way_together_cannot_overdraw_the_day() {
        let mut ledger = Ledger::default();
        let first = ledger.reserve(at(DAY), BUDGET, usd(60)).unwrap();
        assert_eq!(ledger.reserve(at(DAY + 1), BUDGET, usd(60)), None);
        // The first was cheaper than thought: there is room again, to the last nano-dollar.
        ledger.settle(first, usd(40));
        let second = ledger.reserve(at(DAY + 2), BUDGET, usd(60)).unwrap();
        assert_eq!(ledger.reserve(at(DAY + 3), BUDGET, usd(1)), None);
        ledger.settle(second, None);
        assert_eq!(ledger.spent()[0], Money::from_nanos(100));
    }

    #[test]
    fn a_new_day_starts_at_nothing_and_an_old_probe_does_not_touch_it() {
        let mut ledger = Ledger::default();
        let old = ledger.reserve(at(DAY - 1), BUDGET, usd(100)).unwrap();
        let new = ledger.reserve(at(DAY), BUDGET, usd(100)).unwrap();
        ledger.settle(old, usd(100));
        assert_eq!(ledger.spent()[0], Money::ZERO);
        ledger.settle(new, usd(70));
        assert_eq!(ledger.spent()[0], Money::from_nanos(70));
        // The clock was set back: the day's money stays spent.
        assert_eq!(ledger.reserve(at(DAY - 1), BUDGET, usd(31)), None);
    }

    #[test]
    fn a_month_ends_with_its_last_day_and_holds_over_a_restart() {
        let budget = limited(Some(60), Some(100));
        let mut ledger = Ledger::default();
        let spend = |ledger: &mut Ledger, now, nanos| {
            let reservation = ledger.reserve(at(now), budget, usd(nanos));
            let has_room = reservation.is_some();
            if let Some(reservation) = reservation {
                ledger.settle(reservation, None);
            }
            has_room
        };
        assert!(spend(&mut ledger, DECEMBER - 2 * DAY, 60));
        assert!(!spend(&mut ledger, DECEMBER - 2 * DAY, 1), "the day is spent");
        assert!(spend(&mut ledger, DECEMBER - DAY, 40));
        assert!(!spend(&mut ledger, DECEMBER - 1, 1), "the month is spent, the day is not");
        let mut resumed = Ledger::resumed(&ledger.so_far());
        assert!(!spend(&mut resumed, DECEMBER - 1, 1), "a restart gives nothing back");
        assert!(spend(&mut resumed, DECEMBER, 60), "the first of the month");
        assert_eq!(resumed.spent(), [Money::from_nanos(60); 2]);
    }

    #[test]
    fn what_is_left_of_a_day_counts_probes_under_way_and_comes_back_at_midnight() {
        let mut ledger = Ledger::default();
        let daily = Money::from_nanos(100);
        let first = ledger.reserve(at(DAY), Budget::Unlimited, usd(60)).unwrap();
        assert_eq!(ledger.left(at(DAY), daily), Money::from_nanos(40));
        ledger.settle(first, usd(130));
        assert_eq!(ledger.left(at(DAY), daily), Money::ZERO);
        assert_eq!(ledger.left(at(2 * DAY), daily), daily);
    }

    #[test]
    fn the_key_of_a_payer_leads_back_to_it() {
        let target = |name| Payer::Target(TargetId::new(name));
        let release = Payer::Release("gpt next".to_owned());
        for payer in [Payer::Together, release, target("release"), target("gpt next")] {
            assert_eq!(Payer::of_key(&payer.key()), payer);
        }
    }

    #[test]
    fn a_budget_without_a_price_fires_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.reserve(at(0), BUDGET, None), None);
        let free = ledger.reserve(at(0), Budget::Unlimited, None).unwrap();
        ledger.settle(free, None);
        assert_eq!(ledger.spent(), [Money::ZERO; 2]);
    }
}
