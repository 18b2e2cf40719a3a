//! What the simulator puts on the wire, read from a plain socket.

mod control;
mod script;
mod voices;
mod wire;

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

use super::{Script, Simulator, parse_script};

/// Longer than any wait in a test's script, and shorter than the simulator's patience.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a connection ended, as the asker sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// A whole response, and the end of the connection in good order.
    Complete,
    /// The connection ended in good order with less than was announced.
    Short,
    /// Reset.
    Reset,
    /// Open, and nothing came for a minute.
    Silent,
}

/// What came back.
#[derive(Clone, Debug)]
struct Heard {
    raw: String,
    ending: Ending,
    took: Duration,
}

impl Heard {
    fn head(&self) -> &str {
        self.raw.split_once("\r\n\r\n").map_or(self.raw.as_str(), |(head, _)| head)
    }

    fn status(&self) -> &str {
        self.raw.split(' ').nth(1).unwrap_or_default()
    }

    /// The body without the chunks' framing.
    fn body(&self) -> String {
        let Some((head, body)) = self.raw.split_once("\r\n\r\n") else { return String::new() };
        if !head.contains("transfer-encoding: chunked") {
            return body.to_owned();
        }
        let mut whole = String::new();
        let mut rest = body;
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            whole.push_str(&after[..size]);
            rest = after[size..].strip_prefix("\r\n").unwrap_or_default();
        }
        whole
    }
}

async fn simulator(script: &str) -> Simulator {
    let script = if script.is_empty() { Script::default() } else { parsed(script) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Simulator::spawn(listener, script, 7).await
}

fn parsed(script: &str) -> Script {
    parse_script("script.yml", script).unwrap_or_else(|mistake| panic!("{mistake}"))
}

fn chat(stream: bool) -> String {
    let body = format!(
        r#"{{"model":"m","stream":{stream},"stream_options":{{"include_usage":true}},"messages":[{{"role":"user","content":"Say exactly abcdef"}}]}}"#
    );
    post("/v1/chat/completions", "", &body)
}

fn messages(stream: bool) -> String {
    let body = format!(
        r#"{{"model":"m","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":"Say exactly abcdef"}}]}}"#
    );
    post("/v1/messages", "anthropic-version: 2023-06-01\r\n", &body)
}

fn post(path: &str, headers: &str, body: &str) -> String {
    request("POST", path, headers, body)
}

fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

async fn ask(simulator: &Simulator, request: &str) -> Heard {
    let started = Instant::now();
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let mut took = Duration::ZERO;
    let ending = loop {
        match timeout(PATIENCE, socket.read(&mut buffer)).await {
            Err(_) => break Ending::Silent,
            Ok(Ok(0)) => break Ending::Complete,
            Ok(Ok(count)) => {
                bytes.extend_from_slice(&buffer[..count]);
                took = started.elapsed();
                // Keep-alives without end must not keep the test.
                if bytes.len() > 20_000 || took > PATIENCE {
                    break Ending::Silent;
                }
            }
            Ok(Err(_)) => break Ending::Reset,
        }
    };
    let raw = String::from_utf8(bytes).unwrap();
    let ending = if ending == Ending::Complete && is_short(&raw) { Ending::Short } else { ending };
    Heard { raw, ending, took }
}

fn is_short(raw: &str) -> bool {
    let Some((head, body)) = raw.split_once("\r\n\r\n") else { return true };
    let announced = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    match announced {
        Some(length) => body.len() < length.parse().unwrap(),
        None => !body.ends_with("0\r\n\r\n"),
    }
}
