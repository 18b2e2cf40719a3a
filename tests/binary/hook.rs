//! Alerts that were judged elsewhere roll back here, once an incident.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::program::Scratch;
use super::receiver::{Manner, Receiver};
use super::rollback::{RULES, SECRET, config, entry};
use super::service::{Reply, Service, Simulator, exchange};
use super::wait::until;

/// As Alertmanager 0.25 sends it.
fn webhook(target: &str, status: &str, starts_at: &str) -> Value {
    let ends_at = if status == "firing" { "0001-01-01T00:00:00Z" } else { "2026-11-22T11:00:00Z" };
    json!({
        "version": "4", "receiver": "rollbacks", "status": status, "truncatedAlerts": 0,
        "groupKey": "{}:{}", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "http://am:9093",
        "alerts": [{
            "status": status,
            "labels": {"alertname": "UserErrors", "severity": "rollback", "target": target},
            "annotations": {"summary": "users see errors"},
            "startsAt": starts_at, "endsAt": ends_at,
            "generatorURL": "http://prometheus:9090/graph", "fingerprint": "0",
        }],
    })
}

async fn post(service: &Service, body: &Value) -> Reply {
    let url = format!("{}/api/v1/hooks/alertmanager", service.url);
    let request = service.client.post(url).header("X-Bellwether-Reason", "drill");
    exchange(request.body(body.to_string())).await
}

/// What was decided about the first alert by the first rollback.
fn ruling(reply: &Reply) -> (Value, Value, Value) {
    let answer = reply.json();
    assert_eq!((reply.status, &answer["status"]), (200, &json!("success")), "{answer}");
    let alert = &answer["data"]["alerts"][0];
    let rollback = &alert["rollbacks"][0];
    (alert["passedOver"].clone(), rollback["verdict"].clone(), rollback["isNew"].clone())
}

#[tokio::test]
async fn an_alert_from_outside_rolls_back_once_an_incident_and_says_so() {
    let candidate = Simulator::start().await;
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("hook");
    scratch.write("rules.yml", RULES);
    let config = [
        config(&candidate.url, &stable.url),
        "rollbacks:\n".to_owned(),
        entry("live", "stable", &receiver.url("/live"), "cooldown: 0s"),
    ]
    .concat();
    let service = Service::start_with(&scratch, &config, &[("SIGNING", SECRET)], &[]).await;
    let good = [("target", "stable"), ("slo", "good")];
    service.reaches("bellwether_probe_runs_total", &good, 5.0).await;

    let first = webhook("candidate", "firing", "2026-11-22T10:27:16.6784208Z");
    let reply = post(&service, &first).await;
    assert_eq!(ruling(&reply), (Value::Null, json!("fired"), json!(true)), "{}", reply.body);
    let said = reply.json()["data"]["alerts"][0]["rollbacks"][0]["reason"].clone();
    let expected = "`UserErrors` fires and stable is good; said by somebody on loopback at \
                    127.0.0.1 by way of receiver `rollbacks`: drill";
    assert_eq!(said, expected);
    let calls = receiver.wait("/live", 1).await;
    assert!(calls[0].is_signed(SECRET));
    let body: Value = serde_json::from_str(&calls[0].body).unwrap();
    assert_eq!(body["data"]["reason"], expected);
    assert_eq!(body["data"]["alert"]["labels"], first["alerts"][0]["labels"]);
    assert_eq!(body["data"]["alert"]["annotations"]["summary"], "users see errors");

    // A retry, a repetition and the end of it do nothing more.
    assert_eq!(ruling(&post(&service, &first).await), (Value::Null, json!("fired"), json!(false)));
    let end = webhook("candidate", "resolved", "2026-11-22T10:27:16.6784208Z");
    let (over, verdict, _) = ruling(&post(&service, &end).await);
    assert!(over.as_str().is_some_and(|over| over.contains("resolved")) && verdict.is_null());
    assert_eq!(ruling(&post(&service, &first).await), (Value::Null, json!("fired"), json!(false)));

    // Neither an alert about stable, nor one for no rollback, nor one of ours that comes back.
    let passed = async |body: &Value| ruling(&post(&service, body).await).0.to_string();
    let mut other = first.clone();
    assert!(
        passed(&webhook("stable", "firing", "2026-11-22T10:00:00Z")).await.contains("matchers")
    );
    other["alerts"][0]["startsAt"] = json!("2026-11-22T10:28:00Z");
    other["alerts"][0]["generatorURL"] = json!(format!("{}/graph?g0.expr=up", service.url));
    assert!(passed(&other).await.contains("bellwether's own"));

    // Another incident is another rollback; but the same alert fires for stable, so that it waits
    // until that is over.
    let second = webhook("candidate", "firing", "2026-11-22T12:00:00Z");
    let held = ruling(&post(&service, &second).await);
    assert_eq!(held, (Value::Null, json!("held_both_bad"), json!(true)));
    post(&service, &webhook("stable", "resolved", "2026-11-22T10:00:00Z")).await;
    assert_eq!(receiver.wait("/live", 2).await.len(), 2);
    assert_eq!(ruling(&post(&service, &second).await), (Value::Null, json!("fired"), json!(false)));

    let mut wrong = first;
    wrong["version"] = json!("3");
    wrong["alerts"][0]["startsAt"] = json!("noon");
    let reply = post(&service, &wrong).await;
    assert_eq!(reply.status, 400);
    let expected = r#"`version` is "3", where "4" is due; `alerts[0].startsAt` is "noon", where a time by RFC 3339 is due"#;
    assert_eq!(reply.json()["error"], expected);
    // What is too large is refused before it is sent.
    let address = service.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /api/v1/hooks/alertmanager HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-length: 5000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("max_alerts"), "{answer}");
    until(async || match service.get("/").await.body.contains("UserErrors") {
        true => Ok(()),
        false => Err("the decisions are not on the page".to_owned()),
    })
    .await;
}

#[tokio::test]
async fn an_alert_from_outside_is_held_while_stable_is_bad_and_fires_when_it_is_not() {
    let candidate = Simulator::start().await;
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("hook-held");
    scratch.write("rules.yml", RULES);
    let config = [
        config(&candidate.url, &stable.url),
        "rollbacks:\n".to_owned(),
        entry("live", "stable", &receiver.url("/live"), "cooldown: 0s"),
    ]
    .concat();
    stable.fault("{kind: http, status: 500}").await;
    let service = Service::start_with(&scratch, &config, &[("SIGNING", SECRET)], &[]).await;
    let runs = "bellwether_probe_runs_total";
    service.reaches(runs, &[("target", "stable"), ("slo", "bad")], 5.0).await;
    let firing = webhook("candidate", "firing", "2026-11-22T10:27:16Z");
    let held = ruling(&post(&service, &firing).await);
    assert_eq!(held, (Value::Null, json!("held_both_bad"), json!(true)));
    assert!(receiver.calls("/live").is_empty());
    // Nobody posts again: what is held is asked again as it is for our own alerts.
    stable.play("ttft: 1ms").await;
    assert_eq!(receiver.wait("/live", 1).await.len(), 1);
}
