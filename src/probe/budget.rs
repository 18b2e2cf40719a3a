//! What a day of probes may still cost.
//!
//! Before a probe is fired its estimate is reserved, and when its cost is known the reservation is
//! settled; so probes that are under way together cannot overdraw the day. The day is UTC's. A
//! probe that ends after midnight is settled against the day in which it was fired, which is over:
//! the new day starts at nothing.

use super::settings::Budget;
use crate::model::{Money, Timestamp};

/// The day's account of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    day: i64,
    spent: Money,
    reserved: Money,
}

/// Money set aside for a probe that is under way. Settle it exactly once.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an unsettled reservation blocks the budget for the rest of the day"]
pub struct Reservation {
    day: i64,
    amount: Money,
}

impl Ledger {
    /// Sets a probe's estimate aside, or tells that the day's budget has no room for it.
    ///
    /// Where the price is unknown a daily budget cannot be kept, so nothing is fired under it.
    pub fn reserve(
        &mut self,
        now: Timestamp,
        budget: Budget,
        estimate: Option<Money>,
    ) -> Option<Reservation> {
        const DAY_MS: i64 = 24 * 3_600_000;
        let day = now.millis().div_euclid(DAY_MS);
        // Time that goes back does not give the day's money back.
        if day > self.day {
            *self = Self { day, ..Self::default() };
        }
        let amount = match budget {
            Budget::Unlimited => estimate.unwrap_or_default(),
            Budget::Daily(limit) => {
                let amount = estimate?;
                if self.spent + self.reserved + amount > limit {
                    return None;
                }
                amount
            }
        };
        self.reserved += amount;
        Some(Reservation { day: self.day, amount })
    }

    /// Books what a probe cost; `None`, where nobody said, books its estimate.
    pub fn settle(&mut self, reservation: Reservation, cost: Option<Money>) {
        if reservation.day == self.day {
            let left = self.reserved.nanos().saturating_sub(reservation.amount.nanos());
            self.reserved = Money::from_nanos(left);
            self.spent += cost.unwrap_or(reservation.amount);
        }
    }

    /// What was booked in the day of the last reservation.
    pub fn spent(&self) -> Money {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const BUDGET: Budget = Budget::Daily(Money::from_nanos(100));

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
        assert_eq!(ledger.spent(), Money::from_nanos(100));
    }

    #[test]
    fn a_new_day_starts_at_nothing_and_an_old_probe_does_not_touch_it() {
        let mut ledger = Ledger::default();
        let old = ledger.reserve(at(DAY - 1), BUDGET, usd(100)).unwrap();
        let new = ledger.reserve(at(DAY), BUDGET, usd(100)).unwrap();
        ledger.settle(old, usd(100));
        assert_eq!(ledger.spent(), Money::ZERO);
        ledger.settle(new, usd(70));
        assert_eq!(ledger.spent(), Money::from_nanos(70));
        // The clock was set back: the day's money stays spent.
        assert_eq!(ledger.reserve(at(DAY - 1), BUDGET, usd(31)), None);
    }

    #[test]
    fn a_budget_without_a_price_fires_nothing() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.reserve(at(0), BUDGET, None), None);
        let free = ledger.reserve(at(0), Budget::Unlimited, None).unwrap();
        ledger.settle(free, None);
        assert_eq!(ledger.spent(), Money::ZERO);
    }
}
