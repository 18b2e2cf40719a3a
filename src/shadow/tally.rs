//! Takes pairs in as they come, and keeps of each what a report needs.

use std::collections::BTreeMap;

use super::compare;
use super::gate::{self, Limits};
use super::outcome::{Answer, Half, Judgement, Row, Standing, likeness};
use super::prompt::Prompt;
use super::report::{ArmFacts, Both, Example, FieldDifference, Report, RunFacts};
use super::schedule::{Arm, Turn};
use crate::provider::{ErrorType, Fields};
use crate::statistics::Proportion;

/// More examples are not read.
const EXAMPLES_MAX: usize = 20;
/// Longer texts are cut.
const EXAMPLE_CHARS_MAX: usize = 2000;
/// Real answers have some forty fields; names that are ever new must not fill the memory.
const FIELDS_MAX: usize = 1000;
/// A provider that answers under ever new names makes no more lines than this.
const MODELS_MAX: usize = 20;

/// A pair that was asked, words and all.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Which pair, from 0.
    pub number: usize,
    /// What it was to be.
    pub turn: Turn,
    /// What was asked, the nonce in it.
    pub prompt: Prompt,
    /// Seconds since the first pair.
    pub at: f64,
    /// Stable's answer.
    pub stable: Answer,
    /// The candidate's answer.
    pub candidate: Answer,
    /// What a judge said.
    pub judged: Option<Judgement>,
}

/// Whether texts are kept for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// They are forgotten as soon as they were compared.
    Forgotten,
    /// Those of some pairs that differ are kept.
    Kept,
}

/// What is known so far.
#[derive(Clone, Debug)]
pub struct Tally {
    rows: Vec<Row>,
    fields: [BTreeMap<String, u64>; 2],
    models: [BTreeMap<String, u64>; 2],
    refused_by: [BTreeMap<&'static str, u64>; 2],
    examples: Vec<Example>,
    texts: Texts,
}

/// What a report needs beside the pairs.
#[derive(Clone, Debug)]
pub struct Frame {
    /// When it is written, RFC 3339.
    pub written: String,
    /// The chance of an error of an interval.
    pub alpha: Proportion,
    /// What the candidate is held to.
    pub limits: Limits,
    /// How many requests a month has.
    pub monthly_requests: Option<u64>,
    /// Who was asked.
    pub arms: Both<ArmFacts>,
    /// How it went; what is counted here is filled in.
    pub run: RunFacts,
    /// What prompts are called.
    pub ids: Vec<String>,
}

fn place(arm: Arm) -> usize {
    match arm {
        Arm::Stable => 0,
        Arm::Candidate => 1,
    }
}

impl Tally {
    /// Nothing is known yet.
    pub fn new(texts: Texts) -> Self {
        Self {
            rows: Vec::new(),
            fields: Default::default(),
            models: Default::default(),
            refused_by: Default::default(),
            examples: Vec::new(),
            texts,
        }
    }

    /// Takes a pair in.
    pub fn take(&mut self, pair: &Pair) {
        let half = |answer: &Answer| Half::of(answer, &pair.prompt.check);
        let (stable, candidate) = (half(&pair.stable), half(&pair.candidate));
        for (arm, answer) in [(Arm::Stable, &pair.stable), (Arm::Candidate, &pair.candidate)] {
            if let Some(limit) = answer.outcome.rate_limits.refused_by {
                self.refused(arm, limit.as_str());
            }
            if super::outcome::standing(answer.outcome.error_type) == Standing::Answered {
                self.wire(arm, &answer.fields);
                let models = &mut self.models[place(arm)];
                if let Some(model) = &answer.model
                    && (models.len() < MODELS_MAX || models.contains_key(model))
                {
                    *models.entry(model.clone()).or_default() += 1;
                }
            }
        }
        let is_answered = stable.is_answered() && candidate.is_answered();
        let likeness = is_answered.then(|| likeness(&pair.stable.text, &pair.candidate.text));
        let differs = likeness.is_none_or(|likeness| !likeness.is_equal);
        if self.texts == Texts::Kept && differs && self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example(pair));
        }
        self.rows.push(Row {
            number: pair.number,
            prompt: pair.turn.prompt,
            first: pair.turn.first,
            at: pair.at,
            stable,
            candidate,
            likeness,
            judged: pair.judged,
        });
    }

    /// Notes a refusal whose pair is asked again.
    pub fn refused(&mut self, arm: Arm, limit: &'static str) {
        *self.refused_by[place(arm)].entry(limit).or_default() += 1;
    }

    fn wire(&mut self, arm: Arm, fields: &Fields) {
        let known = &mut self.fields[place(arm)];
        for field in fields {
            if let Some(count) = known.get_mut(field) {
                *count += 1;
            } else if known.len() < FIELDS_MAX {
                known.insert(field.clone(), 1);
            }
        }
    }

    /// The rows so far.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Writes the report. Rows are put in the order of the schedule first, so that the same pairs give
    /// the same report in whichever order they ended.
    pub fn report(mut self, frame: Frame) -> Report {
        self.rows.sort_by_key(|row| row.number);
        let rows = &self.rows;
        let counted: Vec<Row> = rows.iter().filter(|row| row.counts()).cloned().collect();
        let mut run = frame.run;
        run.pairs_asked = rows.len() as u64;
        run.pairs_counted = counted.len() as u64;
        for row in rows.iter().filter(|row| !row.counts()) {
            let void = |arm: &Arm| row.half(*arm).standing() == Standing::Void;
            let arm = Arm::ALL.into_iter().find(|arm| void(arm)).unwrap_or(Arm::Stable);
            *run.set_aside.entry(row.half(arm).error_type.as_str()).or_default() += 1;
        }
        let alpha = frame.alpha;
        let both = |of: &dyn Fn(Arm) -> BTreeMap<&'static str, u64>| Both {
            stable: of(Arm::Stable),
            candidate: of(Arm::Candidate),
        };
        let anomalies = |arm: Arm| {
            let mut counts = BTreeMap::new();
            for anomaly in rows.iter().flat_map(|row| &row.half(arm).anomalies) {
                *counts.entry(anomaly.as_str()).or_default() += 1;
            }
            counts
        };
        let is_one_dialect = frame.arms.stable.dialect == frame.arms.candidate.dialect;
        Report {
            version: 1,
            written: frame.written,
            confidence: 1.0 - alpha.get(),
            verdict: gate::judge(&counted, &frame.limits, alpha),
            failures: compare::failures(&counted, alpha),
            outcomes: compare::outcomes(rows),
            times: compare::all_times(&counted, alpha),
            amounts: compare::amounts(&counted, alpha),
            cost: compare::cost(&counted, frame.monthly_requests, alpha),
            refusals: compare::refusals(&counted, alpha),
            wrong: compare::wrong(&counted, alpha),
            agreement: compare::agreement(&counted, alpha),
            fields: difference(is_one_dialect, &self.fields),
            anomalies: both(&anomalies),
            refused_by: both(&|arm| self.refused_by[place(arm)].clone()),
            worst: compare::worst(&counted, &frame.ids),
            models: Both { stable: self.models[0].clone(), candidate: self.models[1].clone() },
            arms: frame.arms,
            run,
            examples: self.examples,
        }
    }
}

fn difference(is_one_dialect: bool, fields: &[BTreeMap<String, u64>; 2]) -> FieldDifference {
    let [stable, candidate] = fields;
    let only = |one: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>| {
        one.iter()
            .filter(|(field, _)| !other.contains_key(*field))
            .map(|(field, count)| (field.clone(), *count))
            .collect()
    };
    FieldDifference {
        is_one_dialect,
        only_stable: only(stable, candidate),
        only_candidate: only(candidate, stable),
        shared: stable.keys().filter(|field| candidate.contains_key(*field)).count() as u64,
    }
}

fn example(pair: &Pair) -> Example {
    let said = |answer: &Answer| match answer.outcome.error_type {
        ErrorType::None => cut(&answer.text),
        other if answer.text.is_empty() => format!("({})", other.as_str()),
        other => format!("({}) {}", other.as_str(), cut(&answer.text)),
    };
    Example {
        id: pair.prompt.id.clone(),
        prompt: cut(&pair.prompt.said.text()),
        stable: said(&pair.stable),
        candidate: said(&pair.candidate),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(EXAMPLE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
