//! The client for streamed answers: it connects, sends, and hands the body on as it comes.
//!
//! Probes go over it with stamps, and the router's traffic without. It repeats only what never left: a
//! request that a kept connection did not take. It goes to one provider, so that requests name a path
//! and no host, and HTTP/2 is spoken where the provider offers it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri, header};
use http_body_util::Full;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::client::Resumption;

use super::arriving::{Arriving, Exchange};
use super::pool::{Pool, Rested, Shared};
use super::way::{Socket, Way};
use super::{ClientError, ClientOptions, Idle, Stage, Stamps};
use crate::model::{HttpSettings, Timestamp};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a carrier cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// As for any client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing can lie there.
    #[error("`base_url` makes no URL")]
    Url,
    /// It is spoken to in a way that is not known here.
    #[error(
        "a proxy of scheme `{0}` cannot carry requests; `http`, `https`, `socks4` and `socks5` can"
    )]
    ProxyScheme(String),
}

/// Why a request got no answer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// There was no connection.
    #[error("no connection")]
    Connect {
        /// How far it had come.
        stage: Stage,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The connection stood, and no answer's head came over it.
    #[error("no answer")]
    Exchange(#[source] hyper::Error),
}

impl SendError {
    /// How far the exchange had come.
    pub fn stage(&self) -> Stage {
        match self {
            Self::Connect { stage, .. } => *stage,
            Self::Exchange(_) => Stage::Waiting,
        }
    }
}

/// What every carrier to one provider is built from.
#[derive(Clone, Debug)]
pub struct Blueprint {
    way: Arc<Way>,
    base: Uri,
    host: HeaderValue,
    idle: Idle,
}

impl Blueprint {
    /// Of carriers to what lies at `base_url`, each of whose handshakes is whole: two of them measure
    /// the same thing.
    pub fn measuring(
        settings: &HttpSettings,
        options: &ClientOptions,
        base_url: &str,
    ) -> Result<Self, CarrierError> {
        Self::new(settings, options, base_url, Resumption::disabled())
    }

    /// Of carriers for users, to whom a resumed handshake saves a round trip.
    pub fn resuming(
        settings: &HttpSettings,
        options: &ClientOptions,
        base_url: &str,
    ) -> Result<Self, CarrierError> {
        Self::new(settings, options, base_url, Resumption::in_memory_sessions(64))
    }

    fn new(
        settings: &HttpSettings,
        options: &ClientOptions,
        base_url: &str,
        resumption: Resumption,
    ) -> Result<Self, CarrierError> {
        // Names outside ASCII are written as name servers know them.
        let url = reqwest::Url::parse(base_url).map_err(|_| CarrierError::Url)?;
        let base: Uri = url.as_str().parse().map_err(|_| CarrierError::Url)?;
        let way = Arc::new(Way::new(settings, options, &base, resumption)?);
        let authority = way.origin().authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).map_err(|_| CarrierError::Url)?;
        Ok(Self { way, base, host, idle: options.idle })
    }

    /// A carrier with connections of its own.
    pub fn build(&self) -> Carrier {
        Carrier { blueprint: self.clone(), pool: Arc::new(Pool::new(self.idle)) }
    }
}

/// A client of one provider.
#[derive(Debug)]
pub struct Carrier {
    blueprint: Blueprint,
    pool: Arc<Pool>,
}

impl Carrier {
    /// Where a path below the base URL lies, with a query besides.
    pub fn path(&self, path: &str, query: Option<&str>) -> Result<Uri, http::Error> {
        let prefix = self.blueprint.base.path().trim_end_matches('/');
        let path = if prefix.is_empty() && !path.starts_with('/') {
            format!("/{path}")
        } else {
            format!("{prefix}{path}")
        };
        let path = match query {
            Some(query) if path.contains('?') => format!("{path}&{query}"),
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        Ok(PathAndQuery::try_from(path)?.into())
    }

    /// Scheme, host and port of what it goes to, with a `/` after them.
    pub fn origin(&self) -> &Uri {
        self.blueprint.way.origin()
    }

    /// Sends a request for a path; the answer's body has not been read when its head is there.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        stamps: Option<&Arc<Stamps>>,
    ) -> Result<Response<Arriving>, SendError> {
        let mut ask = Ask { request, stamps };
        // Each that did not take the request is gone, so this ends.
        while let Some(rested) = self.pool.take() {
            let asked = match rested {
                Rested::One(socket) => self.ask_alone(ask, socket, Age::Kept).await,
                Rested::Shared(sender, expires) => {
                    self.ask_shared(ask, sender, expires, Age::Kept).await
                }
            };
            match asked {
                Ok(response) => return Ok(response),
                Err(Unasked { again: Some(unsent), .. }) => ask = *unsent,
                Err(Unasked { error, again: None }) => return Err(error),
            }
        }
        let socket = self.blueprint.way.connect(stamps).await?;
        let asked = match socket.is_http2 {
            true => {
                let expires = socket.certificate_expires;
                let sender = self.speak_http2(socket).await?;
                self.ask_shared(ask, sender, expires, Age::New).await
            }
            false => self.ask_alone(ask, socket, Age::New).await,
        };
        asked.map_err(|unasked| unasked.error)
    }

    /// Closes connections that have rested for too long.
    pub fn sweep(&self) {
        self.pool.sweep();
    }

    async fn ask_alone<'a>(
        &self,
        mut ask: Ask<'a>,
        socket: Socket,
        age: Age,
    ) -> Result<Response<Arriving>, Unasked<'a>> {
        let exchange = match Exchange::over(socket, Arc::clone(&self.pool)).await {
            Ok(exchange) => exchange,
            Err(error) => {
                let error = SendError::Exchange(error);
                return Err(Unasked { error, again: Some(Box::new(ask)) });
            }
        };
        let path = ask.request.uri().clone();
        let headers = ask.request.headers_mut();
        // An operator may know better which of several it is at one address.
        headers.entry(header::HOST).or_insert_with(|| self.blueprint.host.clone());
        if let Some(auth) = self.blueprint.way.forward() {
            if let Some(auth) = auth {
                headers.insert(header::PROXY_AUTHORIZATION, auth.clone());
            }
            *ask.request.uri_mut() = self.whole(&path);
        }
        ask.stamp();
        let asked = exchange.ask(ask.request).await;
        match asked {
            Ok((head, exchange)) => Ok(head.map(|()| Arriving::alone(exchange, age == Age::New))),
            Err(failure) => Err(Unasked::new(failure, path, ask.stamps)),
        }
    }

    async fn ask_shared<'a>(
        &self,
        mut ask: Ask<'a>,
        mut sender: Shared,
        expires: Option<Timestamp>,
        age: Age,
    ) -> Result<Response<Arriving>, Unasked<'a>> {
        let path = ask.request.uri().clone();
        *ask.request.uri_mut() = self.whole(&path);
        ask.stamp();
        match sender.try_send_request(ask.request).await {
            Ok(response) => {
                Ok(response.map(|body| Arriving::shared(body, age == Age::New, expires)))
            }
            Err(failure) => {
                self.pool.unshare();
                Err(Unasked::new(failure, path, ask.stamps))
            }
        }
    }

    async fn speak_http2(&self, socket: Socket) -> Result<Shared, SendError> {
        let expires = socket.certificate_expires;
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .adaptive_window(true)
            .keep_alive_interval(Duration::from_secs(20))
            .handshake(socket.io)
            .await
            .map_err(SendError::Exchange)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "an HTTP/2 connection ended");
            }
        });
        Ok(self.pool.share(sender, expires))
    }

    /// The whole address of a path.
    fn whole(&self, path: &Uri) -> Uri {
        let mut parts = self.blueprint.way.origin().clone().into_parts();
        parts.path_and_query = path.path_and_query().cloned();
        Uri::from_parts(parts).unwrap_or_else(|_| path.clone())
    }
}

/// Whether a connection was made for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    New,
    Kept,
}

/// A request that waits for a connection.
struct Ask<'a> {
    request: Request<Full<Bytes>>,
    stamps: Option<&'a Arc<Stamps>>,
}

impl Ask<'_> {
    /// It is handed to a connection that writes it at once.
    fn stamp(&self) {
        if let Some(stamps) = self.stamps {
            stamps.send_started();
        }
    }
}

/// A request that got no answer, and what may be asked again since nothing of it left.
struct Unasked<'a> {
    error: SendError,
    again: Option<Box<Ask<'a>>>,
}

impl<'a> Unasked<'a> {
    fn new(
        mut failure: TrySendError<Request<Full<Bytes>>>,
        path: Uri,
        stamps: Option<&'a Arc<Stamps>>,
    ) -> Self {
        let again = failure.take_message().map(|mut request| {
            *request.uri_mut() = path;
            if let Some(stamps) = stamps {
                stamps.take_back();
            }
            Box::new(Ask { request, stamps })
        });
        Self { error: SendError::Exchange(failure.into_error()), again }
    }
}
