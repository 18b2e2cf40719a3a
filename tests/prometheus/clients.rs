//! Programs that know Prometheus, as clients of ours: prometheus-api-client (Python), Grafana's data
//! source, and our own `query` with a real Prometheus.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::run::{Run, Settings, now, own_rules};
use crate::stage::{Directory, Process};
use crate::web;

async fn run() -> Run {
    let rules = vec![own_rules("pair.yml")];
    let run =
        Run::start(Settings { rules, probe_interval: "200ms", sections: String::new() }).await;
    run.has_probed(5).await;
    run
}

fn succeeded(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}

fn up(run: &Run) -> Value {
    json!({"__name__": "up", "job": "bellwether", "instance": run.bellwether.address.to_string()})
}

/// Known beforehand: two targets whose thresholds the configuration sets to 1 s and 5 s, and an `up`
/// that is 1 in every second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_reads_what_is_known() {
    let run = run().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/clients.py");
    let url = run.bellwether.url("/api/v1/query");
    web::eventually("some samples", Duration::from_secs(30), async || {
        let query = [("query", "count_over_time(up[1m]) >= 6")];
        (web::ask(&url, &query).await["result"].as_array()?.len() == 1).then_some(())
    })
    .await;
    // The client counts in whole seconds; `up` began before the first of them.
    let end = now().floor();
    let mut command = Command::new("python3");
    command.arg(script).arg(run.bellwether.url(""));
    command.args([format!("{:.0}", end - 3.0), format!("{end:.0}")]);
    let output = succeeded(&mut command);
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();

    assert_eq!(said["check_prometheus_connection"], true);
    let texts = |key: &str| -> Vec<&str> {
        said[key].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
    };
    let metrics = texts("all_metrics");
    for name in ["up", "bellwether_probe_due_total", "bellwether_probe_phase_seconds_bucket"] {
        assert!(metrics.contains(&name), "{name} in {metrics:?}");
    }
    let labels = texts("get_label_names");
    assert!(["__name__", "instance", "job", "target"].iter().all(|name| labels.contains(name)));
    assert_eq!(texts("get_label_values"), ["candidate", "stable"]);
    assert_eq!(said["get_series"], json!([up(&run)]));
    let mut thresholds: Vec<(String, &str)> = said["get_current_metric_value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["metric"]["kind"].to_string(), one["value"][1].as_str().unwrap()))
        .collect();
    thresholds.sort();
    assert_eq!(thresholds, [("\"total\"".to_owned(), "5"), ("\"ttft\"".to_owned(), "1")]);
    assert_eq!(said["custom_query"][0]["value"][1], "2");
    let range = &said["custom_query_range"][0];
    let points = [3, 2, 1, 0].map(|ago| json!([end as i64 - ago, "2"]));
    assert_eq!(range["values"], json!(points), "{said}");
    let chunk = &said["get_metric_range_data"][0];
    assert_eq!(chunk["metric"], up(&run), "{said}");
    assert!(chunk["values"].as_array().unwrap().iter().all(|point| point[1] == "1"), "{said}");
}

/// What Grafana's Prometheus data source sends: "Save & test", the query editor's lists, a panel, the
/// alert list and the version. The shapes are those of Prometheus's documentation.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grafanas_data_source_finds_what_it_asks_for() {
    let run = run().await;
    let post = async |path: &str, form: &str| {
        let url = run.bellwether.url(&format!("/api/v1/{path}"));
        let response = web::request(Method::POST, &url, form).await;
        assert_eq!(response.status().as_u16(), 200, "{path} {form}");
        let answer: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer["data"].clone()
    };
    let get = async |path: &str| web::api(&run.bellwether.url(&format!("/api/v1/{path}"))).await;
    let (start, end) = (now().floor() - 60.0, now().floor());
    let window = format!("start={start}&end={end}");

    let health = post("query", &format!("query=1%2B1&time={end}")).await;
    assert_eq!((&health["resultType"], &health["result"][1]), (&json!("scalar"), &json!("2")));
    let panel = format!("query=up%7B%7D&step=15&{window}");
    let panel = post("query_range", &panel).await;
    assert_eq!(panel["resultType"], "matrix");
    assert_eq!(panel["result"][0]["metric"], up(&run));
    // It joins `$__interval` and what a variable holds into the expression.
    let rate = format!(
        "query=sum+by+(target)+(rate(bellwether_probe_fired_total[1m0s]))&step=15&{window}"
    );
    assert_eq!(post("query_range", &rate).await["resultType"], "matrix");
    assert_eq!(post("query_exemplars", &format!("query=up&{window}")).await, json!([]));
    let names = post("labels", &window).await;
    assert!(names.as_array().unwrap().contains(&json!("target")), "{names}");
    let names = post("labels", &format!("match%5B%5D=up&{window}")).await;
    assert_eq!(names, json!(["__name__", "instance", "job"]));
    assert_eq!(
        post("series", &format!("match%5B%5D=up&{window}&limit=40000")).await,
        json!([up(&run)])
    );
    let metrics = get(&format!("label/__name__/values?{window}&limit=40000")).await;
    assert!(metrics.as_array().unwrap().contains(&json!("up")), "{metrics}");
    let selector = "match[]=%7B__name__=%22bellwether_probe_due_total%22%7D";
    let targets = get(&format!("label/target/values?{window}&{selector}")).await;
    assert_eq!(targets, json!(["candidate", "stable"]));
    let about = get("metadata?limit=5000").await;
    assert_eq!(about["bellwether_probe_due_total"][0]["type"], "counter");
    assert_eq!(about["process_open_fds"][0]["type"], "gauge");
    let rules = get("rules").await;
    assert_eq!(rules["groups"][0]["rules"][0]["type"], "alerting");
    assert!(get("alerts").await["alerts"].is_array());
    assert!(get("status/buildinfo").await["version"].is_string());

    // Pages of Grafana ask through its server; it passes on who asked, which is nothing to us.
    let url = run.bellwether.url("/api/v1/query?query=1");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(url).header("x-grafana-user", "ann").header("x-grafana-org-id", "1");
    let request = request.header("x-dashboard-uid", "a").header("x-panel-id", "2");
    assert_eq!(request.send().await.unwrap().status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_query_reads_a_real_prometheus() {
    let directory = Directory::new();
    let config = directory.write("prometheus.yml", "scrape_configs: []\n");
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", directory.path("samples").display()),
    ];
    let program = std::env::var("PROMETHEUS3").unwrap_or_else(|_| "prometheus".to_owned());
    let prometheus = Process::peer(&directory, &program, &arguments).await;
    let query = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
        command.args(["query", "--url", &prometheus.url("")]).args(arguments);
        command.output().unwrap()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let range = ["--start=0", "--range=7s", "vector(time())"];
    assert_eq!(
        text(&query(&range).stdout),
        "1970-01-01T00:00:00Z to 1970-01-01T00:00:07Z, a value each 1s\n\
         \u{20}             min  max  last\n\
         {}  _.-~=+*#    0    7     7\n"
    );
    let refused = query(&["sum(up{job=x})"]);
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
    let marked = text(&refused.stderr);
    assert!(marked.ends_with("\n  sum(up{job=x})\n             ^\n"), "{marked}");
}
