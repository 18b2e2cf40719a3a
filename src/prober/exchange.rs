//! One exchange with a provider, from connect to terminal evidence.
//!
//! Each wait has its own deadline. Bytes that are there win over a deadline that has passed, so a
//! process that was stopped judges what came and not its own absence; what trickles in without end
//! is cut when it is taken in.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::line::Line;
use super::record::{Deadline, Record};
use crate::clock::Clock;
use crate::probe::Timeouts;
use crate::provider::{ErrorType, Head};
use crate::upstream::{Arriving, Marks, Stage, Unpack, UnpackError, classify, describe};

/// An answer to a short question is a few kilobytes; what is larger is none.
const BODY_BYTES_MAX: usize = 8 << 20;

/// After the terminal evidence the rest of the body is read, so that the connection can be used
/// again. A server that holds the socket open past this is noted and cut.
const LINGER: Duration = Duration::from_millis(250);

/// Longer than any round trip, a busy machine at either end included.
const ROUND_TRIP: Duration = Duration::from_millis(500);

/// Runs an exchange into its record; returns the answer's headers if any came.
pub(super) async fn run(
    record: &mut Record,
    line: &Line,
    clock: &Clock,
    timeouts: &Timeouts,
    request: Request<Full<Bytes>>,
) -> Option<http::HeaderMap> {
    let response = send(record, line, timeouts, request).await?;
    let headed = Instant::now();
    record.headed = Some(headed);
    record.is_refused = !response.status().is_success();
    record.is_new_connection = Some(response.body().is_new());
    record.certificate_expires = response.body().certificate_expires();
    let (head, body) = response.into_parts();
    let headers = head.headers;
    record.exam.head(&Head {
        status: head.status.as_u16(),
        headers: &|name| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        },
        now: clock.at(headed),
    });
    let unpack = Unpack::new(headers.get(header::CONTENT_ENCODING));
    read(record, body, unpack, timeouts).await;
    Some(headers)
}

/// Connects and sends, up to the answer's headers.
async fn send(
    record: &mut Record,
    line: &Line,
    timeouts: &Timeouts,
    request: Request<Full<Bytes>>,
) -> Option<Response<Arriving>> {
    let stamps = std::sync::Arc::clone(&record.stamps);
    let sending = line.carrier.send(request, Some(&stamps));
    tokio::pin!(sending);
    let early = tokio::select! {
        biased;
        answer = &mut sending => Some(answer),
        () = stamps.sent() => None,
        () = sleep_until(record.started + timeouts.connect) => {
            let detail = format!("no connection within {:?}", timeouts.connect);
            record.fail(Instant::now(), ErrorType::ConnectTimeout, detail);
            return None;
        }
    };
    let answer = match early {
        Some(answer) => answer,
        None => {
            let (by, then) = record.deadline(timeouts);
            tokio::select! {
                biased;
                answer = &mut sending => answer,
                () = sleep_until(by) => {
                    give_up(record, then, timeouts);
                    return None;
                }
            }
        }
    };
    match answer {
        Ok(response) => Some(response),
        Err(error) => {
            let (marks, now) = (stamps.marks(), Instant::now());
            let error_type = classify(&error, error.stage());
            record.is_stale = is_stale(error_type, &marks, now);
            record.fail(now, error_type, describe(&error));
            None
        }
    }
}

/// Reads the body until the exam is over.
async fn read(record: &mut Record, mut body: Arriving, mut unpack: Unpack, timeouts: &Timeouts) {
    let mut size = 0;
    loop {
        let (by, then) = record.deadline(timeouts);
        let chunk = tokio::select! {
            biased;
            chunk = chunk(&mut body) => chunk,
            () = sleep_until(by) => return give_up(record, then, timeouts),
        };
        let now = Instant::now();
        match chunk {
            Ok(Some(bytes)) => {
                let bytes = match unpack.feed(&bytes) {
                    Ok(bytes) => bytes,
                    Err(error) => return record.fail(now, unpacking(error), error.to_string()),
                };
                size += bytes.len();
                record.hear(bytes);
                let progress = record.exam.bytes(bytes);
                record.take(now, progress);
                if progress.is_over {
                    return linger(record, body).await;
                }
                if size > BODY_BYTES_MAX {
                    let detail = "the answer is larger than 8 MiB".to_owned();
                    return record.fail(now, ErrorType::Other, detail);
                }
                let (by, then) = record.deadline(timeouts);
                if now >= by {
                    return give_up(record, then, timeouts);
                }
            }
            Ok(None) => {
                if let Err(error) = unpack.end() {
                    return record.fail(now, unpacking(error), error.to_string());
                }
                record.exam.end();
                record.ended = Some(record.finish.unwrap_or(now));
                return;
            }
            Err(error) => {
                let error_type = classify(&error, Stage::Reading);
                return record.fail(now, error_type, describe(&error));
            }
        }
    }
}

/// The next bytes of a body.
async fn chunk(body: &mut Arriving) -> hyper::Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// What came of a body that cannot be unpacked.
fn unpacking(error: UnpackError) -> ErrorType {
    match error {
        UnpackError::Garbled => ErrorType::MalformedJson,
        UnpackError::Truncated => ErrorType::TruncatedStream,
        UnpackError::TooLarge => ErrorType::Other,
    }
}

async fn linger(record: &mut Record, mut body: Arriving) {
    let by = Instant::now() + LINGER;
    let mut size = 0;
    loop {
        match timeout_at(by, chunk(&mut body)).await {
            Ok(Ok(Some(bytes))) if size < BODY_BYTES_MAX => size += bytes.len(),
            Ok(Ok(None) | Err(_)) => return,
            Ok(Ok(Some(_))) | Err(_) => {
                record.is_lingering = true;
                return;
            }
        }
    }
}

/// Whether a kept connection was closed while it rested, so that nobody read the question. A peer
/// that did read it has been thinking for longer than a round trip, and whoever connects anew is
/// told no such thing.
fn is_stale(error_type: ErrorType, marks: &Marks, now: Instant) -> bool {
    error_type == ErrorType::ConnectionReset
        && marks.connect_start.is_none()
        && marks.send_start.is_some_and(|sent| now - sent < ROUND_TRIP)
}

fn give_up(record: &mut Record, deadline: Deadline, timeouts: &Timeouts) {
    let now = Instant::now();
    match deadline {
        Deadline::Settle => record.ended = record.finish,
        Deadline::Fail(error_type) => {
            let detail = match error_type {
                ErrorType::TtftTimeout => {
                    format!("no content within {:?}", timeouts.first_token)
                }
                ErrorType::StalledStream if record.first_content.is_none() => {
                    format!("nothing but keep-alives within {:?}", timeouts.first_token)
                }
                ErrorType::StalledStream => format!("no more content within {:?}", timeouts.idle),
                _ => format!("not complete within {:?}", timeouts.total),
            };
            record.fail(now, error_type, detail);
        }
    }
}
