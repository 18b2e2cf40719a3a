//! One move of a release.

use std::time::Duration;

use super::action::{Action, Basis, Hold, Notice, Report};
use super::advance::Judgement;
use super::evidence::{Command, Evidence, Outcome};
use super::plan::Sealed;
use super::state::{PausedBy, Run, State, Told, Trigger};
use crate::model::Timestamp;
use crate::release::Health;
use crate::release::gate::{Ruling, Standing};

/// The traffic up to which stages are tested together.
const POOLED_SHARE_MAX: u8 = 50;
/// Whoever moves traffic may take this long before people are told.
const MOVING_MAX: Duration = Duration::from_secs(60);

type Step = (State, Vec<Action>, Report);

/// What speaks for going back.
enum Trouble {
    /// It is carried out.
    Back(Trigger),
    /// It is held, and people are told.
    Held(Hold),
}

impl State {
    /// One move: what came since the last one, and the time.
    pub fn step(mut self, evidence: &Evidence, now: Timestamp) -> Step {
        if self.is_armed(now)
            && let Some(run) = self.run_mut()
        {
            run.take_in(evidence, now);
        }
        if let Some(Command::Start { plan, by, force }) = &evidence.command {
            let undrilled = evidence.undrilled.as_deref().filter(|_| !force);
            return self.start(plan, by, undrilled, now);
        }
        match self {
            Self::RollingBack { run, since, trigger, attempt } => {
                rolling_back(run, (since, trigger, attempt), evidence, now)
            }
            Self::RollbackUnverified { run, since, trigger, attempt } => {
                unverified(run, (since, trigger, attempt), evidence, now)
            }
            Self::Idle | Self::RolledBack { .. } => self.nothing(evidence),
            Self::Completed { .. } if !self.is_armed(now) && rollback(evidence).is_none() => {
                self.nothing(evidence)
            }
            Self::Running(_) | Self::Paused { .. } | Self::Completed { .. } => {
                self.guarded(evidence, now)
            }
        }
    }

    fn run_mut(&mut self) -> Option<&mut Run> {
        match self {
            Self::Idle => None,
            Self::Running(run)
            | Self::Paused { run, .. }
            | Self::Completed { run, .. }
            | Self::RollingBack { run, .. }
            | Self::RolledBack { run, .. }
            | Self::RollbackUnverified { run, .. } => Some(run),
        }
    }

    fn start(self, plan: &Sealed, by: &str, undrilled: Option<&str>, now: Timestamp) -> Step {
        let is_over = match &self {
            Self::Idle | Self::RolledBack { .. } => true,
            Self::Completed { .. } => !self.is_armed(now),
            Self::Running(_)
            | Self::Paused { .. }
            | Self::RollingBack { .. }
            | Self::RollbackUnverified { .. } => false,
        };
        let last = self.plan().map_or(0, |plan| plan.generation);
        let share = plan.stages[0].share;
        let undrilled = undrilled.filter(|_| share > plan.drill_above);
        let why = if !is_over {
            format!("generation {last} is {}; only one release runs at a time", self.as_str())
        } else if plan.generation <= last {
            let generation = plan.generation;
            format!(
                "generation {generation} is not above {last}, which was carried out; raise \
                 `generation`"
            )
        } else if let Some(why) = undrilled {
            format!("its first stage has {share} % of the traffic, and {why}")
        } else {
            let mut run = Run::first(plan.clone(), by, now);
            let why = format!("started by {by} with {share} % of the traffic");
            let mut actions = run.tell(Notice::Stage, &why, now);
            actions.push(run.set_share());
            let stage = Some(run.stage_number());
            let state = Self::Running(run);
            let report = Report { stage, ..report(&state, None, why) };
            return (state, actions, report);
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
        let Some(run) = self.run_mut() else { return self.nothing(evidence) };
        let standings = run.gates.standings();
        let stage = Some(run.stage_number());
        let (state, actions, mut report) = match run.trouble(evidence) {
            Some(Trouble::Back(trigger)) => go_back(run.clone(), trigger, 1, now),
            Some(Trouble::Held(Hold::CommonCause)) if let Some(by) = resumes(evidence) => {
                let mut run = run.clone();
                run.count_anew(now);
                let state = Self::Running(run);
                let report = report(&state, None, format!("resumed by {by}, counting anew"));
                (state, Vec::new(), report)
            }
            Some(Trouble::Held(hold)) => {
                let why = run.words(&hold, &standings);
                let told = run.settle(Some(&hold), &why, now);
                let report = report(&self, Some(hold), why);
                (self, told, report)
            }
            None => self.obey_or_judge(evidence, &standings, now),
        };
        report.stage = stage;
        report.gates = standings;
        (state, actions, report)
    }

    fn obey_or_judge(
        mut self,
        evidence: &Evidence,
        standings: &[Standing],
        now: Timestamp,
    ) -> Step {
        if let (Some(Command::Approve { by }), Some(run)) = (&evidence.command, self.run_mut()) {
            if person(by) == person(&run.started_by) {
                let why = format!("`{by}` started it; somebody else has to approve");
                let report = report(&self, Some(Hold::Refused), why);
                return (self, Vec::new(), report);
            }
            run.approved_by = Some(by.clone());
        }
        match (self, &evidence.command) {
            (Self::Running(run), Some(Command::Advance { by, force })) => {
                advanced(Self::Running(run.clone()), run, (by, *force), evidence, now)
            }
            (Self::Paused { run, since, by: paused }, Some(Command::Advance { by, force })) => {
                let state = Self::Paused { run: run.clone(), since, by: paused };
                advanced(state, run, (by, *force), evidence, now)
            }
            (Self::Running(run), Some(Command::Pause { by })) => {
                pause(run, PausedBy::Operator, (format!("paused by {by}"), Vec::new()), now)
            }
            (Self::Paused { mut run, since, by }, Some(Command::Resume { by: who })) => {
                // What was waited before the pause still counts, unless it was all there is.
                run.since = match by {
                    PausedBy::Operator => run.since + now.since(since),
                    PausedBy::Deadline => now,
                };
                run.told.clear();
                let state = Self::Running(run);
                let report = report(&state, None, format!("resumed by {who}"));
                (state, Vec::new(), report)
            }
            (Self::Running(run), Some(Command::Approve { .. }) | None) => {
                judged(run, evidence, standings, now)
            }
            (state, Some(Command::Approve { by })) if state.is_armed(now) => {
                let report = report(&state, Some(Hold::Paused), format!("approved by {by}"));
                (state, Vec::new(), report)
            }
            (state, Some(_)) => state.nothing(evidence),
            (state, None) => state.watched(evidence, now),
        }
    }

    /// A step while nothing but trouble is looked for.
    fn watched(mut self, evidence: &Evidence, now: Timestamp) -> Step {
        let word = self.as_str();
        let mut actions = Vec::new();
        if let Some(run) = self.run_mut() {
            let is_silent = run.is_silent(now) && evidence.maintenance.is_none();
            let hold = is_silent.then_some(Hold::NoData);
            actions = run.settle(hold.as_ref(), "nothing was heard of the candidate", now);
            actions.extend(run.wants_share());
        }
        let why = format!("nothing is wrong while {word}");
        let report = report(&self, Some(Hold::Paused), why);
        (self, actions, report)
    }
}

/// Who it is, without what they say about it: the name goes up to the first parenthesis.
fn person(by: &str) -> &str {
    by.split_once(" (").map_or(by, |(name, _)| name)
}

/// Who asks for going back, if an operator does.
fn rollback(evidence: &Evidence) -> Option<&str> {
    match &evidence.command {
        Some(Command::RollBack { by }) => Some(by),
        _ => None,
    }
}

/// Who says that it is to go on, if an operator does.
fn resumes(evidence: &Evidence) -> Option<&str> {
    match &evidence.command {
        Some(Command::Resume { by }) => Some(by),
        _ => None,
    }
}

fn report(state: &State, hold: Option<Hold>, why: String) -> Report {
    Report { state: state.as_str(), stage: None, passed_on: None, hold, why, gates: Vec::new() }
}

impl Run {
    /// Counts what came, but for what falls into maintenance. Before the traffic of a stage is
    /// acknowledged nobody knows whose outcomes these are: they count for the whole release only.
    fn take_in(&mut self, evidence: &Evidence, now: Timestamp) {
        let passed = now.since(self.stepped_at);
        if evidence.maintenance.is_some() || self.moved_at.is_none() {
            self.since = self.since + passed;
            self.outcome_at = self.outcome_at + passed;
        } else if evidence.freeze.is_some() {
            self.frozen = self.frozen.saturating_add(passed);
        }
        self.stepped_at = self.stepped_at.max(now);
        let is_pooled = self.stage().share <= POOLED_SHARE_MAX;
        for block in &evidence.blocks {
            let is_counted = evidence.maintenance.is_none() && evidence.doubt.is_none();
            if is_counted && self.moved_at.is_some() {
                self.gates.observe(block);
            } else {
                self.gates.pass_over(block);
            }
            if is_counted && is_pooled {
                self.whole.observe(block);
            } else {
                self.whole.pass_over(block);
            }
            if is_counted && block.finished() > 0 {
                self.outcome_at = self.outcome_at.max(block.end);
            }
        }
        let moved = evidence.moved.as_ref().filter(|moved| moved.stage == self.stage_number());
        if moved.is_some_and(|moved| moved.failure.is_none()) && self.moved_at.is_none() {
            self.moved_at = Some(now);
            (self.since, self.outcome_at) = (now, now);
        }
    }

    /// Whether to go back. An operator's word comes first, then the alert, then the gates.
    fn trouble(&self, evidence: &Evidence) -> Option<Trouble> {
        if let Some(by) = rollback(evidence) {
            return Some(Trouble::Back(Trigger::Operator(by.to_owned())));
        }
        if let Some(alert) = &evidence.alert {
            return Some(Trouble::Back(Trigger::Alert(alert.clone())));
        }
        let by_gate = |ruling: Ruling, trigger: fn(String) -> Trigger| match ruling {
            Ruling::Fail { gate } => Some((trigger(gate), false)),
            Ruling::CommonCause { gate } => Some((trigger(gate), true)),
            Ruling::Pass | Ruling::Inconclusive { .. } => None,
        };
        let asked = [
            by_gate(self.gates.ruling(), Trigger::Gate),
            by_gate(self.whole.ruling(), Trigger::WholeRelease),
        ];
        let mut asked = asked.into_iter().flatten().peekable();
        asked.peek()?;
        if evidence.doubt.is_some() {
            return Some(Trouble::Held(Hold::Doubtful));
        }
        // Over the whole release stable's good hours hide that it is bad now; its stage tells.
        let standings = self.gates.standings();
        let is_shared = |trigger: &Trigger| match trigger {
            Trigger::WholeRelease(gate) => {
                standings.iter().any(|one| one.gate == *gate && one.is_common_cause)
            }
            Trigger::Operator(_) | Trigger::Alert(_) | Trigger::Gate(_) => false,
        };
        let alone = asked.find(|(trigger, is_common)| !is_common && !is_shared(trigger));
        let Some((trigger, _)) = alone.filter(|_| evidence.stable != Health::Bad) else {
            return Some(Trouble::Held(Hold::CommonCause));
        };
        if evidence.rollbacks_in_last_day >= self.plan.rollbacks_daily_max {
            return Some(Trouble::Held(Hold::Capped));
        }
        Some(Trouble::Back(trigger))
    }

    /// Forgets what was counted: what was common to both arms is over, says an operator.
    fn count_anew(&mut self, now: Timestamp) {
        self.gates = self.plan.gates_of(self.stage());
        self.whole = self.plan.gates_without_end();
        (self.since, self.outcome_at) = (now, now);
        self.told.clear();
    }

    /// Tells people, unless they know.
    fn tell(&mut self, notice: Notice, why: &str, now: Timestamp) -> Vec<Action> {
        if self.told.contains_key(&notice) {
            return Vec::new();
        }
        self.told.insert(notice, Told { why: why.to_owned(), since: now });
        let key = self.key(&format!("stage-{}:{}", self.stage_number(), notice.as_str()));
        vec![Action::Tell { key, notice, why: why.to_owned() }]
    }

    /// Tells people why it is held, if that wants a person, and takes back what holds it no more.
    fn settle(&mut self, hold: Option<&Hold>, why: &str, now: Timestamp) -> Vec<Action> {
        let notice = hold.and_then(Hold::notice);
        self.told.retain(|known, _| match known {
            Notice::CommonCause
            | Notice::Doubtful
            | Notice::Capped
            | Notice::NoData
            | Notice::NotMoved
            | Notice::Drill
            | Notice::Approval => Some(*known) == notice,
            Notice::Stage
            | Notice::Deadline
            | Notice::RollingBack
            | Notice::RolledBack
            | Notice::Unverified
            | Notice::Completed => true,
        });
        notice.map_or_else(Vec::new, |notice| self.tell(notice, why, now))
    }

    /// Why it is held, in words.
    fn words(&self, hold: &Hold, standings: &[Standing]) -> String {
        let standing = |gate: &str| standings.iter().find(|standing| standing.gate == gate);
        match hold {
            Hold::Gate(gate) => match standing(gate) {
                Some(standing) => format!("gate {standing}"),
                None => format!("gate `{gate}` does not pass"),
            },
            Hold::NotMoved => {
                let share = self.stage().share;
                format!("nobody has acknowledged that the candidate has {share} % of the traffic")
            }
            Hold::TooSoon => "the stage has not lasted long enough".to_owned(),
            Hold::Frozen(name) => format!("frozen by `{name}`"),
            Hold::Maintenance(name) => format!("maintenance of `{name}`"),
            Hold::NoData => "nothing was heard of the candidate".to_owned(),
            Hold::CommonCause => {
                "a rollback is due, but stable is bad too, or was at that moment: going back \
                                  would help nobody; `resume` counts anew"
                    .to_owned()
            }
            Hold::Doubtful => "a rollback is due, but what was seen cannot be trusted".to_owned(),
            Hold::Untrusted => "what is seen cannot be trusted at present".to_owned(),
            Hold::Capped => format!(
                "a rollback is due, but the day has had the {} that it may",
                self.plan.rollbacks_daily_max
            ),
            Hold::Drill(why) => format!("the next stage wants a drill first: {why}"),
            Hold::Approval => {
                format!("the next stage wants the word of somebody else than {}", self.started_by)
            }
            Hold::Paused => "it is paused".to_owned(),
            Hold::Nothing => "there is nothing to do".to_owned(),
            Hold::Refused => "that is not possible here".to_owned(),
        }
    }

    fn set_share(&self) -> Action {
        Action::SetShare {
            key: self.key(&format!("stage-{}", self.stage_number())),
            stage: self.stage_number(),
            entered_at: self.entered_at,
            candidate: self.plan.candidate.clone(),
            stable: self.plan.stable.clone(),
            share: self.stage().share,
        }
    }

    fn wants_share(&self) -> Option<Action> {
        self.moved_at.is_none().then(|| self.set_share())
    }
}

fn judged(mut run: Run, evidence: &Evidence, standings: &[Standing], now: Timestamp) -> Step {
    if run.moved_at.is_none() {
        let failure = evidence.moved.as_ref().and_then(|moved| moved.failure.clone());
        let is_late = now.since(run.entered_at) >= MOVING_MAX || failure.is_some();
        let mut why = run.words(&Hold::NotMoved, standings);
        if let Some(failure) = failure {
            why = format!("{why}: {failure}");
        }
        let mut actions =
            if is_late { run.settle(Some(&Hold::NotMoved), &why, now) } else { Vec::new() };
        actions.push(run.set_share());
        let state = State::Running(run);
        let report = report(&state, Some(Hold::NotMoved), why);
        return (state, actions, report);
    }
    match run.judge(standings, evidence, now) {
        Judgement::Passed(basis) => passed(run, basis, basis.as_str().to_owned(), now),
        Judgement::Overdue(hold) => {
            let why =
                format!("the stage did not pass by its deadline: {}", run.words(&hold, standings));
            let told = run.tell(Notice::Deadline, &why, now);
            pause(run, PausedBy::Deadline, (why, told), now)
        }
        Judgement::Held(hold) => {
            let why = run.words(&hold, standings);
            let told = run.settle(Some(&hold), &why, now);
            let state = State::Running(run);
            let report = report(&state, Some(hold), why);
            (state, told, report)
        }
    }
}

/// What an operator asks for holds without evidence, and not without what protects the rollback.
fn advanced(
    state: State,
    run: Run,
    (by, force): (&str, bool),
    evidence: &Evidence,
    now: Timestamp,
) -> Step {
    let barred = run.barred(evidence).filter(|hold| {
        let is_second = *hold == Hold::Approval && person(by) != person(&run.started_by);
        !force && !is_second
    });
    if let Some(hold) = barred {
        let why = format!("{}; `force` goes on all the same", run.words(&hold, &[]));
        let report = report(&state, Some(Hold::Refused), why);
        return (state, Vec::new(), report);
    }
    let forced = if force { ", by force" } else { "" };
    passed(run, Basis::Operator, format!("the word of {by}{forced}"), now)
}

fn passed(run: Run, basis: Basis, on: String, now: Timestamp) -> Step {
    let number = run.stage_number();
    let (state, actions, why) = match run.next(now) {
        Some(mut next) => {
            let share = next.stage().share;
            let why = format!("stage {number} passed on {on}; the candidate gets {share} %");
            let mut actions = next.tell(Notice::Stage, &why, now);
            actions.push(next.set_share());
            (State::Running(next), actions, why)
        }
        None => {
            let why = format!("stage {number} passed on {on}, and with it the release");
            let mut run = run.baking(now);
            let told = run.tell(Notice::Completed, &why, now);
            (State::Completed { run, since: now }, told, why)
        }
    };
    let report = Report { passed_on: Some(basis), ..report(&state, None, why) };
    (state, actions, report)
}

fn pause(run: Run, by: PausedBy, (why, told): (String, Vec<Action>), now: Timestamp) -> Step {
    let state = State::Paused { run, since: now, by };
    let report = report(&state, Some(Hold::Paused), why);
    (state, told, report)
}

fn go_back(mut run: Run, trigger: Trigger, attempt: u32, now: Timestamp) -> Step {
    let numbers = |gates: Vec<Standing>, gate: &str| {
        let standing = gates.into_iter().find(|standing| standing.gate == gate);
        standing.map_or_else(|| gate.to_owned(), |standing| standing.to_string())
    };
    let why = match &trigger {
        Trigger::Operator(by) => format!("rolled back by {by}"),
        Trigger::Alert(alert) => format!("rolled back by the alert `{alert}`"),
        Trigger::Gate(gate) => {
            format!("rolled back by the gate {}", numbers(run.standings(), gate))
        }
        Trigger::WholeRelease(gate) => format!(
            "rolled back over the whole release by the gate {}",
            numbers(run.whole_standings(), gate)
        ),
    };
    let share = run.stage().share;
    let why = format!("{why}; the candidate had {share} % of the traffic");
    run.told.clear();
    let mut actions = vec![roll_back(&run, &trigger, attempt)];
    actions.extend(run.tell(Notice::RollingBack, &why, now));
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
        Some(Outcome::Verified) => verified(run, trigger, since, now),
        None if now.since(since) < run.plan.rollback_deadline => {
            let action = roll_back(&run, &trigger, attempt);
            let state = State::RollingBack { run, since, trigger, attempt };
            let report = report(&state, None, "going back is under way".to_owned());
            (state, vec![action], report)
        }
        Some(Outcome::Unverified) | None => {
            let why = "nobody knows whether stable answers: a person must look now";
            let told = run.tell(Notice::Unverified, why, now);
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
        return verified(run, trigger, since, now);
    }
    if let Some(by) = rollback(evidence) {
        run.told.clear();
        return go_back(run, Trigger::Operator(by.to_owned()), attempt.saturating_add(1), now);
    }
    State::RollbackUnverified { run, since, trigger, attempt }.nothing(evidence)
}

fn verified(mut run: Run, trigger: Trigger, since: Timestamp, now: Timestamp) -> Step {
    let cause = run
        .told
        .get(&Notice::RollingBack)
        .map_or_else(String::new, |told| format!("; {}", told.why));
    let took = now.since(since).as_secs_f64();
    let why = format!("stable answers and has all of the traffic, after {took:.3} s{cause}");
    run.told.clear();
    let told = run.tell(Notice::RolledBack, &why, now);
    let state = State::RolledBack { run, since: now, trigger };
    let report = report(&state, None, why);
    (state, told, report)
}
