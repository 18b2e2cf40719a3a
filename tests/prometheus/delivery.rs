//! A real Alertmanager takes our alerts, and its webhook and ours say the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::post;
use axum::{Json, Router};
use reqwest::Method;
use serde_json::Value;
use tokio::net::TcpListener;

use crate::run::{Run, Settings, own_rules};
use crate::stage::{Directory, Process};
use crate::web;

/// From a fault to the webhook, with the windows and waits below, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(40);

/// The same tree for both. Grouping by `note` puts a text to be quoted into the group's key.
const ROUTE: &str = "
route:
  receiver: nobody
  routes:
    - receiver: team
      matchers: ['severity=\"page\"', 'alertname=~\"Pa.*\"']
      group_by: [alertname, note]
      group_wait: 1s
      group_interval: 2s
      repeat_interval: 1h
";

/// What webhooks brought, by the path they came to.
#[derive(Clone, Default)]
struct Letters(Arc<Mutex<Vec<(String, Value)>>>);

impl Letters {
    /// Takes webhooks from now on; returns where.
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Router::new().route("/{from}", post(Self::take)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }

    async fn take(
        State(letters): State<Self>,
        Path(from): Path<String>,
        Json(body): Json<Value>,
    ) -> &'static str {
        letters.0.lock().unwrap_or_else(PoisonError::into_inner).push((from, body));
        // As Slack answers.
        "ok"
    }

    /// The first webhook of a sender with a status.
    fn find(&self, from: &str, status: &str) -> Option<Value> {
        let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found =
            letters.iter().filter(|(sender, body)| sender == from && body["status"] == status);
        found.next().map(|(_, body)| body.clone())
    }

    /// The first texts of both.
    async fn await_texts(&self) -> (String, String) {
        let first = |from: &str| {
            let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let (_, body) = letters.iter().find(|(sender, _)| sender == from)?;
            body["username"].as_str().map(str::to_owned)
        };
        web::eventually("both texts", PATIENCE, async || {
            Some((first("ours-text")?, first("theirs-text")?))
        })
        .await
    }

    async fn await_both(&self, status: &str) -> (Value, Value) {
        let what = format!("both webhooks say {status}");
        web::eventually(&what, PATIENCE, async || {
            Some((self.find("ours", status)?, self.find("theirs", status)?))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_alertmanager_takes_our_alerts_and_says_what_we_say() {
    let letters = Letters::default();
    let receiver = letters.listen().await;
    let directory = Directory::new();
    let alertmanager = alertmanager(&directory, &receiver).await;
    let sections = format!(
        "
alertmanagers:
  - static_configs: [{{targets: [\"{}\"]}}]
receivers:
  - name: nobody
  - name: team
    webhook_configs: [{{url: \"{receiver}/ours\"}}]
{}{ROUTE}",
        alertmanager.address,
        slack(&directory, &format!("{receiver}/ours-text")),
    );
    let rules = vec![own_rules("pair.yml")];
    let run = Run::start(Settings { rules, probe_interval: "200ms", sections }).await;
    run.has_probed(3).await;
    let fault = run.incumbent.url("/-/fault");
    web::send(Method::POST, &fault, "{kind: http, status: 503}").await;

    let (mut ours, mut theirs) = letters.await_both("firing").await;
    assert_eq!(ours["alerts"].as_array().unwrap().len(), 2, "{ours}");
    let held = held(&alertmanager).await;
    for alert in ours["alerts"].as_array().unwrap() {
        let same = held.iter().find(|held| held["fingerprint"] == alert["fingerprint"]);
        let same = same.unwrap_or_else(|| panic!("{alert} is not among {held:#?}"));
        for field in ["labels", "annotations", "generatorURL"] {
            assert_eq!(same[field], alert[field], "{field}");
        }
        assert_eq!(time(&same["startsAt"]), time(&alert["startsAt"]));
        assert_eq!(same["status"]["state"], "active");
    }
    assert_eq!(
        ours["groupKey"],
        "{}/{alertname=~\"Pa.*\",severity=\"page\"}:\
         {alertname=\"Pair\", note=\"a \\\"quoted\\\" \\\\ é {brace}, <&>\"}"
    );
    same_webhook(&mut ours, &mut theirs);
    let (ours, theirs) = letters.await_texts().await;
    assert!(ours.contains("FIRING:2") && ours.contains("Source: http"), "{ours}");
    assert_eq!(ours, theirs);

    web::send(Method::DELETE, &fault, "").await;
    let (mut ours, mut theirs) = letters.await_both("resolved").await;
    same_webhook(&mut ours, &mut theirs);
    assert!(ours["alerts"].as_array().unwrap().iter().all(|alert| alert["status"] == "resolved"));
    // Alertmanager lists what is active. Without the resolve it would hold ours for minutes.
    web::eventually("Alertmanager has it resolved", PATIENCE, async || {
        self::held(&alertmanager).await.is_empty().then_some(())
    })
    .await;
    assert!(!run.bellwether.log().contains("ERROR"), "{}", run.bellwether.log());
}

/// What both put into a message to Slack just as the template makes it.
const TEXT: &str = r#"{{ template "slack.default.title" . }}|{{ template "slack.default.text" . }}|
{{- template "pagerduty.default.instances" .Alerts.Firing }}|{{ .CommonLabels.SortedPairs.Values | join "," }}|
{{- range .Alerts }}{{ .StartsAt.Unix }} {{ .Labels.target | toUpper | reReplaceAll "A" "4" }}{{ .Fingerprint }}{{ end }}|
{{- with .CommonAnnotations }}{{ .Names }}{{ end }}{{ .GroupLabels.Remove (stringSlice "note") }}{{ .Receiver | title }}"#;

/// A receiver of texts.
fn slack(directory: &Directory, url: &str) -> String {
    let name = url.rsplit('/').next().unwrap();
    let file = directory.write(name, url);
    let text = serde_json::to_string(TEXT).unwrap();
    format!(
        "    slack_configs: [{{channel: c, username: {text}, api_url_file: '{}'}}]\n",
        file.display()
    )
}

async fn alertmanager(directory: &Directory, receiver: &str) -> Process {
    let config = format!(
        "
receivers:
  - name: nobody
  - name: team
    webhook_configs: [{{url: \"{receiver}/theirs\"}}]
{}{ROUTE}",
        slack(directory, &format!("{receiver}/theirs-text")),
    );
    let config = directory.write("alertmanager.yml", &config);
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.path={}", directory.path("alertmanager").display()),
        // Without one it looks for others of its kind on a fixed port.
        "--cluster.listen-address=".to_owned(),
    ];
    Process::peer(directory, "prometheus-alertmanager", &arguments).await
}

async fn held(alertmanager: &Process) -> Vec<Value> {
    serde_json::from_str(&web::get(&alertmanager.url("/api/v2/alerts")).await).unwrap()
}

/// Field by field the same, but for where one can look at it; times by what they mean.
fn same_webhook(ours: &mut Value, theirs: &mut Value) {
    for body in [&mut *ours, &mut *theirs] {
        let url = body["externalURL"].take();
        assert!(url.as_str().is_some_and(|url| url.starts_with("http://")), "{url}");
        for alert in body["alerts"].as_array_mut().unwrap() {
            for field in ["startsAt", "endsAt"] {
                alert[field] = time(&alert[field]).to_string().into();
            }
        }
    }
    assert_eq!(ours, theirs);
}

fn time(text: &Value) -> jiff::Timestamp {
    text.as_str().unwrap().parse().unwrap()
}
