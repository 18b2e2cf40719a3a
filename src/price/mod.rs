//! What models cost: prices by kind of token, by size and service of a request, and from when.
//!
//! Everything is whole nano-dollars. A sum over tokens is exact and rounded once, so that what is
//! counted here agrees with an invoice to the last digit that the invoice has.

mod amount;
mod currency;
mod list;
mod litellm;
mod rates;

pub use amount::{parse_scaled, scaled};
pub use currency::Currencies;
pub use list::PriceList;
pub use litellm::{Table, TableError};
pub use rates::{Kinds, Price, Rates, Service, Tier};
