//! What templates of receivers are filled in with: Alertmanager's data, under its names.

use std::cell::OnceCell;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::Alert;
use super::payload::{Envelope, shared, status};
use crate::model::{Labels, Timestamp};
use crate::template::{self, Record, Template, Value};

/// Go's zero time, the first second of the year one: an alert that fires has it as its end.
const ZERO_TIME: Timestamp = Timestamp::from_millis(-62_135_596_800_000);

/// Fills in the texts of one notice, and keeps what went wrong.
pub(super) struct Texts<'a> {
    envelope: &'a Envelope<'a>,
    alerts: &'a [&'a Alert],
    /// Made for the first template, as most notices have none.
    data: OnceCell<Value>,
    now: Timestamp,
    pub(super) errors: Vec<String>,
}

impl<'a> Texts<'a> {
    /// For a group of alerts, in their order.
    pub(super) fn new(envelope: &'a Envelope<'a>, alerts: &'a [&'a Alert], now: Timestamp) -> Self {
        Self { envelope, alerts, data: OnceCell::new(), now, errors: Vec::new() }
    }

    /// A template's text. What goes wrong takes its place, so that the notice goes out.
    pub(super) fn fill(&mut self, field: &str, template: &Template) -> String {
        self.try_fill(field, template)
            .unwrap_or_else(|error| format!("<error expanding template: {error}>"))
    }

    /// A template's text, or why there is none.
    pub(super) fn try_fill(&mut self, field: &str, template: &Template) -> Result<String, String> {
        if template.is_plain() {
            return Ok(template.text().to_owned());
        }
        let data = self.data.get_or_init(|| data(self.envelope, self.alerts, self.now));
        template::fill(template, data, self.now).inspect_err(|error| {
            self.errors.push(format!("{field}: {error}"));
        })
    }
}

fn data(envelope: &Envelope<'_>, alerts: &[&Alert], now: Timestamp) -> Value {
    let is_firing = alerts.iter().any(|alert| !alert.is_resolved(now));
    let items: Arc<[Value]> = alerts.iter().map(|alert| item(alert, now)).collect();
    let text = |text: &str| Value::text(text);
    let labels = |labels: Labels| Value::Labels(labels);
    let common_labels = shared(alerts.iter().map(|alert| &alert.labels));
    let common_annotations = shared(alerts.iter().map(|alert| &alert.annotations));
    let fields = [
        ("Receiver", "receiver", text(envelope.receiver)),
        ("Status", "status", text(status(is_firing))),
        ("Alerts", "alerts", Value::Array(items)),
        ("GroupLabels", "groupLabels", labels(envelope.group_labels.clone())),
        ("CommonLabels", "commonLabels", labels(common_labels)),
        ("CommonAnnotations", "commonAnnotations", labels(common_annotations)),
        ("ExternalURL", "externalURL", text(envelope.external_url)),
        ("GroupKey", "groupKey", text(envelope.group_key)),
        ("NotificationReason", "notificationReason", text(envelope.reason)),
        ("TruncatedAlerts", "truncatedAlerts", count(envelope.truncated)),
    ];
    Value::Record(Arc::new(Record::new("template.Data", fields)))
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn item(alert: &Alert, now: Timestamp) -> Value {
    let is_resolved = alert.is_resolved(now);
    let ends_at = alert.ends_at.filter(|_| is_resolved).unwrap_or(ZERO_TIME);
    let time = |at: Timestamp| Value::Time(at, TimeZone::UTC);
    let fields = [
        ("Status", "status", Value::text(status(!is_resolved))),
        ("Labels", "labels", Value::Labels(alert.labels.clone())),
        ("Annotations", "annotations", Value::Labels(alert.annotations.clone())),
        ("StartsAt", "startsAt", time(alert.starts_at)),
        ("EndsAt", "endsAt", time(ends_at)),
        ("GeneratorURL", "generatorURL", Value::text(alert.generator_url.as_str())),
        ("Fingerprint", "fingerprint", Value::text(alert.fingerprint())),
    ];
    Value::Record(Arc::new(Record::new("template.Alert", fields)))
}

#[cfg(test)]
mod tests {
    use super::super::alert::tests::{firing, resolved};
    use super::*;
    use crate::template::{Library, parse_notice};

    const NOW: Timestamp = Timestamp::from_millis(1_795_343_300_000);

    fn filled(text: &str) -> Result<String, String> {
        let labels = [
            ("alertname", "ErrorRatio"),
            ("model", "gpt-x"),
            ("severity", "page"),
            ("zone", "a<b"),
        ];
        let fires = Alert {
            starts_at: Timestamp::from_millis(1_795_343_236_678),
            annotations: Labels::from_pairs([("summary", "error ratio 13.87%")]),
            generator_url: "http://vm/graph?a=1&b=2".to_owned(),
            ..firing(&labels, 0)
        };
        let labels = [("alertname", "ErrorRatio"), ("model", "gpt-y"), ("severity", "page")];
        let over = resolved(&firing(&labels, 1_795_342_800), 1_795_343_130);
        let group_labels = Labels::from_pairs([("alertname", "ErrorRatio")]);
        let envelope = Envelope {
            receiver: "team ml",
            group_labels: &group_labels,
            group_key: "key",
            incident: "",
            external_url: "http://vm:19792",
            reason: "first notification",
            truncated: 0,
        };
        let mut library = Library::standard();
        library.add("{{ define \"mine\" }}<{{ .Status }}>{{ end }}").unwrap();
        let template = parse_notice(text, &library).map_err(|error| error.to_string())?;
        Texts::new(&envelope, &[&fires, &over], NOW).try_fill("text", &template)
    }

    #[test]
    fn templates_are_filled_as_alertmanager_fills_them() {
        let cases = include_str!("../../tests/templates/alertmanager.txt");
        let mut number = 0;
        let mut template = "";
        for line in cases.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("=> ") {
                Some(expected) => {
                    let expected: String = serde_json::from_str(expected).unwrap();
                    assert_eq!(filled(template).unwrap(), expected, "{template}");
                    number += 1;
                }
                None => template = line,
            }
        }
        assert!(number > 20, "{number} cases were found");
    }

    // What amtool refuses at the same place, and what it refuses only once it is filled in.
    #[test]
    fn what_alertmanager_refuses_is_refused() {
        for (text, part) in [
            ("{{ nope }}", "function `nope` is not defined"),
            ("{{ query \"up\" }}", "function `query` is not defined"),
            ("{{ humanize 1.0 }}", "function `humanize` is not defined"),
            ("{{ template \"nope\" . }}", "1:13: the template `nope` is not defined"),
            ("{{ $labels.a }}", "`$labels` is not defined"),
            ("{{ .Nope }}", "no field `Nope`"),
            ("{{ .Status.Foo }}", "no field `Foo`"),
            ("{{ index .Alerts 7 }}", "out of range"),
            ("{{ .CommonLabels.Remove \"a\" }}", "needs a list of texts"),
            ("{{ .Alerts.Firing 1 }}", "no method `Firing` of 1 arguments"),
            ("{{ tz \"Nowhere\" now }}", "no time zone"),
            ("{{ append \"x\" 1 }}", "it needs a list, not a string"),
            ("{{ (list 1 2) | append 3 }}", "it needs a list, not a int"),
            ("{{ dict \"a\" }}", "a value for each key"),
            ("{{ dict 1 2 }}", "a key must be a text"),
            ("{{ eq (list 1) (list 1) }}", "can't compare a list"),
            ("{{ mustToDate \"2006\" \"soon\" }}", "`soon` is no time as `2006` writes them"),
            (
                "{{ $d := list }}{{ range $.Alerts }}{{ range list 1 2 3 4 5 6 7 8 9 }}\
                 {{ $d = list $d $d }}{{ end }}{{ end }}{{ $d }}",
                "more than 16 lists within each other",
            ),
        ] {
            let error = filled(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    // Worked by hand: amtool 0.25 does not have these functions yet.
    #[test]
    fn newer_functions_are_there() {
        for (text, expected) in [
            ("{{ trimSpace \" a \" }}|{{ urlUnescape \"a%20b+c\" }}", "a|a b c"),
            (
                "{{ range .Alerts.Resolved }}{{ .EndsAt | tz \"Europe/Paris\" | date \"15:04 MST\" }}{{ end }}",
                "11:25 CET",
            ),
            ("{{ range .Alerts.Firing }}{{ since .StartsAt }}{{ end }}", "1m3.322s"),
            ("{{ toJson .CommonLabels }}", r#"{"alertname":"ErrorRatio","severity":"page"}"#),
            ("{{ toJson (index .Alerts 0).Labels.zone }}", r#""a\u003cb""#),
            (
                "{{ range .Alerts.Firing }}{{ toJson .StartsAt }}{{ toJson .EndsAt }}{{ end }}",
                r#""2026-11-22T10:27:16.678Z""0001-01-01T00:00:00Z""#,
            ),
            ("{{ (toDate \"2006-01-02\" \"2026-11-22\").Unix }}", "1795305600"),
            ("{{ (toDate \"2006-01-02\" \"soon\").IsZero }}", "true"),
            (
                "{{ mustToDate \"2006-01-02 15:04 -0700\" \"2026-11-22 12:00 +0200\" }}",
                "2026-11-22 12:00:00 +0200 +0200",
            ),
            ("{{ .NotificationReason }} {{ .TruncatedAlerts }}", "first notification 0"),
        ] {
            assert_eq!(filled(text).unwrap(), expected, "{text}");
        }
    }
}
