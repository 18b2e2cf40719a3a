//! The line to one target: its client and the request that goes over it.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body_util::Full;

use crate::probe::{Connection, Delivery, Target};
use crate::provider::{Ask, Method, Provider, Request, page_request, request};
use crate::upstream::{
    self, Blueprint, Carrier, CarrierError, ClientOptions, Idle, Reach, SecretError, TokenError,
    Tokens,
};

const USER_AGENT: &str = concat!("bellwether/", env!("CARGO_PKG_VERSION"));

/// Why a probe could not even be sent; the operator's mistake, not the provider's failure.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error(transparent)]
    Carrier(#[from] CarrierError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("`base_url` of provider `{0}` makes no URL")]
    Url(String),
}

/// One client with a pool of its own, so that no target warms another's connection.
#[derive(Debug)]
pub(super) struct Line {
    pub carrier: Carrier,
    tokens: Option<Arc<Tokens>>,
}

impl Line {
    /// One for a target's probes.
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
        let provider = &target.provider;
        let reach = Reach::of(&provider.base_url);
        let options = ClientOptions { connect_timeout: target.timeouts.connect, idle, reach };
        let blueprint = Blueprint::measuring(&provider.http, &options, &provider.base_url)?;
        Ok(Self { carrier: blueprint.build(), tokens: Tokens::of(&provider.http) })
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

/// Makes a request ready to be sent over a line. Secrets are read anew, so that a rotated key is taken
/// up.
pub(super) async fn build(
    provider: &Provider,
    line: &Line,
    question: Request,
) -> Result<http::Request<Full<Bytes>>, LineError> {
    let bad = |_| LineError::Url(provider.id.as_str().to_owned());
    let uri = line.carrier.path(&question.path, None).map_err(bad)?;
    let mut headers = headers(provider, &question, line.tokens.as_ref()).await?;
    for (name, value) in [
        (header::USER_AGENT, USER_AGENT),
        (header::ACCEPT, "*/*"),
        (header::ACCEPT_ENCODING, upstream::ACCEPTED),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    // Where a body may stand and none does, its length says so.
    if question.body.is_empty() && matches!(question.method, Method::Post | Method::Put) {
        headers.insert(header::CONTENT_LENGTH, 0.into());
    }
    let mut request = http::Request::new(Full::new(Bytes::from(question.body)));
    *request.method_mut() = match question.method {
        Method::Get => http::Method::GET,
        Method::Head => http::Method::HEAD,
        Method::Post => http::Method::POST,
        Method::Put => http::Method::PUT,
        Method::Options => http::Method::OPTIONS,
    };
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// The headers that a provider is asked with.
pub(super) async fn headers(
    provider: &Provider,
    question: &Request,
    tokens: Option<&Arc<Tokens>>,
) -> Result<HeaderMap, LineError> {
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
    if let Some(tokens) = tokens {
        headers.insert(header::AUTHORIZATION, tokens.header().await?);
    }
    Ok(headers)
}
