//! One move of a release.

use super::action::{Action, Basis, Hold, Notice, Report};
use super::advance::Judgement;
use super::evidence::{Command, Evidence, Outcome};
use super::plan::Sealed;
use super::state::{PausedBy, Run, State, Trigger};
use crate::model::Timestamp;
use crate::release::Health;
use crate::release::gate::{Ruling, Standing};

/// The traffic up to which stages are tested together.
const POOLED_SHARE_MAX: u8 = 50;

type Step = (State, Vec<Action>, Report);

/// What speaks for going back.
enum Trouble {
    /// It is carried out.
    Back(Trigger),
    /// It is held, and people are told.
    Held(Hold, Notice),
}

impl State {
    /// One move: what came since the last one, and the time.
    pub fn step(mut self, evidence: &Evidence, now: Timestamp) -> Step {
        if let Some(run) = self.armed(now) {
            run.take_in(evidence, now);
        }
        if let Some(Command::Start(plan)) = &evidence.command {
            return self.start(plan, now);
        }
        match self {
            Self::RollingBack { run, since, trigger, attempt } => {
                rolling_back(run, (since, trigger, attempt), evidence, now)
            }
            Self::RollbackUnverified { run, since, trigger, attempt } => {
                unverified(run, (since, trigger, attempt), evidence, now)
            }
            Self::Idle | Self::RolledBack { .. } => self.nothing(evidence),
            Self::Completed { ref run, since }
                if now.since(since) >= run.plan.bake && !is_rollback(evidence) =>
            {
                self.nothing(evidence)
            }
            Self::Running(_) | Self::Paused { .. } | Self::Completed { .. } => {
                self.guarded(evidence, now)
            }
        }
    }

    /// The run that trouble is looked for in.
    fn armed(&mut self, now: Timestamp) -> Option<&mut Run> {
        match self {
            Self::Running(run) | Self::Paused { run, .. } => Some(run),
            Self::Completed { run, since } => (now.since(*since) < run.plan.bake).then_some(run),
            Self::Idle
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::RollbackUnverified { .. } => None,
        }
    }

    fn start(self, plan: &Sealed, now: Timestamp) -> Step {
        let is_over = match &self {
            Self::Idle | Self::RolledBack { .. } => true,
            Self::Completed { run, since } => now.since(*since) >= run.plan.bake,
            Self::Running(_)
            | Self::Paused { .. }
            | Self::RollingBack { .. }
            | Self::RollbackUnverified { .. } => false,
        };
        let last = self.plan().map_or(0, |plan| plan.generation);
        let why = if !is_over {
            format!("generation {last} is {}; only one release runs at a time", self.as_str())
        } else if plan.generation <= last {
            let generation = plan.generation;
            format!("generation {generation} is not above {last}, which was carried out")
        } else {
            let run = Run::first(plan.clone(), now);
            let action = run.set_share();
            let why = format!("started with {} % of the traffic", run.stage().share);
            let stage = Some(run.stage_number());
            let state = Self::Running(run);
            let report = Report { stage, ..report(&state, None, why) };
            return (state, vec![action], report);
        };
        let report = report(&self, Some(Hold::Refused), why);
        (self, Vec::new(), report)
    }

    fn nothing(self, evidence: &Evidence) -> Step {
        let (hold, why) = match evidence.command {
            Some(_) => (Hold::Refused, format!("the release is {}", self.as_str())),
            None => (Hold::Nothing, "there is nothing to do".to_owned()),
        };
        let report = report(&self, Some(hold), why);
        (self, Vec::new(), report)
    }

    /// A step while the candidate has traffic: trouble first, then the operator, then the stage.
    fn guarded(mut self, evidence: &Evidence, now: Timestamp) -> Step {
        let run = match &mut self {
            Self::Running(run) | Self::Paused { run, .. } | Self::Completed { run, .. } => run,
            Self::Idle
            | Self::RollingBack { .. }
            | Self::RolledBack { .. }
            | Self::RollbackUnverified { .. } => return self.nothing(evidence),
        };
        let standings = run.gates.standings();
        let (stage, trouble) = (Some(run.stage_number()), run.trouble(evidence));
        let (state, actions, mut report) = match trouble {
            Some(Trouble::Back(trigger)) => go_back(run.clone(), trigger, 1, now),
            Some(Trouble::Held(hold, notice)) => {
                let why = format!("held: {}", notice.as_str());
                let told = run.tell(notice, &why);
                let report = report(&self, Some(hold), why);
                (self, told, report)
            }
            None => self.obey_or_judge(evidence, &standings, now),
        };
        report.stage = stage;
        report.gates = standings;
        (state, actions, report)
    }

    fn obey_or_judge(self, evidence: &Evidence, standings: &[Standing], now: Timestamp) -> Step {
        match (self, &evidence.command) {
            (Self::Running(run) | Self::Paused { run, .. }, Some(Command::Advance)) => {
                passed(run, Basis::Operator, now)
            }
            (Self::Running(run), Some(Command::Pause)) => {
                pause(run, PausedBy::Operator, Vec::new(), now)
            }
            (Self::Paused { mut run, since, by }, Some(Command::Resume)) => {
                // What was waited before the pause still counts, unless it was all there is.
                run.since = match by {
                    PausedBy::Operator => run.since + now.since(since),
                    PausedBy::Deadline => now,
                };
                run.told.clear();
                let state = Self::Running(run);
                let report = report(&state, None, "resumed".to_owned());
                (state, Vec::new(), report)
            }
            (Self::Running(run), _) => judged(run, evidence, standings, now),
            (state, Some(_)) => state.nothing(evidence),
            (mut state, None) => {
                let told = match state.armed(now) {
                    Some(run) if run.is_silent(now) && evidence.maintenance.is_none() => {
                        run.tell(Notice::NoData, "nothing was heard of the candidate")
                    }
                    Some(_) | None => Vec::new(),
                };
                let why = format!("nothing is wrong while {}", state.as_str());
                let report = report(&state, Some(Hold::Paused), why);
                (state, told, report)
            }
        }
    }
}

fn is_rollback(evidence: &Evidence) -> bool {
    evidence.command == Some(Command::RollBack)
}

fn report(state: &State, hold: Option<Hold>, why: String) -> Report {
    Report { state: state.as_str(), stage: None, passed_on: None, hold, why, gates: Vec::new() }
}

impl Run {
    /// Counts what came, but for what falls into maintenance.
    fn take_in(&mut self, evidence: &Evidence, now: Timestamp) {
        let passed = now.since(self.stepped_at);
        if evidence.maintenance.is_some() {
            self.since = self.since + passed;
            self.outcome_at = self.outcome_at + passed;
        } else if self.freeze(now).is_some() {
            self.frozen = self.frozen.saturating_add(passed);
        }
        self.stepped_at = self.stepped_at.max(now);
        let is_pooled = self.stage().share <= POOLED_SHARE_MAX;
        for block in &evidence.blocks {
            let is_counted = evidence.maintenance.is_none() && evidence.doubt.is_none();
            if !is_counted {
                self.gates.pass_over(block);
                self.whole.pass_over(block);
                continue;
            }
            self.gates.observe(block);
            if is_pooled {
                self.whole.observe(block)
            } else {
                self.whole.pass_over(block)
            }
            if block.finished() > 0 {
                self.outcome_at = self.outcome_at.max(block.end);
            }
        }
    }

    /// Whether to go back. An operator's word comes first, then the alert, then the gates.
    fn trouble(&self, evidence: &Evidence) -> Option<Trouble> {
        if is_rollback(evidence) {
            return Some(Trouble::Back(Trigger::Operator));
        }
        let by_gate = |ruling: Ruling, trigger: fn(String) -> Trigger| match ruling {
            Ruling::Fail { gate } => Some((trigger(gate), false)),
            Ruling::CommonCause { gate } => Some((trigger(gate), true)),
            Ruling::Pass | Ruling::Inconclusive { .. } => None,
        };
        let asked = [
            evidence.alert.clone().map(|alert| (Trigger::Alert(alert), false)),
            by_gate(self.gates.ruling(), Trigger::Gate),
            by_gate(self.whole.ruling(), Trigger::WholeRelease),
        ];
        let mut asked = asked.into_iter().flatten().peekable();
        asked.peek()?;
        if evidence.doubt.is_some() {
            return Some(Trouble::Held(Hold::Doubtful, Notice::Doubtful));
        }
        let alone = asked.find(|(_, is_common)| !is_common);
        let Some((trigger, _)) = alone.filter(|_| evidence.stable != Health::Bad) else {
            return Some(Trouble::Held(Hold::CommonCause, Notice::CommonCause));
        };
        if evidence.rollbacks_in_last_day >= self.plan.rollbacks_daily_max {
            return Some(Trouble::Held(Hold::Capped, Notice::Capped));
        }
        Some(Trouble::Back(trigger))
    }

    /// Tells people, unless they were told in this stage.
    fn tell(&mut self, notice: Notice, why: &str) -> Vec<Action> {
        if !self.told.insert(notice) {
            return Vec::new();
        }
        let key = self.key(&format!("stage-{}:{}", self.stage_number(), notice.as_str()));
        vec![Action::Tell { key, notice, why: why.to_owned() }]
    }

    fn set_share(&self) -> Action {
        Action::SetShare {
            key: self.key(&format!("stage-{}", self.stage_number())),
            candidate: self.plan.candidate.clone(),
            stable: self.plan.stable.clone(),
            share: self.stage().share,
        }
    }
}

fn judged(mut run: Run, evidence: &Evidence, standings: &[Standing], now: Timestamp) -> Step {
    match run.judge(standings, evidence, now) {
        Judgement::Passed(basis) => passed(run, basis, now),
        Judgement::Overdue => {
            let told = run.tell(Notice::Deadline, "the stage did not pass by its deadline");
            pause(run, PausedBy::Deadline, told, now)
        }
        Judgement::Held(hold) => {
            let told = match hold {
                Hold::NoData => run.tell(Notice::NoData, "nothing was heard of the candidate"),
                _ => Vec::new(),
            };
            let state = State::Running(run);
            let why = match &hold {
                Hold::Gate(gate) => format!("gate `{gate}` does not pass"),
                Hold::Frozen(name) => format!("frozen by `{name}`"),
                Hold::Maintenance(name) => format!("maintenance `{name}`"),
                other => format!("held: {other:?}").to_lowercase(),
            };
            let report = report(&state, Some(hold), why);
            (state, told, report)
        }
    }
}

fn passed(mut run: Run, basis: Basis, now: Timestamp) -> Step {
    let number = run.stage_number();
    let (state, action) = match run.next(now) {
        Some(next) => {
            let action = next.set_share();
            (State::Running(next), vec![action])
        }
        None => {
            let told = run.tell(Notice::Completed, "every stage has passed");
            (State::Completed { run: run.baking(now), since: now }, told)
        }
    };
    let why = format!("stage {number} passed on {}", basis.as_str());
    let report = Report { passed_on: Some(basis), ..report(&state, None, why) };
    (state, action, report)
}

fn pause(run: Run, by: PausedBy, told: Vec<Action>, now: Timestamp) -> Step {
    let why = match by {
        PausedBy::Operator => "paused by an operator",
        PausedBy::Deadline => "the stage did not pass by its deadline",
    };
    let state = State::Paused { run, since: now, by };
    let report = report(&state, Some(Hold::Paused), why.to_owned());
    (state, told, report)
}

fn go_back(mut run: Run, trigger: Trigger, attempt: u32, now: Timestamp) -> Step {
    let why = match &trigger {
        Trigger::Operator => "rolled back by an operator".to_owned(),
        Trigger::Alert(alert) => format!("rolled back by the alert `{alert}`"),
        Trigger::Gate(gate) => format!("rolled back by the gate `{gate}`"),
        Trigger::WholeRelease(gate) => {
            format!("rolled back by the gate `{gate}` over the whole release")
        }
    };
    let mut actions = vec![roll_back(&run, &trigger, attempt)];
    actions.extend(run.tell(Notice::RollingBack, &why));
    let state = State::RollingBack { run, since: now, trigger, attempt };
    let report = report(&state, None, why);
    (state, actions, report)
}

fn roll_back(run: &Run, trigger: &Trigger, attempt: u32) -> Action {
    Action::RollBack {
        key: run.key(&format!("rollback-{attempt}")),
        candidate: run.plan.candidate.clone(),
        stable: run.plan.stable.clone(),
        trigger: trigger.clone(),
    }
}

/// Asked for at every step until its outcome is known; whoever carries it out knows the key.
fn rolling_back(
    mut run: Run,
    (since, trigger, attempt): (Timestamp, Trigger, u32),
    evidence: &Evidence,
    now: Timestamp,
) -> Step {
    match evidence.rollback {
        Some(Outcome::Verified) => verified(run, trigger, now),
        None if now.since(since) < run.plan.rollback_deadline => {
            let action = roll_back(&run, &trigger, attempt);
            let state = State::RollingBack { run, since, trigger, attempt };
            let report = report(&state, None, "going back is under way".to_owned());
            (state, vec![action], report)
        }
        Some(Outcome::Unverified) | None => {
            let why = "nobody knows whether stable answers";
            let told = run.tell(Notice::Unverified, why);
            let state = State::RollbackUnverified { run, since: now, trigger, attempt };
            let report = report(&state, None, why.to_owned());
            (state, told, report)
        }
    }
}

/// An operator may try again; a late proof is taken.
fn unverified(
    mut run: Run,
    (since, trigger, attempt): (Timestamp, Trigger, u32),
    evidence: &Evidence,
    now: Timestamp,
) -> Step {
    if evidence.rollback == Some(Outcome::Verified) {
        return verified(run, trigger, now);
    }
    if is_rollback(evidence) {
        run.told.clear();
        return go_back(run, trigger, attempt.saturating_add(1), now);
    }
    State::RollbackUnverified { run, since, trigger, attempt }.nothing(evidence)
}

fn verified(run: Run, trigger: Trigger, now: Timestamp) -> Step {
    let state = State::RolledBack { plan: run.plan, since: now, trigger };
    let report = report(&state, None, "stable answers and has all of the traffic".to_owned());
    (state, Vec::new(), report)
}
