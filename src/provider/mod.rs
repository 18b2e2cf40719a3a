//! What providers speak: requests, streams, answers, and what can go wrong with them.
//!
//! Pure: bytes in, events and grades out. Prober and router share all of it, so what is probed is
//! what users get.

mod settings;

mod answer;
mod exam;
mod failure;
mod head;
mod request;
mod sse;
mod wait;

pub use answer::{Anomaly, RateLimits, Usage};
pub use exam::{Exam, Expectation, Grade, Progress, Terminal};
pub use failure::{Attribution, ErrorType, SloClass, StreamPhase};
pub use head::Head;
pub use request::{Ask, Request, request};
pub use settings::{Auth, Dialect, Model, Price, Provider, SharedProvider};
pub use wait::retry_after;
