//! One bellwether that probes two simulated providers, one of each dialect.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bellwether::clock::Clock;
use reqwest::Method;

use crate::stage::{Directory, Process};
use crate::web;

/// The rule files that are shipped.
pub fn shipped_rules() -> Vec<PathBuf> {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    ["recording.yml", "alerts.yml", "rollback.yml"].map(|name| rules.join(name)).into()
}

/// A rule file of these tests.
pub fn own_rules(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus").join(name)
}

/// Bellwether and what it probes: `incumbent` speaks `openai_chat`, `relay` `anthropic_messages`.
pub struct Run {
    pub bellwether: Process,
    pub incumbent: Process,
    pub relay: Process,
    pub directory: Directory,
    settings: Settings,
}

/// What differs between the tests' configurations.
pub struct Settings {
    pub rules: Vec<PathBuf>,
    pub probe_interval: &'static str,
    /// Further sections.
    pub sections: String,
}

impl Run {
    pub async fn start(settings: Settings) -> Self {
        let directory = Directory::new();
        let incumbent = Process::bellwether(&directory, "incumbent", &["simulate"]).await;
        let relay = Process::bellwether(&directory, "relay", &["simulate"]).await;
        let config = config(&settings, &incumbent, &relay);
        let config = directory.write("bellwether.yml", &config);
        let storage = directory.path("state");
        let arguments = [
            "run",
            "--config.file",
            config.to_str().unwrap(),
            "--storage.path",
            storage.to_str().unwrap(),
        ];
        let bellwether = Process::bellwether(&directory, "bellwether", &arguments).await;
        Self { bellwether, incumbent, relay, directory, settings }
    }

    /// Has both targets probed at another interval from now on.
    pub async fn probe_every(&mut self, interval: &'static str) {
        self.settings.probe_interval = interval;
        let config = config(&self.settings, &self.incumbent, &self.relay);
        self.directory.write("bellwether.yml", &config);
        web::send(Method::POST, &self.bellwether.url("/-/reload"), "").await;
    }

    /// Waits until both targets were probed so many times.
    pub async fn has_probed(&self, count: usize) {
        let wanted =
            format!("count(sum by (target) (bellwether_probe_runs_total) >= {count}) == 2");
        let base = self.bellwether.url("/api/v1/query");
        web::eventually("both targets are probed", Duration::from_secs(30), async || {
            let data = web::ask(&base, &[("query", &wanted)]).await;
            (data["result"].as_array()?.len() == 1).then_some(())
        })
        .await;
    }
}

/// The wall clock in seconds.
pub fn now() -> f64 {
    Clock::start().now().millis() as f64 / 1000.0
}

fn config(settings: &Settings, incumbent: &Process, relay: &Process) -> String {
    let mut text = format!(
        "
global:
  probe_interval: {interval}
  evaluation_interval: 1s
  sample_interval: 1s
  rollback_sample_interval: 1s
providers:
  - {{name: incumbent, dialect: openai_chat, base_url: {incumbent}, auth: none}}
  - {{name: relay, dialect: anthropic_messages, base_url: {relay}, auth: none}}
rule_files:
",
        interval = settings.probe_interval,
        incumbent = format_args!("\"{}\"", incumbent.url("")),
        relay = format_args!("\"{}\"", relay.url("")),
    );
    for path in &settings.rules {
        writeln!(text, "  - {}", path.display()).unwrap();
    }
    text.push_str("probes:\n");
    for (name, provider) in [("stable", "incumbent"), ("candidate", "relay")] {
        writeln!(
            text,
            "  - {{name: {name}, provider: {provider}, model: m, budget_daily: unlimited, \
             max_in_flight: 16, thresholds: {{ttft: 1s, total: 5s}}}}"
        )
        .unwrap();
    }
    text + &settings.sections
}
