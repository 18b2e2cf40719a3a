//! The one loop that owns the engine: it waits, hands over what happened, and has done what the
//! engine says. It decides nothing.

mod hands;
mod pace;
mod run;

pub use hands::{Batch, Feeds, Hands, Records, Reload, Sending, Shifting, Splits};
pub use run::{Cadence, Driver};
