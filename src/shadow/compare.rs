//! From rows to what they say.
//!
//! Failures, refusals and costs are counted over every pair of which neither half is void. Times and
//! lengths are counted over pairs in which both arms answered: a failure that returns at once must not
//! make an arm look fast, and both are then measured on the same questions.
//!
//! Intervals take pairs for independent. Prompts that are asked more than once are less so: what one
//! prompt does to an arm it does each time. A set with more prompts is worth more than more rounds.

use std::collections::BTreeMap;

use super::gate::{self, Metric};
use super::outcome::{JsonLikeness, Judgement, Row, Standing};
use super::report::{
    Agreement, Amount, Both, Cost, JsonAgreement, Monthly, OutcomeCount, PromptFacts, Quantiles,
    Share, Shares, Times,
};
use super::schedule::Arm;
use crate::provider::ErrorType;
use crate::statistics::{
    Bounded, Discordant, Proportion, Sorted, mean, paired_ratio, quantile_ratio, ratio_of_means,
};

/// A plot of more dots is a blot.
const POINTS_MAX: usize = 400;
/// More prompts than these are not read.
const WORST_MAX: usize = 10;

/// A share with its bounds.
pub(super) fn share(count: u64, of: u64, alpha: Proportion) -> Share {
    let bounded = gate::bounded(count, of, alpha);
    Share {
        count,
        of,
        share: bounded.value,
        lower: bounded.lower.unwrap_or(0.0),
        upper: bounded.upper.unwrap_or(1.0),
    }
}

/// Two shares over pairs, each told by what its two halves have.
fn shares(pairs: impl Iterator<Item = (bool, bool)>, alpha: Proportion) -> Shares {
    let (mut both, mut stable_only, mut candidate_only, mut count) = (0, 0, 0, 0);
    for pair in pairs {
        count += 1;
        match pair {
            (true, true) => both += 1,
            (true, false) => stable_only += 1,
            (false, true) => candidate_only += 1,
            (false, false) => {}
        }
    }
    let counts = Discordant::new(count, stable_only, candidate_only).unwrap_or_default();
    let bounds = counts.interval(alpha);
    Shares {
        pairs: count,
        stable: share(both + stable_only, count, alpha),
        candidate: share(both + candidate_only, count, alpha),
        stable_only,
        candidate_only,
        difference: Bounded {
            value: counts.difference(),
            lower: Some(bounds.lower),
            upper: Some(bounds.upper),
        },
        p_value: counts.chance(),
    }
}

fn standings(rows: &[Row], standing: Standing, alpha: Proportion) -> Shares {
    let counted = rows.iter().filter(|row| row.counts());
    let has = |row: &Row| (row.stable.standing() == standing, row.candidate.standing() == standing);
    shares(counted.map(has), alpha)
}

/// Failures.
pub(super) fn failures(rows: &[Row], alpha: Proportion) -> Shares {
    standings(rows, Standing::Failed, alpha)
}

/// Refusals.
pub(super) fn refusals(rows: &[Row], alpha: Proportion) -> Shares {
    standings(rows, Standing::Declined, alpha)
}

/// Wrong answers, over pairs in which both were checked.
pub(super) fn wrong(rows: &[Row], alpha: Proportion) -> Shares {
    let checked = rows.iter().filter_map(|row| {
        Some((!row.stable.is_right?, !row.candidate.is_right?)).filter(|_| row.is_answered())
    });
    shares(checked, alpha)
}

/// What both halves cost, in dollars, where both are known.
pub(super) fn costs(rows: &[Row]) -> Vec<(f64, f64)> {
    let counted = rows.iter().filter(|row| row.counts());
    counted.filter_map(|row| Some((row.stable.cost?.usd(), row.candidate.cost?.usd()))).collect()
}

/// The seconds of both halves, over pairs in which both answered and both were measured.
pub(super) fn paired_times(rows: &[Row], metric: Metric) -> Vec<(f64, f64)> {
    let answered = rows.iter().filter(|row| row.is_answered());
    answered.filter_map(|row| Some((metric.of(&row.stable)?, metric.of(&row.candidate)?))).collect()
}

/// The same, arm by arm.
pub(super) fn times(rows: &[Row], metric: Metric) -> [Vec<f64>; 2] {
    let (stable, candidate) = paired_times(rows, metric).into_iter().unzip();
    [stable, candidate]
}

/// What came of answers.
pub(super) fn outcomes(rows: &[Row]) -> Vec<OutcomeCount> {
    let mut counts: BTreeMap<ErrorType, Both<u64>> = BTreeMap::new();
    for row in rows {
        counts.entry(row.stable.error_type).or_default().stable += 1;
        counts.entry(row.candidate.error_type).or_default().candidate += 1;
    }
    let count = |(error_type, both): (ErrorType, Both<u64>)| OutcomeCount {
        error_type: error_type.as_str(),
        standing: super::outcome::standing(error_type),
        stable: both.stable,
        candidate: both.candidate,
    };
    let mut outcomes: Vec<_> = counts.into_iter().map(count).collect();
    outcomes.sort_by_key(|outcome| {
        (outcome.standing, std::cmp::Reverse(outcome.stable + outcome.candidate))
    });
    outcomes
}

/// Quantiles of a time, for each that was measured at all.
pub(super) fn all_times(rows: &[Row], alpha: Proportion) -> Vec<Times> {
    Metric::ALL.into_iter().filter_map(|metric| one_time(rows, metric, alpha)).collect()
}

fn one_time(rows: &[Row], metric: Metric, alpha: Proportion) -> Option<Times> {
    let pairs = paired_times(rows, metric);
    if pairs.is_empty() {
        return None;
    }
    let [stable, candidate] = times(rows, metric).map(Sorted::new);
    let quantiles = |of: &dyn Fn(Proportion) -> Option<Bounded>| {
        let at = |part| Proportion::new(part).ok().and_then(of);
        Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99) }
    };
    let every = pairs.len().div_ceil(POINTS_MAX);
    Some(Times {
        metric,
        pairs: pairs.len() as u64,
        stable_seconds: quantiles(&|part| stable.quantile(part, alpha)),
        candidate_seconds: quantiles(&|part| candidate.quantile(part, alpha)),
        ratio: quantiles(&|part| quantile_ratio(&stable, &candidate, part, alpha)),
        paired_ratio: paired_ratio(&pairs, alpha),
        curves: Both { stable: curve(&stable), candidate: curve(&candidate) },
        points: pairs.iter().step_by(every).map(|(one, other)| [*one, *other]).collect(),
    })
}

/// The sample at each percent.
fn curve(sorted: &Sorted) -> Vec<f64> {
    let samples = sorted.samples();
    let last = samples.len().saturating_sub(1);
    (0..=100).filter_map(|percent| samples.get((last * percent + 50) / 100)).copied().collect()
}

/// Lengths of answers and prompts.
pub(super) fn amounts(rows: &[Row], alpha: Proportion) -> Vec<Amount> {
    type Of = fn(&super::outcome::Half) -> Option<f64>;
    let all: [(&'static str, Of); 5] = [
        ("input tokens", |half| Some(half.usage?.input as f64)),
        ("of them from a cache", |half| Some(half.usage?.cache_read as f64)),
        ("output tokens", |half| Some(half.usage?.output as f64)),
        ("of them reasoning", |half| Some(half.usage?.reasoning as f64)),
        ("characters of text", |half| Some(half.characters as f64)),
    ];
    let amount = |(name, of): (&'static str, Of)| {
        let answered = rows.iter().filter(|row| row.is_answered());
        let pairs: Vec<(f64, f64)> =
            answered.filter_map(|row| Some((of(&row.stable)?, of(&row.candidate)?))).collect();
        let (stable, candidate): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
        Amount {
            name,
            pairs: pairs.len() as u64,
            stable: mean(&stable, alpha),
            candidate: mean(&candidate, alpha),
            ratio: ratio_of_means(&pairs, alpha),
        }
    };
    let is_worth_a_line = |amount: &Amount| {
        !amount.name.starts_with("of them")
            || [amount.stable, amount.candidate].iter().flatten().any(|mean| mean.value > 0.0)
    };
    all.into_iter().map(amount).filter(|amount| amount.pairs > 0).filter(is_worth_a_line).collect()
}

/// What a request costs, and a month of them.
pub(super) fn cost(rows: &[Row], requests: Option<u64>, alpha: Proportion) -> Option<Cost> {
    let pairs = costs(rows);
    let (stable, candidate): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let saved: Vec<f64> = pairs.iter().map(|(stable, candidate)| stable - candidate).collect();
    let (stable_usd, candidate_usd) = (mean(&stable, alpha)?, mean(&candidate, alpha)?);
    let saved = mean(&saved, alpha)?;
    let monthly = requests.map(|requests| {
        let of = |one: Bounded| {
            let times = |amount: f64| amount * requests as f64;
            Bounded {
                value: times(one.value),
                lower: one.lower.map(times),
                upper: one.upper.map(times),
            }
        };
        Monthly {
            requests,
            stable_usd: of(stable_usd),
            candidate_usd: of(candidate_usd),
            saved_usd: of(saved),
        }
    });
    let ratio = ratio_of_means(&pairs, alpha)?;
    Some(Cost { pairs: pairs.len() as u64, stable_usd, candidate_usd, ratio, monthly })
}

/// How far answers agree.
pub(super) fn agreement(rows: &[Row], alpha: Proportion) -> Agreement {
    let likeness: Vec<_> = rows.iter().filter_map(|row| row.likeness).collect();
    let equal = likeness.iter().filter(|likeness| likeness.is_equal).count() as u64;
    let checked: Vec<(bool, bool)> = rows
        .iter()
        .filter_map(|row| Some((row.stable.is_right?, row.candidate.is_right?)))
        .collect();
    let alike = checked.iter().filter(|(stable, candidate)| stable == candidate).count() as u64;
    let mut judged: BTreeMap<Judgement, u64> = BTreeMap::new();
    for word in rows.iter().filter_map(|row| row.judged) {
        *judged.entry(word).or_default() += 1;
    }
    let clear: u64 =
        judged.iter().filter(|(word, _)| **word != Judgement::Unclear).map(|(_, n)| n).sum();
    let same = judged.get(&Judgement::Same).copied().unwrap_or_default();
    let of =
        |wanted| likeness.iter().filter(|likeness| likeness.json == Some(wanted)).count() as u64;
    Agreement {
        exact: share(equal, likeness.len() as u64, alpha),
        checks: share(alike, checked.len() as u64, alpha),
        judged_same: (clear > 0).then(|| share(same, clear, alpha)),
        judged,
        json: JsonAgreement {
            same: of(JsonLikeness::Same),
            other_fields: of(JsonLikeness::OtherFields),
            only_stable: of(JsonLikeness::OnlyStable),
            only_candidate: of(JsonLikeness::OnlyCandidate),
        },
    }
}

/// The prompts with which the candidate fared worse than stable, the worst first.
pub(super) fn worst(rows: &[Row], ids: &[String]) -> Vec<PromptFacts> {
    let mut facts: BTreeMap<usize, PromptFacts> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.counts()) {
        let Some(id) = ids.get(row.prompt) else { continue };
        let entry = facts.entry(row.prompt).or_insert_with(|| PromptFacts {
            id: id.clone(),
            pairs: 0,
            stable_bad: 0,
            candidate_bad: 0,
        });
        let is_bad = |arm: Arm| {
            let half = row.half(arm);
            !half.is_answered() || half.is_right == Some(false)
        };
        entry.pairs += 1;
        entry.stable_bad += u64::from(is_bad(Arm::Stable));
        entry.candidate_bad += u64::from(is_bad(Arm::Candidate));
    }
    let mut worse: Vec<PromptFacts> =
        facts.into_values().filter(|facts| facts.candidate_bad > facts.stable_bad).collect();
    worse.sort_by_key(|facts| std::cmp::Reverse(facts.candidate_bad - facts.stable_bad));
    worse.truncate(WORST_MAX);
    worse
}
