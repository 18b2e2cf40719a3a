//! `receivers:` and webhooks, with Alertmanager's field names.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::http;
use super::pagerduty::pagerduty;
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::scalar::{any_of, boolean, filled, name, number};
use super::secret::{secrets_of, url};
use super::slack::slack;
use crate::model::{HttpSettings, Mistake};
use crate::notice::{Integration, Receiver, Webhook};
use crate::yaml::Node;

/// What one attempt to tell someone may take.
pub(super) const ATTEMPT: RangeInclusive<Duration> =
    Duration::from_millis(1)..=Duration::from_secs(300);
/// What it takes at most where nothing is written.
pub(super) const ATTEMPT_DEFAULT: Duration = Duration::from_secs(10);

/// What a receiver can be told by.
const KINDS: [&str; 3] = ["webhook_configs", "pagerduty_configs", "slack_configs"];

/// The receivers, and every name that was given to one.
pub(super) struct Receivers {
    pub(super) right: Vec<Receiver>,
    pub(super) names: Vec<String>,
}

/// Reads `receivers:`.
pub(super) fn receivers(reader: &mut Reader, root: &Fields<'_>) -> Receivers {
    let mut found = Receivers { right: Vec::new(), names: Vec::new() };
    for (index, node) in reader.items(root, "receivers").into_iter().enumerate() {
        let what = entry_name("receiver", index, node);
        found.right.extend(receiver(reader, node, &what, &mut found.names));
    }
    found
}

fn receiver(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    names: &mut Vec<String>,
) -> Option<Receiver> {
    // Alertmanager's other kinds are reported by name: the nearest key would be a wrong hint.
    let entries = node.entries().unwrap_or_default();
    let kinds = entries.iter().filter_map(|(key, _)| key.text().map(|name| (key, name)));
    let others: Vec<(&Node, &str)> =
        kinds.filter(|(_, name)| name.ends_with("_configs") && !KINDS.contains(name)).collect();
    for (key, name) in &others {
        let message = prefixed(what, &format!("`{name}` cannot be sent from here yet"));
        let mistake = Mistake::new(key.place.clone(), message);
        reader.report(
            mistake.remedy(format!("send through `alertmanagers`, or write {}", any_of(KINDS))),
        );
    }
    let known: Vec<&str> =
        ["name"].into_iter().chain(KINDS).chain(others.iter().map(|(_, name)| *name)).collect();
    let fields = reader.fields(node, what, &known)?;
    let name = reader.required(&fields, "name", "write a name for the receiver", |node| {
        unique(node, name(node)?, names)
    });
    let mut integrations = Vec::new();
    for (index, node) in reader.items(&fields, "webhook_configs").into_iter().enumerate() {
        let webhook = webhook(reader, node, fields.part(&format!("webhook {}", index + 1)));
        integrations.extend(webhook.map(Integration::Webhook));
    }
    for (index, node) in reader.items(&fields, "pagerduty_configs").into_iter().enumerate() {
        let pagerduty = pagerduty(reader, node, fields.part(&format!("pagerduty {}", index + 1)));
        integrations.extend(pagerduty.map(Integration::PagerDuty));
    }
    for (index, node) in reader.items(&fields, "slack_configs").into_iter().enumerate() {
        let slack = slack(reader, node, fields.part(&format!("slack {}", index + 1)));
        integrations.extend(slack.map(Integration::Slack));
    }
    Some(Receiver { name: name?, integrations })
}

fn webhook(reader: &mut Reader, node: &Node, what: String) -> Option<Webhook> {
    let known = [
        "url",
        "url_file",
        "send_resolved",
        "max_alerts",
        "body",
        "timeout",
        "signing_secret",
        "signing_secret_file",
        "signing_secrets",
        "http_config",
    ];
    let fields = reader.fields(node, what, &known)?;
    read_webhook(reader, &fields)
}

/// Reads a rollback's webhook. It moves live traffic, so it must be signed.
pub(super) fn rollback_webhook(reader: &mut Reader, node: &Node, what: String) -> Option<Webhook> {
    let known = [
        "url",
        "url_file",
        "timeout",
        "signing_secret",
        "signing_secret_file",
        "signing_secrets",
        "http_config",
    ];
    let fields = reader.fields(node, what, &known)?;
    let signing = ["signing_secret", "signing_secret_file", "signing_secrets"];
    if !signing.into_iter().any(|name| fields.has(name)) {
        let remedy = "write `signing_secret: env:NAME` or `signing_secret_file: PATH`; whoever \
                      receives a rollback must be able to tell that it is ours";
        reader.missing(&fields, "signing_secret", remedy);
    }
    read_webhook(reader, &fields)
}

fn read_webhook(reader: &mut Reader, fields: &Fields<'_>) -> Option<Webhook> {
    let url = url(reader, fields);
    let timeout = reader.optional(fields, "timeout", |node| duration(node, ATTEMPT));
    let send_resolved = reader.optional(fields, "send_resolved", boolean);
    let alerts_max = reader.optional(fields, "max_alerts", |node| number(node, 0..=1_000_000));
    let signing_secrets = secrets_of(reader, fields, "signing_secret", "signing_secrets");
    let library = reader.library.clone();
    let body = reader.optional(fields, "body", |node| filled(node, &library));
    let http = http_config(reader, fields);
    Some(Webhook {
        url: url?,
        send_resolved: send_resolved.unwrap_or(true),
        alerts_max: alerts_max.unwrap_or(0),
        body,
        timeout: timeout.unwrap_or(ATTEMPT_DEFAULT),
        signing_secrets,
        http,
    })
}

/// Reads `http_config:`.
pub(super) fn http_config(reader: &mut Reader, fields: &Fields<'_>) -> HttpSettings {
    let Some(node) = fields.get("http_config") else { return HttpSettings::default() };
    let inner = reader.fields(node, fields.part("http_config"), &http::SETTINGS);
    inner.map(|inner| http::settings(reader, &inner)).unwrap_or_default()
}
