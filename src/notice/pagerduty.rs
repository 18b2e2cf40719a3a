//! A group of alerts as an event of PagerDuty's Events API v2.
//!
//! One group is one PagerDuty alert: it is triggered while anything in the group fires and resolved
//! when nothing does. The `dedup_key` names the group and the incident that it began with, so it is
//! the same over repeats, reloads and restarts, and a resolve that comes late never closes what
//! broke anew since.
//!
//! PagerDuty refuses what breaks its limits, and a refused page is a lost one, so everything is cut
//! to them: a severity is one of four, a summary has at most 1,024 characters, an event at most 512
//! kB. Where it would be longer, alerts are left out of the details and their number is told, then
//! the details, then the links.
//!
//! The routing key is not in here: it is a secret, and what is written here is kept on disk.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Alert;
use super::alert::Object;
use super::cut::cut;
use super::data::Texts;
use super::group::digest;
use super::headline::{headline, worst};
use super::payload::{Envelope, item, shared};
use super::settings::PagerDutyTexts;
use super::severity::Severity;
use crate::model::{Secret, Timestamp};
use crate::template::Template;

/// Where events go unless the configuration says otherwise.
pub const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

const SUMMARY_CHARS_MAX: usize = 1024;
/// 512 kB, less some room for the routing key.
const EVENT_BYTES_MAX: usize = 511_000;
/// What the alerts of the details may take of that.
const ALERTS_BYTES_MAX: usize = 400_000;
/// Of `component`, `group` and so on: nobody reads more on a phone.
const FIELD_CHARS_MAX: usize = 255;
const LINKS_MAX: usize = 20;

/// Why a routing key cannot be used. It is not repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing is there.
    #[error("the routing key is empty")]
    Empty,
    /// The message is no event.
    #[error("the message is no JSON object, so no routing key can be added to it")]
    NoEvent,
}

/// An event as it is sent.
pub fn with_routing_key(event: &str, key: &Secret) -> Result<String, KeyError> {
    let key = key.expose().trim();
    if key.is_empty() {
        return Err(KeyError::Empty);
    }
    let rest = event.strip_prefix('{').ok_or(KeyError::NoEvent)?;
    let key = serde_json::to_string(key).expect("a text always serializes");
    Ok(format!("{{\"routing_key\":{key},{rest}"))
}

/// Writes the event; there is at least one alert.
pub(super) fn event(
    texts: &PagerDutyTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'_>,
    alerts: &[&Alert],
    now: Timestamp,
) -> String {
    let dedup_key = digest(&[envelope.group_key, envelope.incident]);
    let firing: Vec<&Alert> =
        alerts.iter().filter(|alert| !alert.is_resolved(now)).copied().collect();
    if firing.is_empty() {
        return written(&Resolve { event_action: "resolve", dedup_key: &dedup_key });
    }
    let mut event = trigger(texts, filled, envelope, alerts, &firing, &dedup_key, now);
    event.payload.custom_details = details(texts, filled, envelope, alerts, firing.len(), now);
    let mut text = written(&event);
    if text.len() > EVENT_BYTES_MAX {
        let why = "the details were left out: with them the event would be longer than 512 kB";
        let error = BTreeMap::from([("error", json(&why))]);
        event.payload.custom_details = json(&error);
        text = written(&event);
    }
    if text.len() > EVENT_BYTES_MAX {
        event.links.clear();
        event.images.clear();
        text = written(&event);
    }
    text
}

fn trigger<'a>(
    texts: &PagerDutyTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'a>,
    alerts: &[&'a Alert],
    firing: &[&'a Alert],
    dedup_key: &'a str,
    now: Timestamp,
) -> Trigger<'a> {
    let common = shared(firing.iter().map(|alert| &alert.labels));
    let label = |names: &[&str]| names.iter().find_map(|name| common.get(name).map(field));
    let mut own = |name: &str, text: &Option<Template>| {
        let text = filled.fill(name, text.as_ref()?);
        // What a template leaves empty says nothing, so ours stands there.
        Some(text).filter(|text| !text.trim().is_empty())
    };
    let summary = own("description", &texts.description);
    let summary = summary.unwrap_or_else(|| headline(envelope, alerts, now));
    let severity = own("severity", &texts.severity).map(|word| Severity::of_label(&word));
    let severity = severity.or_else(|| firing.iter().map(|alert| Severity::of(alert)).max());
    let source = own("source", &texts.source).as_deref().map(field);
    let source = source.or_else(|| label(&["target", "provider", "instance"]));
    let component = own("component", &texts.component).as_deref().map(field);
    let group = own("group", &texts.group).as_deref().map(field);
    let class = own("class", &texts.class).as_deref().map(field);
    let client = own("client", &texts.client).unwrap_or_else(|| "bellwether".to_owned());
    let client_url = own("client_url", &texts.client_url);
    let began = firing.iter().map(|alert| alert.starts_at).min().unwrap_or(now);
    Trigger {
        event_action: "trigger",
        dedup_key,
        payload: Payload {
            summary: cut(&summary, SUMMARY_CHARS_MAX),
            source: source.unwrap_or_else(|| "bellwether".to_owned()),
            severity: severity.unwrap_or(Severity::Error),
            timestamp: began.rfc3339(),
            component: component.or_else(|| label(&["model"])),
            group: group.or_else(|| label(&["provider"])),
            class: class.or_else(|| label(&["alertname"])),
            custom_details: json(&()),
        },
        links: links(texts, filled, firing, now),
        images: images(texts, filled),
        client,
        client_url: client_url.unwrap_or_else(|| envelope.external_url.to_owned()),
    }
}

fn field(text: &str) -> String {
    cut(text, FIELD_CHARS_MAX)
}

/// The configured ones, then where the worst alert's runbook, dashboard and query are.
fn links(
    texts: &PagerDutyTexts,
    filled: &mut Texts<'_>,
    firing: &[&Alert],
    now: Timestamp,
) -> Vec<Link> {
    let mut links = Vec::new();
    for link in &texts.links {
        let href = filled.fill("links", &link.href);
        let text = link.text.as_ref().map(|text| filled.fill("links", text));
        if leads_somewhere(&href) {
            links.push(Link { text: text.unwrap_or_else(|| href.clone()), href });
        }
    }
    let Some(worst) = worst(firing, now) else { return links };
    let annotation = |name: &str| worst.annotations.get(name).unwrap_or_default();
    for (href, text) in [
        (annotation("runbook_url"), "Runbook"),
        (annotation("dashboard_url"), "Dashboard"),
        (worst.generator_url.as_str(), "Query"),
    ] {
        if leads_somewhere(href) {
            links.push(Link { href: href.to_owned(), text: text.to_owned() });
        }
    }
    links.truncate(LINKS_MAX);
    links
}

/// PagerDuty shows nothing else, and a relative link would lead to itself.
fn leads_somewhere(href: &str) -> bool {
    href.starts_with("https://") || href.starts_with("http://")
}

fn images(texts: &PagerDutyTexts, filled: &mut Texts<'_>) -> Vec<Image> {
    let mut images = Vec::new();
    for image in &texts.images {
        let src = filled.fill("images", &image.src);
        let mut own = |text: &Option<Template>| {
            text.as_ref().map(|text| filled.fill("images", text)).unwrap_or_default()
        };
        let (href, alt) = (own(&image.href), own(&image.alt));
        if leads_somewhere(&src) {
            images.push(Image { src, href, alt });
        }
    }
    images
}

/// What is told beside the summary. Fields of the configuration win over ours of the same name.
fn details(
    texts: &PagerDutyTexts,
    filled: &mut Texts<'_>,
    envelope: &Envelope<'_>,
    alerts: &[&Alert],
    firing: usize,
    now: Timestamp,
) -> Box<RawValue> {
    let mut told = Vec::new();
    let mut bytes = 0;
    for alert in alerts {
        let item = json(&item(alert, now));
        bytes += item.get().len();
        if bytes > ALERTS_BYTES_MAX {
            break;
        }
        told.push(item);
    }
    let left_out = alerts.len() - told.len();
    let mut details = BTreeMap::from([
        ("num_firing", json(&firing)),
        ("num_resolved", json(&(alerts.len() - firing))),
        ("group_labels", json(&Object(envelope.group_labels))),
        ("receiver", json(&envelope.receiver)),
        ("alerts", json(&told)),
    ]);
    if left_out > 0 {
        details.insert("num_left_out", json(&left_out));
    }
    for (name, text) in &texts.details {
        details.insert(name, json(&filled.fill("details", text)));
    }
    json(&details)
}

fn json(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("texts and numbers always serialize")
}

fn written(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers always serialize")
}

/// An end needs no more: PagerDuty knows the rest.
#[derive(Serialize)]
struct Resolve<'a> {
    event_action: &'a str,
    dedup_key: &'a str,
}

#[derive(Serialize)]
struct Trigger<'a> {
    event_action: &'a str,
    dedup_key: &'a str,
    payload: Payload,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    images: Vec<Image>,
    client: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    client_url: String,
}

#[derive(Serialize)]
struct Link {
    href: String,
    text: String,
}

#[derive(Serialize)]
struct Image {
    src: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    href: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    alt: String,
}

#[derive(Serialize)]
struct Payload {
    summary: String,
    source: String,
    severity: Severity,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    custom_details: Box<RawValue>,
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::super::{ImageTexts, LinkTexts};
    use super::*;
    use crate::model::Labels;
    use crate::template::{Library, parse_notice};

    const NOW: Timestamp = Timestamp::from_millis(1_795_343_300_000);

    fn error_ratio(model: &str, severity: &str) -> Alert {
        let labels = [
            ("alertname", "ErrorRatio"),
            ("model", model),
            ("provider", "openai"),
            ("severity", severity),
        ];
        let annotations =
            [("summary", "error ratio 13.87%"), ("runbook_url", "https://runbooks.example/errors")];
        Alert {
            starts_at: Timestamp::from_millis(1_795_343_236_678),
            annotations: Labels::from_pairs(annotations),
            generator_url: "http://vm:19103/graph?g0.tab=1".to_owned(),
            incident: "1234".to_owned(),
            ..firing(&labels, 0)
        }
    }

    fn text(texts: &PagerDutyTexts, incident: &str, alerts: &[&Alert]) -> String {
        let group_labels = Labels::from_pairs([("alertname", "ErrorRatio")]);
        let envelope = Envelope {
            receiver: "pages",
            group_labels: &group_labels,
            group_key: r#"{}:{alertname="ErrorRatio"}"#,
            reason: "",
            incident,
            external_url: "http://vm:19792",
            truncated: 0,
        };
        let mut filled = Texts::new(&envelope, alerts, NOW);
        event(texts, &mut filled, &envelope, alerts, NOW)
    }

    fn parsed(texts: &PagerDutyTexts, alerts: &[&Alert]) -> serde_json::Value {
        serde_json::from_str(&text(texts, "1234", alerts)).unwrap()
    }

    // The fields are those of PagerDuty's reference of `POST /v2/enqueue`. The key is sha256 over
    // the lengths (8 bytes, big endian) and bytes of the group's key and of the incident, worked
    // out with Python's hashlib.
    const KEY: &str = "64d85363ec97706d1517c201bdebba241ffc9aa4b7e3e7fec88bbb20eecf4a45";

    #[test]
    fn a_trigger_reads_as_pagerduty_documents_it() {
        let expected = [
            r#"{"event_action":"trigger","dedup_key":""#,
            KEY,
            r#"","payload":{"#,
            r#""summary":"[FIRING:1] ErrorRatio: error ratio 13.87%","source":"openai","#,
            r#""severity":"critical","timestamp":"2026-11-22T10:27:16.678Z","#,
            r#""component":"gpt-x","group":"openai","class":"ErrorRatio","custom_details":{"#,
            r#""alerts":[{"status":"firing","labels":{"alertname":"ErrorRatio","#,
            r#""model":"gpt-x","provider":"openai","severity":"page"},"#,
            r#""annotations":{"runbook_url":"https://runbooks.example/errors","#,
            r#""summary":"error ratio 13.87%"},"startsAt":"2026-11-22T10:27:16.678Z","#,
            r#""endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://vm:19103/graph?g0.tab=1","#,
            r#""fingerprint":""#,
        ]
        .concat();
        let rest = concat!(
            r#""}],"group_labels":{"alertname":"ErrorRatio"},"num_firing":1,"num_resolved":0,"#,
            r#""receiver":"pages"}},"links":["#,
            r#"{"href":"https://runbooks.example/errors","text":"Runbook"},"#,
            r#"{"href":"http://vm:19103/graph?g0.tab=1","text":"Query"}],"#,
            r#""client":"bellwether","client_url":"http://vm:19792"}"#,
        );
        let alert = error_ratio("gpt-x", "page");
        let whole = expected + &alert.fingerprint() + rest;
        assert_eq!(text(&PagerDutyTexts::default(), "1234", &[&alert]), whole);
    }

    #[test]
    fn a_resolve_needs_its_key_alone_and_has_the_triggers() {
        let over = resolved(&error_ratio("gpt-x", "page"), 1_795_343_290);
        let expected = format!(r#"{{"event_action":"resolve","dedup_key":"{KEY}"}}"#);
        assert_eq!(text(&PagerDutyTexts::default(), "1234", &[&over]), expected);
        // The next incident of the same group is another one: a late resolve closes nothing else.
        let fires = error_ratio("gpt-x", "page");
        assert!(!text(&PagerDutyTexts::default(), "5678", &[&fires]).contains(KEY));
    }

    #[test]
    fn a_group_is_as_severe_as_its_worst_alert_that_fires() {
        let (bad, mild) = (error_ratio("a", "page"), error_ratio("b", "ticket"));
        let texts = PagerDutyTexts::default();
        assert_eq!(parsed(&texts, &[&mild, &bad])["payload"]["severity"], "critical");
        let over = resolved(&bad, 1_795_343_290);
        let event = parsed(&texts, &[&over, &mild]);
        assert_eq!(event["payload"]["severity"], "warning");
        assert_eq!(event["event_action"], "trigger");
        assert_eq!(event["payload"]["custom_details"]["num_resolved"], 1);
        assert_eq!(event["payload"]["component"], "b", "what is over says nothing of what is not");
        // What the alerts do not agree on is left out.
        let event = parsed(&texts, &[&mild, &bad]);
        assert_eq!(event["payload"].get("component"), None);
        assert_eq!(parsed(&texts, &[&error_ratio("a", "bad?")])["payload"]["severity"], "error");
    }

    #[test]
    fn configured_texts_stand_in_place_of_ours() {
        let text = |text: &str| Some(parse_notice(text, &Library::standard()).unwrap());
        let plain = Template::plain;
        let image = ImageTexts { src: plain("https://i/1"), href: None, alt: text("a") };
        let texts = PagerDutyTexts {
            severity: text("{{ .Status | reReplaceAll \"firing\" \"ticket\" }}"),
            description: text("{{ template \"__subject\" . }}"),
            source: text("{{ .CommonLabels.model }}"),
            component: text("c{{ .CommonLabels.nope }}"),
            group: text("g"),
            class: text("k"),
            details: BTreeMap::from([("team".to_owned(), plain("ml"))]),
            links: vec![
                LinkTexts { href: plain("{{}}"), text: None },
                LinkTexts { href: plain("https://l"), text: text("{{ len .Alerts }} L") },
            ],
            images: vec![image],
            client: text("us"),
            client_url: text("https://us"),
        };
        let event = parsed(&texts, &[&error_ratio("a", "page")]);
        let payload = &event["payload"];
        for (field, expected) in [
            ("severity", "warning"),
            ("summary", "[FIRING:1] ErrorRatio (a openai page)"),
            ("source", "a"),
            ("component", "c"),
            ("group", "g"),
            ("class", "k"),
        ] {
            assert_eq!(payload[field], expected, "{field}");
        }
        assert_eq!(payload["custom_details"]["team"], "ml");
        assert_eq!(event["links"][0], serde_json::json!({"href": "https://l", "text": "1 L"}));
        assert_eq!(event["images"], serde_json::json!([{"src": "https://i/1", "alt": "a"}]));
        assert_eq!((&event["client"], &event["client_url"]), (&"us".into(), &"https://us".into()));
    }

    #[test]
    fn an_error_in_a_template_stands_in_its_text_and_the_page_goes_out() {
        let text = |text: &str| Some(parse_notice(text, &Library::standard()).unwrap());
        let texts = PagerDutyTexts {
            description: text("{{ index .Alerts 9 }}"),
            source: text("{{ .CommonLabels.nope }}"),
            ..PagerDutyTexts::default()
        };
        let event = parsed(&texts, &[&error_ratio("a", "page")]);
        let summary = "<error expanding template: `index`: 9 is out of range>";
        assert_eq!(event["payload"]["summary"], summary);
        assert_eq!(event["payload"]["source"], "openai", "an empty text says nothing");
    }

    #[test]
    fn nothing_breaks_pagerdutys_limits() {
        let mut long = error_ratio("gpt-x", "page");
        long.annotations = long.annotations.with("summary", &"ä".repeat(5000));
        let event = parsed(&PagerDutyTexts::default(), &[&long]);
        let summary = event["payload"]["summary"].as_str().unwrap();
        assert_eq!(summary.chars().count(), 1024);
        assert!(summary.ends_with("ä…"), "{summary}");

        let names: Vec<String> = (0..100).map(|number| format!("m{number}")).collect();
        let many: Vec<Alert> = names
            .iter()
            .map(|name| Alert {
                annotations: Labels::from_pairs([("d", &*"x".repeat(9000))]),
                ..error_ratio(name, "page")
            })
            .collect();
        let many: Vec<&Alert> = many.iter().collect();
        let written = text(&PagerDutyTexts::default(), "1234", &many);
        assert!(written.len() < 512_000, "{}", written.len());
        let event: serde_json::Value = serde_json::from_str(&written).unwrap();
        let details = &event["payload"]["custom_details"];
        assert_eq!(details["num_firing"], 100);
        // 400,000 bytes hold 43 alerts of 9,000 and some 250 bytes each.
        assert_eq!(details["alerts"].as_array().unwrap().len(), 43);
        assert_eq!(details["num_left_out"], 57);

        let huge = "y".repeat(600_000);
        let mut texts = PagerDutyTexts::default();
        texts.details.insert("dump".to_owned(), Template::plain(&huge));
        let event = parsed(&texts, &many[..1]);
        let said = event["payload"]["custom_details"]["error"].as_str().unwrap();
        assert!(said.contains("512 kB"), "{said}");
        assert_eq!(event["links"].as_array().unwrap().len(), 1, "the query's");

        let mut far = error_ratio("gpt-x", "page");
        far.annotations = far.annotations.with("runbook_url", &format!("https://{huge}"));
        assert!(text(&texts, "1234", &[&far]).len() < 512_000);
    }

    #[test]
    fn a_routing_key_goes_in_front_and_is_a_text_whatever_it_holds() {
        let key = |text: &str| Secret::new(text.to_owned());
        let sent = with_routing_key(r#"{"event_action":"resolve"}"#, &key("R\"1\n")).unwrap();
        assert_eq!(sent, r#"{"routing_key":"R\"1","event_action":"resolve"}"#);
        assert_eq!(with_routing_key("{}", &key(" \n")), Err(KeyError::Empty));
        assert_eq!(with_routing_key("[]", &key("R")), Err(KeyError::NoEvent));
    }
}
