//! What providers speak: requests, streams, answers, and what can go wrong with them.
//!
//! Pure: bytes in, events and grades out. Prober and router share all of it, so what is probed is
//! what users get.

mod settings;

mod conversation;
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
mod shape;

mod fault;
mod redact;

mod answer;
mod failure;
mod grade;

pub mod translate;

pub use answer::{Anomaly, LimitKind, RateLimits, Usage};
pub use catalog::{ListError, ListPage, Listed, Standing, list_request, read_list, standing};
pub use conversation::{Conversation, conversation_request};
pub use exam::{Exam, Expectation, Progress, Terminal};
pub use failure::{Attribution, ErrorType, SloClass, StreamPhase};
pub use grade::Grade;
pub use head::Head;
pub use page::{HeaderRule, Method, Page, Surroundings};
pub use redact::without_keys;
pub use request::{Ask, AskedFor, Request, page_request, path, request};
pub use settings::{Auth, Dialect, LimitField, Model, Provider, SharedProvider, UsageWish, Wire};
pub use shape::{Fields, fields};
pub use wait::retry_after;
