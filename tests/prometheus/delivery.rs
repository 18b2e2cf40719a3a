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

    /// The first messages of a kind of both.
    async fn await_first(&self, kind: &str) -> (Value, Value) {
        let first = |who: &str| {
            let letters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let from = format!("{who}-{kind}");
            letters.iter().find(|(sender, _)| *sender == from).map(|(_, body)| body.clone())
        };
        web::eventually(&format!("both send a {kind}"), PATIENCE, async || {
            Some((first("ours")?, first("theirs")?))
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
        people(&directory, &receiver, "ours"),
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
    same_webhook(&mut ours, &mut theirs, "first notification");
    let (ours, theirs) = letters.await_first("text").await;
    let text = ours["username"].as_str().unwrap();
    assert!(text.contains("FIRING:2") && text.contains("Source: http"), "{text}");
    assert_eq!(ours["username"], theirs["username"]);
    same_slack(&ours, &theirs);
    let (ours, theirs) = letters.await_first("page").await;
    same_page(&ours, &theirs);

    web::send(Method::DELETE, &fault, "").await;
    let (mut ours, mut theirs) = letters.await_both("resolved").await;
    same_webhook(&mut ours, &mut theirs, "all alerts resolved");
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
{{- with .CommonAnnotations }}{{ .Names }}{{ end }}{{ (.GroupLabels.Remove (stringSlice "note")).Names }}{{ .Receiver | title }}"#;

/// What a template says in each field: its name and something that has to be filled in.
fn said(field: &str) -> String {
    format!("'{field} {{{{ .CommonLabels.alertname | toUpper }}}}'")
}

/// Receivers of texts and of pages, with every field that both sides know.
fn people(directory: &Directory, receiver: &str, who: &str) -> String {
    let url = directory.write(who, &format!("{receiver}/{who}-text"));
    let key = match who {
        "ours" => format!("routing_key_file: '{}'", directory.write("key", "KEY").display()),
        _ => "routing_key: KEY".to_owned(),
    };
    let text = serde_json::to_string(TEXT).unwrap();
    let lines = |fields: [&str; 5]| {
        fields.map(|field| format!("        {field}: {}\n", said(field))).concat()
    };
    let slack = lines(["channel", "icon_emoji", "color", "title", "text"]);
    let page = lines(["description", "class", "component", "group", "client"]);
    let (title, detail, link, alt) = (said("title"), said("detail"), said("link"), said("alt"));
    let (api_url, url) = (url.display(), format!("{receiver}/{who}-page"));
    let at = "http://h.example/{{ .GroupLabels.alertname }}";
    format!(
        "    slack_configs:
      - api_url_file: '{api_url}'
        username: {text}
        icon_url: '{at}'
        title_link: '{at}'
        fields: [{{title: {title}, value: {detail}, short: true}}]
{slack}    pagerduty_configs:
      - {key}
        url: '{url}'
        severity: '{{{{ if .Alerts.Firing }}}}critical{{{{ end }}}}'
        client_url: '{at}'
        details: {{extra: {detail}}}
        links: [{{href: '{at}', text: {link}}}]
        images: [{{src: '{at}', alt: {alt}}}]
{page}",
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
        people(directory, receiver, "theirs"),
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

/// What Alertmanager says since 0.32 and we do not, as nobody who reads version 4 may count on it:
/// why it tells of the group.
const REASON: &str = "notification_reason";

/// Field by field the same, but for where one can look at it; times by what they mean.
fn same_webhook(ours: &mut Value, theirs: &mut Value, reason: &str) {
    if let Some(said) = theirs.as_object_mut().unwrap().remove(REASON) {
        assert_eq!(said, reason);
    }
    let fields =
        |body: &Value| -> Vec<String> { body.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(fields(ours), fields(theirs), "Alertmanager's message has other fields than ours");
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

/// Whatever the configuration says is said alike. Where each puts it differs: ours are blocks.
fn same_slack(ours: &Value, theirs: &Value) {
    for field in ["channel", "icon_emoji", "icon_url"] {
        assert!(ours[field].is_string(), "{field}: {ours}");
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    let (our_bar, their_bar) = (&ours["attachments"][0], &theirs["attachments"][0]);
    assert!(our_bar["color"].is_string(), "{ours}");
    assert_eq!(our_bar["color"], their_bar["color"]);
    assert_eq!(ours["text"], their_bar["title"]);
    assert_eq!(ours["blocks"][0]["text"]["text"], their_bar["title"]);
    assert_eq!(our_bar["blocks"][0]["text"]["text"], their_bar["text"]);
    let field = |name: &str| their_bar["fields"][0][name].as_str().unwrap();
    let grid = format!("*{}*\n{}", field("title"), field("value"));
    assert_eq!(our_bar["blocks"][1]["fields"][0]["text"], grid);
    let footer = our_bar["blocks"].as_array().unwrap().last().unwrap();
    let leads = format!("<{}|", their_bar["title_link"].as_str().unwrap());
    assert!(footer["elements"][0]["text"].as_str().unwrap().contains(&leads), "{footer}");
}

/// Whatever the configuration says is said alike. Ours says more, under a key of its own.
fn same_page(ours: &Value, theirs: &Value) {
    for field in ["routing_key", "event_action", "client", "client_url"] {
        assert!(ours[field].is_string(), "{field}: {ours}");
        assert_eq!(ours[field], theirs[field], "{field}");
    }
    for field in ["summary", "severity", "class", "component", "group"] {
        assert!(ours["payload"][field].is_string(), "{field}: {ours}");
        assert_eq!(ours["payload"][field], theirs["payload"][field], "{field}");
    }
    for (field, parts) in [("links", ["href", "text"]), ("images", ["src", "alt"])] {
        for part in parts {
            assert!(ours[field][0][part].is_string(), "{field}: {ours}");
            assert_eq!(ours[field][0][part], theirs[field][0][part], "{field}");
        }
    }
    let extra = |page: &Value| page["payload"]["custom_details"]["extra"].clone();
    assert!(extra(ours).is_string(), "{ours}");
    assert_eq!(extra(ours), extra(theirs));
}

fn time(text: &Value) -> jiff::Timestamp {
    text.as_str().unwrap().parse().unwrap()
}
