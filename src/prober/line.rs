//! The line to one target: its client and the request that goes over it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::probe::{Connection, Delivery, Target};
use crate::provider::{Ask, Method, Provider, Request, page_request, request};
use crate::upstream::{
    self, ClientError, ClientOptions, Connections, Idle, Reach, SecretError, Stamps,
};

/// Why a probe could not even be sent; the operator's mistake, not the provider's failure.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`base_url` of provider `{0}` makes no URL")]
    Url(String),
}

/// One client with a pool of its own, so that no target warms another's connection.
#[derive(Debug)]
pub(super) struct Line {
    pub client: reqwest::Client,
    pub connections: Connections,
}

impl Line {
    /// One for a target's probes. A connection that lost a race against one that rested would rest
    /// beside it for a minute and a half, with its buffers.
    pub fn new(target: &Target) -> Result<Self, LineError> {
        let at_once = usize::try_from(target.in_flight_max).unwrap_or(usize::MAX);
        let idle = match target.connection {
            Connection::Warm => Idle::Few(at_once),
            Connection::New => Idle::Closed,
        };
        Self::open(target, idle)
    }

    /// One whose connections are kept, whatever probes do: clients of a gateway keep theirs.
    pub fn kept(target: &Target) -> Result<Self, LineError> {
        Self::open(target, Idle::Kept)
    }

    fn open(target: &Target, idle: Idle) -> Result<Self, LineError> {
        let options = ClientOptions {
            connect_timeout: target.timeouts.connect,
            idle,
            reach: Reach::of(&target.provider.base_url),
        };
        let client = upstream::client(&target.provider.http, &options)?;
        Ok(Self { client, connections: Connections::default() })
    }
}

/// The request of one probe.
pub(super) fn question(target: &Target, prompt: &str) -> Request {
    let provider = &*target.provider;
    match &target.page {
        Some(page) => page_request(page, prompt),
        None => request(
            provider,
            &Ask {
                model: &target.model,
                prompt,
                tokens_max: target.tokens_max,
                is_streamed: target.delivery == Delivery::Streamed,
            },
        ),
    }
}

/// Makes a request ready to be sent. Secrets are read anew, so that a rotated key is taken up.
pub(super) fn build(
    provider: &Provider,
    question: Request,
    stamps: &Arc<Stamps>,
) -> Result<reqwest::Request, LineError> {
    let url = url(provider, &question)?;
    let method = match question.method {
        Method::Get => reqwest::Method::GET,
        Method::Head => reqwest::Method::HEAD,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Options => reqwest::Method::OPTIONS,
    };
    let mut request = reqwest::Request::new(method, url);
    *request.headers_mut() = headers(provider, &question)?;
    *request.body_mut() =
        Some(upstream::stamped_body(Bytes::from(question.body), Arc::clone(stamps)));
    Ok(request)
}

/// A request without a body that nobody stamps.
pub(super) fn bare_request(
    provider: &Provider,
    question: Request,
) -> Result<reqwest::Request, LineError> {
    let url = url(provider, &question)?;
    let mut request = reqwest::Request::new(reqwest::Method::GET, url);
    *request.headers_mut() = headers(provider, &question)?;
    Ok(request)
}

fn url(provider: &Provider, question: &Request) -> Result<reqwest::Url, LineError> {
    let url = format!("{}{}", provider.base_url, question.path);
    reqwest::Url::parse(&url).map_err(|_| LineError::Url(provider.id.as_str().to_owned()))
}

fn headers(provider: &Provider, question: &Request) -> Result<HeaderMap, LineError> {
    let mut headers: HeaderMap = question
        .headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    // What the operator writes wins over what the dialect asks for, and the key over both.
    headers.extend(upstream::headers(&provider.http)?);
    if let Some((name, value)) = upstream::provider_key(provider)? {
        headers.insert(name, value);
    }
    Ok(headers)
}
