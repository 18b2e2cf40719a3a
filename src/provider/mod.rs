//! What providers speak: requests, streams, answers, and what can go wrong with them.
//!
//! Pure: bytes in, events and grades out. Prober and router share all of it, so what is probed is
//! what users get.

mod answer;
mod failure;
mod settings;

pub use answer::{Anomaly, RateLimits, Usage};
pub use failure::{Attribution, ErrorType, SloClass, StreamPhase};
pub use settings::{Auth, Dialect, Model, Price, Provider, SharedProvider};
