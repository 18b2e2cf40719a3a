//! What is asked over HTTP is answered in the shapes that Prometheus documents.

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::{Value, json};

use super::exposition::Exposition;
use super::program::{Program, Scratch};
use super::service::{Service, Simulator};
use super::wait::until;

/// A name that would break a page that does not escape.
const NASTY: &str = r#"<script>alert("1")</script>"#;

const RULES: &str = r#"
groups:
  - name: shapes
    interval: 1s
    rules:
      - record: target:probes:sum
        expr: sum by (target) (bellwether_probe_due_total)
      - alert: Up
        expr: up == 1
        keep_firing_for: 1m
        labels: {severity: page}
        annotations: {summary: "{{ $labels.job }} is up"}
      - alert: Never
        expr: up == 0
        for: 5m
      - record: broken
        expr: up * on (job) bellwether_probe_due_total
"#;

struct Bench {
    service: Service,
    _simulator: Simulator,
    _scratch: Scratch,
}

impl Bench {
    async fn start(name: &str) -> Self {
        let simulator = Simulator::start().await;
        let config = format!(
            "global: {{probe_interval: 200ms, sample_interval: 1s}}\n\
             rule_files: [rules.yml]\n\
             alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:9']}}]}}]\n\
             providers:\n\
             - {{name: sim, dialect: openai_chat, base_url: '{}', auth: none}}\n\
             probes:\n\
             - {{name: plain, provider: sim, model: m, budget_daily: unlimited}}\n\
             - {{name: '{NASTY}', provider: sim, model: m, budget_daily: unlimited}}\n",
            simulator.url
        );
        let scratch = Scratch::new(name);
        scratch.write("rules.yml", RULES);
        let service = Service::start(&scratch, &config).await;
        until(async || match service.query("ALERTS{alertstate=\"firing\"}").await.len() {
            0 => Err("nothing fires yet".to_owned()),
            count => Ok(count),
        })
        .await;
        Self { service, _simulator: simulator, _scratch: scratch }
    }

    async fn data(&self, path: &str) -> Value {
        let reply = self.service.get(path).await;
        let answer = reply.json();
        assert_eq!((reply.status, &answer["status"]), (200, &json!("success")), "{path}: {answer}");
        answer["data"].clone()
    }

    /// What a request is refused with.
    async fn refusal(&self, path: &str) -> (u16, String) {
        let reply = self.service.get(path).await;
        let answer = reply.json();
        assert_eq!(answer["status"], "error", "{path}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{answer}");
        (reply.status, answer["errorType"].as_str().unwrap().to_owned())
    }

    fn instance(&self) -> &str {
        self.service.url.trim_start_matches("http://")
    }
}

/// A point is seconds as a number and a value as text.
fn is_point(point: &Value, value: &str) -> bool {
    point[0].as_f64().is_some_and(|at| at > 1.7e9) && point[1] == value
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn queries_are_answered_as_prometheus_does() {
    let bench = Bench::start("api-query").await;
    let up = json!({"__name__": "up", "job": "bellwether", "instance": bench.instance()});

    let data = bench.data("/api/v1/query?query=up").await;
    assert_eq!(data["resultType"], "vector");
    assert_eq!(data["result"][0]["metric"], up);
    assert!(is_point(&data["result"][0]["value"], "1"), "{data}");
    assert_eq!(bench.service.query("up").await[0]["metric"], up, "as a form");
    for (query, kind, value) in
        [("1%2B1", "scalar", "2"), ("%22text%22", "string", "text"), ("1%2F0", "scalar", "+Inf")]
    {
        let data = bench.data(&format!("/api/v1/query?query={query}")).await;
        assert_eq!(data["resultType"], kind);
        assert!(is_point(&data["result"], value), "{data}");
    }
    let data = bench.data("/api/v1/query?query=up%5B1m%5D").await;
    assert_eq!(data["resultType"], "matrix");
    assert!(is_point(&data["result"][0]["values"][0], "1"), "{data}");

    let now = jiff::Timestamp::now().as_second();
    // Up to a second that every sample so far is older than, however young the service is.
    let window = format!("query=up&start={now}&end={}&step=1", now + 1);
    let data = bench.data(&format!("/api/v1/query_range?{window}")).await;
    assert_eq!(data["resultType"], "matrix");
    assert_eq!(data["result"][0]["metric"], up);
    let form = bench.service.post("/api/v1/query_range", &window).await.json();
    assert_eq!(form["data"], data, "as a form");

    let data = bench.data("/api/v1/series?match[]=up").await;
    assert_eq!(data, json!([up]));
    let form = bench.service.post("/api/v1/series", "match%5B%5D=up").await.json();
    assert_eq!(form["data"], json!([up]));
    let labels = bench.data("/api/v1/labels?match[]=up").await;
    assert_eq!(labels, json!(["__name__", "instance", "job"]));
    let names = bench.data("/api/v1/label/target/values").await;
    assert_eq!(names, json!([NASTY, "plain"]));

    for (path, status, kind) in [
        ("/api/v1/query?query=up%7B", 400, "bad_data"),
        ("/api/v1/query", 400, "bad_data"),
        ("/api/v1/query?query=up&time=soon", 400, "bad_data"),
        ("/api/v1/query?query=up*on(job)bellwether_probe_due_total", 422, "execution"),
        ("/api/v1/query_range?query=up", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=2&end=1&step=1", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=1&end=2&step=0", 400, "bad_data"),
        ("/api/v1/query_range?query=up&start=0&end=20000&step=1", 400, "bad_data"),
        ("/api/v1/series", 400, "bad_data"),
    ] {
        assert_eq!(bench.refusal(path).await, (status, kind.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn rules_alerts_and_targets_are_shown_as_prometheus_does() {
    let bench = Bench::start("api-state").await;
    let data = bench.data("/api/v1/rules").await;
    let group = &data["groups"][0];
    let of_group =
        ["evaluationTime", "file", "interval", "lastEvaluation", "limit", "name", "rules"];
    assert_eq!(keys(group), of_group);
    assert_eq!((&group["name"], &group["interval"]), (&json!("shapes"), &json!(1)));
    let rules = group["rules"].as_array().unwrap();
    let types: Vec<&Value> = rules.iter().map(|rule| &rule["type"]).collect();
    assert_eq!(types, ["recording", "alerting", "alerting", "recording"]);
    let of_recording = ["evaluationTime", "health", "lastEvaluation", "name", "query", "type"];
    assert_eq!(keys(&rules[0]), of_recording);
    assert_eq!(rules[0]["query"], "sum by (target) (bellwether_probe_due_total)");
    let of_alerting = [
        "alerts",
        "annotations",
        "duration",
        "evaluationTime",
        "health",
        "keepFiringFor",
        "labels",
        "lastEvaluation",
        "name",
        "query",
        "state",
        "type",
    ];
    assert_eq!(keys(&rules[1]), of_alerting);
    assert_eq!((&rules[1]["state"], &rules[1]["health"]), (&json!("firing"), &json!("ok")));
    assert_eq!(rules[1]["keepFiringFor"].as_f64(), Some(60.0));
    assert_eq!((&rules[2]["state"], &rules[2]["alerts"]), (&json!("inactive"), &json!([])));
    assert_eq!(rules[2]["duration"].as_f64(), Some(300.0));
    assert_eq!(rules[3]["health"], "err");
    assert!(rules[3]["lastError"].as_str().is_some_and(|error| !error.is_empty()), "{}", rules[3]);
    let only = bench.data("/api/v1/rules?type=record").await;
    assert_eq!(only["groups"][0]["rules"].as_array().unwrap().len(), 2);
    let failures = "bellwether_rule_evaluation_failures_total";
    let key = format!("{};shapes", group["file"].as_str().unwrap());
    bench.service.reaches(failures, &[("rule_group", &key)], 1.0).await;

    let data = bench.data("/api/v1/alerts").await;
    let alert = &data["alerts"][0];
    assert_eq!(keys(alert), ["activeAt", "annotations", "labels", "state", "value"]);
    assert_eq!(alert["annotations"], json!({"summary": "bellwether is up"}));
    let labels = json!({
        "alertname": "Up", "instance": bench.instance(), "job": "bellwether", "severity": "page",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!((&alert["state"], &alert["value"]), (&json!("firing"), &json!("1e+00")));
    assert!(alert["activeAt"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{alert}");
    assert_eq!(rules[1]["alerts"][0]["labels"], labels);

    // Each of the two is up once its first probe has finished.
    let data = until(async || {
        let data = bench.data("/api/v1/targets").await;
        let mut targets = data["activeTargets"].as_array().unwrap().iter();
        if targets.all(|target| target["health"] == "up") {
            Ok(data)
        } else {
            Err(data.to_string())
        }
    })
    .await;
    let targets = data["activeTargets"].as_array().unwrap();
    assert_eq!(targets.len(), 2, "{data}");
    for key in [
        "discoveredLabels",
        "globalUrl",
        "health",
        "labels",
        "lastError",
        "lastScrape",
        "lastScrapeDuration",
        "scrapeInterval",
        "scrapePool",
        "scrapeTimeout",
        "scrapeUrl",
    ] {
        assert!(targets[0].get(key).is_some(), "{key} in {}", targets[0]);
    }
    assert_eq!(data["droppedTargets"], json!([]));

    assert_eq!(data["droppedTargetCounts"], json!({"probes": 0}));
    let pools = bench.data("/api/v1/scrape_pools").await;
    assert_eq!(pools, json!({"scrapePools": ["probes"]}));
    let other = bench.data("/api/v1/targets?scrapePool=other").await;
    assert_eq!(other["activeTargets"], json!([]));
    let told = bench.data("/api/v1/alertmanagers").await;
    let url = json!([{"url": "http://127.0.0.1:9/api/v2/alerts"}]);
    assert_eq!(told, json!({"activeAlertmanagers": url, "droppedAlertmanagers": []}));
    let about = bench.data("/api/v1/targets/metadata?metric=process_open_fds").await;
    let target = json!({"instance": bench.instance(), "job": "bellwether"});
    assert_eq!((&about[0]["target"], &about[0]["type"]), (&target, &json!("gauge")));
    let head = bench.data("/api/v1/status/tsdb").await["headStats"].clone();
    let of_head = ["chunkCount", "maxTime", "minTime", "numLabelPairs", "numSeries"];
    assert_eq!(keys(&head), of_head);
    assert!(head["minTime"].as_i64() < head["maxTime"].as_i64(), "{head}");
    let federated = bench.service.get("/federate?match[]=up").await;
    let line = format!("\nup{{instance=\"{}\",job=\"bellwether\"}} 1 ", bench.instance());
    assert!(federated.body.contains(&line), "{}", federated.body);

    let data = bench.data("/api/v1/metadata").await;
    let family = &data["bellwether_probe_due_total"][0];
    assert_eq!(keys(family), ["help", "type", "unit"]);
    assert_eq!(family["type"], "counter");
    let data = bench.data("/api/v1/status/buildinfo").await;
    assert_eq!(data["version"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn the_page_and_the_commands_that_ask_tell_the_same() {
    let bench = Bench::start("api-page").await;
    let service = &bench.service;
    assert_eq!(service.get("/-/healthy").await.status, 200);
    assert_eq!(service.get("/-/ready").await.status, 200);
    let url = ["--url", &service.url];
    assert_eq!(Program::run(&[], &[&["healthcheck"], &url[..]].concat()).await.code, 0);
    let nobody = Program::run(&[], &["healthcheck", "--url", "http://127.0.0.1:1"]).await;
    assert_eq!(nobody.code, 1);

    let page = service.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<h1 class=\"bad\">Up fires</h1>"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;alert("), "{}", page.body);
    assert!(!page.body.contains("<script"), "{}", page.body);
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");

    // A proxy of the machine has no business on loopback.
    let proxy = [("http_proxy", "http://127.0.0.1:1"), ("HTTP_PROXY", "http://127.0.0.1:1")];
    let asked = Program::run(&proxy, &[&["query", "up"], &url[..]].concat()).await;
    let expected = format!("up{{instance=\"{}\", job=\"bellwether\"}}  1\n", bench.instance());
    assert_eq!((asked.code, asked.out.as_str()), (0, expected.as_str()), "{}", asked.err);
    let asked = Program::run(&[], &[&["query", "up", "--output=json"], &url[..]].concat()).await;
    let answer: Value = serde_json::from_str(&asked.out).unwrap();
    assert_eq!(answer["data"]["resultType"], "vector");
    let asked = Program::run(&[], &[&["query", "up{"], &url[..]].concat()).await;
    assert_eq!((asked.code, asked.out.as_str()), (1, ""), "{}", asked.err);
    assert!(!asked.err.is_empty());

    // Compressed for who asks for it, and the same underneath.
    let plain = reqwest::Client::builder().no_proxy().gzip(false).brotli(false).build().unwrap();
    let metrics = format!("{}/metrics", service.url);
    let request = plain.get(&metrics).header(ACCEPT_ENCODING, "gzip");
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    let kind = response.headers()[CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let compressed = response.bytes().await.unwrap();
    assert_eq!(compressed[..2], [0x1f, 0x8b]);
    let response = plain.get(&metrics).send().await.unwrap();
    assert!(!response.headers().contains_key(CONTENT_ENCODING));
    let text = response.text().await.unwrap();
    assert!(compressed.len() * 5 < text.len(), "{} of {}", compressed.len(), text.len());
    assert!(
        Exposition::read(&text).value("bellwether_probe_due_total", &[("target", NASTY)])
            > Some(0.0)
    );
    assert!(service.metrics().await.value("bellwether_build_info", &[]) == Some(1.0));
}
