//! A first configuration, for `bellwether init`.

use crate::provider::Dialect;

/// A commented configuration that probes one model; [`super::parse`] accepts it. Where no variable
/// holds a key, none is sent.
pub fn starter(url: &str, dialect: Dialect, key_variable: &str, model: &str) -> String {
    let (url, model) = (quoted(url), quoted(model));
    let dialect = dialect.as_str();
    let key = if key_variable.is_empty() {
        "auth: none".to_owned()
    } else {
        format!("api_key: env:{key_variable}    # or `api_key_file: PATH`; never the key itself")
    };
    format!(
        r#"# Bellwether's configuration. `bellwether check config` checks it and says what it costs.

global:
  probe_interval: 60s

providers:
  - name: main
    dialect: {dialect}
    base_url: {url}
    {key}
    # Whether the models are still on the provider's list; asking costs nothing:
    model_list: 1h
    # What the models cost lets bellwether count dollars and keep to a budget
    # (US dollars for a million tokens; take yours from the provider's price list):
    # models:
    #   {model}: {{price: {{input: 2.50, output: 10.00}}}}

probes:
  - name: first
    provider: main
    model: {model}
    # Real answers cost money. With a price above, write dollars a day, such as 1.00.
    budget_daily: unlimited
    # Latency objectives; they become bucket bounds of the histograms.
    thresholds: {{ttft: 2s, total: 10s}}

# Prometheus rule files, byte for byte:
# rule_files: ["rules/*.yml"]

# How much must be good; rules and burn-rate alerts follow from it:
# slos:
#   - name: first-availability
#     indicator: availability
#     objective: 99.5
#     targets: [first]

# Who is told when an alert fires. The webhook is signed (Standard Webhooks):
# receivers:
#   - name: team
#     webhook_configs:
#       - url: https://hooks.example/bellwether
#         signing_secret: env:WEBHOOK_SECRET
# route: {{receiver: team}}

# What is called at once, to move traffic back, when an alert with these labels fires:
# rollbacks:
#   - name: back-to-stable
#     matchers: ['rollback="true"']
#     candidate: [first]
#     stable: [second]
#     webhook:
#       url: https://deploy.example/rollback
#       signing_secret: env:ROLLBACK_SECRET
"#
    )
}

/// A text as it can stand anywhere in YAML: bare where nothing in it means anything, else quoted
/// as in JSON, which YAML contains.
fn quoted(text: &str) -> String {
    let is_plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
        && !matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no");
    if is_plain || (text.starts_with("https://") && text[8..].chars().all(plain_in_url)) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

fn plain_in_url(character: char) -> bool {
    character.is_ascii_alphanumeric() || "._-/".contains(character)
}
