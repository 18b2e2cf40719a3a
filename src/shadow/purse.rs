//! What a comparison may still cost.
//!
//! Before a request its estimate is set aside, so that requests under way together cannot overdraw;
//! once its cost is known that is booked instead. An unknown cost is booked as its estimate.

use crate::model::Money;

/// Money with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    limit: Money,
    spent: Money,
    reserved: Money,
}

impl Purse {
    /// Nothing is spent yet.
    pub fn new(limit: Money) -> Self {
        Self { limit, spent: Money::ZERO, reserved: Money::ZERO }
    }

    /// Sets an amount aside where there is room for it.
    #[must_use]
    pub fn reserve(&mut self, amount: Money) -> bool {
        let has_room = self.spent + self.reserved + amount <= self.limit;
        if has_room {
            self.reserved += amount;
        }
        has_room
    }

    /// Books what a request cost for which an amount was set aside.
    pub fn settle(&mut self, reserved: Money, cost: Option<Money>) {
        self.reserved = Money::from_nanos(self.reserved.nanos().saturating_sub(reserved.nanos()));
        self.spent += cost.unwrap_or(reserved);
    }

    /// What is booked.
    pub fn spent(&self) -> Money {
        self.spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_under_way_cannot_overdraw() {
        let usd = Money::from_nanos;
        let mut purse = Purse::new(usd(100));
        assert!(purse.reserve(usd(60)));
        assert!(!purse.reserve(usd(60)));
        purse.settle(usd(60), Some(usd(10)));
        assert!(purse.reserve(usd(60)));
        purse.settle(usd(60), None);
        assert_eq!(purse.spent(), usd(70));
        assert!(!purse.reserve(usd(31)) && purse.reserve(usd(30)));
    }
}
