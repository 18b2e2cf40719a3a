//! The same incident before promtool and before a real Prometheus.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::incident::{END, STEP, T0, scrape};
use crate::stage::Stage;

/// A running Prometheus; it is killed when this is dropped.
struct Prometheus {
    child: Child,
    url: String,
}

impl Prometheus {
    /// Starts one over blocks that are there. A free port may be taken meanwhile: then another.
    async fn over(directory: &Path) -> Self {
        std::fs::write(directory.join("prometheus.yml"), "global: {}\n").unwrap();
        for _ in 0..3 {
            let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let program = std::env::var("PROMETHEUS3").unwrap_or("prometheus".to_owned());
            let child = Command::new(program)
                .arg("--config.file=prometheus.yml")
                .args(["--storage.tsdb.path=blocks", "--storage.tsdb.retention.time=100y"])
                .arg(format!("--web.listen-address={address}"))
                .current_dir(directory)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut started = Self { child, url: format!("http://{address}") };
            if started.is_ready().await {
                return started;
            }
        }
        panic!("prometheus does not start");
    }

    async fn is_ready(&mut self) -> bool {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let mut pause = tokio::time::interval(Duration::from_millis(50));
        for _ in 0..1200 {
            pause.tick().await;
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let answer = client.get(format!("{}/-/ready", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return true;
            }
        }
        false
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _was_running = self.child.kill().is_ok();
        let _is_reaped = self.child.wait().is_ok();
    }
}

fn promtool(directory: &Path, arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "promtool {arguments:?}: {output:?}");
}

/// The scrapes as OpenMetrics has them, family by family. It knows no stale markers: that `lonely`
/// ended has to be found out.
fn open_metrics() -> String {
    let mut text = String::new();
    for name in ["up", "error_ratio", "bellwether_probe_runs_total", "lonely"] {
        for second in (0..=END).step_by(STEP as usize) {
            let at = T0 + second * 1000;
            for (labels, value) in scrape(second) {
                if labels[0].1 != name {
                    continue;
                }
                let pairs: Vec<String> =
                    labels[1..].iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
                let (labels, time) = (pairs.join(","), format!("{}.{:03}", at / 1000, at % 1000));
                writeln!(text, "{name}{{{labels}}} {value} {time}").unwrap();
            }
        }
    }
    text + "# EOF\n"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_tells_the_same_story_as_our_own_store() {
    let stage = Stage::recorded().await;
    stage.write("samples.txt", &open_metrics());
    promtool(
        &stage.path(""),
        &["tsdb", "create-blocks-from", "openmetrics", "samples.txt", "blocks"],
    );
    let prometheus = Prometheus::over(&stage.path("")).await;
    let from = format!("{}.417", T0 / 1000);
    let to = format!("{}.417", T0 / 1000 + END);
    stage.write("bellwether.yml", crate::incident::CONFIG);
    let span = ["-c", "bellwether.yml", "--from", &from, "--to", &to, "--source"];
    let asked = stage.replay(&[&span[..], &[&prometheus.url]].concat());
    let read = stage.replay(&[&span[..], &["store"]].concat());
    assert_eq!(asked.timeline(), read.timeline(), "{}", asked.err);
    assert_eq!(asked.timeline().len(), 14);
    assert_eq!(asked.summary()["alerts"], read.summary()["alerts"]);
}

/// At every slot, promtool is asked whether exactly those alerts fire that fire in the timeline.
#[tokio::test]
async fn promtool_finds_the_same_alerts_firing_at_every_slot() {
    let stage = Stage::recorded().await;
    let replayed = stage.replay(&["--rules", "rules.yml", "--source", "store"]);
    let fires = |name: &str, slot: i64| {
        let mut is_firing = false;
        for line in replayed.timeline() {
            let words: Vec<&str> = line.split(' ').collect();
            if words[2] == name && words[0].parse::<i64>().unwrap() <= slot {
                is_firing = words[1] == "firing";
            }
        }
        is_firing
    };
    let mut script = String::from(
        "rule_files: [rules.yml]\nevaluation_interval: 30s\ntests:\n- interval: 15s\n  \
         input_series:\n  \
         - {series: 'error_ratio{job=\"j\",instance=\"i\",target=\"candidate\"}', \
         values: '0+0x19 0.5+0x19 0+0x40'}\n  \
         - {series: 'lonely{job=\"j\",instance=\"i\"}', values: '1+0x30 stale'}\n  \
         alert_rule_test:\n",
    );
    let candidate = "job: j, instance: i, target: candidate";
    for slot in (0..=END).step_by(30) {
        for (name, labels) in [
            ("ErrorRatio", format!("{candidate}, severity: rollback")),
            ("ErrorRatioSlow", candidate.to_owned()),
            ("Present", "job: j, instance: i".to_owned()),
            ("Nothing", String::new()),
        ] {
            let alerts = match fires(name, slot) {
                true => format!("[{{exp_labels: {{{labels}}}}}]"),
                false => "[]".to_owned(),
            };
            writeln!(script, "  - {{eval_time: {slot}s, alertname: {name}, exp_alerts: {alerts}}}")
                .unwrap();
        }
    }
    stage.write("test.yml", &script);
    promtool(&stage.path(""), &["test", "rules", "test.yml"]);
}
