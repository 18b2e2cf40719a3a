//! Paced streams: a provider that stamps what it writes, and clients that read the stamps.
//!
//! `benches/against-router-peers` and `benches/probing` keep it and ask it, a line of JSON each on standard input, for
//! streams through whoever is measured; `cargo bench --bench router` alone prints what the same
//! streams cost without anybody between. Provider and clients are one process, so that both read one
//! clock, and what the machine adds to either is in the figures without a router, too.
//!
//! The provider keeps its own time: a chunk is due at a moment that nobody's slowness moves, and is
//! stamped when it is handed to the socket. So a router that falls behind is measured from when the
//! chunk was there and not from when somebody had time to ask for it (no coordinated omission).

mod clients;
mod provider;

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use clients::{Held, Question, Sample};
use provider::Provider;

/// What is asked for.
#[derive(Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
enum Ask {
    /// Streams for some seconds, so many at a time.
    Streams { whom: Whom, streams: usize, seconds: f64 },
    /// Connections that rest after a request each, and streams that stay open, until the next line.
    Hold { resting: Whom, connections: usize, open: Whom, streams: usize },
    /// To let go of what is held.
    Release,
    /// For the stamps of the streams that have ended since this was asked last.
    Stamps,
}

/// Who is asked, and for what.
#[derive(Clone, Deserialize)]
struct Whom {
    port: u16,
    path: String,
    model: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Of the answer; without one, an answer that is not streamed is asked for.
    pace: Option<Pace>,
}

/// How a stream comes: when the first chunk, how far apart the next ones, and how many in all.
#[derive(Clone, Copy, Deserialize)]
struct Pace {
    think_us: u64,
    interval_us: u64,
    chunks: u64,
}

impl Pace {
    /// As long as a stream takes.
    fn whole(self) -> Duration {
        Duration::from_micros(self.think_us + self.interval_us * self.chunks.saturating_sub(1))
    }
}

impl Whom {
    /// The question of one client among many.
    fn question(&self, client: usize) -> Question {
        let said = match self.pace {
            Some(Pace { think_us, interval_us, chunks }) => {
                format!("pace {think_us} {interval_us} {chunks}")
            }
            None => "Say ready.".to_owned(),
        };
        let mut body = json!({
            "model": self.model,
            "messages": [
                {"role": "system", "content": "You answer in one word."},
                {"role": "user", "content": said},
            ],
            "temperature": 0,
            "user": format!("user-{client}"),
        });
        if self.pace.is_some() {
            body["stream"] = json!(true);
            body["stream_options"] = json!({"include_usage": true});
        }
        let body = body.to_string();
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (path, port, length) = (&self.path, self.port, body.len());
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n\
             {headers}content-length: {length}\r\n\r\n{body}"
        );
        Question { port, text: Arc::from(text.into_bytes()) }
    }
}

fn main() -> anyhow::Result<()> {
    let provider = Provider::start()?;
    // One thread, so that what is measured has the others.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    if std::env::args().any(|word| word == "--ask") {
        return answer(&provider, &runtime);
    }
    for (name, streams, pace) in [
        ("10 streams", 10, Pace { think_us: 50_000, interval_us: 50_000, chunks: 5 }),
        ("200 streams", 200, Pace { think_us: 50_000, interval_us: 20_000, chunks: 100 }),
    ] {
        let whom = Whom {
            port: provider.port(),
            path: "/v1/chat/completions".to_owned(),
            model: "paced".to_owned(),
            headers: BTreeMap::new(),
            pace: Some(pace),
        };
        let told = streamed(&provider, &runtime, &whom, streams, 5.0)?;
        println!("{name}, nobody between: {told}");
    }
    Ok(())
}

/// Answers each line on standard input with one on standard output.
fn answer(provider: &Provider, runtime: &Runtime) -> anyhow::Result<()> {
    tell(&json!({"port": provider.port()}))?;
    let mut held: Option<Held> = None;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        drop(held.take());
        let ask = serde_json::from_str(&line).with_context(|| format!("`{line}`"))?;
        tell(&match ask {
            Ask::Streams { whom, streams, seconds } => {
                streamed(provider, runtime, &whom, streams, seconds)?
            }
            Ask::Hold { resting, connections, open, streams } => {
                let resting = (0..connections).map(|client| resting.question(client)).collect();
                let open = (0..streams).map(|client| open.question(client)).collect();
                held = Some(runtime.block_on(clients::hold(resting, open, provider.clock()))?);
                json!({"held": connections + streams})
            }
            Ask::Release => json!({"held": 0}),
            Ask::Stamps => json!({"stamps": provider.ended()}),
        })?;
    }
    Ok(())
}

fn tell(told: &Value) -> anyhow::Result<()> {
    println!("{told}");
    Ok(std::io::stdout().flush()?)
}

fn streamed(
    provider: &Provider,
    runtime: &Runtime,
    whom: &Whom,
    streams: usize,
    seconds: f64,
) -> anyhow::Result<Value> {
    let pace = whom.pace.context("a stream has a pace")?;
    let questions = (0..streams).map(|client| whom.question(client)).collect();
    let seconds = Duration::from_secs_f64(seconds);
    let stuck = provider.stuck();
    let sample =
        runtime.block_on(clients::stream(questions, pace.whole(), seconds, provider.clock()))?;
    anyhow::ensure!(provider.stuck() == stuck, "somebody did not take what the provider sent");
    let Sample { mut ttft, mut delay } = sample;
    Ok(json!({"ttft_us": distribution(&mut ttft), "delay_us": distribution(&mut delay)}))
}

/// Median, 99th percentile and maximum in microseconds, and of how many.
fn distribution(times: &mut [Duration]) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let position = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1));
        times.get(position - 1).map(|time| time.as_secs_f64() * 1e6)
    };
    json!({"n": times.len(), "p50": at(0.5), "p99": at(0.99), "max": at(1.0)})
}
