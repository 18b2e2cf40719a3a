//! What becomes of a connection that is kept, against a raw socket.

use std::future::pending;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::probe::Anomaly;
use crate::prober::attempt::attempt;
use crate::prober::grading::Circumstances;
use crate::prober::line::Line;
use crate::provider::ErrorType;

#[derive(Clone, Copy)]
enum Manner {
    Answer,
    /// Closes the connection instead of an answer.
    HangUp,
    /// The same, after so long that it must have read the request.
    HangUpLate,
}

/// How the nth request of the nth connection is met.
type Script = fn(usize, usize) -> Manner;

const ANSWER: &str = r#"{"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}"#;

async fn peer(script: Script) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((socket, _)) = listener.accept().await else { return };
            tokio::spawn(serve(socket, connection, script));
        }
    });
    url
}

async fn serve(mut socket: TcpStream, connection: usize, script: Script) {
    for request in 0.. {
        let mut read = Vec::new();
        // The question is JSON, so its last byte is known.
        while !read.ends_with(b"}") {
            if !matches!(socket.read_buf(&mut read).await, Ok(1..)) {
                return;
            }
        }
        match script(connection, request) {
            Manner::Answer => {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
                let answer = format!("{head}: {}\r\n\r\n{ANSWER}", ANSWER.len());
                if socket.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Manner::HangUp => return,
            Manner::HangUpLate => return tokio::time::sleep(700 * MS).await,
        }
    }
}

/// Probes three times, one after the other, over one line.
async fn thrice(script: Script) -> Vec<Outcome> {
    let target = target(&peer(script).await);
    let target = Target { delivery: Delivery::Whole, check: Check::Any, ..target };
    let (line, clock) = (Line::new(&target).unwrap(), Clock::start());
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        let circumstances = Circumstances::unscheduled(&clock);
        let attempt = attempt(&target, Ok(&line), &clock, circumstances, pending()).await;
        outcomes.push(attempt.outcome);
    }
    outcomes
}

fn types(outcomes: &[Outcome]) -> Vec<ErrorType> {
    outcomes.iter().map(|outcome| outcome.error_type).collect()
}

#[tokio::test]
async fn a_connection_is_kept_for_the_next_probe() {
    let outcomes = thrice(|_, _| Manner::Answer).await;
    let new: Vec<bool> = outcomes.iter().map(|outcome| outcome.phases.connect.is_some()).collect();
    assert_eq!(new, [true, false, false]);
    assert!(outcomes.iter().all(|outcome| outcome.anomalies.is_empty()), "{outcomes:?}");
}

#[tokio::test]
async fn a_kept_connection_that_the_peer_gave_up_is_no_failure() {
    let outcomes = thrice(|_, request| [Manner::Answer, Manner::HangUp][request.min(1)]).await;
    assert_eq!(types(&outcomes), [ErrorType::None; 3]);
    for (outcome, anomalies) in
        outcomes.iter().zip([&[][..], &[Anomaly::StaleConnection], &[Anomaly::StaleConnection]])
    {
        assert_eq!(outcome.anomalies, anomalies);
        assert!(outcome.phases.connect.is_some(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_peer_that_hangs_up_on_a_new_connection_has_failed() {
    let outcomes = thrice(|connection, request| match (connection, request) {
        (0, 0) => Manner::Answer,
        _ => Manner::HangUp,
    })
    .await;
    let reset = ErrorType::ConnectionReset;
    assert_eq!(types(&outcomes), [ErrorType::None, reset, reset]);
}

#[tokio::test]
async fn a_peer_that_hangs_up_over_the_question_has_failed() {
    let outcomes = thrice(|_, request| [Manner::Answer, Manner::HangUpLate][request.min(1)]).await;
    let types = types(&outcomes);
    assert_eq!(types, [ErrorType::None, ErrorType::ConnectionReset, ErrorType::None]);
    assert!(outcomes.iter().all(|outcome| outcome.anomalies.is_empty()), "{outcomes:?}");
}
