//! What proxies are told, each by a peer that plays one.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::super::{Blueprint, CarrierError, ClientOptions, Idle, Reach, Stamps};
use super::Duration;
use crate::model::{HttpSettings, TlsSettings};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests").join(name)
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    // Who has its answer goes away, with or without a word.
    let count = stream.read(&mut bytes).await.unwrap_or(0);
    bytes.truncate(count);
    bytes
}

/// Reads, then says each of these; returns what was read before each, and last.
async fn play(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: &[&[u8]]) -> Vec<Vec<u8>> {
    let mut heard = vec![read(&mut stream).await];
    for said in says {
        stream.write_all(said).await.unwrap();
        stream.flush().await.unwrap();
        heard.push(read(&mut stream).await);
    }
    heard
}

fn blueprint(proxy_url: String, base_url: &str) -> Result<Blueprint, CarrierError> {
    let tls = TlsSettings { ca_file: Some(path("authority.pem")), ..TlsSettings::default() };
    let settings = HttpSettings { proxy_url: Some(proxy_url), tls, ..HttpSettings::default() };
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Kept,
        reach: Reach::Loopback,
    };
    Blueprint::measuring(&settings, &options, base_url)
}

/// What a proxy hears that says these things; only it could know the provider's name.
async fn heard(scheme: &str, user: &str, to: &str, says: &'static [&[u8]]) -> Vec<Vec<u8>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let blueprint = blueprint(
        format!("{scheme}://{user}localhost:{port}"),
        &format!("{to}://bellwether.invalid/v1"),
    );
    let carrier = blueprint.unwrap().build();
    let is_secured = scheme == "https";
    let proxy = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        if !is_secured {
            return play(stream, says).await;
        }
        let key = PrivateKeyDer::from_pem_file(path("server-key.pem")).unwrap();
        let certificate = CertificateDer::from_pem_file(path("server.pem")).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        play(TlsAcceptor::from(Arc::new(config)).accept(stream).await.unwrap(), says).await
    });
    let stamps = Arc::new(Stamps::default());
    let asking = tokio::spawn(async move { super::ask(&carrier, "/chat", &stamps).await.is_ok() });
    let heard = proxy.await.unwrap();
    asking.abort();
    heard
}

#[tokio::test]
async fn a_proxy_is_asked_for_what_is_not_secured_by_its_whole_address() {
    for scheme in ["http", "https"] {
        let heard = heard(scheme, "user:word@", "http", &[ANSWER]).await;
        let request = String::from_utf8_lossy(&heard[0]);
        let first = "POST http://bellwether.invalid/v1/chat HTTP/1.1\r\n";
        assert!(request.starts_with(first), "{request}");
        assert!(request.contains("host: bellwether.invalid\r\n"), "{request}");
        // RFC 7617: base64 of `user:word`.
        assert!(request.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"), "{request}");
    }
}

#[tokio::test]
async fn what_is_secured_goes_through_a_tunnel() {
    for scheme in ["http", "https"] {
        let heard = heard(scheme, "user:word@", "https", &[b"HTTP/1.1 200 OK\r\n\r\n"]).await;
        let request = String::from_utf8_lossy(&heard[0]).to_ascii_lowercase();
        // RFC 9110, 9.3.6: host and port.
        assert!(request.starts_with("connect bellwether.invalid:443 http/1.1\r\n"), "{request}");
        assert!(request.contains("proxy-authorization: basic dxnlcjp3b3jk\r\n"), "{request}");
        // RFC 8446, 5.1: a record of a handshake.
        assert_eq!(heard[1].first(), Some(&22));
    }
}

#[tokio::test]
async fn socks_is_spoken_in_both_versions() {
    // RFC 1928 and 1929: greeting, user and password, name and port; then the request.
    let says: &[&[u8]] = &[b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"];
    let five = heard("socks5h", "user:word@", "http", says).await;
    assert_eq!(five[0], b"\x05\x01\x02");
    assert_eq!(five[1], b"\x01\x04user\x04word");
    assert_eq!(five[2], b"\x05\x01\x00\x03\x12bellwether.invalid\x00\x50");
    assert!(five[3].starts_with(b"POST /v1/chat HTTP/1.1\r\n"), "{five:?}");
    // SOCKS 4A: an address that cannot be, and the name behind it.
    let four = heard("socks4a", "", "http", &[b"\x00\x5a\x00\x50\x00\x00\x00\x00"]).await;
    assert_eq!(four[0], b"\x04\x01\x00\x50\x00\x00\x00\xff\x00bellwether.invalid\x00");
    assert!(four[1].starts_with(b"POST /v1/chat HTTP/1.1\r\n"), "{four:?}");
}

#[tokio::test]
async fn an_address_that_is_no_proxys_is_refused_without_its_password() {
    for url in ["http://user:canary@:no port", "ftp://user:canary@localhost"] {
        let error = blueprint(url.to_owned(), "http://localhost/").unwrap_err().to_string();
        assert!(error.contains("proxy") && !error.contains("canary"), "{error}");
    }
}
