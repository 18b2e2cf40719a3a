//! Prices in other currencies, brought to US dollars when they are read.

use std::collections::BTreeMap;

use crate::model::Money;

/// Nano-dollars of one dollar.
const NANOS: u128 = 1_000_000_000;

/// What one unit of each currency is worth in US dollars. The dollar itself is always known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Currencies(BTreeMap<String, Money>);

impl Currencies {
    /// Those with these codes, such as `EUR`.
    pub fn new(rates: impl IntoIterator<Item = (String, Money)>) -> Self {
        Self(rates.into_iter().collect())
    }

    /// The codes that are known beside `USD`.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// An amount of a currency in dollars, rounded half up; `None` where the currency is not known.
    pub fn dollars(&self, code: &str, amount: Money) -> Option<Money> {
        if code == "USD" {
            return Some(amount);
        }
        let rate = self.0.get(code)?;
        let nanos = u128::from(amount.nanos()) * u128::from(rate.nanos());
        let nanos = (nanos + NANOS / 2) / NANOS;
        Some(Money::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand: 2.50 EUR at 1.0837 are 2.70925 USD.
    #[test]
    fn an_amount_is_converted_exactly_and_rounded_once() {
        let euro = ("EUR".to_owned(), Money::from_nanos(1_083_700_000));
        let tiny = ("XTS".to_owned(), Money::from_nanos(500_000_000));
        let currencies = Currencies::new([euro, tiny]);
        let of = |code, nanos| currencies.dollars(code, Money::from_nanos(nanos)).map(Money::nanos);
        assert_eq!(of("EUR", 2_500_000_000), Some(2_709_250_000));
        assert_eq!(of("XTS", 1), Some(1), "half a nano-dollar rounds up");
        assert_eq!(of("USD", 7), Some(7));
        assert_eq!(of("CNY", 7), None);
        assert_eq!(of("EUR", u64::MAX), Some(u64::MAX), "beyond all money");
    }
}
