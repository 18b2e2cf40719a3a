//! Prometheus's queries over the embedded store: at one instant and over a range.
//!
//! A query works on the samples as they were when it arrived and runs off the threads that probe,
//! down to the writing of its answer: a slow one delays no sample, no rule and no rollback.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};

use super::parameters::{ApiError, Parameters};
use super::shape::{self, Encoded, success};
use crate::clock::Clock;
use crate::model::Timestamp;
use crate::promql::{self, Answer, EvalError, Interrupt, Options, ValueType};
use crate::series::Store;

/// At most this many queries at once; others wait their turn.
const CONCURRENT_MAX: usize = 4;
/// A query that takes longer is answered with an error, as in Prometheus (`--query.timeout`).
const TIMEOUT: Duration = Duration::from_secs(120);
/// At most this many points of one series, as in Prometheus.
const POINTS_MAX: u128 = 11_000;

/// Whoever asks the store.
#[derive(Clone)]
pub(super) struct Queries {
    samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>,
    evaluation_interval: watch::Receiver<Duration>,
    turns: Arc<Semaphore>,
    clock: Clock,
}

pub(super) fn routes(queries: Queries) -> Router {
    Router::new()
        .route("/api/v1/query", get(instant).post(instant))
        .route("/api/v1/query_range", get(range).post(range))
        .route("/api/v1/query_exemplars", get(exemplars).post(exemplars))
        .route("/api/v1/format_query", get(format_query).post(format_query))
        .with_state(queries)
}

impl Queries {
    pub(super) fn new(
        samples: mpsc::Sender<oneshot::Sender<Arc<Store>>>,
        evaluation_interval: watch::Receiver<Duration>,
        clock: Clock,
    ) -> Self {
        Self {
            samples,
            evaluation_interval,
            turns: Arc::new(Semaphore::new(CONCURRENT_MAX)),
            clock,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Has the samples looked at, within the time that the call may take. The work is told when
    /// nobody waits for it any more.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        parameters: &Parameters,
        work: impl FnOnce(&Store, Interrupt<'_>) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let timed_out = || ApiError::evaluation(&EvalError::Timeout);
        let limit = parameters.timeout(TIMEOUT)?;
        if limit.is_zero() {
            return Err(timed_out());
        }
        let deadline = Instant::now() + limit;
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
        timeout_at(deadline, answered).await.map_err(|_| timed_out())?
    }

    /// Evaluates an expression and writes the answer.
    async fn evaluate(
        &self,
        parameters: &Parameters,
        at: Timestamp,
        evaluate: impl FnOnce(&Store, &Options<'_>) -> Result<Answer, EvalError> + Send + 'static,
    ) -> Result<Encoded, ApiError> {
        let limit = parameters.limit()?;
        let lookback = lookback(parameters)?;
        let wants_stats = parameters.get("stats").is_some();
        let arrived = Instant::now();
        let subquery_step = *self.evaluation_interval.borrow();
        let work = move |store: &Store, interrupt: Interrupt<'_>| {
            let started = Instant::now();
            let options = Options { lookback, subquery_step, interrupt, ..Options::default() };
            let answer = evaluate(store, &options).map_err(|error| ApiError::evaluation(&error))?;
            let stats = wants_stats.then(|| {
                let queued = started.duration_since(arrived).as_secs_f64();
                let evaluated = started.elapsed().as_secs_f64();
                json!({"timings": {
                    "evalTotalTime": evaluated,
                    "execQueueTime": queued,
                    "execTotalTime": queued + evaluated,
                }})
            });
            Ok(shape::answer(answer, at, limit, stats).encode())
        };
        self.run(parameters, work).await
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

/// `lookback_delta`; as in Prometheus, one that is not above zero is none.
fn lookback(parameters: &Parameters) -> Result<Duration, ApiError> {
    let default = Options::default().lookback;
    if parameters.get("lookback_delta").is_none() {
        return Ok(default);
    }
    let lookback = parameters.duration("lookback_delta").map_err(|reason| {
        ApiError::bad_data(format!("error parsing lookback delta duration: {reason}"))
    })?;
    Ok(if lookback.is_zero() { default } else { lookback })
}

async fn instant(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Encoded, ApiError> {
    let at = parameters.time("time")?.unwrap_or_else(|| queries.now());
    let expr = parse(&parameters).await?;
    let evaluate =
        move |store: &Store, options: &Options<'_>| promql::instant(&expr, store, at, options);
    queries.evaluate(&parameters, at, evaluate).await
}

async fn range(
    State(queries): State<Queries>,
    parameters: Parameters,
) -> Result<Encoded, ApiError> {
    let start = parameters.bound("start")?;
    let end = parameters.bound("end")?;
    if end < start {
        return Err(ApiError::invalid("end", "end timestamp must not be before start time"));
    }
    let step = parameters.step("step")?;
    if end.since(start).as_millis() / step.as_millis() > POINTS_MAX {
        return Err(ApiError::bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the \
             query resolution (?step=XX)",
        ));
    }
    let expr = parse(&parameters).await?;
    let kind = expr.value_type();
    if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
        let message = format!(
            "invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector"
        );
        return Err(ApiError::invalid("query", message));
    }
    let evaluate = move |store: &Store, options: &Options<'_>| {
        promql::range(&expr, store, start, end, step, options)
    };
    queries.evaluate(&parameters, end, evaluate).await
}

/// Probes carry no exemplars, so that any well-formed question has an empty answer.
async fn exemplars(parameters: Parameters) -> Result<Response, ApiError> {
    let start = parameters.time("start")?.unwrap_or(Timestamp::MIN);
    let end = parameters.time("end")?.unwrap_or(Timestamp::MAX);
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    promql::parse(parameters.get("query").unwrap_or_default())
        .map_err(|error| ApiError::bad_data(super::parameters::unparsed(&error)))?;
    Ok(success(json!([])))
}

async fn format_query(parameters: Parameters) -> Result<Response, ApiError> {
    Ok(success(parse(&parameters).await?.to_string()))
}

/// Off the threads that probe as well: thousands of regular expressions take a while to compile.
async fn parse(parameters: &Parameters) -> Result<promql::Expr, ApiError> {
    let text = parameters.get("query").unwrap_or_default().to_owned();
    let parsed = tokio::task::spawn_blocking(move || promql::parse(&text));
    let parsed = parsed.await.map_err(|_| ApiError::internal())?;
    parsed.map_err(|error| ApiError::invalid("query", super::parameters::unparsed(&error)))
}
