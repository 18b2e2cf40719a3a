//! One attempt: secrets read, message signed, request sent, answer read.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::clock::Clock;
use crate::model::{Secret, Timestamp, UrlSource};
use crate::notice::{self, Delivery, Endpoint, Guard, KeyError, Protocol, Refused, SigningError};
use crate::upstream::{
    self, AddressCheck, ClientError, ClientOptions, Idle, Reach, SecretError, Tokens,
};

/// Where the configuration sets no limit, or a longer one: no receiver needs more.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// A delivery that is already late still gets a fair try.
const TIMEOUT_MIN: Duration = Duration::from_secs(1);
/// What an answer says beyond its status is of little interest; a short one is read, so that the
/// connection can be used again.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ANSWER_READ_MAX: Duration = Duration::from_secs(1);

/// What came of an attempt.
pub(super) struct Answer {
    /// For the policy.
    pub(super) attempt: notice::Attempt,
    /// For people; no URL, no secret.
    pub(super) why: String,
}

/// Why a request cannot be made.
#[derive(Debug, thiserror::Error)]
enum PrepareError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It may hold a token, so it is not repeated.
    #[error("the URL is not an `http` or `https` URL")]
    Url,
    #[error("the message id `{0}` is not a header's value")]
    Id(String),
}

/// The client of one hook; built at the first use and whenever the URL points to another host.
#[derive(Clone, Debug, Default)]
pub(super) struct Caller {
    client: Option<(String, reqwest::Client)>,
}

struct Prepared {
    url: reqwest::Url,
    headers: HeaderMap,
    body: Arc<str>,
    protocol: Protocol,
    tokens: Option<Arc<Tokens>>,
    /// What an answer may repeat and nobody is to see.
    hidden: Vec<Secret>,
}

impl Caller {
    /// Builds the client ahead of the first delivery, which may be urgent. What is wrong with it is
    /// said now; the first delivery tries again.
    pub(super) fn warm(&mut self, endpoint: &Endpoint) {
        let built = url(endpoint)
            .and_then(|url| self.client(endpoint, &url, timeout(endpoint, Duration::ZERO)));
        if let Err(error) = built {
            tracing::warn!(hook = %endpoint.hook, error = chain(&error), "a hook cannot be called");
        }
    }

    /// Builds an attempt, which then runs by itself.
    pub(super) fn attempt(
        &mut self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        clock: Clock,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let timeout = timeout(endpoint, clock.now().since(delivery.decided_at));
        let prepared = prepare(endpoint, delivery, clock.wall())
            .and_then(|prepared| Ok((self.client(endpoint, &prepared.url, timeout)?, prepared)));
        async move {
            match prepared {
                Ok((client, prepared)) => exchange(client, prepared, timeout, clock).await,
                Err(error) => Answer { attempt: notice::Attempt::Transport, why: chain(&error) },
            }
        }
    }

    fn client(
        &mut self,
        endpoint: &Endpoint,
        url: &reqwest::Url,
        timeout: Duration,
    ) -> Result<reqwest::Client, PrepareError> {
        // The guard's and the proxy's rules hang on the host.
        let host = url.host_str().unwrap_or_default();
        if let Some((known, client)) = &self.client
            && known == host
        {
            return Ok(client.clone());
        }
        let reach = Reach::of(url.as_str());
        let options = ClientOptions { connect_timeout: timeout, idle: Idle::Kept, reach };
        let client = match &endpoint.guard {
            Some(guard) => {
                let check = check(guard.clone(), host);
                upstream::guarded_client(&endpoint.http, &options, host, check)?
            }
            None => upstream::client(&endpoint.http, &options)?,
        };
        self.client = Some((host.to_owned(), client.clone()));
        Ok(client)
    }
}

/// Makes one attempt, without a queue, and says what came of it: for the policy, and for people.
pub async fn call_once(
    endpoint: &Endpoint,
    delivery: &Delivery,
    clock: Clock,
) -> (notice::Attempt, String) {
    let Answer { attempt, why } = Caller::default().attempt(endpoint, delivery, clock).await;
    (attempt, why)
}

/// The request that would be sent, in words: secrets but the signature are `***` or left out, of
/// the URL only scheme, host and port are shown.
pub(super) fn rehearse(
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<String, String> {
    let prepared = prepare(endpoint, delivery, now).map_err(|error| chain(&error))?;
    let method = if prepared.protocol == Protocol::Ping { "GET" } else { "POST" };
    let mut text = format!("{method} {}\n", prepared.url.origin().ascii_serialization());
    for (name, value) in upstream::redacted(&prepared.headers) {
        text.push_str(&format!("{name}: {value}\n"));
    }
    Ok(format!("{text}\n{}", delivery.body))
}

async fn exchange(
    client: reqwest::Client,
    prepared: Prepared,
    timeout: Duration,
    clock: Clock,
) -> Answer {
    let request = match prepared.protocol {
        Protocol::Ping => client.get(prepared.url),
        _ => client.post(prepared.url).body(prepared.body.to_string()),
    };
    let mut headers = prepared.headers;
    let sending = async {
        if let Some(tokens) = &prepared.tokens {
            headers.insert(AUTHORIZATION, tokens.header().await.map_err(|error| chain(&error))?);
        }
        request.headers(headers).send().await.map_err(|error| upstream::describe(&error))
    };
    let transport = |why| Answer { attempt: notice::Attempt::Transport, why };
    let response = match tokio::time::timeout(timeout, sending).await {
        Ok(Ok(response)) => response,
        Ok(Err(why)) => return transport(why),
        Err(_) => {
            return transport(format!("no answer within {}", humantime::format_duration(timeout)));
        }
    };
    let code = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| notice::parse_retry_after(value.to_str().ok()?, clock.wall()));
    let mut text = read(response).await;
    for secret in prepared.hidden.iter().filter(|secret| secret.expose().trim().len() > 1) {
        text = text.replace(secret.expose().trim(), "***");
    }
    let (attempt, said) = notice::read_answer(&prepared.protocol, code, retry_after, &text);
    let said = said.map(|said| format!(": {said}")).unwrap_or_default();
    Answer { attempt, why: format!("status {code}{said}") }
}

/// What an answer says, as far as it comes in time.
async fn read(mut response: reqwest::Response) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    let read = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return;
            }
            bytes.extend_from_slice(&chunk);
        }
    };
    // An answer that does not end costs its connection and nothing else.
    let _ended = tokio::time::timeout(ANSWER_READ_MAX, read).await.is_ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn prepare(
    endpoint: &Endpoint,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<Prepared, PrepareError> {
    let url = url(endpoint)?;
    if let (Some(guard), Some(address)) = (&endpoint.guard, written_address(&url)) {
        guard.written(address)?;
    }
    let mut headers = upstream::headers(&endpoint.http)?;
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut body = Arc::clone(&delivery.body);
    let mut hidden = vec![Secret::new(url.path().to_owned())];
    match &endpoint.protocol {
        Protocol::Webhook { signing_secrets } => {
            let secrets = signing_secrets.iter().map(upstream::read_secret);
            sign(&mut headers, &secrets.collect::<Result<Vec<_>, _>>()?, delivery, now)?;
        }
        Protocol::PagerDuty { routing_key } => {
            let key = upstream::read_secret(routing_key)?;
            body = Arc::from(notice::with_routing_key(&body, &key)?);
            hidden.push(key);
        }
        Protocol::Slack | Protocol::Alertmanager => {}
        Protocol::Ping => {
            headers.remove(CONTENT_TYPE);
        }
    }
    let (protocol, tokens) = (endpoint.protocol.clone(), Tokens::of(&endpoint.http));
    Ok(Prepared { url, headers, body, protocol, tokens, hidden })
}

/// Standard Webhooks' headers.
fn sign(
    headers: &mut HeaderMap,
    secrets: &[Secret],
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), PrepareError> {
    let value =
        |text: &str| HeaderValue::from_str(text).map_err(|_| PrepareError::Id(delivery.id.clone()));
    let seconds = now.millis().div_euclid(1000);
    headers.insert(HeaderName::from_static("webhook-id"), value(&delivery.id)?);
    headers.insert(HeaderName::from_static("webhook-timestamp"), HeaderValue::from(seconds));
    if !secrets.is_empty() {
        let signature = notice::sign(secrets, &delivery.id, seconds, delivery.body.as_bytes())?;
        headers.insert(HeaderName::from_static("webhook-signature"), value(&signature)?);
    }
    Ok(())
}

fn url(endpoint: &Endpoint) -> Result<reqwest::Url, PrepareError> {
    let text = match &endpoint.url {
        UrlSource::Plain(url) => url.clone(),
        UrlSource::Secret(source) => upstream::read_secret(source)?.expose().trim().to_owned(),
    };
    let url = reqwest::Url::parse(&text).map_err(|_| PrepareError::Url)?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(PrepareError::Url);
    }
    Ok(url)
}

/// The address that a URL names in place of a name.
fn written_address(url: &reqwest::Url) -> Option<IpAddr> {
    url.host_str()?.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

/// What is asked of each address that a host's name leads to. `localhost` says what it is.
fn check(guard: Guard, host: &str) -> AddressCheck {
    let is_written = host == "localhost" || host.ends_with(".localhost");
    Arc::new(move |address| {
        let checked = if is_written { guard.written(address) } else { guard.resolved(address) };
        checked.map_err(std::io::Error::other)
    })
}

fn timeout(endpoint: &Endpoint, elapsed: Duration) -> Duration {
    let configured = if endpoint.timeout.is_zero() { TIMEOUT_MAX } else { endpoint.timeout };
    let left = endpoint.policy.window().saturating_sub(elapsed).max(TIMEOUT_MIN);
    configured.min(TIMEOUT_MAX).min(endpoint.policy.attempt_max()).min(left)
}

/// An error and what it came from, on one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).take(8);
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}
