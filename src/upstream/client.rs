//! The client for short answers: of receivers, of other engines, of our own service.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::tls;
use crate::model::HttpSettings;

/// Why a client cannot be built. Names the file or the field, never a secret.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A certificate or key file cannot be read.
    #[error("`{}` cannot be read", path.display())]
    FileUnreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file holds no certificate or key in PEM.
    #[error("`{}` holds no certificate or key in PEM form", .0.display())]
    NoPem(PathBuf),
    /// A certificate authority cannot be used.
    #[error("`{}` holds a certificate authority that cannot be used", path.display())]
    Authority {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// Client certificate and key do not fit.
    #[error("the client certificate `{}` cannot be used with its key", path.display())]
    ClientCertificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// A client certificate without a key, or the other way round.
    #[error("`cert_file` and `key_file` belong together, and only `{}` is given", .0.display())]
    HalfCertificate(PathBuf),
    /// The proxy's address is not one. It may hold a password, so it is not repeated.
    #[error("`proxy_url` is not the URL of a proxy")]
    Proxy,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// What one client is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Name, TCP and TLS together.
    pub connect_timeout: Duration,
    /// What becomes of a connection after its answer.
    pub idle: Idle,
    /// Where the client's requests go.
    pub reach: Reach,
}

/// What becomes of a connection after its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// It is kept for the next request.
    Kept,
    /// The same, for so many of them, and for longer: who asks at intervals, and never for more at
    /// once than is kept.
    Few(usize),
    /// It is closed: each request has DNS, TCP and a full TLS handshake of its own.
    Closed,
}

/// Where a client's requests go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// To this machine: proxies from the environment are not asked, as Go's programs do it.
    Loopback,
    /// Anywhere.
    Anywhere,
}

impl Reach {
    /// Where a URL points. What is no URL points anywhere.
    pub fn of(url: &str) -> Self {
        let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let Some(host) = host else { return Self::Anywhere };
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
            Self::Loopback
        } else {
            Self::Anywhere
        }
    }
}

/// Asked whether an address may be connected to.
pub type AddressCheck = Arc<dyn Fn(IpAddr) -> std::io::Result<()> + Send + Sync>;

/// Builds a client that follows no redirect and repeats nothing.
pub fn client(
    settings: &HttpSettings,
    options: &ClientOptions,
) -> Result<reqwest::Client, ClientError> {
    build(settings, options, GuardedResolver { guarded: None })
}

/// The same, but each address that a host's name leads to is checked when a connection is made, so
/// that no later answer of a name server can undo the check. Addresses that are written out are the
/// caller's to check, and what a proxy connects to is the proxy's.
pub fn guarded_client(
    settings: &HttpSettings,
    options: &ClientOptions,
    host: &str,
    check: AddressCheck,
) -> Result<reqwest::Client, ClientError> {
    build(settings, options, GuardedResolver { guarded: Some((host.to_owned(), check)) })
}

fn build(
    settings: &HttpSettings,
    options: &ClientOptions,
    resolver: GuardedResolver,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("bellwether/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::config(&settings.tls)?)
        .connect_timeout(options.connect_timeout)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .dns_resolver(resolver);
    match options.idle {
        Idle::Kept => {}
        Idle::Few(most) => builder = builder.pool_max_idle_per_host(most),
        Idle::Closed => builder = builder.pool_max_idle_per_host(0),
    }
    match (&settings.proxy_url, options.reach) {
        (Some(url), _) => {
            let proxy = reqwest::Proxy::all(url).map_err(|_| ClientError::Proxy)?;
            builder = builder.no_proxy().proxy(proxy);
        }
        (None, Reach::Loopback) => builder = builder.no_proxy(),
        (None, Reach::Anywhere) => {}
    }
    builder.build().map_err(|error| ClientError::Client(error.without_url()))
}

/// The system's resolver.
struct GuardedResolver {
    guarded: Option<(String, AddressCheck)>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let guarded = self.guarded.as_ref().filter(|(guarded, _)| *guarded == host);
        let check = guarded.map(|(_, check)| Arc::clone(check));
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await;
            let mut found: Vec<SocketAddr> = found?.collect();
            if let Some(check) = check {
                let refused = found.iter().find_map(|address| check(address.ip()).err());
                found.retain(|address| check(address.ip()).is_ok());
                if let (true, Some(refused)) = (found.is_empty(), refused) {
                    return Err(refused.into());
                }
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TlsSettings;

    const OPTIONS: ClientOptions = ClientOptions {
        connect_timeout: Duration::from_secs(1),
        idle: Idle::Kept,
        reach: Reach::Anywhere,
    };

    fn refusal(settings: &HttpSettings) -> String {
        client(settings, &OPTIONS).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_authority_is_named() {
        let ca_file = Some(PathBuf::from("/nonexistent/ca.pem"));
        let tls = TlsSettings { ca_file, ..TlsSettings::default() };
        let settings = HttpSettings { tls, ..HttpSettings::default() };
        assert_eq!(refusal(&settings), "`/nonexistent/ca.pem` cannot be read");
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        let cert_file = Some(PathBuf::from("/etc/hostname"));
        let tls = TlsSettings { cert_file, ..TlsSettings::default() };
        let settings = HttpSettings { tls, ..HttpSettings::default() };
        assert!(refusal(&settings).contains("belong together"));
    }

    #[test]
    fn a_bad_proxy_is_refused_without_its_password() {
        let proxy_url = Some("http://user:canary@:no port".to_owned());
        let settings = HttpSettings { proxy_url, ..HttpSettings::default() };
        assert_eq!(refusal(&settings), "`proxy_url` is not the URL of a proxy");
    }

    #[test]
    fn only_this_machine_is_reached_without_the_environments_proxy() {
        for (url, reach) in [
            ("http://127.0.0.1:9/v1", Reach::Loopback),
            ("http://[::1]:9", Reach::Loopback),
            ("https://localhost", Reach::Loopback),
            ("https://api.example.com", Reach::Anywhere),
            ("http://10.0.0.1", Reach::Anywhere),
            ("not a url", Reach::Anywhere),
        ] {
            assert_eq!(Reach::of(url), reach, "{url}");
        }
    }
}
