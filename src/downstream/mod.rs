//! The side of those who ask: their connections, the socket on which they arrive, and by what they are
//! let in.

mod connection;
mod door;
mod handover;
mod tls;

pub use connection::{accept, converse};
pub use door::{Door, PeerCertificate, Protocols, shake_hands};
pub use handover::{Claim, Offer, claim};
