//! The HTTP server: `/metrics`, health, reload, the Prometheus API and the page.
//!
//! It reads snapshots that others publish and asks for nothing it could change itself. Every call
//! that changes something passes `guard`, which knows who calls and why; `access` says what that
//! allows. Who calls is told by the web configuration file and by tokens, both of which may be
//! replaced while it serves.

mod admin;
mod api;
mod cardinality;
mod costs;
mod evidence;
mod exposition;
mod gates;
mod gray;
mod guard;
mod headline;
mod hook;
mod keys;
mod listener;
mod outbox;
mod page;
mod parameters;
mod passwords;
mod query;
mod releases;
mod selection;
mod shape;
mod slos;
mod status;
mod table;
mod targets;

pub use admin::ReloadRequest;
pub use evidence::Evidence;
pub use hook::PostRequest;
pub use keys::Keys;
pub use listener::{Server, Views};
pub use outbox::{OutboxRequest, Resent};
pub use releases::{ReleaseLog, ReleaseRequest, Releases};

#[cfg(test)]
mod tests;
