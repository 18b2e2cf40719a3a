//! What goes wrong in the demo, and the configuration it runs on.

use std::time::Duration;

use crate::model::Mistake;
use crate::simulator::{Script, parse_script};

/// How the candidate falls ill.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Half of its streams end without their end.
    #[default]
    Errors,
    /// Three in ten answers start late: the median stays, the 99th percentile does not.
    Latency,
}

/// How long both providers are well. Long enough for a window's worth of good probes.
pub(super) const HEALTHY: Duration = Duration::from_secs(15);

const RULES: &str = include_str!("rules.yml");
const WELL: &str = "{ttft: 60ms, gap: 3ms, tokens: 12, jitter: 0.3}";

impl Scenario {
    /// What the terminal says when it begins.
    pub(super) fn announcement(self) -> &'static str {
        match self {
            Self::Errors => {
                "fault: the candidate now cuts half of its streams short, with status 200"
            }
            Self::Latency => {
                "fault: three in ten of the candidate's answers now start 0.9 s late, none fails"
            }
        }
    }

    /// The candidate's script: well, then ill.
    pub(super) fn script(self) -> Result<Script, Mistake> {
        let after = humantime::format_duration(HEALTHY);
        let ill = match self {
            Self::Errors => {
                "ttft: 60ms, gap: 3ms, tokens: 12, jitter: 0.3, \
                 faults: [{kind: truncated, share: 0.5, after_tokens: 4}]"
            }
            Self::Latency => {
                "ttft: 60ms, gap: 3ms, tokens: 12, jitter: 0.3, slow: {share: 0.3, ttft: 900ms}"
            }
        };
        let text = format!(
            "phases:\n- {{after: 0s, {}\n- {{after: {after}, {ill}}}\n",
            WELL.trim_start_matches('{')
        );
        parse_script("demo", &text)
    }

    /// Stable's script: well.
    pub(super) fn stable() -> Result<Script, Mistake> {
        parse_script("demo", &format!("phases:\n- {{after: 0s, {}\n", WELL.trim_start_matches('{')))
    }
}

/// The rules that the demo judges by.
pub(super) fn rules() -> (&'static str, &'static str) {
    ("demo-rules.yml", RULES)
}

/// The demo's `bellwether.yml`.
pub(super) fn config(stable: &str, candidate: &str, receiver: &str, secret_file: &str) -> String {
    format!(
        r#"
global:
  probe_interval: 1s
  evaluation_interval: 1s
  sample_interval: 1s
  rollback_sample_interval: 1s
providers:
  - name: incumbent
    dialect: openai_chat
    base_url: {stable}
    auth: none
    models: {{gpt-demo: {{price: {{input: 2.50, output: 10}}}}}}
  - name: relay
    dialect: anthropic_messages
    base_url: {candidate}
    auth: none
    models: {{gpt-demo: {{name: claude-demo, price: {{input: 1.25, output: 5}}}}}}
probes:
  - name: stable
    provider: incumbent
    model: gpt-demo
    thresholds: {{ttft: 500ms, total: 2s}}
    budget_daily: unlimited
  - name: candidate
    provider: relay
    model: gpt-demo
    thresholds: {{ttft: 500ms, total: 2s}}
    budget_daily: unlimited
receivers:
  - name: demo
    webhook_configs:
      - url: {receiver}/alerts
        signing_secret_file: {secret_file}
route:
  receiver: demo
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5s
rollbacks:
  - name: candidate-to-stable
    matchers: ['severity="rollback"']
    candidate: [candidate]
    stable: [stable]
    webhook:
      url: {receiver}/rollback
      signing_secret_file: {secret_file}
"#
    )
}
