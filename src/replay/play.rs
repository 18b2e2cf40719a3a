//! A replay as a whole: what is asked for, and its steps.

use std::path::PathBuf;
use std::time::Duration;

use super::ReplayError;
use super::difference::{Difference, compare};
use super::entry::Entry;
use super::plan::Plan;
use super::prometheus::{Prometheus, Server};
use super::recording::{Archived, Recording};
use super::run::Run;
use super::summary::Summary;
use crate::archive::Reading;
use crate::engine::Settings;
use crate::model::{Labels, Timestamp, format_duration};
use crate::rules::RuleFile;
use crate::series::Digest;

/// How far back a server is asked where nobody says.
const SPAN: Duration = Duration::from_secs(24 * 3600);

/// Where samples come from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A data directory of ours; a run may hold it.
    Archive(PathBuf),
    /// A server that speaks Prometheus's API.
    Server(Server),
}

/// What is to be played.
#[derive(Debug)]
pub struct Request {
    /// Rules, receivers, rollbacks.
    pub settings: Settings,
    /// Other rules in place of those, to compare with.
    pub against: Option<Settings>,
    /// Where samples come from.
    pub origin: Origin,
    /// Where it begins: with the first sample, or a day before its end at a server.
    pub from: Option<Timestamp>,
    /// Where it ends: with the last sample, or now at a server.
    pub to: Option<Timestamp>,
    /// For how long rules run before that, where their own needs are not to be reckoned.
    pub warm_up: Option<Duration>,
    /// The time.
    pub now: Timestamp,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    recording: Recording,
    runs: Vec<Run>,
    from: Timestamp,
    to: Timestamp,
    /// From when on samples are read.
    start: Timestamp,
    samples: u64,
    remarks: Vec<String>,
    is_over: bool,
}

/// A step of it.
#[derive(Debug)]
pub struct Progress {
    /// What would have happened.
    pub entries: Vec<Entry>,
    /// Up to when everything was read.
    pub at: Timestamp,
    /// How much of it is done, from 0 to 1.
    pub done: f64,
    /// How many samples were read.
    pub samples: u64,
}

/// The end of it.
#[derive(Debug)]
pub struct Outcome {
    /// What the rules came to.
    pub summary: Summary,
    /// Where the other rules differ, if there are any.
    pub differences: Option<Vec<Difference>>,
}

impl Replay {
    /// Looks at the source and says what must be read. Nothing is read yet.
    pub fn open(request: Request) -> Result<Self, ReplayError> {
        let Request { mut settings, mut against, origin, now, .. } = request;
        if let Some(against) = &mut against {
            align(&mut against.rules, &settings.rules);
        }
        let plan = Plan::of([&settings].into_iter().chain(&against));
        if plan.selections.is_empty() {
            return Err(ReplayError::NothingRead);
        }
        let warm_up = request.warm_up.unwrap_or(plan.warm_up);
        let (mut reading, mut past) = (None, Vec::new());
        let mut remarks = Vec::new();
        let (first, from, to) =
            match &origin {
                Origin::Archive(path) => {
                    let opened = Reading::open(path)?;
                    let (first, last) = opened.span()?.ok_or(ReplayError::Empty)?;
                    let (digests, flaws) = opened.digests()?;
                    past = digests;
                    remarks.extend(flaws.into_iter().map(|flaw| {
                        format!("`{}` is damaged: digests are missing", flaw.0.display())
                    }));
                    reading = Some(opened);
                    (first, request.from.unwrap_or(first), request.to.unwrap_or(last))
                }
                Origin::Server(_) => {
                    let to = request.to.unwrap_or(now);
                    (Timestamp::MIN, request.from.unwrap_or(to - SPAN), to)
                }
            };
        if from >= to {
            return Err(ReplayError::Backward { from, to });
        }
        let wanted = from - warm_up - plan.window;
        let start = wanted.max(first);
        let evaluated = (from - warm_up).max(first);
        if wanted < first {
            remarks.push(short_history(&plan, warm_up, first, known_from(&past, first), to));
        }
        for settings in std::iter::once(&mut settings).chain(&mut against) {
            // A store that forgets what a rule reads would answer for less.
            let retention = &mut settings.store.retention;
            *retention = (*retention).max(Duration::from_secs(3600));
        }
        let recording = match (origin, reading) {
            (Origin::Archive(_), Some(reading)) => {
                Recording::Archive(Archived::new(reading, &plan, start, to))
            }
            (Origin::Archive(_), None) => return Err(ReplayError::Empty),
            (Origin::Server(server), _) => {
                Recording::Prometheus(Box::new(Prometheus::new(server, &plan, start, to)?))
            }
        };
        let runs = std::iter::once(settings).chain(against);
        let runs = runs.map(|settings| Run::new(settings, &past, start, evaluated, from)).collect();
        Ok(Self { recording, runs, from, to, start, samples: 0, remarks, is_over: false })
    }

    /// The time that is played.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        (self.from, self.to)
    }

    /// Reads on and plays what was read; nothing when it is over.
    pub async fn next(&mut self) -> Result<Option<Progress>, ReplayError> {
        if self.is_over {
            return Ok(None);
        }
        let at = match self.recording.next().await? {
            Some(stretch) => {
                let counts = stretch.rounds.iter().map(|round| round.samples.len() as u64);
                self.samples += counts.sum::<u64>();
                for run in &mut self.runs {
                    run.take(&stretch);
                }
                stretch.until
            }
            None => {
                self.is_over = true;
                for run in &mut self.runs {
                    run.finish(self.to);
                }
                self.to
            }
        };
        let whole = self.to.since(self.start).as_secs_f64();
        let done = at.since(self.start).as_secs_f64() / whole.max(f64::MIN_POSITIVE);
        let entries = self.runs.iter_mut().map(|run| run.course.take_entries());
        // The timeline is the first set's.
        let entries = entries.collect::<Vec<_>>().into_iter().next().unwrap_or_default();
        Ok(Some(Progress { entries, at, done: done.min(1.0), samples: self.samples }))
    }

    /// What it came to.
    pub fn finish(mut self) -> Outcome {
        let mut remarks = std::mem::take(&mut self.remarks);
        remarks.extend(self.recording.remarks());
        let [run, others @ ..] = self.runs.as_slice() else {
            unreachable!("a replay has the rules that were asked for");
        };
        remarks.extend(doubts(run));
        let summary = Summary::of(run, self.from, self.to, remarks);
        let other = others.first();
        let differences = other.map(|other| compare(&run.course, &other.course, self.from));
        Outcome { summary, differences }
    }
}

/// From when on anything is known: of what lies before the first sample, digests tell.
fn known_from(past: &[(Labels, Vec<Digest>)], first: Timestamp) -> Timestamp {
    let begins = past.iter().filter_map(|(_, digests)| digests.first());
    begins.map(|digest| digest.first.at).min().map_or(first, |begin| begin.min(first))
}

/// What cannot be known where the rules look back further than samples reach.
fn short_history(
    plan: &Plan,
    warm_up: Duration,
    first: Timestamp,
    known_from: Timestamp,
    to: Timestamp,
) -> String {
    let window = format_duration(plan.window);
    let begin = format!("the samples begin at {first}, and the rules look back {window}");
    let until = (known_from + plan.window + warm_up).min(to);
    if known_from >= first {
        return format!(
            "{begin}: until {until} windows hold less than they would have, and alerts that were \
             active before are not known"
        );
    }
    format!(
        "{begin}: what windows of half an hour or more hold of the time before is put together from \
         digests, which reach back to {known_from}; alerts that were active before are not known"
    )
}

/// What a run would have known, and a recording does not.
fn doubts(run: &Run) -> Vec<String> {
    let mut doubts = Vec::new();
    if !run.settings.rollbacks.is_empty() {
        doubts.push(
            "rollbacks: a run also judges early, the moment a result comes, so it may have acted \
             up to one interval sooner; of rollbacks before the start, for cooldown and daily cap, \
             only those of the warm-up are known"
                .to_owned(),
        );
    }
    if run.lacks_evidence() {
        doubts.push(
            "rollbacks: no `bellwether_probe_runs_total` of a stable target rises in these \
             samples, so nothing is known of stable but the alerts that fire for it"
                .to_owned(),
        );
    }
    if run.refused() > 0 {
        doubts.push(format!(
            "{} samples were refused: out of order, or more series than `storage.series_max`",
            run.refused()
        ));
    }
    if run.rewritten() > 0 {
        doubts.push(format!(
            "{} recorded series were left out, as these rules write them themselves",
            run.rewritten()
        ));
    }
    if run.course.refused_alerts > 0 {
        let alerts = run.course.refused_alerts;
        doubts.push(format!("{alerts} alerts found no room among the notices"));
    }
    doubts
}

/// Gives groups the file of their namesakes, where there is one of the name on either side: a
/// group's slots follow from its file and its name, and the same rules elsewhere must not differ.
fn align(rules: &mut [RuleFile], model: &[RuleFile]) {
    let groups = |files: &[RuleFile]| -> Vec<(String, String)> {
        let all = files.iter().flat_map(|file| &file.groups);
        all.map(|group| (group.name.clone(), group.file.clone())).collect()
    };
    let (known, own) = (groups(model), groups(rules));
    for group in rules.iter_mut().flat_map(|file| &mut file.groups) {
        let namesakes: Vec<_> = known.iter().filter(|(name, _)| *name == group.name).collect();
        let is_single = own.iter().filter(|(name, _)| *name == group.name).count() == 1;
        if let ([(_, file)], true) = (namesakes.as_slice(), is_single) {
            group.file.clone_from(file);
        }
    }
}
