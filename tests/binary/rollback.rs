//! From a failing candidate to a signed webhook, once per incident; and what keeps it from being
//! called.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::net::TcpSocket;

use super::program::Scratch;
use super::receiver::{Manner, Receiver};
use super::service::{Service, Simulator};
use super::wait::until;

/// 24 bytes, as the published vector's.
pub const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Three failures within three seconds.
pub const RULES: &str = r#"
groups:
  - name: rollback
    interval: 1s
    rules:
      - alert: CandidateFails
        expr: sum by (target) (increase(bellwether_probe_runs_total{slo="bad"}[3s])) > 2
        labels: {severity: rollback}
        annotations: {summary: "{{ $labels.target }} fails"}
"#;

/// `candidate` and `stable`, ten probes a second, everything else once a second.
pub fn config(candidate: &str, stable: &str) -> String {
    format!(
        "global: {{probe_interval: 100ms, evaluation_interval: 1s, sample_interval: 1s}}\n\
         rule_files: [rules.yml]\n\
         providers:\n\
         - {{name: candidate, dialect: anthropic_messages, base_url: '{candidate}', auth: none}}\n\
         - {{name: stable, dialect: openai_chat, base_url: '{stable}', auth: none}}\n\
         probes:\n\
         - {{name: candidate, provider: candidate, model: m, budget_daily: unlimited}}\n\
         - {{name: stable, provider: stable, model: m, budget_daily: unlimited}}\n"
    )
}

/// An entry of `rollbacks:` on any alert of the candidate that is made for it.
pub fn entry(name: &str, stable: &str, url: &str, further: &str) -> String {
    format!(
        "- name: {name}\n  matchers: ['severity=\"rollback\"', 'target=\"candidate\"']\n  \
         candidate: [candidate]\n  stable: [{stable}]\n  {further}\n  \
         webhook: {{url: '{url}', signing_secret: 'env:SIGNING'}}\n"
    )
}

#[tokio::test]
async fn a_rollback_is_signed_and_sent_once_per_incident_and_only_where_it_helps() {
    let candidate = Simulator::start().await;
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let nobody = socket.local_addr().unwrap();
    let config = [
        config(&candidate.url, &stable.url),
        "- {name: down, provider: down, model: m, budget_daily: unlimited}\n".to_owned(),
        "rollbacks:\n".to_owned(),
        entry("live", "stable", &receiver.url("/live"), "cooldown: 0s"),
        entry("rehearsed", "stable", &receiver.url("/rehearsed"), "dry_run: true"),
        entry("held", "down", &receiver.url("/held"), ""),
    ]
    .concat()
    .replace(
        "probes:\n",
        &format!(
            "- {{name: down, dialect: openai_chat, base_url: 'http://{nobody}', auth: none}}\n\
             probes:\n"
        ),
    );
    let scratch = Scratch::new("rollback");
    scratch.write("rules.yml", RULES);
    let service = Service::start_with(&scratch, &config, &[("SIGNING", SECRET)], &[]).await;
    let results = "bellwether_rollbacks_total";
    let result = |rollback, result| [("rollback", rollback), ("result", result)];

    // All is known before it begins: the candidate and stable are well, the third is not.
    let runs = "bellwether_probe_runs_total";
    for (target, slo) in [("candidate", "good"), ("stable", "good"), ("down", "bad")] {
        service.reaches(runs, &[("target", target), ("slo", slo)], 5.0).await;
    }
    assert!(receiver.calls("/live").is_empty());

    candidate.fault("{kind: http, status: 500}").await;
    let calls = receiver.wait("/live", 1).await;
    service.reaches(results, &result("rehearsed", "dry_run"), 1.0).await;
    service.reaches(results, &result("held", "held_both_bad"), 1.0).await;

    let call = &calls[0];
    assert!(call.is_signed(SECRET), "{call:?}");
    let sent: i64 = call.header("webhook-timestamp").parse().unwrap();
    assert!((jiff::Timestamp::now().as_second() - sent).abs() < 60, "{sent}");
    assert_eq!(call.header("content-type"), "application/json");
    let body: Value = serde_json::from_str(&call.body).unwrap();
    assert_eq!(body["type"], "rollback");
    assert_eq!(body["data"]["rollback"], "live");
    assert_eq!(body["data"]["candidate"], json!(["candidate"]));
    assert_eq!(body["data"]["stable"], json!(["stable"]));
    assert_eq!(body["data"]["dry_run"], false);
    let labels = json!({
        "alertname": "CandidateFails", "severity": "rollback", "target": "candidate",
    });
    assert_eq!(body["data"]["alert"]["labels"], labels);
    assert_eq!(body["data"]["alert"]["annotations"]["summary"], "candidate fails");

    // The alert goes on firing over some evaluations more, and nothing else is sent.
    let evaluations = "bellwether_rule_evaluations_total";
    let so_far = service.metrics().await.sum(evaluations, &[]);
    let metrics = service.reaches(evaluations, &[], so_far + 3.0).await;
    assert_eq!(metrics.sum(results, &result("live", "fired")), 1.0);
    let deliveries = "bellwether_webhook_deliveries_total";
    let delivered = metrics.sum(deliveries, &[("hook", "rollback/live"), ("result", "delivered")]);
    assert_eq!(
        (delivered, receiver.calls("/live").len()),
        (1.0, 1),
        "{:?}",
        metrics.series(deliveries)
    );

    // It recovers, and falls ill again: another incident, another message.
    candidate.play("ttft: 1ms").await;
    until(async || {
        let firing = service.query(r#"ALERTS{target="candidate",alertstate="firing"}"#).await;
        if firing.is_empty() { Ok(()) } else { Err(format!("{firing:?}")) }
    })
    .await;
    candidate.fault("{kind: truncated}").await;
    let calls = receiver.wait("/live", 2).await;
    assert!(calls[1].is_signed(SECRET));
    assert_ne!(calls[0].header("webhook-id"), calls[1].header("webhook-id"));

    // Neither a rehearsal nor a rollback to a side that is down is ever sent.
    let metrics = service.metrics().await;
    assert_eq!(metrics.sum(results, &result("held", "fired")), 0.0);
    assert_eq!(metrics.sum(results, &result("rehearsed", "fired")), 0.0);
    assert!(receiver.calls("/rehearsed").is_empty() && receiver.calls("/held").is_empty());
}
