//! Where secrets are read from. What is written in place of a source is never repeated.

use super::reader::{Fields, Reader};
use super::scalar::{hook_url, raw, refuse_unseen, text};
use super::settings::Config;
use crate::model::{HeaderValue, HttpSettings, Mistake, SecretSource, UrlSource};
use crate::notice::{Integration, PagerDuty, Slack, Webhook};
use crate::release::{Does, Effect, Rollback};
use crate::yaml::Node;

/// Every secret that the configuration refers to, and for what: to be read at start, and by
/// `check config --with-secrets`.
pub fn secrets(config: &Config) -> Vec<(String, SecretSource)> {
    let mut found = Vec::new();
    for provider in &config.providers {
        let what = format!("provider `{}`", provider.id);
        if let Some((_, _, source)) = provider.auth.header() {
            found.push((format!("{what}, api_key"), source.clone()));
        }
        of_connection(&what, &provider.http, &mut found);
    }
    for receiver in &config.receivers {
        let what = format!("receiver `{}`", receiver.name);
        for integration in &receiver.integrations {
            match integration {
                Integration::Webhook(webhook) => of_webhook(&what, webhook, &mut found),
                Integration::PagerDuty(pagerduty) => of_pagerduty(&what, pagerduty, &mut found),
                Integration::Slack(slack) => of_slack(&what, slack, &mut found),
            }
        }
    }
    for alertmanager in &config.alertmanagers {
        let what = format!("alertmanager `{}`", alertmanager.url);
        of_connection(&what, &alertmanager.http, &mut found);
    }
    for (index, heartbeat) in config.heartbeats.iter().enumerate() {
        let what = format!("heartbeat {}", index + 1);
        if let UrlSource::Secret(source) = &heartbeat.url {
            found.push((format!("{what}, url"), source.clone()));
        }
        of_connection(&what, &heartbeat.http, &mut found);
    }
    for rollback in &config.rollbacks {
        of_rollback(rollback, &mut found);
    }
    for release in &config.releases {
        if let Some(datasource) = &release.settings.datasource {
            let what = format!("release `{}`, datasource", release.settings.plan.name);
            of_connection(&what, &datasource.http, &mut found);
        }
    }
    found
}

fn of_rollback(rollback: &Rollback, found: &mut Vec<(String, SecretSource)>) {
    let what = format!("rollback `{}`", rollback.name);
    let plan = match &rollback.does {
        Does::Call(webhook) => return of_webhook(&what, webhook, found),
        Does::Plan(plan) => plan,
    };
    for step in &plan.steps {
        match &step.effect {
            Effect::Webhook { webhook, .. } => {
                of_webhook(&format!("{what}, step `{}`", step.name), webhook, found);
            }
            Effect::Command { .. } | Effect::File { .. } | Effect::Verify => {}
        }
    }
}

fn of_webhook(what: &str, webhook: &Webhook, found: &mut Vec<(String, SecretSource)>) {
    if let UrlSource::Secret(source) = &webhook.url {
        found.push((format!("{what}, url"), source.clone()));
    }
    for source in &webhook.signing_secrets {
        found.push((format!("{what}, signing_secret"), source.clone()));
    }
    of_connection(what, &webhook.http, found);
}

fn of_pagerduty(what: &str, pagerduty: &PagerDuty, found: &mut Vec<(String, SecretSource)>) {
    found.push((format!("{what}, routing_key"), pagerduty.routing_key.clone()));
    of_connection(what, &pagerduty.http, found);
}

fn of_slack(what: &str, slack: &Slack, found: &mut Vec<(String, SecretSource)>) {
    if let UrlSource::Secret(source) = &slack.url {
        found.push((format!("{what}, api_url"), source.clone()));
    }
    of_connection(what, &slack.http, found);
}

fn of_connection(what: &str, http: &HttpSettings, found: &mut Vec<(String, SecretSource)>) {
    if let Some(authorization) = &http.authorization {
        found.push((format!("{what}, authorization"), authorization.credentials.clone()));
    }
    if let Some(basic) = &http.basic_auth {
        found.push((format!("{what}, basic_auth"), basic.password.clone()));
    }
    if let Some(oauth2) = &http.oauth2 {
        found.push((format!("{what}, oauth2"), oauth2.client_secret.clone()));
    }
    for (name, value) in &http.headers {
        if let HeaderValue::Secret(source) = value {
            found.push((format!("{what}, header `{name}`"), source.clone()));
        }
    }
}

/// Reads `NAME: env:VARIABLE`, `NAME: file:PATH` or `NAME_file: PATH`, at most one of them.
pub(super) fn secret(reader: &mut Reader, fields: &Fields<'_>, name: &str) -> Option<SecretSource> {
    let file_name = format!("{name}_file");
    if at_most_one(reader, fields, name, &file_name) {
        return None;
    }
    let file = reader.optional(fields, &file_name, text);
    if let Some(path) = file {
        return Some(SecretSource::File(reader.path(&path)));
    }
    let source = source(reader, fields.get(name)?, Some(&file_name));
    reader.judge(&fields.what, name, source)
}

/// Reads one secret as [`secret`] does, or a list of them under another name.
pub(super) fn secrets_of(
    reader: &mut Reader,
    fields: &Fields<'_>,
    name: &str,
    list: &str,
) -> Vec<SecretSource> {
    let file_name = format!("{name}_file");
    if at_most_one(reader, fields, name, list) || at_most_one(reader, fields, &file_name, list) {
        return Vec::new();
    }
    let mut found: Vec<SecretSource> = secret(reader, fields, name).into_iter().collect();
    if fields.has(list) {
        reader.filled(fields, list, "write `env:NAME` or `file:PATH` for each secret");
    }
    for item in reader.items(fields, list) {
        let source = source(reader, item, None);
        found.extend(reader.judge(&fields.what, list, source));
    }
    found
}

/// Reads `url:` or `url_file:`, exactly one of them. A URL may carry a token, so that it may be
/// read like a secret.
pub(super) fn url(reader: &mut Reader, fields: &Fields<'_>) -> Option<UrlSource> {
    let refers = fields.get("url").and_then(Node::text).is_some_and(is_source);
    if refers || fields.has("url_file") {
        return secret(reader, fields, "url").map(UrlSource::Secret);
    }
    reader
        .required(fields, "url", "write the webhook's `url` or `url_file`", hook_url)
        .map(UrlSource::Plain)
}

/// Reports two fields that exclude each other, if both are written.
pub(super) fn at_most_one(
    reader: &mut Reader,
    fields: &Fields<'_>,
    one: &str,
    other: &str,
) -> bool {
    let (Some(_), Some(node)) = (fields.get(one), fields.get(other)) else { return false };
    let message = format!("`{one}` and `{other}` exclude each other");
    let message = super::reader::prefixed(&fields.what, &message);
    reader.report(Mistake::new(node.place.clone(), message).remedy("keep one of them"));
    true
}

/// Whether a text names a secret's source and is not the secret.
pub(super) fn is_source(text: &str) -> bool {
    text.starts_with("env:") || text.starts_with("file:")
}

/// Reads `env:VARIABLE` or `file:PATH`.
pub(super) fn source(
    reader: &Reader,
    node: &Node,
    file_field: Option<&str>,
) -> Result<SecretSource, Mistake> {
    let text = raw(node, "`env:NAME` or `file:PATH`")?;
    if let Some(path) = text.strip_prefix("file:").filter(|path| !path.trim().is_empty()) {
        return Ok(SecretSource::File(reader.path(path.trim())));
    }
    if let Some(variable) = text.strip_prefix("env:").map(str::trim) {
        let begins = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on = variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if begins && goes_on {
            return Ok(SecretSource::Env(variable.to_owned()));
        }
        return Err(refuse_unseen(node, "names no environment variable after `env:`")
            .remedy("letters, digits and `_`, no digit first"));
    }
    let variable = text.strip_prefix('$').map(|name| name.trim_matches(['{', '}']));
    if let Some(variable) = variable
        && variable.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
    {
        return Err(refuse_unseen(node, "is not expanded from the environment like that")
            .remedy(format!("write `env:{variable}`")));
    }
    let fields = match file_field {
        Some(name) => format!("`env:NAME` or `file:PATH` in its place, or use `{name}`"),
        None => "`env:NAME` or `file:PATH` in its place".to_owned(),
    };
    Err(refuse_unseen(node, "is a secret in plain text, which is not shown here")
        .remedy(format!("write {fields}; replace the secret if others could read it")))
}
