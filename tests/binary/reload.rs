//! A reload takes up what changed and touches nothing else; a bad file changes nothing at all.

use tokio::time::Instant;

use super::accounting::imbalance;
use super::program::Scratch;
use super::service::{Service, Simulator, exchange};
use super::wait::until;

const FIRED: &str = "bellwether_probe_fired_total";
const DUE: &str = "bellwether_probe_due_total";
const SUCCESSFUL: &str = "bellwether_config_last_reload_successful";
const INTERVAL_SECS: f64 = 0.2;

/// The lines of `probes:` below the simulator as `sim`.
fn config(simulator: &Simulator, probes: &[&str]) -> String {
    let lines: String =
        probes.iter().map(|probe| format!("- {{provider: sim, {probe}}}\n")).collect();
    format!(
        "global: {{probe_interval: 200ms, sample_interval: 1s}}\n\
         providers:\n\
         - {{name: sim, dialect: openai_chat, base_url: '{}', auth: none}}\n\
         probes:\n{lines}",
        simulator.url
    )
}

const STEADY: &str = "name: steady, model: m, budget_daily: unlimited";

#[tokio::test]
async fn a_bad_file_is_told_with_its_mistakes_and_the_old_one_keeps_probing() {
    let simulator = Simulator::start().await;
    let good = config(&simulator, &[STEADY]);
    let bad = good.replace("probe_interval", "probe_intervall").replace("model: m", "modell: m");
    let scratch = Scratch::new("reload-bad");
    let service = Service::start(&scratch, &good).await;
    service.becomes(SUCCESSFUL, 1.0).await;

    scratch.write("bellwether.yml", &bad);
    let reply = service.post("/-/reload", "").await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    for part in ["bellwether.yml:1:10: ", "did you mean `probe_interval`?", "`modell`"] {
        assert!(reply.body.contains(part), "{part} in {}", reply.body);
    }
    let metrics = service.becomes(SUCCESSFUL, 0.0).await;
    let fired = metrics.sum(FIRED, &[("target", "steady")]);
    service.reaches(FIRED, &[("target", "steady")], fired + 3.0).await;
    let shown = service.get("/api/v1/status/config").await.json();
    assert_eq!(shown["data"]["yaml"], good);

    scratch.write("bellwether.yml", &good);
    service.program.signal("HUP");
    service.becomes(SUCCESSFUL, 1.0).await;
    std::fs::remove_file(scratch.path("bellwether.yml")).unwrap();
    service.program.signal("HUP");
    service.becomes(SUCCESSFUL, 0.0).await;

    // A web page of somebody else, or a name of somebody else's that leads here, reloads nothing.
    scratch.write("bellwether.yml", &good);
    for (name, value, status) in [
        ("origin", "https://example.com", 403),
        ("origin", "null", 403),
        ("host", "rebound.example", 403),
        ("origin", service.url.as_str(), 200),
    ] {
        let request = service.client.post(format!("{}/-/reload", service.url));
        let reply = exchange(request.header(name, value)).await;
        assert_eq!(reply.status, status, "{name}: {value}: {}", reply.body);
        let successful = if status == 200 { 1.0 } else { 0.0 };
        assert_eq!(service.metrics().await.value(SUCCESSFUL, &[]), Some(successful), "{value}");
    }
}

#[tokio::test]
async fn a_reload_touches_what_changed_and_nothing_else() {
    let simulator = Simulator::start().await;
    simulator.play("ttft: 120ms, gap: 1ms").await;
    let limited = |ttft: &str| {
        format!(
            "name: limited, model: m, budget_daily: unlimited, \
             thresholds: {{ttft: {ttft}, total: 7s}}"
        )
    };
    // Its first due time is 3121.8 s after the start: the hash of `rare` within an hour.
    let rare = "name: rare, model: m, interval: 1h, budget_daily: unlimited";
    let removed = "name: removed, model: m, budget_daily: unlimited";
    let moved = "name: moved, model: m, budget_daily: unlimited";
    let old = config(&simulator, &[STEADY, &limited("900ms"), rare, removed, moved]);
    let new = config(
        &simulator,
        &[STEADY, &limited("333ms"), rare, &moved.replace("model: m", "model: n")],
    );
    let scratch = Scratch::new("reload");
    let service = Service::start(&scratch, &old).await;
    let ttft = "bellwether_probe_time_to_first_token_seconds";
    let duration = "bellwether_probe_duration_seconds_count";
    let steady = [("target", "steady")];
    for target in ["steady", "limited", "removed", "moved"] {
        service.reaches(&format!("{ttft}_count"), &[("target", target)], 10.0).await;
    }
    let selected = r#"{target="removed"}"#;
    until(async || match service.query(selected).await.len() {
        0 => Err("no samples of the target yet".to_owned()),
        count => Ok(count),
    })
    .await;
    let before = service.metrics().await;

    scratch.write("bellwether.yml", &new);
    assert_eq!(service.post("/-/reload", "").await.status, 200);
    let after = service.metrics().await;
    for name in [DUE, FIRED, "bellwether_probe_runs_total", duration] {
        assert!(after.value(name, &steady) >= before.value(name, &steady), "{name}");
    }
    // The one family whose buckets a threshold changed, and what shares its ladder, starts anew.
    let count =
        |metrics: &super::exposition::Exposition| metrics.value(&format!("{ttft}_count"), &steady);
    assert!(count(&after) < count(&before), "{:?}", count(&after));
    let bound = |le| after.value(&format!("{ttft}_bucket"), &[("target", "steady"), ("le", le)]);
    assert!(bound("0.333").is_some() && bound("0.9").is_none());
    let threshold = [("target", "limited"), ("kind", "ttft")];
    assert_eq!(after.value("bellwether_probe_threshold_seconds", &threshold), Some(0.333));
    let said = service.program.err.text();
    assert!(said.contains(ttft) && !said.contains("bellwether_probe_duration_seconds"), "{said}");

    // Who is gone is gone, from the page and from queries.
    let of = |target: &str, model: &str| {
        let is_of = |labels: &super::exposition::Labels| {
            labels.get("target").is_some_and(|own| own == target)
                && labels.get("model").is_some_and(|own| own == model)
        };
        after.all().filter(|(_, labels)| is_of(labels)).count()
    };
    assert_eq!((of("removed", "m"), of("moved", "m")), (0, 0));
    assert!(of("moved", "n") > 0 && of("steady", "m") > 0);
    until(async || match service.query(selected).await.as_slice() {
        [] => Ok(()),
        left => Err(format!("{left:?}")),
    })
    .await;
    assert_eq!(service.query("up").await[0]["value"][1], "1");
    assert!(!service.query(r#"bellwether_probe_due_total{target="steady"}"#).await.is_empty());

    // However often it is reloaded, nothing is fired for that.
    let started = Instant::now();
    let before = service.metrics().await;
    let questions = simulator.requests().await;
    for _ in 0..5 {
        assert_eq!(service.post("/-/reload", "").await.status, 200);
    }
    let due = before.sum(DUE, &steady);
    let after = service.reaches(DUE, &steady, due + 5.0).await;
    // One more than fits, and one that was due before and late.
    let grid = started.elapsed().as_secs_f64() / INTERVAL_SECS + 2.0;
    assert!(after.sum(DUE, &steady) - due <= grid, "{due} and {grid} more at most");
    let asked = simulator.requests().await - questions;
    let grid = started.elapsed().as_secs_f64() / INTERVAL_SECS + 2.0;
    assert!(asked <= 3.0 * grid, "{asked} questions, three targets, {grid} at most for each");
    assert_eq!(after.value(DUE, &[("target", "rare")]), Some(0.0));
    until(async || {
        let metrics = service.metrics().await;
        ["steady", "limited", "moved", "rare"]
            .into_iter()
            .try_for_each(|target| imbalance(&metrics, target))
    })
    .await;
}
