//! A probe of a page: what is asked for, and what is due of the answer.

use std::time::Duration;

use super::amount::duration;
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{boolean, choice, number, raw, refuse, text};
use crate::model::Mistake;
use crate::provider::{HeaderRule, Method, Page};
use crate::yaml::Node;

/// The keys of a page's probe that no other has.
pub(super) const KEYS: [&str; 6] =
    ["path", "method", "body", "status", "headers", "certificate_min"];
/// The keys of other probes that a page's has not.
pub(super) const OF_MODELS: [&str; 5] = ["model", "stream", "max_tokens", "prompt", "budget_daily"];

/// Nobody renews a certificate earlier.
const CERTIFICATE_MAX: Duration = Duration::from_secs(398 * 86_400);

/// Reports keys that say something of another kind of probe.
pub(super) fn refuse_keys(reader: &mut Reader, fields: &Fields<'_>, keys: &[&str], why: &str) {
    for key in keys {
        if let Some(node) = fields.get(key) {
            let message = prefixed(&fields.what, &format!("`{key}` is written, but {why}"));
            reader.report(Mistake::new(node.place.clone(), message).remedy("remove it"));
        }
    }
}

/// Reads what is asked for and what is due.
pub(super) fn page(reader: &mut Reader, fields: &Fields<'_>) -> Page {
    let body = reader.optional(fields, "body", text);
    let methods = Method::ALL.map(|method| (method.as_str(), method));
    let method = reader.optional(fields, "method", |node| choice(node, &methods));
    let usual = if body.is_some() { Method::Post } else { Method::Get };
    Page {
        method: method.unwrap_or(usual),
        path: reader.optional(fields, "path", path).unwrap_or_else(|| "/".to_owned()),
        body,
        statuses: reader.list(fields, "status", status),
        headers: headers(reader, fields),
        certificate_min: reader.optional(fields, "certificate_min", |node| {
            duration(node, Duration::from_secs(1)..=CERTIFICATE_MAX)
        }),
    }
}

/// The path of a page, before anything else is read of it: it names the probe.
pub(super) fn path(node: &Node) -> Result<String, Mistake> {
    let text = text(node)?;
    let is_visible = text.chars().all(|c| c.is_ascii_graphic());
    if text.starts_with('/') && is_visible && !text.contains('#') {
        return Ok(text);
    }
    Err(refuse(node, "where a path is due").remedy("write what follows `base_url`: `/health`"))
}

fn status(node: &Node) -> Result<(u16, u16), Mistake> {
    let class = raw(node, "a status")?.strip_suffix("xx");
    if let Some(class) = class.and_then(|class| class.parse::<u16>().ok()) {
        if (1..=5).contains(&class) {
            return Ok((class * 100, class * 100 + 99));
        }
        return Err(refuse(node, "and no status is in that class"));
    }
    let status = number(node, 100..=599).map_err(|mistake| match mistake.remedy {
        Some(_) => mistake,
        None => mistake.remedy("write a status such as `204`, or a class such as `2xx`"),
    })?;
    Ok((status, status))
}

fn headers(reader: &mut Reader, fields: &Fields<'_>) -> Vec<(String, HeaderRule)> {
    let Some(node) = fields.get("headers") else { return Vec::new() };
    let due = "write `Name: regular expression`, or `true` or `false` for whether it is there";
    let Some(entries) = node.entries() else {
        let wrong = Mistake::new(node.place.clone(), format!("is {}", node.kind()));
        reader.judge::<()>(&fields.what, "headers", Err(wrong.remedy(due)));
        return Vec::new();
    };
    let what = fields.part("headers");
    let mut rules = Vec::new();
    for (key, value) in entries {
        let name = key.text().unwrap_or_default();
        if ::http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let message = format!("{what}: `{}` is no header's name", name.escape_debug());
            reader.report(Mistake::new(key.place.clone(), message));
            continue;
        }
        let rule = match boolean(value) {
            Ok(true) => Ok(HeaderRule::Present),
            Ok(false) => Ok(HeaderRule::Absent),
            Err(_) => reader.patterns.regex(value).map(HeaderRule::Matches),
        };
        let rule = reader.judge(&what, name, rule);
        rules.extend(rule.map(|rule| (name.to_ascii_lowercase(), rule)));
    }
    rules
}
