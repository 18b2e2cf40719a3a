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
use super::group::digest;
use super::headline::{headline, worst};
use super::payload::{Envelope, item, shared};
use super::settings::{Image, Link, PagerDutyTexts};
use super::severity::Severity;
use crate::model::{Secret, Timestamp};

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
    let mut event = trigger(texts, envelope, alerts, &firing, &dedup_key, now);
    event.payload.custom_details = details(texts, envelope, alerts, firing.len(), now);
    let mut text = written(&event);
    if text.len() > EVENT_BYTES_MAX {
        let why = "the details were left out: with them the event would be longer than 512 kB";
        let error = BTreeMap::from([("error", json(&why))]);
        event.payload.custom_details = json(&error);
        text = written(&event);
    }
    if text.len() > EVENT_BYTES_MAX {
        event.links.clear();
        event.images = &[];
        text = written(&event);
    }
    text
}

fn trigger<'a>(
    texts: &'a PagerDutyTexts,
    envelope: &Envelope<'a>,
    alerts: &[&'a Alert],
    firing: &[&'a Alert],
    dedup_key: &'a str,
    now: Timestamp,
) -> Trigger<'a> {
    let common = shared(firing.iter().map(|alert| &alert.labels));
    let label = |names: &[&str]| names.iter().find_map(|name| common.get(name).map(field));
    let own = |text: &Option<String>| text.as_deref().map(field);
    let summary = texts.description.clone().unwrap_or_else(|| headline(envelope, alerts, now));
    let severity = firing.iter().map(|alert| Severity::of(alert)).max();
    let source = own(&texts.source).or_else(|| label(&["target", "provider", "instance"]));
    let began = firing.iter().map(|alert| alert.starts_at).min().unwrap_or(now);
    Trigger {
        event_action: "trigger",
        dedup_key,
        payload: Payload {
            summary: cut(&summary, SUMMARY_CHARS_MAX),
            source: source.unwrap_or_else(|| "bellwether".to_owned()),
            severity: texts.severity.or(severity).unwrap_or(Severity::Error),
            timestamp: began.rfc3339(),
            component: own(&texts.component).or_else(|| label(&["model"])),
            group: own(&texts.group).or_else(|| label(&["provider"])),
            class: own(&texts.class).or_else(|| label(&["alertname"])),
            custom_details: json(&()),
        },
        links: links(texts, firing, now),
        images: &texts.images,
        client: texts.client.as_deref().unwrap_or("bellwether"),
        client_url: texts.client_url.as_deref().unwrap_or(envelope.external_url),
    }
}

fn field(text: &str) -> String {
    cut(text, FIELD_CHARS_MAX)
}

/// The configured ones, then where the worst alert's runbook, dashboard and query are.
fn links(texts: &PagerDutyTexts, firing: &[&Alert], now: Timestamp) -> Vec<Link> {
    let mut links = texts.links.clone();
    let Some(worst) = worst(firing, now) else { return links };
    let annotation = |name: &str| worst.annotations.get(name).unwrap_or_default();
    for (href, text) in [
        (annotation("runbook_url"), "Runbook"),
        (annotation("dashboard_url"), "Dashboard"),
        (worst.generator_url.as_str(), "Query"),
    ] {
        // PagerDuty shows nothing else, and a relative link would lead to itself.
        if href.starts_with("https://") || href.starts_with("http://") {
            links.push(Link { href: href.to_owned(), text: text.to_owned() });
        }
    }
    links.truncate(LINKS_MAX);
    links
}

/// What is told beside the summary. Fields of the configuration win over ours of the same name.
fn details(
    texts: &PagerDutyTexts,
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
        details.insert(name, json(text));
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
    #[serde(skip_serializing_if = "<[Image]>::is_empty")]
    images: &'a [Image],
    client: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    client_url: &'a str,
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
    use super::*;
    use crate::model::Labels;

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
            incident,
            external_url: "http://vm:19792",
            truncated: 0,
        };
        event(texts, &envelope, alerts, NOW)
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
        let text = |text: &str| Some(text.to_owned());
        let image = Image { src: "https://i/1".into(), href: String::new(), alt: "a".into() };
        let texts = PagerDutyTexts {
            severity: Some(Severity::Warning),
            description: text("look"),
            source: text("s"),
            component: text("c"),
            group: text("g"),
            class: text("k"),
            details: BTreeMap::from([("team".to_owned(), "ml".to_owned())]),
            links: vec![Link { href: "https://l".into(), text: "L".into() }],
            images: vec![image],
            client: text("us"),
            client_url: text("https://us"),
        };
        let event = parsed(&texts, &[&error_ratio("a", "page")]);
        let payload = &event["payload"];
        for (field, expected) in [
            ("severity", "warning"),
            ("summary", "look"),
            ("source", "s"),
            ("component", "c"),
            ("group", "g"),
            ("class", "k"),
        ] {
            assert_eq!(payload[field], expected, "{field}");
        }
        assert_eq!(payload["custom_details"]["team"], "ml");
        assert_eq!(event["links"][0], serde_json::json!({"href": "https://l", "text": "L"}));
        assert_eq!(event["images"], serde_json::json!([{"src": "https://i/1", "alt": "a"}]));
        assert_eq!((&event["client"], &event["client_url"]), (&"us".into(), &"https://us".into()));
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
        texts.details.insert("dump".to_owned(), huge.clone());
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
