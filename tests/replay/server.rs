//! A server that is busy, careful and choosy: what is said to it, and what it is asked again.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};

use crate::incident::{END, RULES, STEP, Series, T0, scrape};
use crate::stage::Stage;

/// What it takes for one query; more is too much.
const WINDOW_MAX_MS: i64 = 300_000;

#[derive(Default)]
struct Seen {
    requests: usize,
    authorizations: Vec<String>,
    tenants: Vec<String>,
    windows: Vec<i64>,
}

type Shared = Arc<Mutex<Seen>>;

/// Every third request finds it busy; long windows are refused as Prometheus does it.
async fn query(
    State(seen): State<Shared>,
    headers: HeaderMap,
    body: String,
) -> (StatusCode, String) {
    let mut seen = seen.lock().unwrap();
    seen.requests += 1;
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    seen.authorizations.extend(header("authorization"));
    seen.tenants.extend(header("x-scope-orgid"));
    if seen.requests % 3 == 1 {
        return (StatusCode::SERVICE_UNAVAILABLE, "busy".to_owned());
    }
    let form: Vec<(String, String)> =
        form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).unwrap().1.clone();
    let (selector, window) = field("query").rsplit_once('[').map(own).unwrap();
    let window: i64 = window.trim_end_matches("ms]").parse().unwrap();
    if window > WINDOW_MAX_MS {
        let error = "query processing would load too many samples into memory in query execution";
        let body = json!({"status": "error", "errorType": "execution", "error": error});
        return (StatusCode::UNPROCESSABLE_ENTITY, body.to_string());
    }
    seen.windows.push(window);
    let until = (field("time").parse::<f64>().unwrap() * 1000.0).round() as i64;
    let result = matrix(&selector, until - window, until);
    let data = json!({"resultType": "matrix", "result": result});
    (StatusCode::OK, json!({"status": "success", "data": data}).to_string())
}

fn own((left, right): (&str, &str)) -> (String, String) {
    (left.to_owned(), right.to_owned())
}

/// The series whose name the selector holds, with both edges of the window, as Prometheus 2 has it.
fn matrix(selector: &str, from: i64, until: i64) -> Vec<Value> {
    let mut series: Vec<(Series, Vec<Value>)> = Vec::new();
    for second in (0..=END).step_by(STEP as usize) {
        let at = T0 + second * 1000;
        if at < from || at > until {
            continue;
        }
        for (labels, value) in scrape(second) {
            let name = labels[0].1;
            if selector != name && !selector.contains(&format!("\"{name}\"")) {
                continue;
            }
            let point = json!([at as f64 / 1000.0, value.to_string()]);
            match series.iter_mut().find(|(known, _)| *known == labels) {
                Some((_, points)) => points.push(point),
                None => series.push((labels, vec![point])),
            }
        }
    }
    let metric = |labels: Series| {
        let pairs = labels.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        pairs.collect::<serde_json::Map<_, _>>()
    };
    series
        .into_iter()
        .map(|(labels, values)| json!({"metric": metric(labels), "values": values}))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_asked_in_pieces_again_and_with_what_signs_in() {
    let seen = Shared::default();
    let router =
        Router::new().route("/tenant/api/v1/query", post(query)).with_state(Arc::clone(&seen));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });

    let stage = Stage::recorded().await;
    stage.write("rules.yml", RULES);
    let from = format!("{}.417", T0 / 1000);
    let to = format!("{}.417", T0 / 1000 + END);
    let url = format!("http://name:hidden@{address}/tenant/");
    let span = ["--rules", "rules.yml", "--from", &from, "--to", &to];
    let headers = ["--source", &url, "--header", "X-Scope-OrgID: mine"];
    let asked = stage.replay(&[&span[..], &headers[..]].concat());
    let read = stage.replay(&[&span[..], &["--source", "store"]].concat());
    assert_eq!((asked.code, asked.timeline()), (0, read.timeline()), "{}", asked.err);
    assert!(!asked.err.contains("hidden") && asked.err.contains("asked again"), "{}", asked.err);

    let seen = seen.lock().unwrap();
    // base64 of `name:hidden`.
    assert_eq!(seen.authorizations.len(), seen.requests);
    assert!(seen.authorizations.iter().all(|value| value == "Basic bmFtZTpoaWRkZW4="));
    assert!(seen.tenants.len() == seen.requests && seen.tenants[0] == "mine");
    assert!(seen.windows.iter().all(|window| *window <= WINDOW_MAX_MS));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_no_is_quoted_and_one_that_is_none_is_named() {
    let refuse = || async {
        let body = json!({"status": "error", "errorType": "bad_data", "error": "no such tenant"});
        (StatusCode::BAD_REQUEST, body.to_string())
    };
    let router = Router::new()
        .route("/api/v1/query", post(refuse))
        .route("/page/api/v1/query", post(|| async { "<html>" }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    let stage = Stage::empty();
    stage.write("rules.yml", RULES);
    for (path, said) in [
        ("", "answers 400 Bad Request: no such tenant"),
        ("/page", "does not answer as a Prometheus does"),
        ("/absent", "answers 404 Not Found"),
    ] {
        let url = format!("http://name:hidden@{address}{path}");
        let failed = stage.text(&["--rules", "rules.yml", "--source", &url]);
        assert_eq!(failed.code, 3, "{}", failed.err);
        assert!(failed.err.contains(said) && !failed.err.contains("hidden"), "{}", failed.err);
    }
}
