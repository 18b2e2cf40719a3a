//! `pagerduty_configs:`, with Alertmanager's field names.

use std::collections::BTreeMap;

use super::amount::duration;
use super::reader::{Fields, Reader};
use super::receivers::{ATTEMPT, ATTEMPT_DEFAULT, http_config};
use super::scalar::{boolean, choice, filled, filled_url, hook_url, text};
use super::secret::secret;
use crate::model::{Mistake, UrlSource};
use crate::notice::{ImageTexts, LinkTexts, PAGERDUTY_URL, PagerDuty, PagerDutyTexts, Severity};
use crate::template::Template;
use crate::yaml::{Node, Yaml};

const KEYS: [&str; 18] = [
    "routing_key",
    "routing_key_file",
    "url",
    "send_resolved",
    "timeout",
    "http_config",
    "severity",
    "description",
    "source",
    "component",
    "group",
    "class",
    "details",
    "links",
    "images",
    "client",
    "client_url",
    "service_key",
];
const SEVERITIES: [(&str, Severity); 4] = [
    ("critical", Severity::Critical),
    ("error", Severity::Error),
    ("warning", Severity::Warning),
    ("info", Severity::Info),
];

/// Reads one entry.
pub(super) fn pagerduty(reader: &mut Reader, node: &Node, what: String) -> Option<PagerDuty> {
    let fields = reader.fields(node, what, &KEYS)?;
    if let Some(node) = fields.get("service_key") {
        let old = "is of PagerDuty's Events API v1, which is not spoken here";
        let remedy = "make an integration of the Events API v2 and write `routing_key_file: PATH`";
        let mistake = Mistake::new(node.place.clone(), old).remedy(remedy);
        reader.judge::<()>(&fields.what, "service_key", Err(mistake));
    } else if !fields.has("routing_key") && !fields.has("routing_key_file") {
        reader.missing(&fields, "routing_key", "write `routing_key_file: PATH`");
    }
    let routing_key = secret(reader, &fields, "routing_key");
    let url = reader.optional(&fields, "url", hook_url);
    let send_resolved = reader.optional(&fields, "send_resolved", boolean);
    let timeout = reader.optional(&fields, "timeout", |node| duration(node, ATTEMPT));
    let http = http_config(reader, &fields);
    let texts = texts(reader, &fields);
    Some(PagerDuty {
        routing_key: routing_key?,
        url: UrlSource::Plain(url.unwrap_or_else(|| PAGERDUTY_URL.to_owned())),
        send_resolved: send_resolved.unwrap_or(true),
        timeout: timeout.unwrap_or(ATTEMPT_DEFAULT),
        http,
        texts,
    })
}

fn texts(reader: &mut Reader, fields: &Fields<'_>) -> PagerDutyTexts {
    let library = reader.library.clone();
    // A plain word that PagerDuty would refuse is a mistake; what a template makes is mapped.
    let severity = reader.optional(fields, "severity", |node| {
        if node.text().is_some_and(|text| text.contains("{{")) {
            return filled(node, &library);
        }
        choice(node, &SEVERITIES)?;
        filled(node, &library)
    });
    let mut text = |name| reader.optional(fields, name, |node| filled(node, &library));
    let (description, source) = (text("description"), text("source"));
    let (component, group, class) = (text("component"), text("group"), text("class"));
    let (client, client_url) = (text("client"), text("client_url"));
    PagerDutyTexts {
        severity,
        description,
        source,
        component,
        group,
        class,
        details: details(reader, fields),
        links: links(reader, fields),
        images: images(reader, fields),
        client,
        client_url,
    }
}

fn details(reader: &mut Reader, fields: &Fields<'_>) -> BTreeMap<String, Template> {
    let mut details = BTreeMap::new();
    let Some(node) = fields.get("details") else { return details };
    let Yaml::Mapping(entries) = &node.value else {
        let message = format!("is {}, where `name: text` is due", node.kind());
        let mistake = Mistake::new(node.place.clone(), message);
        reader.judge::<()>(&fields.what, "details", Err(mistake));
        return details;
    };
    for (key, value) in entries {
        let library = reader.library.clone();
        let name = reader.judge(&fields.what, "details", text(key));
        let filled = reader.judge(&fields.what, "details", filled(value, &library));
        details.extend(name.zip(filled));
    }
    details
}

fn links(reader: &mut Reader, fields: &Fields<'_>) -> Vec<LinkTexts> {
    let mut links = Vec::new();
    for (index, node) in reader.items(fields, "links").into_iter().enumerate() {
        let what = fields.part(&format!("link {}", index + 1));
        let Some(inner) = reader.fields(node, what, &["href", "text"]) else { continue };
        let library = reader.library.clone();
        let url = |node: &Node| filled_url(node, &library);
        let href = reader.required(&inner, "href", "write where it leads", url);
        let text = reader.optional(&inner, "text", |node| filled(node, &library));
        links.extend(href.map(|href| LinkTexts { href, text }));
    }
    links
}

fn images(reader: &mut Reader, fields: &Fields<'_>) -> Vec<ImageTexts> {
    let mut images = Vec::new();
    for (index, node) in reader.items(fields, "images").into_iter().enumerate() {
        let what = fields.part(&format!("image {}", index + 1));
        let Some(inner) = reader.fields(node, what, &["src", "href", "alt"]) else { continue };
        let library = reader.library.clone();
        let url = |node: &Node| filled_url(node, &library);
        let src = reader.required(&inner, "src", "write where it is", url);
        let href = reader.optional(&inner, "href", url);
        let alt = reader.optional(&inner, "alt", |node| filled(node, &library));
        images.extend(src.map(|src| ImageTexts { src, href, alt }));
    }
    images
}
