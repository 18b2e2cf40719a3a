//! A receiver of webhooks that notes when each came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// What it answers.
#[derive(Clone, Copy, Debug)]
pub enum Manner {
    /// 200 at once.
    Takes,
    /// 429 with `Retry-After: 3` to the first request, 200 to the rest.
    AsksForThreeSeconds,
    /// Nothing.
    Hangs,
}

/// A request and when it was read.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Instant,
    pub id: String,
    pub body: String,
}

/// A running receiver.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    manner: Manner,
}

impl Receiver {
    pub async fn start(manner: Manner) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let receiver = Self { url, calls: Arc::default(), manner };
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(receiver)
    }

    /// What came so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn count(&self) -> usize {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

async fn answer(
    State(receiver): State<Receiver>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap) {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
    let call = Call { at: Instant::now(), id: id.to_owned(), body };
    let count = {
        let mut calls = receiver.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push(call);
        calls.len()
    };
    let mut headers = HeaderMap::new();
    match (receiver.manner, count) {
        (Manner::AsksForThreeSeconds, 1) => {
            headers.insert("retry-after", axum::http::HeaderValue::from_static("3"));
            (StatusCode::TOO_MANY_REQUESTS, headers)
        }
        (Manner::Takes | Manner::AsksForThreeSeconds, _) => (StatusCode::OK, headers),
        (Manner::Hangs, _) => {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            (StatusCode::OK, headers)
        }
    }
}
