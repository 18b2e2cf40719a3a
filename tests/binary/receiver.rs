//! A receiver of webhooks that knows nothing of bellwether, and its own check of signatures.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::program::let_pass;
use super::wait::until;

/// What it does with a request that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Answers 200.
    Takes,
    /// Answers 200 after up to 30 ms, so that much is under way at any moment.
    Dawdles,
    /// Answers 200 after a quarter of a second: time enough for a fault in between.
    Lingers,
    /// Answers 404.
    Refuses,
    /// Answers 503.
    Unavailable,
    /// Closes the connection without an answer.
    Closes,
    /// Says nothing.
    Hangs,
}

impl Manner {
    /// Whether what the request asks for is done, whoever hears of it.
    pub fn is_taken(self) -> bool {
        !matches!(self, Self::Refuses | Self::Unavailable)
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// How it was met.
    pub manner: Manner,
    pub path: String,
    /// By lower-case names.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// Takes requests on a port of its own.
pub struct Receiver {
    address: SocketAddr,
    manner: watch::Sender<Manner>,
    calls: Arc<watch::Sender<Vec<Call>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(watch::channel(Vec::new()).0);
        let (manner, current) = watch::channel(manner);
        let seen = Arc::clone(&calls);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(converse(stream, current.clone(), Arc::clone(&seen)));
            }
        });
        Self { address, manner, calls, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// From the next request on.
    pub fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    /// What came to a path so far.
    pub fn calls(&self, path: &str) -> Vec<Call> {
        self.calls.borrow().iter().filter(|call| call.path == path).cloned().collect()
    }

    /// Waits until so many calls came to a path.
    pub async fn wait(&self, path: &str, count: usize) -> Vec<Call> {
        until(async || {
            let calls = self.calls(path);
            if calls.len() < count {
                return Err(format!("{} of {count} calls to {path}", calls.len()));
            }
            Ok(calls)
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn converse(
    mut stream: TcpStream,
    manner: watch::Receiver<Manner>,
    calls: Arc<watch::Sender<Vec<Call>>>,
) {
    while let Some(mut call) = read(&mut stream).await {
        let manner = *manner.borrow();
        call.manner = manner;
        calls.send_modify(|calls| calls.push(call));
        if let Manner::Dawdles = manner {
            let milliseconds = calls.borrow().len() as u64 * 7 % 31;
            let_pass(Duration::from_millis(milliseconds)).await;
        }
        if let Manner::Lingers = manner {
            let_pass(Duration::from_millis(250)).await;
        }
        match manner {
            Manner::Takes | Manner::Dawdles | Manner::Lingers => {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
            Manner::Refuses => {
                let answer = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
            Manner::Unavailable => {
                let answer = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                if stream.write_all(answer).await.is_err() {
                    return;
                }
            }
            Manner::Closes => return,
            Manner::Hangs => std::future::pending().await,
        }
    }
}

/// Reads one request; nothing where the connection ended before it was whole.
async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    };
    let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let fields = lines.filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
    let length: usize =
        headers.get("content-length").map_or(Ok(0), |length| length.parse()).ok()?;
    while bytes.len() < head_end + length {
        (stream.read_buf(&mut bytes).await.ok()? > 0).then_some(())?;
    }
    let body = String::from_utf8_lossy(&bytes[head_end..head_end + length]).into_owned();
    Some(Call { manner: Manner::Takes, path, headers, body })
}

/// Whether a message carries a signature of version 1 by a secret, as Standard Webhooks says:
/// HMAC-SHA256 over `id.timestamp.body` by the bytes that the secret names after `whsec_`.
pub fn is_signed(secret: &str, id: &str, timestamp: &str, signature: &str, body: &str) -> bool {
    let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
    let mut code = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    code.update(format!("{id}.{timestamp}.{body}").as_bytes());
    let due = format!("v1,{}", STANDARD.encode(code.finalize().into_bytes()));
    signature.split(' ').any(|signature| signature == due)
}

impl Call {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// Whether it is signed by a secret.
    pub fn is_signed(&self, secret: &str) -> bool {
        let [id, timestamp, signature] =
            ["webhook-id", "webhook-timestamp", "webhook-signature"].map(|name| self.header(name));
        is_signed(secret, id, timestamp, signature, &self.body)
    }
}

// As published with the reference libraries of Standard Webhooks.
#[test]
fn the_published_vector_is_believed_and_nothing_else() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let id = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    assert!(is_signed(secret, id, "1649367553", signature, body));
    assert!(!is_signed(secret, id, "1649367554", signature, body));
    assert!(!is_signed(secret, "msg_2", "1649367553", signature, body));
    assert!(!is_signed(secret, id, "1649367553", signature, "{}"));
}
