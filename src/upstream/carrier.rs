//! The client that carries bodies through: hyper's own, with the same TLS, proxies and resolver as
//! [`super::client`], and none of its stamps.
//!
//! It repeats only what never left: a request that a kept connection did not take. Connections are
//! shared by all who go to one provider, and HTTP/2 is spoken where the provider offers it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Uri};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use tower::Service;

use super::{ClientError, ClientOptions, Reach, tls};
use crate::model::HttpSettings;

/// How long a connection may rest: providers close theirs after one to five minutes.
const IDLE_MAX: Duration = Duration::from_secs(50);

/// Why a carrier cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum CarrierError {
    /// As for any client.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// It is spoken to in a way that is not known here.
    #[error("a proxy of scheme `{0}` cannot carry requests; `http` and `socks5` can")]
    ProxyScheme(String),
}

type Direct = HttpConnector<Resolver>;
type Requests<C> = Client<HttpsConnector<Timed<C>>, Full<Bytes>>;

/// A client whose answers pass through as they come.
#[derive(Clone, Debug)]
pub struct Carrier(Way);

#[derive(Clone, Debug)]
enum Way {
    Direct(Requests<Direct>),
    Tunnel(Requests<Tunnel<Direct>>),
    Socks(Requests<SocksV5<Direct>>),
}

impl Carrier {
    /// Sends a request; the answer's body has not been read when its head is there.
    pub fn send(&self, request: http::Request<Full<Bytes>>) -> ResponseFuture {
        match &self.0 {
            Way::Direct(client) => client.request(request),
            Way::Tunnel(client) => client.request(request),
            Way::Socks(client) => client.request(request),
        }
    }
}

/// What every carrier to one provider is built from: certificates are read, and proxies looked up, once.
#[derive(Debug)]
pub struct Blueprint {
    // Sessions are shared by all that are built from it.
    tls: ClientConfig,
    connect_timeout: Duration,
    proxy: Option<Proxy>,
}

#[derive(Debug)]
enum Proxy {
    Tunnel { address: Uri, auth: Option<HeaderValue> },
    Socks { address: Uri, is_local_dns: bool, auth: Option<(String, String)> },
}

impl Blueprint {
    /// Of carriers to what lies at `base_url`.
    pub fn new(
        settings: &HttpSettings,
        options: &ClientOptions,
        base_url: &str,
    ) -> Result<Self, CarrierError> {
        let mut tls = tls::config(&settings.tls)?;
        // The connector says what is spoken, and a resumed handshake saves users a round trip.
        tls.alpn_protocols.clear();
        tls.resumption = rustls::client::Resumption::in_memory_sessions(64);
        let found = proxy(settings, options.reach, base_url)?;
        let proxy = found.map(|found| Proxy::of(&found)).transpose()?;
        Ok(Self { tls, connect_timeout: options.connect_timeout, proxy })
    }

    /// A carrier with connections of its own.
    pub fn build(&self) -> Carrier {
        let mut direct = HttpConnector::new_with_resolver(Resolver);
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_keepalive(Some(Duration::from_secs(30)));
        let (wait, tls) = (self.connect_timeout, self.tls.clone());
        Carrier(match &self.proxy {
            None => Way::Direct(requests(direct, wait, tls)),
            Some(Proxy::Tunnel { address, auth }) => {
                let mut tunnel = Tunnel::new(address.clone(), direct);
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                Way::Tunnel(requests(tunnel, wait, tls))
            }
            Some(Proxy::Socks { address, is_local_dns, auth }) => {
                let mut socks = SocksV5::new(address.clone(), direct).local_dns(*is_local_dns);
                if let Some((user, password)) = auth {
                    socks = socks.with_auth(user.clone(), password.clone());
                }
                Way::Socks(requests(socks, wait, tls))
            }
        })
    }
}

impl Proxy {
    fn of(found: &Intercept) -> Result<Self, CarrierError> {
        let address = found.uri().clone();
        match address.scheme_str() {
            Some("http") => {
                let mut auth = found.basic_auth().cloned();
                auth.iter_mut().for_each(|auth| auth.set_sensitive(true));
                Ok(Self::Tunnel { address, auth })
            }
            Some(scheme @ ("socks5" | "socks5h")) => {
                let is_local_dns = scheme == "socks5";
                let auth = found.raw_auth().map(|(user, password)| (user.into(), password.into()));
                Ok(Self::Socks { address, is_local_dns, auth })
            }
            scheme => Err(CarrierError::ProxyScheme(scheme.unwrap_or_default().to_owned())),
        }
    }
}

/// The proxy that is in the way, if one is: named in the configuration or by the environment.
fn proxy(
    settings: &HttpSettings,
    reach: Reach,
    base_url: &str,
) -> Result<Option<Intercept>, CarrierError> {
    let matcher = match (&settings.proxy_url, reach) {
        (Some(url), _) => Matcher::builder().all(url.as_str()).build(),
        (None, Reach::Loopback) => return Ok(None),
        (None, Reach::Anywhere) => Matcher::from_env(),
    };
    let destination: Uri = base_url.parse().map_err(|_| ClientError::Proxy)?;
    match (matcher.intercept(&destination), &settings.proxy_url) {
        (None, Some(_)) => Err(ClientError::Proxy.into()),
        (found, _) => Ok(found),
    }
}

fn requests<C>(connector: C, wait: Duration, tls: ClientConfig) -> Requests<C>
where
    Timed<C>: Service<Uri>,
    HttpsConnector<Timed<C>>:
        hyper_util::client::legacy::connect::Connect + Clone + Send + Sync + 'static,
{
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(Timed { connector, wait });
    Client::builder(TokioExecutor::new())
        .timer(TokioTimer::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_MAX)
        .http2_adaptive_window(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .build(connector)
}

/// A connector that gives up: without it, a name server or a proxy could hold a request for minutes.
#[derive(Clone, Debug)]
struct Timed<C> {
    connector: C,
    wait: Duration,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

impl<C> Service<Uri> for Timed<C>
where
    C: Service<Uri>,
    C::Error: Into<BoxError>,
    C::Future: Send + 'static,
    C::Response: 'static,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Connecting<C::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.wait, self.connector.call(destination));
        Box::pin(async move {
            match connecting.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
            }
        })
    }
}

/// A name that did not resolve. A type of its own, so that nobody need read texts.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
pub(super) struct NoSuchName(#[source] io::Error);

/// The system's resolver.
#[derive(Clone, Debug)]
struct Resolver;

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoSuchName;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoSuchName>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), NoSuchName>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(NoSuchName)?;
            Ok(found.collect::<Vec<_>>().into_iter())
        })
    }
}
