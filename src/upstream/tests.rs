//! Failures against real sockets, and stamps against servers that wait on purpose.

mod proxies;
mod resting;
mod tls;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{
    AddressCheck, Arriving, Blueprint, Carrier, ClientOptions, Idle, Marks, Reach, SendError,
    Stage, Stamps, classify, client, describe, guarded_client, warm_up,
};
use crate::model::HttpSettings;
use crate::provider::ErrorType;

/// What a server does with a connection.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Closes in good order before it reads.
    CloseAtOnce,
    /// Resets the connection once the request has come.
    Reset,
    /// Closes in good order once the request has come.
    Close,
    /// Writes this and closes in good order.
    Say(&'static str),
    /// Writes this and resets.
    SayAndReset(&'static str),
    /// Takes the connection and says nothing.
    Silence,
}

async fn serve(listener: TcpListener, manner: Manner) {
    let mut open = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        open.extend(treat(stream, manner).await);
    }
}

/// Returns the connection where it stays open.
async fn treat(mut stream: TcpStream, manner: Manner) -> Option<TcpStream> {
    if matches!(manner, Manner::Silence) {
        return Some(stream);
    }
    if matches!(manner, Manner::CloseAtOnce) {
        return None;
    }
    let mut request = [0; 4096];
    if stream.read(&mut request).await.is_err() {
        return None;
    }
    if let Manner::Say(text) | Manner::SayAndReset(text) = manner {
        stream.write_all(text.as_bytes()).await.ok()?;
        stream.flush().await.ok()?;
    }
    if matches!(manner, Manner::Reset | Manner::SayAndReset(_)) {
        // The peer reads what was said before the reset overtakes it.
        tokio::time::sleep(Duration::from_millis(20)).await;
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).ok()?;
    }
    None
}

fn carrier(url: &str, idle: Idle) -> Carrier {
    let options =
        ClientOptions { connect_timeout: Duration::from_millis(150), idle, reach: Reach::Loopback };
    Blueprint::measuring(&HttpSettings::default(), &options, url).unwrap().build()
}

async fn ask(
    carrier: &Carrier,
    path: &str,
    stamps: &Arc<Stamps>,
) -> Result<Response<Arriving>, SendError> {
    let mut request = Request::new(Full::new(Bytes::from_static(b"{}")));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = carrier.path(path, None).unwrap();
    carrier.send(request, Some(stamps)).await
}

async fn fail(url: &str) -> (ErrorType, String) {
    let stamps = Arc::new(Stamps::default());
    match ask(&carrier(url, Idle::Kept), "/v1?key=canary", &stamps).await {
        Err(error) => (classify(&error, error.stage()), describe(&error)),
        Ok(response) => match response.into_body().collect().await {
            Ok(_) => (ErrorType::None, String::new()),
            Err(error) => (classify(&error, Stage::Reading), describe(&error)),
        },
    }
}

async fn check(scheme: &str, manner: Manner, expected: ErrorType) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(serve(listener, manner));
    let (found, detail) = fail(&format!("{scheme}://{address}")).await;
    server.abort();
    assert_eq!(found, expected, "{scheme} {manner:?}: {detail}");
    assert!(!detail.contains("canary"), "{detail}");
}

#[tokio::test]
async fn failures_are_told_by_their_types() {
    use Manner::{Close, CloseAtOnce, Reset, Say, SayAndReset, Silence};
    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    const CUT: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhel";
    const SHORT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhel";
    const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhel";
    const BAD_CHUNK: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n";
    for (scheme, manner, expected) in [
        ("http", Close, ErrorType::ConnectionReset),
        ("http", Reset, ErrorType::ConnectionReset),
        ("http", Say("SSH-2.0-OpenSSH\r\n\r\n"), ErrorType::Other),
        ("http", SayAndReset(HEAD), ErrorType::ConnectionReset),
        ("http", SayAndReset(CUT), ErrorType::ConnectionReset),
        ("http", Say(CUT), ErrorType::TruncatedStream),
        ("http", Say(SHORT), ErrorType::TruncatedStream),
        ("http", Say(BAD_CHUNK), ErrorType::Other),
        ("http", Say(WHOLE), ErrorType::None),
        // What speaks no TLS on a TLS port, and what hangs up in the handshake.
        ("https", Say("HTTP/1.1 400 Bad Request\r\n\r\n"), ErrorType::Tls),
        ("https", Reset, ErrorType::Tls),
        ("https", Close, ErrorType::Tls),
        ("https", CloseAtOnce, ErrorType::Tls),
        ("https", Silence, ErrorType::ConnectTimeout),
    ] {
        check(scheme, manner, expected).await;
    }
}

#[tokio::test]
async fn who_is_not_there_is_told_from_who_has_no_name() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    assert_eq!(fail(&format!("http://{address}/")).await.0, ErrorType::Connect);
    // RFC 6761: `.invalid` never resolves.
    assert_eq!(fail("http://bellwether.invalid/").await.0, ErrorType::Dns);
}

async fn exchange(carrier: &Carrier) -> (Marks, bool) {
    let stamps = Arc::new(Stamps::default());
    let response = ask(carrier, "", &stamps).await.unwrap();
    let is_new = response.body().is_new();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    (stamps.marks(), is_new)
}

async fn answer_politely(listener: TcpListener) {
    while let Ok((mut stream, _)) = listener.accept().await {
        tokio::spawn(async move {
            let mut request = [0; 4096];
            while stream.read(&mut request).await.is_ok_and(|count| count > 0) {
                let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                if stream.write_all(text).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test]
async fn a_kept_connection_is_told_from_a_new_one() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let server = tokio::spawn(answer_politely(listener));
    for (idle, expected) in [(Idle::Kept, [true, false, false]), (Idle::Closed, [true; 3])] {
        let carrier = carrier(&url, idle);
        for expected in expected {
            let (marks, is_new) = exchange(&carrier).await;
            assert_eq!(is_new, expected, "{idle:?}");
            let sent = marks.send_start.unwrap();
            if is_new {
                let parts = [marks.dns(), marks.connect()];
                assert!(parts.iter().all(Option::is_some), "{marks:?}");
                assert!(marks.connect_start.unwrap() <= marks.resolve_start.unwrap());
                assert!(marks.connect_end.unwrap() <= sent, "{marks:?}");
            }
            assert_eq!(marks.tls(), None);
        }
    }
    server.abort();
}

#[tokio::test]
async fn a_redirect_is_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let text =
        "HTTP/1.1 302 Found\r\nlocation: http://bellwether.invalid/\r\ncontent-length: 0\r\n\r\n";
    let server = tokio::spawn(serve(listener, Manner::Say(text)));
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Kept,
        reach: Reach::Loopback,
    };
    let client = client(&HttpSettings::default(), &options).unwrap();
    assert_eq!(client.post(url).body("{}").send().await.unwrap().status().as_u16(), 302);
    server.abort();
}

#[tokio::test]
async fn a_name_that_leads_where_it_may_not_is_not_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let served = tokio::spawn(serve(listener, Manner::Say("HTTP/1.1 200 OK\r\n\r\n")));
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Closed,
        reach: Reach::Loopback,
    };
    let check: AddressCheck = Arc::new(|address| match address.is_loopback() {
        true => Err(std::io::Error::other("not there")),
        false => Ok(()),
    });
    let settings = HttpSettings::default();
    let guarded = guarded_client(&settings, &options, "localhost", check.clone()).unwrap();
    let error = guarded.get(&url).send().await.unwrap_err();
    assert_eq!(describe(&error), "not there");
    // What is not the guarded host, as a proxy is not, is none of the guard's business.
    let other = guarded_client(&settings, &options, "example.com", check).unwrap();
    assert_eq!(other.get(&url).send().await.unwrap().status(), 200);
    served.abort();
}

#[tokio::test]
async fn short_answers_come_through_a_proxy_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_url = Some(format!("http://user:word@{}", listener.local_addr().unwrap()));
    let settings = HttpSettings { proxy_url, ..HttpSettings::default() };
    let options = ClientOptions {
        connect_timeout: Duration::from_secs(5),
        idle: Idle::Kept,
        reach: Reach::Loopback,
    };
    let client = client(&settings, &options).unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 4096];
        let count = stream.read(&mut request).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.unwrap();
        String::from_utf8_lossy(&request[..count]).into_owned()
    });
    // Only the proxy could know this name.
    let response = client.get("http://bellwether.invalid/v1").send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "ok");
    let request = asked.await.unwrap();
    assert!(request.starts_with("GET http://bellwether.invalid/v1 HTTP/1.1\r\n"), "{request}");
    // RFC 7617: base64 of `user:word`.
    assert!(request.contains("proxy-authorization: Basic dXNlcjp3b3Jk\r\n"), "{request}");
}

#[test]
fn a_path_lies_below_the_base_url() {
    for (base, path, query, expected) in [
        ("http://a.example", "", None, "/"),
        ("http://a.example/", "/v1/chat", None, "/v1/chat"),
        ("http://a.example/v4/", "/chat", Some("key=x"), "/v4/chat?key=x"),
        (
            "http://a.example/v4",
            "/chat?api-version=1",
            Some("key=x"),
            "/v4/chat?api-version=1&key=x",
        ),
        ("https://user:word@a.example:8443", "?a=b", None, "/?a=b"),
        // Punycode, as `idn2 bücher.example` prints it.
        ("http://bücher.example", "/ä", None, "/\u{e4}"),
    ] {
        let carrier = carrier(base, Idle::Kept);
        let origin = carrier.origin().to_string();
        assert!(!origin.contains("word"), "{origin}");
        assert!(origin.is_ascii(), "{origin}");
        let found = carrier.path(path, query);
        assert_eq!(found.unwrap().to_string(), expected, "{base}");
    }
    for base in ["a.example", "/v1", "http://", "mailto:a@example.com"] {
        let options = ClientOptions {
            connect_timeout: Duration::from_secs(1),
            idle: Idle::Kept,
            reach: Reach::Anywhere,
        };
        let error = Blueprint::measuring(&HttpSettings::default(), &options, base).unwrap_err();
        assert_eq!(error.to_string(), "`base_url` makes no URL", "{base}");
    }
}

#[tokio::test]
async fn the_host_is_that_of_the_base_url_unless_a_request_names_another() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let carrier = carrier(&format!("http://{address}"), Idle::Closed);
    for named in [None, Some("b.example")] {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.uri_mut() = carrier.path("/v1", None).unwrap();
        if let Some(named) = named {
            request.headers_mut().insert("host", http::HeaderValue::from_static(named));
        }
        let answering = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut read = vec![0; 4096];
            let count = stream.read(&mut read).await.unwrap();
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            String::from_utf8_lossy(&read[..count]).into_owned()
        };
        let (answer, heard) = tokio::join!(carrier.send(request, None), answering);
        assert_eq!(answer.unwrap().status(), 204);
        let host = named.map_or(address.to_string(), str::to_owned);
        assert!(heard.starts_with("GET /v1 HTTP/1.1\r\n"), "{heard}");
        assert!(heard.contains(&format!("host: {host}\r\n")), "{heard}");
        assert_eq!(heard.matches("host:").count(), 1, "{heard}");
    }
}
