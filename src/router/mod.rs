//! The router: carries live requests to the arm that the table says, and tells what came of each.
//!
//! It listens on its own address and knows the interfaces that clients call, nothing else. `routing`
//! decides; here bodies are moved. A request is held whole, within bounds, since its model stands
//! inside and a failed attempt may be repeated; an answer never is: its bytes go to the client as
//! they come, and the prober's decoder looks at them as they pass. Before the first byte went out, a
//! failure may be followed by another attempt; after it, the client sees what is: a stream that breaks
//! off upstream breaks off here, and one that ends without its end is cut, so that nobody takes it for
//! complete.
//!
//! A new table holds from the next request on; answers under way finish where they are.

mod account;
mod attempt;
mod carry;
mod connection;
mod crew;
mod hygiene;
mod intake;
mod lane;
mod listener;
mod mirror;
mod observe;
mod passing;
mod prepare;
mod search;
mod stored;
mod surfaces;
mod workers;

#[cfg(test)]
mod tests;

pub use listener::{Ends, Leaving, Router};
pub use stored::{StoredError, stored};
