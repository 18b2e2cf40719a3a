//! Notices: who is told what, in which words, signed how, and when to try again.
//!
//! Pure: the notifier carries it out.

mod alert;
mod alertmanager;
mod answer;
#[cfg(test)]
mod captured;
mod circuit;
mod cut;
mod data;
mod delivery;
mod dispatcher;
mod group;
mod guard;
mod headline;
mod inbound;
mod letter;
mod pagerduty;
mod payload;
mod retry;
mod route;
mod settings;
mod severity;
mod signature;
mod slack;
mod trial;

pub use alert::Alert;
pub use alertmanager::{ALERTS_A_POST, Post, RETENTION, Resend};
pub use answer::read_answer;
pub use circuit::Circuit;
pub use delivery::{Delivery, Endpoint, HookId, Protocol, Sending, endpoints};
pub use dispatcher::{ALERTS_MAX, Dispatch, Dispatcher, Muted};
pub use group::{Notice, Reason};
pub use guard::{Guard, Refused};
pub use inbound::{Inbound, InboundError, read_inbound};
pub use letter::{Letter, LetterState};
pub use pagerduty::{KeyError, PAGERDUTY_URL, with_routing_key};
pub use retry::{Attempt, GiveUp, Policy, Retry, next_attempt, parse_retry_after};
pub use settings::{
    Alertmanager, BeatMethod, Heartbeat, ImageTexts, Integration, LinkTexts, PagerDuty,
    PagerDutyTexts, Receiver, Route, Slack, SlackTexts, Webhook,
};
pub use severity::Severity;
pub use signature::{Signed, SigningError, TOLERANCE, VerifyError, sign, verify};
pub use trial::{TRIAL, trial};
