//! How bellwether calls out: secrets, TLS, proxies, and the stamps that tell the parts of an
//! exchange from each other.
//!
//! Plumbing for every doer that opens a connection. A client follows no redirect and repeats
//! nothing: whoever asks decides what an answer means and whether to ask again.

mod arriving;
mod carrier;
mod certificate;
mod client;
mod failure;
mod headers;
mod pool;
mod secret;
mod stamps;
mod tls;
mod tokens;
mod unpack;
mod way;

pub use arriving::Arriving;
pub use carrier::{Blueprint, Carrier, CarrierError, SendError};
pub use client::{AddressCheck, ClientError, ClientOptions, Idle, Reach, client, guarded_client};
pub use failure::{Stage, classify, describe};
pub use headers::{header_value, headers, provider_key, redacted};
pub use secret::{SecretError, read_secret};
pub use stamps::{Marks, Stamps};
pub use tls::warm_up;
pub use tokens::{TokenError, Tokens};
pub use unpack::{ACCEPTED, Unpack, UnpackError};

#[cfg(test)]
mod tests;
