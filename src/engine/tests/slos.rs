//! Where objectives stand, as their rules recorded it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::bench::{Bench, settings};
use crate::engine::{BudgetStatus, Event, Settings};
use crate::model::{Labels, TargetId};
use crate::rules;
use crate::slo::{self, Alerting, Indicator, Objective, Scope, Slo, Subject};

const MINUTE: i64 = 60_000;

fn objective(name: &str, scope: Scope) -> Slo {
    let subject = |name| Subject { target: TargetId::new(name), interval: Duration::from_secs(60) };
    Slo {
        name: name.to_owned(),
        indicator: Indicator::Availability,
        objective: Objective::parse("99.9").unwrap(),
        window: Duration::from_secs(30 * 86_400),
        subjects: ["candidate", "stable"].map(subject).into(),
        scope,
        events_min: 10,
        failures_min: 2,
        page: Some(Alerting::default()),
        ticket: None,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
    }
}

fn with(slos: Vec<Slo>) -> Settings {
    let text = slo::generate(&slos);
    let slos = slos.into_iter().map(Arc::new).collect();
    Settings { slos, rules: vec![rules::parse("slos", &text).unwrap()], ..settings(&[]) }
}

/// Half of the candidate's probes fail, one a minute; the stable one's are all good.
fn play(bench: &mut Bench, minutes: std::ops::RangeInclusive<i64>) {
    for minute in minutes {
        let series = |metric: &str, target: &str, class: &str, value: f64| {
            let labels = [(Labels::NAME, metric), ("target", target), ("slo", class)];
            (Labels::from_pairs(labels.into_iter().filter(|(_, value)| !value.is_empty())), value)
        };
        let (half, all) = (minute as f64 / 2.0, minute as f64);
        let mut samples = Vec::new();
        for (target, bad, good) in [("candidate", half, half), ("stable", 0.0, all)] {
            samples.push(series("bellwether_probe_interval_seconds", target, "", 60.0));
            samples.push(series("bellwether_probe_runs_total", target, "bad", bad));
            samples.push(series("bellwether_probe_runs_total", target, "good", good));
        }
        bench.handle(Event::Scraped(samples), minute * MINUTE);
        bench.evaluate(minute * MINUTE + MINUTE / 2);
    }
}

fn burn(budget: &BudgetStatus, minutes: u64) -> Option<f64> {
    let over = budget.burns.iter().find(|(over, _)| *over == Duration::from_secs(60 * minutes));
    over.unwrap().1
}

// After 40 minutes 20 of 43.2 failures are spent, 20 of 86.4 where two targets share them. The ratio is
// a half, of both together a quarter; 0.1 % is allowed.
#[test]
fn budgets_and_burn_rates_follow_the_recorded_series() {
    let slos = vec![objective("each", Scope::Each), objective("both", Scope::Together)];
    let mut bench = Bench::new(with(slos));
    let unknown = |budget: &BudgetStatus| {
        budget.remaining.is_none() && budget.burns.iter().all(|(_, burn)| burn.is_none())
    };
    assert!(bench.engine.slos().iter().flat_map(|status| &status.budgets).all(unknown));
    play(&mut bench, 0..=45);
    let [each, both] = bench.engine.slos() else { panic!("two objectives") };
    let [candidate, stable] = &each.budgets[..] else { panic!("two budgets") };
    let [together] = &both.budgets[..] else { panic!("one budget") };
    let near = |found: Option<f64>, expected: f64| {
        // The slow rules ran within the last three minutes, and failures are half a minute apart.
        let found = found.unwrap();
        assert!((found - expected).abs() < 0.04 * expected.abs().max(1.0), "{found} {expected}");
    };
    near(candidate.remaining, 1.0 - 22.0 / 43.2);
    near(together.remaining, 1.0 - 22.0 / 86.4);
    assert_eq!(stable.remaining, Some(1.0));
    near(burn(candidate, 60), 500.0);
    near(burn(together, 60), 250.0);
    assert_eq!(burn(stable, 60), Some(0.0));
    assert_eq!(candidate.target, Some(TargetId::new("candidate")));
    assert_eq!(together.target, None);
    let said = bench.take();
    assert!(said.contains(&"candidate inactive -> firing".to_owned()), "{said:?}");
}

#[test]
fn a_reload_keeps_what_an_unchanged_objective_has_recorded_and_ends_the_rest() {
    let kept = objective("kept", Scope::Each);
    let mut bench = Bench::new(with(vec![kept.clone(), objective("gone", Scope::Each)]));
    play(&mut bench, 0..=20);
    let before: Vec<_> = bench.engine.slos()[0].budgets.clone();
    assert!(before[0].remaining.is_some());
    let pages = bench.alerts();
    let now = 20 * MINUTE + MINUTE / 2 + 1;
    bench.handle(Event::Reload(Box::new(with(vec![kept]))), now);
    assert_eq!(bench.engine.slos().len(), 1);
    assert_eq!(bench.engine.slos()[0].budgets, before);
    assert_eq!(bench.alerts().len(), pages.len() / 2, "those of the other are gone");
    assert_eq!(bench.alerts(), pages[..pages.len() / 2]);
    let objectives = bench.content("slo:bellwether_slo_objective:ratio");
    assert_eq!(objectives.iter().filter(|line| line.contains("end")).count(), 1, "{objectives:?}");
}
