//! Releases move: a block is over, an operator speaks, an alert fires, or something came of what
//! they asked for.
//!
//! Each step is on record with all that it rested on before a share is raised; a share that falls
//! waits for nothing. A rollback that a gate or an operator begins is a decision like that of an
//! alert, and carried out by the same rollback.

use std::sync::Arc;
use std::time::Duration;

use super::super::event::{Order, What};
use super::super::outward::{generator_url, with_external};
use super::super::releases::{Entry, ReleaseStatus, Telling};
use super::super::{Action, Happening};
use super::{Engine, RESEND_DELAY};
use crate::model::{Labels, TargetId, Timestamp};
use crate::notice;
use crate::release::gate::Answer;
use crate::release::machine::{
    self, Command, Evidence, Hold, Moved, Notice, Outcome, Report, State, Trigger,
};
use crate::release::{
    Drilled, Health, Question, RunEnd, RunMode, Shift, Split, Tick, Traffic, Verdict, played_again,
};
use crate::routing::Served;

/// How long an unanswered request for a share is waited for before it is made again.
const ASKED: Duration = Duration::from_secs(90);

impl Engine {
    /// Goes on with the releases of an earlier run, given the record of the last generation of each.
    /// Returns the releases whose record cannot be read; these stand still.
    pub fn restore_releases(&mut self, records: &[Vec<Tick>]) -> Vec<String> {
        let mut unreadable = Vec::new();
        for ticks in records {
            let Some(name) = ticks.first().map(|tick| tick.release.as_str()) else { continue };
            let Some(position) = self.releases.position(name) else { continue };
            let entry = &mut self.releases.entries[position];
            match played_again(ticks) {
                Ok((state, report, _)) => {
                    (entry.state, entry.report) = (state, report);
                    entry.number = ticks.last().map_or(0, |tick| tick.number);
                    ticks.iter().for_each(|tick| entry.past.note(tick));
                }
                Err(number) => unreadable.push(format!("{name}, step {number}")),
            }
        }
        unreadable
    }

    /// Notes the last rehearsal of a rollback, as it is on record.
    pub fn remember_drill(&mut self, rollback: &str, drilled: Drilled) {
        if let Some(position) = self.releases.position(rollback) {
            self.releases.entries[position].drilled = Some(drilled);
        }
    }

    /// How the router shares out each route.
    pub fn splits(&self) -> Vec<Split> {
        self.releases.splits()
    }

    /// Where the releases stand.
    pub fn releases(&self, now: Timestamp) -> Vec<ReleaseStatus> {
        self.releases.entries.iter().map(|entry| entry.status(now)).collect()
    }

    /// What came of an operator's order: the report, or why it was refused.
    pub fn answer_to(&self, release: &str) -> Result<Report, String> {
        let entry = self.releases.position(release).map(|at| &self.releases.entries[at]);
        let report = entry.and_then(|entry| entry.report.clone());
        let report = report.ok_or_else(|| format!("no release has the name `{release}`"))?;
        if report.hold == Some(Hold::Refused) { Err(report.why) } else { Ok(report) }
    }

    /// An operator speaks.
    pub(super) fn ordered(&mut self, order: Order, now: Timestamp) -> Vec<Action> {
        let Order { release, what, by } = order;
        let Some(position) = self.releases.position(&release) else { return Vec::new() };
        let plan = self.releases.entries[position].settings.plan.clone();
        let command = match what {
            What::Start { force } => Command::Start { plan, by, force },
            What::Advance { force } => Command::Advance { by, force },
            What::Approve => Command::Approve { by },
            What::Pause => Command::Pause { by },
            What::Resume => Command::Resume { by },
            What::RollBack => Command::RollBack { by },
        };
        self.move_release(position, Evidence { command: Some(command), ..Evidence::none() }, now)
    }

    /// An alert began to take a candidate's traffic away.
    pub(super) fn went_back(&mut self, rollback: &str, alert: &str, now: Timestamp) -> Vec<Action> {
        let Some(position) = self.releases.position(rollback) else { return Vec::new() };
        if !self.releases.entries[position].state.is_armed(now) {
            return Vec::new();
        }
        let alert = Some(alert.to_owned());
        self.move_release(position, Evidence { alert, ..Evidence::none() }, now)
    }

    /// What a release asked for, or a rollback by hand, has ended.
    pub(super) fn plan_ended(
        &mut self,
        ended: &super::super::event::Ended,
        now: Timestamp,
    ) -> Vec<Action> {
        let Some(position) = self.releases.position(&ended.rollback) else { return Vec::new() };
        let entry = &mut self.releases.entries[position];
        match ended.mode {
            RunMode::Drill => {
                entry.drilled = Some(Drilled {
                    at: now,
                    took: ended.took,
                    is_good: ended.end == RunEnd::DrillPassed,
                    mark: ended.mark.clone(),
                });
                Vec::new()
            }
            RunMode::Shift => {
                let Some(stage) = stage_of(entry, &ended.id) else { return Vec::new() };
                entry.asked = None;
                let failure = (!ended.end.is_good()).then(|| ended.why.clone());
                let moved = Some(Moved { stage, failure });
                self.move_release(position, Evidence { moved, ..Evidence::none() }, now)
            }
            RunMode::Real => {
                let mut actions = Vec::new();
                // One that nobody here began: by hand, with the service down or beside it.
                if entry.state.is_armed(now) {
                    let command = Some(Command::RollBack { by: "a rollback by hand".to_owned() });
                    let evidence = Evidence { command, ..Evidence::none() };
                    actions = self.step_release(position, evidence, Beginning::Begun, now);
                }
                let outcome = match ended.end.is_good() {
                    true => Outcome::Verified,
                    false => Outcome::Unverified,
                };
                let evidence = Evidence { rollback: Some(outcome), ..Evidence::none() };
                actions.extend(self.move_release(position, evidence, now));
                actions
            }
        }
    }

    /// Takes in what came of clients' requests. A target that serves is well, whoever asked it.
    pub(super) fn served(&mut self, served: &[Served]) -> Vec<Action> {
        let is_conclusive = self.health.is_green && !self.health.is_vantage_suspect;
        for one in served {
            self.recent.observe(one.finished, &one.target, one.class, is_conclusive);
            self.releases.entries.iter_mut().for_each(|entry| entry.serve(one, is_conclusive));
        }
        Vec::new()
    }

    /// A datasource has answered.
    pub(super) fn answered(
        &mut self,
        question: &Question,
        answers: &[Answer],
        now: Timestamp,
    ) -> Vec<Action> {
        let Some(position) = self.releases.position(&question.release) else { return Vec::new() };
        let entry = &mut self.releases.entries[position];
        let Some(block) = entry.answered(question.block, answers) else { return Vec::new() };
        self.move_release(position, Evidence { blocks: vec![block], ..Evidence::none() }, now)
    }

    /// Moves every release whose time has come, and says what is to be told.
    pub(super) fn turn_releases(&mut self, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        for position in 0..self.releases.entries.len() {
            if self.releases.entries[position].due().is_some_and(|due| due <= now) {
                actions.extend(self.move_release(position, Evidence::none(), now));
            }
        }
        if self.releases_said_at + self.settings.evaluation_interval <= now {
            actions.extend(self.tell_of_releases(now));
        }
        actions
    }

    fn move_release(&mut self, position: usize, evidence: Evidence, now: Timestamp) -> Vec<Action> {
        let mut actions = self.step_release(position, evidence, Beginning::Due, now);
        // Nobody has to be asked for a share that the router or people take care of.
        let entry = &self.releases.entries[position];
        let run = match &entry.state {
            State::Running(run) | State::Paused { run, .. } if !run.is_moved() => run,
            _ => {
                actions.extend(self.tell_of_releases(now));
                return actions;
            }
        };
        if entry.settings.traffic == Traffic::Unattended {
            let moved = Some(Moved { stage: run.stage_number(), failure: None });
            let evidence = Evidence { moved, ..Evidence::none() };
            actions.extend(self.step_release(position, evidence, Beginning::Due, now));
        }
        actions.extend(self.tell_of_releases(now));
        actions
    }

    fn step_release(
        &mut self,
        position: usize,
        evidence: Evidence,
        beginning: Beginning,
        now: Timestamp,
    ) -> Vec<Action> {
        let evidence = self.evidence(position, evidence, now);
        let entry = &mut self.releases.entries[position];
        let before = attempt(&entry.state);
        let stood = stands(&entry.state);
        let is_start = matches!(evidence.command, Some(Command::Start { .. }));
        let generation = entry.state.plan().map(|plan| plan.generation);
        let state = std::mem::replace(&mut entry.state, State::Idle);
        let (state, asked, report) = state.step(&evidence, now);
        entry.state = state;
        if is_start && entry.state.plan().map(|plan| plan.generation) != generation {
            entry.begin();
        }
        let is_on_record = entry.state.run().is_some();
        let mut actions = Vec::new();
        if is_on_record {
            let text = serde_json::to_string(&evidence).unwrap_or_default();
            let tick = entry.tick(text, &report, now);
            if tick.is_news {
                actions.push(Action::Tell(Happening::Released {
                    release: entry.name().to_owned(),
                    state: report.state,
                    is_move: stands(&entry.state) != stood,
                    share: entry.state.share(),
                    why: report.why.clone(),
                }));
            }
            actions.push(Action::Note(Arc::new(tick)));
        }
        entry.report = Some(report);
        let began = attempt(&entry.state).filter(|attempt| Some(*attempt) != before);
        for action in asked {
            match action {
                machine::Action::SetShare { key, stage, entered_at, candidate, stable, share } => {
                    let shift = Shift {
                        release: self.releases.entries[position].name().to_owned(),
                        generation: self.releases.entries[position]
                            .state
                            .plan()
                            .map_or(0, |plan| plan.generation),
                        stage,
                        entered_at,
                        share,
                        candidate,
                        stable,
                    };
                    actions.extend(self.ask_for(position, key, shift, now));
                }
                machine::Action::RollBack { trigger, .. } => {
                    if let (Some(attempt), Beginning::Due) = (began, beginning) {
                        actions.extend(self.go_back(position, &trigger, attempt, now));
                    }
                }
                machine::Action::Tell { .. } => {}
            }
        }
        let entry = &mut self.releases.entries[position];
        actions.extend(entry.take_question().map(Action::Ask));
        actions.extend(entry.split().map(Action::Split));
        actions
    }

    /// Completes what came with what is known anyway, and with the block that is over.
    fn evidence(&mut self, position: usize, evidence: Evidence, now: Timestamp) -> Evidence {
        let planned = self.planned(now);
        let doubt = self.doubt();
        let entry = &mut self.releases.entries[position];
        let plan = entry.state.plan().unwrap_or(&entry.settings.plan).clone();
        let is_armed = entry.state.is_armed(now);
        let mut blocks = if is_armed { entry.close_blocks(&self.store, now) } else { Vec::new() };
        blocks.extend(evidence.blocks);
        let targets = self.recent.by_outcomes(now, &plan.stable);
        let in_maintenance = |target: &&TargetId| planned.contains_key(*target);
        let maintenance = plan.candidate.iter().chain(&plan.stable).find(in_maintenance);
        let freeze = entry.settings.freezes.iter().find(|freeze| freeze.holds(now));
        Evidence {
            blocks,
            stable: match self.rollbacks.is_forced(&plan.name) {
                true => Health::Unknown,
                false => Health::of_side(&targets),
            },
            doubt,
            maintenance: maintenance.map(ToString::to_string),
            freeze: freeze.map(|freeze| freeze.name.clone()),
            undrilled: entry.settings.undrilled(entry.drilled.as_ref(), now),
            rollbacks_in_last_day: self.rollbacks.in_last_day(now, &plan.name),
            ..evidence
        }
    }

    /// Asks whoever carries the traffic for a share, unless that is under way.
    fn ask_for(
        &mut self,
        position: usize,
        key: String,
        shift: Shift,
        now: Timestamp,
    ) -> Option<Action> {
        let entry = &mut self.releases.entries[position];
        if entry.settings.traffic == Traffic::Unattended {
            return None;
        }
        let is_under_way = |(asked, at): &(String, Timestamp)| *asked == key && now < *at + ASKED;
        if entry.asked.as_ref().is_some_and(is_under_way) {
            return None;
        }
        entry.asked = Some((key, now));
        Some(Action::Shift(shift))
    }

    /// Begins what takes the traffic back. An alert's own decision has begun it already.
    fn go_back(
        &mut self,
        position: usize,
        trigger: &Trigger,
        attempt: u32,
        now: Timestamp,
    ) -> Vec<Action> {
        let entry = &mut self.releases.entries[position];
        entry.asked = None;
        let name = entry.name().to_owned();
        let why = entry.report.as_ref().map_or_else(String::new, |report| report.why.clone());
        let generation = entry.state.plan().map_or(0, |plan| plan.generation);
        let subject = match trigger {
            Trigger::Alert(_) => return Vec::new(),
            Trigger::Operator(by) => ("operator", by),
            Trigger::Gate(gate) | Trigger::WholeRelease(gate) => ("gate", gate),
        };
        let labels = Labels::from_pairs([
            ("alertname", "BellwetherRelease"),
            ("event", Notice::RollingBack.as_str()),
            ("release", &name),
            (subject.0, subject.1),
        ]);
        let alert = notice::Alert {
            labels,
            annotations: Labels::from_pairs([("description", why.as_str())]),
            is_firing: true,
            starts_at: now,
            ends_at: None,
            value: 1.0,
            generator_url: self.link(&format!("bellwether_release_state{{release=\"{name}\"}}")),
            incident: format!("release/{name}/{generation}/rollback-{attempt}"),
        };
        let Some(decision) = self.rollbacks.begin(now, &name, &alert, &why, &self.recent) else {
            return Vec::new();
        };
        self.decide(decision, now)
    }

    /// Says what is told of releases to Alertmanagers and receivers.
    fn tell_of_releases(&mut self, now: Timestamp) -> Vec<Action> {
        self.releases_said_at = now;
        let interval = self.settings.evaluation_interval;
        let valid_for = 4 * interval.max(RESEND_DELAY);
        let settings = &self.settings;
        let telling = Telling {
            outward: &|own| with_external(own, &settings.external_labels),
            link: &|expr| generator_url(&settings.external_url, expr),
            valid_for,
        };
        let entries = self.releases.entries.iter_mut();
        let alerts: Vec<notice::Alert> =
            entries.flat_map(|entry: &mut Entry| entry.alerts(&telling, now)).collect();
        if alerts.is_empty() {
            return Vec::new();
        }
        let mut actions = self.say(interval, &alerts, now);
        actions.extend(self.dispatch(&alerts, now));
        actions
    }

    fn link(&self, expr: &str) -> String {
        generator_url(&self.settings.external_url, expr)
    }
}

/// Whether what takes the traffic back is to be begun.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beginning {
    /// It is.
    Due,
    /// Somebody else did.
    Begun,
}

/// The state and the stage.
fn stands(state: &State) -> (&'static str, Option<usize>) {
    (state.as_str(), state.run().map(|run| run.stage_number()))
}

/// How often going back was begun, where that is under way.
fn attempt(state: &State) -> Option<u32> {
    match state {
        State::RollingBack { attempt, .. } => Some(*attempt),
        State::Idle
        | State::Running(_)
        | State::Paused { .. }
        | State::Completed { .. }
        | State::RolledBack { .. }
        | State::RollbackUnverified { .. } => None,
    }
}

/// The stage whose share an execution was to set, where that is of the generation under way.
fn stage_of(entry: &Entry, id: &str) -> Option<usize> {
    let plan = entry.state.plan()?;
    let stage = id.strip_prefix(&format!("{}:{}:stage-", plan.name, plan.generation))?;
    stage.parse().ok()
}

/// Whether a decision takes traffic back.
pub(super) fn takes_back(verdict: Verdict) -> bool {
    verdict == Verdict::Fired
}
