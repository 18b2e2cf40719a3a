//! The provider simulator: speaks every dialect, and fails on purpose as real providers do.
//!
//! A script says how fast it answers and what share of the answers goes wrong, phase by phase. What
//! goes on the wire is planned by pure functions (`plan`, `chat`, `messages`, …) from the question, the
//! script and numbers drawn from a seed; `server` only plays the plan: it waits, sends, falls silent
//! or cuts. So the same seed and the same order of questions give the same answers.

mod answer;
mod azure;
mod chat;
mod connection;
mod control;
mod draws;
mod exchange;
mod fault;
mod gemini;
mod messages;
mod page;
mod plan;
mod play;
mod question;
mod responses;
mod route;
mod script;
mod server;
mod stats;
mod telling;
mod voice;
mod written;

#[cfg(test)]
mod tests;

pub use fault::{Fault, Injection};
pub use script::{Behavior, Phase, Script, Share, ShareError, Slow};
pub use server::Simulator;
pub use stats::Stats;
pub use written::parse_script;
