//! What providers speak: requests, streams, answers, and what can go wrong with them.
//!
//! Pure: bytes in, events and grades out. Prober and router share all of it, so what is probed is
//! what users get.

mod settings;

mod request;

mod exam;
mod head;
mod wait;

mod reading;
mod sse;

mod catalog;

mod anthropic;
mod gemini;
mod json;
mod openai;
mod page;
mod responses;

mod fault;
mod redact;

mod answer;
mod failure;
mod grade;

pub mod translate;

pub use answer::{Anomaly, LimitKind, RateLimits, Usage};
pub use catalog::{ListError, ListPage, Listed, Standing, list_request, read_list, standing};
pub use exam::{Exam, Expectation, Progress, Terminal};
pub use failure::{Attribution, ErrorType, SloClass, StreamPhase};
pub use grade::Grade;
pub use head::Head;
pub use page::{HeaderRule, Method, Page, Surroundings};
pub use request::{Ask, Request, page_request, path, request};
pub use settings::{Auth, Dialect, LimitField, Model, Provider, SharedProvider, UsageWish, Wire};
pub use wait::retry_after;
