//! A scripted fault, seen by bellwether and by a real Prometheus that scrapes it.
//!
//! Both judge by the same files: the shipped rules, `short.yml`, and the rules of objectives as
//! `bellwether slo generate` prints them. For each alert, told apart by
//! all its labels, both must go through the same states at the same times.
//!
//! How far apart may the times be? The two look at the same counters by their own clocks: each
//! samples once a second and evaluates once in the group's interval, at moments that have nothing
//! to do with one another. So the same event enters one's samples up to one scrape later than the
//! other's, and one's evaluation up to one interval later; a rule that reads what another group
//! records adds that group's interval. What the machine stood still is measured, as the largest gap
//! in either's samples, and added: it delays one and not the other.
//!
//! Prometheus 2.42 has windows that are closed on the left, bellwether those of 3.x, which are
//! open: a sample that lies exactly on a window's left edge is counted by one only. Both scrape and
//! evaluate at offsets that come from hashes, to the millisecond and finer, so samples keep off the
//! edges but for one run in a thousand; then it is one sample more in a window, which is what the
//! tolerance of a scrape is for.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether::slo;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::promtool;
use crate::run::{Run, Settings, now, own_rules, shipped_rules};
use crate::samples;
use crate::stage::{Directory, Process};
use crate::timeline::{Labels, Timeline, labels};
use crate::web;

/// In seconds, as the configurations below say.
const SCRAPE: f64 = 1.0;
const EVALUATION: f64 = 1.0;
const POLL: f64 = 0.5;
/// The group of `rollback.yml` says its own.
const ROLLBACK_EVALUATION: f64 = 15.0;
/// From the fault's script on: healthy, ill from 10 s, well from 26 s, and time to calm down.
const SCRIPT: Duration = Duration::from_secs(42);
/// A machine that stood still for longer can't tell when anything happened.
const LAG_MAX: f64 = 5.0;

const ERRORS: &str = "
phases:
  - {after: 0s, ttft: 20ms, gap: 1ms}
  - after: 10s
    faults:
      - {kind: http, status: 503, share: 0.5}
      - {kind: truncated, share: 0.5}
  - {after: 26s, faults: []}
";
const LATENCY: &str = "
phases:
  - {after: 0s, ttft: 20ms, gap: 1ms}
  - {after: 10s, ttft: 1600ms}
  - {after: 26s, ttft: 20ms}
";

/// Objectives over a day, the shortest there is: its windows begin at ten seconds. At four probes a
/// second it holds 345,600, of which 345.6 may fail; 7, 18, 35 and 35 failures reach the four alerts
/// of one target, and the fault brings about 64. Both targets together need twice as many.
const OBJECTIVES: &str = "
slos:
  - {name: answers, indicator: availability, objective: 99.9, window: 1d, targets: [stable]}
  - {name: first-token, indicator: ttft, objective: 99.9, window: 1d, targets: [candidate]}
  - name: both
    indicator: availability
    objective: 99.9
    window: 1d
    matchers: ['target=~\".+\"']
    combine: true
    labels: {team: \"ml\"}
";
/// Of the slow ones among their rule groups.
const OBJECTIVE_EVALUATION: f64 = 5.0;

/// A gauge of this machine's own stalls: it turns for moments, between two scrapes.
const NOISE: &str = "BellwetherCanaryRed";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn prometheus_and_bellwether_agree_alert_by_alert_and_label_by_label() {
    // Nothing is probed before both have seen every counter at zero: windows that are longer than
    // the run then hold the same in both.
    let mut rules = shipped_rules();
    rules.push(own_rules("short.yml"));
    let settings =
        Settings { rules: rules.clone(), probe_interval: "12h", sections: OBJECTIVES.to_owned() };
    let mut run = Run::start(settings).await;
    rules.push(generated(&run.directory));
    let prometheus = scrape(&run.directory, &run.bellwether, &rules).await;
    both_are_calm(&prometheus.url(""), &run.bellwether.url("")).await;
    run.probe_every("250ms").await;
    web::send(Method::PUT, &run.incumbent.url("/-/script"), ERRORS).await;
    web::send(Method::PUT, &run.relay.url("/-/script"), LATENCY).await;
    let from = now();
    let mut theirs = Told::default();
    let mut ours = Told::default();
    let mut ticks = interval(Duration::from_secs_f64(POLL));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ends = Instant::now() + SCRIPT;
    while Instant::now() < ends {
        ticks.tick().await;
        let (base, other) = (prometheus.url(""), run.bellwether.url(""));
        tokio::join!(theirs.poll(&base), ours.poll(&other));
    }
    let until = now();

    let window = format!("{}s", (until - from).ceil() + 5.0);
    let (their_lag, their_alerts) = history(&prometheus.url(""), &window, until).await;
    let (our_lag, our_alerts) = history(&run.bellwether.url(""), &window, until).await;
    let lag = their_lag.max(our_lag);
    assert!(lag < LAG_MAX, "this machine stood still for {lag:.1} s");
    let tolerance = |labels: &Labels| SCRAPE + evaluation(labels) + lag;

    // The states as evaluations wrote them, and as the API showed them to whoever looked.
    let told = |base: &Value| {
        Timeline::of_alerts(base, |labels| 2.0 * own_evaluation(labels) + lag, until)
    };
    let (written, our_written) = (told(&their_alerts), told(&our_alerts));
    // Prometheus writes `ALERTS` only once it has restored a group, after its second evaluation, and
    // on a fast machine the fault comes sooner than that. What it fires is in the API all the same.
    let restored = |labels: &Labels| tolerance(labels) + own_evaluation(labels);
    let mut differences = our_written.differences(&written, from, until, restored);
    let polled = |labels: &Labels| tolerance(labels) + POLL;
    differences.extend(ours.timeline.differences(&theirs.timeline, from, until, polled));
    differences.extend(words(&ours.alerts, &theirs.alerts));
    differences.extend(same_rules(&ours.rules, &theirs.rules));
    assert!(differences.is_empty(), "lag {lag:.2} s, ours first:\n{}", differences.join("\n"));
    went_through(&our_written);

    samples::have_the_same_series(&run.bellwether, &prometheus, until).await;
    samples::give_the_same_answers(&run.bellwether, until).await;
}

/// The test would prove nothing if the alerts did not do this.
fn went_through(timeline: &Timeline) {
    for (name, target, states) in [
        ("ShortErrors", "stable", &["firing", "inactive"][..]),
        ("ShortErrorsWait", "stable", &["pending", "firing", "inactive"]),
        ("ShortErrorsLinger", "stable", &["firing", "inactive"]),
        ("ShortErrorsWaitAndLinger", "stable", &["pending", "firing", "inactive"]),
        ("ShortErrorsNever", "stable", &["pending", "inactive"]),
        ("ShortErrorTypes", "stable", &["firing", "inactive"]),
        ("ShortLatency", "candidate", &["pending", "firing", "inactive"]),
        ("ShortAbsent", "stable", &["firing", "inactive", "firing"]),
        ("ConstantThreshold", "stable", &["pending", "firing", "inactive"]),
        ("BellwetherErrorRatioHigh", "stable", &["pending"]),
        ("BellwetherTargetDown", "stable", &["pending", "inactive"]),
        ("BellwetherRollbackErrorRatio", "stable", &["firing"]),
        ("BellwetherRollbackLatency", "candidate", &["firing"]),
    ] {
        let of = |label: &str, labels: &Labels| labels.get(label).cloned().unwrap_or_default();
        let mut found = timeline
            .alerts()
            .filter(|labels| of("alertname", labels) == name && of("target", labels) == target)
            .peekable();
        assert!(found.peek().is_some(), "{name} of {target} was never active");
        for labels in found {
            assert_eq!(timeline.states(labels), states, "{labels:?}");
        }
    }
    // The shortest window empties before the run is over. Both together never need a ticket.
    let mut burnt: Vec<(&str, &str, Vec<&str>)> = timeline
        .alerts()
        .filter(|labels| labels["alertname"] == slo::ALERT)
        .map(|labels| (&*labels["slo"], &*labels["long_window"], timeline.states(labels)))
        .collect();
    burnt.sort();
    let (over, firing) = (vec!["firing", "inactive"], vec!["firing"]);
    let each = |name| {
        [("12m", &firing), ("2h24m", &firing), ("2m", &over), ("48m", &firing)]
            .map(|(window, states)| (name, window, states.clone()))
    };
    let both = [("both", "12m", firing.clone()), ("both", "2m", over.clone())];
    let due = each("answers").into_iter().chain(both).chain(each("first-token"));
    assert_eq!(burnt, due.collect::<Vec<_>>());
}

/// Waits until both show what holds before the first probe, and nothing else: one that starts may
/// judge before its first scrape.
async fn both_are_calm(theirs: &str, ours: &str) {
    let calm = ["ConstantUp firing", "ShortAbsent firing"];
    for base in [theirs, ours] {
        web::eventually("the alerts of a calm start", Duration::from_secs(30), async || {
            let active = active(base).await;
            let shown = |alert: &Active| format!("{} {}", alert.labels["alertname"], alert.state);
            let mut shown: Vec<String> = active.iter().map(shown).collect();
            shown.retain(|alert| !alert.starts_with(NOISE));
            shown.sort();
            (shown == calm).then_some(())
        })
        .await;
    }
}

/// A Prometheus that scrapes bellwether every second and loads the same rules.
async fn scrape(
    directory: &Directory,
    bellwether: &Process,
    rules: &[std::path::PathBuf],
) -> Process {
    let files: Vec<String> = rules.iter().map(|path| format!("\"{}\"", path.display())).collect();
    let config = format!(
        "
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{}]
scrape_configs:
  - job_name: bellwether
    static_configs: [{{targets: [\"{}\"]}}]
",
        files.join(", "),
        bellwether.address
    );
    let config = directory.write("prometheus.yml", &config);
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", directory.path("prometheus").display()),
    ];
    Process::peer(directory, "prometheus", &arguments).await
}

/// The rules of the objectives, as a Prometheus is given them.
fn generated(directory: &Directory) -> std::path::PathBuf {
    let (config, rules) = (directory.path("bellwether.yml"), directory.path("slos.yml"));
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["slo", "generate", "--config.file"])
        .arg(config)
        .arg("--output")
        .arg(&rules)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let checked = promtool::run(&["check", "rules", rules.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&checked.stdout).contains("SUCCESS"), "{checked:?}");
    rules
}

/// The interval of the group that an alert's rule stands in.
fn own_evaluation(labels: &Labels) -> f64 {
    if labels["alertname"] == slo::ALERT && labels["severity"] == "ticket" {
        OBJECTIVE_EVALUATION
    } else if labels["alertname"].starts_with("BellwetherRollback") {
        ROLLBACK_EVALUATION
    } else {
        EVALUATION
    }
}

/// That, and the interval of the group that records what the rule reads.
fn evaluation(labels: &Labels) -> f64 {
    let name = &labels["alertname"];
    let reads_records = name.starts_with("Bellwether") && !name.starts_with("BellwetherRollback");
    own_evaluation(labels) + if reads_records { EVALUATION } else { 0.0 }
}

/// By how much the largest gap between two samples is larger than it should be, and `ALERTS`.
async fn history(base: &str, window: &str, until: f64) -> (f64, Value) {
    let url = format!("{base}/api/v1/query");
    let time = format!("{until:.3}");
    let query = async |expr: String| web::ask(&url, &[("query", &expr), ("time", &time)]).await;
    let mut lag: f64 = 0.0;
    for name in ["up", "ALERTS{alertname=\"ConstantUp\"}"] {
        let data = query(format!("{name}[{window}]")).await;
        for series in data["result"].as_array().unwrap() {
            let times: Vec<f64> = series["values"]
                .as_array()
                .unwrap()
                .iter()
                .map(|s| s[0].as_f64().unwrap())
                .collect();
            lag = times.windows(2).map(|pair| pair[1] - pair[0] - SCRAPE).fold(lag, f64::max);
        }
    }
    (lag, query(format!("ALERTS{{alertname!=\"{NOISE}\"}}[{window}]")).await)
}

/// What a program told when it was asked again and again.
#[derive(Default)]
struct Told {
    timeline: Timeline,
    /// The annotations of each alert, as last seen firing or pending.
    alerts: BTreeMap<Labels, Labels>,
    /// The groups of `/api/v1/rules`, as last seen.
    rules: Value,
}

struct Active {
    labels: Labels,
    annotations: Labels,
    state: String,
}

impl Told {
    /// Looks at `/api/v1/alerts` and `/api/v1/rules`; a state counts from the earlier of the two.
    async fn poll(&mut self, base: &str) {
        let mut seen = active(base).await;
        seen.retain(|alert| alert.labels["alertname"] != NOISE);
        self.timeline.see(now(), seen.iter().map(|a| (a.labels.clone(), a.state.as_str())));
        self.alerts.extend(seen.into_iter().map(|alert| (alert.labels, alert.annotations)));

        self.rules = web::api(&format!("{base}/api/v1/rules")).await["groups"].take();
        let rules = self.rules.as_array().unwrap().iter();
        let alerts = rules.flat_map(|group| group["rules"].as_array().unwrap());
        let alerts = alerts.filter_map(|rule| rule["alerts"].as_array()).flatten().map(read);
        let mut seen: Vec<Active> = alerts.collect();
        seen.retain(|alert| alert.labels["alertname"] != NOISE);
        self.timeline.see(now(), seen.iter().map(|a| (a.labels.clone(), a.state.as_str())));
    }
}

async fn active(base: &str) -> Vec<Active> {
    let data = web::api(&format!("{base}/api/v1/alerts")).await;
    data["alerts"].as_array().unwrap().iter().map(read).collect()
}

fn read(alert: &Value) -> Active {
    for field in ["labels", "annotations", "state", "activeAt", "value"] {
        assert!(!alert[field].is_null(), "an alert has no `{field}`: {alert}");
    }
    Active {
        labels: labels(&alert["labels"]),
        annotations: labels(&alert["annotations"]),
        state: alert["state"].as_str().unwrap().to_owned(),
    }
}

/// Annotations are the same but for the digits of a value that is measured; those of a constant are
/// the same to the letter.
fn words(ours: &BTreeMap<Labels, Labels>, theirs: &BTreeMap<Labels, Labels>) -> Vec<String> {
    let mut differences = Vec::new();
    for (labels, annotations) in ours {
        // Who is missing at the other's is found by the timelines.
        let Some(other) = theirs.get(labels) else { continue };
        let is_constant = labels["alertname"].starts_with("Constant");
        let blur = |annotations: &Labels| -> Labels {
            let blurred =
                annotations.iter().map(|(name, text)| (name.clone(), without_numbers(text)));
            if is_constant { annotations.clone() } else { blurred.collect() }
        };
        if blur(annotations) != blur(other) {
            differences.push(format!("{labels:?}: {annotations:?} is not {other:?}"));
        }
    }
    differences
}

/// Every number becomes `#`.
fn without_numbers(text: &str) -> String {
    let mut blurred = String::new();
    for character in text.chars() {
        if !character.is_ascii_digit() && character != '.' {
            blurred.push(character);
        } else if !blurred.ends_with('#') {
            blurred.push('#');
        }
    }
    blurred
}

/// The rules as `/api/v1/rules` describes them: everything but times, values and where files lie.
fn same_rules(ours: &Value, theirs: &Value) -> Vec<String> {
    let described = |groups: &Value| -> Vec<String> {
        let mut described = Vec::new();
        for group in groups.as_array().unwrap() {
            for rule in group["rules"].as_array().unwrap() {
                let mut rule = rule.clone();
                let rule = rule.as_object_mut().unwrap();
                for changing in ["alerts", "state", "evaluationTime", "lastEvaluation"] {
                    rule.remove(changing);
                }
                // Numbers are compared by what they mean: `1` is `1.0`.
                for number in ["duration", "keepFiringFor"] {
                    if let Some(seconds) = rule.get(number).map(|number| number.as_f64().unwrap()) {
                        rule.insert(number.to_owned(), seconds.into());
                    }
                }
                let rule = serde_json::to_string_pretty(rule).unwrap();
                let interval = group["interval"].as_f64().unwrap();
                described.push(format!("{} every {interval} s: {rule}", group["name"]));
            }
        }
        described.sort();
        described
    };
    let (ours, theirs) = (described(ours), described(theirs));
    let pairs = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs);
    let mut differences: Vec<String> =
        pairs.map(|(ours, theirs)| format!("rule {ours}\nis not {theirs}")).collect();
    if ours.len() != theirs.len() {
        differences.push(format!("{} rules are not {}", ours.len(), theirs.len()));
    }
    differences
}
