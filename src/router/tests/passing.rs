//! Answers that pass.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::provider::SloClass;
use crate::routing::Arm;

/// The text of a stream of either dialect.
fn said(body: &str) -> String {
    let deltas = body.split("\"content\":\"").chain(body.split("\"text\":\""));
    deltas
        .filter_map(|rest| rest.split_once('"'))
        .map(|(text, _)| text)
        .filter(|text| {
            // Before the first mark stands no delta.
            !text.contains("data:")
        })
        .collect()
}

#[tokio::test]
async fn a_stream_arrives_as_it_was_sent_and_is_graded() {
    for dialect in [Dialect::OpenaiChat, Dialect::AnthropicMessages] {
        let behavior = Behavior { ttft: 40 * MS, gap: 5 * MS, ..Behavior::default() };
        let mut stage = Stage::stable(behavior, dialect).await;
        let heard = stage.ask(dialect, true).await;
        assert_eq!((heard.status, heard.is_whole), (200, true), "{heard:?}");
        assert_eq!(heard.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!(heard.header("x-bellwether-arm"), "stable");
        assert_eq!(heard.header("x-bellwether-target"), "old");
        assert_eq!(heard.header("x-bellwether-request-id").len(), 32);
        assert!(said(&heard.body).starts_with("7f3a"), "{}", heard.body);
        // The provider was asked by its own name for the model.
        assert!(heard.body.contains("old-upstream"), "{}", heard.body);
        let end = match dialect {
            Dialect::OpenaiChat => "data: [DONE]\n\n",
            Dialect::AnthropicMessages => "event: message_stop\n",
            other => panic!("no surface speaks {other:?}"),
        };
        assert!(heard.body.contains(end), "{}", heard.body);

        let told = stage.told().await;
        assert_eq!((told.error_type, told.class), (ErrorType::None, SloClass::Good));
        assert_eq!((told.arm, told.target.as_str(), told.status), (Arm::Stable, "old", Some(200)));
        assert!(!told.is_fail_over && told.attempts == 1);
        // The script's times are lower bounds.
        assert!(told.ttft.unwrap() >= 40 * MS && told.total > told.ttft.unwrap(), "{told:?}");
        let usage = told.usage.unwrap();
        let nanos = usage.input * 1000 + usage.output * 2000;
        assert_eq!(told.cost, Some(Money::from_nanos(nanos)));
        let labels = ["arm=\"stable\"", "error_type=\"none\"", "slo=\"good\""];
        assert_eq!(stage.value("bellwether_router_requests_total", &labels), 1.0);
        let labels =
            ["arm=\"stable\"", &format!("api=\"{}\"", dialect.api()), "code_class=\"2xx\""];
        assert_eq!(stage.value("bellwether_router_responses_total", &labels), 1.0);
        assert_eq!(stage.value("bellwether_router_in_flight", &["arm=\"stable\""]), 0.0);
        assert_eq!(stage.value("bellwether_router_overhead_seconds_count", &[]), 1.0);
    }
}

#[tokio::test]
async fn a_whole_answer_passes_with_its_length() {
    for dialect in [Dialect::OpenaiChat, Dialect::AnthropicMessages] {
        let mut stage = Stage::stable(Behavior::default(), dialect).await;
        let heard = stage.ask(dialect, false).await;
        assert_eq!((heard.status, heard.is_whole), (200, true));
        assert_eq!(heard.header("content-length"), heard.body.len().to_string());
        let answer: Value = serde_json::from_str(&heard.body).unwrap();
        assert_eq!(answer["model"], "old-upstream");
        let told = stage.told().await;
        assert_eq!((told.error_type, told.ttft), (ErrorType::None, None));
        assert!(told.usage.is_some());
    }
}

#[tokio::test]
async fn pieces_arrive_while_the_rest_is_still_to_come() {
    // Nine tokens, each 100 ms after the one before.
    let behavior = Behavior { gap: 100 * MS, tokens: 9, ..Behavior::default() };
    let mut stage = Stage::stable(behavior, Dialect::OpenaiChat).await;
    let began = tokio::time::Instant::now();
    let mut response = stage.post(Dialect::OpenaiChat, &question(true)).send().await.unwrap();
    let mut first = None;
    while let Some(bytes) = response.chunk().await.unwrap() {
        if String::from_utf8_lossy(&bytes).contains("\"content\":\"7") {
            first.get_or_insert(began.elapsed());
        }
    }
    let (first, whole) = (first.unwrap_or_default(), began.elapsed());
    assert!(whole >= 700 * MS && first < whole / 2, "{first:?} of {whole:?}");
    // What the provider takes is not held against the router.
    stage.told().await;
    let overhead = stage.value("bellwether_router_overhead_seconds_sum", &[]);
    assert!(overhead < 0.5, "{overhead}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_no_fault_and_the_provider_is_let_go() {
    for is_streamed in [true, false] {
        let behavior = Behavior { ttft: 100 * MS, gap: 60_000 * MS, ..Behavior::default() };
        let mut stage = Stage::stable(behavior, Dialect::OpenaiChat).await;
        let mut socket = TcpStream::connect(stage.router.address()).await.unwrap();
        let body = question(is_streamed).to_string();
        let head = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: r\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        if is_streamed {
            let mut answer = vec![0; 4096];
            assert!(socket.read(&mut answer).await.unwrap() > 0);
        } else {
            // The provider has been asked before the client leaves.
            while stage.old.stats().requests == 0 {
                tokio::time::sleep(5 * MS).await;
            }
        }
        drop(socket);
        let told = stage.told().await;
        assert_eq!((told.error_type, told.class), (ErrorType::Cancelled, SloClass::Excluded));
        assert_eq!(stage.value("bellwether_router_client_disconnects_total", &[]), 1.0);
        let labels = ["arm=\"stable\"", "slo=\"bad\""];
        assert_eq!(stage.value("bellwether_router_requests_total", &labels), 0.0);
        assert_eq!(stage.value("bellwether_router_in_flight", &["arm=\"stable\""]), 0.0);
    }
}

#[tokio::test]
async fn a_compressed_answer_passes_compressed_and_is_graded_all_the_same() {
    use std::io::Write as _;
    let answer = json!({
        "id": "c1", "object": "chat.completion", "created": 1, "model": "old-upstream",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"},
            "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    });
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(answer.to_string().as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let sent = packed.clone();
    let provider = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 8192];
        let size = socket.read(&mut request).await.unwrap();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n\
             content-length: {}\r\n\r\n",
            sent.len()
        );
        socket.write_all(&[head.as_bytes(), &sent].concat()).await.unwrap();
        String::from_utf8_lossy(&request[..size]).into_owned()
    });
    let mut stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    let id = TargetId::new("old");
    let other = target("old", &format!("http://{address}"), Dialect::OpenaiChat);
    stage.settings.targets.insert(id, other.into());
    stage.router.reload(stage.settings.clone());
    // A client that leaves the bytes as they are.
    stage.client = reqwest::Client::builder().no_proxy().no_gzip().no_brotli().build().unwrap();
    let request = stage.post(Dialect::OpenaiChat, &question(false));
    let response = request.header("accept-encoding", "gzip, zstd").send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.bytes().await.unwrap(), packed);
    let told = stage.told().await;
    assert_eq!(told.error_type, ErrorType::None, "{told:?}");
    let usage = told.usage.unwrap();
    assert_eq!((usage.input, usage.output), (3, 1));
    let request = provider.await.unwrap();
    assert!(request.contains("accept-encoding: gzip\r\n"), "{request}");
}

#[tokio::test]
async fn http_2_is_spoken_to_those_who_speak_it() {
    let stage = Stage::stable(Behavior::default(), Dialect::OpenaiChat).await;
    let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap();
    let url = stage.url("/v1/chat/completions");
    let response = client.post(url).body(question(true).to_string()).send().await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert!(response.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}
