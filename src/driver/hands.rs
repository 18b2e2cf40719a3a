//! What the driver listens to and whom it asks to do things.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::Cadence;
use crate::engine::{
    Action, Happening, Order, Post, ReleaseStatus, Ruling, Settings, SloStatus, Snapshot,
};
use crate::model::{StateRow, TargetId, Timestamp};
use crate::notice::Delivery;
use crate::probe::{Attentions, Health, Outcome, Planned, Target};
use crate::release::gate::{Answer, Standing};
use crate::release::machine::{Report, Run};
use crate::release::{Decision, Question, Shift, Split, Tick, Verdict};
use crate::routing::Served;
use crate::series::{Store, Written};
use crate::slo::window_name;
use crate::telemetry::{GateReading, ReleaseReading, Sampler, SloReading, Telemetry};

/// The ends of the channels that the driver reads.
#[derive(Debug)]
pub struct Feeds {
    /// From the prober.
    pub outcomes: mpsc::Receiver<Outcome>,
    /// From the router: what came of clients' requests.
    pub served: mpsc::Receiver<Served>,
    /// From the self-canary.
    pub health: watch::Receiver<Health>,
    /// From the notifier: a delivery ended.
    pub delivered: mpsc::Receiver<Happening>,
    /// From the server: somebody says what fires, and wants to know what is decided about it.
    pub posts: mpsc::Receiver<(Post, oneshot::Sender<Vec<Ruling>>)>,
    /// From the server: an operator says what a release is to do, and wants to know what came of it.
    pub orders: mpsc::Receiver<(Order, oneshot::Sender<Result<Report, String>>)>,
    /// From datasources: what they say to each expression.
    pub answers: mpsc::Receiver<(Question, Vec<Answer>)>,
    /// From the server: somebody wants to read the samples.
    pub samples: mpsc::Receiver<oneshot::Sender<Arc<Store>>>,
    /// From a reload.
    pub reloads: mpsc::Receiver<Reload>,
}

/// What a reload changes here.
#[derive(Debug)]
pub struct Reload {
    /// For the engine.
    pub settings: Settings,
    /// How often the registry is sampled.
    pub cadence: Cadence,
    /// Attaches `job` and `instance`.
    pub sampler: Sampler,
}

/// What one event came to that must outlive the process: all of it is put on record, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Decisions; carried out once they are on record.
    pub decisions: Vec<Arc<Decision>>,
    /// Notices, which whoever records them sends once they are in the outbox.
    pub notices: Vec<Delivery>,
    /// Steps of releases.
    pub ticks: Vec<Arc<Tick>>,
    /// State that says all this was decided.
    pub rows: Vec<StateRow>,
}

/// Puts a batch on record and says whether that worked.
pub type Records = mpsc::Sender<(Batch, oneshot::Sender<bool>)>;

/// Takes a delivery without waiting; the queue behind it counts what it can't take.
pub type Sending = Box<dyn Fn(Delivery) + Send + Sync>;

/// Takes a share to be set without waiting.
pub type Shifting = Box<dyn Fn(Shift) + Send + Sync>;

/// How the router shares out each route that a release moves.
pub type Splits = BTreeMap<String, Split>;

/// The ends of the channels that the driver writes.
pub struct Hands {
    /// The journal, and whoever sends what it has put on record.
    pub records: Records,
    /// The notifier.
    pub send: Sending,
    /// The executor, where somebody else than the router carries the traffic.
    pub shift: Shifting,
    /// Whoever asks datasources.
    pub questions: mpsc::Sender<Question>,
    /// The router.
    pub splits: watch::Sender<Arc<Splits>>,
    /// The prober: what it watches more closely.
    pub attentions: watch::Sender<Arc<Attentions>>,
    /// The archive: what one turn stored.
    pub written: mpsc::Sender<Vec<Written>>,
    /// Readers of the state.
    pub snapshot: watch::Sender<Arc<Snapshot>>,
    /// Whoever watches.
    pub happenings: broadcast::Sender<Happening>,
    /// Instruments.
    pub telemetry: Telemetry,
}

/// Moving back to stable is fail-open: this long a rollback waits for the journal.
const RECORD_TIMEOUT: Duration = Duration::from_millis(500);

impl Hands {
    /// Carries out what one event came to, in order, once what must be on record is.
    pub(super) async fn carry_out(&self, actions: Vec<Action>, rows: Vec<StateRow>) {
        let mut batch = Batch { rows, ..Batch::default() };
        let mut gives_traffic = false;
        for action in &actions {
            match action {
                Action::Record(decision) => batch.decisions.push(Arc::clone(decision)),
                Action::Enqueue(delivery) => batch.notices.push(delivery.clone()),
                Action::Note(tick) => batch.ticks.push(Arc::clone(tick)),
                // What takes traffic away waits for nothing.
                Action::Split(split) if split.share == 0 => self.share_out(split),
                Action::Split(split) => gives_traffic |= self.is_news(split),
                Action::Shift(_) => gives_traffic = true,
                Action::Deliver(_) | Action::Ask(_) | Action::Tell(_) => {}
            }
        }
        let is_empty = batch.notices.is_empty() && batch.rows.is_empty() && batch.ticks.is_empty();
        let is_awaited = gives_traffic || !batch.decisions.is_empty();
        let is_on_record = match (is_awaited, is_empty) {
            (true, _) => self.record(batch).await,
            (false, false) => {
                self.note(batch).await;
                false
            }
            (false, true) => false,
        };
        for action in actions {
            match action {
                Action::Record(_) | Action::Enqueue(_) | Action::Note(_) => {}
                Action::Deliver(delivery) => (self.send)(delivery),
                Action::Ask(question) => self.ask(question),
                Action::Split(split) if split.share == 0 => {}
                Action::Split(split) if is_on_record || !self.is_news(&split) => {
                    self.share_out(&split);
                }
                Action::Shift(shift) if is_on_record => (self.shift)(shift),
                Action::Split(Split { share, route: name, .. })
                | Action::Shift(Shift { share, release: name, .. }) => tracing::error!(
                    name,
                    share,
                    "a share is not raised: that it is to be is not on record"
                ),
                Action::Tell(happening) => self.tell(happening),
            }
        }
    }

    /// Asks a datasource. What it has no room for is lost, as its block is then.
    fn ask(&self, question: Question) {
        let release = question.release.clone();
        if self.questions.try_send(question).is_err() {
            tracing::warn!(release, "a datasource is not asked: too many questions wait");
        }
    }

    fn is_news(&self, split: &Split) -> bool {
        self.splits.borrow().get(&split.route) != Some(split)
    }

    fn share_out(&self, split: &Split) {
        if self.is_news(split) {
            let mut splits = Splits::clone(&self.splits.borrow());
            splits.insert(split.route.clone(), split.clone());
            self.splits.send_replace(Arc::new(splits));
        }
    }

    /// Hands over what nobody has to wait for; its notices are sent from there. A recorder that
    /// takes nothing, or is gone, keeps no notice from its receiver.
    async fn note(&self, batch: Batch) {
        let (answer, _nobody_waits) = oneshot::channel();
        let sending = self.records.send_timeout((batch, answer), RECORD_TIMEOUT).await;
        let Err(error) = sending else { return };
        let (SendTimeoutError::Timeout((batch, _)) | SendTimeoutError::Closed((batch, _))) = error;
        let (notices, rows) = (batch.notices.len(), batch.rows.len());
        tracing::error!(
            notices,
            rows,
            "state not on record: the journal is too far behind; notices are sent all the same"
        );
        batch.notices.into_iter().for_each(|delivery| (self.send)(delivery));
    }

    async fn record(&self, batch: Batch) -> bool {
        let decisions = batch.decisions.clone();
        for decision in &decisions {
            self.telemetry.rollback(&decision.rollback, decision.verdict.as_str());
        }
        let (answer, answered) = oneshot::channel();
        let written = async {
            self.records.send((batch, answer)).await.is_ok() && answered.await.unwrap_or(false)
        };
        let is_written = tokio::time::timeout(RECORD_TIMEOUT, written).await.unwrap_or(false);
        for decision in decisions.iter().filter(|_| !is_written) {
            tracing::error!(
                rollback = decision.rollback,
                decision = decision.id,
                "decision not on record: the journal failed or took over 500 ms; carried out all \
                 the same"
            );
        }
        is_written
    }

    /// Hands what was stored to the archive, which may be behind: sampling doesn't wait for a disk.
    pub(super) fn keep(&self, written: Vec<Written>) {
        let samples = written.len();
        if samples > 0 && self.written.try_send(written).is_err() {
            self.telemetry.archive_lost(samples);
        }
    }

    /// Logs what happened and passes it on. Nobody listening is no fault.
    pub(super) fn tell(&self, happening: Happening) {
        log(&happening);
        match &happening {
            Happening::TemplatesFailed { hook, errors } => {
                self.telemetry.templates_failed(hook, errors.len());
            }
            Happening::Released { release, state, is_move: true, .. } => {
                self.telemetry.release_moved(release, state);
            }
            _ => {}
        }
        let _has_listeners = self.happenings.send(happening).is_ok();
    }

    /// Exports where the objectives stand.
    pub(super) fn show_slos(&self, slos: &[SloStatus]) {
        let readings = slos.iter().flat_map(|status| {
            status.budgets.iter().map(|budget| SloReading {
                slo: status.slo.name.clone(),
                objective: status.slo.objective.ratio(),
                target: budget.target.as_ref().map_or_else(String::new, ToString::to_string),
                remaining: budget.remaining,
                burns: budget
                    .burns
                    .iter()
                    .map(|(over, burn)| (window_name(*over), *burn))
                    .collect(),
            })
        });
        self.telemetry.slos(&readings.collect::<Vec<_>>());
    }

    /// Exports where the releases stand.
    fn show_releases(&self, releases: &[ReleaseStatus]) {
        let shown: Vec<ReleaseReading> = releases.iter().map(reading).collect();
        self.telemetry.releases(&shown);
    }

    /// Exports whose provider is in planned maintenance.
    pub(super) fn show_maintenance(
        &self,
        targets: &[Arc<Target>],
        planned: &BTreeMap<TargetId, Planned>,
    ) {
        for target in targets {
            self.telemetry.probe_maintenance(target, planned.contains_key(&target.id));
        }
    }

    /// Publishes a new state.
    pub(super) fn publish(&self, snapshot: Snapshot) {
        self.telemetry.groups_muted(snapshot.muted.len());
        self.show_releases(&snapshot.releases);
        let attentions = snapshot.attentions();
        self.attentions.send_if_modified(|known| {
            let is_news = **known != attentions;
            if is_news {
                *known = Arc::new(attentions);
            }
            is_news
        });
        self.snapshot.send_replace(Arc::new(snapshot));
    }
}

fn reading(status: &ReleaseStatus) -> ReleaseReading {
    let run = status.state.run();
    let plan = status.state.plan().unwrap_or(&status.settings.plan);
    let gates = run.map(|run| run.standings()).unwrap_or_default();
    let part = |ln: f64, threshold: f64| if threshold > 0.0 { ln / threshold } else { 0.0 };
    let gate = |gate: Standing| GateReading {
        verdict: gate.verdict.as_str(),
        bad: gate.bad,
        finished: gate.finished,
        against: part(gate.ln_bad, gate.ln_bad_threshold),
        in_favour: gate.ln_good.map(|ln| part(ln, gate.ln_good_threshold)),
        gate: gate.gate,
    };
    ReleaseReading {
        release: plan.name.clone(),
        generation: plan.generation,
        state: status.state.as_str(),
        share: status.state.share(),
        stage: run.map_or(0, Run::stage_number),
        entered_at: run.map(Run::entered_at),
        told: status.state.told().map(|(notice, _)| notice.as_str()).collect(),
        is_drilled: status.undrilled.is_none(),
        probe_budget: status.settings.probing.budget_daily,
        gates: gates.into_iter().map(gate).collect(),
    }
}

/// One line for each decision; none for each probe.
fn log(happening: &Happening) {
    match happening {
        Happening::Finished(outcome) => tracing::debug!(
            target.id = %outcome.target,
            error_type = outcome.error_type.as_str(),
            slo = outcome.class.as_str(),
            detail = outcome.detail,
            "probe finished"
        ),
        Happening::Transition(transition) => tracing::info!(
            alert = %transition.alert.labels,
            from = transition.from.as_str(),
            to = transition.to.as_str(),
            value = transition.alert.value,
            "alert changed"
        ),
        Happening::Decided { decision, breach } => log_decision(decision, *breach),
        Happening::Released { release, state, why, .. } => {
            tracing::info!(release, state, why, "release");
        }
        Happening::Health(health) if health.is_green && !health.is_vantage_suspect => {
            tracing::info!("bellwether is well again; evidence counts");
        }
        Happening::Health(health) => tracing::warn!(
            lateness_ms = health.lateness.as_millis(),
            is_vantage_suspect = health.is_vantage_suspect,
            "bellwether itself is not well; evidence is inconclusive and nothing is rolled back"
        ),
        Happening::RuleFailed { group, rule, error } => tracing::warn!(
            rule.group = group,
            rule.name = rule,
            error,
            "rule failed to evaluate; its alerts stay as they were"
        ),
        Happening::Noticed { receiver, reason, .. } => {
            tracing::info!(receiver, reason, "notice queued");
        }
        Happening::TemplatesFailed { hook, errors } => tracing::error!(
            hook,
            error = errors.join("; "),
            "templates of a notice failed; it goes out with the error in place of the text, or with the \
             usual body"
        ),
        Happening::Muted(muted) => tracing::info!(
            receiver = muted.receiver,
            group = muted.group,
            firing = muted.firing,
            intervals = muted.intervals.join(", "),
            "nobody is told of a group: its route is muted at this time"
        ),
        Happening::Unheard(alert) => {
            tracing::info!(alert = %alert.labels, "alert resolved before anybody was told");
        }
        Happening::Refused { alerts } => tracing::error!(
            alerts,
            "too many alerts at once: these are told to nobody; group or drop some by their rules"
        ),
        // Notifier and executor log each ending where it happens.
        Happening::Delivered { .. } | Happening::PlanEnded(_) => {}
    }
}

fn log_decision(decision: &Decision, breach: Timestamp) {
    let verdict = decision.verdict.as_str();
    let took_ms = decision.at.since(breach).as_millis();
    let (rollback, id, alert) = (&decision.rollback, &decision.id, &decision.alert.labels);
    let report = decision.report.to_string();
    match decision.verdict {
        Verdict::Fired | Verdict::DryRun => {
            tracing::warn!(rollback, id, verdict, %alert, took_ms, report, "rollback decided");
        }
        _ => tracing::warn!(rollback, id, verdict, %alert, report, "rollback held"),
    }
}
