//! One set of rules over recorded samples: the engine, fed at the samples' own times.
//!
//! Slots between two samples come in between. At one time, samples come first, then groups, then
//! notices, as in a run. What the rules themselves had written is left out: they write it again.

use std::collections::HashMap;

use super::course::Course;
use super::evidence::Evidence;
use super::plan::{Read, rule_reads};
use super::recording::{Round, Stretch};
use crate::engine::{Engine, Event, Settings};
use crate::model::{Labels, Timestamp};
use crate::rules::{self, Defaults, Group};
use crate::series::{Digest, Restoring, Store};

/// A set of rules on its way through history.
#[derive(Debug)]
pub(super) struct Run {
    engine: Engine,
    /// Asked whether a series is one that the rules write.
    groups: Vec<Group>,
    /// Whether a series is fed to the engine. Never iterated but to count.
    is_fed: HashMap<Labels, bool>,
    evidence: Evidence,
    pub(super) course: Course,
    /// Selectors that have found nothing yet.
    pub(super) unmatched: Vec<Read>,
    pub(super) settings: Settings,
}

impl Run {
    /// Rules are evaluated from `start` on; what is told begins with `from`. Windows that reach back
    /// before the first sample, at `first`, are put together from digests, as in a run.
    pub(super) fn new(
        settings: Settings,
        past: &[(Labels, Vec<Digest>)],
        first: Timestamp,
        start: Timestamp,
        from: Timestamp,
    ) -> Self {
        let defaults = Defaults {
            interval: settings.evaluation_interval,
            query_offset: settings.rule_query_offset,
        };
        let specs = settings.rules.iter().flat_map(|file| &file.groups);
        let groups: Vec<Group> = specs.map(|spec| Group::new(spec.clone(), &defaults)).collect();
        let stable = settings.rollbacks.iter().flat_map(|rollback| &rollback.stable);
        let longest = groups.iter().map(Group::interval).max().unwrap_or_default();
        // A slot at this very time is one of them.
        let before = Timestamp::from_millis(start.millis().saturating_sub(1));
        let mut engine = Engine::new(settings.clone(), &[], before);
        engine.resume(history(&settings, past, first), before);
        Self {
            groups,
            is_fed: HashMap::new(),
            evidence: Evidence::new(stable.cloned(), start),
            course: Course::new(from, start + longest),
            unmatched: rule_reads(&settings),
            engine,
            settings,
        }
    }

    /// Takes in samples, and evaluates whatever is due before or between them.
    pub(super) fn take(&mut self, stretch: &Stretch) {
        for round in &stretch.rounds {
            self.advance(Timestamp::from_millis(round.at.millis().saturating_sub(1)));
            self.feed(round);
        }
        let store = self.engine.store();
        self.unmatched.retain(|read| {
            store.matching(&read.matchers, Timestamp::MIN, Timestamp::MAX).is_empty()
        });
    }

    /// Evaluates whatever is due up to a time.
    pub(super) fn advance(&mut self, until: Timestamp) {
        while let Some(due) = self.engine.next_due().filter(|due| *due <= until) {
            for position in self.engine.due(due) {
                self.handle(Event::Evaluate(position), due);
            }
            self.handle(Event::Tick, due);
        }
    }

    /// Ends at a time: everything up to it was evaluated.
    pub(super) fn finish(&mut self, until: Timestamp) {
        self.advance(until);
        self.course.open();
    }

    /// How many samples the store refused.
    pub(super) fn refused(&self) -> u64 {
        self.engine.refused()
    }

    /// How many series were left out, as the rules write them.
    pub(super) fn rewritten(&self) -> usize {
        self.is_fed.values().filter(|is_fed| !**is_fed).count()
    }

    /// Whether rollbacks had nothing to tell how their stable side did.
    pub(super) fn lacks_evidence(&self) -> bool {
        !self.settings.rollbacks.is_empty() && !self.evidence.has_results()
    }

    fn feed(&mut self, round: &Round) {
        let mut samples = Vec::with_capacity(round.samples.len());
        for (labels, value) in &round.samples {
            let is_fed = match self.is_fed.get(labels) {
                Some(is_fed) => *is_fed,
                None => {
                    let is_fed = self.groups.iter().all(|group| group.writers(labels) == 0);
                    self.is_fed.insert(labels.clone(), is_fed);
                    is_fed
                }
            };
            if is_fed {
                samples.push((labels.clone(), *value));
            }
        }
        self.handle(Event::Recorded(samples), round.at);
        for event in self.evidence.read(round.at, &round.samples) {
            self.handle(event, round.at);
        }
    }

    fn handle(&mut self, event: Event, at: Timestamp) {
        let actions = self.engine.handle(event, at);
        // What a run would keep for a restart.
        let _kept_by_nobody = (self.engine.take_rows(), self.engine.take_written());
        self.course.take(at, actions);
    }
}

/// A store that knows digests of what lies before the first sample, and watches what rules ask long
/// windows of.
fn history(settings: &Settings, past: &[(Labels, Vec<Digest>)], first: Timestamp) -> Store {
    let watches = rules::watches(&settings.rules);
    let mut restoring = Restoring::of_past(settings.store.clone(), watches, first);
    for (labels, digests) in past {
        restoring.add_past(labels, digests.iter().copied());
    }
    restoring.finish().store
}
