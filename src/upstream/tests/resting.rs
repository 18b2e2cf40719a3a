//! What becomes of connections between two requests.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::TlsSettings;

/// A server that answers each request with this; each connection that it takes is told, and what is
/// sent to a connection's channel is said on it, or it is closed where that is empty.
async fn server(answer: &'static str) -> (String, mpsc::Receiver<mpsc::Sender<&'static str>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (taken, connections) = mpsc::channel(16);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (say, said) = mpsc::channel(16);
            tokio::spawn(talk(stream, answer, said));
            if taken.send(say).await.is_err() {
                return;
            }
        }
    });
    (url, connections)
}

async fn talk(mut stream: TcpStream, answer: &'static str, mut said: mpsc::Receiver<&'static str>) {
    let mut request = [0; 4096];
    loop {
        tokio::select! {
            count = stream.read(&mut request) => match count {
                Ok(1..) => stream.write_all(answer.as_bytes()).await.unwrap(),
                _ => return,
            },
            text = said.recv() => match text {
                Some("") | None => return,
                Some(text) => stream.write_all(text.as_bytes()).await.unwrap(),
            },
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Lets both ends of a socket on this machine see what the other did: each turn asks the system once.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_connection_that_the_peer_closed_is_not_asked() {
    let (url, mut connections) = server(OK).await;
    let carrier = carrier(&url, Idle::Kept);
    for _ in 0..3 {
        assert!(exchange(&carrier).await.1);
        assert!(!exchange(&carrier).await.1);
        let talking = connections.recv().await.unwrap();
        talking.send("").await.unwrap();
        talking.closed().await;
        settle().await;
    }
}

#[tokio::test]
async fn a_connection_on_which_the_peer_spoke_out_of_turn_is_not_asked() {
    let (url, mut connections) = server(OK).await;
    let carrier = carrier(&url, Idle::Kept);
    assert!(exchange(&carrier).await.1);
    connections.recv().await.unwrap().send("HTTP/1.1 408 Request Timeout\r\n\r\n").await.unwrap();
    settle().await;
    assert!(exchange(&carrier).await.1);
}

#[tokio::test]
async fn an_answer_with_more_behind_it_is_the_last_of_its_connection() {
    for (answer, is_last) in [
        (OK, false),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP", true),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok", true),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", true),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", false),
    ] {
        let (url, _connections) = server(answer).await;
        let carrier = carrier(&url, Idle::Kept);
        exchange(&carrier).await;
        assert_eq!(exchange(&carrier).await.1, is_last, "{answer}");
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_to_its_end_closes_its_connection() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
    let (url, mut connections) = server(answer).await;
    let carrier = carrier(&url, Idle::Kept);
    let stamps = Arc::new(Stamps::default());
    let mut response = ask(&carrier, "", &stamps).await.unwrap();
    assert!(response.body_mut().frame().await.unwrap().is_ok());
    let talking = connections.recv().await.unwrap();
    drop(response);
    talking.closed().await;
}

#[tokio::test]
async fn no_more_rest_than_may_and_none_for_too_long() {
    let (url, mut connections) = server(OK).await;
    let carrier = carrier(&url, Idle::Few(2));
    let stamps = Arc::new(Stamps::default());
    let (first, second, third) = tokio::join!(
        ask(&carrier, "", &stamps),
        ask(&carrier, "", &stamps),
        ask(&carrier, "", &stamps)
    );
    let mut open = Vec::new();
    for answer in [first, second, third] {
        answer.unwrap().into_body().collect().await.unwrap();
        open.push(connections.recv().await.unwrap());
    }
    settle().await;
    assert_eq!(open.iter().filter(|talking| talking.is_closed()).count(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(89)).await;
    carrier.sweep();
    settle().await;
    assert_eq!(open.iter().filter(|talking| talking.is_closed()).count(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    carrier.sweep();
    for talking in open {
        talking.closed().await;
    }
}

#[tokio::test]
async fn http2_carries_all_over_one_connection_until_that_is_closed() {
    warm_up();
    let path = |name: &str| {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/upstream/tests").join(name)
    };
    let key = PrivateKeyDer::from_pem_file(path("server-key.pem")).unwrap();
    let certificate = CertificateDer::from_pem_file(path("server.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/v1", listener.local_addr().unwrap().port());
    let (served, close) = (Arc::new(AtomicUsize::new(0)), Arc::new(tokio::sync::Notify::new()));
    let ended = Arc::new(AtomicUsize::new(0));
    let (counted, closing) = (Arc::clone(&served), Arc::clone(&close));
    let over = Arc::clone(&ended);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let stream = TokioIo::new(acceptor.accept(stream).await.unwrap());
            let (closing, over) = (Arc::clone(&closing), Arc::clone(&over));
            tokio::spawn(async move {
                let service = service_fn(async |request: Request<hyper::body::Incoming>| {
                    assert_eq!(request.uri().path(), "/v1/chat");
                    assert_eq!(request.uri().host(), Some("localhost"));
                    assert!(!request.headers().contains_key("host"));
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"ok"))))
                });
                let builder = http2::Builder::new(TokioExecutor::new());
                let mut serving = std::pin::pin!(builder.serve_connection(stream, service));
                tokio::select! {
                    _ = &mut serving => {}
                    () = closing.notified() => {
                        serving.as_mut().graceful_shutdown();
                        serving.await.ok();
                    }
                }
                over.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    let tls = TlsSettings { ca_file: Some(path("authority.pem")), ..TlsSettings::default() };
    let settings = HttpSettings { tls, ..HttpSettings::default() };
    for (idle, connections) in [(Idle::Kept, 2), (Idle::Closed, 10)] {
        let options =
            ClientOptions { connect_timeout: Duration::from_secs(5), idle, reach: Reach::Loopback };
        let carrier = Blueprint::measuring(&settings, &options, &url).unwrap().build();
        served.store(0, Ordering::Relaxed);
        ended.store(0, Ordering::Relaxed);
        for round in 0..2 {
            for nth in 0..5 {
                let stamps = Arc::new(Stamps::default());
                let response = ask(&carrier, "/chat", &stamps).await.unwrap();
                assert_eq!(response.version(), http::Version::HTTP_2);
                let is_new = nth == 0 || idle == Idle::Closed;
                assert_eq!(response.body().is_new(), is_new, "{idle:?} {round} {nth}");
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "ok");
            }
            while ended.load(Ordering::Relaxed) < served.load(Ordering::Relaxed) {
                close.notify_waiters();
                settle().await;
            }
            settle().await;
        }
        assert_eq!(served.load(Ordering::Relaxed), connections, "{idle:?}");
    }
}
