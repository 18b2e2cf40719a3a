//! A target as the configuration describes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use regex::Regex;

use crate::model::{Money, TargetId};
use crate::provider::{ErrorType, Page, SharedProvider, SloClass};

/// One provider and model that is asked on a fixed cadence.
///
/// Equal targets are the same target: a reload leaves one that is equal to its former self alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name in the configuration.
    pub id: TargetId,
    /// Who is asked.
    pub provider: SharedProvider,
    /// The public name of the model.
    pub model: String,
    /// Whether the answer is streamed.
    pub delivery: Delivery,
    /// The cadence.
    pub interval: Duration,
    /// How many probes may be under way at once; a due probe beyond it is skipped and counted.
    pub in_flight_max: u32,
    /// When to give up.
    pub timeouts: Timeouts,
    /// Latency objectives; they become bucket bounds.
    pub thresholds: Thresholds,
    /// The limit on the answer's tokens.
    pub tokens_max: u32,
    /// The question in place of the built-in one; `{nonce}` is replaced.
    pub prompt: Option<String>,
    /// How the answer is checked.
    pub check: Check,
    /// The page in place of a question, where the provider's dialect is `http`.
    pub page: Option<Page>,
    /// Whether connections are kept.
    pub connection: Connection,
    /// What its probes may cost.
    pub budget: Budget,
    /// Classes that differ from the default.
    pub classes: BTreeMap<ErrorType, SloClass>,
}

impl Target {
    /// What an error type counts as for this target.
    pub fn class(&self, error_type: ErrorType) -> SloClass {
        self.classes.get(&error_type).copied().unwrap_or_else(|| error_type.class())
    }
}

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// By server-sent events.
    Streamed,
    /// As one body.
    Whole,
}

/// When a probe gives up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name, TCP and TLS together.
    pub connect: Duration,
    /// From send to the first content.
    pub first_token: Duration,
    /// Between two pieces of content.
    pub idle: Duration,
    /// From send to the end.
    pub total: Duration,
}

/// Latency objectives of a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thresholds {
    /// For the first token.
    pub ttft: Option<Duration>,
    /// For the whole answer.
    pub total: Option<Duration>,
}

/// How an answer is checked.
#[derive(Clone, Debug)]
pub enum Check {
    /// It contains this probe's nonce.
    Nonce,
    /// It contains a text; `{nonce}` is replaced.
    Contains(String),
    /// It matches a regular expression.
    Regex(Arc<Regex>),
    /// It is JSON that satisfies a schema: `type`, `required`, `properties`, `items`, `enum`, `const`.
    Json(serde_json::Value),
    /// Anything that is not empty will do.
    Any,
}

/// Two regular expressions are equal when they are written alike.
impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nonce, Self::Nonce) | (Self::Any, Self::Any) => true,
            (Self::Contains(left), Self::Contains(right)) => left == right,
            (Self::Regex(left), Self::Regex(right)) => left.as_str() == right.as_str(),
            (Self::Json(left), Self::Json(right)) => left == right,
            (Self::Nonce | Self::Contains(_) | Self::Regex(_) | Self::Json(_) | Self::Any, _) => {
                false
            }
        }
    }
}

/// Whether connections are kept between probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// One warm connection for each target.
    Warm,
    /// A new connection, with DNS, TCP and TLS, for each probe.
    New,
}

/// What probes may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Budget {
    /// At most this much; at least one of the two is there.
    Limited {
        /// In a day (UTC).
        daily: Option<Money>,
        /// In a calendar month (UTC).
        monthly: Option<Money>,
    },
    /// No limit, as the configuration says in so many words.
    Unlimited,
}

impl Budget {
    /// What a day may cost, if there is a limit: a month has thirty of them here, and is spent evenly.
    pub fn of_a_day(self) -> Option<Money> {
        match self {
            Self::Limited { daily, monthly } => {
                let monthly = monthly.map(|monthly| Money::from_nanos(monthly.nanos() / 30));
                [daily, monthly].into_iter().flatten().min()
            }
            Self::Unlimited => None,
        }
    }
}
