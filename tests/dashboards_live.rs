//! Every query of every dashboard finds something in a real Prometheus that scraped the real program.
//!
//! bellwether probes two simulated providers, one of them ill, under the configuration and rules that
//! `docker-compose.yml` uses, only faster, and with a release to the ill one, which goes back; a
//! `prometheus` from the path scrapes it. Whatever a panel
//! asks for must then be there: as finite numbers, under the labels that its legend names.

#![cfg(feature = "peers")]
#![expect(clippy::unwrap_used, reason = "what can't be started or read is a failed test")]

#[path = "dashboards/model.rs"]
mod model;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::{Dashboard, Query, filled, list, text};
use regex::Regex;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

/// Windows that fit a scrape each second.
const RATE_INTERVAL: &str = "10s";
const RANGE: &str = "30s";
/// More lines than this are not read by anybody.
const LINES_MAX: usize = 20;
/// The slowest is the rollback group, which is evaluated every 15 s in Prometheus.
const PATIENCE: Duration = Duration::from_secs(90);

const WELL: &str = "phases: [{after: 0s, headers: 20ms, ttft: 60ms, gap: 5ms, tokens: 12}]";
const ILL: &str = "
phases:
  - {after: 0s, headers: 20ms, ttft: 60ms, gap: 5ms, tokens: 12}
  - after: 5s
    slow: {share: 0.3, ttft: 900ms}
    faults:
      - {kind: truncated, share: 0.4, after_tokens: 4}
      - {kind: http, status: 503, share: 0.2}
";

/// What the compose file has no use for. Its traffic is a file that nobody reads, and its routes lead to
/// the one that is well, copied to the other, and to the ill one.
const RELEASE: &str = "
releases:
  - name: newcomer
    stable: [stable]
    candidate: [candidate]
    stages: [10, 100]
    gates: [{indicator: errors, objective: 99}, {indicator: ttft, objective: 90, threshold: 500ms}]
    traffic:
      - name: weights
        file: {path: WEIGHTS, content: '{{share}}'}
    rollback: {matchers: ['severity=\"never\"']}
routes:
  - {name: chat, stable: [stable], mirror: {to: candidate, share: 100, budget_daily: unlimited}}
  - {name: ill, stable: [candidate], retries: {pause: 10ms}}
";

#[tokio::test]
async fn every_query_finds_something() {
    let place = Place::new("dashboards");
    let stable = Program::simulator(&place, "stable", WELL).await;
    let candidate = Program::simulator(&place, "candidate", ILL).await;
    let bellwether = Program::bellwether(&place, &stable.address, &candidate.address).await;
    let prometheus = Prometheus::start(&place, &bellwether.address).await;
    // Prometheus has seen the release idle before it moves: a counter that begins at one says nothing.
    prometheus.has("bellwether_release_state{state=\"idle\"} == 1").await;
    bellwether.tell("releases/newcomer/drill").await;
    bellwether.tell("releases/newcomer/start").await;
    let clients = tokio::spawn(ask_on(bellwether.router.clone().unwrap()));

    let dashboards = model::all();
    let queries: Vec<Query> = dashboards.iter().flat_map(Dashboard::queries).collect();
    let mut empty: Vec<&Query> = queries.iter().collect();
    let end = Instant::now() + PATIENCE;
    loop {
        let mut still_empty = Vec::new();
        for query in empty {
            if !prometheus.finds_something(query).await {
                still_empty.push(query);
            }
        }
        empty = still_empty;
        // An annotation marks what may not have happened; that it is no error is all that is asked.
        if empty.iter().all(|query| query.is_annotation) {
            break;
        }
        let left: Vec<&str> = empty.iter().map(|query| query.at.as_str()).collect();
        assert!(Instant::now() < end, "these found nothing:\n{}", left.join("\n"));
        sleep(Duration::from_secs(1)).await;
    }
    clients.abort();
    for variable in dashboards.iter().flat_map(|it| list(&it.json["templating"]["list"])) {
        if text(variable, "type") == "query" {
            let values = prometheus.values(text(variable, "definition")).await;
            assert!(!values.is_empty(), "nothing to choose for `{}`", text(variable, "name"));
        }
    }
}

/// A folder for this run, removed at its end.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("bellwether-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn log(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _is_gone = fs::remove_dir_all(&self.0).is_ok();
    }
}

/// A process, ended with the test.
struct Process(Child);

impl Process {
    fn start(place: &Place, log: &str, mut command: Command) -> Self {
        let log = fs::File::create(place.0.join(log)).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let program = command.get_program().to_owned();
        Self(command.spawn().unwrap_or_else(|error| panic!("{program:?} cannot start: {error}")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _was_running = self.0.kill().is_ok();
        let _is_over = self.0.wait().is_ok();
    }
}

/// Our own binary, and where it listens.
struct Program {
    _process: Process,
    address: String,
    router: Option<String>,
}

impl Program {
    async fn start(place: &Place, log: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.args(arguments).arg("--web.listen-address=127.0.0.1:0");
        // Thirty-two bytes of `a`: nothing is sent to anybody, but what would be is signed.
        let secret = "whsec_YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=";
        command.env("ROLLBACK_SIGNING_SECRET", secret);
        let process = Process::start(place, log, command);
        let told = Regex::new(r"listening.*?(127\.0\.0\.1:\d+)").unwrap();
        let listening = async {
            loop {
                if let Some(address) = told.captures(&place.log(log)) {
                    return address[1].to_owned();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let address = timeout(Duration::from_secs(20), listening).await;
        let address = address.unwrap_or_else(|_| panic!("{log}:\n{}", place.log(log)));
        let routing = Regex::new(r"routing.*?(127\.0\.0\.1:\d+)").unwrap();
        let router = routing.captures(&place.log(log)).map(|found| found[1].to_owned());
        Self { _process: process, address, router }
    }

    async fn simulator(place: &Place, name: &str, script: &str) -> Self {
        let script = place.write(&format!("{name}.yml"), script);
        let script = format!("--script.file={}", script.display());
        Self::start(place, &format!("{name}.log"), &["simulate", &script]).await
    }

    async fn bellwether(place: &Place, stable: &str, candidate: &str) -> Self {
        let config = hastened(
            "bellwether.yml",
            &[
                ("probe_interval: 5s", "probe_interval: 250ms"),
                ("evaluation_interval: 15s", "evaluation_interval: 1s"),
                ("sample_interval: 5s", "sample_interval: 1s"),
                ("stable:9780", stable),
                ("candidate:9780", candidate),
                ("alertmanager:9093", "127.0.0.1:9"),
                // Its slowest rules run every five seconds then.
                ("window: 7d", "window: 1d"),
            ],
        );
        let weights = place.0.join("weights.json");
        let release = RELEASE.replace("WEIGHTS", &weights.display().to_string());
        let config = place.write("bellwether.yml", &format!("{config}{release}"));
        let config = format!("--config.file={}", config.display());
        let storage = format!("--storage.path={}", place.0.join("data").display());
        let router = "--router.listen-address=127.0.0.1:0";
        Self::start(place, "bellwether.log", &["run", &config, &storage, router]).await
    }
}

/// Clients that ask on and on: whole answers and streams, of what is well, what is ill, and what nobody
/// offers.
async fn ask_on(router: String) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    for number in 0_u64.. {
        let model = ["chat", "ill", "nobody"][usize::try_from(number % 3).unwrap()];
        let mut body = serde_json::json!({
            "model": model,
            "max_tokens": 12,
            "messages": [{"role": "user", "content": "say exactly 7f3a"}],
        });
        if number % 2 == 0 {
            body["stream"] = true.into();
            body["stream_options"] = serde_json::json!({"include_usage": true});
        }
        let request = client.post(format!("http://{router}/v1/chat/completions"));
        // What comes of it is what the dashboard shows.
        if let Ok(answer) = request.body(body.to_string()).send().await {
            let _is_whole = answer.bytes().await.is_ok();
        }
        sleep(Duration::from_millis(40)).await;
    }
}

impl Program {
    /// Has bellwether do something by its API.
    async fn tell(&self, what: &str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}/api/v1/{what}", self.address);
        let answer = client.post(url).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{what}: {body}");
    }
}

/// A file of `deploy/` with other words in place of some, all of which must be there.
fn hastened(file: &str, words: &[(&str, &str)]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy").join(file)).unwrap();
    let rules = format!("{}/", root.join("rules").display());
    [("../rules/", rules.as_str())].iter().chain(words).fold(text, |text, (word, other)| {
        assert!(text.contains(word), "{file}: `{word}` is not there");
        text.replace(word, other)
    })
}

struct Prometheus {
    _process: Process,
    url: String,
    client: reqwest::Client,
}

impl Prometheus {
    /// It does not say which port it was given, so one that is free a moment before is chosen.
    async fn start(place: &Place, bellwether: &str) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let config = hastened(
            "prometheus.yml",
            &[
                ("scrape_interval: 5s", "scrape_interval: 1s"),
                ("evaluation_interval: 15s", "evaluation_interval: 1s"),
                ("bellwether:9779", bellwether),
                ("127.0.0.1:9090", &address),
                ("alertmanager:9093", "127.0.0.1:9"),
            ],
        );
        let config = place.write("prometheus.yml", &config);
        let mut command = Command::new("prometheus");
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", place.0.join("tsdb").display()))
            .arg(format!("--web.listen-address={address}"));
        let process = Process::start(place, "prometheus.log", command);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let found = Self { _process: process, url: format!("http://{address}"), client };
        let ready = async {
            let url = format!("{}/-/ready", found.url);
            while !found.client.get(&url).send().await.is_ok_and(|it| it.status().is_success()) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let is_ready = timeout(Duration::from_secs(30), ready).await.is_ok();
        assert!(is_ready, "{}", place.log("prometheus.log"));
        found
    }

    async fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let url = reqwest::Url::parse_with_params(&url, parameters).unwrap();
        let answer = self.client.get(url).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(answer["status"], "success", "{parameters:?}: {}", answer["error"]);
        answer["data"].clone()
    }

    /// Waits until an expression has a value.
    async fn has(&self, expr: &str) {
        let seen = async {
            while list(&self.ask("query", &[("query", expr)]).await["result"]).is_empty() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        assert!(timeout(Duration::from_secs(30), seen).await.is_ok(), "`{expr}` has no value");
    }

    /// Whether there is a series with a finite number now, as Grafana would ask with every variable
    /// standing on All.
    async fn finds_something(&self, query: &Query) -> bool {
        let expr = filled(&query.expr, RATE_INTERVAL, RANGE, ".+");
        let data = if query.is_instant {
            self.ask("query", &[("query", &expr)]).await
        } else {
            let now = self.ask("query", &[("query", "time()")]).await;
            let now = now["result"][0].as_f64().unwrap();
            let (start, end) = ((now - 30.0).to_string(), now.to_string());
            let range = [("query", &*expr), ("start", &start), ("end", &end), ("step", "1")];
            self.ask("query_range", &range).await
        };
        let series = list(&data["result"]);
        let names: BTreeSet<String> = series.iter().map(|it| named(query, &it["metric"])).collect();
        assert_eq!(names.len(), series.len(), "{}: two series have one name", query.at);
        let is_heatmap = query.expr.contains("by (le) (increase(");
        assert!(is_heatmap || series.len() <= LINES_MAX, "{}: {} lines", query.at, series.len());
        series.iter().any(is_finite)
    }

    /// The values that a variable offers: `label_values(series, label)`.
    async fn values(&self, definition: &str) -> Vec<Value> {
        let form = Regex::new(r"^label_values\((.+), (\w+)\)$").unwrap();
        let parts = form.captures(definition).unwrap();
        let series = filled(&parts[1], RATE_INTERVAL, RANGE, ".+");
        let found = self.ask("series", &[("match[]", &series)]).await;
        let values = list(&found).iter().map(|labels| labels[&parts[2]].clone());
        values.filter(|value| !value.is_null()).collect()
    }
}

/// What tells a series from its neighbors: its legend, or all of its labels.
fn named(query: &Query, metric: &Value) -> String {
    let label = Regex::new(r"\{\{\s*(\w+)\s*\}\}").unwrap();
    let Some(legend) = query.legends.first().filter(|it| !query.is_instant && !it.is_empty())
    else {
        return metric.to_string();
    };
    if query.is_annotation {
        return metric.to_string();
    }
    let fill = |label: &regex::Captures<'_>| {
        let value = metric[&label[1]].as_str();
        value.unwrap_or_else(|| panic!("{}: {metric} has no `{}`", query.at, &label[1])).to_owned()
    };
    label.replace_all(legend, fill).into_owned()
}

fn is_finite(series: &Value) -> bool {
    let points = std::iter::once(&series["value"]).chain(list(&series["values"]));
    let numbers = points.filter_map(|point| point[1].as_str()?.parse::<f64>().ok());
    numbers.into_iter().any(f64::is_finite)
}
