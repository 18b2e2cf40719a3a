//! A process that was stopped for a while knows it, and blames nobody.

use std::time::Duration;

use super::program::{Scratch, let_pass};
use super::receiver::{Manner, Receiver};
use super::rollback::{SECRET, config, entry};
use super::service::{Service, Simulator};

/// One late first token, or one failure, is enough.
const RULES: &str = r#"
groups:
  - name: touchy
    interval: 1s
    rules:
      - alert: Late
        expr: sum by (target) (increase(bellwether_probe_threshold_exceeded_total[10s])) > 0
        labels: {severity: rollback}
      - alert: Fails
        expr: sum by (target) (increase(bellwether_probe_runs_total{slo="bad"}[10s])) > 0
        labels: {severity: rollback}
"#;

#[tokio::test]
async fn two_seconds_of_standstill_turn_the_canary_red_and_roll_nothing_back() {
    let (candidate, stable) = (Simulator::start().await, Simulator::start().await);
    // Under way for most of the time, so that the standstill finds it so.
    for simulator in [&candidate, &stable] {
        simulator.play("ttft: 400ms, gap: 20ms, tokens: 20").await;
    }
    let receiver = Receiver::start(Manner::Takes).await;
    let limits = "thresholds: {ttft: 1500ms, total: 2s}, \
                  timeouts: {first_token: 1800ms, idle: 1800ms, total: 5s}";
    let config = config(&candidate.url, &stable.url)
        .replace("probe_interval: 100ms", "probe_interval: 1s")
        .replace("model: m,", &format!("model: m, {limits},"));
    let rollback = entry("back", "stable", &receiver.url("/back"), "");
    let scratch = Scratch::new("stall");
    scratch.write("rules.yml", RULES);
    let config = format!("{config}rollbacks:\n{rollback}");
    let service = Service::start_with(&scratch, &config, &[("SIGNING", SECRET)], &[]).await;
    let observed = "bellwether_probe_threshold_observed_total";
    for target in ["candidate", "stable"] {
        service.reaches(observed, &[("target", target), ("kind", "ttft")], 3.0).await;
    }
    service.becomes("bellwether_canary_healthy", 1.0).await;
    let stalls = service.metrics().await.sum("bellwether_canary_stalls_total", &[]);

    service.program.signal("STOP");
    let_pass(Duration::from_secs(2)).await;
    service.program.signal("CONT");

    let metrics = service.becomes("bellwether_canary_healthy", 0.0).await;
    assert!(metrics.sum("bellwether_canary_stalls_total", &[]) > stalls);
    service.reaches("bellwether_probe_inconclusive_total", &[], 1.0).await;
    let metrics = service.becomes("bellwether_canary_healthy", 1.0).await;
    // Since the standstill there were some evaluations, and no reason for anything was found.
    let evaluations = metrics.sum("bellwether_rule_evaluations_total", &[]);
    let metrics =
        service.reaches("bellwether_rule_evaluations_total", &[], evaluations + 2.0).await;
    let results = "bellwether_rollbacks_total";
    assert_eq!(metrics.sum(results, &[("result", "fired")]), 0.0, "{:?}", metrics.series(results));
    assert!(receiver.calls("/back").is_empty());

    // The rule was armed all the while: a candidate that is late in earnest is rolled back.
    candidate.play("ttft: 1700ms, gap: 1ms").await;
    assert!(receiver.wait("/back", 1).await[0].is_signed(SECRET));
}
