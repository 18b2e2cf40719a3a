//! `bellwether replay`, the built program: over an incident that was recorded, what is said of it
//! was worked out by hand from `for`, intervals and windows; with the feature `peers`, promtool and
//! a real Prometheus have the last word.

#![expect(clippy::unwrap_used, reason = "what can't be had is a failed test")]

mod incident;
#[cfg(feature = "peers")]
mod peers;
mod server;
mod stage;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::time::Duration;

use bellwether::archive::Archive;
use bellwether::model::{Labels, Matcher, Sample, Timestamp};
use bellwether::series::{Settings, Watch};
use bellwether::telemetry::Telemetry;
use incident::{CONFIG, RULES, STRICTER, T0};
use stage::Stage;

/// The alerts' own lines, by hand. The group's slots are every 30 s from the start on, as its hash
/// says: see [`T0`]. The ratio is high from 300 s and falls at 600 s; `for` is 1m; the window of 2m
/// holds the last high sample, that of 585 s, until the slot of 690 s; `lonely` ends at 465 s.
const ALERTS: [&str; 7] = [
    "0 firing Present",
    "300 pending ErrorRatio",
    "300 firing ErrorRatioSlow",
    "360 firing ErrorRatio",
    "480 resolved Present",
    "600 resolved ErrorRatio",
    "720 resolved ErrorRatioSlow",
];

#[tokio::test]
async fn the_timeline_is_that_of_the_slots() {
    let stage = Stage::recorded().await;
    let replayed = stage.replay(&["--rules", "rules.yml", "--source", "store"]);
    assert_eq!((replayed.code, replayed.timeline()), (0, ALERTS.map(str::to_owned).to_vec()));

    let summary = replayed.summary();
    let alert = |name: &str| {
        let mut alerts = summary["alerts"].as_array().unwrap().iter();
        alerts.find(|row| row["labels"]["alertname"] == name).unwrap().clone()
    };
    assert_eq!(alert("ErrorRatio")["firing_seconds"], 240.0);
    assert_eq!(alert("ErrorRatio")["pending"], 1);
    assert_eq!(alert("ErrorRatioSlow")["firing_seconds"], 420.0);
    assert_eq!(alert("Present")["is_firing"], false);
    let rule = |list: &str| {
        let rules = summary[list].as_array().unwrap().iter();
        rules.map(|rule| rule["rule"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rule("never_fired"), ["Nothing"]);
    assert_eq!(rule("without_series"), ["Nothing"]);
    assert_eq!(summary["without_series"][0]["selector"], "no_such_metric{a=\"b\"}");
    // `error_ratio:max2m` and `ALERTS` of `ErrorRatio` were recorded, too, with values that would
    // fire everything.
    assert!(replayed.out.contains("recorded series were left out"), "{}", replayed.out);
}

// Flushes come 10 s after a group's first alert and every minute from then on.
#[tokio::test]
async fn a_configuration_says_who_would_have_been_told_and_what_rolled_back() {
    let stage = Stage::recorded().await;
    stage.write("bellwether.yml", CONFIG);
    let replayed = stage.replay(&["-c", "bellwether.yml", "--source", "store"]);
    assert_eq!(
        (replayed.code, replayed.timeline()),
        (
            0,
            [
                "0 firing Present",
                "10 notice team first notification",
                "300 pending ErrorRatio",
                "300 firing ErrorRatioSlow",
                "310 notice team first notification",
                "360 firing ErrorRatio",
                "360 rollback back fired ErrorRatio",
                "370 notice team first notification",
                "480 resolved Present",
                "490 notice team all alerts resolved",
                "600 resolved ErrorRatio",
                "610 notice team all alerts resolved",
                "720 resolved ErrorRatioSlow",
                "730 notice team all alerts resolved",
            ]
            .map(str::to_owned)
            .to_vec()
        )
    );
    let why = replayed.lines("rollback")[0]["why"].as_str().unwrap().to_owned();
    assert!(why.contains("stable is good; stable: good (3 good, 0 bad)"), "{why}");
    assert_eq!(replayed.summary()["notices"]["team"], 6);
}

#[tokio::test]
async fn every_kind_of_notice_is_shown_with_the_labels_that_it_would_carry() {
    let stage = Stage::recorded().await;
    let webhook = "webhook_configs: [{url: 'http://127.0.0.1:1/'}]";
    let all = format!(
        "{webhook}\n    slack_configs: [{{api_url: 'env:UNSET', send_resolved: true}}]\n    \
         pagerduty_configs: [{{routing_key: 'env:UNSET'}}]"
    );
    stage.write("bellwether.yml", &CONFIG.replace(webhook, &all));
    let replayed = stage.replay(&["-c", "bellwether.yml", "--source", "store"]);
    let notices = replayed.lines("notice");
    assert_eq!(notices.len(), 18, "the six of each: {}", replayed.out);
    for three in notices.chunks(3) {
        let hooks = three.iter().map(|line| line["hook"].as_str().unwrap());
        assert_eq!(hooks.collect::<std::collections::BTreeSet<_>>().len(), 3, "{three:?}");
        let told = |line: &serde_json::Value| (line["firing"].clone(), line["resolved"].clone());
        assert!(three.iter().all(|line| told(line) == told(&three[0])), "{three:?}");
        let (firing, resolved) = told(&three[0]);
        let count = |list: &serde_json::Value| list.as_array().unwrap().len();
        assert_eq!(count(&firing) + count(&resolved), 1, "{three:?}");
    }
    let broken = serde_json::json!([
        {"alertname": "ErrorRatio", "instance": "i", "job": "j", "severity": "rollback",
         "target": "candidate"}
    ]);
    let of_it = |side: &str| notices.iter().filter(|line| line[side] == broken).count();
    assert_eq!((of_it("firing"), of_it("resolved")), (3, 3));
}

// Rules run five minutes before, as one of them looks back that far at what another writes: from
// the slot of 30 s on.
#[tokio::test]
async fn what_is_active_when_it_begins_is_said_once() {
    let stage = Stage::recorded().await;
    let from = format!("{}.417", T0 / 1000 + 330);
    let to = format!("{}.417", T0 / 1000 + 500);
    let arguments = ["--rules", "rules.yml", "--source", "store", "--from", &from, "--to", &to];
    let replayed = stage.replay(&arguments);
    assert_eq!(
        replayed.timeline(),
        [
            "330 already ErrorRatio pending since 300",
            "330 already ErrorRatioSlow firing since 300",
            "330 already Present firing since 30 or earlier",
            "360 firing ErrorRatio",
            "480 resolved Present",
        ]
    );
    // What fires still is counted up to the end.
    assert!(replayed.summary()["alerts"][1]["is_firing"].as_bool().unwrap());
    assert_eq!(replayed.summary()["alerts"][1]["firing_seconds"], 170.0);
}

#[tokio::test]
async fn other_rules_differ_by_alerts_times_and_rollbacks() {
    let stage = Stage::recorded().await;
    stage.write("bellwether.yml", CONFIG);
    stage.write("other/stricter.yml", STRICTER);
    let arguments = ["-c", "bellwether.yml", "--source", "store", "--against"];
    let same = stage.text(&[&arguments[..], &["rules.yml"]].concat());
    assert_eq!(same.code, 0, "{}", same.out);
    assert!(same.out.ends_with("the other rules make no difference\n"), "{}", same.out);

    let differs = stage.text(&[&arguments[..], &["other/stricter.yml"]].concat());
    assert_eq!(differs.code, 1, "{}{}", differs.out, differs.err);
    let (_, said) = differs.out.split_once("differences with the other rules:\n").unwrap();
    let at = |second: i64| incident::rfc3339(T0 + second * 1000);
    let candidate = r#"{target="candidate"}"#;
    let shown = r#"ErrorRatio{instance="i", job="j", severity="rollback", target="candidate"}"#;
    assert_eq!(
        said,
        format!(
            "  ~ {shown}  begins 1m later: {} to {end}, was {} to {end}\n  \
             - Present{{instance=\"i\", job=\"j\"}}  fires no more: {} to {}\n  \
             + Sum{candidate}  fires anew: {} to {end}\n  \
             - rollback back  no more: {} for {shown}\n  + rollback back  anew: {} for {shown}\n",
            at(420),
            at(360),
            at(0),
            at(480),
            at(300),
            at(360),
            at(420),
            end = at(600),
        )
    );
    let differs = stage.replay(&[&arguments[..], &["other/stricter.yml"]].concat());
    assert_eq!(differs.lines("difference").len(), 5);
}

#[tokio::test]
async fn a_directory_that_somebody_writes_to_is_only_read() {
    let stage = Stage::empty();
    stage.write("rules.yml", RULES);
    let archive = stage.record().await;
    // The last record is half written, and an older file is damaged: a start would repair both.
    let samples = stage.path("store/samples");
    let log = fs::read_dir(&samples).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let mut log = OpenOptions::new().append(true).open(log).unwrap();
    log.write_all(&[200, 0, 0, 0, 1, 2, 3, 4, 5]).unwrap();
    fs::write(samples.join("00000000.chunks"), b"no chunks at all").unwrap();
    let before = stage.bytes("store");
    assert!(before.len() >= 2);

    let replayed = stage.replay(&["--rules", "rules.yml", "--source", "store"]);
    assert_eq!((replayed.code, replayed.timeline()), (0, ALERTS.map(str::to_owned).to_vec()));
    assert!(replayed.out.contains("00000000.chunks` is damaged"), "{}", replayed.out);
    assert!(stage.bytes("store") == before, "the directory is not as it was");
    drop(archive);
}

#[tokio::test]
async fn what_cannot_be_read_is_3_and_named() {
    let stage = Stage::recorded().await;
    stage.write("wrong.yml", "groups:\n- name: g\n  rules:\n  - {alert: A, expr: 'sum('}\n");
    stage.write("newer/samples/00000001.log", "bwticks\0");
    for (arguments, said) in [
        (vec!["--rules", "absent.yml"], "`absent.yml` cannot be read"),
        (vec!["--rules", "wrong.yml"], "wrong.yml:4"),
        (vec!["--rules", "rules.yml", "--source", "nowhere"], "there are no samples in `nowhere`"),
        (vec!["--rules", "rules.yml", "--source", "newer"], "hold no samples yet"),
        (vec!["--rules", "rules.yml", "--source", "ftp://u:hidden@h"], "is no URL"),
        (
            vec!["--rules", "rules.yml", "--source", "store", "--from", "2040-01-01T00:00:00Z"],
            "`--from` must be before `--to`",
        ),
        (vec![], "`bellwether.yml` cannot be read"),
    ] {
        let failed = stage.text(&arguments);
        assert_eq!(failed.code, 3, "{arguments:?}: {}", failed.err);
        assert!(failed.err.contains(said), "{arguments:?}: {}", failed.err);
        assert!(!failed.err.contains("hidden"), "{}", failed.err);
    }
}

/// A turn every 15 s for six hours, of which ten minutes are kept as samples: 960 turns are four
/// hours, and no more than some 120 of them (what is kept, and the chunks and the half hour until
/// files are looked through) can be told from samples alone.
#[tokio::test]
async fn windows_reach_back_before_the_first_sample_by_digests() {
    let stage = Stage::empty();
    stage.write(
        "rules.yml",
        "groups:\n- name: g\n  interval: 30s\n  rules:\n  \
         - {alert: Busy, expr: 'increase(turns_total[4h]) > 900'}\n  \
         - {alert: TooBusy, expr: 'increase(turns_total[4h]) > 970'}\n",
    );
    let settings =
        Settings { retention: Duration::from_secs(600), size_max_bytes: 1 << 30, series_max: 10 };
    let labels = Labels::from_pairs([("__name__", "turns_total")]);
    let matcher = Matcher::parse("__name__=turns_total").unwrap();
    let watch = Watch { matchers: vec![matcher], reach: Duration::from_secs(5 * 3600) };
    let at = |turn: i64| Timestamp::from_millis(T0 + turn * 15_000);
    let (path, telemetry) = (stage.path("store"), Telemetry::new());
    let (archive, mut store) =
        Archive::open(&path, settings, vec![watch], at(0), telemetry).unwrap();
    store.note_writes();
    for turn in 0..1440 {
        store.append(&labels, Sample { at: at(turn), value: turn as f64 }).unwrap();
        if turn % 20 == 19 {
            archive.batches().send(store.take_written()).await.unwrap();
        }
    }
    archive.close(Duration::from_secs(60)).await;
    let names = fs::read_dir(stage.path("store/samples")).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name.to_string_lossy().ends_with(".digests")), "{names:?}");

    let replayed = stage.replay(&["--rules", "rules.yml", "--source", "store"]);
    let summary = replayed.summary();
    let alerts: Vec<_> = summary["alerts"].as_array().unwrap().iter().collect();
    assert_eq!(alerts.len(), 1, "{}", replayed.out);
    assert_eq!(alerts[0]["labels"]["alertname"], "Busy");
    // It fires in the first slot, and as long as anything is played.
    assert_eq!(alerts[0]["is_firing"], true);
    assert!(replayed.out.contains("is put together from digests"), "{}", replayed.out);
}
