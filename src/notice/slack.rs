//! A group of alerts as a message for a Slack incoming webhook.
//!
//! Written for a phone: a header of one line, a bar in the colour of the worst alert, what all
//! alerts share as a short grid, then a paragraph for each alert with what sets it apart, since
//! when (in the reader's own time zone) and where to look. The lock screen shows `text`.
//!
//! Slack refuses a whole message that breaks one of its limits, so each text is cut to its own and
//! alerts are left out, and counted, before the blocks together come near to what Slack takes. A
//! text from an alert can't mention anybody or make a link: `&`, `<` and `>` are escaped.

use serde::Serialize;
use serde_json::{Value, json};

use super::Alert;
use super::cut::one_line;
use super::data::Texts;
use super::headline::headline;
use super::payload::{Envelope, shared};
use super::settings::SlackTexts;
use super::severity::Severity;
use crate::model::{Labels, Timestamp};
use crate::template::Template;

const HEADER_CHARS_MAX: usize = 150;
const SECTION_CHARS_MAX: usize = 3_000;
const FIELDS_MAX: usize = 10;
/// Slack takes 2,000, and ten of these must leave room for alerts.
const FIELD_CHARS_MAX: usize = 400;
/// Of the texts of all blocks; Slack refuses a message of some 13,000.
const MESSAGE_CHARS_MAX: usize = 11_000;
/// More than that, nobody scrolls through; blocks stay far below Slack's 50.
const ALERTS_MAX: usize = 10;
/// What an alert says of itself beside its summary.
const DESCRIPTION_CHARS_MAX: usize = 700;
const SUMMARY_CHARS_MAX: usize = 300;
const LABEL_CHARS_MAX: usize = 60;

/// Writes the message; there is at least one alert.
pub(super) fn message(
    texts: &SlackTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'_>,
    alerts: &[&Alert],
    now: Timestamp,
) -> String {
    let line = own(filled, "title", &texts.title);
    let line = line.unwrap_or_else(|| headline(envelope, alerts, now));
    let message = Message {
        channel: own(filled, "channel", &texts.channel),
        username: own(filled, "username", &texts.username),
        icon_emoji: own(filled, "icon_emoji", &texts.icon_emoji),
        icon_url: own(filled, "icon_url", &texts.icon_url),
        text: escaped(&line, SECTION_CHARS_MAX),
        blocks: vec![json!({
            "type": "header",
            "text": {"type": "plain_text", "text": plain(&one_line(&line), HEADER_CHARS_MAX)},
        })],
        attachments: [json!({
            "color": color(texts, filled, alerts, now),
            "blocks": blocks(texts, filled, envelope, alerts, now),
        })],
    };
    serde_json::to_string(&message).expect("texts and numbers always serialize")
}

/// A text of the configuration; one that a template leaves empty is none.
fn own(filled: &mut Texts<'_>, name: &str, text: &Option<Template>) -> Option<String> {
    let text = filled.fill(name, text.as_ref()?);
    Some(text).filter(|text| !text.trim().is_empty())
}

#[derive(Serialize)]
struct Message {
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_emoji: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon_url: Option<String>,
    /// Shown where blocks are not: on lock screens and to screen readers.
    text: String,
    blocks: Vec<Value>,
    attachments: [Value; 1],
}

/// Slack's own three colours have names; there is none for what is only worth knowing.
fn color(texts: &SlackTexts, filled: &mut Texts<'_>, alerts: &[&Alert], now: Timestamp) -> String {
    let firing = alerts.iter().filter(|alert| !alert.is_resolved(now));
    let usual = match firing.map(|alert| Severity::of(alert)).max() {
        None => "good",
        Some(Severity::Critical | Severity::Error) => "danger",
        Some(Severity::Warning) => "warning",
        Some(Severity::Info) => "#439fe0",
    };
    own(filled, "color", &texts.color).unwrap_or_else(|| usual.to_owned())
}

fn blocks(
    texts: &SlackTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'_>,
    alerts: &[&Alert],
    now: Timestamp,
) -> Vec<Value> {
    let mut blocks = Vec::new();
    if let Some(text) = own(filled, "text", &texts.text) {
        blocks.push(section(&escaped(&text, SECTION_CHARS_MAX)));
    }
    let common = shared(alerts.iter().map(|alert| &alert.labels));
    let fields = fields(texts, filled, &common);
    if !fields.is_empty() {
        blocks.push(json!({"type": "section", "fields": fields}));
    }
    let mut left = MESSAGE_CHARS_MAX.saturating_sub(blocks.iter().map(chars).sum());
    // What fires is read first, and what broke first before what followed from it.
    let mut ordered = alerts.to_vec();
    ordered.sort_by_key(|alert| (alert.is_resolved(now), alert.starts_at));
    let mut shown = 0;
    for alert in ordered.iter().take(ALERTS_MAX) {
        let block = section(&paragraph(alert, &common, alerts.len() == 1, now));
        let Some(rest) = left.checked_sub(chars(&block)) else { break };
        left = rest;
        blocks.push(block);
        shown += 1;
    }
    blocks.push(footer(texts, filled, envelope, alerts.len() - shown));
    blocks
}

/// The texts of a block, counted as Slack does: all that is written in it.
fn chars(block: &Value) -> usize {
    match block {
        Value::String(text) => length(text),
        Value::Array(items) => items.iter().map(chars).sum(),
        Value::Object(entries) => entries.values().map(chars).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

fn section(text: &str) -> Value {
    json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
}

/// What all alerts share, beside their name, which the header says; the configured ones first.
fn fields(texts: &SlackTexts, filled: &mut Texts<'_>, common: &Labels) -> Vec<Value> {
    let configured: Vec<(String, String)> = texts
        .fields
        .iter()
        .take(FIELDS_MAX)
        .map(|(title, value)| (filled.fill("fields", title), filled.fill("fields", value)))
        .collect();
    let configured = configured.iter().map(|(title, value)| (title.as_str(), value.as_str()));
    let labels = common.iter().filter(|label| !is_noise(&label.name));
    let labels = labels.map(|label| (&*label.name, &*label.value));
    let field = |(title, value): (&str, &str)| {
        let (title, value) = (escaped(title, LABEL_CHARS_MAX), escaped(value, FIELD_CHARS_MAX));
        json!({"type": "mrkdwn", "text": format!("*{title}*\n{value}")})
    };
    configured.chain(labels).take(FIELDS_MAX).map(field).collect()
}

/// Labels that say nothing to somebody who was just woken.
fn is_noise(name: &str) -> bool {
    matches!(name, "alertname" | "job" | "instance" | "__name__")
}

fn paragraph(alert: &Alert, common: &Labels, is_alone: bool, now: Timestamp) -> String {
    let annotation = |name: &str| alert.annotations.get(name).unwrap_or_default();
    let mut lines = Vec::new();
    let summary = escaped(&one_line(annotation("summary")), SUMMARY_CHARS_MAX);
    let mark = if alert.is_resolved(now) { ":white_check_mark: " } else { "" };
    let apart: Vec<String> = alert
        .labels
        .iter()
        .filter(|label| common.get(&label.name).is_none() && !is_noise(&label.name))
        .map(|label| {
            let value = escaped(&one_line(&label.value), LABEL_CHARS_MAX);
            format!("{} `{}`", escaped(&label.name, LABEL_CHARS_MAX), value.replace('`', "'"))
        })
        .collect();
    match (summary.is_empty(), apart.is_empty()) {
        (false, _) => lines.push(format!("{mark}*{}*", summary.replace('*', "·"))),
        (true, true) if is_alone => {}
        (true, _) => lines.push(format!("{mark}*{}*", escaped(alert.name(), SUMMARY_CHARS_MAX))),
    }
    if !apart.is_empty() {
        lines.push(joined(&apart));
    }
    let description = escaped(annotation("description").trim(), DESCRIPTION_CHARS_MAX);
    lines.extend(Some(description).filter(|text| !text.is_empty()));
    lines.push(times(alert, now));
    let links = [
        (annotation("runbook_url"), "Runbook"),
        (annotation("dashboard_url"), "Dashboard"),
        (alert.generator_url.as_str(), "Query"),
    ];
    let mut paragraph = lines.join("\n");
    let mut before = "\n";
    for link in links.into_iter().filter_map(|(url, text)| link(url, text)) {
        // One that was cut would lead elsewhere.
        if length(&paragraph) + length(before) + length(&link) <= SECTION_CHARS_MAX {
            paragraph.push_str(before);
            paragraph.push_str(&link);
            before = "  ·  ";
        }
    }
    paragraph
}

/// As Slack may count it: in units of UTF-16, the strictest of the ways to count characters.
fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// As many labels as a reader takes in.
fn joined(labels: &[String]) -> String {
    let (shown, left_out) = labels.split_at(labels.len().min(8));
    let more = if left_out.is_empty() { "" } else { "  …" };
    format!("{}{more}", shown.join("  "))
}

fn times(alert: &Alert, now: Timestamp) -> String {
    match alert.ends_at.filter(|_| alert.is_resolved(now)) {
        Some(ended) => format!("from {} to {}", date(alert.starts_at), date(ended)),
        None => format!("since {}", date(alert.starts_at)),
    }
}

/// Slack writes it in the reader's own time zone, or the text after the bar where it can't.
fn date(at: Timestamp) -> String {
    let seconds = at.millis().div_euclid(1000);
    format!("<!date^{seconds}^{{date_short_pretty}} {{time_secs}}|{}>", at.rfc3339())
}

fn link(url: &str, text: &str) -> Option<String> {
    let leads = url.starts_with("https://") || url.starts_with("http://");
    if !leads || url.contains(char::is_whitespace) {
        return None;
    }
    // A bar would end it early.
    let url = escaped(url, usize::MAX).replace('|', "%7C");
    Some(format!("<{url}|{text}>"))
}

fn footer(
    texts: &SlackTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'_>,
    left_out: usize,
) -> Value {
    let mut parts = Vec::new();
    if left_out > 0 {
        parts.push(format!("and {left_out} more that are not shown"));
    }
    parts.push(format!("receiver {}", escaped(envelope.receiver, LABEL_CHARS_MAX)));
    let url = own(filled, "title_link", &texts.title_link);
    let url = url.as_deref().unwrap_or(envelope.external_url);
    parts.extend(link(url, "bellwether"));
    json!({"type": "context", "elements": [{"type": "mrkdwn", "text": parts.join("  ·  ")}]})
}

/// A text for a place where nothing is special.
fn plain(text: &str, length_max: usize) -> String {
    fitted(text.chars().map(String::from), length_max)
}

/// A text with what is special to Slack escaped.
fn escaped(text: &str, length_max: usize) -> String {
    let pieces = text.chars().map(|character| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other => other.to_string(),
    });
    fitted(pieces, length_max)
}

/// As many whole pieces as fit, with `…` at the end where some are left out.
fn fitted(pieces: impl Iterator<Item = String>, length_max: usize) -> String {
    let mut out = String::new();
    let mut taken = 0;
    // Where it ends if the next piece does not fit.
    let mut fits = 0;
    for piece in pieces {
        taken += length(&piece);
        if taken > length_max {
            out.truncate(fits);
            out.push('…');
            return out;
        }
        out.push_str(&piece);
        if taken < length_max {
            fits = out.len();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::*;
    use crate::template::{Library, parse_notice};

    const NOW: Timestamp = Timestamp::from_millis(1_795_343_300_000);

    fn error_ratio(model: &str, severity: &str) -> Alert {
        let labels = [
            ("alertname", "ErrorRatio"),
            ("job", "bellwether"),
            ("model", model),
            ("provider", "openai"),
            ("severity", severity),
        ];
        let annotations = [
            ("summary", "error ratio <13%> & rising"),
            ("description", "Ask @channel:\n<!channel>"),
            ("runbook_url", "https://runbooks.example/a|b?x=1&y=2"),
        ];
        Alert {
            starts_at: Timestamp::from_millis(1_795_343_236_678),
            annotations: Labels::from_pairs(annotations),
            generator_url: "http://vm:19103/graph".to_owned(),
            ..firing(&labels, 0)
        }
    }

    fn written(texts: &SlackTexts, alerts: &[&Alert]) -> Value {
        let group_labels = Labels::from_pairs([("alertname", "ErrorRatio")]);
        let envelope = Envelope {
            receiver: "team",
            group_labels: &group_labels,
            group_key: r#"{}:{alertname="ErrorRatio"}"#,
            reason: "",
            incident: "1234",
            external_url: "http://vm:19792",
            truncated: 0,
        };
        let mut filled = Texts::new(&envelope, alerts, NOW);
        serde_json::from_str(&message(texts, &mut filled, &envelope, alerts, NOW)).unwrap()
    }

    // Blocks, attachments and the date's form are those of Slack's reference of Block Kit.
    #[test]
    fn one_alert_is_a_header_a_grid_and_a_paragraph() {
        let message = written(&SlackTexts::default(), &[&error_ratio("gpt-x", "page")]);
        let grid = |title: &str, value: &str| json!({"type": "mrkdwn", "text": format!("*{title}*\n{value}")});
        let expected = json!({
            "text": "[FIRING:1] ErrorRatio: error ratio &lt;13%&gt; &amp; rising",
            "blocks": [{
                "type": "header",
                "text": {
                    "type": "plain_text",
                    "text": "[FIRING:1] ErrorRatio: error ratio <13%> & rising",
                },
            }],
            "attachments": [{
                "color": "danger",
                "blocks": [
                    {
                        "type": "section",
                        "fields": [
                            grid("model", "gpt-x"),
                            grid("provider", "openai"),
                            grid("severity", "page"),
                        ],
                    },
                    {
                        "type": "section",
                        "text": {
                            "type": "mrkdwn",
                            "text": "*error ratio &lt;13%&gt; &amp; rising*\n\
                                     Ask @channel:\n&lt;!channel&gt;\n\
                                     since <!date^1795343236^{date_short_pretty} {time_secs}|2026-11-22T10:27:16.678Z>\n\
                                     <https://runbooks.example/a%7Cb?x=1&amp;y=2|Runbook>  ·  <http://vm:19103/graph|Query>",
                        },
                    },
                    {
                        "type": "context",
                        "elements": [{
                            "type": "mrkdwn",
                            "text": "receiver team  ·  <http://vm:19792|bellwether>",
                        }],
                    },
                ],
            }],
        });
        assert_eq!(message, expected);
    }

    #[test]
    fn the_colour_is_that_of_the_worst_alert_that_fires_and_green_when_none_does() {
        let texts = SlackTexts::default();
        let (bad, mild) = (error_ratio("a", "page"), error_ratio("b", "warning"));
        let over = resolved(&bad, 1_795_343_290);
        let color = |alerts: &[&Alert]| written(&texts, alerts)["attachments"][0]["color"].clone();
        assert_eq!(color(&[&mild, &bad]), "danger");
        assert_eq!(color(&[&mild, &over]), "warning");
        assert_eq!(color(&[&error_ratio("a", "info")]), "#439fe0");
        assert_eq!(color(&[&over]), "good");
        let message = written(&texts, &[&over]);
        assert_eq!(message["text"], "[RESOLVED] ErrorRatio: error ratio &lt;13%&gt; &amp; rising");
        let text = message["attachments"][0]["blocks"][1]["text"]["text"].as_str().unwrap();
        assert!(text.starts_with(":white_check_mark: *error"), "{text}");
        assert!(text.contains("from <!date^1795343236^"), "{text}");
        assert!(text.contains(" to <!date^1795343290^"), "{text}");
    }

    #[test]
    fn alerts_of_one_group_say_what_sets_them_apart_and_what_fires_comes_first() {
        let mut over = resolved(&error_ratio("a`b", "page"), 1_795_343_290);
        over.annotations = Labels::empty();
        let message = written(&SlackTexts::default(), &[&over, &error_ratio("b", "page")]);
        let blocks = message["attachments"][0]["blocks"].as_array().unwrap();
        let fields = blocks[0]["fields"].to_string();
        assert!(!fields.contains("model") && fields.contains("provider"), "{fields}");
        let first = blocks[1]["text"]["text"].as_str().unwrap();
        assert!(first.contains("*error ratio"), "{first}");
        assert!(first.contains("\nmodel `b`\n"), "{first}");
        let second = blocks[2]["text"]["text"].as_str().unwrap();
        assert!(second.starts_with(":white_check_mark: *ErrorRatio*\nmodel `a'b`\n"), "{second}");
    }

    #[test]
    fn templates_are_filled_in_and_escaped() {
        let text = |text: &str| parse_notice(text, &Library::standard()).unwrap();
        let texts = SlackTexts {
            channel: Some(text("#{{ .CommonLabels.provider }}")),
            title: Some(text("{{ template \"slack.default.title\" . }}")),
            text: Some(text("{{ range .Alerts }}{{ .Annotations.summary }}{{ end }} {{ .Nope }}")),
            color: Some(text("{{ if eq .Status \"firing\" }}danger{{ else }}good{{ end }}")),
            fields: vec![(text("n"), text("{{ len .Alerts }}"))],
            ..SlackTexts::default()
        };
        let message = written(&texts, &[&error_ratio("gpt-x", "page")]);
        assert_eq!(message["channel"], "#openai");
        assert_eq!(message["text"], "[FIRING:1] ErrorRatio (bellwether gpt-x openai page)");
        let attachment = &message["attachments"][0];
        assert_eq!(attachment["color"], "danger");
        let said = "&lt;error expanding template: a template.Data has no field `Nope`&gt;";
        assert_eq!(attachment["blocks"][0]["text"]["text"], said);
        assert_eq!(attachment["blocks"][1]["fields"][0]["text"], "*n*\n1");
    }

    #[test]
    fn nothing_breaks_slacks_limits() {
        let huge = "&🚨".repeat(4000);
        let names: Vec<String> = (0..300).map(|number| format!("m{number}{huge}")).collect();
        let many: Vec<Alert> = names
            .iter()
            .map(|name| Alert {
                annotations: Labels::from_pairs([("summary", &*huge), ("description", &*huge)]),
                ..error_ratio(name, "page")
            })
            .collect();
        let many: Vec<&Alert> = many.iter().collect();
        let texts = SlackTexts {
            text: Some(Template::plain(&huge)),
            fields: (0..30).map(|_| (Template::plain(&huge), Template::plain(&huge))).collect(),
            ..SlackTexts::default()
        };
        for alerts in [&many[..], &many[..1]] {
            for texts in [&SlackTexts::default(), &texts] {
                let message = written(texts, alerts);
                let length = |text: &Value| super::length(text.as_str().unwrap());
                let header = &message["blocks"][0]["text"]["text"];
                assert!(length(header) <= 150 && header.as_str().unwrap().ends_with('…'));
                assert!(length(&message["text"]) <= 3000);
                let blocks = message["attachments"][0]["blocks"].as_array().unwrap();
                assert!((2..=50).contains(&blocks.len()), "{}", blocks.len());
                assert!(blocks.iter().map(chars).sum::<usize>() <= 12_500);
                for block in blocks {
                    if let Some(text) = block.pointer("/text/text") {
                        assert!(length(text) <= 3000, "{text}");
                    }
                    let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
                    assert!(fields.len() <= 10);
                    assert!(fields.iter().all(|field| length(&field["text"]) <= 2000));
                }
                // No escape is cut in two. The header is plain text, and has none.
                let whole = message["attachments"].to_string();
                assert!(whole.matches("&amp;").count() == whole.matches('&').count(), "{whole}");
            }
        }
        let footer = written(&SlackTexts::default(), &many)["attachments"][0]["blocks"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .to_string();
        assert!(footer.contains(" more that are not shown"), "{footer}");
    }

    #[test]
    fn a_text_is_cut_only_where_it_does_not_fit() {
        for (text, max, expected) in [
            ("ab&", 7, "ab&amp;"),
            ("ab&", 6, "ab…"),
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("", 0, ""),
        ] {
            assert_eq!(escaped(text, max), expected, "{text} {max}");
        }
    }
}
