//! One event in, actions out.

mod aside;
mod outside;
mod releases;
mod reload;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Labels, Sample, StateRow, TargetId, Timestamp};
use crate::notice::{self, Dispatcher, Notice, Resend};
use crate::probe::{Health, Outcome};
use crate::provider::{ErrorType, SloClass};
use crate::release::{Decision, Doubt, Evidence, Recent, Record, Rollbacks};
use crate::rules::{self, AlertState, Context};
use crate::series::{Scrape, Store, Written};
use crate::slo;

use super::groups::{self, Scheduled};
use super::held::Held;
use super::outside::Outside;
use super::outward::outward;
use super::pulse::Pulse;
use super::releases::Releases;
use super::slos::{self, SloStatus};
use super::snapshot::{Evaluated, TargetStatus};
use super::{Action, Event, Happening, Settings, early, history, memory};

/// How often a firing alert is said again to Alertmanagers: Prometheus's default.
const RESEND_DELAY: Duration = Duration::from_secs(60);
/// How often the store lets go of what is too old.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(60);
/// As many decisions as the page shows.
const DECISIONS_MAX: usize = 50;

/// How the rollbacks are asked: early or at an interval.
type Consider = fn(&mut Rollbacks, Timestamp, &notice::Alert, &Evidence<'_>) -> Vec<Decision>;

/// How, since when and on whose word an alert is offered to the rollbacks.
#[derive(Clone, Copy)]
struct Asking<'a> {
    consider: Consider,
    breach: Timestamp,
    said_by: Option<&'a str>,
}

/// All state that decides anything.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    context: Context,
    store: Store,
    /// Whose series the last scrape held.
    scrape: Scrape,
    /// Whose series were sampled between two scrapes; emptied by each scrape.
    sampled: Scrape,
    /// The same from before a reload, after which other series may be sampled between two scrapes.
    sampled_before: Vec<Scrape>,
    groups: Vec<Scheduled>,
    rollbacks: Rollbacks,
    recent: Recent,
    outside: Outside,
    dispatcher: Dispatcher,
    resend: Resend,
    pulse: Pulse,
    health: Health,
    targets: BTreeMap<TargetId, TargetStatus>,
    decisions: VecDeque<Arc<Decision>>,
    held: Held,
    slos: Vec<SloStatus>,
    releases: Releases,
    /// When it was last said what is told of releases.
    releases_said_at: Timestamp,
    /// The finish of the first result since the last look at the rollback rules.
    unseen: Option<Timestamp>,
    expiry_due: Timestamp,
    refused: u64,
    reloads: u64,
    /// What changed and must outlive the process.
    rows: Vec<StateRow>,
    /// Whether alerts came back that nobody was told of by this process.
    is_restored: bool,
}

impl Engine {
    /// An engine that has seen nothing but what the journal remembers.
    pub fn new(settings: Settings, records: &[Record], now: Timestamp) -> Self {
        let (groups, _) = groups::schedule(
            &settings.rules,
            &groups::defaults(&settings),
            &settings.rollbacks,
            Vec::new(),
            now,
        );
        let mut rollbacks = Rollbacks::new(settings.rollbacks.clone());
        rollbacks.restore(now, records);
        let mut store = Store::new(settings.store.clone());
        store.watch(rules::watches(&settings.rules));
        make_room(&mut store, &settings);
        let targets = settings
            .targets
            .iter()
            .map(|target| (target.id.clone(), TargetStatus::new(Arc::clone(target))));
        Self {
            slos: read_slos(&settings, &store, now),
            context: context(&settings),
            store,
            scrape: Scrape::default(),
            sampled: Scrape::default(),
            sampled_before: Vec::new(),
            groups,
            rollbacks,
            recent: recent(&settings),
            outside: Outside::default(),
            dispatcher: dispatcher(&settings),
            resend: Resend::new(RESEND_DELAY, settings.external_labels.clone()),
            pulse: Pulse::default(),
            health: Health::green(now),
            targets: targets.collect(),
            decisions: VecDeque::new(),
            releases: Releases::new(&settings.releases),
            releases_said_at: now,
            held: Held::default(),
            unseen: None,
            expiry_due: now + EXPIRY_INTERVAL,
            refused: 0,
            reloads: 0,
            rows: Vec::new(),
            is_restored: false,
            settings,
        }
    }

    /// Goes on with the samples of an earlier run, before anything is handled. From now on,
    /// [`Engine::take_written`] tells what is stored.
    pub fn resume(&mut self, store: Store, now: Timestamp) {
        self.store = store;
        self.store.note_writes();
        self.store.watch(rules::watches(&self.settings.rules));
        make_room(&mut self.store, &self.settings);
        self.scrape = history::hand_out(&self.store, &mut self.groups, now);
        self.slos = read_slos(&self.settings, &self.store, now);
    }

    /// Goes on with the state of alerts and notices of an earlier run, after [`Engine::resume`].
    /// Returns how many alerts came back, and the keys of rows that can't be read.
    pub fn restore(&mut self, rows: &[StateRow], now: Timestamp) -> (usize, Vec<String>) {
        let restored = memory::restore(rows, &mut self.groups, now);
        let longest = self.groups.iter().map(|scheduled| scheduled.group.interval()).max();
        let valid_until = now + 4 * longest.unwrap_or_default().max(RESEND_DELAY);
        let mut unreadable = restored.unreadable;
        unreadable.extend(self.dispatcher.restore(now, valid_until, rows));
        self.rows.extend(restored.rows);
        self.is_restored = true;
        (restored.alerts, unreadable)
    }

    /// The rows that changed since the last call, to be written down together with what
    /// [`Engine::handle`] returned: they say that it was decided.
    pub fn take_rows(&mut self) -> Vec<StateRow> {
        std::mem::take(&mut self.rows)
    }

    /// The samples that were stored since the last call, whoever wrote them.
    pub fn take_written(&mut self) -> Vec<Written> {
        self.store.take_written()
    }

    /// Takes in what happened and says what is to be done, in order.
    pub fn handle(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        match event {
            Event::Finished(outcome) => self.finished(*outcome),
            Event::Served(served) => self.served(&served),
            Event::Health(health) => self.examined(health),
            Event::Scraped(samples) => self.scraped(&samples, now),
            Event::Recorded(samples) => self.recorded(&samples, now),
            Event::Sampled(samples) => self.sampled(&samples, now),
            Event::Live(samples) => self.look_early(&samples, now),
            Event::Evaluate(position) => {
                let actions = self.evaluate(position, now);
                self.and_beats(actions, now)
            }
            Event::Evaluated(done) => {
                let actions = self.evaluated_aside(*done, now);
                self.and_beats(actions, now)
            }
            Event::Inbound(post) => self.told(*post, now),
            Event::Ordered(order) => self.ordered(*order, now),
            Event::PlanEnded(ended) => self.plan_ended(&ended, now),
            Event::Answered(answered) => self.answered(&answered.0, &answered.1, now),
            Event::Tick => {
                let mut actions = self.turn_releases(now);
                actions.extend(self.tick(now));
                actions
            }
            Event::Reload(settings) => self.reload(*settings, now),
        }
    }

    /// The groups whose slot has come, by position.
    pub fn due(&self, now: Timestamp) -> Vec<usize> {
        let is_due =
            |(_, scheduled): &(usize, &Scheduled)| scheduled.due <= now && !scheduled.is_away;
        self.groups.iter().enumerate().filter(is_due).map(|(position, _)| position).collect()
    }

    /// When something is due next though nothing happens.
    pub fn next_due(&self) -> Option<Timestamp> {
        let here = self.groups.iter().filter(|scheduled| !scheduled.is_away);
        let slots = here.map(|scheduled| scheduled.due);
        slots.chain(self.dispatcher.next_deadline()).chain(self.releases.next_due()).min()
    }

    /// What a group's last evaluation came to.
    pub fn evaluated(&self, position: usize) -> Option<Evaluated> {
        self.groups.get(position).map(|scheduled| Evaluated {
            group: scheduled.key(),
            failures: scheduled.failures,
            missed: scheduled.missed,
        })
    }

    /// Notes how long a group's evaluation took, which only the caller can measure.
    pub fn took(&mut self, position: usize, took: Duration) {
        if let Some(scheduled) = self.groups.get_mut(position) {
            scheduled.took = took;
        }
    }

    /// The names of the metrics that rollback rules select; `None` is all of them.
    pub fn selected(&self) -> Option<std::collections::BTreeSet<String>> {
        groups::selected(&self.groups)
    }

    /// Where the objectives stand, in the order of the configuration.
    pub fn slos(&self) -> &[SloStatus] {
        &self.slos
    }

    /// The samples.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// How many samples were refused so far.
    pub fn refused(&self) -> u64 {
        self.refused + self.store.stats().refused.total()
    }

    /// Notices may be due. What fired before a restart is said at once to those who forget an alert
    /// that nobody asserts, and to the grouping of notices.
    fn tick(&mut self, now: Timestamp) -> Vec<Action> {
        let (mut actions, mut active) = (Vec::new(), Vec::new());
        if self.outside.take_turn(now, self.settings.evaluation_interval) {
            actions = self.ask_for_outside(now);
            active = self.held(now);
            actions.extend(self.say(self.settings.evaluation_interval, &active, now));
        }
        if std::mem::take(&mut self.is_restored) {
            for position in 0..self.groups.len() {
                let interval = self.groups[position].group.interval();
                let alerts = self.groups[position].group.alerts().into_iter();
                let told: Vec<notice::Alert> = alerts
                    .filter(|alert| alert.fired_at.is_some())
                    .map(|alert| self.outward(&alert, position, now))
                    .collect();
                actions.extend(self.say(interval, &told, now));
                active.extend(told);
            }
        }
        actions.extend(self.dispatch(&active, now));
        actions
    }

    fn finished(&mut self, outcome: Outcome) -> Vec<Action> {
        let outcome = Arc::new(outcome);
        self.unseen.get_or_insert(outcome.finished);
        let (at, class) = (outcome.finished, outcome.class);
        self.recent.observe(at, &outcome.target, class, outcome.is_conclusive);
        if let Some(is_exhausted) = says_of_limit(&outcome) {
            self.recent.note_limit(at, &outcome.target, is_exhausted);
        }
        if let Some(status) = self.targets.get_mut(&outcome.target) {
            status.push(Arc::clone(&outcome));
        }
        self.releases.entries.iter_mut().for_each(|entry| entry.observe(&outcome));
        vec![Action::Tell(Happening::Finished(outcome))]
    }

    fn examined(&mut self, health: Health) -> Vec<Action> {
        let is_news = (health.is_green, health.is_vantage_suspect)
            != (self.health.is_green, self.health.is_vantage_suspect);
        self.health = health;
        if is_news { vec![Action::Tell(Happening::Health(health))] } else { Vec::new() }
    }

    fn scraped(&mut self, samples: &[(Labels, f64)], now: Timestamp) -> Vec<Action> {
        self.store.scrape(&mut self.scrape, now, samples);
        // A series that came and went between two scrapes was in none of them. What this one holds
        // has a sample of this very moment and does not end.
        self.store.end(&mut self.sampled, now);
        for mut before in self.sampled_before.drain(..) {
            self.store.end(&mut before, now);
        }
        self.expire(now);
        Vec::new()
    }

    fn recorded(&mut self, samples: &[(Labels, f64)], now: Timestamp) -> Vec<Action> {
        for (labels, value) in samples {
            // A refusal is counted.
            let _counted = self.store.append(labels, Sample { at: now, value: *value });
        }
        self.expire(now);
        Vec::new()
    }

    fn expire(&mut self, now: Timestamp) {
        if self.expiry_due <= now {
            self.store.expire(now);
            self.expiry_due = now + EXPIRY_INTERVAL;
        }
    }

    fn sampled(&mut self, samples: &[(Labels, f64)], now: Timestamp) -> Vec<Action> {
        self.store.scrape(&mut self.sampled, now, samples);
        Vec::new()
    }

    fn look_early(&mut self, live: &[(Labels, f64)], now: Timestamp) -> Vec<Action> {
        let found = early::look(&self.groups, &self.store, live, &self.context, now);
        let unseen = self.unseen.take().unwrap_or(now);
        // What fires early for a stable target speaks against it as if it fired already.
        let foreseen: Vec<notice::Alert> =
            found.iter().map(|(position, alert)| self.outward(alert, *position, now)).collect();
        let mut actions = Vec::new();
        for ((position, alert), notified) in found.into_iter().zip(&foreseen) {
            let breach = unseen.min(alert.active_at);
            let asking = Asking { consider: Rollbacks::consider_early, breach, said_by: None };
            let decided = self.offer(asking, notified, &foreseen, now);
            // From here on the interval evaluation continues this very incident.
            if decided.iter().any(is_carried_out) {
                self.groups[position].group.confirm(&[alert]);
                self.groups[position].acted_at = Some(now);
                self.remember(position, now);
            }
            actions.extend(decided);
        }
        if actions.iter().any(is_carried_out) {
            self.store.scrape(&mut self.sampled, now, live);
        }
        actions
    }

    fn evaluate(&mut self, position: usize, now: Timestamp) -> Vec<Action> {
        let Some(scheduled) = self.groups.get_mut(position) else { return Vec::new() };
        let slot = scheduled.take_slot(now);
        let evaluation = scheduled.group.evaluate(slot, &mut self.store, &self.context);
        self.judge(position, slot, evaluation, now)
    }

    /// Acts on what an evaluation found.
    pub(super) fn judge(
        &mut self,
        position: usize,
        slot: Timestamp,
        evaluation: rules::Evaluation,
        now: Timestamp,
    ) -> Vec<Action> {
        let Some(scheduled) = self.groups.get_mut(position) else { return Vec::new() };
        scheduled.failures = evaluation.failures.len() as u64;
        let (is_critical, interval) = (scheduled.is_critical, scheduled.group.interval());
        let group = scheduled.key();
        let alerts = scheduled.group.alerts();
        self.rows.extend(memory::changes(scheduled, &alerts, slot));
        self.look_at_slos(position, now);

        let mut actions: Vec<Action> = Vec::new();
        for failure in evaluation.failures {
            actions.push(Action::Tell(Happening::RuleFailed {
                group: group.clone(),
                rule: failure.rule,
                error: failure.error.to_string(),
            }));
        }
        for transition in evaluation.transitions {
            if transition.to == AlertState::Inactive {
                self.rollbacks.resolved(&transition.alert.incident);
            }
            actions.push(Action::Tell(Happening::Transition(transition)));
        }
        let mut active = Vec::new();
        for alert in alerts.iter().filter(|alert| alert.fired_at.is_some()) {
            let notified = self.outward(alert, position, now);
            if is_critical && notified.is_firing {
                let breach = self.unseen.unwrap_or(now).min(alert.active_at);
                let asking = Asking { consider: Rollbacks::consider, breach, said_by: None };
                actions.extend(self.offer(asking, &notified, &[], now));
            }
            active.push(notified);
        }
        active.extend(self.held(now));
        actions.extend(self.say(interval, &active, now));
        actions.extend(self.dispatch(&active, now));
        actions
    }

    /// Rollbacks that wait for planned maintenance.
    fn held(&mut self, now: Timestamp) -> Vec<notice::Alert> {
        let valid_for = 4 * self.settings.evaluation_interval.max(RESEND_DELAY);
        self.held.step(&self.rollbacks, valid_for, now)
    }

    /// Reads anew where the objectives of an evaluated group stand.
    fn look_at_slos(&mut self, position: usize, now: Timestamp) {
        let name = self.groups[position].group.name();
        let of_group = |status: &&mut SloStatus| {
            slo::group_names(&status.slo).iter().any(|other| other == name)
        };
        if let Some(status) = self.slos.iter_mut().find(of_group) {
            *status = slos::read(&status.slo, &self.store, now);
        }
    }

    /// Offers a firing alert to the rollbacks, with what fires beside it.
    fn offer(
        &mut self,
        asking: Asking<'_>,
        alert: &notice::Alert,
        foreseen: &[notice::Alert],
        now: Timestamp,
    ) -> Vec<Action> {
        let Asking { consider, breach, said_by } = asking;
        if !self.rollbacks.is_asked(alert) {
            return Vec::new();
        }
        let doubt = self.doubt();
        let mut firing = self.firing(now);
        firing.extend_from_slice(foreseen);
        let planned = self.planned(now);
        let evidence =
            Evidence { recent: &self.recent, firing: &firing, planned: &planned, doubt, said_by };
        let mut actions = Vec::new();
        for decision in consider(&mut self.rollbacks, now, alert, &evidence) {
            let (rollback, verdict) = (decision.rollback.clone(), decision.verdict);
            self.held.note(&decision, &self.settings);
            actions.extend(self.decide(decision, breach));
            if releases::takes_back(verdict) {
                actions.extend(self.went_back(&rollback, alert.name(), now));
            }
        }
        actions
    }

    /// Has a decision put on record and carried out.
    fn decide(&mut self, decision: Decision, breach: Timestamp) -> Vec<Action> {
        let delivery = decision.delivery.clone();
        let decision = Arc::new(decision);
        self.decisions.truncate(DECISIONS_MAX - 1);
        self.decisions.push_front(Arc::clone(&decision));
        let mut actions = vec![Action::Record(Arc::clone(&decision))];
        actions.extend(delivery.map(Action::Deliver));
        actions.push(Action::Tell(Happening::Decided { decision, breach }));
        actions
    }

    /// Why what is seen cannot be trusted, if so.
    fn doubt(&self) -> Option<Doubt> {
        match (self.health.is_green, self.health.is_vantage_suspect) {
            (false, _) => Some(Doubt::CanaryRed),
            (true, true) => Some(Doubt::VantageSuspect),
            (true, false) => None,
        }
    }

    /// Every alert that fires.
    fn firing(&self, now: Timestamp) -> Vec<notice::Alert> {
        let groups = self.groups.iter().enumerate();
        groups
            .flat_map(|(position, scheduled)| {
                let alerts = scheduled.group.alerts().into_iter();
                let firing = alerts.filter(|alert| alert.state == AlertState::Firing);
                firing.map(move |alert| self.outward(&alert, position, now))
            })
            .collect()
    }

    /// Says a group's alerts to the Alertmanagers, as far as it is due.
    fn say(&mut self, interval: Duration, alerts: &[notice::Alert], now: Timestamp) -> Vec<Action> {
        if self.settings.alertmanagers.is_empty() {
            return Vec::new();
        }
        let posts = self.resend.step(now, interval, alerts);
        let count = self.settings.alertmanagers.len();
        posts.iter().flat_map(|post| post.deliveries(now, count)).map(Action::Deliver).collect()
    }

    fn dispatch(&mut self, alerts: &[notice::Alert], now: Timestamp) -> Vec<Action> {
        let dispatch = self.dispatcher.step(now, alerts);
        let mut actions = Vec::new();
        for notice in dispatch.notices {
            let Notice { delivery, receiver, reason, firing, resolved, template_errors, .. } =
                notice;
            let reason = reason.as_str();
            if !template_errors.is_empty() {
                let (hook, errors) = (delivery.hook.to_string(), template_errors);
                actions.push(Action::Tell(Happening::TemplatesFailed { hook, errors }));
            }
            actions.push(Action::Enqueue(delivery));
            actions.push(Action::Tell(Happening::Noticed { receiver, reason, firing, resolved }));
        }
        self.rows.extend(dispatch.rows);
        let muted = dispatch.muted.into_iter();
        actions.extend(muted.map(|muted| Action::Tell(Happening::Muted(muted))));
        let unheard = dispatch.unheard.into_iter();
        actions.extend(unheard.map(|alert| Action::Tell(Happening::Unheard(alert))));
        if dispatch.refused > 0 {
            actions.push(Action::Tell(Happening::Refused { alerts: dispatch.refused }));
        }
        actions
    }

    fn remember(&mut self, position: usize, at: Timestamp) {
        let Some(scheduled) = self.groups.get_mut(position) else { return };
        let alerts = scheduled.group.alerts();
        self.rows.extend(memory::changes(scheduled, &alerts, at));
    }

    fn outward(&self, alert: &rules::Alert, group: usize, now: Timestamp) -> notice::Alert {
        // Long enough that whoever missed three notices still holds the alert.
        let valid_for = 4 * self.groups[group].group.interval().max(RESEND_DELAY);
        outward(alert, &self.settings, valid_for, now)
    }
}

/// Whether an answer says that the rate limit is used up; `None` where it says nothing of it.
fn says_of_limit(outcome: &Outcome) -> Option<bool> {
    match outcome.error_type {
        ErrorType::RateLimited | ErrorType::QuotaExhausted => Some(true),
        _ => match (outcome.rate_limits.requests_remaining, outcome.class) {
            (Some(left), _) => Some(left == 0),
            (None, SloClass::Good) => Some(false),
            (None, SloClass::Bad | SloClass::Excluded) => None,
        },
    }
}

/// Whether a rollback was started, or rehearsed.
fn is_carried_out(action: &Action) -> bool {
    match action {
        Action::Deliver(_) => true,
        Action::Record(_)
        | Action::Enqueue(_)
        | Action::Note(_)
        | Action::Ask(_)
        | Action::Split(_)
        | Action::Shift(_)
        | Action::Tell(_) => false,
    }
}

/// Makes room for the series that are foreseen.
fn make_room(store: &mut Store, settings: &Settings) {
    if let Some(room) = settings.series_room {
        store.make_room_for(room);
    }
}

fn read_slos(settings: &Settings, store: &Store, now: Timestamp) -> Vec<SloStatus> {
    settings.slos.iter().map(|slo| slos::read(slo, store, now)).collect()
}

fn recent(settings: &Settings) -> Recent {
    Recent::new(settings.targets.iter().map(|target| (target.id.clone(), target.interval)))
}

fn context(settings: &Settings) -> Context {
    Context {
        external_labels: settings.external_labels.clone(),
        external_url: settings.external_url.clone(),
        resend_delay: RESEND_DELAY,
    }
}

fn dispatcher(settings: &Settings) -> Dispatcher {
    Dispatcher::new(settings.route.clone(), &settings.receivers, &settings.external_url)
}
