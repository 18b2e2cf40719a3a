//! Samples and where they are read from.
//!
//! Pure: an embedded store of label sets and their points, and the two ports through which PromQL
//! reads and rules write.

mod source;

pub use source::{Sink, Source};
