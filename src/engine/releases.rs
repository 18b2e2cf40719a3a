//! Releases: their states, what came of each block, and what is on record.
//!
//! A block covers one unit of time since the release began. It is closed by the first event at or
//! after its end; where several ends have passed, what came is in the last of them and the others
//! are missing, which the gates hold against nobody and rest nothing on.
//!
//! What people are told is an alert like those of rules: it fires while it holds, and ends with it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Labels, Timestamp};
use crate::notice;
use crate::probe::Outcome;
use crate::promql::{self, EvalError, Interrupt, Options, Value};
use crate::release::gate::{Answer, Arm, Block, Counting, Gate, Seen, Tally};
use crate::release::machine::{Notice, Report, Run, Sealed, State, Told, Urgency};
use crate::release::{Drilled, Question, Release, Split, Tick, mark};
use crate::routing::{self, Served};
use crate::series::Store;

use super::past::Past;

/// As long as something that happened, and does not last, is told.
const EVENT: Duration = Duration::from_secs(300);
/// A person who was rolled back should not have to be told for longer.
const ROLLED_BACK: Duration = Duration::from_secs(24 * 3600);
/// After its end, an alert is told as resolved for so long; Prometheus's own time.
const RESOLVED: Duration = Duration::from_secs(900);
/// As many samples as the expression of a gate may look at.
const WORK_MAX: u64 = 50_000_000;

/// All releases of the configuration.
#[derive(Debug, Default)]
pub(super) struct Releases {
    pub(super) entries: Vec<Entry>,
}

/// One release and where it stands.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) settings: Release,
    pub(super) state: State,
    pub(super) report: Option<Report>,
    /// The number of the last step on record of the generation.
    pub(super) number: u64,
    pub(super) drilled: Option<Drilled>,
    pub(super) past: Past,
    /// The share that was asked for last, until its outcome is known.
    pub(super) asked: Option<(String, Timestamp)>,
    tally: Tally,
    counting: Counting,
    /// A block that is over but for the answers of its datasource.
    open: Option<Open>,
    /// What the datasource is to be asked.
    question: Option<Question>,
    /// What is told, and when it ended.
    told: BTreeMap<Notice, (Told, Option<Timestamp>)>,
    /// What the last step on record said, to tell news.
    said: Option<(&'static str, Option<usize>, Option<&'static str>)>,
}

/// A block that waits for answers.
#[derive(Debug)]
struct Open {
    block: Block,
    asked: usize,
}

/// A release as the page and the API show it.
#[derive(Clone, Debug)]
pub struct ReleaseStatus {
    /// As it is configured.
    pub settings: Release,
    /// Where it stands.
    pub state: State,
    /// The last report.
    pub report: Option<Report>,
    /// The last rehearsal of its rollback.
    pub drilled: Option<Drilled>,
    /// Why its rollback cannot be relied on, if so.
    pub undrilled: Option<String>,
    /// What it came through in its generation.
    pub past: Past,
}

impl Entry {
    fn new(settings: Release) -> Self {
        Self {
            settings,
            state: State::Idle,
            report: None,
            number: 0,
            drilled: None,
            past: Past::default(),
            asked: None,
            tally: Tally::default(),
            counting: Counting::default(),
            open: None,
            question: None,
            told: BTreeMap::new(),
            said: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.settings.plan.name
    }

    /// The gates of what runs, or of what would.
    fn gates(&self) -> &[Gate] {
        &self.state.plan().unwrap_or(&self.settings.plan).gates
    }

    fn unit(&self) -> Duration {
        self.state.plan().unwrap_or(&self.settings.plan).unit_length
    }

    /// When a step is due though nothing happens.
    pub(super) fn due(&self) -> Option<Timestamp> {
        match &self.state {
            State::Running(run) | State::Paused { run, .. } => {
                Some(self.block_end(run, run.stepped_at()))
            }
            State::Completed { run, since } => {
                let end = self.block_end(run, run.stepped_at());
                (end < *since + run.plan().bake).then_some(end)
            }
            State::RollingBack { run, since, .. } => Some(*since + run.rollback_deadline()),
            State::Idle | State::RolledBack { .. } | State::RollbackUnverified { .. } => None,
        }
    }

    /// The end of the block that a time is in.
    fn block_end(&self, run: &Run, at: Timestamp) -> Timestamp {
        let passed = block_number(run, at, self.unit());
        run.began_at() + self.unit().saturating_mul(u32::try_from(passed + 1).unwrap_or(u32::MAX))
    }

    /// Counts a probe's outcome where it is one of an arm of the release under way.
    pub(super) fn observe(&mut self, outcome: &Outcome) {
        let Some(plan) = self.armed(outcome.finished) else { return };
        let arm = if plan.candidate.contains(&outcome.target) {
            Arm::Candidate
        } else if plan.stable.contains(&outcome.target) {
            Arm::Stable
        } else {
            return;
        };
        self.tally.observe(&plan.gates, arm, &Seen::from(outcome));
    }

    /// Counts what came of a client's request of the route that the release moves. One that came to
    /// stable because the candidate failed is evidence for nobody: it counted there already.
    pub(super) fn serve(&mut self, served: &Served, is_conclusive: bool) {
        let is_its = self.settings.route.as_deref() == Some(served.route.as_str());
        if !is_its || served.is_fail_over {
            return;
        }
        // Another router may tell what stood before: it is evidence of the stage before this one.
        let is_of_before = |run: &Run| served.finished < run.entered_at();
        if self.state.run().is_some_and(is_of_before) {
            return;
        }
        let Some(plan) = self.armed(served.finished) else { return };
        let arm = match served.arm {
            routing::Arm::Stable => Arm::Stable,
            routing::Arm::Candidate => Arm::Candidate,
        };
        let seen = Seen {
            error_type: served.error_type,
            class: served.class,
            ttft: served.ttft,
            total: served.total,
            per_token: per_token(served),
            cost: served.cost,
            is_cold: false,
            is_conclusive,
        };
        self.tally.observe(&plan.gates, arm, &seen);
    }

    /// The plan under way, while the candidate has traffic.
    fn armed(&self, now: Timestamp) -> Option<Sealed> {
        self.state.is_armed(now).then(|| self.state.plan().cloned()).flatten()
    }

    /// The blocks that ended by now and about which all is known that will be. A datasource is
    /// waited for until the next block ends, and what it has not said by then is lost.
    pub(super) fn close_blocks(&mut self, store: &Store, now: Timestamp) -> Vec<Block> {
        let Some(run) = self.state.run() else { return Vec::new() };
        if self.block_end(run, run.stepped_at()) > now {
            return Vec::new();
        }
        let number = block_number(run, now, self.unit()).saturating_sub(1);
        let start = self.unit().saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
        let end = self.block_end(run, run.began_at() + start);
        let gates = self.gates().to_vec();
        let asked: Vec<&str> = gates.iter().flat_map(Gate::questions).collect();
        let block = Block { number, end, readings: self.tally.take(&gates) };
        let mut closed = Vec::new();
        if let Some(late) = self.open.take() {
            closed.push(self.with(late.block, &vec![Answer::Lost; late.asked]));
        }
        if asked.is_empty() || self.settings.datasource.is_none() {
            let answers: Vec<Answer> =
                asked.iter().map(|expr| evaluated(expr, store, now)).collect();
            closed.push(self.with(block, &answers));
        } else {
            self.question = Some(Question {
                release: self.name().to_owned(),
                block: number,
                at: end,
                exprs: asked.iter().map(|expr| (*expr).to_owned()).collect(),
            });
            self.open = Some(Open { block, asked: asked.len() });
        }
        closed
    }

    /// Takes in what the datasource says of a block; `None` where nobody waits for it any more.
    pub(super) fn answered(&mut self, block: u64, answers: &[Answer]) -> Option<Block> {
        let open = self.open.take_if(|open| open.block.number == block)?;
        Some(self.with(open.block, answers))
    }

    /// What the datasource is to be asked.
    pub(super) fn take_question(&mut self) -> Option<Question> {
        self.question.take()
    }

    fn with(&mut self, mut block: Block, answers: &[Answer]) -> Block {
        let gates = self.gates().to_vec();
        block.readings.extend(self.counting.read(&gates, answers));
        block
    }

    /// Forgets what came before the release began.
    pub(super) fn begin(&mut self) {
        self.tally = Tally::default();
        (self.open, self.question) = (None, None);
        self.number = 0;
        self.said = None;
        self.past = Past::default();
    }

    /// The row of a step, and whether it is news.
    pub(super) fn tick(&mut self, evidence: String, report: &Report, now: Timestamp) -> Tick {
        self.number += 1;
        let said = (
            report.state,
            self.state.run().map(Run::stage_number),
            report.hold.as_ref().map(|hold| hold.as_str()),
        );
        let is_news = self.said.replace(said) != Some(said);
        let whole = report.to_json().to_string();
        let tick = Tick {
            release: self.name().to_owned(),
            generation: self.state.plan().map_or(0, |plan| plan.generation),
            number: self.number,
            at_ms: now.millis(),
            evidence,
            state: report.state.to_owned(),
            mark: mark(&whole),
            report: if is_news { whole } else { String::new() },
            is_news,
        };
        self.past.note(&tick);
        tick
    }

    /// How the router shares out its route.
    pub(super) fn split(&self) -> Option<Split> {
        let plan = self.state.plan().unwrap_or(&self.settings.plan);
        Some(Split {
            route: self.settings.route.clone()?,
            candidate: plan.candidate.clone(),
            stable: plan.stable.clone(),
            share: self.state.share(),
            salt: format!("{}:{}", plan.name, plan.generation),
        })
    }

    /// Brings up to date what is told.
    fn settle(&mut self, now: Timestamp) {
        let lasts = |notice: Notice, told: &Told| match notice.urgency() {
            Urgency::Info => now < told.since + EVENT,
            _ if notice == Notice::RolledBack => now < told.since + ROLLED_BACK,
            Urgency::Warning | Urgency::Critical => true,
        };
        let current: BTreeMap<Notice, Told> = self
            .state
            .told()
            .filter(|(notice, told)| lasts(*notice, told))
            .map(|(notice, told)| (notice, told.clone()))
            .collect();
        for (notice, (told, ended)) in &mut self.told {
            if current.get(notice).is_none_or(|now_told| now_told.since != told.since) {
                ended.get_or_insert(now);
            }
        }
        self.told.retain(|_, (_, ended)| ended.is_none_or(|ended| now < ended + RESOLVED));
        for (notice, told) in current {
            self.told.insert(notice, (told, None));
        }
    }

    /// What is told, as alerts.
    pub(super) fn alerts(&mut self, told: &Telling<'_>, now: Timestamp) -> Vec<notice::Alert> {
        self.settle(now);
        let each = self.told.iter();
        each.map(|(notice, (words, ended))| self.alert(*notice, words, *ended, told, now)).collect()
    }

    fn alert(
        &self,
        notice: Notice,
        words: &Told,
        ended: Option<Timestamp>,
        told: &Telling<'_>,
        now: Timestamp,
    ) -> notice::Alert {
        let name = self.name();
        let own = Labels::from_pairs([
            ("alertname", "BellwetherRelease"),
            ("event", notice.as_str()),
            ("release", name),
            ("severity", notice.urgency().as_str()),
        ]);
        let generation = self.state.plan().map_or(0, |plan| plan.generation);
        let summary = format!("Release {name}: {}", notice.in_words());
        let annotations =
            Labels::from_pairs([("description", words.why.as_str()), ("summary", &summary)]);
        let since = words.since.millis();
        notice::Alert {
            labels: (told.outward)(&own),
            annotations,
            is_firing: ended.is_none(),
            starts_at: words.since,
            ends_at: Some(ended.unwrap_or(now + told.valid_for)),
            value: f64::from(self.state.share()),
            generator_url: (told.link)(&format!("bellwether_release_state{{release=\"{name}\"}}")),
            incident: format!("release/{name}/{generation}/{}/{since}", notice.as_str()),
        }
    }

    pub(super) fn status(&self, now: Timestamp) -> ReleaseStatus {
        ReleaseStatus {
            settings: self.settings.clone(),
            state: self.state.clone(),
            report: self.report.clone(),
            drilled: self.drilled.clone(),
            undrilled: self.settings.undrilled(self.drilled.as_ref(), now),
            past: self.past.clone(),
        }
    }
}

/// How alerts leave.
pub(super) struct Telling<'a> {
    /// Adds external labels.
    pub(super) outward: &'a dyn Fn(&Labels) -> Labels,
    /// Where an expression can be looked at.
    pub(super) link: &'a dyn Fn(&str) -> String,
    /// How long one counts unless it is said again.
    pub(super) valid_for: Duration,
}

impl Releases {
    /// None of them was ever started.
    pub(super) fn new(settings: &[Release]) -> Self {
        Self { entries: settings.iter().cloned().map(Entry::new).collect() }
    }

    /// Takes over from before a reload where releases that keep their names stand.
    pub(super) fn adopt(&mut self, old: Self) {
        let mut known: BTreeMap<String, Entry> =
            old.entries.into_iter().map(|entry| (entry.name().to_owned(), entry)).collect();
        for entry in &mut self.entries {
            if let Some(known) = known.remove(entry.name()) {
                *entry = Entry { settings: entry.settings.clone(), ..known };
            }
        }
    }

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.entries.iter().position(|entry| entry.name() == name)
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.entries.iter().filter_map(Entry::due).min()
    }

    /// How the router shares out each route.
    pub(super) fn splits(&self) -> Vec<Split> {
        self.entries.iter().filter_map(Entry::split).collect()
    }
}

/// From one token to the next, on average, as probes measure it.
fn per_token(served: &Served) -> Option<Duration> {
    let after_first = served.usage?.output.checked_sub(1).filter(|tokens| *tokens > 0)?;
    let tokens = u32::try_from(after_first).unwrap_or(u32::MAX);
    Some(served.total.saturating_sub(served.ttft?) / tokens)
}

fn block_number(run: &Run, at: Timestamp, unit: Duration) -> u64 {
    let passed = at.since(run.began_at()).as_millis() / unit.as_millis().max(1);
    u64::try_from(passed).unwrap_or(u64::MAX)
}

/// The value of an expression over our own samples.
fn evaluated(expr: &str, store: &Store, now: Timestamp) -> Answer {
    let Ok(expr) = promql::parse(expr) else { return Answer::Lost };
    let asked = std::cell::Cell::new(0_u64);
    let question = || {
        asked.set(asked.get() + 1);
        let is_over = asked.get() > WORK_MAX / Interrupt::PERIOD as u64;
        if is_over { Err(EvalError::TooMuchWork(WORK_MAX)) } else { Ok(()) }
    };
    let options = Options { interrupt: Interrupt::new(&question), ..Options::default() };
    match promql::instant(&expr, store, now, &options).map(|answer| answer.value) {
        Ok(Value::Scalar(value)) => Answer::Value(value),
        Ok(Value::Vector(points)) => match &points[..] {
            [point] => Answer::Value(point.value),
            _ => Answer::Nothing,
        },
        Ok(Value::String(_) | Value::Matrix(_)) | Err(_) => Answer::Lost,
    }
}
