//! What a comparison found, as data: what every rendering is written from, and the JSON itself.
//!
//! Fields end with their unit. No prompt and no answer is in it unless examples were asked for.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::gate::{Metric, Verdict};
use super::outcome::Judgement;
use crate::statistics::Bounded;

/// One of each arm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Both<T> {
    /// What serves today.
    pub stable: T,
    /// What may take its place.
    pub candidate: T,
}

/// The whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The form of this report; grows when a field changes its meaning.
    pub version: u32,
    /// When it was written, RFC 3339.
    pub written: String,
    /// The confidence of every interval outside of the verdict.
    pub confidence: f64,
    /// Who was asked.
    pub arms: Both<ArmFacts>,
    /// How it went.
    pub run: RunFacts,
    /// What it comes to.
    pub verdict: Verdict,
    /// Failures, over the pairs that count.
    pub failures: Shares,
    /// What came of the answers, by error type.
    pub outcomes: Vec<OutcomeCount>,
    /// How long answers took, over pairs in which both arms answered.
    pub times: Vec<Times>,
    /// How long answers were, over the same pairs.
    pub amounts: Vec<Amount>,
    /// What they cost; none where a price is unknown.
    pub cost: Option<Cost>,
    /// Refusals of the model and of filters.
    pub refusals: Shares,
    /// Wrong answers, over the pairs in which both were checked.
    pub wrong: Shares,
    /// How far answers agree.
    pub agreement: Agreement,
    /// Which fields answers have on the wire.
    pub fields: FieldDifference,
    /// Which models said that they answered, and how often.
    pub models: Both<BTreeMap<String, u64>>,
    /// By which limit requests were refused, repeats included.
    pub refused_by: Both<BTreeMap<&'static str, u64>>,
    /// Oddities of the protocol that are no failure.
    pub anomalies: Both<BTreeMap<&'static str, u64>>,
    /// The prompts with which the candidate fared worst.
    pub worst: Vec<PromptFacts>,
    /// Pairs with their texts, where that was asked for.
    pub examples: Vec<Example>,
}

/// Who was asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ArmFacts {
    /// The target's name.
    pub target: String,
    /// The provider's name.
    pub provider: String,
    /// The wire format.
    pub dialect: &'static str,
    /// The model's public name.
    pub model: String,
    /// What the provider calls it.
    pub asked_as: String,
}

/// How a comparison went.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct RunFacts {
    /// Where the prompts came from.
    pub prompts_from: String,
    /// How many there are.
    pub prompts: u64,
    /// Of these, how many could not be told to an arm, by reason.
    pub untold: BTreeMap<String, u64>,
    /// What was left out of requests because an arm has no word for it, by name.
    pub parameters_left_out: BTreeMap<String, u64>,
    /// What was left out of the capture, by reason.
    pub capture_left_out: BTreeMap<String, u64>,
    /// How many words of the capture that look like keys were replaced.
    pub keys_replaced: u64,
    /// How many pairs were planned.
    pub pairs_planned: u64,
    /// How many were asked.
    pub pairs_asked: u64,
    /// How many of those count.
    pub pairs_counted: u64,
    /// Those that do not, by the error type that says why.
    pub set_aside: BTreeMap<&'static str, u64>,
    /// How many pairs were asked again because our own limit refused one half.
    pub repeats: u64,
    /// How it ended: `complete`, `interrupted`, `time`, `budget`, `refused`.
    pub ended: &'static str,
    /// More about that, for people.
    pub ended_because: String,
    /// How long it took.
    pub seconds: f64,
    /// How many pairs were to begin in a second; none where as many as the lanes carry.
    pub rate_per_second: Option<f64>,
    /// How many pairs were under way at once.
    pub concurrency: u64,
    /// The seed of everything that was drawn.
    pub seed: u64,
    /// What was spent, repeats, warm-up and judge included, in US dollars.
    pub spent_usd: f64,
    /// What of that the judge cost.
    pub judge_usd: f64,
}

/// A share with its exact bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// As a part of one.
    pub share: f64,
    /// Not less than this.
    pub lower: f64,
    /// Not more than this.
    pub upper: f64,
}

impl Share {
    /// As a number with bounds.
    pub fn bounded(&self) -> Bounded {
        Bounded { value: self.share, lower: Some(self.lower), upper: Some(self.upper) }
    }
}

/// Two shares over the same pairs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// Over how many pairs.
    pub pairs: u64,
    /// Stable's.
    pub stable: Share,
    /// The candidate's.
    pub candidate: Share,
    /// Pairs in which only stable's half has it.
    pub stable_only: u64,
    /// Pairs in which only the candidate's has it.
    pub candidate_only: u64,
    /// The candidate's share less stable's.
    pub difference: Bounded,
    /// How likely so uneven counts are where the two do not differ.
    pub p_value: f64,
}

/// How often something came of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutcomeCount {
    /// The error type.
    pub error_type: &'static str,
    /// What it means here.
    pub standing: super::outcome::Standing,
    /// Of stable.
    pub stable: u64,
    /// Of the candidate.
    pub candidate: u64,
}

/// Quantiles of a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// The median.
    pub p50: Option<Bounded>,
    /// The 90th percentile.
    pub p90: Option<Bounded>,
    /// The 99th percentile.
    pub p99: Option<Bounded>,
}

impl Quantiles {
    /// By name.
    pub fn each(&self) -> [(&'static str, Option<Bounded>); 3] {
        [("p50", self.p50), ("p90", self.p90), ("p99", self.p99)]
    }
}

/// How long something took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Times {
    /// What.
    pub metric: Metric,
    /// Over how many pairs.
    pub pairs: u64,
    /// Seconds, of stable.
    pub stable_seconds: Quantiles,
    /// Seconds, of the candidate.
    pub candidate_seconds: Quantiles,
    /// The candidate's quantile over stable's.
    pub ratio: Quantiles,
    /// The median of the candidate's over stable's within each pair: the narrowest that can be said.
    pub paired_ratio: Option<Bounded>,
    /// Seconds at 0, 1, …, 100 percent, for a plot.
    pub curves: Both<Vec<f64>>,
    /// Stable's and the candidate's seconds of some pairs, for a plot.
    pub points: Vec<[f64; 2]>,
}

/// A mean amount.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Amount {
    /// Of what.
    pub name: &'static str,
    /// Over how many pairs.
    pub pairs: u64,
    /// Stable's mean.
    pub stable: Option<Bounded>,
    /// The candidate's mean.
    pub candidate: Option<Bounded>,
    /// The candidate's over stable's.
    pub ratio: Option<Bounded>,
}

/// What requests cost.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    /// Over how many pairs.
    pub pairs: u64,
    /// US dollars a request, of stable.
    pub stable_usd: Bounded,
    /// US dollars a request, of the candidate.
    pub candidate_usd: Bounded,
    /// The candidate's over stable's.
    pub ratio: Bounded,
    /// The same for the traffic of a month.
    pub monthly: Option<Monthly>,
}

/// What a month costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Monthly {
    /// At how many requests.
    pub requests: u64,
    /// US dollars, of stable.
    pub stable_usd: Bounded,
    /// US dollars, of the candidate.
    pub candidate_usd: Bounded,
    /// US dollars that the candidate saves; negative where it is dearer.
    pub saved_usd: Bounded,
}

/// How far answers agree, over pairs in which both arms answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// The same words.
    pub exact: Share,
    /// Both right or both wrong, where both were checked.
    pub checks: Share,
    /// What the judge said, where one was asked.
    pub judged: BTreeMap<Judgement, u64>,
    /// The judge's `same`, unclear replies left out.
    pub judged_same: Option<Share>,
    /// Of answers that are JSON.
    pub json: JsonAgreement,
}

/// How the forms of JSON answers compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct JsonAgreement {
    /// Both, with the same fields.
    pub same: u64,
    /// Both, with other fields.
    pub other_fields: u64,
    /// Only stable's is JSON.
    pub only_stable: u64,
    /// Only the candidate's is.
    pub only_candidate: u64,
}

/// Which fields one arm's answers have on the wire and the other's lack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FieldDifference {
    /// Whether both speak one dialect; else a difference is no surprise.
    pub is_one_dialect: bool,
    /// In how many answers of stable, of those that the candidate never has.
    pub only_stable: BTreeMap<String, u64>,
    /// In how many of the candidate, of those that stable never has.
    pub only_candidate: BTreeMap<String, u64>,
    /// How many both have.
    pub shared: u64,
}

/// How one prompt fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PromptFacts {
    /// What it is called in its file.
    pub id: String,
    /// How often it was asked.
    pub pairs: u64,
    /// Halves without an answer, with a refusal or a wrong answer, of stable.
    pub stable_bad: u64,
    /// The same of the candidate.
    pub candidate_bad: u64,
}

/// A pair with its texts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// What the prompt is called.
    pub id: String,
    /// What was asked.
    pub prompt: String,
    /// What stable answered, or what came of it.
    pub stable: String,
    /// What the candidate answered, or what came of it.
    pub candidate: String,
}

/// Names in a sentence: `a`, `a and b`, `a, b and c`.
pub(super) struct Words<'a>(pub &'a [&'a str]);

impl fmt::Display for Words<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => Ok(()),
            [one] => formatter.write_str(one),
            [first @ .., last] => write!(formatter, "{} and {last}", first.join(", ")),
        }
    }
}
