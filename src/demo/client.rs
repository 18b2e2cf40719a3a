//! The demo's clients: they ask the router, as many a second, and count what they get.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::StreamExt as _;
use rand::RngExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Requests a second.
pub(super) const RATE: u32 = 100;
/// Requests under way; more wait for nobody, they are not sent.
const IN_FLIGHT_MAX: usize = 100;
/// Users that the requests are of.
const USERS: u32 = 10_000;
/// Nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the clients have got so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    candidate: AtomicU64,
    stable: AtomicU64,
    broken: AtomicU64,
}

impl Counts {
    /// Answers of the candidate, of stable, and those of either that were broken.
    pub(super) fn now(&self) -> (u64, u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.candidate), read(&self.stable), read(&self.broken))
    }
}

/// Clients that ask until they are dropped.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl Clients {
    /// Starts them, against a router's address.
    pub(super) fn start(base_url: String) -> Self {
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        Self { counts, task: tokio::spawn(ask(base_url, counted)) }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn ask(base_url: String, counts: Arc<Counts>) {
    let client = reqwest::Client::new();
    let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let pause = Duration::from_secs(1) / RATE;
    let mut due = interval_at(Instant::now() + pause, pause);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        due.tick().await;
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let user = rand::rng().random_range(0..USERS);
        let body = serde_json::json!({
            "model": "gpt-demo",
            "stream": true,
            // Without it nobody knows what the answer costs.
            "stream_options": {"include_usage": true},
            "user": format!("user-{user}"),
            "messages": [{"role": "user", "content": "Say something."}],
        });
        let request = client.post(format!("{base_url}/v1/chat/completions")).body(body.to_string());
        let counts = Arc::clone(&counts);
        tokio::spawn(async move {
            let _place = place;
            let asked = one(request.header("content-type", "application/json"), &counts);
            if !tokio::time::timeout(PATIENCE, asked).await.unwrap_or(false) {
                counts.broken.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// Whether an answer came whole.
async fn one(request: reqwest::RequestBuilder, counts: &Counts) -> bool {
    let Ok(response) = request.send().await else { return false };
    let arm = response.headers().get("x-bellwether-arm").and_then(|arm| arm.to_str().ok());
    let count = if arm == Some("candidate") { &counts.candidate } else { &counts.stable };
    count.fetch_add(1, Ordering::Relaxed);
    let is_good = response.status().is_success();
    let mut parts = response.bytes_stream();
    let mut end = Vec::new();
    while let Some(part) = parts.next().await {
        let Ok(part) = part else { return false };
        end.extend_from_slice(&part);
        let over = end.len().saturating_sub(64);
        end.drain(..over);
    }
    is_good && String::from_utf8_lossy(&end).contains("[DONE]")
}
