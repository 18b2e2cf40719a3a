//! TLS against a server of our own.
//!
//! The certificates beside this file were made once with `openssl` for these tests: an authority
//! whose key was thrown away, and a server's and a client's certificate for `localhost` by it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::super::{Blueprint, ClientOptions, Idle, Marks, Reach, Stamps, classify, warm_up};
use crate::model::{HttpSettings, TlsSettings};
use crate::provider::ErrorType;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests").join(name)
}

fn certificate(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(path(name)).unwrap()
}

/// Whether the server asks for a client's certificate.
#[derive(Clone, Copy)]
enum Asks {
    Nobody,
    Clients,
}

/// Serves one connection after the other, each with TLS going on 30 ms after the client's hello, and
/// answers with the kind of the handshake.
fn serve(asks: Asks) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match asks {
        Asks::Nobody => builder.with_no_client_auth(),
        Asks::Clients => {
            let mut roots = RootCertStore::empty();
            roots.add(certificate("authority.pem")).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let key = PrivateKeyDer::from_pem_file(path("server-key.pem")).unwrap();
    let config = builder.with_single_cert(vec![certificate("server.pem")], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // The client's hello is there: from now on it waits for us.
            if stream.peek(&mut [0]).is_err() {
                continue;
            }
            std::thread::park_timeout(Duration::from_millis(30));
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream);
            let mut request = [0; 4096];
            if stream.read(&mut request).is_err() {
                continue;
            }
            let kind = match stream.conn.handshake_kind() {
                Some(HandshakeKind::Resumed) => "short",
                _ => "full!",
            };
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\n";
            if stream.write_all(format!("{head}{kind}").as_bytes()).is_ok() {
                stream.conn.send_close_notify();
                stream.flush().ok();
            }
        }
    });
    format!("https://localhost:{port}/")
}

async fn ask(url: &str, tls: TlsSettings) -> Result<(String, Marks), ErrorType> {
    let settings = HttpSettings { tls, ..HttpSettings::default() };
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Closed,
        reach: Reach::Loopback,
    };
    let carrier = Blueprint::measuring(&settings, &options, url).unwrap().build();
    let mut last = None;
    // Twice, since the second handshake would be the one to be resumed.
    for _ in 0..2 {
        let stamps = Arc::new(Stamps::default());
        let answer = super::ask(&carrier, "", &stamps).await;
        let response = answer.map_err(|error| classify(&error, error.stage()))?;
        // 2120-01-01, as `openssl x509 -enddate` says of the server's certificate.
        let expires = response.body().certificate_expires().map(|expires| expires.rfc3339());
        assert_eq!(expires.as_deref(), Some("2120-01-01T00:00:00.000Z"));
        let kind = response.into_body().collect().await.unwrap().to_bytes();
        last = Some((String::from_utf8(kind.to_vec()).unwrap(), stamps.marks()));
    }
    Ok(last.unwrap())
}

fn trusting() -> TlsSettings {
    TlsSettings { ca_file: Some(path("authority.pem")), ..TlsSettings::default() }
}

#[tokio::test]
async fn an_own_authority_is_trusted_and_a_strange_one_is_not() {
    warm_up();
    let url = serve(Asks::Nobody);
    assert_eq!(ask(&url, TlsSettings::default()).await.unwrap_err(), ErrorType::Tls);
    let (kind, marks) = ask(&url, trusting()).await.unwrap();
    assert_eq!(kind, "full!");
    // The server goes on with TLS late: that is TLS's time.
    assert!(marks.tls().unwrap() >= Duration::from_millis(30), "{marks:?}");
    assert!(marks.connect().is_some() && marks.dns().is_some(), "{marks:?}");
    let careless = TlsSettings { insecure_skip_verify: true, ..TlsSettings::default() };
    assert!(ask(&url, careless).await.is_ok());
}

#[tokio::test]
async fn a_client_certificate_is_shown_where_it_is_asked_for() {
    warm_up();
    let url = serve(Asks::Clients);
    assert!(ask(&url, trusting()).await.is_err());
    let known = TlsSettings {
        cert_file: Some(path("client.pem")),
        key_file: Some(path("client-key.pem")),
        ..trusting()
    };
    assert!(ask(&url, known).await.is_ok());
    let crossed = TlsSettings {
        cert_file: Some(path("client.pem")),
        key_file: Some(path("server-key.pem")),
        ..trusting()
    };
    let settings = HttpSettings { tls: crossed, ..HttpSettings::default() };
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Closed,
        reach: Reach::Loopback,
    };
    let error = Blueprint::measuring(&settings, &options, &url).unwrap_err().to_string();
    assert!(error.contains("client.pem"), "{error}");
}
