//! The accounts of probes are exact: whatever came due was fired, skipped or missed, and whatever
//! was fired has one result or is under way.

use std::time::Duration;

use super::exposition::Exposition;
use super::program::{Program, Scratch, let_pass};
use super::service::{Service, Simulator};
use super::wait::until;

/// What does not add up for a target. The counters of one look are read one after the other, so a
/// look may fall between two of them; a mistake stays, a look passes.
pub fn imbalance(metrics: &Exposition, target: &str) -> Result<(), String> {
    let of = |name: &str| {
        let name = format!("bellwether_probe_{name}");
        metrics.value(&name, &[("target", target)]).ok_or(format!("{target}: no {name}"))
    };
    let (due, fired, skipped, missed) =
        (of("due_total")?, of("fired_total")?, of("skipped_total")?, of("missed_total")?);
    if due != fired + skipped + missed {
        return Err(format!("{target}: due {due}, fired {fired} + {skipped} + {missed}"));
    }
    let (runs, in_flight) = (of("runs_total")?, of("in_flight")?);
    if fired != runs + in_flight {
        return Err(format!("{target}: fired {fired}, results {runs}, in flight {in_flight}"));
    }
    Ok(())
}

#[tokio::test]
async fn every_due_time_and_every_probe_is_accounted_for_exactly() {
    let simulator = Simulator::start().await;
    simulator.play("ttft: 180ms, gap: 1ms").await;
    let url = &simulator.url;
    // `slow` takes longer than its interval. A question costs `thrifty` at least the price of its
    // own tokens, several dollars, and it may spend a hundred.
    let config = format!(
        "global: {{probe_interval: 100ms}}\n\
         providers:\n\
         - {{name: sim, dialect: openai_chat, base_url: '{url}', auth: none}}\n\
         - name: dear\n  dialect: openai_chat\n  base_url: '{url}'\n  auth: none\n  \
             models: {{m: {{price: {{input: 100000, output: 100000}}}}}}\n\
         probes:\n\
         - {{name: calm, provider: sim, model: m, max_in_flight: 9, budget_daily: unlimited}}\n\
         - {{name: slow, provider: sim, model: m, max_in_flight: 1, budget_daily: unlimited}}\n\
         - {{name: thrifty, provider: dear, model: m, budget_daily: 20}}\n"
    );
    let scratch = Scratch::new("accounting");
    let service = Service::start(&scratch, &config).await;
    let skipped = "bellwether_probe_skipped_total";
    let overrun = [("target", "slow"), ("reason", "in_flight")];
    let spent = [("target", "thrifty"), ("reason", "budget_skipped")];
    service.reaches(skipped, &overrun, 5.0).await;
    service.reaches(skipped, &spent, 5.0).await;
    // Nobody is there to fire for a second: ten due times each go by, less what is fired late.
    service.program.signal("STOP");
    let_pass(Duration::from_secs(1)).await;
    service.program.signal("CONT");
    let missed = "bellwether_probe_missed_total";
    for target in ["calm", "slow", "thrifty"] {
        service.reaches(missed, &[("target", target)], 5.0).await;
    }
    // With an hour between them the next due times are minutes away: 463 s, 892 s and 2731 s after
    // the start, by the hashes of the names. What is under way is cancelled, and all stands still.
    scratch.write("bellwether.yml", &config.replace("100ms", "1h"));
    assert_eq!(service.post("/-/reload", "").await.status, 200);
    let metrics = until(async || {
        let metrics = service.metrics().await;
        for target in ["calm", "slow", "thrifty"] {
            imbalance(&metrics, target)?;
            let in_flight = metrics.sum("bellwether_probe_in_flight", &[("target", target)]);
            if in_flight != 0.0 {
                return Err(format!("{target}: in flight {in_flight}"));
            }
        }
        Ok(metrics)
    })
    .await;
    // The other side counted too; of those that were cancelled some may not have got there.
    let fired = metrics.sum("bellwether_probe_fired_total", &[]);
    let cancelled = metrics.sum("bellwether_probe_runs_total", &[("error_type", "cancelled")]);
    let asked = simulator.requests().await;
    assert!((fired - cancelled..=fired).contains(&asked), "{fired} fired, {asked} asked");
    let again = service.metrics().await;
    let counters = ["due", "fired", "skipped", "missed", "runs"];
    for name in counters.map(|name| format!("bellwether_probe_{name}_total")) {
        assert_eq!(again.series(&name), metrics.series(&name), "{name}");
    }
    assert_eq!(metrics.sum(skipped, &[("target", "calm")]), 0.0);
    assert_eq!(metrics.sum(skipped, &[("target", "slow"), ("reason", "budget_skipped")]), 0.0);
    let fired = metrics.sum("bellwether_probe_fired_total", &[("target", "thrifty")]);
    let cost = metrics.sum("bellwether_probe_cost_usd_total", &[("target", "thrifty")]);
    assert!(fired >= 1.0 && cost > 0.0 && cost <= 20.0, "{fired} probes for {cost}");
}

/// A probe costs several dollars, as above; nearly all of the twenty are spent when the budget bars
/// the next, so that after the restart there is room for none.
#[tokio::test]
async fn what_was_spent_stays_spent_over_a_restart() {
    let simulator = Simulator::start().await;
    let url = &simulator.url;
    let config = format!(
        "global: {{probe_interval: 100ms, sample_interval: 1s, probe_budget_monthly: 20}}\n\
         providers:\n\
         - name: dear\n  dialect: openai_chat\n  base_url: '{url}'\n  auth: none\n  \
             models: {{m: {{price: {{input: 100000, output: 100000}}}}}}\n\
         probes:\n\
         - {{name: thrifty, provider: dear, model: m, budget_daily: 30}}\n"
    );
    let scratch = Scratch::new("spending");
    let mut service = Service::start(&scratch, &config).await;
    let skipped = "bellwether_probe_skipped_total";
    let spent = [("target", "thrifty"), ("reason", "budget_skipped")];
    let metrics = service.reaches(skipped, &spent, 3.0).await;
    let budget = [("target", "thrifty"), ("period", "day")];
    let before = metrics.value("bellwether_probe_budget_spent_usd", &budget).unwrap();
    assert!(before > 0.0 && before <= 20.0, "{before}");
    assert_eq!(metrics.value("bellwether_probe_budget_usd", &budget), Some(30.0));
    // The store has it with the next sample.
    until(async || {
        let told = Program::run(&[], &["cost", "--url", &service.url, "--range", "10m"]).await;
        assert_eq!(told.code, 0, "{}", told.err);
        let parts = ["spent over 10m", "openai", "probe", "budgets of probes", "$30.00"];
        let missing = parts.into_iter().find(|part| !told.out.contains(part));
        missing.map_or(Ok(()), |part| Err(format!("no `{part}` in {}", told.out)))
    })
    .await;
    service.program.signal("TERM");
    assert_eq!(service.program.ended().await, 0);

    let service = Service::start(&scratch, &config).await;
    let metrics = service.reaches(skipped, &spent, 3.0).await;
    assert_eq!(metrics.sum("bellwether_probe_fired_total", &[("target", "thrifty")]), 0.0);
    assert_eq!(metrics.value("bellwether_probe_budget_spent_usd", &budget), Some(before));
}
