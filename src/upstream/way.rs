//! The way to one provider: name, TCP, a proxy where one stands between, TLS.
//!
//! It runs in the task that waits for it, so what it stamps belongs to that exchange and to no other,
//! and whoever stops waiting stops it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::{SocksV4, SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt as _};

use super::certificate::expires;
use super::{CarrierError, ClientError, ClientOptions, Reach, SendError, Stage, Stamps, tls};
use crate::model::{HttpSettings, Timestamp};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Direct = HttpConnector<Resolver>;

/// What bytes go over.
pub(super) trait Io: Read + Write + Send + Sync + Unpin {}

impl<T: Read + Write + Send + Sync + Unpin> Io for T {}

/// A connection that stands.
pub(super) struct Socket {
    pub io: Box<dyn Io>,
    /// Whether both ends agreed on HTTP/2.
    pub is_http2: bool,
    /// When the server's certificate ends, where it showed one that can be read.
    pub certificate_expires: Option<Timestamp>,
}

/// The way to what lies at one address: certificates are read, and proxies looked up, once.
#[derive(Debug)]
pub(super) struct Way {
    /// Scheme and authority.
    origin: Uri,
    /// The same, with the port in any case: not everybody takes it from the scheme.
    destination: Uri,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// For a proxy that is spoken to over TLS.
    proxy_tls: Option<Arc<ClientConfig>>,
    proxy: Option<Proxy>,
    wait: Duration,
}

#[derive(Debug)]
enum Proxy {
    /// It is asked for what lies elsewhere, with the whole address in the request.
    Forward {
        address: Uri,
        auth: Option<HeaderValue>,
    },
    Tunnel {
        address: Uri,
        auth: Option<HeaderValue>,
    },
    Socks4 {
        address: Uri,
        is_local_dns: bool,
    },
    Socks5 {
        address: Uri,
        is_local_dns: bool,
        auth: Option<(String, String)>,
    },
}

impl Way {
    pub fn new(
        settings: &HttpSettings,
        options: &ClientOptions,
        base: &Uri,
        resumption: Resumption,
    ) -> Result<Self, CarrierError> {
        let (Some(scheme), Some(authority)) = (base.scheme(), base.authority()) else {
            return Err(CarrierError::Url);
        };
        let origin = origin(scheme, authority)?;
        let mut config = tls::config(&settings.tls)?;
        config.resumption = resumption;
        let found = proxy(settings, options.reach, &origin)?;
        let is_secured = *scheme == Scheme::HTTPS;
        let proxy = found.map(|found| Proxy::of(&found, is_secured)).transpose()?;
        let proxy_tls = proxy.as_ref().filter(|proxy| proxy.is_secured()).map(|_| {
            let mut config = config.clone();
            config.alpn_protocols.clear();
            Arc::new(config)
        });
        let tls = match is_secured {
            true => Some((Arc::new(config), server_name(&origin)?)),
            false => None,
        };
        let destination = with_port(&origin, is_secured)?;
        Ok(Self { origin, destination, tls, proxy_tls, proxy, wait: options.connect_timeout })
    }

    /// Scheme and authority of what lies at its end.
    pub fn origin(&self) -> &Uri {
        &self.origin
    }

    /// Whether requests name the whole address, for a proxy to read, and with what key to it.
    pub fn forward(&self) -> Option<Option<&HeaderValue>> {
        match &self.proxy {
            Some(Proxy::Forward { auth, .. }) => Some(auth.as_ref()),
            _ => None,
        }
    }

    /// Opens a connection. Name, TCP, proxy and TLS together have as long as the options say.
    pub async fn connect(&self, stamps: Option<&Arc<Stamps>>) -> Result<Socket, SendError> {
        let mut stage = Stage::Connecting;
        let opening = async {
            let io = self.reach(stamps).await?;
            let Some((tls, name)) = &self.tls else {
                return Ok(Socket { io, is_http2: false, certificate_expires: None });
            };
            stage = Stage::Securing;
            stamp(stamps, Stamps::tls_started);
            let tls = TlsConnector::from(Arc::clone(tls));
            let stream = tls.connect(name.clone(), TokioIo::new(io)).await?;
            let (_, session) = stream.get_ref();
            let shown = session.peer_certificates().and_then(<[_]>::first);
            Ok::<_, BoxError>(Socket {
                is_http2: session.alpn_protocol() == Some(b"h2"),
                certificate_expires: shown.and_then(|der| expires(der)),
                io: Box::new(TokioIo::new(stream)),
            })
        };
        stamp(stamps, Stamps::connect_started);
        let opened = match tokio::time::timeout(self.wait, opening).await {
            Ok(opened) => opened,
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        match opened {
            Ok(socket) => {
                stamp(stamps, Stamps::connect_ended);
                Ok(socket)
            }
            Err(source) => Err(SendError::Connect { stage, source }),
        }
    }

    /// Up to the provider's port, TLS not included.
    async fn reach(&self, stamps: Option<&Arc<Stamps>>) -> Result<Box<dyn Io>, BoxError> {
        let mut direct = HttpConnector::new_with_resolver(Resolver { stamps: stamps.cloned() });
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_keepalive(Some(Duration::from_secs(30)));
        let destination = self.destination.clone();
        let Some(proxy) = &self.proxy else {
            return Ok(Box::new(direct.oneshot(destination).await?));
        };
        let tls = self.proxy_tls.clone();
        let to_proxy =
            tower::service_fn(move |address: Uri| dial(direct.clone(), tls.clone(), address));
        Ok(match proxy {
            Proxy::Forward { address, .. } => to_proxy.oneshot(address.clone()).await?,
            Proxy::Tunnel { address, auth } => {
                let mut tunnel = Tunnel::new(address.clone(), to_proxy);
                if let Some(auth) = auth {
                    tunnel = tunnel.with_auth(auth.clone());
                }
                tunnel.oneshot(destination).await?
            }
            Proxy::Socks4 { address, is_local_dns } => {
                let socks = SocksV4::new(address.clone(), to_proxy).local_dns(*is_local_dns);
                socks.oneshot(destination).await?
            }
            Proxy::Socks5 { address, is_local_dns, auth } => {
                let mut socks = SocksV5::new(address.clone(), to_proxy).local_dns(*is_local_dns);
                if let Some((user, password)) = auth {
                    socks = socks.with_auth(user.clone(), password.clone());
                }
                socks.oneshot(destination).await?
            }
        })
    }
}

/// Goes to a proxy.
async fn dial(
    direct: Direct,
    tls: Option<Arc<ClientConfig>>,
    address: Uri,
) -> Result<Box<dyn Io>, BoxError> {
    let stream = direct.oneshot(address.clone()).await?;
    let Some(tls) = tls else { return Ok(Box::new(stream)) };
    let name = server_name(&address)?;
    let stream = TlsConnector::from(tls).connect(name, TokioIo::new(stream)).await?;
    Ok(Box::new(TokioIo::new(stream)))
}

fn origin(scheme: &Scheme, authority: &Authority) -> Result<Uri, CarrierError> {
    // Who a user says to be goes into a header, and never into an address.
    let host = authority.as_str().rsplit('@').next().unwrap_or_default();
    let builder = Uri::builder().scheme(scheme.clone()).authority(host).path_and_query("/");
    builder.build().map_err(|_| CarrierError::Url)
}

fn with_port(origin: &Uri, is_secured: bool) -> Result<Uri, CarrierError> {
    let port = origin.port_u16().unwrap_or(if is_secured { 443 } else { 80 });
    let authority = format!("{}:{port}", origin.host().unwrap_or_default());
    let mut parts = origin.clone().into_parts();
    parts.authority = Some(authority.parse().map_err(|_| CarrierError::Url)?);
    Uri::from_parts(parts).map_err(|_| CarrierError::Url)
}

fn server_name(address: &Uri) -> Result<ServerName<'static>, CarrierError> {
    let host = address.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|_| CarrierError::Url)
}

fn stamp(stamps: Option<&Arc<Stamps>>, mark: fn(&Stamps)) {
    if let Some(stamps) = stamps {
        mark(stamps);
    }
}

impl Proxy {
    fn of(found: &Intercept, is_secured: bool) -> Result<Self, CarrierError> {
        let address = found.uri().clone();
        match found.uri().scheme_str() {
            Some("http" | "https") => {
                let mut auth = found.basic_auth().cloned();
                auth.iter_mut().for_each(|auth| auth.set_sensitive(true));
                Ok(match is_secured {
                    true => Self::Tunnel { address, auth },
                    false => Self::Forward { address, auth },
                })
            }
            Some(scheme @ ("socks4" | "socks4a")) => {
                Ok(Self::Socks4 { address, is_local_dns: scheme == "socks4" })
            }
            Some(scheme @ ("socks5" | "socks5h")) => {
                let is_local_dns = scheme == "socks5";
                let auth = found.raw_auth().map(|(user, password)| (user.into(), password.into()));
                Ok(Self::Socks5 { address, is_local_dns, auth })
            }
            scheme => Err(CarrierError::ProxyScheme(scheme.unwrap_or_default().to_owned())),
        }
    }

    /// Whether it is itself spoken to over TLS.
    fn is_secured(&self) -> bool {
        match self {
            Self::Forward { address, .. } | Self::Tunnel { address, .. } => {
                address.scheme() == Some(&Scheme::HTTPS)
            }
            Self::Socks4 { .. } | Self::Socks5 { .. } => false,
        }
    }
}

/// The proxy that is in the way, if one is: named in the configuration or by the environment.
fn proxy(
    settings: &HttpSettings,
    reach: Reach,
    origin: &Uri,
) -> Result<Option<Intercept>, CarrierError> {
    let matcher = match (&settings.proxy_url, reach) {
        (Some(url), _) => Matcher::builder().all(url.as_str()).build(),
        (None, Reach::Loopback) => return Ok(None),
        (None, Reach::Anywhere) => Matcher::from_env(),
    };
    match (matcher.intercept(origin), &settings.proxy_url) {
        (None, Some(_)) => Err(ClientError::Proxy.into()),
        (found, _) => Ok(found),
    }
}

/// A name that did not resolve. A type of its own, so that nobody need read texts.
#[derive(Debug, thiserror::Error)]
#[error("the name does not resolve")]
pub(super) struct NoSuchName(#[source] io::Error);

/// The system's resolver, stamped.
#[derive(Clone, Debug)]
struct Resolver {
    stamps: Option<Arc<Stamps>>,
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = NoSuchName;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoSuchName>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), NoSuchName>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let stamps = self.stamps.clone();
        Box::pin(async move {
            stamp(stamps.as_ref(), Stamps::resolve_started);
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            stamp(stamps.as_ref(), Stamps::resolve_ended);
            Ok(found.map_err(NoSuchName)?.collect::<Vec<_>>().into_iter())
        })
    }
}
