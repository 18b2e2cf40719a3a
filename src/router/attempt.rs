//! One attempt at one target, up to the first byte of its answer.
//!
//! Nothing has gone to the client when an attempt ends here, so a failure may be followed by another.
//! A stream whose first piece already says that it failed counts as failed, and so does what is no
//! stream where one was asked for; one that begins well is passed on. An error's body is read first, since only it tells a quota from a limit.

use std::collections::VecDeque;
use std::time::Duration;

use axum::http::response::Parts;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Body as _;
use tokio::time::{Instant, timeout_at};

use super::hygiene::{self, Keys};
use super::intake::Order;
use super::lane::Lane;
use super::observe::{Asked, Observed, Observer};
use super::prepare::{Prepared, Told};
use super::workers::Seat;
use crate::clock::Clock;
use crate::provider::ErrorType;
use crate::provider::translate::{self, Direction, Lost, Stream};
use crate::routing::Credentials;
use crate::upstream::{Arriving, Carrier, Stage, classify, describe};

/// Errors are a few hundred bytes; of a longer one the rest passes unread.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// As much of a whole answer as the decoder takes.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// How long an error's body is waited for: its status says most.
const ERROR_BODY: Duration = Duration::from_secs(2);

/// An answer that can be passed on.
pub(super) struct Answer {
    pub head: Parts,
    /// What was read of the body.
    pub first: VecDeque<Bytes>,
    /// What follows, if anything does.
    pub rest: Option<Arriving>,
    /// Watches what follows; where all is known already, what came of it.
    pub watch: Watch,
    /// Where the client's words are others.
    pub told: Option<Retold>,
}

/// How an answer is told in other words.
pub(super) enum Retold {
    /// Event by event: this tells what follows.
    Stream(Box<Stream>),
    /// At once, but for this.
    Whole(Direction, Vec<Lost>),
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
    prepared: &Prepared,
    lane: &Lane,
    seat: Seat,
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
    let carrier =
        lane.carrier(seat).map_err(|error| nothing(ErrorType::Internal, chain(&error)))?;
    let request = match timeout_at(by, request(order, prepared, lane, carrier)).await {
        Err(_) => return Err(nothing(ErrorType::Internal, format!("no token within {wait:?}"))),
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return Err(nothing(ErrorType::Internal, error)),
    };
    let response = match timeout_at(by, carrier.send(request, None)).await {
        Err(_) => return Err(late()),
        Ok(Err(error)) => {
            return Err(nothing(classify(&error, error.stage()), describe(&error)));
        }
        Ok(Ok(response)) => response,
    };
    let (mut head, mut body) = response.into_parts();
    let asked = Asked {
        dialect: lane.target.provider.dialect,
        decoder: prepared.decoder,
        is_streamed: order.is_streamed,
        model: lane.target.provider.answering_model(&lane.target.model),
        sent,
    };
    let mut observer = Observer::new(asked, head.status.as_u16(), &head.headers, clock);
    hygiene::response(&mut head.headers);
    if !head.status.is_success() || observer.is_something_else() {
        return Err(refused(head, body, observer, prepared.told).await);
    }
    if let (Some(told), false) = (prepared.told, order.is_streamed) {
        return whole(head, body, observer, told, by).await;
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
        return judged((head, VecDeque::new(), None), observed, is_whole, None);
    };
    observer.bytes(&first, now);
    let mut told = prepared.told.map(|told| Box::new(told.stream()));
    let first = match &mut told {
        Some(told) => {
            head.headers.remove(header::CONTENT_LENGTH);
            Bytes::from(told.feed(&first))
        }
        None => first,
    };
    let told = told.map(Retold::Stream);
    let first = VecDeque::from([first]);
    if observer.is_stream() && observer.is_over() && !observer.has_content() {
        let rest = told.is_none().then_some(body);
        return judged((head, first, rest), observer.finish(), true, None);
    }
    let watch = Watch::Watching(Box::new(observer));
    Ok(Answer { head, first, rest: Some(body), watch, told })
}

/// Reads a whole answer, to tell it in the client's words.
async fn whole(
    mut head: Parts,
    mut body: Arriving,
    mut observer: Observer,
    told: Told,
    by: Instant,
) -> Result<Answer, Box<Failed>> {
    let mut bytes = Vec::new();
    let failure = loop {
        match timeout_at(by, body.frame()).await {
            Err(_) => break Some(ErrorType::TotalTimeout),
            Ok(Some(Err(error))) => break Some(classify(&error, Stage::Reading)),
            Ok(None) => break None,
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    observer.bytes(&piece, Instant::now());
                    bytes.extend_from_slice(&piece);
                }
                if bytes.len() > ANSWER_BYTES_MAX {
                    break Some(ErrorType::Other);
                }
            }
        }
    };
    let now = Instant::now();
    match failure {
        Some(failure) => observer.broke(failure, now),
        None => {
            observer.end(now);
        }
    }
    let observed = observer.finish();
    let answer = translate::answer(told.direction, &bytes, told.now);
    let Some(answer) = answer.ok().filter(|_| failure.is_none()) else {
        let error_type = match observed.error_type {
            ErrorType::None => ErrorType::SchemaMismatch,
            other => other,
        };
        let observed = Observed { error_type, ..observed };
        return Err(Box::new(Failed { observed, answer: None }));
    };
    head.headers.remove(header::CONTENT_LENGTH);
    let told = Some(Retold::Whole(told.direction, answer.lost));
    judged((head, VecDeque::from([Bytes::from(answer.body)]), None), observed, true, told)
}

/// An answer about which everything is known: good enough to pass on, or a failure.
fn judged(
    (head, first, rest): (Parts, VecDeque<Bytes>, Option<Arriving>),
    observed: Observed,
    is_whole: bool,
    told: Option<Retold>,
) -> Result<Answer, Box<Failed>> {
    let is_good = observed.error_type == ErrorType::None;
    let watch = Watch::Graded(Box::new(observed.clone()));
    let answer = Answer { head, first, rest, watch, told };
    if is_good {
        return Ok(answer);
    }
    // A stream of which nothing came is not passed on as if it were one.
    Err(Box::new(Failed { observed, answer: is_whole.then_some(answer) }))
}

/// Reads an error, as far as it is worth.
async fn refused(
    mut head: Parts,
    mut body: Arriving,
    mut observer: Observer,
    told: Option<Told>,
) -> Box<Failed> {
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
    if let Some(told) = told {
        if head.status.is_success() {
            // No error, and no stream: it can't be told.
            return Box::new(Failed { observed, answer: None });
        }
        let bytes = first.iter().flatten().copied().collect::<Vec<u8>>();
        let status = head.status.as_u16();
        let said = translate::refusal(told.direction, status, &bytes);
        let status = translate::status(told.direction, status, &bytes);
        head.status = StatusCode::from_u16(status).unwrap_or(head.status);
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        // Google says in the body how long to wait, where clients of the others don't look.
        if let (Some(wait), false) =
            (observed.retry_after, head.headers.contains_key(header::RETRY_AFTER))
        {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            head.headers.insert(header::RETRY_AFTER, seconds.into());
        }
        (first, rest) = (VecDeque::from([Bytes::from(said.body)]), None);
    }
    let answer = Answer { head, first, rest, watch, told: None };
    Box::new(Failed { observed, answer: Some(answer) })
}

/// Writes the request as the target gets it.
async fn request(
    order: &Order,
    prepared: &Prepared,
    lane: &Lane,
    carrier: &Carrier,
) -> Result<http::Request<Full<Bytes>>, String> {
    let keys = match order.desk.route.credentials {
        Credentials::Ours => Keys::Kept,
        Credentials::Clients => Keys::Passed,
    };
    let mut headers = hygiene::request(&order.headers, keys);
    let query = order.query.as_deref().filter(|_| prepared.told.is_none());
    if let Some(told) = prepared.told {
        hygiene::retold(&mut headers, told.direction);
    }
    if keys == Keys::Kept {
        let ours = lane.keys().map_err(|error| chain(&error))?;
        extend(&mut headers, &ours);
        if let Some(token) = lane.token().await.map_err(|error| chain(&error))? {
            headers.insert(header::AUTHORIZATION, token);
        }
    }
    let uri = carrier.path(&prepared.path, query).map_err(|error| chain(&error))?;
    let mut request = http::Request::new(Full::new(prepared.body.clone()));
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
