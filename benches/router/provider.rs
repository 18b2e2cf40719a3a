//! A provider that answers with streams at a pace that the question asks for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// How a stream comes where the question says nothing of it, as a probe's does.
const PACE: [u64; 3] = [1_000, 1_000, 3];

/// More stamps than anybody looks at.
const ENDED_MAX: usize = 10_000;

/// The provider; it serves until the process ends.
pub struct Provider {
    port: u16,
    pacer: Arc<Pacer>,
}

/// Nanoseconds since the provider began, for stamps that travel as text.
#[derive(Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// What the clock says.
    pub fn now(self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The streams that are under way, by when the next chunk of each is due.
struct Pacer {
    clock: Clock,
    due: Mutex<BinaryHeap<Reverse<Due>>>,
    sooner: Condvar,
    numbers: AtomicU64,
    stuck: AtomicU64,
    ended: Mutex<Vec<Stamps>>,
}

/// When a stream's question was here, and when its first and its last chunk left.
pub type Stamps = [u64; 3];

/// A stream; ordered by when it goes on, then by number.
struct Due {
    at: Instant,
    number: u64,
    stream: Stream,
}

struct Stream {
    socket: Arc<TcpStream>,
    /// When the whole question was here.
    received: u64,
    /// When its first chunk left.
    first: Option<u64>,
    interval: Duration,
    chunks: u64,
    left: u64,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl Provider {
    /// Listens on loopback.
    pub fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let port = listener.local_addr()?.port();
        let pacer = Arc::new(Pacer {
            clock: Clock(Instant::now()),
            due: Mutex::default(),
            sooner: Condvar::new(),
            numbers: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
            ended: Mutex::default(),
        });
        let reading = Arc::clone(&pacer);
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    let Ok((socket, _)) = listener.accept().await else { continue };
                    let _best_effort = socket.set_nodelay(true).is_ok();
                    tokio::spawn(converse(Arc::new(socket), Arc::clone(&reading)));
                }
            })
        });
        let writing = Arc::clone(&pacer);
        std::thread::spawn(move || writing.run());
        Ok(Self { port, pacer })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The clock that stamps are read from.
    pub fn clock(&self) -> Clock {
        self.pacer.clock
    }

    /// The stamps of the streams that have ended since the last look, in that order.
    pub fn ended(&self) -> Vec<Stamps> {
        std::mem::take(&mut *self.pacer.ended.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many chunks found no room in a socket: then what is measured is no more the delay of each.
    pub fn stuck(&self) -> u64 {
        self.pacer.stuck.load(Ordering::Relaxed)
    }
}

async fn converse(socket: Arc<TcpStream>, pacer: Arc<Pacer>) {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        let read = match socket.readable().await {
            Ok(()) => socket.try_read_buf(&mut buffer),
            Err(_) => return,
        };
        match read {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        }
        if let Some(length) = whole(&buffer) {
            pacer.begin(Arc::clone(&socket), &buffer[..length]);
            buffer.drain(..length);
        }
    }
}

/// How long the first request is, once it is all there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = find(bytes, b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let field = |name: &str| {
        let lines = text.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| *found == name).map(|(_, value)| value.trim().to_owned()).next()
    };
    let end = match field("content-length").and_then(|length| length.parse::<usize>().ok()) {
        Some(length) => head + length,
        None if field("transfer-encoding").is_some() => {
            head + find(&bytes[head..], b"0\r\n\r\n")? + 5
        }
        None => head,
    };
    (bytes.len() >= end).then_some(end)
}

/// Where one text begins in another.
pub fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// The three numbers of `pace THINK INTERVAL CHUNKS` in a question.
fn pace(question: &[u8]) -> Option<[u64; 3]> {
    let at = find(question, b"pace ")? + 5;
    let text = String::from_utf8_lossy(&question[at..]);
    let words = text.split(|letter: char| !letter.is_ascii_digit());
    let numbers: Vec<u64> = words.take(3).filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

impl Pacer {
    fn begin(&self, socket: Arc<TcpStream>, question: &[u8]) {
        let [think, interval, chunks] = pace(question).unwrap_or(PACE);
        let head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nx-request-id: \
            req_0123456789\r\ntransfer-encoding: chunked\r\n\r\n";
        let received = self.clock.now();
        if socket.try_write(head).is_err() {
            return;
        }
        let interval = Duration::from_micros(interval);
        let stream = Stream { socket, received, first: None, interval, chunks, left: chunks };
        self.wait(Instant::now() + Duration::from_micros(think), stream);
    }

    fn wait(&self, at: Instant, stream: Stream) {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = due.peek().is_none_or(|Reverse(first)| at < first.at);
        due.push(Reverse(Due { at, number, stream }));
        drop(due);
        if is_first {
            self.sooner.notify_one();
        }
    }

    fn run(&self) {
        let mut chunk = String::new();
        loop {
            let Due { at, stream, .. } = self.next();
            self.write(at, stream, &mut chunk);
        }
    }

    fn next(&self) -> Due {
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let wait = match due.peek() {
                None => Duration::from_secs(3600),
                Some(Reverse(first)) => first.at.saturating_duration_since(Instant::now()),
            };
            if wait.is_zero()
                && let Some(Reverse(first)) = due.pop()
            {
                return first;
            }
            let woken = self.sooner.wait_timeout(due, wait);
            due = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Writes a stream's next chunk; a stream that broke off is forgotten.
    fn write(&self, at: Instant, mut stream: Stream, chunk: &mut String) {
        stream.left -= 1;
        let (received, is_last) = (stream.received, stream.left == 0);
        chunk.clear();
        let written = self.clock.now();
        let first = *stream.first.get_or_insert(written);
        piece(chunk, &delta(received, written, is_last));
        if is_last {
            piece(chunk, &usage(stream.chunks));
            piece(chunk, "[DONE]");
            chunk.push_str("0\r\n\r\n");
        }
        match stream.socket.try_write(chunk.as_bytes()) {
            Ok(length) if length == chunk.len() => {}
            Ok(_) => {
                self.stuck.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(error) => {
                let is_full = error.kind() == std::io::ErrorKind::WouldBlock;
                self.stuck.fetch_add(u64::from(is_full), Ordering::Relaxed);
                return;
            }
        }
        if is_last {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            if ended.len() < ENDED_MAX {
                ended.push([received, first, written]);
            }
        } else {
            self.wait(at + stream.interval, stream);
        }
    }
}

/// The chunk that says what was used: a token for each chunk before it.
fn usage(chunks: u64) -> String {
    let total = 24 + chunks;
    format!(
        r#"{{"id":"chatcmpl-B0vLXZyeQ3bWqYxkq1h0rN2mS4tUd","object":"chat.completion.chunk","created":1795000000,"model":"paced","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[],"usage":{{"prompt_tokens":24,"completion_tokens":{chunks},"total_tokens":{total}}}}}"#
    )
}

/// A chunk as OpenAI writes it, whose text is when its question was here and when it left.
fn delta(received: u64, written: u64, is_last: bool) -> String {
    let finish = if is_last { r#""stop""# } else { "null" };
    format!(
        r#"{{"id":"chatcmpl-B0vLXZyeQ3bWqYxkq1h0rN2mS4tUd","object":"chat.completion.chunk","created":1795000000,"model":"paced","service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{{"index":0,"delta":{{"content":"@{received}/{written}@ "}},"logprobs":null,"finish_reason":{finish}}}],"usage":null}}"#
    )
}

/// An event as a chunk of the body.
fn piece(chunk: &mut String, data: &str) {
    let length = "data: ".len() + data.len() + 2;
    // Writing to a text can't fail.
    let _is_written = write!(chunk, "{length:x}\r\ndata: {data}\n\n\r\n").is_ok();
}
