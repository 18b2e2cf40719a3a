//! Plans of rollbacks by the whole binary: by hand, over a crash at each step, rehearsed, offline.

use serde_json::Value;

use super::program::{Program, Scratch};
use super::receiver::{Manner, Receiver};
use super::rollback::{RULES, SECRET, config, entry};
use super::service::{Service, Simulator};
use super::wait::until;

/// A step that notes its key each time, and then waits for a file that lets it go on.
fn command(scratch: &Scratch, name: &str) -> String {
    let (keys, gate) = (scratch.path("keys"), scratch.path(&format!("go-{name}")));
    let script = format!(
        "echo $BELLWETHER_KEY >> {keys}; i=0; until [ -e {gate} ] || [ $i -gt 400 ]; do i=$((i+1)); sleep 0.05; done"
    );
    format!(
        "    - name: {name}\n      command: [/bin/sh, -c, '{script}']\n      \
         rehearsal: ['true']\n      timeout: 20s\n"
    )
}

fn plan(stable: &Simulator, receiver: &Receiver, steps: &str) -> String {
    let webhook = receiver.url("/gateway");
    format!(
        "{}rollbacks:\n- name: chat\n  matchers: ['severity=\"rollback\"']\n  \
         candidate: [candidate]\n  stable: [stable]\n  steps:\n    \
         - name: gateway\n      webhook: {{url: '{webhook}', signing_secret: 'env:SIGNING'}}\n      \
         rehearsal: post\n      timeout: 10s\n\
         {steps}    - {{name: verify, verify: true}}\n",
        config(&stable.url, &stable.url).replace("rule_files: [rules.yml]\n", "")
    )
}

const SIGNING: [(&str, &str); 1] = [("SIGNING", SECRET)];

/// The record of the one rollback: `what`, and the step it is about.
async fn log(service: &Service) -> Vec<Value> {
    let reply = service.get("/api/v1/releases/chat/log").await;
    reply.json()["data"]["log"].as_array().unwrap().clone()
}

async fn end(service: &Service) -> String {
    until(async || {
        let log = log(service).await;
        let ended = log.iter().rev().find(|entry| entry["what"] == "ended");
        ended.map(|entry| entry["end"].as_str().unwrap().to_owned()).ok_or(format!("{log:?}"))
    })
    .await
}

/// How often each key was noted.
fn keys(scratch: &Scratch) -> Vec<String> {
    let text = std::fs::read_to_string(scratch.path("keys")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_plan_survives_a_kill_at_each_step_and_repeats_nothing_that_is_acknowledged() {
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-kill");
    let steps = [command(&scratch, "one"), command(&scratch, "two")].concat();
    let config = plan(&stable, &receiver, &steps);
    let mut service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
    let reply = service.post("/api/v1/releases/chat/rollback", "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);

    for (position, step) in ["one", "two"].into_iter().enumerate() {
        // It is under way and nobody knows how it ends: the process dies.
        let noted = 1 + 2 * position;
        until(async || {
            let keys = keys(&scratch);
            let before = log(&service).await;
            let is_begun =
                before.iter().any(|entry| entry["what"] == "step_begun" && entry["step"] == step);
            if keys.len() == noted && is_begun { Ok(()) } else { Err(format!("{keys:?}")) }
        })
        .await;
        service.program.signal("KILL");
        service.program.ended().await;
        service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
        until(async || {
            let keys = keys(&scratch);
            if keys.len() == noted + 1 { Ok(()) } else { Err(format!("{keys:?}")) }
        })
        .await;
        scratch.write(&format!("go-{step}"), "");
    }

    assert_eq!(end(&service).await, "rolled_back");
    let keys = keys(&scratch);
    assert!(keys[0].ends_with(":one") && keys[2].ends_with(":two"), "{keys:?}");
    assert_eq!((&keys[0], &keys[2]), (&keys[1], &keys[3]));
    let calls = receiver.calls("/gateway");
    assert_eq!(calls.len(), 1);
    assert!(calls[0].is_signed(SECRET));
    assert_eq!(calls[0].header("idempotency-key"), calls[0].header("webhook-id"));
    assert!(calls[0].header("idempotency-key").ends_with(":gateway"));
    let metrics = service.metrics().await;
    assert_eq!(metrics.value("bellwether_rollback_unverified", &[("rollback", "chat")]), Some(0.0));
    assert_eq!(metrics.value("bellwether_outbox_pending", &[]), Some(0.0));
}

#[tokio::test]
async fn a_rollback_to_a_side_that_does_not_answer_is_unverified_and_says_why() {
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-unverified");
    let config = plan(&stable, &receiver, "");
    let service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
    stable.fault("{kind: http, status: 500}").await;
    service.post("/api/v1/releases/chat/rollback", "").await;
    assert_eq!(end(&service).await, "rollback_unverified");
    let unverified = "bellwether_rollback_unverified";
    service.reaches(unverified, &[("rollback", "chat")], 1.0).await;
    service.reaches("bellwether_outbox_dead_letters", &[], 1.0).await;
    let log = log(&service).await;
    let why = log.last().unwrap()["why"].as_str().unwrap();
    assert!(why.contains("step `verify` failed"), "{why}");
    let missing = service.post("/api/v1/releases/chta/rollback", "").await;
    assert_eq!(missing.status, 400);
    assert!(missing.body.contains("there are: `chat`"), "{}", missing.body);
}

#[tokio::test]
async fn a_drill_and_an_offline_rollback_by_the_command_line() {
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-offline");
    let file = scratch.path("weights");
    let step = format!("    - {{name: file, file: {{path: '{file}', content: all}}}}\n");
    let config = plan(&stable, &receiver, &step);
    let mut service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
    let url = format!("--url={}", service.url);
    let drilled = Program::run(&[], &["release", "drill", "chat", &url]).await;
    assert_eq!((drilled.code, drilled.out.trim()), (0, "drill_passed"), "{}", drilled.err);
    assert!(!std::path::Path::new(&file).exists());
    assert!(receiver.calls("/gateway")[0].body.contains(r#""type":"rollback.drill""#));
    service.reaches("bellwether_drill_last_successful", &[("rollback", "chat")], 1.0).await;
    let printed = Program::run(&[], &["release", "log", "chat", &url]).await;
    assert!(printed.out.contains("what=") || printed.out.contains("ended"), "{}", printed.out);

    // Neither the service nor its store is needed: the path of the data is a file.
    service.program.signal("KILL");
    service.program.ended().await;
    let (path, data) = (scratch.path("bellwether.yml"), scratch.write("no-folder", ""));
    let words = ["rollback", "chat", "--offline", "-c", &path, "--storage.path", &data];
    let rolled_back = Program::run(&SIGNING, &words).await;
    let last = rolled_back.out.lines().last().unwrap_or_default();
    assert_eq!((rolled_back.code, last), (0, "rolled_back"), "{}", rolled_back.err);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "all");
    let calls = receiver.calls("/gateway");
    assert_eq!(calls.len(), 2);
    assert!(calls[1].is_signed(SECRET));
}

#[tokio::test]
async fn a_webhook_that_is_verified_is_called_rehearsed_and_recorded_as_a_plan() {
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-short");
    let rollback = entry("chat", "stable", &receiver.url("/gateway"), "verify: true")
        .replace("verify: true", "verify: true\n  rehearsal: post");
    let config = config(&stable.url, &stable.url).replace("rule_files: [rules.yml]\n", "");
    let config = format!("{config}rollbacks:\n{rollback}");
    let service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
    let url = format!("--url={}", service.url);
    let drilled = Program::run(&[], &["release", "drill", "chat", &url]).await;
    assert_eq!((drilled.code, drilled.out.trim()), (0, "drill_passed"), "{}", drilled.err);
    service.post("/api/v1/releases/chat/rollback", "").await;
    until(async || match receiver.calls("/gateway").len() {
        2 => Ok(()),
        calls => Err(format!("{calls} calls")),
    })
    .await;
    until(async || {
        let log = log(&service).await;
        let last = log.last().unwrap();
        if last["end"] == "rolled_back" { Ok(()) } else { Err(format!("{last}")) }
    })
    .await;
    let calls = receiver.calls("/gateway");
    assert!(calls[0].body.contains(r#""type":"rollback.drill""#), "{}", calls[0].body);
    assert!(calls[1].body.contains(r#""type":"rollback""#), "{}", calls[1].body);
    assert!(calls[1].header("idempotency-key").ends_with(":webhook"), "{:?}", calls[1]);
    assert!(calls.iter().all(|call| call.is_signed(SECRET)));
}

/// It holds its store, and answers nobody.
#[tokio::test]
async fn an_offline_rollback_waits_for_no_service_that_hangs() {
    let stable = Simulator::start().await;
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-hung");
    let config = plan(&stable, &receiver, "");
    let service = Service::start_with(&scratch, &config, &SIGNING, &[]).await;
    service.program.signal("STOP");
    let (path, data) = (scratch.path("bellwether.yml"), scratch.path("data"));
    let words = ["rollback", "chat", "--offline", "-c", &path, "--storage.path", &data];
    let rolled_back = Program::run(&SIGNING, &words).await;
    let last = rolled_back.out.lines().last().unwrap_or_default();
    assert_eq!((rolled_back.code, last), (0, "rolled_back"), "{}", rolled_back.err);
    assert!(rolled_back.err.contains("nothing of this is on record"), "{}", rolled_back.err);
    assert_eq!(receiver.calls("/gateway").len(), 1);
    // It comes back, and does not do it again.
    service.program.signal("CONT");
    service.becomes("bellwether_outbox_pending", 0.0).await;
    assert_eq!(receiver.calls("/gateway").len(), 1);
}

#[tokio::test]
async fn an_alert_carries_a_plan_out_once_an_incident() {
    let (candidate, stable) = (Simulator::start().await, Simulator::start().await);
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("plan-alert");
    scratch.write("rules.yml", RULES);
    let text = plan(&stable, &receiver, "");
    let (_, rollbacks) = text.split_once("rollbacks:").unwrap();
    let text = format!("{}rollbacks:{rollbacks}", config(&candidate.url, &stable.url));
    let service = Service::start_with(&scratch, &text, &SIGNING, &[]).await;
    let runs = "bellwether_probe_runs_total";
    service.reaches(runs, &[("target", "stable"), ("slo", "good")], 5.0).await;
    candidate.fault("{kind: http, status: 500}").await;
    assert_eq!(end(&service).await, "rolled_back");
    let body: Value = serde_json::from_str(&receiver.calls("/gateway")[0].body).unwrap();
    assert_eq!(body["data"]["alert"]["labels"]["alertname"], "CandidateFails");
    assert_eq!(body["data"]["step"], "gateway");

    // It goes on firing, and nothing more is called.
    let evaluations = "bellwether_rule_evaluations_total";
    let so_far = service.metrics().await.sum(evaluations, &[]);
    let metrics = service.reaches(evaluations, &[], so_far + 3.0).await;
    assert_eq!(receiver.calls("/gateway").len(), 1);
    assert_eq!(metrics.sum("bellwether_rollbacks_total", &[("result", "fired")]), 1.0);
    assert_eq!(metrics.sum("bellwether_rollback_seconds_count", &[("mode", "real")]), 1.0);
    let listed = service.get("/api/v1/releases").await.json();
    assert_eq!(listed["data"]["releases"][0]["lastRollback"]["end"], "rolled_back");
}
