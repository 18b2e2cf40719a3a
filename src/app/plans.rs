//! The plans of rollbacks: who carries them out, by which means, and who may ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Splits;
use crate::engine::{self, Ended, Engine, Order, ReleaseStatus};
use crate::executor::{Executor, Planned, Reach};
use crate::model::{TargetId, Timestamp};
use crate::notice::{Delivery, Endpoint, Guard, HookId, Sending};
use crate::notifier::call_once;
use crate::prober::probe_once;
use crate::provider::SloClass;
use crate::release::machine::Report;
use crate::release::{
    Does, Drilled, LogEntry, Rollback, RunEnd, RunMode, StepResult, Tick, Traffic, What,
    operator_body,
};
use crate::server::{OutboxRequest, ReleaseLog, ReleaseRequest};
use crate::telemetry::{PlanEnded, Telemetry};

/// Requests that wait.
pub(super) const REQUESTS_MAX: usize = 16;
/// Lines that wait for the journal.
pub(super) const ENTRIES_MAX: usize = 4096;
/// A rollback by hand waits for its record this long: as long as the record waits for the disk, and a
/// little for whoever writes it.
const PUT_TIMEOUT: Duration = Duration::from_millis(550);
/// Lines of the record that a start reads.
pub(super) const REMEMBERED: usize = 10_000;

/// What operators want of releases, on its way to the engine.
pub(super) type Orders = mpsc::Sender<(Order, oneshot::Sender<Result<Report, String>>)>;

/// What plans need of the configuration as it is now.
pub(super) type Current = watch::Receiver<Arc<Config>>;

/// The rollbacks that have plans; when they were rehearsed last stands in the log.
pub(super) fn planned(config: &Config, log: &[LogEntry], now: Timestamp) -> Vec<Planned> {
    let drilled_at = |name: &str| {
        let is_drill = |entry: &&LogEntry| {
            let is_end = matches!(entry.what, What::Ended { .. });
            is_end && entry.mode == RunMode::Drill && entry.rollback == name
        };
        log.iter().rev().find(is_drill).map(LogEntry::at)
    };
    let traffic = |name: &str| {
        let release = config.releases.iter().find(|release| release.settings.plan.name == name)?;
        match &release.settings.traffic {
            Traffic::Unattended => None,
            Traffic::Steps(plan) => Some(Arc::clone(plan)),
        }
    };
    let planned = config.rollbacks.iter().filter_map(|rollback| match &rollback.does {
        Does::Call(_) => None,
        Does::Plan(plan) => Some(Planned {
            rollback: rollback.name.clone(),
            plan: Arc::clone(plan),
            traffic: traffic(&rollback.name),
            stable: rollback.stable.clone(),
            drill_message: Arc::from(operator_body(now, rollback, "a drill")),
            drill_interval: rollback.drill_interval,
            drilled_at: drilled_at(&rollback.name),
        }),
    });
    planned.collect()
}

/// By which means plans are carried out.
pub(super) fn reach(current: Current, clock: Clock) -> Reach {
    let guarded = current.clone();
    Reach {
        call: Arc::new(move |endpoint, delivery| {
            let guard = Guard::new(&guarded.borrow().global.allowed_networks);
            let endpoint = Endpoint { guard: Some(guard), ..endpoint };
            async move { call_once(&endpoint, &delivery, clock).await }.boxed()
        }),
        ask: Arc::new(move |id| {
            let config = Arc::clone(&current.borrow());
            async move {
                let target = config.targets.iter().find(|target| target.id == id);
                let target = target.ok_or("is no target any more")?;
                let (outcome, _) = probe_once(target, &clock).await;
                match outcome.class {
                    SloClass::Good => Ok(()),
                    SloClass::Bad | SloClass::Excluded => {
                        Err(outcome.error_type.as_str().to_owned())
                    }
                }
            }
            .boxed()
        }),
        fence: clock.now().millis(),
    }
}

/// The steps that are acknowledged on record, by the keys of their executions.
pub(super) fn done(log: &[LogEntry]) -> BTreeMap<String, BTreeSet<String>> {
    let mut done: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in log.iter().filter(|entry| entry.mode == RunMode::Real) {
        if let What::StepEnded { step, result: StepResult::Done, .. } = &entry.what {
            done.entry(entry.run.clone()).or_default().insert(step.clone());
        }
    }
    done
}

/// Fails where a release under way would lose what it needs: it runs its sealed plan to the end.
pub(super) fn check_running(
    releases: &[ReleaseStatus],
    config: &Config,
    now: Timestamp,
) -> anyhow::Result<()> {
    for status in releases {
        let name = &status.settings.plan.name;
        let Some(plan) = status.state.plan() else { continue };
        if !status.state.is_armed(now) && status.state.as_str() != "rolling_back" {
            continue;
        }
        let remedy = "roll it back, or let its bake end, before that";
        anyhow::ensure!(
            config.releases.iter().any(|release| release.settings.plan.name == *name),
            "release `{name}` is {} and would be gone: {remedy}",
            status.state.as_str()
        );
        let is_there = |id: &&TargetId| config.targets.iter().any(|target| target.id == **id);
        if let Some(gone) = plan.candidate.iter().chain(&plan.stable).find(|id| !is_there(id)) {
            anyhow::bail!(
                "release `{name}` is {} and goes by `{gone}`, which would be gone: {remedy}",
                status.state.as_str()
            );
        }
    }
    Ok(())
}

/// How the router shares out each route that a release moves.
pub(super) fn splits(engine: &Engine) -> Splits {
    engine.splits().into_iter().map(|split| (split.route.clone(), split)).collect()
}

/// The last rehearsal of each rollback.
pub(super) fn drilled(log: &[LogEntry]) -> BTreeMap<String, Drilled> {
    let ends = log.iter().filter(|entry| entry.mode == RunMode::Drill).filter_map(|entry| {
        let What::Ended { end, took_ms, mark, .. } = &entry.what else { return None };
        let drilled = Drilled {
            at: entry.at(),
            took: Duration::from_millis(*took_ms),
            is_good: *end == RunEnd::DrillPassed,
            mark: mark.clone(),
        };
        Some((entry.rollback.clone(), drilled))
    });
    ends.collect()
}

/// How rollbacks ended of which their releases have not heard: by hand while the service was down, or
/// just before it went down.
pub(super) fn unheard(log: &[LogEntry], ticks: &[Vec<Tick>]) -> Vec<Ended> {
    let known = |entry: &LogEntry| {
        let last = ticks.iter().filter_map(|ticks| ticks.last());
        let is_its = |tick: &&Tick| tick.release == entry.rollback;
        last.clone().find(is_its).is_none_or(|tick| entry.at() < tick.at())
    };
    let ends = log.iter().filter(|entry| entry.mode == RunMode::Real && !known(entry));
    let ends = ends.filter_map(|entry| {
        let What::Ended { end, took_ms, why, mark } = &entry.what else { return None };
        let ended = Ended {
            rollback: entry.rollback.clone(),
            mode: entry.mode,
            id: entry.id.clone(),
            end: *end,
            took: Duration::from_millis(*took_ms),
            why: why.clone(),
            mark: mark.clone(),
        };
        Some(ended)
    });
    ends.collect()
}

/// Exports how the plans of an earlier process ended: a page must outlive it.
pub(super) fn remember(
    log: &[LogEntry],
    pending: &[Delivery],
    config: &Config,
    telemetry: &Telemetry,
) {
    let is_there = |name: &str| config.rollbacks.iter().any(|rollback| rollback.name == name);
    for entry in log.iter().filter(|entry| is_there(&entry.rollback)) {
        // One that began, whose end nobody saw and that nobody goes on with, is not verified.
        if matches!(entry.what, What::Begun { .. })
            && entry.mode == RunMode::Real
            && pending.iter().all(|delivery| delivery.id != entry.id)
        {
            telemetry.plan_stands(&PlanEnded {
                rollback: &entry.rollback,
                is_drill: false,
                is_good: false,
                at: entry.at(),
                took: Duration::ZERO,
            });
        }
        if let What::Ended { end, took_ms, .. } = &entry.what
            && entry.mode != RunMode::Shift
        {
            telemetry.plan_stands(&PlanEnded {
                rollback: &entry.rollback,
                is_drill: entry.mode == RunMode::Drill,
                is_good: end.is_good(),
                at: entry.at(),
                took: Duration::from_millis(*took_ms),
            });
        }
    }
}

/// What a rollback by hand sends, under an id of its own.
pub(super) fn by_hand(rollback: &Rollback, said_by: &str, now: Timestamp) -> Delivery {
    let reason = format!("asked for by {said_by}");
    Delivery {
        hook: HookId::rollback(&rollback.name),
        id: format!("rollback_by_hand_{}", now.millis()),
        order: String::new(),
        body: Arc::from(operator_body(now, rollback, &reason)),
        decided_at: now,
        sending: Sending::Real,
    }
}

/// Answers whoever asks about rollbacks.
pub(super) async fn answer(
    mut requests: mpsc::Receiver<ReleaseRequest>,
    current: Current,
    executor: Executor,
    outbox: mpsc::Sender<OutboxRequest>,
    orders: Orders,
    clock: Clock,
) {
    while let Some(request) = requests.recv().await {
        let config = Arc::clone(&current.borrow());
        let (executor, outbox, orders) = (executor.clone(), outbox.clone(), orders.clone());
        // A drill takes a minute; nobody else waits for it. Each is somebody's connection, and
        // those are bounded.
        tokio::spawn(async move {
            // Whoever asked may have gone away.
            let _is_heard = match request {
                ReleaseRequest::List(answer) => {
                    let log = log(&outbox, None).await;
                    answer.send(log.map(|log| (config.rollbacks.clone(), log))).is_ok()
                }
                ReleaseRequest::Log(name, answer) => {
                    answer.send(both_logs(&config, &outbox, name).await).is_ok()
                }
                ReleaseRequest::Record(name, generation, answer) => {
                    let ticks = |answer| OutboxRequest::Ticks(name, generation, answer);
                    answer.send(asked(&outbox, ticks).await).is_ok()
                }
                ReleaseRequest::Order(order, answer) => {
                    answer.send(ordered(&config, &orders, order).await).is_ok()
                }
                ReleaseRequest::Rollback(name, said_by, answer) => {
                    let begun = match ordered_back(&config, &orders, &name, &said_by).await {
                        Some(id) => Ok(id),
                        None => {
                            roll_back(&config, &name, &said_by, &executor, &outbox, clock).await
                        }
                    };
                    answer.send(begun).is_ok()
                }
                ReleaseRequest::Drill(name, said_by, answer) => {
                    answer.send(drill(&config, &name, &said_by, &executor, &outbox).await).is_ok()
                }
            };
        });
    }
}

fn find<'c>(config: &'c Config, name: &str) -> Result<&'c Rollback, String> {
    config.rollbacks.iter().find(|rollback| rollback.name == name).ok_or_else(|| {
        let names = config.rollbacks.iter().map(|rollback| format!("`{}`", rollback.name));
        let names: Vec<String> = names.collect();
        format!("no rollback has the name `{name}`; there are: {}", names.join(", "))
    })
}

async fn log(
    outbox: &mpsc::Sender<OutboxRequest>,
    name: Option<String>,
) -> Result<Vec<LogEntry>, String> {
    asked(outbox, |answer| OutboxRequest::Log(name, answer)).await
}

async fn both_logs(
    config: &Config,
    outbox: &mpsc::Sender<OutboxRequest>,
    name: String,
) -> Result<ReleaseLog, String> {
    find(config, &name)?;
    let lines = log(outbox, Some(name.clone())).await?;
    let ticks = asked(outbox, |answer| OutboxRequest::News(name, answer)).await?;
    Ok((lines, ticks))
}

async fn asked<T>(
    outbox: &mpsc::Sender<OutboxRequest>,
    question: impl FnOnce(oneshot::Sender<Result<T, String>>) -> OutboxRequest,
) -> Result<T, String> {
    let (answer, answered) = oneshot::channel();
    let stopping = || "bellwether is stopping".to_owned();
    outbox.send(question(answer)).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?
}

/// Has a release do what an operator says.
async fn ordered(config: &Config, orders: &Orders, order: Order) -> Result<Report, String> {
    let name = &order.release;
    let releases = config.releases.iter().map(|release| release.settings.plan.name.as_str());
    if releases.clone().all(|known| known != name) {
        let known: Vec<String> = releases.map(|name| format!("`{name}`")).collect();
        return Err(format!("no release has the name `{name}`; there are: {}", known.join(", ")));
    }
    ask(orders, order).await
}

/// Hands an order to the engine and waits for what comes of it.
pub(super) async fn ask(orders: &Orders, order: Order) -> Result<Report, String> {
    let (answer, answered) = oneshot::channel();
    let stopping = || "bellwether is stopping".to_owned();
    orders.send((order, answer)).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?
}

/// Has a release under way go back. `None` where it is not under way, or nobody answers in time: then
/// its plan is carried out as that of any rollback.
async fn ordered_back(
    config: &Config,
    orders: &Orders,
    name: &str,
    said_by: &str,
) -> Option<String> {
    let (release, by) = (name.to_owned(), said_by.to_owned());
    let order = Order { release, what: engine::What::RollBack, by };
    let ordered = ordered(config, orders, order);
    tokio::time::timeout(PUT_TIMEOUT, ordered).await.ok()?.ok()?;
    let release = config.releases.iter().find(|one| one.settings.plan.name == name)?;
    Some(format!("{name}:{}:rollback", release.settings.plan.generation))
}

async fn roll_back(
    config: &Config,
    name: &str,
    said_by: &str,
    executor: &Executor,
    outbox: &mpsc::Sender<OutboxRequest>,
    clock: Clock,
) -> Result<String, String> {
    let delivery = by_hand(find(config, name)?, said_by, clock.now());
    let id = delivery.id.clone();
    let stopping = "bellwether is stopping: use `bellwether rollback --offline`";
    let (answer, written) = oneshot::channel();
    let put = async {
        outbox.send(OutboxRequest::Put(delivery.clone(), answer)).await.is_ok()
            && written.await.is_ok()
    };
    match tokio::time::timeout(PUT_TIMEOUT, put).await {
        Ok(true) => {}
        Ok(false) => return Err(stopping.to_owned()),
        // The disk holds up whoever writes; what it holds up comes again and is known by its key.
        Err(_) if executor.is_planned(&delivery) => {
            tracing::error!(id, "the journal hangs: a rollback by hand begins without it");
            executor.send(delivery);
        }
        Err(_) => tracing::error!(id, "the journal hangs: a rollback by hand waits for it"),
    }
    Ok(id)
}

async fn drill(
    config: &Config,
    name: &str,
    said_by: &str,
    executor: &Executor,
    outbox: &mpsc::Sender<OutboxRequest>,
) -> Result<RunEnd, String> {
    find(config, name)?;
    tracing::info!(said_by, rollback = name, "a drill begins");
    let end = executor.drill(name).await.map_err(|refused| refused.to_string())?;
    // The journal has been handed how it ended, so what it reads now comes after that. Whoever hears
    // that a drill passed may kill us the next moment, and it still counts.
    let read = tokio::time::timeout(PUT_TIMEOUT, log(outbox, Some(name.to_owned()))).await;
    let last = read.ok().and_then(Result::ok).unwrap_or_default();
    let last = last.iter().rfind(|entry| entry.mode == RunMode::Drill);
    if !last.is_some_and(|entry| matches!(entry.what, What::Ended { .. })) {
        tracing::error!(rollback = name, "the journal hangs: a drill is over and not on record");
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TEXT: &str = "
providers:
- {name: p, dialect: openai_chat, base_url: 'http://127.0.0.1:1', auth: none}
probes:
- {name: new, provider: p, model: m, budget_daily: unlimited}
- {name: old, provider: p, model: m, budget_daily: unlimited}
rollbacks:
- name: r
  matchers: ['a=b']
  candidate: [new]
  stable: [old]
  steps: [{name: ask, verify: true}]
";

    fn entry(run: &str, mode: RunMode, what: What) -> LogEntry {
        let (run, rollback) = (run.to_owned(), "r".to_owned());
        LogEntry { run: run.clone(), id: run, rollback, mode, at_ms: 7000, what }
    }

    fn begun() -> What {
        What::Begun { done: Vec::new() }
    }

    fn ended(end: RunEnd) -> What {
        What::Ended { end, took_ms: 1, why: String::new(), mark: String::new() }
    }

    fn unverified(log: &[LogEntry], pending: &[Delivery]) -> f64 {
        let (config, telemetry) = (config::parse("b.yml", TEXT).unwrap(), Telemetry::new());
        telemetry.configure_actions(&[], &["r".to_owned()], &[]);
        remember(log, pending, &config, &telemetry);
        telemetry.first_of("bellwether_rollback_unverified").unwrap()
    }

    #[test]
    fn a_page_outlives_the_process_until_a_rollback_is_verified() {
        use RunMode::{Drill, Real};
        let good = || ended(RunEnd::RolledBack);
        let bad = || ended(RunEnd::RollbackUnverified);
        assert_eq!(unverified(&[], &[]), 0.0);
        assert_eq!(unverified(&[entry("a", Real, begun()), entry("a", Real, bad())], &[]), 1.0);
        assert_eq!(unverified(&[entry("a", Real, bad()), entry("b", Real, good())], &[]), 0.0);
        let failed = ended(RunEnd::DrillFailed);
        assert_eq!(unverified(&[entry("a", Real, good()), entry("b", Drill, failed)], &[]), 0.0);
        // One that nobody goes on with is not verified; one that goes on will tell.
        let config = config::parse("b.yml", TEXT).unwrap();
        let hand = by_hand(&config.rollbacks[0], "a test", Timestamp::from_millis(7));
        let log = [entry(&hand.id, Real, begun())];
        assert_eq!(unverified(&log, &[]), 1.0);
        assert_eq!(unverified(&log, &[hand]), 0.0);
    }

    #[test]
    fn only_steps_that_are_acknowledged_in_earnest_are_done() {
        let step_ended = |result| What::StepEnded {
            step: "s".to_owned(),
            result,
            attempts: 1,
            why: String::new(),
        };
        let log = [
            entry("a", RunMode::Real, step_ended(StepResult::Done)),
            entry("b", RunMode::Real, step_ended(StepResult::Failed)),
            entry("c", RunMode::Drill, step_ended(StepResult::Done)),
        ];
        let expected = BTreeMap::from([("a".to_owned(), BTreeSet::from(["s".to_owned()]))]);
        assert_eq!(done(&log), expected);
    }
}
