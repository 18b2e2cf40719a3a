//! What goes wrong in the demo, how that is to end, and the configuration it runs on.

use crate::model::Mistake;
use crate::simulator::{Script, parse_script};

/// What becomes of the candidate at 25 % of the traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// Half of its streams end without their end.
    #[default]
    Errors,
    /// Three in ten answers start late: the median stays, the 99th percentile does not.
    Latency,
    /// Nothing: it gets all of the traffic.
    Healthy,
    /// Both providers fail, and stable recovers first.
    CommonCause,
    /// It fails for a tenth of a second: no reason to go back.
    Burst,
    /// It fails a little more often than it may.
    SlowBurn,
}

/// How a scenario ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// All of the traffic is back on stable, and stable answers.
    RolledBack,
    /// The same, but first it is held because stable is bad too.
    HeldThenRolledBack,
    /// The candidate has all of the traffic.
    Completed,
}

const RULES: &str = include_str!("rules.yml");
const WELL: &str = "ttft: 60ms, gap: 3ms, tokens: 12, jitter: 0.3";

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
            Self::Healthy => "no fault: the candidate stays well",
            Self::CommonCause => "fault: both providers now cut half of their streams short",
            Self::Burst => {
                "fault: the candidate answers 500 to everything, for a tenth of a second"
            }
            Self::SlowBurn => {
                "fault: the candidate now cuts 25 % of its streams short, and 10 % is the limit"
            }
        }
    }

    /// How it is to end.
    pub fn expected(self) -> Expected {
        match self {
            Self::Errors | Self::Latency | Self::SlowBurn => Expected::RolledBack,
            Self::CommonCause => Expected::HeldThenRolledBack,
            Self::Healthy | Self::Burst => Expected::Completed,
        }
    }

    /// What the candidate plays once it is ill, from then on.
    pub(super) fn ill(self) -> Result<Script, Mistake> {
        let truncated = |share: &str| {
            script(&format!(
                "- {{after: 0s, {WELL}, faults: [{{kind: truncated, share: {share}, \
                 after_tokens: 4}}]}}"
            ))
        };
        match self {
            Self::Errors | Self::CommonCause => truncated("0.5"),
            Self::SlowBurn => truncated("0.25"),
            Self::Latency => {
                script(&format!("- {{after: 0s, {WELL}, slow: {{share: 0.3, ttft: 900ms}}}}"))
            }
            Self::Burst => script(&format!(
                "- {{after: 0s, {WELL}, faults: [{{kind: http, status: 500}}]}}\n\
                 - {{after: 100ms, faults: []}}"
            )),
            Self::Healthy => well(),
        }
    }

    /// Whether stable falls ill with it.
    pub(super) fn takes_stable(self) -> bool {
        self == Self::CommonCause
    }
}

/// What a provider plays that is well.
pub(super) fn well() -> Result<Script, Mistake> {
    script(&format!("- {{after: 0s, {WELL}}}"))
}

fn script(phases: &str) -> Result<Script, Mistake> {
    parse_script("demo", &format!("phases:\n{phases}\n"))
}

/// The rules that the demo evaluates beside its gates.
pub(super) fn rules() -> (&'static str, &'static str) {
    ("demo-rules.yml", RULES)
}

/// What the demo's release is called.
pub(super) const RELEASE: &str = "demo";
/// The share at which the fault begins.
pub(super) const FAULT_SHARE: u8 = 25;

/// The demo's `bellwether.yml`: what takes hours is compressed into seconds, and the limits are wide,
/// so that so few requests prove something.
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
    dialect: openai_chat
    base_url: {candidate}
    auth: none
    models: {{gpt-demo: {{name: relay-demo, price: {{input: 1.25, output: 5}}}}}}
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
  group_by: [alertname, event]
  group_wait: 0s
  group_interval: 5s
routes:
  - {{name: gpt-demo, stable: [stable], headers: [arm]}}
router: {{auth: none}}
releases:
  - name: demo
    route: gpt-demo
    stable: [stable]
    candidate: [candidate]
    stages: [1, 5, 10, 25, 50, 100]
    floor: 3s
    hold: 30s
    deadline: 2m
    samples_min: 20
    no_data_after: 10s
    bake: 10m
    gates:
      - {{indicator: errors, objective: 90}}
      - {{indicator: ttft, objective: 90, threshold: 500ms}}
    rollback:
      steps:
        - name: gateway
          webhook: {{url: {receiver}/rollback, signing_secret_file: {secret_file}}}
          rehearsal: post
"#
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_scenario_has_a_script_that_can_be_played() {
        for scenario in Scenario::value_variants() {
            assert!(scenario.ill().is_ok(), "{scenario:?}: {:?}", scenario.ill());
        }
        assert!(well().is_ok());
    }

    #[test]
    fn a_burst_is_over_after_a_tenth_of_a_second_and_the_other_faults_last() {
        let faults = |scenario: Scenario, ms| {
            let behavior = scenario.ill().unwrap().behavior(Duration::from_millis(ms));
            behavior.faults.len() + usize::from(behavior.slow.share.part() > 0.0)
        };
        assert_eq!([faults(Scenario::Burst, 99), faults(Scenario::Burst, 100)], [1, 0]);
        for scenario in [Scenario::Errors, Scenario::Latency, Scenario::SlowBurn] {
            assert_eq!(faults(scenario, 3_600_000), 1, "{scenario:?}");
        }
    }
}
