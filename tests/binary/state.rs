//! State that survives: without samples, with a damaged journal; and what was given up.

use serde_json::Value;

use super::program::{Program, Scratch};
use super::receiver::{Manner, Receiver};
use super::service::Service;
use super::wait::until;

/// Fires at once, and goes on whatever is probed.
const RULES: &str = "groups: [{name: g, rules: [{alert: Burning, expr: vector(1)}, \
                     {alert: Waiting, expr: vector(1), for: 1h}]}]\n";

fn config(receiver: &Receiver) -> String {
    format!(
        "global: {{evaluation_interval: 200ms, sample_interval: 1s, probe_interval: 1h}}\n\
         rule_files: [rules.yml]\n\
         providers:\n- {{name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}}\n\
         probes:\n- {{name: candidate, provider: p, model: m, budget_daily: unlimited}}\n\
         receivers:\n- {{name: team, webhook_configs: [{{url: '{}'}}]}}\n\
         route: {{receiver: team, group_by: [alertname], group_wait: 0s, group_interval: 100ms}}\n",
        receiver.url("/notice"),
    )
}

/// Since when each alert is active, once all of them are there.
async fn active(service: &Service) -> Vec<(String, String, String)> {
    until(async || {
        let answer = service.get("/api/v1/alerts").await.json();
        let alerts = answer["data"]["alerts"].as_array().unwrap().clone();
        if alerts.len() < 2 {
            return Err(format!("{alerts:?}"));
        }
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let alert = |alert: &Value| {
            let name = text(&alert["labels"]["alertname"]);
            (name, text(&alert["state"]), text(&alert["activeAt"]))
        };
        Ok(alerts.iter().map(alert).collect())
    })
    .await
}

#[tokio::test]
async fn alerts_and_notices_go_on_without_any_sample() {
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("state");
    scratch.write("rules.yml", RULES);
    let service = Service::start(&scratch, &config(&receiver)).await;
    receiver.wait("/notice", 1).await;
    let before = active(&service).await;
    service.program.signal("KILL");
    drop(service);
    std::fs::remove_dir_all(scratch.path("data/samples")).unwrap();

    let service = Service::start(&scratch, &config(&receiver)).await;
    let after = active(&service).await;
    // What fires is the same to the millisecond; what waits has not waited meanwhile.
    assert_eq!(after[0], before[0]);
    assert_eq!((&after[1].0, after[1].1.as_str()), (&before[1].0, "pending"));
    assert!(after[1].2 >= before[1].2, "{after:?} {before:?}");
    let evaluations = "bellwether_rule_evaluations_total";
    service.reaches(evaluations, &[], 5.0).await;
    assert_eq!(receiver.calls("/notice").len(), 1, "nobody is told again");
}

#[tokio::test]
async fn a_damaged_journal_is_set_aside_and_said_and_the_samples_must_do() {
    let receiver = Receiver::start(Manner::Takes).await;
    let scratch = Scratch::new("damaged");
    scratch.write("rules.yml", RULES);
    let service = Service::start(&scratch, &config(&receiver)).await;
    let before = active(&service).await;
    // Samples are on disk a second later at most.
    let evaluations = "bellwether_rule_evaluations_total";
    service.reaches(evaluations, &[], 12.0).await;
    service.program.signal("KILL");
    drop(service);
    let garbage = "no database ".repeat(2000);
    scratch.write("data/bellwether.db", &garbage);
    for log in ["data/bellwether.db-wal", "data/bellwether.db-shm"] {
        let _may_be_gone = std::fs::remove_file(scratch.path(log)).is_ok();
    }

    let service = Service::start(&scratch, &config(&receiver)).await;
    let after = active(&service).await;
    assert_eq!(after[0].1, "firing");
    // To the second, which is all that samples know.
    assert_eq!(after[0].2[..19], before[0].2[..19]);
    service.becomes("bellwether_journal_damaged_files_total", 1.0).await;
    let files = std::fs::read_dir(scratch.path("data")).unwrap().map(|entry| entry.unwrap().path());
    let aside: Vec<_> = files
        .filter(|path| path.display().to_string().contains("bellwether.db.corrupt-"))
        .collect();
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(std::fs::read_to_string(&aside[0]).unwrap(), garbage);
    let page = service.get("/").await.body;
    assert!(page.contains("The journal was damaged at the start"), "{page}");
    assert!(page.contains(aside[0].file_name().unwrap().to_str().unwrap()), "{page}");
    let said = service.program.err.text();
    assert!(said.contains("ERROR") && said.contains("corrupt-"), "{said}");
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_sent_again_under_its_id() {
    let receiver = Receiver::start(Manner::Refuses).await;
    let scratch = Scratch::new("dead");
    scratch.write("rules.yml", RULES);
    let service = Service::start(&scratch, &config(&receiver)).await;
    receiver.wait("/notice", 1).await;
    service.becomes("bellwether_outbox_dead_letters", 1.0).await;
    let page = service.get("/").await.body;
    assert!(page.contains("1 notice was given up"), "{page}");
    // A restart keeps it, and does not send it by itself.
    service.program.signal("KILL");
    drop(service);
    let service = Service::start(&scratch, &config(&receiver)).await;
    service.becomes("bellwether_outbox_dead_letters", 1.0).await;
    let listed = service.get("/api/v1/notices?state=dead").await.json();
    let letter = &listed["data"]["notices"][0];
    assert_eq!((&letter["hook"], &letter["state"]), (&"receiver/team/0".into(), &"dead".into()));
    assert_eq!(letter["why"], "failed: refused with status 404; status 404");
    let id = letter["id"].as_str().unwrap();
    assert_eq!(receiver.calls("/notice")[0].header("webhook-id"), id);
    let list = Program::run(&[], &["notices", "list", "--url", &service.url]).await;
    assert_eq!((list.code, list.out.lines().count()), (0, 1), "{}", list.err);
    assert!(list.out.contains(id) && list.out.contains("receiver/team/0"), "{}", list.out);

    let wrong = Program::run(&[], &["notices", "resend", "msg_0", "--url", &service.url]).await;
    assert_eq!(wrong.code, 1, "{}", wrong.out);
    assert!(wrong.err.contains("no dead letter has the id `msg_0`"), "{}", wrong.err);
    receiver.behave(Manner::Takes);
    let sent = Program::run(&[], &["notices", "resend", id, "--url", &service.url]).await;
    assert_eq!(sent.code, 0, "{}", sent.err);
    assert!(sent.out.contains(&format!("resent {id}")), "{}", sent.out);
    let calls = receiver.wait("/notice", 2).await;
    assert_eq!((calls[1].header("webhook-id"), &calls[1].body), (id, &calls[0].body));
    service.becomes("bellwether_outbox_dead_letters", 0.0).await;
    service.becomes("bellwether_outbox_pending", 0.0).await;
    let all = Program::run(&[], &["notices", "resend", "--all", "--url", &service.url]).await;
    assert_eq!((all.code, all.out.as_str()), (0, ""), "{}", all.err);
    assert_eq!(service.get("/api/v1/notices?state=lost").await.status, 400);
    assert_eq!(service.post("/api/v1/notices/resend", "").await.status, 400);
    let foreign = service.client.post(format!("{}/api/v1/notices/resend?all=true", service.url));
    let foreign = super::service::exchange(foreign.header("origin", "https://example.com")).await;
    assert_eq!(foreign.status, 403);
}
