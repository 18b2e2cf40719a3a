//! One probe of one target: question, exchange, grade.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Uri};
use tokio::time::Instant;

use super::exchange;
use super::grading::{Circumstances, Heard, grade};
use super::line::{self, Line, LineError};
use super::record::Record;
use crate::clock::Clock;
use crate::probe::{Delivery, Outcome, Question, Target};
use crate::provider::{ErrorType, Exam, Expectation, Request};
use crate::upstream::{Marks, Stamps};

/// An outcome and what `probe_once` shows beside it.
#[derive(Debug)]
pub(super) struct Attempt {
    pub outcome: Outcome,
    pub heard: Heard,
    /// The body as it came, where it was to be kept.
    pub tape: Option<Vec<u8>>,
    pub started: Instant,
    pub marks: Marks,
    pub headed: Option<Instant>,
    pub is_new_connection: Option<bool>,
    pub method: http::Method,
    /// Where the request went, below the origin; `None` where none could be built.
    pub path: Option<Uri>,
    pub request_headers: HeaderMap,
    pub response_headers: HeaderMap,
}

impl Attempt {
    /// Whether anything was written to the provider.
    pub fn was_sent(&self) -> bool {
        self.marks.send_start.is_some()
    }
}

/// A pool holds about as many connections as probes may be under way at once, two by default.
const STALE_MAX: u32 = 3;
const STOPPED: &str = "bellwether stopped or reloaded";

/// Probes a target once; when `cancel` ends first, the outcome is `cancelled`.
///
/// Servers close connections that rest, each after a time of its own, and now and then just as the
/// next question goes out. That says nothing about the provider: it is asked again over another
/// connection and measured there. It is counted as an anomaly, so that it is never silent.
pub(super) async fn attempt(
    target: &Target,
    line: Result<&Line, &LineError>,
    clock: &Clock,
    circumstances: Circumstances,
    cancel: impl Future<Output = ()>,
) -> Attempt {
    let body = target.page.as_ref().map(|page| page.body.as_deref().unwrap_or_default());
    let question = Question::new(body.or(target.prompt.as_deref()), rand::random());
    let request = line::question(target, &question.prompt);
    let errand = Errand { request, nonce: question.nonce, is_taped: false };
    carry_out(target, line, clock, circumstances, &errand, cancel).await
}

/// What is asked, once it is written in the provider's dialect.
#[derive(Debug)]
pub(super) struct Errand {
    pub request: Request,
    /// The word that a check may look for.
    pub nonce: String,
    /// Whether the answer's body is kept as it comes.
    pub is_taped: bool,
}

/// Asks a target something once.
pub(super) async fn carry_out(
    target: &Target,
    line: Result<&Line, &LineError>,
    clock: &Clock,
    circumstances: Circumstances,
    errand: &Errand,
    cancel: impl Future<Output = ()>,
) -> Attempt {
    let started = Instant::now();
    tokio::pin!(cancel);
    let mut asked = ask(target, line, clock, errand, cancel.as_mut()).await;
    for _ in 0..STALE_MAX {
        if !asked.record.is_stale {
            break;
        }
        asked = ask(target, line, clock, errand, cancel.as_mut()).await;
        asked.record.has_asked_again = true;
    }
    let Asked { mut record, method, path, request_headers, response_headers } = asked;
    let tape = record.tape.take();
    let (headed, is_new_connection) = (record.headed, record.is_new_connection);
    let marks = record.stamps.marks();
    let get = |name: &str| {
        let value = response_headers.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let (outcome, heard) = grade(record, target, &errand.nonce, &get, circumstances, clock);
    Attempt {
        outcome,
        heard,
        tape,
        started,
        marks,
        headed,
        is_new_connection,
        method,
        path,
        request_headers,
        response_headers,
    }
}

/// A question that was asked once.
struct Asked {
    record: Record,
    method: http::Method,
    path: Option<Uri>,
    request_headers: HeaderMap,
    response_headers: HeaderMap,
}

async fn ask(
    target: &Target,
    line: Result<&Line, &LineError>,
    clock: &Clock,
    errand: &Errand,
    cancel: impl Future<Output = ()>,
) -> Asked {
    let stamps = Arc::new(Stamps::default());
    let now = Instant::now();
    let mut record = Record::new(exam(target), Arc::clone(&stamps), target.delivery, now);
    record.tape = errand.is_taped.then(Vec::new);
    let mut path = None;
    let mut method = http::Method::POST;
    let mut request_headers = HeaderMap::new();
    let mut response_headers = HeaderMap::new();
    tokio::pin!(cancel);
    let built = async {
        let line = line.map_err(explain)?;
        let request = line::build(&target.provider, line, errand.request.clone()).await;
        Ok((line, request.map_err(|error| explain(&error))?))
    };
    let built = tokio::select! {
        biased;
        built = built => built.map_err(|detail| (ErrorType::Internal, detail)),
        () = &mut cancel => Err((ErrorType::Cancelled, STOPPED.to_owned())),
    };
    match built {
        Err((error_type, detail)) => record.fail(Instant::now(), error_type, detail),
        Ok((line, request)) => {
            path = Some(request.uri().clone());
            method = request.method().clone();
            request_headers = request.headers().clone();
            let headers = tokio::select! {
                biased;
                headers = exchange::run(&mut record, line, clock, &target.timeouts, request) => {
                    headers
                }
                () = &mut cancel => {
                    record.fail(Instant::now(), ErrorType::Cancelled, STOPPED.to_owned());
                    None
                }
            };
            response_headers = headers.unwrap_or_default();
        }
    }
    Asked { record, method, path, request_headers, response_headers }
}

impl Circumstances {
    /// Those of a probe that nobody scheduled.
    pub fn unscheduled(clock: &Clock) -> Self {
        Self { sequence: 0, due: clock.now(), lateness: Duration::ZERO, is_cold: true }
    }
}

fn exam(target: &Target) -> Exam {
    let is_streamed = target.delivery == Delivery::Streamed;
    let expectation = Expectation::of(&target.provider, &target.model, is_streamed);
    Exam::new(target.provider.dialect, expectation)
}

/// The whole chain: it is read by the operator whose mistake it is.
fn explain(error: &LineError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
