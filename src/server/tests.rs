//! The server over real sockets on loopback.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::{Keys, ReloadRequest, Server, Views};
use crate::clock::Clock;
use crate::engine::{BudgetStatus, GroupStatus, SloStatus, Snapshot};
use crate::model::{JournalStanding, Labels, Sample, TargetId, Timestamp};
use crate::notice::Muted;
use crate::rules::{Alert, AlertState, Health, RuleKind, RuleStatus};
use crate::series::{self, Store};
use crate::slo::{self, Alerting, Indicator, Objective, Scope, Slo, Subject};
use crate::telemetry::Telemetry;

mod maintenance;
mod releases;

const SECOND: Duration = Duration::from_secs(1);

/// A server and the ends of its channels.
struct House {
    server: Server,
    base: String,
    ready: watch::Sender<bool>,
    reloads: mpsc::Receiver<ReloadRequest>,
    questions: mpsc::Receiver<oneshot::Sender<Arc<Store>>>,
    snapshot: watch::Sender<Arc<Snapshot>>,
}

fn rule(kind: RuleKind, name: &str, alerts: Vec<Alert>) -> RuleStatus {
    RuleStatus {
        kind,
        name: name.to_owned(),
        query: "up > 0".to_owned(),
        duration: SECOND,
        keep_firing_for: Duration::ZERO,
        labels: Default::default(),
        annotations: Default::default(),
        health: Health::Ok,
        last_error: None,
        last_evaluation: Some(Timestamp::from_millis(1000)),
        state: alerts.iter().map(|alert| alert.state).max(),
        alerts,
    }
}

fn alert(summary: &str) -> Alert {
    Alert {
        labels: Labels::from_pairs([("alertname", "A<b>"), ("target", "t")]),
        annotations: Labels::from_pairs([("summary", summary)]),
        state: AlertState::Firing,
        value: 0.5,
        active_at: Timestamp::from_millis(1000),
        fired_at: Some(Timestamp::from_millis(2000)),
        resolved_at: None,
        keep_firing_since: None,
        expr: "up > 0".to_owned(),
        rule: "A<b>".to_owned(),
        group: "g".to_owned(),
        file: "f.yml".to_owned(),
        incident: "i".to_owned(),
    }
}

fn group(name: &str, rules: Vec<RuleStatus>) -> GroupStatus {
    GroupStatus {
        name: name.to_owned(),
        file: "f.yml".to_owned(),
        interval: 15 * SECOND,
        limit: 3,
        evaluated_at: Some(Timestamp::from_millis(1000)),
        took: Duration::from_millis(5),
        rules,
    }
}

impl House {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let clock = Clock::start();
        let mut state = Snapshot::empty(clock.now());
        state.groups = vec![
            group("g", vec![rule(RuleKind::Alerting, "A<b>", vec![alert("<script>")])]),
            group("h", vec![rule(RuleKind::Recording, "r", Vec::new())]),
        ];
        let (snapshot, shown) = watch::channel(Arc::new(state));
        let (samples, questions) = mpsc::channel(16);
        let (reload, reloads) = mpsc::channel(1);
        let (posts, _) = mpsc::channel(1);
        let (_, door) = watch::channel(Arc::default());
        let (_, tokens) = watch::channel(Arc::from([]));
        let (_, config) = watch::channel(Arc::from("global: {}\n"));
        let (_, alertmanagers) = watch::channel(Arc::from([]));
        let (_, evaluation_interval) = watch::channel(4 * SECOND);
        let (ready, is_ready) = watch::channel(false);
        let views = Views {
            snapshot: shown,
            samples,
            posts,
            keys: Keys { door, tokens },
            reload,
            outbox: mpsc::channel(1).0,
            releases: mpsc::channel(1).0,
            standing: watch::channel(JournalStanding { dead: 2, ..Default::default() }).1,
            set_aside: Some(Arc::from("/data/bellwether.db.corrupt-1")),
            config,
            alertmanagers,
            evaluation_interval,
            table: None,
            evidence: None,
            ready: is_ready,
            telemetry: Telemetry::new(),
            clock,
            flags: Arc::from([("web.listen-address", "127.0.0.1:0".to_owned())]),
            retention: watch::channel(24 * 3600 * SECOND).1,
        };
        let server = Server::spawn(listener, views).unwrap();
        let base = format!("http://{}", server.address());
        Self { server, base, ready, reloads, questions, snapshot }
    }

    /// Answers questions for samples with a store that holds `up{job="a"}` and `up{job="b"}`.
    fn answer_questions(&mut self) {
        let (_, nothing) = mpsc::channel(1);
        let mut questions = std::mem::replace(&mut self.questions, nothing);
        let settings =
            series::Settings { retention: 3600 * SECOND, size_max_bytes: 1 << 30, series_max: 100 };
        let mut store = Store::new(settings);
        for (job, value) in [("a", 1.0), ("b", 0.0)] {
            let labels = Labels::from_pairs([(Labels::NAME, "up"), ("job", job)]);
            let sample = Sample { at: Timestamp::from_millis(10_000), value };
            store.append(&labels, sample).unwrap();
        }
        let store = Arc::new(store);
        tokio::spawn(async move {
            while let Some(question) = questions.recv().await {
                question.send(Arc::clone(&store)).unwrap();
            }
        });
    }

    async fn get(&self, path: &str) -> (u16, String) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.get(format!("{}{path}", self.base)).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn json(&self, path: &str) -> (u16, Value) {
        let (status, text) = self.get(path).await;
        (status, serde_json::from_str(&text).expect(path))
    }

    /// Writes a request as it stands and reads until the server closes or a second is silent.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut text = Vec::new();
        let reading = stream.read_to_end(&mut text);
        let _is_closed = tokio::time::timeout(5 * SECOND, reading).await.is_ok();
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[tokio::test]
async fn queries_answer_in_prometheus_shapes() {
    let mut house = House::start().await;
    house.answer_questions();
    for (path, status, expected) in [
        (
            "/api/v1/query?query=sum(up)&time=10",
            200,
            json!({"status": "success", "data": {"resultType": "vector", "result": [
                {"metric": {}, "value": [10, "1"]}
            ]}}),
        ),
        (
            "/api/v1/query_range?query=up{job=%22a%22}&start=10&end=20&step=10",
            200,
            json!({"status": "success", "data": {"resultType": "matrix", "result": [
                {"metric": {"__name__": "up", "job": "a"}, "values": [[10, "1"], [20, "1"]]}
            ]}}),
        ),
        ("/api/v1/labels", 200, json!({"status": "success", "data": ["__name__", "job"]})),
        ("/api/v1/label/job/values", 200, json!({"status": "success", "data": ["a", "b"]})),
        (
            "/api/v1/label/job/values?limit=1",
            200,
            json!({
                "status": "success",
                "data": ["a"],
                "warnings": ["results truncated due to limit"]
            }),
        ),
        (
            "/api/v1/series?match[]=up&limit=2",
            200,
            json!({"status": "success", "data": [
                {"__name__": "up", "job": "a"}, {"__name__": "up", "job": "b"}
            ]}),
        ),
        (
            "/api/v1/series",
            400,
            json!({
                "status": "error",
                "errorType": "bad_data",
                "error": "no match[] parameter provided"
            }),
        ),
        (
            "/api/v1/query_range?query=up&start=20&end=10&step=1",
            400,
            json!({
                "status": "error",
                "errorType": "bad_data",
                "error":
                    "invalid parameter \"end\": end timestamp must not be before start time"
            }),
        ),
    ] {
        assert_eq!(house.json(path).await, (status, expected), "{path}");
    }
    for (path, status, kind) in [
        ("/api/v1/query?query=sum(", 400, "bad_data"),
        ("/api/v1/query?query=up&time=never", 400, "bad_data"),
        ("/api/v1/query?query=up&timeout=soon", 400, "bad_data"),
        ("/api/v1/labels?limit=many", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=11001&step=1", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=1&step=0", 400, "bad_data"),
        ("/api/v1/rules?type=both", 400, "bad_data"),
        ("/api/v1/rules?group_next_token=x&group_limit=1", 400, "bad_data"),
        ("/api/v1/query_range?query=%22x%22&start=0&end=1&step=1", 400, "bad_data"),
        ("/api/v1/query?query=up&timeout=0", 503, "timeout"),
    ] {
        let (found, body) = house.json(path).await;
        assert_eq!((found, body["errorType"].as_str()), (status, Some(kind)), "{path} {body}");
    }
}

#[tokio::test]
async fn a_query_is_limited_and_timed_as_asked_for() {
    let mut house = House::start().await;
    house.answer_questions();
    let (_, body) = house.json("/api/v1/query?query=up&time=10&limit=1&stats=all").await;
    assert_eq!(body["data"]["result"].as_array().unwrap().len(), 1);
    assert_eq!(body["warnings"], json!(["results truncated due to limit"]));
    let timings = &body["data"]["stats"]["timings"];
    let seconds = |name: &str| timings[name].as_f64().unwrap();
    let parts = seconds("evalTotalTime") + seconds("execQueueTime");
    assert!((parts - seconds("execTotalTime")).abs() < 1e-9 && parts > 0.0, "{timings}");
    // The samples lie at 10 s.
    for (lookback, count) in [("", 2), ("&lookback_delta=4", 0), ("&lookback_delta=6s", 2)] {
        let (_, body) = house.json(&format!("/api/v1/query?query=up&time=15{lookback}")).await;
        assert_eq!(body["data"]["result"].as_array().unwrap().len(), count, "{lookback}");
        assert!(body["data"].get("stats").is_none());
    }
}

// By hand: the sample lies at 10 s and is seen for five minutes. A window of 60 s that ends at 30 s
// begins after -30 s; multiples of 4 s in it with something to see are 12, 16, 20, 24 and 28.
#[tokio::test]
async fn a_subquery_without_a_step_goes_by_the_evaluation_interval() {
    let mut house = House::start().await;
    house.answer_questions();
    let ask = "/api/v1/query?query=count_over_time(up{job=%22a%22}[1m:";
    for (step, count) in [("", "5"), ("10s", "3")] {
        let (_, body) = house.json(&format!("{ask}{step}])&time=30")).await;
        assert_eq!(body["data"]["result"][0]["value"], json!([30, count]), "{step}");
    }
}

// Expected: what Prometheus 3.5 answers.
#[tokio::test]
async fn what_is_not_there_is_refused_as_prometheus_refuses_it() {
    let house = House::start().await;
    for (method, path, status) in [
        ("GET", "/api/v1/nothing", "404 Not Found"),
        ("GET", "/api/v1/features", "404 Not Found"),
        ("GET", "/nothing", "404 Not Found"),
        ("PUT", "/api/v1/query", "405 Method Not Allowed"),
        ("POST", "/api/v1/rules", "405 Method Not Allowed"),
        ("OPTIONS", "/api/v1/query", "204 No Content"),
        ("OPTIONS", "/api/v1/nothing", "204 No Content"),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nOrigin: http://a.example\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let answer = house.raw(&request).await.to_lowercase();
        let status_line = format!("http/1.1 {status}\r\n").to_lowercase();
        assert!(answer.starts_with(&status_line), "{method} {path}: {answer}");
        // Prometheus lets every page read it; what bellwether knows stays with its own.
        assert!(!answer.contains("access-control"), "{method} {path}: {answer}");
        if status.starts_with("405") {
            assert!(answer.contains("\r\nallow: get"), "{method} {path}: {answer}");
        }
    }
}

#[tokio::test]
async fn rules_are_paged_in_the_order_of_their_files_and_names() {
    let house = House::start().await;
    let mut state = Snapshot::clone(&house.snapshot.borrow());
    let rules = || vec![rule(RuleKind::Recording, "r", Vec::new())];
    state.groups = ["c", "a", "b"].map(|name| group(name, rules())).into();
    house.snapshot.send_replace(Arc::new(state));
    let mut token = None;
    let mut pages = Vec::new();
    loop {
        let next = token.map(|token: String| format!("&group_next_token={token}"));
        let path = format!("/api/v1/rules?group_limit=2{}", next.unwrap_or_default());
        let (_, body) = house.json(&path).await;
        let groups = body["data"]["groups"].as_array().unwrap().clone();
        pages.push(
            groups.iter().map(|g| g["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>(),
        );
        token = body["data"]["groupNextToken"].as_str().map(str::to_owned);
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, [vec!["a", "b"], vec!["c"]]);
}

#[tokio::test]
async fn a_form_asks_like_a_query() {
    let mut house = House::start().await;
    house.answer_questions();
    let form = "query=sum(up)&time=10";
    let answer = house
        .raw(&format!(
            "POST /api/v1/query HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await;
    assert!(answer.contains(r#"{"metric":{},"value":[10,"1"]}"#), "{answer}");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_ends_the_query_in_time() {
    let house = House::start().await;
    let (status, body) = house.json("/api/v1/query?query=up&timeout=50ms").await;
    assert_eq!((status, body["errorType"].as_str()), (503, Some("timeout")));
}

/// A query whose work would take from seconds to minutes: 86,400 windows of 3,600 values to sort.
fn slow(timeout: &str) -> String {
    let query = "max_over_time(quantile_over_time(0.5, vector(time() % 7)[1h:1s])[1d:1s])";
    let query: String = form_urlencoded::byte_serialize(query.as_bytes()).collect();
    format!("/api/v1/query?query={query}&timeout={timeout}")
}

#[tokio::test]
async fn a_query_that_timed_out_gives_its_turn_back() {
    let mut house = House::start().await;
    house.answer_questions();
    let path = slow("100ms");
    let (first, second, third, fourth) =
        tokio::join!(house.json(&path), house.json(&path), house.json(&path), house.json(&path));
    for (status, body) in [first, second, third, fourth] {
        assert_eq!((status, body["errorType"].as_str()), (503, Some("timeout")));
        assert_eq!(body["error"], "query timed out in expression evaluation");
    }
    let (status, _) = house.json("/api/v1/query?query=up&time=10&timeout=2s").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_query_whose_client_went_away_gives_its_turn_back() {
    let mut house = House::start().await;
    house.answer_questions();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(house.server.address()).await.unwrap();
        let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", slow("2m"));
        stream.write_all(request.as_bytes()).await.unwrap();
        // Written, so that it is asked, and gone.
        stream.shutdown().await.unwrap();
    }
    let (status, body) = house.json("/api/v1/query?query=up&time=10&timeout=5s").await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn a_query_that_gets_no_turn_in_time_says_so() {
    let mut house = House::start().await;
    let (_, nothing) = mpsc::channel(1);
    let mut questions = std::mem::replace(&mut house.questions, nothing);
    let asked = || house.json("/api/v1/query?query=up");
    let late = async {
        // Each of the four has its turn and waits for samples.
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(questions.recv().await.unwrap());
        }
        let (status, body) = house.json("/api/v1/query?query=up&timeout=50ms").await;
        assert_eq!((status, body["errorType"].as_str()), (503, Some("timeout")));
        assert_eq!(body["error"], "query timed out in query queue");
    };
    tokio::join!(asked(), asked(), asked(), asked(), late);
}

#[tokio::test]
async fn rules_are_shown_as_asked_for() {
    let house = House::start().await;
    for (query, expected) in [
        ("", "g A<b> 1, h r -"),
        ("?type=alert", "g A<b> 1"),
        ("?type=record", "h r -"),
        ("?rule_name[]=r", "h r -"),
        ("?rule_group[]=g&file[]=f.yml", "g A<b> 1"),
        ("?file[]=other.yml", ""),
        ("?exclude_alerts=true", "g A<b> -, h r -"),
    ] {
        let (_, body) = house.json(&format!("/api/v1/rules{query}")).await;
        let groups = body["data"]["groups"].as_array().unwrap().iter().map(|group| {
            let rule = &group["rules"][0];
            let alerts = rule["alerts"].as_array().map_or("-".to_owned(), |a| a.len().to_string());
            format!(
                "{} {} {alerts}",
                group["name"].as_str().unwrap(),
                rule["name"].as_str().unwrap()
            )
        });
        assert_eq!(groups.collect::<Vec<_>>().join(", "), expected, "{query}");
    }
    let (_, body) = house.json("/api/v1/alerts").await;
    assert_eq!(body["data"]["alerts"][0]["value"], "5e-01");
    let (_, body) = house.json("/api/v1/rules?type=alert").await;
    assert_eq!(body["data"]["groups"][0]["limit"], 3);
}

#[tokio::test]
async fn what_the_server_is_can_be_asked() {
    let house = House::start().await;
    let (_, body) = house.json("/api/v1/status/flags").await;
    assert_eq!(body["data"], json!({"web.listen-address": "127.0.0.1:0"}));
    let (_, body) = house.json("/api/v1/status/runtimeinfo").await;
    assert_eq!(body["data"]["storageRetention"], "1d");
    let (_, body) = house.json("/api/v1/status/buildinfo").await;
    assert_eq!(body["data"]["version"], env!("CARGO_PKG_VERSION"));
    let (_, body) = house.json("/api/v1/status/config").await;
    assert_eq!(body["data"]["yaml"], "global: {}\n");
    let (_, body) = house.json("/api/v1/metadata?metric=bellwether_probe_due_total").await;
    let one = body["data"].as_object().unwrap();
    assert_eq!((one.len(), &one["bellwether_probe_due_total"][0]["type"]), (1, &json!("counter")));
    let (_, body) = house.json("/api/v1/metadata?limit=2").await;
    assert_eq!(body["data"].as_object().unwrap().len(), 2);
    for (query, expected) in [("", true), ("?state=active", true), ("?state=dropped", false)] {
        let (_, body) = house.json(&format!("/api/v1/targets{query}")).await;
        assert!(body["data"]["activeTargets"].is_array(), "{query} {expected}");
    }
}

#[tokio::test]
async fn readiness_follows_the_service_and_health_answers_a_head() {
    let house = House::start().await;
    assert_eq!(house.get("/-/ready").await.0, 503);
    house.ready.send_replace(true);
    assert_eq!(house.get("/-/ready").await.0, 200);
    let head = "HEAD /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = house.raw(head).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(answer.contains("x-content-type-options: nosniff"));
}

#[tokio::test]
async fn a_reload_is_for_local_callers_and_says_what_is_wrong() {
    let mut house = House::start().await;
    let ask = |host: &str, more: &str| {
        format!(
            "POST /-/reload HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\
             Content-Length: 0\r\n\r\n"
        )
    };
    for (host, more) in [
        ("bellwether.example", ""),
        ("localhost", "Origin: https://example.com\r\n"),
        ("localhost", "X-Forwarded-For: 192.0.2.1\r\n"),
    ] {
        let answer = house.raw(&ask(host, more)).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{host} {more} {answer}");
    }
    assert!(house.reloads.try_recv().is_err(), "nobody asked for anything");
    let get = house.raw("GET /-/reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert!(get.await.starts_with("HTTP/1.1 405 "));
    let (_, nothing) = mpsc::channel(1);
    let mut reloads = std::mem::replace(&mut house.reloads, nothing);
    tokio::spawn(async move {
        reloads.recv().await.unwrap().send(Ok(())).unwrap();
        reloads.recv().await.unwrap().send(Err("line 3 is odd".to_owned())).unwrap();
    });
    assert!(house.raw(&ask("localhost", "")).await.starts_with("HTTP/1.1 200 "));
    let wrong = house.raw(&ask("127.0.0.1", "")).await;
    assert!(wrong.starts_with("HTTP/1.1 500 ") && wrong.contains("line 3 is odd"), "{wrong}");
}

#[tokio::test]
async fn a_stop_closes_idle_connections_and_lets_an_answer_finish() {
    let mut house = House::start().await;
    let mut idle = TcpStream::connect(house.server.address()).await.unwrap();
    idle.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    let address = house.server.address();
    let url = format!("http://{address}/api/v1/query?query=up&time=10");
    let asking = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(url).send().await.unwrap().status().as_u16()
    });
    let question = house.questions.recv().await.unwrap();
    let stopping = tokio::spawn(house.server.stop(5 * SECOND));
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.unwrap();
    let settings = series::Settings { retention: SECOND, size_max_bytes: 1 << 20, series_max: 1 };
    question.send(Arc::new(Store::new(settings))).unwrap();
    assert_eq!(asking.await.unwrap(), 200);
    let started = tokio::time::Instant::now();
    stopping.await.unwrap();
    assert!(started.elapsed() < SECOND, "it ended with its last connection");
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn heads_and_forms_have_a_limit() {
    let house = House::start().await;
    let long = "x".repeat(100_000);
    let answer = house.raw(&format!("GET /?{long} HTTP/1.1\r\nHost: x\r\n\r\n")).await;
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let form = format!("query={}", "1".repeat(1 << 20));
    let answer = client
        .post(format!("{}/api/v1/query", house.base))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 400);
}

#[tokio::test]
async fn the_page_says_what_is_wrong_and_escapes_what_others_wrote() {
    let house = House::start().await;
    let (status, page) = house.get("/").await;
    assert_eq!(status, 200);
    assert!(page.contains("<title>A&lt;b&gt; fires for t · bellwether</title>"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let mut well = Snapshot::clone(&house.snapshot.borrow());
    well.groups.clear();
    house.snapshot.send_replace(Arc::new(well));
    assert!(house.get("/").await.1.contains("<title>Nothing is probed · bellwether</title>"));
    let mut many = Snapshot::clone(&house.snapshot.borrow());
    let alerts = vec![alert("one"), alert("two")];
    many.groups = vec![group("g", vec![rule(RuleKind::Alerting, "A<b>", alerts)])];
    house.snapshot.send_replace(Arc::new(many));
    assert!(house.get("/").await.1.contains("<title>2 alerts fire for t · bellwether</title>"));
}

#[tokio::test]
async fn the_page_says_how_objectives_stand_and_what_their_traffic_cannot_tell() {
    let house = House::start().await;
    let subject = Subject { target: TargetId::new("t<1>"), interval: 900 * SECOND };
    let slo = Slo {
        name: "chat".to_owned(),
        indicator: Indicator::Availability,
        objective: Objective::parse("99.9").unwrap(),
        window: 30 * 86_400 * SECOND,
        subjects: vec![subject],
        scope: Scope::Each,
        events_min: 10,
        failures_min: 2,
        page: Some(Alerting::default()),
        ticket: Some(Alerting::default()),
        labels: Default::default(),
        annotations: Default::default(),
    };
    let budget = BudgetStatus {
        target: Some(TargetId::new("t<1>")),
        remaining: Some(0.375),
        burns: vec![(300 * SECOND, None), (3600 * SECOND, Some(14.44)), (21_600 * SECOND, None)],
    };
    let labels =
        [("alertname", slo::ALERT), ("slo", "chat"), ("target", "t<1>"), ("severity", "page")];
    let burning = Alert { labels: Labels::from_pairs(labels), ..alert("burns") };
    let mut state = Snapshot::clone(&house.snapshot.borrow());
    state.groups =
        vec![group("slo:chat", vec![rule(RuleKind::Alerting, slo::ALERT, vec![burning])])];
    let show = |budget: BudgetStatus| {
        let slos = vec![SloStatus { slo: Arc::new(slo.clone()), budgets: vec![budget] }];
        house.snapshot.send_replace(Arc::new(Snapshot { slos, ..state.clone() }));
    };
    show(budget.clone());
    let page = house.get("/").await.1;
    for part in [
        "chat <small>99.9% availability over 30d</small>",
        "<td>t&lt;1&gt;</td><td class=\"good\">37.5%</td><td>14.4× over 1h</td>",
        "<td class=\"bad\">page firing</td>",
        "2.9 of 2880 probes may fail; a page 30m into a total outage at the soonest",
        "it cannot page faster than 30m into a total outage",
        "the page alert over 1h and 5m cannot fire: they hold 4 and 0 probes",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    show(BudgetStatus { remaining: Some(-0.1), ..budget.clone() });
    assert!(house.get("/").await.1.contains("<td class=\"bad\">-10.0%</td>"));
    show(BudgetStatus { remaining: None, burns: Vec::new(), ..budget });
    assert!(house.get("/").await.1.contains("not known yet</td><td>–</td>"));
}

#[tokio::test]
async fn the_page_says_who_is_not_told_and_why() {
    let house = House::start().await;
    assert!(!house.get("/").await.1.contains("nobody is told"));
    let mut state = Snapshot::clone(&house.snapshot.borrow());
    let muted = |firing| Muted {
        receiver: "team<1>".to_owned(),
        group: "{}:{}".to_owned(),
        intervals: vec!["nights".to_owned()],
        firing,
    };
    state.muted = vec![muted(2), muted(0)];
    house.snapshot.send_replace(Arc::new(state));
    let page = house.get("/").await.1;
    let said =
        "1 group of alerts fires and nobody is told at this time: team&lt;1&gt; muted by nights";
    assert!(page.contains(said), "{page}");
}

#[tokio::test]
async fn a_refused_call_is_counted_by_its_reason() {
    let house = House::start().await;
    let counted = || async {
        let metrics = house.get("/metrics").await.1;
        let of = |reason: &str| {
            let name = format!("bellwether_http_refused_total{{reason=\"{reason}\"}} ");
            let line = metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap();
            line.parse::<f64>().unwrap()
        };
        ["unauthenticated", "not_allowed", "suspicious"].map(of)
    };
    assert_eq!(counted().await, [0.0; 3]);
    let url = format!("{}/-/reload", house.base);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let foreign = client.post(url).header("origin", "https://elsewhere.example");
    assert_eq!(foreign.send().await.unwrap().status(), 403);
    assert_eq!(counted().await, [0.0, 0.0, 1.0]);
}

#[tokio::test]
async fn a_link_of_an_alert_leads_to_its_query() {
    let mut house = House::start().await;
    house.answer_questions();
    let (status, body) = house.json("/graph?g0.expr=vector%281%29+%2B+1&g0.tab=1").await;
    assert_eq!((status, &body["data"]["result"][0]["value"][1]), (200, &json!("2")));
}
