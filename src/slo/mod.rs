//! Service level objectives: their rules, and what their traffic can tell.
//!
//! An objective becomes recording rules and multi-window, multi-burn-rate alerts after the Site
//! Reliability Workbook's chapter 5, as the text of a Prometheus rule file. That text is all there
//! is: bellwether's engine parses it as it parses any rule file, and `bellwether slo generate`
//! prints it, so both mean the same by construction.
//!
//! Probes are few where the workbook has millions of requests, so three things are added. A window
//! must hold a minimum of events and of failures before it speaks. Of its long window an alert asks
//! that the failures really spend their share of the budget, counted in the probes that are
//! planned: a history of ten minutes can't pose as one of three days. And the outlook says, before
//! the first probe, how soon each alert can fire at all.

mod objective;
mod outlook;
mod rules;
mod series;
mod settings;
mod text;
mod windows;

pub use objective::{Objective, ObjectiveError};
pub use outlook::{Outlook, PairOutlook, Reach, amount, outlooks};
pub use rules::{ALERT, generate, group_names};
pub use series::{Quantity, recorded_count};
pub use settings::{Alerting, Indicator, Scope, Slo, Subject};
pub use windows::{Pair, SAMPLES_LEAST, Severity, all, pairs, shortest, window_name};
