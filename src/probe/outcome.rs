//! What came of a probe.

use std::time::Duration;

use crate::model::{Money, TargetId, Timestamp};
use crate::provider::{Anomaly, ErrorType, RateLimits, SloClass, StreamPhase, Usage};

/// What came of one fired probe: exactly one error type, and every measurement that was had.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Who was asked.
    pub target: TargetId,
    /// Counts the target's due times from the start of the process.
    pub sequence: u64,
    /// When it was due.
    pub due: Timestamp,
    /// When its result stood.
    pub finished: Timestamp,
    /// How long after it was due it was sent.
    pub lateness: Duration,
    /// What came of it.
    pub error_type: ErrorType,
    /// What it counts as; a timing failure while bellwether itself was stalled is excluded, as is all
    /// that comes of planned maintenance.
    pub class: SloClass,
    /// For people: what exactly was seen, without secrets, prompts or answers.
    pub detail: String,
    /// Where a stream broke, for failures inside one.
    pub broke: Option<StreamPhase>,
    /// How long each part took.
    pub phases: Phases,
    /// From send to the first text, reasoning, refusal or tool delta.
    pub ttft: Option<Duration>,
    /// The same without reasoning.
    pub ttfo: Option<Duration>,
    /// (last content − first content) / (output tokens − 1).
    pub time_per_output_token: Option<Duration>,
    /// Gaps between pieces of content, at most 1,024 of them.
    pub gaps: Vec<Duration>,
    /// From send to terminal evidence, or to the failure.
    pub total: Duration,
    /// The HTTP status, where one came.
    pub status: Option<u16>,
    /// Tokens, where the provider said.
    pub usage: Option<Usage>,
    /// What it cost; `None` where usage or price is unknown.
    pub cost: Option<Money>,
    /// Oddities that are no failure.
    pub anomalies: Vec<Anomaly>,
    /// What the provider said of our limits.
    pub rate_limits: RateLimits,
    /// When the certificate that the provider showed ends, where this probe saw one.
    pub certificate_expires: Option<Timestamp>,
    /// The provider's id of the request, for a support ticket.
    pub request_id: Option<String>,
    /// Whether this was the first probe of its target in this process: left out of latency.
    pub is_cold: bool,
    /// Whether bellwether itself was well all the while; if not, latency is left out.
    pub is_conclusive: bool,
    /// Whether its provider was in planned maintenance at any moment of it; then its class is
    /// excluded, and it is counted apart.
    pub is_planned: bool,
}

/// How long each part of an exchange took; `None` for parts that did not happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// Name resolution.
    pub dns: Option<Duration>,
    /// TCP.
    pub connect: Option<Duration>,
    /// TLS.
    pub tls: Option<Duration>,
    /// From the request's send to the answer's headers.
    pub headers: Option<Duration>,
    /// From the headers to the first content.
    pub first_content: Option<Duration>,
    /// From the first content to the end.
    pub stream: Option<Duration>,
}

/// Why a due probe was not fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipReason {
    /// As many as allowed were still under way.
    InFlight,
    /// The day's budget is spent.
    BudgetSkipped,
    /// The provider asked for a wait: a limit is used up.
    RateLimited,
}

impl SkipReason {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::InFlight, Self::BudgetSkipped, Self::RateLimited];

    /// The value of the label `reason`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::BudgetSkipped => "budget_skipped",
            Self::RateLimited => "rate_limited",
        }
    }
}
