//! The body of a rollback's webhook, and the key that makes it idempotent.
//!
//! The shape is Standard Webhooks': `type`, `timestamp`, `data`, under 20 KB, so that it fits
//! wherever such messages go. Texts are cut where it would be larger; targets never are.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{Mode, Report, Rollback, Run, RunMode, Shift};
use crate::model::{Labels, TargetId, Timestamp};
use crate::notice::Alert;

/// What Standard Webhooks advises at most.
pub const BODY_BYTES_MAX: usize = 20_000;

/// The key of one rollback for one incident: readable, without a dot, and long enough that no two
/// incidents share it.
pub(super) fn key(rollback: &str, incident: &str) -> String {
    const NAME_MAX: usize = 40;
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = rollback.chars().take(NAME_MAX).map(plain).collect();
    let mut hash = Sha256::new();
    hash.update((rollback.len() as u64).to_be_bytes());
    hash.update(rollback);
    hash.update(incident);
    let digest = hash.finalize();
    let hex: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("rollback_{name}_{hex}")
}

/// Writes the body.
pub(super) fn body(now: Timestamp, rollback: &Rollback, alert: &Alert, report: &Report) -> String {
    // Each try is a fourth of the one before; the last leaves only names.
    let fitting = [4096, 1024, 256, 64, 16, 0].into_iter().map(|text_max| {
        let entries_max = text_max.clamp(8, 64);
        let cut = |text: &str| text.chars().take(text_max.max(64)).collect::<String>();
        json!({
            "type": "rollback",
            "timestamp": now.rfc3339(),
            "data": {
                "rollback": rollback.name,
                "incident": cut(&alert.incident),
                "candidate": names(&rollback.candidate),
                "stable": names(&rollback.stable),
                "alert": {
                    "labels": object(&alert.labels, entries_max, text_max),
                    "annotations": object(&alert.annotations, entries_max, text_max),
                    "startsAt": alert.starts_at.rfc3339(),
                    "value": number(alert.value),
                    "generatorURL": cut(&alert.generator_url),
                },
                "share": 0,
                "reason": cut(&report.why),
                "dry_run": rollback.mode == Mode::DryRun,
            },
        })
        .to_string()
    });
    let mut smallest = String::new();
    for body in fitting {
        smallest = body;
        if smallest.len() < BODY_BYTES_MAX {
            break;
        }
    }
    smallest
}

/// The message of a rollback, or of a drill, that nobody's alert asked for.
pub fn operator_body(now: Timestamp, rollback: &Rollback, reason: &str) -> String {
    json!({
        "type": "rollback",
        "timestamp": now.rfc3339(),
        "data": {
            "rollback": rollback.name,
            "candidate": names(&rollback.candidate),
            "stable": names(&rollback.stable),
            "share": 0,
            "reason": reason.chars().take(1024).collect::<String>(),
            "dry_run": false,
        },
    })
    .to_string()
}

/// The message of whoever gives the candidate a share.
pub fn share_body(now: Timestamp, shift: &Shift) -> String {
    json!({
        "type": "release.share",
        "timestamp": now.rfc3339(),
        "data": {
            "release": shift.release,
            "releaseGeneration": shift.generation,
            "stage": shift.stage,
            "share": shift.share,
            "candidate": names(&shift.candidate),
            "stable": names(&shift.stable),
        },
    })
    .to_string()
}

/// The message of one step: that of its rollback, with the step's names. A drill says that it is
/// one in its type already, so that no receiver moves traffic for it by mistake.
pub fn step_body(message: &str, run: &Run, step: &str) -> String {
    let mut body: Value = serde_json::from_str(message).unwrap_or_else(|_| json!({}));
    body["data"]["step"] = json!(step);
    body["data"]["generation"] = json!(run.generation);
    match run.mode {
        RunMode::Real | RunMode::Shift => {}
        RunMode::Drill => {
            body["type"] = json!("rollback.drill");
            body["data"]["drill"] = json!(true);
        }
    }
    body.to_string()
}

fn names(targets: &[TargetId]) -> Vec<&str> {
    targets.iter().map(TargetId::as_str).collect()
}

fn object(labels: &Labels, entries_max: usize, text_max: usize) -> Map<String, Value> {
    let cut = |text: &str| text.chars().take(text_max).collect::<String>();
    let pair = |label: &crate::model::Label| {
        (label.name.chars().take(128).collect(), Value::String(cut(&label.value)))
    };
    labels.iter().take(entries_max).map(pair).collect()
}

/// As Prometheus's API writes a sample's value: text, since JSON knows no infinity.
fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::rollbacks::tests::{alert, rollback};
    use super::super::{Health, Report};
    use super::*;

    fn report() -> Report {
        let why = "`ErrorRatio` fires and stable is good".to_owned();
        Report { why, stable: Health::Good, targets: vec![], doubt: None, in_last_day: 0 }
    }

    #[test]
    fn a_rollback_says_who_goes_where_and_why() {
        let body = body(Timestamp::from_millis(90_500), &rollback(), &alert("i1"), &report());
        let expected = json!({
            "type": "rollback",
            "timestamp": "1970-01-01T00:01:30.500Z",
            "data": {
                "rollback": "gpt-next",
                "incident": "i1",
                "candidate": ["candidate"],
                "stable": ["stable"],
                "alert": {
                    "labels": {"alertname": "ErrorRatio", "target": "candidate"},
                    "annotations": {"summary": "too many errors"},
                    "startsAt": "1970-01-01T00:00:01.000Z",
                    "value": "0.25",
                    "generatorURL": "http://b/graph",
                },
                "share": 0,
                "reason": "`ErrorRatio` fires and stable is good",
                "dry_run": false,
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    }

    #[test]
    fn a_body_stays_small_whatever_the_alert_says() {
        let names: Vec<String> = (0..500).map(|number| format!("annotation_{number}")).collect();
        let long = "\u{1f411}".repeat(50_000);
        let mut alert = alert(&long);
        alert.annotations =
            Labels::from_pairs(names.iter().map(|name| (name.as_str(), long.as_str())));
        alert.generator_url = long.clone();
        let report = Report { why: long, ..report() };
        let body = body(Timestamp::from_millis(0), &rollback(), &alert, &report);
        assert!(body.len() < BODY_BYTES_MAX, "{}", body.len());
        let message: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(message["data"]["candidate"], json!(["candidate"]));
        assert_eq!(message["data"]["alert"]["labels"]["target"], "candidate");
    }

    #[test]
    fn a_key_is_one_rollbacks_and_one_incidents() {
        let first = key("gpt.next/eu", "i1");
        assert!(first.starts_with("rollback_gpt_next_eu_") && !first.contains('.'), "{first}");
        assert_eq!(first, key("gpt.next/eu", "i1"));
        assert_ne!(first, key("gpt.next/eu", "i2"));
        assert_ne!(key("ab", "c"), key("a", "bc"));
    }

    #[test]
    fn values_that_json_lacks_are_texts() {
        for (value, text) in [(f64::NAN, "NaN"), (f64::INFINITY, "+Inf"), (1e-7, "0.0000001")] {
            assert_eq!(number(value), text);
        }
    }
}
