//! Deliveries against receivers on loopback. Time is paused: pauses pass at once, and what is
//! measured is exact.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::model::{HeaderValue, HttpSettings, Secret, SecretSource, Timestamp, UrlSource};
use crate::notice::{Delivery, Endpoint, Guard, HookId, Policy, Protocol, Sending, Signed, verify};
use crate::telemetry::Telemetry;

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const SECOND: Duration = Duration::from_secs(1);

/// One request as a receiver saw it.
struct Received {
    at: Instant,
    method: Method,
    headers: HeaderMap,
    body: String,
}

/// A status and a `Retry-After`.
type Answer = (u16, Option<&'static str>);

/// A receiver that gives scripted answers, then 200.
#[derive(Clone, Default)]
struct Receiver {
    script: Arc<Mutex<VecDeque<Answer>>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    async fn start(script: &[Answer]) -> (Self, String) {
        let receiver = Self::default();
        receiver.script.lock().unwrap().extend(script);
        let router = Router::new().fallback(answer).with_state(receiver.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?token=hidden", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url)
    }

    fn bodies(&self) -> Vec<String> {
        self.received.lock().unwrap().iter().map(|received| received.body.clone()).collect()
    }

    fn header(&self, position: usize, name: &str) -> String {
        let received = self.received.lock().unwrap();
        let value = received[position].headers.get(name);
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The time between a request and the one before it.
    fn gap(&self, position: usize) -> Duration {
        let received = self.received.lock().unwrap();
        received[position].at - received[position - 1].at
    }
}

async fn answer(
    State(receiver): State<Receiver>,
    method: Method,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, HeaderMap) {
    receiver.received.lock().unwrap().push(Received { at: Instant::now(), method, headers, body });
    let scripted = receiver.script.lock().unwrap().pop_front();
    let (status, retry_after) = scripted.unwrap_or((200, None));
    let mut headers = HeaderMap::new();
    if let Some(retry_after) = retry_after {
        headers.insert("retry-after", retry_after.parse().unwrap());
        headers.insert("location", "/elsewhere".parse().unwrap());
    }
    (StatusCode::from_u16(status).unwrap(), headers)
}

/// A receiver that takes every connection and never says a word.
async fn hung() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut connections = Vec::new();
        while let Ok(connection) = listener.accept().await {
            connections.push(connection);
        }
    });
    url
}

/// A secret's file, which goes when it is no longer needed.
struct SecretFile(PathBuf);

impl SecretFile {
    fn new(text: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bellwether-secret-{}-{number}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        std::fs::write(&file.0, text).unwrap();
        file
    }

    fn source(&self) -> SecretSource {
        SecretSource::File(self.0.clone())
    }
}

impl Drop for SecretFile {
    fn drop(&mut self) {
        let _may_be_gone = std::fs::remove_file(&self.0);
    }
}

fn signed_by(secret: &SecretFile) -> Protocol {
    Protocol::Webhook { signing_secrets: vec![secret.source()] }
}

fn endpoint(name: &str, url: &str, policy: Policy) -> Endpoint {
    Endpoint {
        hook: HookId::rollback(name),
        url: UrlSource::Plain(url.to_owned()),
        timeout: 10 * SECOND,
        protocol: Protocol::Webhook { signing_secrets: Vec::new() },
        http: HttpSettings::default(),
        policy,
        guard: Some(Guard::default()),
    }
}

struct Bench {
    notifier: Notifier,
    reports: mpsc::Receiver<Report>,
    clock: Clock,
    telemetry: Telemetry,
}

impl Bench {
    fn new(endpoints: Vec<Endpoint>) -> Self {
        let clock = Clock::start();
        let telemetry = Telemetry::default();
        let hooks: Vec<_> = endpoints.iter().map(|endpoint| endpoint.hook.to_string()).collect();
        telemetry.configure_actions(&hooks, &[], &[]);
        let (notifier, reports) = Notifier::spawn(endpoints, clock, telemetry.clone());
        Self { notifier, reports, clock, telemetry }
    }

    fn send(&self, name: &str, id: &str, order: &str) {
        self.notifier.send(self.delivery(name, id, order));
    }

    fn delivery(&self, name: &str, id: &str, order: &str) -> Delivery {
        Delivery {
            hook: HookId::rollback(name),
            id: id.to_owned(),
            order: order.to_owned(),
            body: Arc::from(format!("\"{id}\"")),
            decided_at: self.clock.now(),
            sending: Sending::Real,
        }
    }

    async fn report(&mut self) -> Report {
        self.reports.recv().await.unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_is_tried_again_when_it_asks_and_not_before() {
    let (receiver, url) = Receiver::start(&[(429, Some("3")), (503, Some("2"))]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Notice)]);
    bench.send("a", "m1", "");
    let report = bench.report().await;
    assert_eq!(report.ending, Ending::Delivered { status: 200 });
    assert_eq!(report.attempts, 3);
    for (position, least) in [(1, 3.0), (2, 2.0)] {
        let gap = receiver.gap(position).as_secs_f64();
        assert!((least..least + 0.52).contains(&gap), "{gap}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_keeps_its_id_and_is_signed_anew() {
    let (receiver, url) = Receiver::start(&[(500, None), (500, None), (500, None)]).await;
    let secret = SecretFile::new(&format!("{SECRET}\n"));
    let signed = Endpoint { protocol: signed_by(&secret), ..endpoint("a", &url, Policy::Notice) };
    let mut bench = Bench::new(vec![signed]);
    bench.send("a", "m1", "");
    assert_eq!(bench.report().await.attempts, 4);
    let timestamps: Vec<String> =
        (0..4).map(|position| receiver.header(position, "webhook-timestamp")).collect();
    assert!(timestamps[0] < timestamps[3], "{timestamps:?}");
    for (position, timestamp) in timestamps.iter().enumerate() {
        let id = receiver.header(position, "webhook-id");
        assert_eq!(id, "m1");
        let signature = receiver.header(position, "webhook-signature");
        let signed = Signed { id: &id, timestamp, signature: &signature };
        let now = Timestamp::from_millis(timestamp.parse::<i64>().unwrap() * 1000);
        assert_eq!(verify(&Secret::new(SECRET.to_owned()), signed, b"\"m1\"", now), Ok(()));
    }
    assert_eq!(receiver.header(0, "content-type"), "application/json");
    let agent = concat!("bellwether/", env!("CARGO_PKG_VERSION"));
    assert_eq!(receiver.header(0, "user-agent"), agent);
}

#[tokio::test(start_paused = true)]
async fn a_hung_receiver_delays_nobody_else() {
    let (receiver, url) = Receiver::start(&[]).await;
    let endpoints = vec![
        endpoint("hung", &hung().await, Policy::Notice),
        endpoint("well", &url, Policy::Notice),
    ];
    let mut bench = Bench::new(endpoints);
    let start = Instant::now();
    for number in 0..10 {
        bench.send("hung", &format!("h{number}"), "");
        bench.send("well", &format!("w{number}"), "");
    }
    for number in 0..10 {
        let report = bench.report().await;
        assert_eq!(report.id, format!("w{number}"));
        assert_eq!(report.ending, Ending::Delivered { status: 200 });
    }
    assert!(start.elapsed() < SECOND, "{:?}", start.elapsed());
    assert_eq!(receiver.bodies().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_redirect_are_final() {
    let (receiver, url) = Receiver::start(&[(404, None), (307, Some("0")), (410, None)]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Notice)]);
    for (id, expected) in [("m1", 404), ("m2", 307), ("m3", 410)] {
        bench.send("a", id, "");
        let report = bench.report().await;
        assert_eq!((report.id.as_str(), report.attempts), (id, 1));
        let Ending::Failed { why, status } = report.ending else { panic!("{report:?}") };
        assert_eq!(status, Some(expected), "{why}");
    }
    assert_eq!(receiver.bodies(), ["\"m1\"", "\"m2\"", "\"m3\""]);
}

#[tokio::test(start_paused = true)]
async fn what_belongs_together_arrives_in_order_and_the_rest_does_not_wait_for_it() {
    let (receiver, url) = Receiver::start(&[(500, None), (500, None)]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Notice)]);
    bench.send("a", "x1", "x");
    bench.send("a", "x2", "x");
    bench.send("a", "y1", "y");
    bench.send("a", "z1", "z");
    let mut ended = Vec::new();
    for _ in 0..4 {
        ended.push(bench.report().await.id);
    }
    let place = |id: &str| ended.iter().position(|ended| ended == id).unwrap();
    assert_eq!(place("z1"), 0, "{ended:?}");
    assert!(place("x1") < place("x2"), "{ended:?}");
    assert_eq!(receiver.bodies().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_asks_to_be_left_alone_is_left_alone_by_all() {
    let (receiver, url) = Receiver::start(&[(429, Some("30"))]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Notice)]);
    bench.send("a", "m1", "x");
    tokio::time::sleep(SECOND).await;
    bench.send("a", "m2", "y");
    bench.report().await;
    bench.report().await;
    assert_eq!(receiver.bodies().len(), 3);
    assert!(receiver.gap(1) >= 30 * SECOND, "{:?}", receiver.gap(1));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_is_tried_fast_and_only_as_long_as_it_helps() {
    let mut bench = Bench::new(vec![endpoint("a", &hung().await, Policy::Rollback)]);
    let start = Instant::now();
    bench.send("a", "m1", "");
    let report = bench.report().await;
    assert!(matches!(report.ending, Ending::Failed { status: None, .. }), "{report:?}");
    // Attempts of 5 s with pauses of 0.5, 1, 2 and at most 3 s, and half as much again by chance.
    assert!((4..=5).contains(&report.attempts), "{report:?}");
    assert!(start.elapsed() <= 26 * SECOND, "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_comes_back_gets_what_it_missed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::new(vec![endpoint("a", &format!("http://{address}/"), Policy::Notice)]);
    bench.send("a", "m1", "");
    bench.send("a", "m2", "");
    tokio::time::sleep(20 * SECOND).await;
    let receiver = Receiver::default();
    let router = Router::new().fallback(answer).with_state(receiver.clone());
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    assert_eq!(bench.report().await.id, "m1");
    assert_eq!(bench.report().await.id, "m2");
    assert_eq!(receiver.bodies(), ["\"m1\"", "\"m2\""]);
}

#[tokio::test(start_paused = true)]
async fn a_post_to_an_alertmanager_is_tried_once() {
    let (receiver, url) = Receiver::start(&[(500, None)]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Once)]);
    bench.send("a", "m1", "");
    assert_eq!(bench.report().await.ending.as_str(), "failed");
    assert_eq!(receiver.bodies().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_what_waited_longest() {
    let mut bench = Bench::new(vec![endpoint("a", &hung().await, Policy::Rollback)]);
    bench.send("a", "first", "");
    tokio::task::yield_now().await;
    // One is in flight and stays; the queue holds 63 more.
    for number in 1..=66 {
        bench.send("a", &format!("m{number}"), "");
        tokio::task::yield_now().await;
    }
    for number in 1..=3 {
        let report = bench.report().await;
        assert_eq!((report.id, report.ending), (format!("m{number}"), Ending::Dropped));
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_the_queues_and_takes_up_new_settings() {
    let (old, old_url) = Receiver::start(&[(503, Some("60"))]).await;
    let (new, new_url) = Receiver::start(&[]).await;
    let kept = endpoint("kept", &old_url, Policy::Notice);
    let mut bench = Bench::new(vec![kept, endpoint("gone", &old_url, Policy::Notice)]);
    bench.send("kept", "m1", "");
    tokio::time::sleep(SECOND).await;
    bench.notifier.reload(vec![endpoint("kept", &new_url, Policy::Notice)]);
    bench.send("kept", "m2", "other");
    bench.send("gone", "m3", "");
    assert_eq!(bench.report().await.ending, Ending::Dropped);
    assert_eq!(bench.report().await.id, "m2");
    assert_eq!(bench.report().await.id, "m1");
    assert_eq!(old.bodies(), ["\"m1\""]);
    assert_eq!(new.bodies(), ["\"m2\"", "\"m1\""]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_delivers_what_it_can_and_reports_the_rest() {
    let (receiver, url) = Receiver::start(&[(500, None)]).await;
    let endpoints = vec![
        endpoint("hung", &hung().await, Policy::Notice),
        endpoint("well", &url, Policy::Notice),
    ];
    let Bench { notifier, mut reports, clock, telemetry } = Bench::new(endpoints);
    let bench = Bench { notifier, reports: mpsc::channel(1).1, clock, telemetry };
    bench.send("hung", "h1", "");
    bench.send("well", "w1", "");
    let start = Instant::now();
    bench.notifier.stop(5 * SECOND).await;
    assert!(start.elapsed() <= 5 * SECOND, "{:?}", start.elapsed());
    let mut endings = Vec::new();
    while let Some(report) = reports.recv().await {
        endings.push((report.id, report.ending.as_str()));
    }
    assert_eq!(endings, [("w1".to_owned(), "delivered"), ("h1".to_owned(), "unfinished")]);
    assert_eq!(receiver.bodies().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_rehearsal_is_signed_and_sends_nothing() {
    let (receiver, url) = Receiver::start(&[]).await;
    let signing = SecretFile::new(SECRET);
    let token = SecretFile::new("a-secret-token");
    let mut signed =
        Endpoint { protocol: signed_by(&signing), ..endpoint("a", &url, Policy::Rollback) };
    signed.http.headers = vec![("x-token".to_owned(), HeaderValue::Secret(token.source()))];
    let mut bench = Bench::new(vec![signed]);
    let delivery = Delivery { sending: Sending::Rehearsal, ..bench.delivery("a", "m1", "") };
    bench.notifier.send(delivery);
    let report = bench.report().await;
    let Ending::Rehearsed { request } = report.ending else { panic!("{report:?}") };
    assert!(request.starts_with("POST http://127.0.0.1:"), "{request}");
    for part in ["webhook-id: m1\n", "webhook-signature: v1,", "x-token: ***\n", "\n\n\"m1\""] {
        assert!(request.contains(part), "{part} in {request}");
    }
    for hidden in ["token=hidden", "a-secret-token", SECRET] {
        assert!(!request.contains(hidden), "{hidden} in {request}");
    }
    assert!(receiver.bodies().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_missing_secret_is_named_and_may_come_later() {
    let (receiver, url) = Receiver::start(&[]).await;
    let secret = SecretFile::new(SECRET);
    std::fs::remove_file(&secret.0).unwrap();
    let signed = Endpoint { protocol: signed_by(&secret), ..endpoint("a", &url, Policy::Notice) };
    let mut bench = Bench::new(vec![signed]);
    let rehearsal = Delivery { sending: Sending::Rehearsal, ..bench.delivery("a", "m1", "") };
    bench.notifier.send(rehearsal);
    let report = bench.report().await;
    let Ending::Failed { why, .. } = report.ending else { panic!("{report:?}") };
    assert!(why.contains("secret file"), "{why}");
    bench.send("a", "m2", "");
    tokio::time::sleep(SECOND / 4).await;
    std::fs::write(&secret.0, SECRET).unwrap();
    assert_eq!(bench.report().await.ending, Ending::Delivered { status: 200 });
    assert_eq!(receiver.bodies(), ["\"m2\""]);
}

#[tokio::test(start_paused = true)]
async fn no_failure_repeats_a_url() {
    let mut bench = Bench::new(vec![
        endpoint("a", "http://127.0.0.1:1/hidden", Policy::Once),
        endpoint("b", "hidden", Policy::Once),
        endpoint("c", "ftp://hidden/", Policy::Once),
    ]);
    for name in ["a", "b", "c"] {
        bench.send(name, name, "");
        let report = bench.report().await;
        let Ending::Failed { why, .. } = report.ending else { panic!("{report:?}") };
        assert!(!why.contains("hidden") && !why.is_empty(), "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_keeps_failing_is_probed_by_one_delivery_at_a_time() {
    let (receiver, url) = Receiver::start(&[(500, None); 20]).await;
    let mut bench = Bench::new(vec![endpoint("a", &url, Policy::Notice)]);
    for number in 0..8 {
        bench.send("a", &format!("m{number}"), &format!("order {number}"));
    }
    let mut times = Vec::new();
    let mut ended = Vec::new();
    for _ in 0..8 {
        ended.push(bench.report().await);
    }
    assert!(ended.iter().all(|report| report.ending == Ending::Delivered { status: 200 }));
    for received in receiver.received.lock().unwrap().iter() {
        times.push(received.at);
    }
    assert_eq!(times.len(), 28);
    // At most two rounds of four side by side before it opens; then one at a time, ever later, each
    // asked by what rested longest; and all at once when one was taken.
    let probes: Vec<Duration> = times[8..21].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(probes.iter().all(|gap| *gap >= SECOND / 2), "{probes:?}");
    assert!(probes[probes.len() - 1] >= 30 * SECOND, "{probes:?}");
    let probed: std::collections::BTreeSet<String> =
        receiver.bodies()[8..20].iter().cloned().collect();
    assert_eq!(probed.len(), 8, "no single message is the probe for ever: {probed:?}");
    assert!(times[27] - times[20] < SECOND, "{:?}", times[27] - times[20]);
}

#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_down_for_hours_costs_no_message_its_life() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut bench = Bench::new(vec![endpoint("a", &format!("http://{address}/"), Policy::Notice)]);
    bench.send("a", "trigger", "incident");
    bench.send("a", "resolve", "incident");
    tokio::time::sleep(6 * 3600 * SECOND).await;
    let receiver = Receiver::default();
    let router = Router::new().fallback(answer).with_state(receiver.clone());
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    for id in ["trigger", "resolve"] {
        let report = bench.report().await;
        assert_eq!((report.id.as_str(), report.ending), (id, Ending::Delivered { status: 200 }));
    }
    assert_eq!(receiver.bodies(), ["\"trigger\"", "\"resolve\""]);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_not_called_and_this_machine_is_where_the_url_says_so() {
    let (receiver, url) = Receiver::start(&[]).await;
    let named = url.replace("127.0.0.1", "localhost");
    let refused = endpoint("metadata", "http://169.254.169.254/latest", Policy::Once);
    let mut bench = Bench::new(vec![endpoint("named", &named, Policy::Once), refused]);
    bench.send("named", "m1", "");
    assert_eq!(bench.report().await.ending, Ending::Delivered { status: 200 });
    bench.send("metadata", "m2", "");
    let Ending::Failed { why, .. } = bench.report().await.ending else { panic!("it was called") };
    assert!(why.contains("169.254.169.254 is a link-local address"), "{why}");
    assert_eq!(receiver.bodies(), ["\"m1\""]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_added_on_the_way_and_a_refusal_is_told_without_it() {
    let (receiver, url) = Receiver::start(&[(400, None)]).await;
    let key = SecretFile::new("R0UTING\n");
    let protocol = Protocol::PagerDuty { routing_key: key.source() };
    let pager = Endpoint { protocol, ..endpoint("a", &url, Policy::Notice) };
    let mut bench = Bench::new(vec![pager]);
    let body = Arc::from(r#"{"event_action":"resolve"}"#);
    bench.notifier.send(Delivery { body, ..bench.delivery("a", "m1", "") });
    let report = bench.report().await;
    let Ending::Failed { why, status: Some(400) } = report.ending else { panic!("{report:?}") };
    assert!(!why.contains("R0UTING"), "{why}");
    assert_eq!(receiver.bodies(), [r#"{"routing_key":"R0UTING","event_action":"resolve"}"#]);
    assert_eq!(receiver.header(0, "webhook-id"), "");
}

#[tokio::test(start_paused = true)]
async fn slack_says_ok_or_it_is_no_success() {
    // This receiver's answers are empty.
    let (receiver, url) = Receiver::start(&[]).await;
    let slack = Endpoint { protocol: Protocol::Slack, ..endpoint("a", &url, Policy::Notice) };
    let mut bench = Bench::new(vec![slack]);
    bench.send("a", "m1", "");
    let report = bench.report().await;
    assert_eq!(report.attempts, 1, "it would say the same again");
    let Ending::Failed { status, .. } = report.ending else { panic!("{report:?}") };
    assert_eq!((status, receiver.bodies().len()), (Some(200), 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_signed_by_the_old_and_the_new_secret() {
    let (receiver, url) = Receiver::start(&[]).await;
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (new, old) = (SecretFile::new(other), SecretFile::new(SECRET));
    let protocol = Protocol::Webhook { signing_secrets: vec![new.source(), old.source()] };
    let mut bench = Bench::new(vec![Endpoint { protocol, ..endpoint("a", &url, Policy::Notice) }]);
    bench.send("a", "m1", "");
    bench.report().await;
    let timestamp = receiver.header(0, "webhook-timestamp");
    let signature = receiver.header(0, "webhook-signature");
    assert_eq!(signature.split(' ').count(), 2, "{signature}");
    let signed = Signed { id: "m1", timestamp: &timestamp, signature: &signature };
    let now = Timestamp::from_millis(timestamp.parse::<i64>().unwrap() * 1000);
    for secret in [SECRET, other] {
        assert_eq!(verify(&Secret::new(secret.to_owned()), signed, b"\"m1\"", now), Ok(()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_by_get_says_nothing_and_is_counted_apart() {
    let (receiver, url) = Receiver::start(&[(200, None), (503, None)]).await;
    let hook = HookId::heartbeat(0);
    let ping = Endpoint { protocol: Protocol::Ping, ..endpoint("a", &url, Policy::Once) };
    let mut bench = Bench::new(vec![Endpoint { hook: hook.clone(), ..ping }]);
    for id in ["m1", "m2"] {
        bench.notifier.send(Delivery { hook: hook.clone(), ..bench.delivery("a", id, "") });
        bench.report().await;
    }
    assert_eq!(receiver.bodies(), ["", ""]);
    assert_eq!(receiver.received.lock().unwrap()[0].method, Method::GET);
    for name in ["content-type", "webhook-id", "webhook-timestamp"] {
        assert_eq!(receiver.header(0, name), "", "{name}");
    }
    let exposition = bench.telemetry.exposition();
    for result in ["sent", "failed"] {
        let line =
            format!("bellwether_heartbeats_total{{hook=\"heartbeat/0\",result=\"{result}\"}} 1");
        assert!(exposition.contains(&line), "{line}");
    }
}
