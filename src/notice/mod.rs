//! Notices: who is told what, in which words, signed how, and when to try again.
//!
//! Pure: the notifier carries it out.

mod settings;

pub use settings::{Alertmanager, Receiver, Route, Webhook};
