//! `slack_configs:`, with Alertmanager's field names: messages to an incoming webhook.

use super::amount::duration;
use super::reader::{Fields, Reader};
use super::receivers::{ATTEMPT, ATTEMPT_DEFAULT, http_config};
use super::scalar::{boolean, filled, filled_url};
use super::secret::secret;
use crate::model::UrlSource;
use crate::notice::{Slack, SlackTexts};
use crate::yaml::Node;

const KEYS: [&str; 14] = [
    "api_url",
    "api_url_file",
    "send_resolved",
    "timeout",
    "http_config",
    "channel",
    "username",
    "icon_emoji",
    "icon_url",
    "color",
    "title",
    "title_link",
    "text",
    "fields",
];

/// Reads one entry. Whoever knows the URL can post, so it is a secret.
pub(super) fn slack(reader: &mut Reader, node: &Node, what: String) -> Option<Slack> {
    let fields = reader.fields(node, what, &KEYS)?;
    if !fields.has("api_url") && !fields.has("api_url_file") {
        reader.missing(&fields, "api_url", "write `api_url_file: PATH`");
    }
    let url = secret(reader, &fields, "api_url");
    // Alertmanager's default: a channel is read, and an end is seldom news there.
    let send_resolved = reader.optional(&fields, "send_resolved", boolean);
    let timeout = reader.optional(&fields, "timeout", |node| duration(node, ATTEMPT));
    let http = http_config(reader, &fields);
    let texts = texts(reader, &fields);
    Some(Slack {
        url: UrlSource::Secret(url?),
        send_resolved: send_resolved.unwrap_or(false),
        timeout: timeout.unwrap_or(ATTEMPT_DEFAULT),
        http,
        texts,
    })
}

fn texts(reader: &mut Reader, fields: &Fields<'_>) -> SlackTexts {
    let library = reader.library.clone();
    let mut text = |name| reader.optional(fields, name, |node| filled(node, &library));
    let (channel, username) = (text("channel"), text("username"));
    let (icon_emoji, color) = (text("icon_emoji"), text("color"));
    let (title, body) = (text("title"), text("text"));
    let mut link = |name| reader.optional(fields, name, |node| filled_url(node, &library));
    let (icon_url, title_link) = (link("icon_url"), link("title_link"));
    let mut found = Vec::new();
    for (index, node) in reader.items(fields, "fields").into_iter().enumerate() {
        let what = fields.part(&format!("field {}", index + 1));
        let Some(inner) = reader.fields(node, what, &["title", "value", "short"]) else { continue };
        let title =
            reader.required(&inner, "title", "write what it is", |node| filled(node, &library));
        let value =
            reader.required(&inner, "value", "write what it says", |node| filled(node, &library));
        // Fields stand side by side where there is room for it, whatever this says.
        reader.optional(&inner, "short", boolean);
        found.extend(title.zip(value));
    }
    SlackTexts {
        channel,
        username,
        icon_emoji,
        icon_url,
        color,
        title,
        title_link,
        text: body,
        fields: found,
    }
}
