//! Prometheus's query API over the embedded store.
//!
//! A query works on the samples as they were when it arrived and runs off the threads that probe:
//! a slow one delays no sample, no rule and no rollback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value as Body, json};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::parameters::{ApiError, Parameters};
use crate::clock::Clock;
use crate::model::{Labels, MatchOp, Matcher, Timestamp};
use crate::promql::{self, Answer, EvalError, Interrupt, Options, Severity, Value};
use crate::series::Store;

/// At most this many queries at once; others wait their turn.
const CONCURRENT_MAX: usize = 4;
/// A query that takes longer is answered with an error, as in Prometheus (`--query.timeout`).
const TIMEOUT: Duration = Duration::from_secs(120);
/// At most this many points of one series, as in Prometheus.
const POINTS_MAX: u128 = 11_000;

#[derive(Clone)]
struct Queries {
    samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>,
    turns: Arc<Semaphore>,
    clock: Clock,
}

pub(super) fn routes(samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>, clock: Clock) -> Router {
    let turns = Arc::new(Semaphore::new(CONCURRENT_MAX));
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/api/v1/series", get(series).post(series))
        .route("/api/v1/labels", get(label_names).post(label_names))
        .route("/api/v1/label/{name}/values", get(label_values))
        .route("/api/v1/format_query", get(format_query).post(format_query))
        .with_state(Queries { samples, turns, clock })
}

impl Queries {
    async fn run<T: Send + 'static>(
        &self,
        parameters: &Parameters,
        work: impl FnOnce(&Store, Interrupt<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let deadline = Instant::now() + parameters.timeout(TIMEOUT)?;
        let turn = timeout_at(deadline, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| ApiError::queue_timeout())?;
        let turn = turn.map_err(|_| ApiError::unavailable())?;
        let answered = async {
            let (answer, answered) = oneshot::channel();
            self.samples.send(answer).await.map_err(|_| ApiError::unavailable())?;
            let store = answered.await.map_err(|_| ApiError::unavailable())?;
            let waiting = Waiting::default();
            let is_over = Arc::clone(&waiting.is_over);
            // Its turn lasts as long as the work does, which is soon over once nobody waits.
            let work = move || {
                let question = || match is_over.load(Ordering::Relaxed) {
                    true => Err(EvalError::Canceled),
                    false => Ok(()),
                };
                let result = work(&store, Interrupt::new(&question));
                drop(turn);
                result
            };
            tokio::task::spawn_blocking(work).await.map_err(|_| ApiError::internal())?
        };
        let timed_out = |_| ApiError::evaluation(&EvalError::Timeout);
        timeout_at(deadline, answered).await.map_err(timed_out)?
    }
}

/// Somebody waits for an answer. Dropped when the answer is there, when the time is up, and when the
/// client goes away.
#[derive(Default)]
struct Waiting {
    is_over: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

async fn instant(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let expr = parse(&parameters).await?;
    let at = parameters.time("time")?.unwrap_or_else(|| queries.clock.now());
    let evaluate = move |store: &Store, interrupt: Interrupt<'_>| {
        let options = Options { interrupt, ..Options::default() };
        promql::instant(&expr, store, at, &options).map_err(|error| ApiError::evaluation(&error))
    };
    Ok(answer(&queries.run(&parameters, evaluate).await?, at))
}

async fn range(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let expr = parse(&parameters).await?;
    let missing = |name: &str| {
        ApiError::bad_data(format!(
            "invalid parameter \"{name}\": cannot parse \"\" to a valid timestamp"
        ))
    };
    let start = parameters.time("start")?.ok_or_else(|| missing("start"))?;
    let end = parameters.time("end")?.ok_or_else(|| missing("end"))?;
    let step = parameters.step("step")?;
    if end < start {
        return Err(ApiError::bad_data(
            "invalid parameter \"end\": end timestamp must not be before start time",
        ));
    }
    if end.since(start).as_millis() / step.as_millis() > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    let evaluate = move |store: &Store, interrupt: Interrupt<'_>| {
        let options = Options { interrupt, ..Options::default() };
        promql::range(&expr, store, start, end, step, &options)
            .map_err(|error| ApiError::evaluation(&error))
    };
    Ok(answer(&queries.run(&parameters, evaluate).await?, end))
}

async fn format_query(parameters: Parameters) -> Result<Response, ApiError> {
    Ok(success(json!(parse(&parameters).await?.to_string())))
}

/// Off the threads that probe as well: thousands of regular expressions take a while to compile.
async fn parse(parameters: &Parameters) -> Result<promql::Expr, ApiError> {
    let text = parameters.get("query").unwrap_or_default().to_owned();
    let parsed = tokio::task::spawn_blocking(move || promql::parse(&text));
    let parsed = parsed.await.map_err(|_| ApiError::internal())?;
    parsed.map_err(|error| ApiError::bad_data(format!("invalid parameter \"query\": {error}")))
}

/// `match[]`, and the window from `start` to `end`, which is everything where they are absent.
struct Selection {
    sets: Vec<Vec<Matcher>>,
    after: Timestamp,
    until: Timestamp,
}

impl Selection {
    fn read(parameters: &Parameters) -> Result<Self, ApiError> {
        let mut sets = Vec::new();
        for text in parameters.all("match[]") {
            let bad = |reason: String| {
                ApiError::bad_data(format!("invalid parameter \"match[]\": {reason}"))
            };
            let expr = promql::parse(text).map_err(|error| bad(error.to_string()))?;
            let mut selectors = expr.selectors();
            match (selectors.pop(), selectors.is_empty()) {
                (Some(selector), true) if selector.range.is_none() => sets.push(selector.matchers),
                _ => return Err(bad(format!("`{text}` is not a series selector"))),
            }
        }
        let after = parameters.time("start")?.unwrap_or(Timestamp::MIN);
        let until = parameters.time("end")?.unwrap_or(Timestamp::MAX);
        Ok(Self { sets, after: after - Duration::from_millis(1), until })
    }

    /// The selected series, each once, sorted.
    fn series(&self, store: &Store) -> Vec<Labels> {
        let mut found: Vec<Labels> = match self.sets.as_slice() {
            [] => store.matching(&[], self.after, self.until),
            sets => {
                sets.iter().flat_map(|set| store.matching(set, self.after, self.until)).collect()
            }
        };
        found.sort();
        found.dedup();
        found
    }
}

async fn series(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let selection = Selection::read(&parameters)?;
    if selection.sets.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let found = queries.run(&parameters, move |store, _| Ok(selection.series(store))).await?;
    let limit = parameters.limit("limit")?;
    let shown = found.iter().take(limit).map(metric).collect();
    Ok(cut(shown, found.len() > limit))
}

async fn label_names(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let selection = Selection::read(&parameters)?;
    let names = queries
        .run(&parameters, move |store, _| {
            let found = selection.series(store);
            let names: std::collections::BTreeSet<String> =
                found.iter().flatten().map(|label| label.name.to_string()).collect();
            Ok(names)
        })
        .await?;
    let limit = parameters.limit("limit")?;
    let shown = names.iter().take(limit).map(|name| json!(name)).collect();
    Ok(cut(shown, names.len() > limit))
}

async fn label_values(
    State(queries): State<Queries>,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Result<Response, ApiError> {
    let mut selection = Selection::read(&parameters)?;
    let present = Matcher::new(&name, MatchOp::NotEqual, "").expect("no regular expression");
    if selection.sets.is_empty() {
        selection.sets.push(vec![present]);
    }
    let values = queries
        .run(&parameters, move |store, _| {
            let found = selection.series(store);
            let values: std::collections::BTreeSet<String> =
                found.iter().filter_map(|labels| labels.get(&name)).map(str::to_owned).collect();
            Ok(values)
        })
        .await?;
    let limit = parameters.limit("limit")?;
    let shown = values.iter().take(limit).map(|value| json!(value)).collect();
    Ok(cut(shown, values.len() > limit))
}

/// A list, and Prometheus's word where it was cut.
fn cut(data: Body, is_cut: bool) -> Response {
    let mut body = json!({"status": "success", "data": data});
    if is_cut {
        body["warnings"] = json!(["results truncated due to limit"]);
    }
    Json(body).into_response()
}

pub(super) fn success(data: Body) -> Response {
    Json(json!({"status": "success", "data": data})).into_response()
}

pub(super) fn metric(labels: &Labels) -> Body {
    labels.iter().map(|label| (label.name.to_string(), json!(*label.value))).collect()
}

fn point(at: Timestamp, value: f64) -> Body {
    json!([at.seconds(), promql::format_value(value)])
}

fn answer(answer: &Answer, at: Timestamp) -> Response {
    let (kind, result) = match &answer.value {
        Value::Scalar(value) => ("scalar", point(at, *value)),
        Value::String(text) => ("string", json!([at.seconds(), text])),
        Value::Vector(points) => (
            "vector",
            points
                .iter()
                .map(|p| json!({"metric": metric(&p.labels), "value": point(p.at, p.value)}))
                .collect(),
        ),
        Value::Matrix(series) => (
            "matrix",
            series
                .iter()
                .map(|series| {
                    let points = series.samples.iter().map(|s| point(s.at, s.value));
                    json!({"metric": metric(&series.labels), "values": points.collect::<Vec<_>>()})
                })
                .collect(),
        ),
    };
    let mut body = json!({
        "status": "success",
        "data": {"resultType": kind, "result": result},
    });
    for (key, severity) in [("warnings", Severity::Warning), ("infos", Severity::Info)] {
        let texts: Vec<String> = answer
            .annotations
            .iter()
            .filter(|annotation| annotation.severity == severity)
            .map(ToString::to_string)
            .collect();
        if !texts.is_empty() {
            body[key] = json!(texts);
        }
    }
    Json(body).into_response()
}
