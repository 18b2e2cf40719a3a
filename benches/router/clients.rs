//! Clients that read streams and look at the stamps in them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::provider::{Clock, find};

/// Requests that are under way at once while connections are opened.
const OPENING: usize = 64;
/// Nobody answers as late as this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A request that is written already.
#[derive(Clone)]
pub struct Question {
    /// Of whom, on loopback.
    pub port: u16,
    /// All bytes of it.
    pub text: Arc<[u8]>,
}

/// What clients saw.
#[derive(Default)]
pub struct Sample {
    /// From the request's send to the first chunk, without the time that the provider took.
    pub ttft: Vec<Duration>,
    /// For each later chunk, from the provider's write to the client's read.
    pub delay: Vec<Duration>,
}

/// Connections that stay open until this is dropped.
pub struct Held {
    _resting: Vec<TcpStream>,
    _open: JoinSet<anyhow::Result<()>>,
}

/// Asks again and again for some time, each question over a connection of its own. The first ones are
/// spread over the time that a stream takes, so that not all begin and end at once.
pub async fn stream(
    questions: Vec<Question>,
    whole: Duration,
    seconds: Duration,
    clock: Clock,
) -> anyhow::Result<Sample> {
    let start = Instant::now();
    let count = u32::try_from(questions.len()).context("so many streams have no ports")?;
    let mut clients = JoinSet::new();
    for (number, question) in (0..).zip(questions) {
        let begin = start + whole / count * number;
        clients.spawn(async move {
            let mut client = Client::connect(&question).await?;
            let mut sample = Sample::default();
            tokio::time::sleep_until(begin).await;
            while start.elapsed() < seconds {
                client.ask(&question, clock, &mut sample).await?;
            }
            anyhow::Ok(sample)
        });
    }
    let mut all = Sample::default();
    while let Some(sample) = clients.join_next().await {
        let sample = sample??;
        all.ttft.extend(sample.ttft);
        all.delay.extend(sample.delay);
    }
    Ok(all)
}

/// Opens connections, each of which rests after an answer, and streams of which some has come.
pub async fn hold(
    resting: Vec<Question>,
    open: Vec<Question>,
    clock: Clock,
) -> anyhow::Result<Held> {
    let room = Arc::new(Semaphore::new(OPENING));
    let mut asking = JoinSet::new();
    for question in resting {
        let room = Arc::clone(&room);
        asking.spawn(async move {
            let _place = room.acquire_owned().await?;
            let mut client = Client::connect(&question).await?;
            client.ask_whole(&question).await?;
            anyhow::Ok(client.socket)
        });
    }
    let mut rested = Vec::new();
    while let Some(socket) = asking.join_next().await {
        rested.push(socket??);
    }
    let mut streams = JoinSet::new();
    let (begun, mut beginning) = tokio::sync::mpsc::channel(open.len().max(1));
    let count = open.len();
    for question in open {
        let (room, begun) = (Arc::clone(&room), begun.clone());
        streams.spawn(async move {
            let place = room.acquire_owned().await?;
            let mut client = Client::connect(&question).await?;
            client.socket.write_all(&question.text).await?;
            client.first(clock).await?;
            drop(place);
            begun.send(()).await?;
            loop {
                client.buffer.clear();
                client.read().await?;
            }
        });
    }
    drop(begun);
    for _ in 0..count {
        let Some(()) = timeout(PATIENCE, beginning.recv()).await? else {
            bail!("a stream did not begin: {:?}", streams.join_next().await);
        };
    }
    Ok(Held { _resting: rested, _open: streams })
}

struct Client {
    socket: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    async fn connect(question: &Question) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(("127.0.0.1", question.port)).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Reads what is there, and waits for it if nothing is.
    async fn read(&mut self) -> anyhow::Result<()> {
        let length = timeout(PATIENCE, self.socket.read_buf(&mut self.buffer)).await??;
        ensure!(length > 0, "the answer was cut: {}", String::from_utf8_lossy(&self.buffer));
        Ok(())
    }

    /// Asks for a stream and reads it to its end.
    async fn ask(
        &mut self,
        question: &Question,
        clock: Clock,
        sample: &mut Sample,
    ) -> anyhow::Result<()> {
        self.buffer.clear();
        let sent = clock.now();
        self.socket.write_all(&question.text).await?;
        let (mut looked, mut is_first) = (0, true);
        loop {
            self.read().await?;
            let now = clock.now();
            looked = stamps(&self.buffer, looked, |received, written| {
                if std::mem::take(&mut is_first) {
                    let thought = written.saturating_sub(received);
                    sample.ttft.push(Duration::from_nanos((now - sent).saturating_sub(thought)));
                } else {
                    sample.delay.push(Duration::from_nanos(now.saturating_sub(written)));
                }
            });
            if self.buffer.ends_with(b"0\r\n\r\n")
                && find(&self.buffer[looked..], b"[DONE]").is_some()
            {
                break;
            }
        }
        self.is_good()?;
        ensure!(!is_first, "no stamp in: {}", String::from_utf8_lossy(&self.buffer));
        Ok(())
    }

    /// Waits for the first chunk of a stream.
    async fn first(&mut self, clock: Clock) -> anyhow::Result<()> {
        let (mut looked, mut seen) = (0, 0);
        while seen == 0 {
            self.read().await?;
            let _now = clock.now();
            looked = stamps(&self.buffer, looked, |_, _| seen += 1);
        }
        self.is_good()
    }

    /// Asks for an answer that comes whole.
    async fn ask_whole(&mut self, question: &Question) -> anyhow::Result<()> {
        self.buffer.clear();
        self.socket.write_all(&question.text).await?;
        loop {
            self.read().await?;
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.context("an answer has a length")?.trim().parse()?;
            if self.buffer.len() >= head + 4 + length {
                return self.is_good();
            }
        }
    }

    fn is_good(&self) -> anyhow::Result<()> {
        let is_good = self.buffer.starts_with(b"HTTP/1.1 200");
        ensure!(is_good, "an answer is not good: {}", String::from_utf8_lossy(&self.buffer));
        Ok(())
    }
}

/// Hands on each `@RECEIVED/WRITTEN@` from a place on; returns from where to look next.
fn stamps(bytes: &[u8], from: usize, mut sink: impl FnMut(u64, u64)) -> usize {
    let mut looked = from;
    loop {
        let at =
            |from: usize| bytes[from..].iter().position(|byte| *byte == b'@').map(|at| from + at);
        let Some(begin) = at(looked) else { return looked };
        let Some(end) = at(begin + 1) else { return begin };
        let text = std::str::from_utf8(&bytes[begin + 1..end]).unwrap_or_default();
        let numbers = text
            .split_once('/')
            .and_then(|(received, written)| Some((received.parse().ok()?, written.parse().ok()?)));
        match numbers {
            Some((received, written)) => {
                sink(received, written);
                looked = end + 1;
            }
            // What began at the second may be a stamp.
            None => looked = end,
        }
    }
}
