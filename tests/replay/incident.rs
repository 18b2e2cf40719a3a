//! An incident as data: a ratio that is high for five minutes, and a series that ends.

/// The first sample, in milliseconds. SHA-256 of `rules.yml;incident` begins with eight bytes that
/// leave 417 when divided by the group's 30,000 ms (Python's hashlib), so slots are 417 ms behind
/// each half minute, and this is one of them.
pub const T0: i64 = 1_779_999_990_417;
/// Between two samples.
pub const STEP: i64 = 15;
/// The last sample, in seconds from the first.
pub const END: i64 = 1200;

pub const RULES: &str = r#"
groups:
- name: incident
  interval: 30s
  rules:
  - {record: 'error_ratio:max2m', expr: 'max_over_time(error_ratio[2m])'}
  - alert: ErrorRatio
    expr: error_ratio > 0.2
    for: 1m
    labels: {severity: rollback}
  - {alert: ErrorRatioSlow, expr: 'error_ratio:max2m > 0.2'}
  - {alert: Present, expr: 'lonely > 0'}
  - {alert: Nothing, expr: 'no_such_metric{a="b"} > 0'}
"#;

/// `for` is a minute longer, one alert is gone, another is new.
pub const STRICTER: &str = r#"
groups:
- name: incident
  interval: 30s
  rules:
  - {record: 'error_ratio:max2m', expr: 'max_over_time(error_ratio[2m])'}
  - alert: ErrorRatio
    expr: error_ratio > 0.2
    for: 2m
    labels: {severity: rollback}
  - {alert: ErrorRatioSlow, expr: 'error_ratio:max2m > 0.2'}
  - {alert: Sum, expr: 'sum by (target) (error_ratio) > 0.4'}
"#;

pub const CONFIG: &str = r#"
rule_files: [rules.yml]
providers:
  - {name: sim, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}
probes:
  - {name: stable, provider: sim, model: m, budget_daily: unlimited}
  - {name: candidate, provider: sim, model: m, budget_daily: unlimited}
receivers:
  - name: team
    webhook_configs: [{url: 'http://127.0.0.1:1/'}]
route: {receiver: team, group_by: [alertname], group_wait: 10s, group_interval: 1m}
rollbacks:
  - name: back
    matchers: ['severity="rollback"']
    candidate: [candidate]
    stable: [stable]
    webhook: {url: 'http://127.0.0.1:1/', signing_secret: 'env:UNSET'}
"#;

/// A series by its name and labels.
pub type Series = Vec<(&'static str, &'static str)>;

fn series(name: &'static str, more: &[(&'static str, &'static str)]) -> Series {
    [&[("__name__", name), ("job", "j"), ("instance", "i")], more].concat()
}

/// What a scrape held at a time, in seconds from the first.
pub fn scrape(second: i64) -> Vec<(Series, f64)> {
    let high = if (300..600).contains(&second) { 0.5 } else { 0.0 };
    let mut samples = vec![
        (series("up", &[]), 1.0),
        (series("error_ratio", &[("target", "candidate")]), high),
        (
            series(
                "bellwether_probe_runs_total",
                &[("target", "stable"), ("error_type", "none"), ("slo", "good")],
            ),
            (second / STEP) as f64,
        ),
    ];
    if second <= 450 {
        samples.push((series("lonely", &[]), 1.0));
    }
    samples
}

/// What rules had written at a time: other rules, which fired all the while.
pub fn written() -> Vec<(Series, f64)> {
    vec![
        (series("error_ratio:max2m", &[("target", "candidate")]), 1.0),
        (
            vec![
                ("__name__", "ALERTS"),
                ("alertname", "ErrorRatio"),
                ("alertstate", "firing"),
                ("severity", "rollback"),
            ],
            1.0,
        ),
    ]
}

pub fn rfc3339(millis: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(millis).unwrap())
}
