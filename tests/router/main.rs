//! The router of the built program: from outside, as processes.

#![expect(clippy::unwrap_used, reason = "what can't be had is a failed test")]

mod long_run;
mod process;
#[cfg(feature = "peers")]
mod sdks;
