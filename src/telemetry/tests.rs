//! What the instruments hold after probes, reloads and silence, read as a scrape reads it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    GateReading, ModelReading, Purpose, ReleaseReading, Sampler, SloReading, Telemetry, metrics,
};
use crate::model::{HttpSettings, Money, ProviderId, TargetId, Timestamp};
use crate::price::{Price, PriceList, Rates};
use crate::probe::{
    Anomaly, Budget, Check, Comparison, Connection, Delivery, Detail, LimitKind, Outcome, Phases,
    SkipReason, Target, Thresholds, Timeouts,
};
use crate::provider::{
    Auth, Dialect, ErrorType, Model, Provider, RateLimits, SloClass, StreamPhase, Usage, Wire,
};

const MS: Duration = Duration::from_millis(1);

fn target(name: &str, ttft: u32, total: u32) -> Target {
    let provider = Provider {
        id: ProviderId::new("p"),
        dialect: Dialect::OpenaiChat,
        system: "openai".to_owned(),
        base_url: String::new(),
        auth: Auth::None,
        http: HttpSettings::default(),
        wire: Wire::default(),
        models: BTreeMap::new(),
    };
    Target {
        id: TargetId::new(name),
        provider: Arc::new(provider),
        model: "m".to_owned(),
        delivery: Delivery::Streamed,
        interval: 1000 * MS,
        in_flight_max: 1,
        timeouts: Timeouts { connect: MS, first_token: MS, idle: MS, total: MS },
        thresholds: Thresholds { ttft: Some(ttft * MS), total: Some(total * MS) },
        tokens_max: 1,
        prompt: None,
        check: Check::Any,
        page: None,
        connection: Connection::Warm,
        budget: Budget::Unlimited,
        classes: BTreeMap::new(),
    }
}

/// A good probe of 40 ms, its first token after 30 ms.
fn good() -> Outcome {
    Outcome {
        target: TargetId::new("a"),
        sequence: 0,
        due: Timestamp::from_millis(1000),
        finished: Timestamp::from_millis(2500),
        lateness: MS,
        error_type: ErrorType::None,
        class: SloClass::Good,
        detail: String::new(),
        broke: None,
        phases: Phases { dns: Some(MS), ..Phases::default() },
        ttft: Some(30 * MS),
        ttfo: Some(30 * MS),
        time_per_output_token: Some(MS),
        gaps: vec![MS, MS],
        total: 40 * MS,
        status: Some(200),
        usage: Some(Usage { input: 3, output: 5, ..Usage::default() }),
        cost: Some(Money::from_nanos(2_000_000)),
        anomalies: Vec::new(),
        rate_limits: RateLimits::default(),
        certificate_expires: None,
        request_id: None,
        is_cold: false,
        is_conclusive: true,
        is_planned: false,
    }
}

fn bad() -> Outcome {
    Outcome { error_type: ErrorType::TruncatedStream, class: SloClass::Bad, ..good() }
}

/// The value of the one series of a metric whose labels hold all of these.
fn value(telemetry: &Telemetry, metric: &str, labels: &[&str]) -> Option<f64> {
    let text = telemetry.exposition();
    let lines = text.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    });
    let values: Vec<f64> =
        lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(values.len() <= 1, "{metric} {labels:?} is {} series", values.len());
    values.first().copied()
}

const A: &str = "target=\"a\"";

#[test]
fn latency_is_that_of_good_warm_conclusive_probes() {
    for (outcome, counted) in [
        (good(), 1.0),
        (bad(), 0.0),
        (Outcome { class: SloClass::Excluded, error_type: ErrorType::RateLimited, ..good() }, 0.0),
        (Outcome { is_cold: true, ..good() }, 0.0),
        (Outcome { is_conclusive: false, ..good() }, 0.0),
    ] {
        let telemetry = Telemetry::new();
        let target = target("a", 500, 2000);
        telemetry.configure(std::slice::from_ref(&target));
        telemetry.probe_finished(&target, &outcome);
        for (family, of_one) in [
            ("bellwether_probe_duration_seconds_count", 1.0),
            ("bellwether_probe_time_to_first_token_seconds_count", 1.0),
            ("bellwether_probe_time_to_first_output_seconds_count", 1.0),
            ("bellwether_probe_time_per_output_token_seconds_count", 1.0),
            ("bellwether_probe_inter_chunk_seconds_count", 2.0),
        ] {
            assert_eq!(value(&telemetry, family, &[A]), Some(of_one * counted), "{outcome:?}");
        }
        let dns = value(&telemetry, "bellwether_probe_phase_seconds_count", &["phase=\"dns\""]);
        assert_eq!(dns, Some(counted));
        // What came of it counts all the same.
        let labels = [
            A,
            &format!("error_type=\"{}\"", outcome.error_type.as_str()),
            &format!("slo=\"{}\"", outcome.class.as_str()),
        ];
        assert_eq!(value(&telemetry, "bellwether_probe_runs_total", &labels), Some(1.0));
    }
}

#[test]
fn a_failure_counts_against_the_objective_however_fast_it_was() {
    let check = |outcome: Outcome, expected: [f64; 4]| {
        let telemetry = Telemetry::new();
        let target = target("a", 30, 39);
        telemetry.configure(std::slice::from_ref(&target));
        telemetry.probe_finished(&target, &outcome);
        let count = |metric: &str, kind: &str| value(&telemetry, metric, &[A, kind]).unwrap();
        let (observed, exceeded) = (
            "bellwether_probe_threshold_observed_total",
            "bellwether_probe_threshold_exceeded_total",
        );
        let (ttft, total) = ("kind=\"ttft\"", "kind=\"total\"");
        let found = [
            count(observed, ttft),
            count(exceeded, ttft),
            count(observed, total),
            count(exceeded, total),
        ];
        assert_eq!(found, expected, "{outcome:?}");
    };
    // 30 ms is not longer than 30 ms; 40 ms is longer than 39 ms.
    check(good(), [1.0, 0.0, 1.0, 1.0]);
    check(Outcome { total: MS, ..bad() }, [1.0, 1.0, 1.0, 1.0]);
    check(Outcome { is_cold: true, ..bad() }, [0.0; 4]);
    check(Outcome { is_conclusive: false, ..bad() }, [0.0; 4]);
    check(Outcome { class: SloClass::Excluded, ..bad() }, [0.0; 4]);
}

#[test]
fn every_threshold_is_a_bound_and_whole_bounds_have_a_dot() {
    let telemetry = Telemetry::new();
    telemetry.configure(&[target("a", 333, 7000)]);
    let text = telemetry.exposition();
    for (family, bound) in [
        ("time_to_first_token", "0.333"),
        ("time_to_first_output", "0.333"),
        ("duration", "7.0"),
        ("time_to_first_token", "1.0"),
        ("duration", "+Inf"),
    ] {
        let name = format!("bellwether_probe_{family}_seconds_bucket{{");
        let bound = format!("le=\"{bound}\"");
        let has = |line: &str| line.starts_with(&name) && line.contains(&bound);
        assert!(text.lines().any(has), "{family} {bound}");
    }
    let bare = text.lines().filter_map(|line| line.split("le=\"").nth(1));
    assert!(bare.map(|rest| rest.split('"').next().unwrap()).all(|le| le.contains(['.', 'I'])));
}

#[test]
fn a_changed_threshold_registers_anew_its_own_families_only() {
    let telemetry = Telemetry::new();
    let before = target("a", 500, 2000);
    telemetry.configure(std::slice::from_ref(&before));
    telemetry.probe_finished(&before, &good());
    assert!(telemetry.configure(std::slice::from_ref(&before)).is_empty());
    let after = target("a", 501, 2000);
    let renewed = telemetry.configure(std::slice::from_ref(&after));
    assert_eq!(renewed, [metrics::PROBE_TTFT.name, metrics::PROBE_TTFO.name]);
    for (metric, expected) in [
        ("bellwether_probe_time_to_first_token_seconds_count", 0.0),
        ("bellwether_probe_duration_seconds_count", 1.0),
        ("bellwether_probe_inter_chunk_seconds_count", 2.0),
        ("bellwether_probe_last_run_timestamp_seconds", 2.5),
    ] {
        assert_eq!(value(&telemetry, metric, &[A]), Some(expected), "{metric}");
    }
    let ttft = ["kind=\"ttft\""];
    assert_eq!(value(&telemetry, "bellwether_probe_threshold_seconds", &ttft), Some(0.501));
    let total = target("a", 501, 2500);
    assert_eq!(telemetry.configure(&[total]), [metrics::PROBE_DURATION.name]);
}

/// Everything that can come of a target's probes.
fn exhaust(telemetry: &Telemetry, target: &Target) {
    telemetry.probe_due(target, 3);
    telemetry.probe_missed(target, 1);
    telemetry.probe_sent(target, MS);
    telemetry.probe_in_flight(target, 1);
    SkipReason::ALL.iter().for_each(|reason| telemetry.probe_skipped(target, *reason));
    for error_type in ErrorType::ALL {
        let class = target.class(error_type);
        telemetry.probe_finished(target, &Outcome { error_type, class, ..good() });
    }
    for error_type in metrics::STREAM_FAILURES {
        for phase in StreamPhase::ALL {
            let (class, broke) = (target.class(error_type), Some(phase));
            telemetry.probe_finished(target, &Outcome { error_type, class, broke, ..bad() });
        }
    }
    for status in metrics::STATUSES.into_iter().chain([418]) {
        telemetry.probe_finished(target, &Outcome { status: Some(status), ..good() });
    }
    for kind in LimitKind::ALL {
        let rate_limits = RateLimits { refused_by: Some(kind), ..RateLimits::default() };
        telemetry.probe_finished(target, &Outcome { rate_limits, ..good() });
    }
    let rate_limits = RateLimits {
        refused_by: None,
        requests_limit: Some(1),
        requests_remaining: Some(1),
        tokens_limit: Some(1),
        tokens_remaining: Some(1),
        retry_after: None,
    };
    let anomalies = Anomaly::ALL.to_vec();
    telemetry.probe_slowed(target, true);
    let certificate_expires = Some(Timestamp::from_millis(1));
    telemetry.probe_finished(
        target,
        &Outcome { rate_limits, anomalies, certificate_expires, cost: None, ..good() },
    );
}

#[test]
fn a_target_that_is_gone_leaves_no_series() {
    let telemetry = Telemetry::new();
    let (gone, kept) = (target("gone", 500, 2000), target("kept", 500, 2000));
    telemetry.configure(&[gone.clone(), kept.clone()]);
    exhaust(&telemetry, &gone);
    exhaust(&telemetry, &kept);
    let lines = |name: &str| {
        let text = telemetry.exposition();
        text.lines().filter(|line| line.contains(&format!("\"{name}\""))).count()
    };
    let before = lines("kept");
    assert!(before > 300 && lines("gone") == before);
    telemetry.configure(std::slice::from_ref(&kept));
    // Its last probes end after the reload and count nowhere.
    exhaust(&telemetry, &gone);
    assert_eq!((lines("gone"), lines("kept")), (0, before));
}

#[test]
fn results_of_a_target_as_it_was_are_not_counted_for_what_it_became() {
    let telemetry = Telemetry::new();
    let before = target("a", 500, 2000);
    let after = Target { model: "m2".to_owned(), ..before.clone() };
    telemetry.configure(std::slice::from_ref(&before));
    telemetry.configure(std::slice::from_ref(&after));
    telemetry.probe_finished(&before, &good());
    let labels = [A, "error_type=\"none\"", "slo=\"good\""];
    assert_eq!(value(&telemetry, "bellwether_probe_runs_total", &labels), Some(0.0));
}

#[test]
fn the_bound_on_series_holds_and_is_close() {
    for count in [1, 3] {
        let telemetry = Telemetry::new();
        let targets: Vec<Target> =
            (1..=count).map(|n| target(&format!("t{n}"), 300 + n, 2000 + n)).collect();
        telemetry.configure(&targets);
        let names = |kind: &str, count: usize| -> Vec<String> {
            (0..count).map(|n| format!("{kind}{n}")).collect()
        };
        telemetry.configure_actions(&names("hook", 2), &names("rollback", 3), &names("group", 4));
        targets.iter().for_each(|target| exhaust(&telemetry, target));
        let mut sampler = Sampler::new("j", "i");
        // A scrape adds `up` and three more.
        let real = sampler.sample(&telemetry, &|_| true).len() + 4;
        let bound = metrics::series_bound((&targets, Detail::Full), 2, 3, 4);
        assert!(real <= bound, "{real} series, bound {bound}");
        assert!(bound - real <= bound / 50, "{real} series, bound {bound}");
    }
}

#[test]
fn each_level_of_detail_keeps_what_it_says_and_every_result() {
    let target = target("a", 500, 2000);
    for detail in Detail::ALL {
        let telemetry = Telemetry::new();
        // As if by a reload from another level.
        let other = if detail == Detail::Full { Detail::Minimal } else { Detail::Full };
        telemetry.configure_at(std::slice::from_ref(&target), other);
        exhaust(&telemetry, &target);
        telemetry.configure_at(std::slice::from_ref(&target), detail);
        exhaust(&telemetry, &target);
        let mut names = Vec::new();
        telemetry.each_family(&|_| true, &mut |family| names.push(family.name().to_owned()));
        for family in metrics::ALL.iter().filter(|one| one.scope == metrics::Scope::Target) {
            let is_kept = !metrics::left_out(detail).contains(family);
            assert_eq!(
                names.iter().any(|name| name == family.name),
                is_kept,
                "{detail:?}: {}",
                family.name
            );
        }
        let mut sampler = Sampler::new("j", "i");
        let series = sampler.sample(&telemetry, &|_| true);
        let real = series.iter().filter(|(labels, _)| labels.get("target") == Some("a")).count();
        let bound = metrics::target_series(std::slice::from_ref(&target), detail);
        assert!(real <= bound && bound - real <= 4, "{detail:?}: {real} series, bound {bound}");
        let error_type = if detail == Detail::Minimal { "any" } else { "truncated_stream" };
        let bad_ones = || {
            let labels = [A, &format!("error_type=\"{error_type}\""), "slo=\"bad\""];
            value(&telemetry, "bellwether_probe_runs_total", &labels).unwrap()
        };
        let before = bad_ones();
        telemetry.probe_finished(&target, &bad());
        assert_eq!(bad_ones() - before, 1.0, "{detail:?}");
    }
}

#[test]
fn names_that_are_gone_leave_no_series() {
    let telemetry = Telemetry::new();
    let names = |name: &str| vec![name.to_owned()];
    telemetry.configure_actions(&names("hook1"), &names("roll1"), &names("f;group1"));
    telemetry.delivery_attempt("hook1", Some(200));
    telemetry.rollback("roll1", "fired");
    telemetry.rules_evaluated("f;group1", 2, 1, MS);
    let group = ["rule_group=\"f;group1\""];
    let failures = "bellwether_rule_evaluation_failures_total";
    assert_eq!(value(&telemetry, failures, &group), Some(2.0));
    let failing = "bellwether_rule_group_failing_rules";
    assert_eq!(value(&telemetry, failing, &group), Some(2.0));
    telemetry.rules_evaluated("f;group1", 0, 0, MS);
    assert_eq!(value(&telemetry, failing, &group), Some(0.0));
    telemetry.configure_actions(&names("hook2"), &names("roll2"), &names("f;group2"));
    let text = telemetry.exposition();
    for (gone, here) in [("hook1", "hook2"), ("roll1", "roll2"), ("f;group1", "f;group2")] {
        assert!(!text.contains(gone) && text.contains(here), "{gone}");
    }
}

#[test]
fn a_sampler_keeps_each_label_set_once() {
    let telemetry = Telemetry::new();
    telemetry.configure(&[target("a", 500, 2000)]);
    let mut sampler = Sampler::new("j", "i:1");
    let first = sampler.sample(&telemetry, &|_| true);
    let kept = sampler.size();
    assert_eq!(kept, first.len());
    assert_eq!(sampler.sample(&telemetry, &|_| true).len(), first.len());
    assert_eq!(sampler.size(), kept);
    let one = sampler.sample(&telemetry, &|family| family == "bellwether_canary_healthy");
    assert_eq!(one.len(), 1);
    let (labels, value) = &one[0];
    assert_eq!((labels.metric(), *value), ("bellwether_canary_healthy", 1.0));
    assert_eq!((labels.get("job"), labels.get("instance")), (Some("j"), Some("i:1")));
}

#[test]
fn the_canary_counts_each_turn_to_red_once() {
    let telemetry = Telemetry::new();
    for is_green in [true, false, false, true, false] {
        telemetry.canary(is_green, MS);
    }
    assert_eq!(value(&telemetry, "bellwether_canary_stalls_total", &[]), Some(2.0));
    assert_eq!(value(&telemetry, "bellwether_canary_healthy", &[]), Some(0.0));
    telemetry.vantage(true);
    assert_eq!(value(&telemetry, "bellwether_vantage_suspect", &[]), Some(1.0));
}

#[test]
fn objectives_show_what_is_known_of_them_and_vanish_with_it() {
    let telemetry = Telemetry::new();
    let reading = |slo: &str, target: &str, remaining: Option<f64>| SloReading {
        slo: slo.to_owned(),
        objective: 0.999,
        target: target.to_owned(),
        remaining,
        burns: vec![("5m".to_owned(), None), ("1h".to_owned(), Some(14.5))],
    };
    telemetry.slos(&[
        reading("s", "a", None),
        reading("s", "b", Some(-0.5)),
        reading("z", "a", None),
    ]);
    let remaining = "bellwether_slo_error_budget_remaining_ratio";
    let burn = "bellwether_slo_burn_rate";
    assert_eq!(value(&telemetry, remaining, &["slo=\"s\""]), Some(-0.5), "that of `b` alone");
    assert_eq!(value(&telemetry, burn, &["slo=\"s\"", A]), Some(14.5), "5m is not known");
    assert_eq!(value(&telemetry, "bellwether_slo_objective_ratio", &["slo=\"s\""]), Some(0.999));
    telemetry.slos(&[reading("s", "a", Some(1.0))]);
    assert_eq!(value(&telemetry, remaining, &[]), Some(1.0));
    assert_eq!(value(&telemetry, burn, &[]), Some(14.5));
    let shown =
        telemetry.exposition().lines().filter(|line| line.starts_with("bellwether_slo")).count();
    assert!(shown <= metrics::slo_series(1, 2));
    telemetry.slos(&[]);
    assert_eq!(value(&telemetry, "bellwether_slo_objective_ratio", &[]), None);
}

#[test]
fn releases_show_where_they_stand_and_what_is_told_and_vanish_with_the_configuration() {
    let telemetry = Telemetry::new();
    let gate = |name: &str| GateReading {
        gate: name.to_owned(),
        verdict: "inconclusive",
        bad: 3,
        finished: 300,
        against: 0.25,
        in_favour: Some(0.5),
    };
    let reading = |state: &'static str, stage: usize, told: &[&'static str]| ReleaseReading {
        release: "r".to_owned(),
        generation: 2,
        state,
        share: 25,
        stage,
        entered_at: Some(Timestamp::from_millis(7500)),
        is_drilled: true,
        told: told.to_vec(),
        probe_budget: Some(Money::from_nanos(2_500_000_000)),
        gates: vec![gate("errors"), gate("ttft")],
    };
    telemetry.releases(&[reading("running", 1, &["stage", "no_data"])]);
    let is = |name: &str, labels: &[&str], expected: f64| {
        let name = format!("bellwether_release_{name}");
        assert_eq!(value(&telemetry, &name, labels), Some(expected), "{name} {labels:?}");
    };
    is("state", &["state=\"running\""], 1.0);
    is("weight_ratio", &["arm=\"candidate\""], 0.25);
    is("stage_entered_timestamp_seconds", &[], 7.5);
    is("gate_evidence_ratio", &["direction=\"for\"", "gate=\"ttft\""], 0.5);
    // Of the eleven that want something of somebody, one holds; a stage that begins wants nothing.
    is("notice", &["event=\"no_data\""], 1.0);
    is("notice", &["event=\"capped\""], 0.0);
    assert_eq!(value(&telemetry, "bellwether_release_notice", &["event=\"stage\""]), None);
    is("transitions_total", &["state=\"running\""], 0.0);
    is("probe_budget_usd", &[], 2.5);
    is("probe_budget_spent_usd", &[], 0.0);
    telemetry.release_probe_budget_spent("r", Money::from_nanos(1_500_000_000));
    is("probe_budget_spent_usd", &[], 1.5);
    telemetry.releases(&[reading("running", 2, &[])]);
    telemetry.release_moved("r", "running");
    telemetry.release_moved("r", "rolling_back");
    telemetry.releases(&[reading("rolling_back", 2, &["rolling_back"])]);
    is("notice", &["event=\"no_data\""], 0.0);
    is("notice", &["event=\"rolling_back\""], 1.0);
    is("transitions_total", &["state=\"running\""], 1.0);
    is("transitions_total", &["state=\"rolling_back\""], 1.0);
    let shown = || {
        let text = telemetry.exposition();
        text.lines().filter(|line| line.starts_with("bellwether_release")).count()
    };
    assert_eq!(shown(), metrics::release_series(2));
    telemetry.releases(&[]);
    // A probe that ends later brings nothing back.
    telemetry.release_probe_budget_spent("r", Money::from_nanos(1));
    assert_eq!(shown(), 0);
}

#[test]
fn the_cadence_follows_a_reload() {
    let telemetry = Telemetry::new();
    let target = target("a", 500, 2000);
    telemetry.configure(std::slice::from_ref(&target));
    let interval = "bellwether_probe_interval_seconds";
    assert_eq!(value(&telemetry, interval, &[A]), Some(1.0));
    telemetry.configure(&[Target { interval: 250 * MS, ..target }]);
    assert_eq!(value(&telemetry, interval, &[A]), Some(0.25));
    telemetry.configure::<Target>(&[]);
    assert_eq!(value(&telemetry, interval, &[]), None);
}

// Any rule file that goes by results is quiet over counters that stand still.
#[test]
fn planned_maintenance_is_counted_apart_and_in_no_other_result() {
    let telemetry = Telemetry::new();
    let target = target("a", 500, 2000);
    telemetry.configure(std::slice::from_ref(&target));
    let counts = |telemetry: &Telemetry| -> Vec<String> {
        let text = telemetry.exposition();
        let apart = ["maintenance", "tokens_total", "cost_usd", "unpriced"];
        let is_result = |line: &&str| {
            line.starts_with("bellwether_probe_")
                && ["_total{", "_count{", "_sum{"].iter().any(|end| line.contains(end))
                && !apart.iter().any(|name| line.contains(name))
        };
        text.lines().filter(is_result).map(str::to_owned).collect()
    };
    let before = counts(&telemetry);
    assert!(before.len() > 100, "{before:?}");
    let broken = StreamPhase::AfterContent;
    for outcome in [
        Outcome { anomalies: vec![Anomaly::ALL[0]], ..good() },
        Outcome { broke: Some(broken), status: Some(503), ..bad() },
        Outcome { error_type: ErrorType::RateLimited, is_conclusive: false, ..good() },
        bad(),
    ] {
        let planned = Outcome { class: SloClass::Excluded, is_planned: true, ..outcome };
        telemetry.probe_finished(&target, &planned);
    }
    assert_eq!(counts(&telemetry), before);
    for (class, count) in [("good", 1.0), ("bad", 2.0), ("excluded", 1.0)] {
        let labels = [A, &format!("slo=\"{class}\"")];
        let found = value(&telemetry, "bellwether_probe_maintenance_runs_total", &labels);
        assert_eq!(found, Some(count), "{class}");
    }
    let spent = value(&telemetry, "bellwether_probe_tokens_total", &["type=\"output\""]);
    assert_eq!(spent, Some(20.0), "five tokens each were paid for all the same");
    assert_eq!(value(&telemetry, "bellwether_probe_maintenance", &[A]), Some(0.0));
    telemetry.probe_maintenance(&target, true);
    assert_eq!(value(&telemetry, "bellwether_probe_maintenance", &[A]), Some(1.0));
    telemetry.configure::<Target>(&[]);
    assert_eq!(value(&telemetry, "bellwether_probe_maintenance", &[A]), None);
    let runs = value(&telemetry, "bellwether_probe_maintenance_runs_total", &["slo=\"bad\""]);
    assert_eq!(runs, None);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_notice_grows_older_while_its_queue_sleeps() {
    const OLDEST: &str = "bellwether_webhook_oldest_pending_seconds";
    let telemetry = Telemetry::new();
    let hooks = ["a".to_owned(), "b".to_owned()];
    telemetry.configure_actions(&hooks, &[], &[]);
    telemetry.delivery_queue("a", 2, Some(1500 * MS));
    telemetry.delivery_queue("b", 0, None);
    tokio::time::advance(60_000 * MS).await;
    assert_eq!(value(&telemetry, OLDEST, &["hook=\"a\""]), Some(61.5));
    assert_eq!(value(&telemetry, OLDEST, &["hook=\"b\""]), Some(0.0));
    telemetry.delivery_queue("a", 0, None);
    tokio::time::advance(1000 * MS).await;
    assert_eq!(value(&telemetry, OLDEST, &["hook=\"a\""]), Some(0.0));
    telemetry.delivery_queue("a", 1, Some(MS));
    telemetry.configure_actions(&hooks[1..], &[], &[]);
    assert_eq!(value(&telemetry, OLDEST, &["hook=\"a\""]), None, "one that is gone stays gone");
}

#[test]
fn traffic_is_repriced_request_by_request() {
    let telemetry = Telemetry::new();
    let rate = |dollars: u64| Money::from_nanos(dollars * 1_000_000_000);
    let priced = |input, output| {
        let price = PriceList::always(Price::flat(Rates::plain(rate(input), rate(output))));
        let model = Model { price: Some(price), ..Model::default() };
        let models = BTreeMap::from([("m".to_owned(), model)]);
        Arc::new(Provider { models, ..Provider::clone(&target("a", 500, 2000).provider) })
    };
    let stable = Target { provider: priced(1, 10), ..target("a", 500, 2000) };
    telemetry.configure(std::slice::from_ref(&stable));
    telemetry.compare(vec![Comparison {
        name: "move".to_owned(),
        stable: vec![stable.id.clone()],
        candidate: priced(2, 5),
        model: "m".to_owned(),
    }]);
    let cost = "bellwether_comparison_cost_usd_total";
    let of = |prices: &str| {
        let prices = format!("prices=\"{prices}\"");
        value(&telemetry, cost, &["comparison=\"move\"", "purpose=\"live\"", &prices])
    };
    assert_eq!((of("stable"), of("candidate")), (Some(0.0), Some(0.0)));
    // By hand: 1,000 tokens of input and 100 of output are 0.001 + 0.001 dollars there and 0.002 +
    // 0.0005 here.
    let usage = Usage { input: 1000, output: 100, ..Usage::default() };
    let paid = Some(Money::from_nanos(2_000_000));
    telemetry.spend(&stable, Purpose::Live, Some(&usage), paid, Timestamp::from_millis(0));
    telemetry.spend(&stable, Purpose::Live, None, None, Timestamp::from_millis(0));
    assert_eq!((of("stable"), of("candidate")), (Some(0.002), Some(0.0025)));
    let labels = ["model=\"m\"", "purpose=\"live\""];
    assert_eq!(value(&telemetry, "bellwether_cost_usd_total", &labels), Some(0.002));
    assert_eq!(value(&telemetry, "bellwether_cost_unpriced_total", &labels), Some(1.0));
    telemetry.compare(Vec::new());
    assert_eq!(of("stable"), None, "a comparison that is gone leaves no series");
}

#[test]
fn a_budget_is_exported_where_there_is_one() {
    let telemetry = Telemetry::new();
    let limited = Budget::Limited { daily: None, monthly: Some(Money::from_nanos(20_000_000_000)) };
    let target = Target { budget: limited, ..target("a", 500, 2000) };
    telemetry.configure(std::slice::from_ref(&target));
    telemetry.probe_budget(&target, [Money::from_nanos(1), Money::from_nanos(5_000_000_000)]);
    let of = |name: &str, period: &str| {
        let period = format!("period=\"{period}\"");
        value(&telemetry, name, &["target=\"a\"", &period])
    };
    assert_eq!(of("bellwether_probe_budget_usd", "month"), Some(20.0));
    assert_eq!(of("bellwether_probe_budget_spent_usd", "month"), Some(5.0));
    assert_eq!(of("bellwether_probe_budget_spent_usd", "day"), None);
    telemetry.configure(&[Target { budget: Budget::Unlimited, ..target }]);
    assert_eq!(of("bellwether_probe_budget_usd", "month"), None);
}

#[test]
fn models_are_shown_for_the_providers_that_are_asked_and_vanish_with_them() {
    let telemetry = Telemetry::new();
    telemetry.models_watched(&["p", "q"]);
    let reading = |model: &str, is_listed, is_deprecated| ModelReading {
        model: model.to_owned(),
        is_listed,
        is_deprecated,
    };
    let shown = || {
        let text = telemetry.exposition();
        let lines = text.lines().filter(|line| line.starts_with("bellwether_model_"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    telemetry.models_listed(
        "p",
        &[reading("m", true, true), reading("gone", false, false)],
        (2, 1),
    );
    telemetry.models_unknown("q");
    // Nobody asks it any more: what comes late is not shown.
    telemetry.models_listed("r", &[reading("m", true, false)], (0, 0));
    let lines = shown();
    for line in [
        r#"bellwether_model_listed{model="m",provider_name="p"} 1"#,
        r#"bellwether_model_listed{model="gone",provider_name="p"} 0"#,
        r#"bellwether_model_deprecated{model="m",provider_name="p"} 1"#,
        r#"bellwether_model_lists_total{provider_name="p",result="ok"} 1"#,
        r#"bellwether_model_lists_total{provider_name="q",result="failed"} 1"#,
        r#"bellwether_model_list_changes_total{change="appeared",provider_name="p"} 2"#,
        r#"bellwether_model_list_changes_total{change="vanished",provider_name="q"} 0"#,
    ] {
        assert!(lines.iter().any(|shown| shown == line), "{line} in {lines:#?}");
    }
    assert!(lines.len() <= metrics::catalog_series(2, 2), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("\"r\"")));
    telemetry.models_watched(&["q"]);
    assert!(!shown().iter().any(|line| line.contains("provider_name=\"p\"")));
}
