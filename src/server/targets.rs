//! What is probed and who is told, as Prometheus shows scrape targets and Alertmanagers.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::{Value as Body, json};
use tokio::sync::watch;

use super::api::time;
use super::listener::Views;
use super::parameters::{ApiError, Parameters, selector};
use super::query::Queries;
use super::shape::{Metric, success};
use crate::engine::{Snapshot, TargetStatus};
use crate::model::{Labels, MatchOp, Matcher, Timestamp};
use crate::probe::Planned;
use crate::promql::Interrupt;
use crate::provider::SloClass;
use crate::series::Store;
use crate::telemetry::Telemetry;

/// The one pool that all targets are in.
const POOL: &str = "probes";

type Reader = watch::Receiver<Arc<Snapshot>>;

pub(super) fn routes(views: &Views, queries: Queries) -> Router {
    let alertmanagers = Router::new()
        .route("/api/v1/alertmanagers", get(alertmanagers))
        .with_state(views.alertmanagers.clone());
    let metadata = Router::new()
        .route("/api/v1/targets/metadata", get(metadata))
        .with_state((queries, views.telemetry.clone()));
    Router::new()
        .route("/api/v1/targets", get(targets))
        .route("/api/v1/scrape_pools", get(pools))
        .with_state(views.snapshot.clone())
        .merge(alertmanagers)
        .merge(metadata)
}

async fn targets(State(snapshot): State<Reader>, parameters: Parameters) -> Response {
    let snapshot = Arc::clone(&snapshot.borrow());
    let state = parameters.get("state").map(str::to_lowercase);
    let is_asked = |own: &str| state.as_deref().is_none_or(|state| state == "any" || state == own);
    let has_pool = parameters.get("scrapePool").is_none_or(|pool| pool == POOL);
    let active = snapshot.targets.iter().filter(|_| has_pool && is_asked("active"));
    success(json!({
        "activeTargets": active.map(target).collect::<Vec<_>>(),
        "droppedTargets": [],
        "droppedTargetCounts": if is_asked("dropped") { json!({ POOL: 0 }) } else { Body::Null },
    }))
}

async fn pools() -> Response {
    success(json!({ "scrapePools": [POOL] }))
}

async fn alertmanagers(State(urls): State<watch::Receiver<Arc<[String]>>>) -> Response {
    let active: Vec<Body> = urls.borrow().iter().map(|url| json!({ "url": url })).collect();
    success(json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] }))
}

/// What is known of the metrics of each target. All of them come from one registry, which is what a
/// Prometheus scrapes here: the target is its `job` and `instance`.
async fn metadata(
    State((queries, telemetry)): State<(Queries, Telemetry)>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let limit = parameters.number("limit")?.unwrap_or(usize::MAX);
    let set = parameters.get("match_target").map(selector).transpose();
    let set = set.map_err(|reason| ApiError::invalid("match_target", reason))?.unwrap_or_default();
    let wanted = parameters.get("metric");
    let families = telemetry.metadata();
    let find = |store: &Store, _: Interrupt<'_>| {
        let up = Matcher::new(Labels::NAME, MatchOp::Equal, "up").expect("no expression");
        Ok(store.matching(&[up], Timestamp::MIN, Timestamp::MAX))
    };
    let instances = queries.run(&parameters, find).await?;
    let targets = instances.iter().map(|up| up.without(&[Labels::NAME]));
    let targets = targets.filter(|target| set.iter().all(|m| m.matches_labels(target)));
    let mut found = Vec::new();
    for target in targets {
        let families =
            families.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name));
        for (name, (kind, help)) in families.take(limit) {
            let mut entry = json!({
                "target": Metric(&target), "type": kind, "help": help, "unit": "",
            });
            // Whoever asks for one metric knows which.
            if wanted.is_none() {
                entry["metric"] = json!(name);
            }
            found.push(entry);
        }
    }
    Ok(success(found))
}

/// Prometheus's clients know these labels as texts of any name, and pass them on.
fn discovered(status: &TargetStatus) -> Body {
    match status.planned {
        None => json!({}),
        Some(Planned { until }) => {
            let until = until.map_or("unknown".to_owned(), Timestamp::rfc3339);
            json!({ "__meta_bellwether_maintenance_until": until })
        }
    }
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
        "discoveredLabels": discovered(status),
        "labels": {
            "target": target.id.as_str(),
            "provider": target.provider.system,
            "model": target.model,
            "api": target.provider.dialect.api(),
        },
        "scrapePool": POOL,
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
