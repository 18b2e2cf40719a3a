//! Alertmanager's webhook, version 4, read the other way round: alerts that were judged elsewhere.
//!
//! What is not known is passed over, since every release adds fields; what is known must be right,
//! and everything that is wrong is named in one go. An alert's incident is its fingerprint and its
//! start, under a name that none of our own incidents has, so that a repetition, a retry and the
//! second of two clustered Alertmanagers say nothing new, and so that nobody outside can speak of
//! an incident of ours. The fingerprint is computed here: the one that comes along is only a claim.

use serde_json::{Map, Value};

use super::Alert;
use crate::model::{Label, Labels, Timestamp};

/// As many alerts as one post may hold; a rollback remembers as many incidents.
const ALERTS_MAX: usize = 1000;
/// A post that is wrong everywhere is not listed whole.
const MISTAKES_MAX: usize = 10;
const SHOWN_MAX: usize = 60;

/// What one post says.
#[derive(Clone, Debug, PartialEq)]
pub struct Inbound {
    /// Alertmanager's receiver.
    pub receiver: String,
    /// The alerts, in the order written.
    pub alerts: Vec<Alert>,
    /// How many more there are that Alertmanager left out (`max_alerts`).
    pub truncated: u64,
    /// Why somebody posts it by hand; Alertmanager writes no such field.
    pub reason: Option<String>,
}

/// Why a post is refused: what is wrong with it, each with its path in the document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct InboundError(pub Vec<String>);

/// Reads a post.
pub fn read_inbound(body: &[u8]) -> Result<Inbound, InboundError> {
    let document: Value = serde_json::from_slice(body)
        .map_err(|error| InboundError(vec![format!("the body is no JSON: {error}")]))?;
    let Some(root) = document.as_object() else {
        return Err(InboundError(vec![format!(
            "the body is {}, where an object is due",
            kind(&document)
        )]));
    };
    let mut reader = Reader { mistakes: Vec::new() };
    reader.version(root.get("version"));
    let alerts = reader.alerts(root.get("alerts"));
    let mistakes = reader.mistakes;
    if !mistakes.is_empty() {
        return Err(InboundError(mistakes));
    }
    let text = |name: &str| root.get(name).and_then(Value::as_str);
    Ok(Inbound {
        receiver: text("receiver").unwrap_or_default().to_owned(),
        alerts,
        truncated: root.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or(0),
        reason: text("reason").map(str::to_owned),
    })
}

struct Reader {
    mistakes: Vec<String>,
}

impl Reader {
    fn report(&mut self, mistake: String) {
        match self.mistakes.len() {
            0..MISTAKES_MAX => self.mistakes.push(mistake),
            MISTAKES_MAX => self.mistakes.push("and more".to_owned()),
            _ => {}
        }
    }

    fn version(&mut self, version: Option<&Value>) {
        match version {
            Some(Value::String(version)) if version == "4" => {}
            None => self.report(
                "`version` is missing: this is no webhook of Alertmanager's, or one with a payload \
                 template of its own"
                    .to_owned(),
            ),
            Some(other) => self.report(format!("`version` is {}, where \"4\" is due", shown(other))),
        }
    }

    fn alerts(&mut self, alerts: Option<&Value>) -> Vec<Alert> {
        let Some(items) = alerts.and_then(Value::as_array) else {
            let is = alerts.map_or("missing", kind);
            self.report(format!("`alerts` is {is}, where a list is due"));
            return Vec::new();
        };
        if items.len() > ALERTS_MAX {
            self.report(format!(
                "`alerts` has {} entries, and at most {ALERTS_MAX} are read: set `max_alerts` in \
                 Alertmanager's `webhook_configs`",
                items.len()
            ));
            return Vec::new();
        }
        let each = items.iter().enumerate();
        each.filter_map(|(index, item)| self.alert(&format!("alerts[{index}]"), item)).collect()
    }

    fn alert(&mut self, path: &str, item: &Value) -> Option<Alert> {
        let Some(fields) = item.as_object() else {
            self.report(format!("`{path}` is {}, where an object is due", kind(item)));
            return None;
        };
        let is_firing = match fields.get("status").and_then(Value::as_str) {
            Some("firing") => Some(true),
            Some("resolved") => Some(false),
            _ => {
                let is = fields.get("status").map_or("missing".to_owned(), shown);
                self.report(format!(
                    "`{path}.status` is {is}, where \"firing\" or \"resolved\" is due"
                ));
                None
            }
        };
        let labels = self.labels(path, "labels", fields);
        if labels.as_ref().is_some_and(Labels::is_empty) {
            self.report(format!("`{path}.labels` is empty: nothing tells what fires"));
        }
        let annotations = match fields.get("annotations") {
            None | Some(Value::Null) => Some(Labels::empty()),
            Some(_) => self.labels(path, "annotations", fields),
        };
        let starts_at = self.time(path, "startsAt", fields);
        let ends_at = match is_firing {
            // A firing alert's is the year 1, or a guess.
            Some(true) | None => Some(None),
            Some(false) => self.time(path, "endsAt", fields).map(Some),
        };
        let (labels, starts_at) = (labels?, starts_at?);
        let mut alert = Alert {
            labels,
            annotations: annotations?,
            is_firing: is_firing?,
            starts_at,
            ends_at: ends_at?,
            // Alertmanager does not pass it on.
            value: f64::NAN,
            generator_url: fields
                .get("generatorURL")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            incident: String::new(),
        };
        alert.incident = format!("alertmanager/{}/{}", alert.fingerprint(), starts_at.rfc3339());
        Some(alert)
    }

    fn labels(&mut self, path: &str, name: &str, fields: &Map<String, Value>) -> Option<Labels> {
        let Some(entries) = fields.get(name).and_then(Value::as_object) else {
            let is = fields.get(name).map_or("missing", kind);
            self.report(format!("`{path}.{name}` is {is}, where an object is due"));
            return None;
        };
        let mut labels = Vec::new();
        for (key, value) in entries {
            match value.as_str() {
                Some(value) => {
                    labels.push(Label { name: key.as_str().into(), value: value.into() })
                }
                None => {
                    let is = kind(value);
                    self.report(format!(
                        "`{path}.{name}.{}` is {is}, where a text is due",
                        cut(key)
                    ));
                }
            }
        }
        Some(Labels::new(labels))
    }

    fn time(&mut self, path: &str, name: &str, fields: &Map<String, Value>) -> Option<Timestamp> {
        let text = fields.get(name).and_then(Value::as_str);
        let at = text.and_then(|text| text.parse::<jiff::Timestamp>().ok());
        if at.is_none() {
            let is = fields.get(name).map_or("missing".to_owned(), shown);
            self.report(format!("`{path}.{name}` is {is}, where a time by RFC 3339 is due"));
        }
        at.map(|at| Timestamp::from_millis(at.as_millisecond()))
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A single value as it was written, cut.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => kind(value).to_owned(),
        Value::String(text) => format!("{:?}", cut(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(SHOWN_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As Alertmanager 0.25 sent it, with what 0.34 adds.
    fn captured() -> Value {
        json!({
            "receiver": "all", "status": "firing", "version": "4", "truncatedAlerts": 0,
            "groupKey": "{}:{alertname=\"ErrorRatio\"}", "externalURL": "http://vm:19792",
            "groupLabels": {"alertname": "ErrorRatio"}, "commonLabels": {}, "commonAnnotations": {},
            "notification_reason": "first", "routeLabels": {},
            "alerts": [{
                "status": "firing",
                "labels": {
                    "alertname": "ErrorRatio", "model": "gpt-x", "provider": "openai",
                    "severity": "critical",
                },
                "annotations": {"summary": "s"},
                "startsAt": "2026-11-22T10:27:16.6784208Z", "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "http://p/graph", "fingerprint": "e92937bd54bb4eab",
            }],
        })
    }

    fn read(document: &Value) -> Result<Inbound, InboundError> {
        read_inbound(document.to_string().as_bytes())
    }

    #[test]
    fn a_captured_webhook_is_read_with_its_fields_of_later_releases() {
        let inbound = read(&captured()).unwrap();
        let [alert] = &inbound.alerts[..] else { panic!("{inbound:?}") };
        assert_eq!((alert.name(), alert.is_firing, alert.ends_at), ("ErrorRatio", true, None));
        assert_eq!(alert.annotations.get("summary"), Some("s"));
        assert_eq!(alert.incident, "alertmanager/e92937bd54bb4eab/2026-11-22T10:27:16.678Z");
        assert_eq!((inbound.receiver.as_str(), inbound.truncated), ("all", 0));
    }

    #[test]
    fn a_retry_and_the_end_are_of_one_incident_and_a_return_is_another() {
        let incident = |change: fn(&mut Value)| {
            let mut document = captured();
            change(&mut document["alerts"][0]);
            read(&document).unwrap().alerts[0].incident.clone()
        };
        let first = incident(|_| {});
        let resolved = incident(|alert| {
            alert["status"] = json!("resolved");
            alert["endsAt"] = json!("2026-11-22T10:30:00Z");
        });
        assert_eq!(resolved, first);
        assert_eq!(incident(|alert| alert["fingerprint"] = json!("0")), first, "only a claim");
        let again = incident(|alert| alert["startsAt"] = json!("2026-11-22T11:00:00Z"));
        assert_ne!(again, first);
    }

    #[test]
    fn what_is_wrong_is_named_all_of_it() {
        let wrong = |change: fn(&mut Value)| {
            let mut document = captured();
            change(&mut document);
            read(&document).unwrap_err().to_string()
        };
        for (said, expected) in [
            (wrong(|d| d["version"] = json!("3")), r#"`version` is "3", where "4" is due"#),
            (wrong(|d| d["version"] = json!(4)), r#"`version` is 4, where "4" is due"#),
            (wrong(|d| d["alerts"] = json!({})), "`alerts` is an object, where a list is due"),
            (
                wrong(|d| d["alerts"][0]["status"] = json!("suppressed")),
                r#"`alerts[0].status` is "suppressed", where "firing" or "resolved" is due"#,
            ),
            (
                wrong(|d| d["alerts"][0]["labels"] = json!({"a": 1})),
                "`alerts[0].labels.a` is a number, where a text is due; `alerts[0].labels` is \
                 empty: nothing tells what fires",
            ),
            (
                wrong(|d| d["alerts"][0]["startsAt"] = json!("noon")),
                r#"`alerts[0].startsAt` is "noon", where a time by RFC 3339 is due"#,
            ),
            (
                wrong(|d| d["alerts"] = json!([7])),
                "`alerts[0]` is a number, where an object is due",
            ),
        ] {
            assert_eq!(said, expected);
        }
        let missing = wrong(|d| *d = json!({}));
        assert!(
            missing.contains("`version` is missing") && missing.contains("`alerts` is missing")
        );
        assert!(read_inbound(b"{").unwrap_err().to_string().starts_with("the body is no JSON"));
        assert!(read_inbound(b"[]").is_err());
        let many = wrong(|d| d["alerts"] = json!(vec![0; 1001]));
        assert!(many.contains("max_alerts"), "{many}");
        assert_eq!(wrong(|d| d["alerts"] = json!(vec![0; 50])).matches("due").count(), 10);
    }
}
