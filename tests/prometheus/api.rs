//! The HTTP API: the same requests, the same answers, over the same samples.
//!
//! Our server holds samples of these tests, a real Prometheus holds the same ones in blocks that
//! promtool made. Where a request succeeds, both answer the same text to the letter; where it is
//! refused, the status and the type of the error are the same, and the words are each one's own.
//! The Prometheus is the system's, or the one that `PROMETHEUS3` names; what came with Prometheus 3
//! is asked of one only.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bellwether::clock::Clock;
use bellwether::engine::Snapshot;
use bellwether::model::{JournalStanding, Labels, Sample, Timestamp};
use bellwether::series::{self, Store};
use bellwether::server::{Keys, Server, Views};
use bellwether::telemetry::Telemetry;
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use crate::run::{Run, Settings, own_rules};
use crate::stage::{Directory, Process};
use crate::web;

/// 2023-11-14 22:13:20 UTC. Samples lie 7 ms after each whole 15 seconds, so that no window of the
/// requests has one at its edge, which Prometheus 2 counts.
const START_S: i64 = 1_700_000_000;
const SAMPLES: i64 = 40;

/// Asked of every Prometheus: the method, with a form after it, and what follows `/api/v1/`.
const REQUESTS: &[(&str, &str)] = &[
    // Results of each kind, numbers and times as they are written.
    ("GET", "query?query=up&time=1700000300"),
    ("GET", "query?query=up&time=1700000300.5"),
    ("GET", "query?query=up&time=2023-11-14T22:18:20Z"),
    ("GET", "query?query=up&time=2023-11-15T00:18:20.25%2B02:00"),
    ("GET", "query?query=1&time=0"),
    ("GET", "query?query=1&time=-1.5"),
    ("GET", "query?query=vector(1)&time=-1.5"),
    ("GET", "query?query=%22x%22&time=1.25"),
    ("GET", "query?query=%22a%20%5C%22%C3%A9%22&time=1.0005"),
    ("GET", "query?query=1/0&time=1"),
    ("GET", "query?query=-1/0&time=1"),
    ("GET", "query?query=0/0&time=1"),
    ("GET", "query?query=1e21&time=1"),
    ("GET", "query?query=-123456789e16&time=1"),
    ("GET", "query?query=999999999999999999999&time=1"),
    ("GET", "query?query=vector(1e-7)&time=1"),
    ("GET", "query?query=vector(-1.5e-300)&time=1"),
    ("GET", "query?query=vector(1e-6)&time=1"),
    ("GET", "query?query=vector(0.1%2B0.2)&time=1"),
    ("GET", "query?query=requests_total%5B1m%5D&time=1700000300"),
    ("GET", "query?query=rate(requests_total%5B1m%5D)&time=1700000300"),
    ("GET", "query?query=nosuch&time=1700000300"),
    ("GET", "query?query=nosuch%5B1m%5D&time=1700000300"),
    ("GET", "query?query=up&time=1700000300&time=1"),
    ("GET", "query?query=up&time=1700000300&timeout=1d"),
    ("GET", "query?query=up&time=1700000300&timeout=30"),
    ("GET", "query_range?query=up&start=1700000000&end=1700000060&step=15"),
    ("GET", "query_range?query=up&start=1700000000.5&end=1700000003.25&step=750ms"),
    ("GET", "query_range?query=1&start=0&end=2&step=1"),
    ("GET", "query_range?query=time()&start=0&end=2&step=0.5"),
    ("GET", "query_range?query=nosuch&start=0&end=2&step=1"),
    ("GET", "query_range?query=up&start=1700000000&end=1700000000&step=1y"),
    (
        "GET",
        "query_range?query=sum(rate(requests_total%5B1m%5D))&start=1700000000&end=1700000600&step=1m",
    ),
    ("GET", "query_range?query=vector(1)&start=0&end=11000&step=1"),
    // Forms, and what is in both a form and the address.
    ("POST query=up&time=1700000300", "query"),
    ("POST query=up&time=1700000300", "query?query=1&time=1"),
    ("POST query=up", "query?time=1700000300"),
    ("POST ", "query?query=1&time=1"),
    ("POST query=up&start=1700000000&end=1700000060&step=15", "query_range"),
    ("POST match%5B%5D=up", "series"),
    ("POST match%5B%5D=up", "series?match[]=requests_total"),
    ("POST match%5B%5D=up", "labels"),
    ("POST query=up&start=1&end=2", "query_exemplars"),
    // Series, labels and their values.
    ("GET", "series?match[]=up"),
    ("GET", "series?match[]=up&match[]=requests_total"),
    ("GET", "series?match[]=%7B__name__=~%22.%2B%22%7D"),
    ("GET", "series?match[]=up&start=1700000000&end=1700000060"),
    ("GET", "series?match[]=up&start=1700000700"),
    ("GET", "series?match[]=up&start=2&end=1"),
    ("GET", "series?match[]=nosuch"),
    ("GET", "labels"),
    ("GET", "labels?match[]=up"),
    ("GET", "labels?match[]=up&match[]=requests_total"),
    ("GET", "labels?start=1700000700"),
    ("GET", "label/__name__/values"),
    ("GET", "label/instance/values"),
    ("GET", "label/instance/values?match[]=requests_total"),
    ("GET", "label/nosuch/values"),
    ("GET", "query_exemplars?query=up&start=1&end=2"),
    ("GET", "format_query?query=sum(up)by(job)"),
    ("GET", "metadata?metric=nosuch"),
    ("GET", "rules"),
    ("GET", "rules?type=alert"),
    ("GET", "alerts"),
    ("GET", "alertmanagers"),
    ("GET", "status/walreplay"),
    // What is refused.
    ("GET", "query"),
    ("GET", "query?query=up%7B"),
    ("GET", "query?query=sum("),
    ("GET", "query?query=rate(up)"),
    ("GET", "query?query=up%20%E2%88%91"),
    ("GET", "query?query=up&time=soon"),
    ("GET", "query?query=up&time=2020-01-01"),
    ("GET", "query?query=up&timeout=soon"),
    ("GET", "query?query=up&timeout=1e30"),
    ("GET", "query?query=requests_total*on(job)requests_total&time=1700000300"),
    ("GET", "query?query=label_replace(up,%22a%22,%22b%22,%22c%22,%22(%22)&time=1700000300"),
    ("GET", "query_range?query=up"),
    ("GET", "query_range?query=up&start=1"),
    ("GET", "query_range?query=up&start=1&end=2"),
    ("GET", "query_range?query=up&start=1&end=2&step=0"),
    ("GET", "query_range?query=up&start=1&end=2&step=-1"),
    ("GET", "query_range?query=up&start=1&end=2&step=NaN"),
    ("GET", "query_range?query=up&start=1&end=2&step=Inf"),
    ("GET", "query_range?query=up&start=1&end=2&step=soon"),
    ("GET", "query_range?query=up&start=2&end=1&step=1"),
    ("GET", "query_range?query=up&start=x&end=1&step=1"),
    ("GET", "query_range?query=up&start=0&end=11001&step=1"),
    ("GET", "query_range?query=up&start=0&end=1e15&step=1"),
    ("GET", "query_range?query=up%7B&start=1&end=2&step=1"),
    ("GET", "query_range?query=up%5B5m%5D&start=1&end=2&step=1"),
    ("GET", "query_range?query=%22x%22&start=1&end=2&step=1"),
    ("GET", "series"),
    ("GET", "series?start=x"),
    ("GET", "series?match[]="),
    ("GET", "series?match[]=up%7B"),
    ("GET", "series?match[]=up%5B5m%5D"),
    ("GET", "series?match[]=sum(up)"),
    ("GET", "series?match[]=(up)"),
    ("GET", "series?match[]=-up"),
    ("GET", "series?match[]=1"),
    ("GET", "series?match[]=up%20offset%205m"),
    ("GET", "series?match[]=up%20@%201"),
    ("GET", "series?match[]=%7B%7D"),
    ("GET", "series?match[]=up&match[]=up%7B"),
    ("GET", "series?match[]=up&start=x"),
    ("GET", "labels?match[]=up%7B"),
    ("GET", "labels?match[]=sum(up)"),
    ("GET", "labels?end=x"),
    ("GET", "label/job/values?match[]=up%7B"),
    ("GET", "label/job/values?match[]=up%5B5m%5D"),
    ("GET", "label/job/values?start=x"),
    ("GET", "query_exemplars?query=up%7B"),
    ("GET", "query_exemplars?query=up&start=3&end=2"),
    ("GET", "query_exemplars?query=up&start=x"),
    ("GET", "format_query"),
    ("GET", "format_query?query=up%7B"),
    ("GET", "metadata?limit=x"),
    ("GET", "targets/metadata?limit=x"),
    ("GET", "targets/metadata?match_target=up%7B"),
    ("GET", "rules?type=x"),
    // What is not there, and not so.
    ("GET", "nothing"),
    ("GET", "features"),
    ("PUT", "query?query=1"),
    ("DELETE", "rules"),
    ("POST ", "rules"),
    ("POST ", "metadata"),
    ("POST ", "label/job/values"),
    ("OPTIONS", "query"),
    ("OPTIONS", "labels"),
];

/// Asked of a Prometheus 3.
const REQUESTS_3: &[(&str, &str)] = &[
    ("GET", "query?query=up&time=1700000602&lookback_delta=10s"),
    ("GET", "query?query=up&time=1700000602&lookback_delta=20"),
    ("GET", "query?query=up&time=1700000602&lookback_delta=0"),
    ("GET", "query?query=up&time=1700000602&lookback_delta=-1"),
    ("GET", "query_range?query=up&start=1700000602&end=1700000604&step=1&lookback_delta=10s"),
    ("GET", "query?query=up&lookback_delta=soon"),
    ("GET", "query?query=up&time=1700000300&limit=0"),
    ("GET", "query?query=up&time=1700000300&limit=1"),
    ("GET", "query?query=up&time=1700000300&limit=2"),
    ("GET", "query?query=1&time=1&limit=1"),
    ("GET", "query?query=up%5B1m%5D&time=1700000300&limit=1"),
    ("GET", "query?query=up&limit=-1"),
    ("GET", "query?query=up&limit=x"),
    ("GET", "query_range?query=up&start=1700000000&end=1700000060&step=15&limit=1"),
    ("GET", "query_range?query=up&start=1700000000&end=1700000060&step=15&limit=-1"),
    ("GET", "query?query=rate(up%5B1m%5D)&time=1700000300"),
    ("GET", "query?query=quantile(2,up)&time=1700000300"),
    ("GET", "query_range?query=quantile(2,up)&start=1700000000&end=1700000060&step=15"),
    ("GET", "series?match[]=up&limit=1"),
    ("GET", "series?match[]=up&limit=2"),
    ("GET", "series?match[]=up&limit=-1"),
    ("GET", "series?match[]=up&limit=x"),
    ("GET", "series?match[]=%7Bjob!~%22.%22%7D"),
    ("GET", "labels?limit=1"),
    ("GET", "labels?limit=-1"),
    ("GET", "label/instance/values?limit=1"),
    ("GET", "label/instance/values?limit=x"),
    ("GET", "label/U__instance/values"),
    ("GET", "label/U__inst_61_nce/values"),
    ("GET", "label/U__/values"),
    ("GET", "label/U__a_zz_/values"),
    ("GET", "label/a.b/values"),
    ("GET", "label/%FF/values"),
    ("GET", "scrape_pools?x=y"),
    ("GET", "metadata?limit=0"),
    ("GET", "metadata?limit_per_metric=x"),
    ("GET", "rules?exclude_alerts=x"),
    ("GET", "rules?exclude_alerts=T"),
    ("GET", "rules?match[]=up%7B"),
    ("GET", "rules?match[]=%7Ba=%22b%22%7D"),
    ("GET", "rules?group_limit=0"),
    ("GET", "rules?group_limit=-1"),
    ("GET", "rules?group_limit=x"),
    ("GET", "rules?group_limit=1"),
    ("GET", "rules?group_next_token=x"),
    ("GET", "rules?group_next_token=x&group_limit=1"),
    ("GET", "status/tsdb?limit=0"),
    ("GET", "status/tsdb?limit=x"),
    ("GET", "targets?state=x"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_request_has_the_same_answer() {
    let directory = Directory::new();
    let samples = samples();
    let (server, base) = ours(&samples).await;
    let (prometheus, is_3) = theirs(&directory, &samples).await;
    let newer = if is_3 { REQUESTS_3 } else { &[] };
    let mut differences = Vec::new();
    for (how, path) in REQUESTS.iter().chain(newer) {
        let own = Reply::of(&base, how, path).await;
        let other = Reply::of(&prometheus.url(""), how, path).await;
        // Pools are named by whoever scrapes; that there is such a list is the same.
        let is_same = match path.starts_with("scrape_pools") {
            true => own.status == other.status && own.kind == other.kind,
            false => own.says_as(&other),
        };
        if !is_same {
            differences.push(format!("{how} {path}\n  {own:?}\n  {other:?}"));
        }
    }
    server.stop(Duration::from_secs(5)).await;
    assert!(differences.is_empty(), "ours first:\n{}", differences.join("\n"));
}

/// Which rules a filter leaves, by the order of groups and rules.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_are_filtered_and_ordered_alike() {
    let rules = vec![own_rules("short.yml"), own_rules("pair.yml")];
    let files: Vec<String> = rules.iter().map(|path| format!("\"{}\"", path.display())).collect();
    let run = Run::start(Settings { rules, probe_interval: "12h", sections: String::new() }).await;
    let config = format!("rule_files: [{}]\n", files.join(", "));
    let prometheus = prometheus(&run.directory, &config, "samples").await;
    let is_3 = is_3(&prometheus).await;
    let older = ["", "?type=alert"];
    let newer = [
        // Prometheus 2 shows groups that have no such rule, too.
        "?type=record",
        "?rule_name[]=ShortErrors&rule_name[]=Pair",
        "?rule_group[]=short&type=record",
        "?rule_group[]=nosuch",
        "?file[]=nosuch",
        "?exclude_alerts=true",
        "?match[]=%7Bseverity=%22page%22%7D",
        "?match[]=%7Bseverity=%22page%22%7D&match[]=%7Bkind!=%22%22%7D",
        "?match[]=%7Bseverity=~%22.%2Bvalue.%2B%22%7D",
        "?match[]=%7Balertname=%22Pair%22%7D",
        "?group_limit=1",
        "?group_limit=1&type=record",
        "?group_limit=2",
        "?group_limit=9",
    ];
    let newer = newer.iter().filter(|_| is_3);
    for query in older.iter().chain(newer) {
        let told = async |process: &Process| {
            let data = web::api(&process.url(&format!("/api/v1/rules{query}"))).await;
            let names = |of: &Value| of["name"].as_str().unwrap().to_owned();
            let groups = data["groups"].as_array().unwrap().iter().map(|group| {
                let rules = group["rules"].as_array().unwrap().iter();
                (names(group), rules.map(names).collect::<Vec<_>>())
            });
            (groups.collect::<Vec<_>>(), data["groupNextToken"].is_string())
        };
        assert_eq!(told(&run.bellwether).await, told(&prometheus).await, "{query}");
    }
}

#[derive(Debug)]
struct Reply {
    status: u16,
    kind: String,
    text: String,
}

impl Reply {
    async fn of(base: &str, how: &str, path: &str) -> Self {
        let (method, form) = how.split_once(' ').unwrap_or((how, ""));
        let method: Method = method.parse().unwrap();
        let url = format!("{base}/api/v1/{path}");
        let response = web::request(method, &url, form).await;
        let status = response.status().as_u16();
        let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap());
        let kind = kind.unwrap_or_default().to_owned();
        Self { status, kind, text: response.text().await.unwrap() }
    }

    fn error(&self) -> Option<String> {
        let answer: Value = serde_json::from_str(&self.text).ok()?;
        Some(answer["errorType"].as_str()?.to_owned())
    }

    /// The text without the escapes that Go writes for the sake of pages.
    fn plain(&self) -> String {
        let text = self.text.replace("\\u003c", "<").replace("\\u003e", ">");
        text.replace("\\u0026", "&").trim().to_owned()
    }

    fn says_as(&self, other: &Self) -> bool {
        let same_words = match self.status {
            200 if self.text != other.text => parsed(&self.text) == parsed(&other.text),
            400.. => self.error() == other.error(),
            _ => self.text.trim() == other.text.trim(),
        };
        // The order of keys is free, but not in what is long and read by eye.
        let is_query = self.text.contains("resultType");
        let same_text = !is_query || self.plain() == other.plain();
        (self.status, &self.kind) == (other.status, &other.kind) && same_words && same_text
    }
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

type Samples = Vec<(Vec<(&'static str, &'static str)>, Vec<(i64, f64)>)>;

fn samples() -> Samples {
    let series = |labels: &[(&'static str, &'static str)], value: fn(i64) -> f64| {
        let at = |number: i64| (START_S + number * 15) * 1000 + 7;
        let samples = (0..SAMPLES).map(|number| (at(number), value(number)));
        (labels.to_vec(), samples.collect())
    };
    vec![
        series(&[("__name__", "requests_total"), ("code", "200"), ("job", "web")], |n| {
            n as f64 * 3.0
        }),
        series(&[("__name__", "requests_total"), ("code", "500"), ("job", "web")], |n| {
            n as f64 / 7.0
        }),
        series(&[("__name__", "up"), ("instance", "a:1"), ("job", "web")], |_| 1.0),
        series(&[("__name__", "up"), ("instance", "b:1"), ("job", "a \"b\" \\ é <&>")], |n| {
            (n % 2) as f64
        }),
    ]
}

/// Our server over these samples.
async fn ours(samples: &Samples) -> (Server, String) {
    let settings =
        series::Settings { retention: Duration::MAX, size_max_bytes: 1 << 30, series_max: 100 };
    let mut store = Store::new(settings);
    for (labels, points) in samples {
        let labels = Labels::from_pairs(labels.iter().copied());
        for (at, value) in points {
            let sample = Sample { at: Timestamp::from_millis(*at), value: *value };
            store.append(&labels, sample).unwrap();
        }
    }
    let store = Arc::new(store);
    let (asked, mut questions) = mpsc::channel::<oneshot::Sender<Arc<Store>>>(16);
    tokio::spawn(async move {
        while let Some(question) = questions.recv().await {
            // Whoever asked may have gone away.
            let _is_heard = question.send(Arc::clone(&store)).is_ok();
        }
    });
    let clock = Clock::start();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let views = Views {
        snapshot: watch::channel(Arc::new(Snapshot::empty(clock.now()))).1,
        samples: asked,
        posts: mpsc::channel(1).0,
        keys: Keys {
            door: watch::channel(Arc::default()).1,
            tokens: watch::channel(Arc::from([])).1,
        },
        reload: mpsc::channel(1).0,
        outbox: mpsc::channel(1).0,
        releases: mpsc::channel(1).0,
        standing: watch::channel(JournalStanding::default()).1,
        set_aside: None,
        config: watch::channel(Arc::from("")).1,
        alertmanagers: watch::channel(Arc::from([])).1,
        evaluation_interval: watch::channel(Duration::from_secs(60)).1,
        table: None,
        evidence: None,
        ready: watch::channel(true).1,
        telemetry: Telemetry::new(),
        clock,
        flags: Arc::from([]),
        retention: watch::channel(Duration::MAX).1,
    };
    let server = Server::spawn(listener, views).unwrap();
    let base = format!("http://{}", server.address());
    (server, base)
}

/// A Prometheus with these samples, and whether it is a Prometheus 3.
async fn theirs(directory: &Directory, samples: &Samples) -> (Process, bool) {
    let mut text = String::new();
    for (labels, points) in samples {
        let pairs = labels[1..].iter().map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{value}\"")
        });
        let pairs = pairs.collect::<Vec<_>>().join(",");
        for (at, value) in points {
            let at = *at as f64 / 1000.0;
            writeln!(text, "{}{{{pairs}}} {value} {at:.3}", labels[0].1).unwrap();
        }
    }
    text.push_str("# EOF\n");
    let file = directory.write("samples.txt", &text);
    let blocks = directory.path("blocks");
    let arguments = ["tsdb", "create-blocks-from", "openmetrics"];
    let files = [file.to_str().unwrap(), blocks.to_str().unwrap()];
    crate::promtool::run(&[&arguments[..], &files].concat());
    let process = prometheus(directory, "scrape_configs: []\n", "blocks").await;
    let is_3 = is_3(&process).await;
    (process, is_3)
}

async fn prometheus(directory: &Directory, config: &str, samples: &str) -> Process {
    let config = directory.write("prometheus.yml", config);
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", directory.path(samples).display()),
        "--storage.tsdb.retention.time=100y".to_owned(),
    ];
    let program = std::env::var("PROMETHEUS3").unwrap_or_else(|_| "prometheus".to_owned());
    Process::peer(directory, &program, &arguments).await
}

async fn is_3(prometheus: &Process) -> bool {
    let about = web::api(&prometheus.url("/api/v1/status/buildinfo")).await;
    !about["version"].as_str().unwrap().starts_with("2.")
}
