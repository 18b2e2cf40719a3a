//! The side of those who ask: their connections, and the socket on which they arrive.

mod connection;
mod handover;

pub use connection::{accept, converse};
pub use handover::{Claim, Offer, claim};
