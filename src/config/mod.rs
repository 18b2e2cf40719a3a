//! The configuration: one YAML file becomes domain types, once, and is never checked again.
//!
//! Every mistake is collected before any is reported. Each names its place, the value and the
//! remedy; a misspelled name comes with what was probably meant. A secret is never in the file:
//! it is read from an environment variable or a file, so a value written in place of either is
//! refused and not repeated in the message. Paths are relative to the file's own directory, as in
//! Prometheus. Nothing here reads a file: `app::load` does.

mod alertmanagers;
mod amount;
mod check;
mod document;
mod estimate;
mod gates;
mod global;
mod heartbeats;
mod http;
mod maintenance;
mod mirror;
mod page;
mod pagerduty;
mod prices;
mod probes;
mod probing;
mod providers;
mod reader;
mod receivers;
mod releases;
mod rollbacks;
mod route;
mod router;
mod routes;
mod scalar;
mod secret;
mod settings;
mod slack;
mod slos;
mod starter;
mod steps;
mod time_intervals;
mod traffic;
mod web;
mod web_file;
mod wire;

pub use document::{parse, parse_with, price_files, rule_files, template_files};
pub use estimate::{Estimate, TargetEstimate, estimate};
pub use http::http_file;
pub use releases::Release;
pub use secret::secrets;
pub use settings::{Config, Global, Pattern, Storage};
pub use starter::starter;
pub use web_file::{router_file, web_file};
