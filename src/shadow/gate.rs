//! Whether the candidate may take stable's place, by limits and by how much is known.
//!
//! Each limit is held against an interval and never against a number: it is kept where the whole
//! interval is within it, broken where all of it is beyond, and undecided between. So a run that is
//! too small is `insufficient` and not lucky, and more pairs decide it. The intervals are Bonferroni's:
//! with `k` limits each has `alpha / k`, so that the chance of any wrong word in the verdict is at most
//! `alpha`. One broken limit is `failed`; else one undecided limit is `insufficient`.

use serde::Serialize;

use super::outcome::{Row, Standing};
use super::report::{Shares, Words};
use super::schedule::Arm;
use super::{compare, outcome::Judgement};
use crate::provider::ErrorType;
use crate::statistics::{
    Bounded, Discordant, Proportion, Sorted, exact_interval, quantile_ratio, ratio_of_means,
};

/// What is measured in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// From send to the first content.
    Ttft,
    /// For each output token after the first.
    PerToken,
    /// From send to the end.
    Total,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ttft, Self::PerToken, Self::Total];

    /// What people call it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ttft => "time to first token",
            Self::PerToken => "time per output token",
            Self::Total => "total time",
        }
    }

    /// Its value for one half.
    pub fn of(self, half: &super::outcome::Half) -> Option<f64> {
        match self {
            Self::Ttft => half.ttft,
            Self::PerToken => half.per_token,
            Self::Total => Some(half.total),
        }
    }
}

/// A limit on how much slower the candidate may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RatioLimit {
    /// Of what.
    pub metric: Metric,
    /// At which quantile, in percent.
    pub percentile: u8,
    /// The candidate's over stable's.
    pub max: f64,
}

/// What the candidate is held to. Shares are from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// How much larger its share of failures may be.
    pub error_increase: Option<f64>,
    /// How much larger its share of refusals may be.
    pub refusal_increase: Option<f64>,
    /// How much smaller its share of right answers may be.
    pub check_decrease: Option<f64>,
    /// How much slower it may be.
    pub ratios: Vec<RatioLimit>,
    /// How much dearer a request may be.
    pub cost_ratio: Option<f64>,
    /// How many of the answers must agree: by the judge where there is one, else word for word.
    pub agreement: Option<f64>,
    /// Whether another model than asked for may answer.
    pub allows_model_mismatch: bool,
}

impl Limits {
    fn count(&self) -> usize {
        let shares = [self.error_increase, self.refusal_increase, self.check_decrease];
        let others = [self.cost_ratio, self.agreement];
        shares.iter().chain(&others).flatten().count() + self.ratios.len()
    }
}

/// What a limit or the whole says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Within every limit.
    Pass,
    /// Too little is known.
    Insufficient,
    /// Beyond a limit.
    Failed,
}

impl Word {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Insufficient => "insufficient",
            Self::Failed => "failed",
        }
    }
}

/// In what a limit is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A difference of shares, in which 0.01 is a percentage point.
    Points,
    /// A share.
    Share,
    /// A factor.
    Ratio,
    /// A number of answers.
    Answers,
}

/// What came of one limit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// What is limited.
    pub name: String,
    /// The flag that sets the limit.
    pub flag: String,
    /// In what it is told.
    pub unit: Unit,
    /// The limit; for agreement the least, else the most.
    pub limit: f64,
    /// What was found, within simultaneous bounds; none where nothing could be compared.
    pub found: Option<Bounded>,
    /// What it says.
    pub word: Word,
    /// About how many pairs would decide it, if all stays as it was found.
    pub pairs_needed: Option<u64>,
}

/// What came of all limits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The worst of them; `insufficient` where there is no limit at all.
    pub word: Word,
    /// In one sentence.
    pub sentence: String,
    /// The confidence at which each interval of a gate is drawn.
    pub confidence: f64,
    /// Each limit.
    pub gates: Vec<Gate>,
}

/// Which way a limit holds.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    AtMost,
    AtLeast,
}

/// Judges the rows that count.
pub fn judge(rows: &[Row], limits: &Limits, alpha: Proportion) -> Verdict {
    let part = alpha.part(1.0 / limits.count().max(1) as f64).unwrap_or(alpha);
    let mut gates = Vec::new();
    let shares = [
        (
            "more failures",
            "--max-error-increase",
            limits.error_increase,
            compare::failures(rows, part),
        ),
        (
            "more refusals",
            "--max-refusal-increase",
            limits.refusal_increase,
            compare::refusals(rows, part),
        ),
        (
            "fewer right answers",
            "--max-check-decrease",
            limits.check_decrease,
            compare::wrong(rows, part),
        ),
    ];
    for (name, flag, limit, shares) in shares {
        let Some(limit) = limit else { continue };
        let found = (shares.pairs > 0).then_some(shares.difference);
        let gate = gate(name, flag, Unit::Points, limit, found, Side::AtMost, shares.pairs);
        gates.push(with_shares(gate, &shares, part));
    }
    gates.extend(limits.ratios.iter().filter_map(|limit| time_gate(rows, *limit, part)));
    if let Some(limit) = limits.cost_ratio {
        let pairs = compare::costs(rows);
        let found = ratio_of_means(&pairs, part).filter(|_| pairs.len() > 1);
        let count = pairs.len() as u64;
        gates.push(gate(
            "cost of a request",
            "--max-cost-ratio",
            Unit::Ratio,
            limit,
            found,
            Side::AtMost,
            count,
        ));
    }
    if let Some(limit) = limits.agreement {
        gates.push(agreement_gate(rows, limit, part));
    }
    if !limits.allows_model_mismatch {
        gates.extend(mismatches(rows));
    }
    let word = gates.iter().map(|gate| gate.word).max().unwrap_or(Word::Insufficient);
    let sentence = sentence(word, &gates);
    Verdict { word, sentence, confidence: 1.0 - part.get(), gates }
}

fn gate(
    name: impl Into<String>,
    flag: impl Into<String>,
    unit: Unit,
    limit: f64,
    found: Option<Bounded>,
    side: Side,
    pairs: u64,
) -> Gate {
    let word = found.map_or(Word::Insufficient, |found| held(&found, limit, side));
    let pairs_needed = match (word, found) {
        (Word::Insufficient, Some(found)) => needed(&found, limit, pairs),
        _ => None,
    };
    Gate { name: name.into(), flag: flag.into(), unit, limit, found, word, pairs_needed }
}

fn held(found: &Bounded, limit: f64, side: Side) -> Word {
    let (kept, broken) = match side {
        Side::AtMost => (
            found.upper.is_some_and(|upper| upper <= limit),
            found.lower.is_some_and(|lower| lower > limit),
        ),
        Side::AtLeast => (
            found.lower.is_some_and(|lower| lower >= limit),
            found.upper.is_some_and(|upper| upper < limit),
        ),
    };
    match (kept, broken) {
        (_, true) => Word::Failed,
        (true, false) => Word::Pass,
        (false, false) => Word::Insufficient,
    }
}

/// An interval shrinks with the root of the number of pairs: how many it takes until its near end is
/// at the limit. Nothing where the bound is missing or what was found is at the limit itself.
fn needed(found: &Bounded, limit: f64, pairs: u64) -> Option<u64> {
    let bound = if found.value < limit { found.upper? } else { found.lower? };
    let factor = ((bound - found.value) / (limit - found.value)).powi(2);
    let needed = pairs as f64 * factor;
    (needed.is_finite() && needed < 1e9).then(|| (needed.ceil() as u64).max(pairs + 1))
}

/// For differences of shares the score test itself says how many pairs it takes.
fn with_shares(gate: Gate, shares: &Shares, alpha: Proportion) -> Gate {
    if gate.word != Word::Insufficient || shares.pairs == 0 {
        return gate;
    }
    let decides = |times: u64| {
        let scaled = |count: u64| count.saturating_mul(times) / 8;
        let counts = Discordant::new(
            scaled(shares.pairs),
            scaled(shares.stable_only),
            scaled(shares.candidate_only),
        )?;
        let bounds = counts.interval(alpha);
        (bounds.upper <= gate.limit || bounds.lower > gate.limit).then_some(scaled(shares.pairs))
    };
    let pairs_needed = (9..8 * 200).find_map(decides);
    Gate { pairs_needed, ..gate }
}

fn time_gate(rows: &[Row], limit: RatioLimit, alpha: Proportion) -> Option<Gate> {
    let quantile = Proportion::new(f64::from(limit.percentile) / 100.0).ok()?;
    let [stable, candidate] = compare::times(rows, limit.metric).map(Sorted::new);
    let count = stable.samples().len() as u64;
    let found = quantile_ratio(&stable, &candidate, quantile, alpha);
    let name = format!("p{} of {}", limit.percentile, limit.metric.title());
    let flag = match limit.metric {
        Metric::Total => format!("--max-p{}-ratio", limit.percentile),
        Metric::Ttft => format!("--max-ttft-p{}-ratio", limit.percentile),
        Metric::PerToken => format!("--max-per-token-p{}-ratio", limit.percentile),
    };
    let mut gate = gate(name, flag, Unit::Ratio, limit.max, found, Side::AtMost, count);
    if gate.word == Word::Insufficient && gate.pairs_needed.is_none() {
        // The first number of samples of which so high a quantile has an upper bound.
        let least = ((alpha.get() / 2.0).ln() / quantile.get().ln()).ceil() as u64;
        gate.pairs_needed = (least > count).then_some(least);
    }
    Some(gate)
}

fn agreement_gate(rows: &[Row], limit: f64, alpha: Proportion) -> Gate {
    let judged = rows.iter().filter_map(|row| row.judged);
    let judged: Vec<Judgement> = judged.filter(|word| *word != Judgement::Unclear).collect();
    let (agreed, finished) = if judged.is_empty() {
        let likeness: Vec<_> = rows.iter().filter_map(|row| row.likeness).collect();
        (likeness.iter().filter(|likeness| likeness.is_equal).count(), likeness.len())
    } else {
        (judged.iter().filter(|word| **word == Judgement::Same).count(), judged.len())
    };
    let share = compare::share(agreed as u64, finished as u64, alpha);
    let found = (finished > 0).then_some(share.bounded());
    let name = "answers that agree";
    gate(name, "--min-agreement", Unit::Share, limit, found, Side::AtLeast, finished as u64)
}

/// No statistics here: one answer of another model is one too many.
fn mismatches(rows: &[Row]) -> Option<Gate> {
    let count = |arm: Arm| {
        let halves = rows.iter().map(|row| row.half(arm));
        halves.filter(|half| half.error_type == ErrorType::ModelMismatch).count() as f64
    };
    let found = count(Arm::Candidate);
    if rows.iter().all(|row| row.candidate.standing() != Standing::Answered) {
        return None;
    }
    Some(Gate {
        name: "answers of another model".to_owned(),
        flag: "--allow-model-mismatch".to_owned(),
        unit: Unit::Answers,
        limit: 0.0,
        found: Some(Bounded { value: found, lower: Some(found), upper: Some(found) }),
        word: if found > 0.0 { Word::Failed } else { Word::Pass },
        pairs_needed: None,
    })
}

fn sentence(word: Word, gates: &[Gate]) -> String {
    let named = |word: Word| {
        let names: Vec<&str> =
            gates.iter().filter(|gate| gate.word == word).map(|gate| gate.name.as_str()).collect();
        Words(&names).to_string()
    };
    match word {
        Word::Pass => "The candidate is within every limit.".to_owned(),
        Word::Failed => format!("The candidate is beyond its limit: {}.", named(Word::Failed)),
        Word::Insufficient if gates.iter().all(|gate| gate.found.is_none()) => {
            "Nothing could be compared, so nothing is known.".to_owned()
        }
        Word::Insufficient => {
            let needed = gates.iter().filter(|gate| gate.word == Word::Insufficient);
            let needed: Option<Vec<u64>> = needed.map(|gate| gate.pairs_needed).collect();
            let most = needed.and_then(|needed| needed.into_iter().max());
            let more = match most {
                Some(pairs) => format!("; about {pairs} pairs would tell"),
                None => String::new(),
            };
            format!("Too little is known to tell: {}{more}.", named(Word::Insufficient))
        }
    }
}

/// The interval of a share of outcomes as a number with bounds.
pub(super) fn bounded(count: u64, of: u64, alpha: Proportion) -> Bounded {
    let counts = crate::statistics::Tick::new(count.min(of), of).unwrap_or_default();
    let interval = exact_interval(counts, alpha);
    let value = if of == 0 { 0.0 } else { count as f64 / of as f64 };
    Bounded { value, lower: Some(interval.lower), upper: Some(interval.upper) }
}
