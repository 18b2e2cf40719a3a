//! Bellwether: the lead sheep with the bell.
//!
//! Probes LLM providers with real completions, exports what came of them, judges the series with
//! Prometheus rules in process, and fires the rollback. ARCHITECTURE.md tells the flow and who may
//! import whom; `tests/tidy.rs` holds the tree to it.

// Nouns: values in, values out.
pub mod access;
pub mod config;
pub mod engine;
pub mod model;
pub mod notice;
pub mod price;
pub mod probe;
pub mod promql;
pub mod provider;
pub mod release;
pub mod routing;
pub mod rules;
pub mod series;
pub mod shadow;
pub mod slo;
pub mod statistics;
pub mod template;
pub mod yaml;

// Plumbing.
pub mod clock;
pub mod downstream;
pub mod telemetry;
pub mod threads;
pub mod upstream;

// Doers: they own sockets, tasks and time, and never import each other.
pub mod archive;
pub mod datasource;
pub mod driver;
pub mod executor;
pub mod journal;
pub mod notifier;
pub mod prober;
pub mod router;
pub mod server;
pub mod simulator;

// The top.
pub mod app;
pub mod cli;
pub mod demo;
pub mod replay;
