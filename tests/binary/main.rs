//! The whole binary on loopback: what an operator starts, steers, asks and stops.
//!
//! Each test runs `bellwether` itself, as many processes of it as it needs, all on ports that the
//! system picks. Expected values are written by hand from the documentation of providers, of
//! Prometheus and of Standard Webhooks; nothing of the library computes them. Tests wait for levels
//! (a counter is there), with deadlines for a slow machine, and every process dies with its test.

#![expect(clippy::unwrap_used, reason = "what can't be read or written is a failed test")]

mod access;
mod accounting;
mod api;
mod climb;
mod commands;
mod convert;
mod crash;
mod disk;
mod exposition;
mod faults;
mod hook;
mod ordeal;
mod plan;
mod program;
mod query;
mod receiver;
mod reload;
mod rollback;
mod secrets;
mod service;
mod shadow;
mod stall;
mod state;
mod stop;
mod wait;
