//! Rules, alerts and targets in Prometheus's own shapes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value as Body, json};
use tokio::sync::watch;

use super::listener::Views;
use super::parameters::{ApiError, Parameters};
use super::query::{metric, success};
use crate::engine::{GroupStatus, Snapshot, TargetStatus};
use crate::model::Timestamp;
use crate::promql;
use crate::provider::SloClass;
use crate::rules::{Alert, AlertState, RuleKind, RuleStatus};

type Reader = watch::Receiver<Arc<Snapshot>>;

pub(super) fn routes(views: &Views) -> Router {
    Router::new()
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/targets", get(targets))
        .with_state(views.snapshot.clone())
}

async fn rules(
    State(snapshot): State<Reader>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let snapshot = Arc::clone(&snapshot.borrow());
    let wanted = Wanted::read(&parameters)?;
    let groups: Vec<Body> =
        snapshot.groups.iter().filter_map(|group| rule_group(group, &wanted)).collect();
    Ok(success(json!({ "groups": groups })))
}

/// Which rules are asked for; a list that is empty wants all.
struct Wanted<'a> {
    kind: Option<RuleKind>,
    rules: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    has_alerts: bool,
}

impl<'a> Wanted<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let kind = match parameters.get("type") {
            None => None,
            Some("alert") => Some(RuleKind::Alerting),
            Some("record") => Some(RuleKind::Recording),
            Some(other) => {
                let message =
                    format!("invalid parameter \"type\": not supported value \"{other}\"");
                return Err(ApiError::bad_data(message));
            }
        };
        Ok(Self {
            kind,
            rules: parameters.all("rule_name[]").collect(),
            groups: parameters.all("rule_group[]").collect(),
            files: parameters.all("file[]").collect(),
            has_alerts: !matches!(parameters.get("exclude_alerts"), Some("true" | "1")),
        })
    }

    fn has_group(&self, group: &GroupStatus) -> bool {
        is_among(&self.groups, &group.name) && is_among(&self.files, &group.file)
    }

    fn has_rule(&self, rule: &RuleStatus) -> bool {
        self.kind.is_none_or(|kind| kind == rule.kind) && is_among(&self.rules, &rule.name)
    }
}

fn is_among(wanted: &[&str], name: &str) -> bool {
    wanted.is_empty() || wanted.contains(&name)
}

/// A group with the rules that are wanted; a group without any is left out.
fn rule_group(group: &GroupStatus, wanted: &Wanted<'_>) -> Option<Body> {
    let found = group.rules.iter().filter(|rule| wanted.has_rule(rule));
    let rules: Vec<Body> = found.map(|status| rule(status, wanted.has_alerts)).collect();
    (wanted.has_group(group) && !rules.is_empty()).then(|| {
        json!({
            "name": group.name,
            "file": group.file,
            "interval": group.interval.as_secs_f64(),
            "limit": group.limit,
            "rules": rules,
            "evaluationTime": group.took.as_secs_f64(),
            "lastEvaluation": time(group.evaluated_at),
        })
    })
}

fn rule(rule: &RuleStatus, has_alerts: bool) -> Body {
    let mut body = json!({
        "name": rule.name,
        "query": rule.query,
        "health": rule.health.as_str(),
        "evaluationTime": 0,
        "lastEvaluation": time(rule.last_evaluation),
    });
    if !rule.labels.is_empty() {
        body["labels"] = json!(rule.labels);
    }
    if let Some(error) = &rule.last_error {
        body["lastError"] = json!(error);
    }
    match rule.kind {
        RuleKind::Recording => body["type"] = json!("recording"),
        RuleKind::Alerting => {
            let active = rule.alerts.iter().filter(|alert| alert.state != AlertState::Inactive);
            body["type"] = json!("alerting");
            body["state"] = json!(rule.state.map_or("unknown", AlertState::as_str));
            body["duration"] = json!(rule.duration.as_secs_f64());
            body["keepFiringFor"] = json!(rule.keep_firing_for.as_secs_f64());
            body["labels"] = json!(rule.labels);
            body["annotations"] = json!(rule.annotations);
            if has_alerts {
                body["alerts"] = active.map(alert).collect();
            }
        }
    }
    body
}

async fn alerts(State(snapshot): State<Reader>) -> Response {
    let snapshot = Arc::clone(&snapshot.borrow());
    let rules = snapshot.groups.iter().flat_map(|group| &group.rules);
    let active = rules.flat_map(|rule| &rule.alerts).filter(|a| a.state != AlertState::Inactive);
    success(json!({ "alerts": active.map(alert).collect::<Vec<_>>() }))
}

fn alert(alert: &Alert) -> Body {
    let mut body = json!({
        "labels": metric(&alert.labels),
        "annotations": metric(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": alert.active_at.rfc3339(),
        "value": exponent(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        body["keepFiringSince"] = json!(since.rfc3339());
    }
    body
}

/// A value as Go's `%e` writes it, which is how Prometheus shows an alert's: `5e-01`, `+Inf`.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return promql::format_value(value);
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, power)) => {
            let (sign, power) = match power.strip_prefix('-') {
                Some(power) => ('-', power),
                None => ('+', power),
            };
            format!("{digits}e{sign}{power:0>2}")
        }
        None => text,
    }
}

async fn targets(State(snapshot): State<Reader>, parameters: Parameters) -> Response {
    let snapshot = Arc::clone(&snapshot.borrow());
    let is_asked = |states: &[&str]| {
        parameters.get("state").is_none_or(|state| states.contains(&state.to_lowercase().as_str()))
    };
    let active = snapshot.targets.iter().filter(|_| is_asked(&["active", "any"]));
    let mut body = json!({ "activeTargets": active.map(target).collect::<Vec<_>>() });
    body["droppedTargets"] = json!([]);
    if is_asked(&["dropped", "any"]) {
        body["droppedTargetCounts"] = json!({});
    }
    success(body)
}

fn target(status: &TargetStatus) -> Body {
    let target = &status.target;
    let last = status.last.as_deref();
    let health = match last.map(|outcome| outcome.class) {
        None => "unknown",
        Some(SloClass::Good | SloClass::Excluded) => "up",
        Some(SloClass::Bad) => "down",
    };
    let failure = last
        .filter(|outcome| outcome.class != SloClass::Good)
        .map_or_else(String::new, |outcome| {
            format!("{}: {}", outcome.error_type.as_str(), outcome.detail)
        });
    json!({
        "discoveredLabels": {},
        "labels": {
            "target": target.id.as_str(),
            "provider": target.provider.system,
            "model": target.model,
            "api": target.provider.dialect.api(),
        },
        "scrapePool": "probes",
        "scrapeUrl": target.provider.base_url,
        "globalUrl": target.provider.base_url,
        "lastError": failure,
        "lastScrape": time(last.map(|outcome| outcome.finished)),
        "lastScrapeDuration": last.map_or(0.0, |outcome| outcome.total.as_secs_f64()),
        "health": health,
        "scrapeInterval": crate::model::format_duration(target.interval),
        "scrapeTimeout": crate::model::format_duration(target.timeouts.total),
    })
}

/// RFC 3339; Go's zero time where there is none.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), Timestamp::rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    // By hand from Go's `%e` with the shortest digits.
    #[test]
    fn a_value_is_written_as_go_writes_it() {
        for (value, expected) in [
            (0.5, "5e-01"),
            (1.0, "1e+00"),
            (-1234.5, "-1.2345e+03"),
            (1e-10, "1e-10"),
            (0.0, "0e+00"),
            (1e100, "1e+100"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(exponent(value), expected);
        }
    }
}
