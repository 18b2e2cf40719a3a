//! The prices of a model over time.

use super::rates::Price;
use crate::model::Timestamp;

/// Prices, each from a time on. At any time at most one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceList(Vec<(Timestamp, Price)>);

impl PriceList {
    /// One price for all times.
    pub fn always(price: Price) -> Self {
        Self(vec![(Timestamp::MIN, price)])
    }

    /// Prices, each from a time on, in any order. Of two from the same time the later one holds.
    pub fn from(mut prices: Vec<(Timestamp, Price)>) -> Self {
        prices.sort_by_key(|(from, _)| *from);
        Self(prices)
    }

    /// The price at a time; `None` before the first.
    pub fn at(&self, now: Timestamp) -> Option<&Price> {
        self.0.iter().rev().find(|(from, _)| *from <= now).map(|(_, price)| price)
    }

    /// All of them, the oldest first.
    pub fn entries(&self) -> &[(Timestamp, Price)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::Rates;
    use super::*;
    use crate::model::Money;

    #[test]
    fn a_price_holds_from_its_time_until_the_next() {
        let price = |nanos| {
            let rate = Money::from_nanos(nanos);
            Price::flat(Rates::plain(rate, rate))
        };
        let at = Timestamp::from_millis;
        let list = PriceList::from(vec![(at(20), price(2)), (at(10), price(1))]);
        let input = |now| list.at(at(now)).map(|price| price.base().input.nanos());
        assert_eq!([9, 10, 19, 20, 99].map(input), [None, Some(1), Some(1), Some(2), Some(2)]);
        assert!(PriceList::always(price(1)).at(Timestamp::MIN).is_some());
    }
}
