//! One probe for a person to look at.

use std::time::Duration;

use http::Uri;
use tokio::time::Instant;

use super::attempt::{Attempt, attempt};
use super::grading::Circumstances;
use super::line::Line;
use crate::clock::Clock;
use crate::probe::{Outcome, Target};
use crate::upstream::{redacted, warm_up};

/// What a probe did, step by step. Holds no secret, no prompt and no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// `POST`, but for pages.
    pub method: String,
    /// Scheme, host and path; `None` where no request could be built.
    pub url: Option<String>,
    /// Whether the connection was new; `None` where no answer came.
    pub is_new_connection: Option<bool>,
    /// What was sent, secrets as `***`.
    pub request_headers: Vec<(String, String)>,
    /// What came back, secrets as `***`.
    pub response_headers: Vec<(String, String)>,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

/// One step of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the start of the attempt.
    pub at: Duration,
    /// What happened.
    pub what: &'static str,
}

/// Probes a target once, over a new connection, out of all schedule and budget.
pub async fn probe_once(target: &Target, clock: &Clock) -> (Outcome, Trace) {
    warm_up();
    let line = Line::new(target);
    let circumstances = Circumstances::unscheduled(clock);
    let attempt =
        attempt(target, line.as_ref(), clock, circumstances, std::future::pending()).await;
    let origin = line.as_ref().ok().map(|line| line.carrier.origin());
    let trace = trace(&attempt, origin);
    (attempt.outcome, trace)
}

fn trace(attempt: &Attempt, origin: Option<&Uri>) -> Trace {
    let (marks, outcome) = (&attempt.marks, &attempt.outcome);
    let sent = marks.send_start;
    let after = |part: Option<Duration>| sent.zip(part).map(|(sent, part)| sent + part);
    let steps = [
        (marks.connect_start, "connection started"),
        (marks.resolve_end, "name resolved"),
        (marks.tls_start, "TCP connected, TLS started"),
        (marks.connect_end, "connection ready"),
        (sent, "request sent"),
        (attempt.headed, "headers came"),
        (after(outcome.ttft), "first content came"),
        (after(outcome.ttfo), "first output came"),
        (Some(sent.unwrap_or(attempt.started) + outcome.total), "ended"),
    ];
    let since = |moment: Instant| moment.saturating_duration_since(attempt.started);
    Trace {
        method: attempt.method.to_string(),
        url: origin.zip(attempt.path.as_ref()).map(|(origin, path)| {
            let origin = origin.to_string();
            format!("{}{}", origin.trim_end_matches('/'), path.path())
        }),
        is_new_connection: attempt.is_new_connection,
        request_headers: redacted(&attempt.request_headers),
        response_headers: redacted(&attempt.response_headers),
        steps: steps
            .into_iter()
            .filter_map(|(moment, what)| Some(Step { at: since(moment?), what }))
            .collect(),
    }
}
