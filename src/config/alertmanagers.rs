//! `alertmanagers:` with Prometheus's fields, at the top or under `alerting:` as in Prometheus.

use super::amount::duration;
use super::http;
use super::reader::{Fields, Reader};
use super::receivers::{ATTEMPT, ATTEMPT_DEFAULT};
use super::scalar::{choice, raw, refuse, url};
use super::secret::at_most_one;
use crate::model::Mistake;
use crate::notice::Alertmanager;
use crate::yaml::{Node, Yaml};

/// Reads them, one for each target.
pub(super) fn alertmanagers(reader: &mut Reader, root: &Fields<'_>) -> Vec<Alertmanager> {
    at_most_one(reader, root, "alertmanagers", "alerting");
    let mut nodes = reader.items(root, "alertmanagers");
    if let Some(node) = root.get("alerting")
        && let Some(fields) = reader.fields(node, "alerting", &["alertmanagers"])
    {
        nodes.extend(reader.items(&fields, "alertmanagers"));
    }
    let mut found: Vec<Alertmanager> = Vec::new();
    for (index, node) in nodes.into_iter().enumerate() {
        found.extend(entry(reader, node, format!("alertmanager {}", index + 1)));
    }
    found
}

fn entry(reader: &mut Reader, node: &Node, what: String) -> Vec<Alertmanager> {
    let known = ["scheme", "path_prefix", "timeout", "api_version", "static_configs"];
    let known: Vec<&str> = known.into_iter().chain(http::SETTINGS).collect();
    let Some(fields) = reader.fields(node, what, &known) else { return Vec::new() };
    let schemes = [("http", "http"), ("https", "https")];
    let scheme = reader.optional(&fields, "scheme", |node| choice(node, &schemes));
    let prefix = reader.optional(&fields, "path_prefix", |node| raw(node, "a path"));
    let timeout = reader.optional(&fields, "timeout", |node| duration(node, ATTEMPT));
    reader.optional(&fields, "api_version", |node| choice(node, &[("v2", ())]));
    let http = http::settings(reader, &fields);
    let (scheme, prefix) = (scheme.unwrap_or("http"), prefix.unwrap_or("").trim_matches('/'));
    let remedy = "write `static_configs: [{targets: ['host:9093']}]`";
    reader.filled(&fields, "static_configs", remedy);
    let mut urls = Vec::new();
    for (index, node) in reader.items(&fields, "static_configs").into_iter().enumerate() {
        let what = fields.part(&format!("static_configs {}", index + 1));
        let Some(inner) = reader.fields(node, what, &["targets"]) else { continue };
        reader.filled(&inner, "targets", "write `targets: ['host:9093']`");
        urls.extend(reader.list(&inner, "targets", |node| target_url(node, scheme, prefix)));
    }
    let timeout = timeout.unwrap_or(ATTEMPT_DEFAULT);
    urls.into_iter().map(|url| Alertmanager { url, timeout, http: http.clone() }).collect()
}

fn target_url(node: &Node, scheme: &str, prefix: &str) -> Result<String, Mistake> {
    let text = raw(node, "`host:port`")?;
    if text.contains('/') {
        return Err(refuse(node, "where `host:port` is due")
            .remedy("the rest goes into `scheme` and `path_prefix`"));
    }
    let Yaml::Scalar(mut scalar) = node.value.clone() else {
        return Err(refuse(node, "where `host:port` is due"));
    };
    scalar.text = format!("{scheme}://{text}/{prefix}");
    url(&Node { value: Yaml::Scalar(scalar), ..node.clone() })
        .map_err(|_| refuse(node, "which is not `host:port`"))
}
