//! Prometheus rules: rule files, groups, the alert state machine, templates.
//!
//! Pure: what a group says at a time follows from its file, its state and the samples it reads.

pub mod template;
