//! Asking over HTTP, and asking again until the answer is there.

use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep};

const PAUSE: Duration = Duration::from_millis(50);

/// Made once, since it reads the machine's certificates. Each test has a runtime of its own, which
/// takes its connections along, so none is kept.
static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(20));
    client.pool_max_idle_per_host(0).build().unwrap()
});

/// Asks until there is an answer; panics where there is none in time.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut attempt: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(answer) = attempt().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
        sleep(PAUSE).await;
    }
}

/// The body of a 200; `None` for everything else.
pub async fn try_get(url: &str) -> Option<String> {
    let response = CLIENT.get(url).send().await.ok()?.error_for_status().ok()?;
    response.text().await.ok()
}

/// The body of an answer that must be a 200.
pub async fn get(url: &str) -> String {
    let response = CLIENT.get(url).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
    text
}

/// `data` of a successful answer of the Prometheus API.
pub async fn api(url: &str) -> Value {
    let text = get(url).await;
    let mut answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["status"], "success", "{url}: {text}");
    answer["data"].take()
}

/// `data` of a query, with its parameters.
pub async fn ask(base: &str, parameters: &[(&str, &str)]) -> Value {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    api(&format!("{base}?{query}")).await
}

/// Sends a request as it stands, a form where there is one, and takes whatever comes.
pub async fn request(method: reqwest::Method, url: &str, form: &str) -> reqwest::Response {
    let mut request = CLIENT.request(method.clone(), url);
    if method == reqwest::Method::POST {
        let kind = "application/x-www-form-urlencoded";
        request = request.header("content-type", kind).body(form.to_owned());
    }
    request.send().await.unwrap()
}

pub async fn send(method: reqwest::Method, url: &str, body: &str) {
    let response = CLIENT.request(method, url).body(body.to_owned()).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
}

pub async fn send_json(method: reqwest::Method, url: &str, body: &Value) {
    let request = CLIENT.request(method, url).header("content-type", "application/json");
    let response = request.body(body.to_string()).send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    assert!(status.is_success(), "{url}: {status} {text}");
}
