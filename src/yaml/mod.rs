//! YAML with places: what the operator wrote, and where in the file each piece of it stands.
//!
//! Serde's YAML reader knows types but gives a place to at most one mistake. Here a file becomes a
//! tree in which every node knows its place, so that all mistakes can be collected and each can be
//! pointed at, down to a character of a PromQL expression inside a block scalar.

mod build;
mod node;
mod runs;

pub use build::parse;
pub use node::{Node, Scalar, Style, Yaml};
