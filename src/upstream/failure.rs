//! What kind of failure a broken exchange was, told by types and never by texts.

use std::error::Error;
use std::io::ErrorKind;

use super::SendError;
use super::way::NoSuchName;
use crate::provider::ErrorType;

/// How far an exchange had come when it broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// There was no connection yet.
    Connecting,
    /// TCP stood and TLS did not.
    Securing,
    /// The request was under way and no header of the answer had come.
    Waiting,
    /// The answer's body was being read.
    Reading,
}

/// The error type of a broken exchange.
///
/// A body that ends inside a chunk or before its stated length is a truncated stream: the peer
/// closed in good order. Anything else that breaks after the connection stood is a reset. A peer
/// that does not speak HTTP is `_OTHER`.
pub fn classify(error: &(dyn Error + 'static), stage: Stage) -> ErrorType {
    let signs = Signs::of(error);
    if signs.dns {
        return ErrorType::Dns;
    }
    if signs.tls {
        return ErrorType::Tls;
    }
    match stage {
        Stage::Connecting | Stage::Securing => match signs.io {
            Some(ErrorKind::TimedOut) => ErrorType::ConnectTimeout,
            // The peer took the connection and cut the handshake.
            Some(_) if stage == Stage::Securing => ErrorType::Tls,
            _ if signs.timeout => ErrorType::ConnectTimeout,
            _ if signs.connect || signs.io.is_some() => ErrorType::Connect,
            _ => ErrorType::Internal,
        },
        Stage::Waiting if signs.timeout => ErrorType::TtftTimeout,
        Stage::Reading if signs.timeout => ErrorType::TotalTimeout,
        Stage::Waiting | Stage::Reading => match signs.io {
            Some(ErrorKind::UnexpectedEof) if stage == Stage::Reading => ErrorType::TruncatedStream,
            // A body whose gzip or brotli is broken.
            Some(ErrorKind::InvalidData) => ErrorType::MalformedJson,
            // A chunk's size that is none.
            Some(ErrorKind::InvalidInput) => ErrorType::Other,
            _ if signs.not_http => ErrorType::Other,
            _ => ErrorType::ConnectionReset,
        },
    }
}

/// For people: the innermost cause, which says most, without URL and without secrets.
pub fn describe(error: &(dyn Error + 'static)) -> String {
    const LENGTH_MAX: usize = 200;
    let mut innermost = error;
    for cause in causes(error) {
        innermost = cause;
    }
    innermost.to_string().chars().take(LENGTH_MAX).collect()
}

#[derive(Default)]
struct Signs {
    dns: bool,
    tls: bool,
    timeout: bool,
    connect: bool,
    not_http: bool,
    io: Option<ErrorKind>,
}

impl Signs {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut signs = Self::default();
        for cause in causes(error) {
            if let Some(error) = cause.downcast_ref::<reqwest::Error>() {
                signs.dns |= error.is_dns();
                signs.timeout |= error.is_timeout();
                signs.connect |= error.is_connect();
            } else if let Some(error) = cause.downcast_ref::<SendError>() {
                signs.connect |= matches!(error, SendError::Connect { .. });
            } else if cause.is::<NoSuchName>() {
                signs.dns = true;
            } else if cause.is::<rustls::Error>() {
                signs.tls = true;
            } else if let Some(error) = cause.downcast_ref::<hyper::Error>() {
                signs.not_http |= error.is_parse();
                signs.timeout |= error.is_timeout();
            } else if let Some(error) = cause.downcast_ref::<std::io::Error>() {
                // The innermost one is the system's own word.
                signs.io = Some(error.kind());
            }
        }
        signs
    }
}

/// An error and what it came from. `io::Error::source` skips the error that it boxes, so that one
/// is stepped into; the depth is bounded, should an error be its own source.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    const DEPTH_MAX: usize = 16;
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| {
        let error: &'a (dyn Error + 'static) = *error;
        let boxed = error
            .downcast_ref::<std::io::Error>()
            .and_then(|error| error.get_ref())
            .map(|error| error as &(dyn Error + 'static));
        boxed.or_else(|| error.source())
    })
    .take(DEPTH_MAX)
}
