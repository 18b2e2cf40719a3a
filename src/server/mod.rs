//! The HTTP server: `/metrics`, health, reload, the Prometheus API and the page.
//!
//! It reads snapshots that others publish and asks for nothing it could change itself. Calls that
//! change something answer on loopback only until there is authentication, with `Host` and `Origin`
//! checked, so that a web page in the operator's browser can't make them.

mod admin;
mod api;
mod cardinality;
mod exposition;
mod guard;
mod listener;
mod outbox;
mod page;
mod parameters;
mod query;
mod selection;
mod shape;
mod slos;
mod status;
mod targets;

pub use admin::ReloadRequest;
pub use listener::{Server, Views};
pub use outbox::{OutboxRequest, Resent};

#[cfg(test)]
mod tests;
