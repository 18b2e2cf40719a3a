//! Bellwether beside the programs it stands in for: a real Prometheus and a real Alertmanager.
//!
//! Each test runs the built program against two `bellwether simulate` processes and asks Debian's
//! `prometheus`, `promtool` and `prometheus-alertmanager` to have the last word. A program that is
//! missing is a failure.
//!
//! Every port is one that was free a moment ago, every file is in a directory that goes away, and
//! every process is killed with the test. Nothing waits for a time where it can wait for a level.

#![cfg(feature = "peers")]
#![expect(clippy::unwrap_used, reason = "what can't be had is a failed test")]

mod access;
mod agreement;
mod api;
mod clients;
mod delivery;
mod intervals;
mod promtool;
mod run;
mod samples;
mod stage;
mod timeline;
mod web;
