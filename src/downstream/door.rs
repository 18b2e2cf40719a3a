//! By what a listener lets in: TLS, users and headers of a web configuration file, as one value that is
//! replaced as a whole.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::tls;
use crate::access::Web;
use crate::model::Mistake;

/// How long a client may take for its part of a TLS handshake: Go's programs give ten seconds.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What is spoken over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocols {
    /// HTTP/1.1
    Http1,
    /// HTTP/2, and HTTP/1.1 with who does not speak it.
    Http2,
}

/// A web configuration file with its certificates read.
#[derive(Clone, Debug, Default)]
pub struct Door {
    web: Web,
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// Reads the certificates, which blocks.
    pub fn open(web: Web, protocols: Protocols) -> Result<Self, Vec<Mistake>> {
        let tls = web.tls.as_ref().map(|settings| tls::config(settings, protocols)).transpose()?;
        Ok(Self { web, tls })
    }

    /// What the file says.
    pub fn web(&self) -> &Web {
        &self.web
    }

    /// What TLS is spoken by, if it is.
    pub fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.tls.clone()
    }

    /// Whether nobody comes in without a certificate that was verified.
    pub fn demands_certificates(&self) -> bool {
        self.web.tls.as_ref().is_some_and(|tls| tls.client_auth.is_demanded())
    }
}

/// The SHA-256 of a client's certificate, as `sha256:` and hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate(pub String);

/// Shakes hands; `None` where that came to nothing.
pub async fn shake_hands(
    stream: TcpStream,
    peer: SocketAddr,
    tls: Arc<ServerConfig>,
) -> Option<(TlsStream<TcpStream>, Option<PeerCertificate>)> {
    let handshake = TlsAcceptor::from(tls).accept(stream);
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
        Ok(Ok(stream)) => {
            let first = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
            let certificate = first.map(|certificate| {
                let digest = Sha256::digest(certificate);
                let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                PeerCertificate(format!("sha256:{hex}"))
            });
            Some((stream, certificate))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, %peer, "a TLS handshake failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "a TLS handshake took too long");
            None
        }
    }
}
