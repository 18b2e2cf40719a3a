//! Rules and alerts in Prometheus's own shapes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value as Body, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::listener::Views;
use super::parameters::selector;
use super::parameters::{ApiError, Parameters};
use super::shape::{Metric, exponent, success};
use crate::engine::{GroupStatus, Snapshot};
use crate::model::{Labels, Matcher, Timestamp};
use crate::rules::{Alert, AlertState, RuleKind, RuleStatus};

type Reader = watch::Receiver<Arc<Snapshot>>;

pub(super) fn routes(views: &Views) -> Router {
    Router::new()
        .route("/api/v1/rules", get(rules))
        .route("/api/v1/alerts", get(alerts))
        .with_state(views.snapshot.clone())
}

async fn rules(
    State(snapshot): State<Reader>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let snapshot = Arc::clone(&snapshot.borrow());
    let wanted = Wanted::read(&parameters)?;
    let page = Page::read(&parameters)?;
    let mut groups: Vec<&GroupStatus> = snapshot.groups.iter().collect();
    groups.sort_by_key(|group| (&group.file, &group.name));
    if let Some(token) = page.token {
        let from = groups.iter().position(|group| self::token(group) == token);
        let from = from.ok_or_else(|| {
            let reason = format!("invalid group_next_token '{token}'. were rule groups changed?");
            ApiError::invalid("group_next_token", reason)
        })?;
        groups.drain(..from);
    }
    let mut found = groups.iter().filter_map(|group| Some((group, rule_group(group, &wanted)?)));
    let shown: Vec<Body> = found.by_ref().take(page.limit).map(|(_, body)| body).collect();
    let mut data = json!({ "groups": shown });
    if let Some((next, _)) = found.next() {
        data["groupNextToken"] = json!(token(next));
    }
    Ok(success(data))
}

/// Which part of the list is asked for.
struct Page<'a> {
    limit: usize,
    token: Option<&'a str>,
}

impl<'a> Page<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let token = parameters.get("group_next_token");
        let limit = match (parameters.whole("group_limit")?, token) {
            (Some(limit), _) => {
                usize::try_from(limit).ok().filter(|limit| *limit > 0).ok_or_else(|| {
                    ApiError::invalid("group_limit", "group_limit needs to be greater than 0")
                })?
            }
            (None, None) => usize::MAX,
            (None, Some(_)) => {
                let reason = "group_limit needs to be present in order to paginate over the groups";
                return Err(ApiError::invalid("group_next_token", reason));
            }
        };
        Ok(Self { limit, token })
    }
}

/// Names a group where a list goes on; nobody is to read anything into it.
fn token(group: &GroupStatus) -> String {
    let digest = Sha256::digest(format!("{};{}", group.file, group.name));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Which rules are asked for; a list that is empty wants all.
struct Wanted<'a> {
    kind: Option<RuleKind>,
    rules: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    /// Conditions on the labels that a rule sets; one set of them must hold.
    sets: Vec<Vec<Matcher>>,
    has_alerts: bool,
}

impl<'a> Wanted<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let kind = match parameters.get("type") {
            None => None,
            Some("alert") => Some(RuleKind::Alerting),
            Some("record") => Some(RuleKind::Recording),
            Some(other) => {
                let reason = format!("not supported value \"{other}\"");
                return Err(ApiError::invalid("type", reason));
            }
        };
        let sets = parameters.all("match[]").map(selector).collect::<Result<_, _>>();
        Ok(Self {
            kind,
            rules: parameters.all("rule_name[]").collect(),
            groups: parameters.all("rule_group[]").collect(),
            files: parameters.all("file[]").collect(),
            sets: sets.map_err(ApiError::bad_data)?,
            has_alerts: !parameters.flag("exclude_alerts")?,
        })
    }

    fn has_group(&self, group: &GroupStatus) -> bool {
        is_among(&self.groups, &group.name) && is_among(&self.files, &group.file)
    }

    fn has_rule(&self, rule: &RuleStatus) -> bool {
        let labels = rule.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let labels = Labels::from_pairs(labels);
        let holds = |set: &Vec<Matcher>| set.iter().all(|matcher| matcher.matches_labels(&labels));
        self.kind.is_none_or(|kind| kind == rule.kind)
            && is_among(&self.rules, &rule.name)
            && (self.sets.is_empty() || self.sets.iter().any(holds))
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
            "interval": seconds(group.interval),
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
            body["duration"] = seconds(rule.duration);
            body["keepFiringFor"] = seconds(rule.keep_firing_for);
            body["labels"] = json!(rule.labels);
            body["annotations"] = json!(rule.annotations);
            body["alerts"] = if has_alerts { active.map(alert).collect() } else { Body::Null };
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
        "labels": Metric(&alert.labels),
        "annotations": Metric(&alert.annotations),
        "state": alert.state.as_str(),
        "activeAt": alert.active_at.rfc3339(),
        "value": exponent(alert.value),
    });
    if let Some(since) = alert.keep_firing_since {
        body["keepFiringSince"] = json!(since.rfc3339());
    }
    body
}

/// Seconds, without a point where they are whole.
fn seconds(duration: Duration) -> Body {
    match duration.subsec_nanos() {
        0 => json!(duration.as_secs()),
        _ => json!(duration.as_secs_f64()),
    }
}

/// RFC 3339; Go's zero time where there is none.
pub(super) fn time(at: Option<Timestamp>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), Timestamp::rfc3339)
}
