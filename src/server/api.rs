//! Rules, alerts, targets and the status of the server, in Prometheus's own shapes.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value as Body, json};
use tokio::sync::watch;

use super::listener::Views;
use super::parameters::Parameters;
use super::query::{metric, success};
use crate::engine::{GroupStatus, Snapshot, TargetStatus};
use crate::model::Timestamp;
use crate::promql;
use crate::provider::SloClass;
use crate::rules::{Alert, AlertState, RuleKind, RuleStatus};
use crate::telemetry::Telemetry;

type Reader = watch::Receiver<Arc<Snapshot>>;

pub(super) fn routes(views: &Views) -> Router {
    let config =
        Router::new().route("/api/v1/status/config", get(config)).with_state(views.config.clone());
    Router::new()
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/targets", get(targets))
        .with_state(views.snapshot.clone())
        .route("/api/v1/metadata", get(metadata))
        .route("/api/v1/status/buildinfo", get(build_info))
        .merge(config)
}

async fn rules(State(snapshot): State<Reader>, parameters: Parameters) -> Response {
    let snapshot = Arc::clone(&snapshot.borrow());
    let wanted = parameters.get("type").map(str::to_owned);
    let groups: Vec<Body> =
        snapshot.groups.iter().map(|group| rule_group(group, wanted.as_deref())).collect();
    success(json!({ "groups": groups }))
}

fn rule_group(group: &GroupStatus, wanted: Option<&str>) -> Body {
    let is_wanted = |rule: &&RuleStatus| match wanted {
        Some("alert") => rule.kind == RuleKind::Alerting,
        Some("record") => rule.kind == RuleKind::Recording,
        Some(_) | None => true,
    };
    let rules: Vec<Body> = group.rules.iter().filter(is_wanted).map(rule).collect();
    json!({
        "name": group.name,
        "file": group.file,
        "interval": group.interval.as_secs_f64(),
        "limit": 0,
        "rules": rules,
        "evaluationTime": group.took.as_secs_f64(),
        "lastEvaluation": time(group.evaluated_at),
    })
}

fn rule(rule: &RuleStatus) -> Body {
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
            body["alerts"] = active.map(alert).collect();
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
    json!({
        "labels": metric(&alert.labels),
        "annotations": metric(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": alert.active_at.rfc3339(),
        "value": exponent(alert.value),
    })
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

async fn targets(State(snapshot): State<Reader>) -> Response {
    let snapshot = Arc::clone(&snapshot.borrow());
    let active: Vec<Body> = snapshot.targets.iter().map(target).collect();
    success(json!({
        "activeTargets": active,
        "droppedTargets": [],
        "droppedTargetCounts": {},
    }))
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

async fn metadata() -> Response {
    let families = Telemetry::metadata().map(|(name, kind, help)| {
        (name.to_owned(), json!([{"type": kind.as_str(), "help": help, "unit": ""}]))
    });
    success(Body::Object(families.collect()))
}

async fn build_info() -> Response {
    success(json!({
        "version": env!("CARGO_PKG_VERSION"),
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    }))
}

async fn config(State(config): State<watch::Receiver<Arc<str>>>) -> Response {
    let yaml = config.borrow().to_string();
    success(json!({ "yaml": yaml }))
}

/// RFC 3339; Go's zero time where there is none.
fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), Timestamp::rfc3339)
}
