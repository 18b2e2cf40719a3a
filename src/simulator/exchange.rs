//! One request and its response.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::connection::Cut;
use super::control;
use super::plan::{Reply, list, plan, refuse};
use super::play::{Body, SILENCE_MAX, Severed, full, play};
use super::question::{Question, Unclear};
use super::responses;
use super::route::{Asked, Route, route};
use super::server::{Peer, Stage};
use super::voice::Complaint;
use crate::provider::Dialect;

/// No probe's question is anywhere near this.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);
const NO_KEY: &str = "simulated: the key is missing or wrong";

/// Answers a request, whatever it is.
pub(super) async fn answer(
    stage: &Stage,
    peer: &Peer,
    request: Request<Incoming>,
) -> Result<Response<Body>, Severed> {
    let started = Instant::now();
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let route = route(path, head.uri.query().unwrap_or_default());
    let body = if head.method == Method::GET { Ok(Bytes::new()) } else { read(body).await };
    match (&head.method, route) {
        (method, Some(Route::Ask(asked)))
            if method == Method::POST || asked.dialect == Dialect::Http =>
        {
            let reply = reply(stage, &asked, &head.headers, body);
            respond(reply, started, peer.cut.clone()).await
        }
        (&Method::GET, Some(Route::Models(dialect))) => {
            let reply = models(stage, dialect, &head.headers);
            respond(reply, started, peer.cut.clone()).await
        }
        _ if path.starts_with("/-/") => Ok(match body {
            Ok(body) => {
                control::answer(stage, peer.address, &head.method, path, &head.headers, &body)
            }
            Err(unread) => plain(unread.status(), "the body did not arrive or is above 1 MB\n"),
        }),
        (_, Some(Route::Ask(_))) => Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only POST\n")),
        (_, Some(Route::Models(_))) => Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n")),
        _ => Ok(plain(StatusCode::NOT_FOUND, "no such path\n")),
    }
}

/// A response of plain text.
pub(super) fn plain(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(full(text));
    *response.status_mut() = status;
    response
}

/// Why a body was not read.
#[derive(Clone, Copy, Debug)]
enum Unread {
    TooLarge,
    Broken,
}

impl Unread {
    fn status(self) -> StatusCode {
        match self {
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

async fn read(body: Incoming) -> Result<Bytes, Unread> {
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, BODY_BYTES_MAX).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) | Err(_) => Err(Unread::Broken),
    }
}

/// The reply to a question, counted.
fn reply(stage: &Stage, asked: &Asked, headers: &HeaderMap, body: Result<Bytes, Unread>) -> Reply {
    let (now, dialect) = (stage.clock.now(), asked.dialect);
    stage.with(|state| {
        let number = state.stats.requests + 1;
        let mut refused = |counted_as: &str, status, message: &str| {
            state.stats.count(counted_as);
            refuse(dialect, (status, Complaint::Status(status)), message, number, now)
        };
        if !has_key(state.script.key.as_deref(), headers) {
            return refused("unauthorized", 401, NO_KEY);
        }
        let body = match body {
            Ok(body) => body,
            Err(unread) => {
                let status = unread.status().as_u16();
                return refused("bad_request", status, "simulated: the body cannot be read");
            }
        };
        let question = if dialect == Dialect::AnthropicMessages
            && !headers.contains_key("anthropic-version")
        {
            Err(Unclear::Version)
        } else {
            Question::read(asked, &body)
        };
        let question = match question {
            Ok(question) => question,
            Err(unclear) => return refused("bad_request", 400, &format!("simulated: {unclear}")),
        };
        if dialect != Dialect::Http && !state.script.knows(&question.model) {
            return refused("unknown_model", 404, "simulated: the model does not exist");
        }
        if let Some(previous) = &question.previous
            && !responses::is_kept(previous, stage.home, number)
        {
            state.stats.count("unknown_previous");
            let message = format!("Previous response with id '{previous}' not found.");
            let complaint = (400, Complaint::PreviousNotFound);
            return refuse(dialect, complaint, &message, number, now);
        }
        let (behavior, draws) = (state.behavior(), stage.draws(number));
        let plan = plan(&question, &behavior, stage.home, number, now, draws);
        let fault = plan.fault.map(|fault| fault.counted_as());
        state.stats.count(fault.as_deref().unwrap_or("healthy"));
        state.stats.slow += u64::from(plan.is_slow);
        plan.reply
    })
}

/// Any way of sending a key will do, as it does with relays.
fn has_key(demanded: Option<&str>, headers: &HeaderMap) -> bool {
    let Some(demanded) = demanded else { return true };
    let bearer = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.strip_prefix("Bearer "));
    let named = ["x-api-key", "api-key", "x-goog-api-key"].into_iter();
    let named = named.filter_map(|name| headers.get(name)?.to_str().ok());
    bearer.into_iter().chain(named).any(|key| key == demanded)
}

async fn respond(reply: Reply, started: Instant, cut: Cut) -> Result<Response<Body>, Severed> {
    let Some(head_at) = reply.head_at else {
        sleep(SILENCE_MAX).await;
        return Err(Severed);
    };
    sleep_until(started + head_at).await;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    if let Some(length) = reply.length {
        response = response.header("content-length", length);
    }
    let body = play(reply.steps, started, cut);
    Ok(response.body(body).expect("names are constants; values are digits, letters and dashes"))
}

fn models(stage: &Stage, dialect: Dialect, headers: &HeaderMap) -> Reply {
    let now = stage.clock.now();
    // Of those that share a path only one sends this header, and nothing else tells them apart.
    let is_anthropic = dialect == Dialect::OpenaiChat && headers.contains_key("anthropic-version");
    let dialect = if is_anthropic { Dialect::AnthropicMessages } else { dialect };
    stage.with(|state| {
        let number = state.stats.requests;
        if has_key(state.script.key.as_deref(), headers) {
            list(dialect, &state.script.models, number, now)
        } else {
            refuse(dialect, (401, Complaint::Status(401)), NO_KEY, number, now)
        }
    })
}
