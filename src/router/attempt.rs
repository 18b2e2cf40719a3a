//! One attempt at one target, up to the first byte of its answer.
//!
//! Nothing has gone to the client when an attempt ends here, so a failure may be followed by another.
//! A stream whose first piece already says that it failed counts as failed, and so does what is no
//! stream where one was asked for; one that begins well is passed on. An error's body is read first, since only it tells a quota from a limit.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::response::Parts;
use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use tokio::time::{Instant, timeout_at};

use super::hygiene::{self, Keys};
use super::intake::Order;
use super::lane::Lane;
use super::observe::{Asked, Observed, Observer};
use crate::clock::Clock;
use crate::provider::ErrorType;
use crate::routing::Credentials;
use crate::upstream::{Stage, classify, describe};

/// Errors are a few hundred bytes; of a longer one the rest passes unread.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// How long an error's body is waited for: its status says most.
const ERROR_BODY: Duration = Duration::from_secs(2);

/// An answer that can be passed on.
pub(super) struct Answer {
    pub head: Parts,
    /// What was read of the body.
    pub first: VecDeque<Bytes>,
    /// What follows, if anything does.
    pub rest: Option<Incoming>,
    /// Watches what follows; where all is known already, what came of it.
    pub watch: Watch,
}

/// Whether an answer is graded yet.
pub(super) enum Watch {
    Watching(Box<Observer>),
    Graded(Box<Observed>),
}

/// An attempt that failed before anything went to the client.
pub(super) struct Failed {
    pub observed: Observed,
    /// What the provider said, where it said something that can be passed on.
    pub answer: Option<Answer>,
}

/// Asks a target.
pub(super) async fn attempt(
    order: &Order,
    lane: &Lane,
    clock: &Clock,
    sent: Instant,
) -> Result<Answer, Box<Failed>> {
    let timeouts = &order.desk.route.timeouts;
    let wait = if order.is_streamed { timeouts.first_token } else { timeouts.total };
    let by = sent + wait;
    let nothing = |error_type, detail: String| {
        let observed = Observed::nothing(error_type, detail, sent.elapsed());
        Box::new(Failed { observed, answer: None })
    };
    let late = || {
        let error_type =
            if order.is_streamed { ErrorType::TtftTimeout } else { ErrorType::TotalTimeout };
        nothing(error_type, format!("nothing within {wait:?}"))
    };
    let request = match request(order, lane) {
        Ok(request) => request,
        Err(error) => return Err(nothing(ErrorType::Internal, error)),
    };
    let carrier = lane.carrier().map_err(|error| nothing(ErrorType::Internal, chain(&error)))?;
    let response = match timeout_at(by, carrier.send(request)).await {
        Err(_) => return Err(late()),
        Ok(Err(error)) => {
            let stage = if error.is_connect() { Stage::Connecting } else { Stage::Waiting };
            return Err(nothing(classify(&error, stage), describe(&error)));
        }
        Ok(Ok(response)) => response,
    };
    let (mut head, mut body) = response.into_parts();
    let asked = Asked {
        surface: order.surface,
        is_streamed: order.is_streamed,
        model: lane.target.provider.upstream_model(&lane.target.model),
        sent,
    };
    let mut observer = Observer::new(asked, head.status.as_u16(), &head.headers, clock);
    hygiene::response(&mut head.headers);
    if !head.status.is_success() || observer.is_something_else() {
        return Err(refused(head, body, observer).await);
    }
    let first = loop {
        match timeout_at(by, body.frame()).await {
            Err(_) => return Err(late()),
            Ok(None) => break None,
            Ok(Some(Err(error))) => {
                return Err(nothing(classify(&error, Stage::Reading), describe(&error)));
            }
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data()
                    && !bytes.is_empty()
                {
                    break Some(bytes);
                }
            }
        }
    };
    let now = Instant::now();
    let Some(first) = first else {
        let is_whole = observer.end(now);
        let observed = observer.finish();
        return judged(head, VecDeque::new(), None, observed, is_whole);
    };
    observer.bytes(&first, now);
    let first = VecDeque::from([first]);
    if observer.is_stream() && observer.is_over() && !observer.has_content() {
        return judged(head, first, Some(body), observer.finish(), true);
    }
    let watch = Watch::Watching(Box::new(observer));
    Ok(Answer { head, first, rest: Some(body), watch })
}

/// An answer about which everything is known: good enough to pass on, or a failure.
fn judged(
    head: Parts,
    first: VecDeque<Bytes>,
    rest: Option<Incoming>,
    observed: Observed,
    is_whole: bool,
) -> Result<Answer, Box<Failed>> {
    let is_good = observed.error_type == ErrorType::None;
    let watch = Watch::Graded(Box::new(observed.clone()));
    let answer = Answer { head, first, rest, watch };
    if is_good {
        return Ok(answer);
    }
    // A stream of which nothing came is not passed on as if it were one.
    Err(Box::new(Failed { observed, answer: is_whole.then_some(answer) }))
}

/// Reads an error, as far as it is worth.
async fn refused(head: Parts, mut body: Incoming, mut observer: Observer) -> Box<Failed> {
    let by = Instant::now() + ERROR_BODY;
    let mut first = VecDeque::new();
    let mut size = 0;
    let mut rest = None;
    while size <= ERROR_BYTES_MAX {
        match timeout_at(by, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(bytes) = frame.into_data() {
                    size += bytes.len();
                    observer.bytes(&bytes, Instant::now());
                    first.push_back(bytes);
                }
            }
            // What broke or does not come is left out; the status says more than how its body broke.
            Ok(None | Some(Err(_))) | Err(_) => break,
        }
    }
    if size > ERROR_BYTES_MAX && !body.is_end_stream() {
        rest = Some(body);
    }
    observer.end(Instant::now());
    let observed = observer.finish();
    let watch = Watch::Graded(Box::new(observed.clone()));
    Box::new(Failed { observed, answer: Some(Answer { head, first, rest, watch }) })
}

/// Writes the request as the target gets it.
fn request(order: &Order, lane: &Lane) -> Result<http::Request<Full<Bytes>>, String> {
    let target = &lane.target;
    let keys = match order.desk.route.credentials {
        Credentials::Ours => Keys::Kept,
        Credentials::Clients => Keys::Passed,
    };
    let mut headers = hygiene::request(&order.headers, keys);
    if keys == Keys::Kept {
        let ours = lane.keys().map_err(|error| chain(&error))?;
        extend(&mut headers, &ours);
    }
    let model = target.provider.upstream_model(&target.model);
    let body = match order.named.renamed(&order.body, model) {
        Some(body) => Bytes::from(body),
        None => order.body.clone(),
    };
    let uri = lane.uri(order.surface, order.query.as_deref()).map_err(|error| chain(&error))?;
    let mut request = http::Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Puts ours in place of theirs.
fn extend(headers: &mut HeaderMap, ours: &HeaderMap) {
    for name in ours.keys() {
        headers.remove(name);
    }
    for (name, value) in ours {
        headers.append(name, value.clone());
    }
}

/// The whole chain: it is read by the operator whose mistake it is.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
