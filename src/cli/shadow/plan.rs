//! What is to be asked, in which order, and what it may cost: everything before the first request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Arguments;
use crate::model::{Mistake, Money, Timestamp, suggest};
use crate::probe::{Target, estimate_of};
use crate::prober::Comparison;
use crate::provider::translate::Strictness;
use crate::shadow::{
    ArmFacts, Both, Frame, Prompt, Purse, RunFacts, asking, built_in, nonce, parse_capture,
    parse_prompts, price, schedule,
};

/// Larger files are no set of prompts.
const FILE_BYTES_MAX: u64 = 256 << 20;
const PAIRS: usize = 600;
/// What a judge is told beside prompt and answers, and the most that it sees of these.
const JUDGE_WORDS_BYTES: u64 = 800;
const JUDGED_BYTES_MAX: u64 = 3 * 8000;
/// What a token of an answer is in bytes, at most, but for rare ones.
const TOKEN_BYTES: u64 = 6;
const JUDGE_TOKENS_MAX: u32 = 256;

/// Everything that is settled beforehand.
pub(super) struct Plan {
    pub comparison: Comparison,
    pub frame: Frame,
    /// What it may cost, in lines for people.
    pub estimate: String,
    most: Money,
}

/// Why nothing is asked, in lines for people.
pub(super) struct Refused(pub Vec<String>);

impl Plan {
    /// Why it must not begin: a run that ends in the middle has cost money and tells nothing.
    pub fn too_dear(&self, limit: Money) -> Option<String> {
        (self.most > limit).then(|| {
            format!(
                "it may cost up to {}, above `--max-cost {}`: ask fewer `--pairs`, set `--max-tokens`, or \
                 allow more",
                self.most,
                limit.to_string().trim_start_matches('$')
            )
        })
    }
}

/// What was read, and what is to be told of it.
struct Source {
    name: String,
    prompts: Vec<Prompt>,
    left_out: BTreeMap<String, u64>,
    keys: u64,
    is_capture: bool,
}

/// Who is asked.
struct Asked {
    stable: Target,
    candidate: Target,
    judge: Option<Target>,
}

pub(super) fn plan(
    arguments: &Arguments,
    targets: &[Arc<Target>],
    now: Timestamp,
) -> Result<Plan, Refused> {
    let Asked { stable, candidate, judge } = asked(arguments, targets)?;
    let source = source(arguments)?;
    let mut run = RunFacts {
        prompts_from: source.name.clone(),
        capture_left_out: source.left_out.clone(),
        keys_replaced: source.keys,
        ..RunFacts::default()
    };
    let strictness = if arguments.lenient { Strictness::Lenient } else { Strictness::Strict };
    let prompts = tellable(source.prompts, &stable, &candidate, strictness, arguments, &mut run);
    if prompts.is_empty() {
        let mut lines = vec!["no prompt can be told to both arms".to_owned()];
        lines.extend(run.untold.iter().map(|(why, count)| format!("  {count}: {why}")));
        return Err(Refused(lines));
    }
    let pairs = match arguments.pairs {
        Some(pairs) => pairs as usize,
        None if source.is_capture => prompts.len(),
        None => PAIRS,
    };
    run.seed = arguments.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let turns = schedule(prompts.len(), pairs, run.seed);
    let concurrency = usize::from(arguments.concurrency).min(turns.len().max(1));
    run.prompts = prompts.len() as u64;
    run.pairs_planned = turns.len() as u64;
    run.concurrency = concurrency as u64;
    run.rate_per_second = arguments.rate;
    let comparison = Comparison {
        stable,
        candidate,
        judge,
        prompts,
        turns,
        warm_up: arguments.warm_up.map_or(concurrency, usize::from),
        concurrency,
        interval: arguments.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
        duration: arguments.duration,
        repeats_max: arguments.retries,
        purse: Purse::new(arguments.max_cost),
        strictness,
    };
    let (most, estimate) = estimate(&comparison, arguments, &run, now)?;
    let frame = Frame {
        written: String::new(),
        alpha: arguments.confidence,
        limits: arguments.limits.limits(),
        monthly_requests: (arguments.monthly_requests > 0).then_some(arguments.monthly_requests),
        arms: Both { stable: facts(&comparison.stable), candidate: facts(&comparison.candidate) },
        ids: comparison.prompts.iter().map(|prompt| prompt.id.clone()).collect(),
        run,
    };
    Ok(Plan { comparison, frame, estimate, most })
}

/// The targets by their names; every wrong name is told.
fn asked(arguments: &Arguments, targets: &[Arc<Target>]) -> Result<Asked, Refused> {
    let of = |name: &String| target(targets, name);
    let judge = arguments.judge.as_ref().map(of).transpose();
    match (of(&arguments.stable), of(&arguments.candidate), judge) {
        (Ok(stable), Ok(candidate), Ok(judge)) => Ok(Asked { stable, candidate, judge }),
        (stable, candidate, judge) => {
            let wrong = [stable.err(), candidate.err(), judge.err()];
            Err(Refused(wrong.into_iter().flatten().collect()))
        }
    }
}

fn target(targets: &[Arc<Target>], name: &str) -> Result<Target, String> {
    let found = targets.iter().find(|target| target.id.as_str() == name);
    match found {
        Some(target) if target.page.is_some() => {
            Err(format!("target `{name}` is a page and answers no question"))
        }
        Some(target) => Ok(Target::clone(target)),
        None => {
            let names: Vec<&str> = targets.iter().map(|target| target.id.as_str()).collect();
            let near = suggest::nearest(name, names.iter().copied());
            let near = near.map_or(String::new(), |near| format!(" (`{near}`?)"));
            Err(format!("no target is called `{name}`{near}; known: {}", names.join(", ")))
        }
    }
}

fn source(arguments: &Arguments) -> Result<Source, Refused> {
    let plain = |name: String, prompts| Source {
        name,
        prompts,
        left_out: BTreeMap::new(),
        keys: 0,
        is_capture: false,
    };
    match (&arguments.prompts, &arguments.capture) {
        (Some(path), _) => {
            let (name, text) = read(path)?;
            Ok(plain(name.clone(), parse_prompts(&name, &text).map_err(listed)?))
        }
        (None, Some(path)) => {
            let (name, text) = read(path)?;
            let capture = parse_capture(&name, &text).map_err(listed)?;
            let left_out = capture.left_out.into_iter().map(|(why, count)| (why.to_owned(), count));
            Ok(Source {
                name,
                prompts: capture.prompts,
                left_out: left_out.collect(),
                keys: capture.keys,
                is_capture: true,
            })
        }
        (None, None) => Ok(plain("the built-in set".to_owned(), built_in())),
    }
}

fn read(path: &Path) -> Result<(String, String), Refused> {
    let name = path.display().to_string();
    let refused = |why: String| Refused(vec![format!("`{name}` cannot be read: {why}")]);
    let size = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if size > FILE_BYTES_MAX {
        return Err(refused("it is larger than 256 MiB".to_owned()));
    }
    let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
    Ok((name, text))
}

fn listed(mistakes: Vec<Mistake>) -> Refused {
    Refused(mistakes.iter().map(ToString::to_string).collect())
}

/// The prompts that both arms have words for; notes the others, by reason.
fn tellable(
    prompts: Vec<Prompt>,
    stable: &Target,
    candidate: &Target,
    strictness: Strictness,
    arguments: &Arguments,
    run: &mut RunFacts,
) -> Vec<Prompt> {
    let mut told = Vec::with_capacity(prompts.len());
    for mut prompt in prompts {
        let limit = arguments.max_tokens.unwrap_or(u32::MAX);
        prompt.tokens_max = prompt.tokens_max.min(limit);
        let trial = Prompt { said: prompt.said.with_nonce(&nonce(0)), ..prompt.clone() };
        let both = [("stable", stable), ("candidate", candidate)].map(|(arm, target)| {
            let told = asking(target, &trial, stable.delivery, strictness);
            told.map(|asking| asking.left_out).map_err(|error| format!("{arm}: {error}"))
        });
        match both {
            [Ok(stable), Ok(candidate)] => {
                for name in stable.iter().chain(&candidate) {
                    *run.parameters_left_out.entry((*name).to_owned()).or_default() += 1;
                }
                told.push(prompt);
            }
            [Err(why), _] | [_, Err(why)] => {
                // Written for routes; here there is none.
                let why = why.replace(" of this route", "");
                *run.untold.entry(why).or_default() += 1;
            }
        }
    }
    told
}

/// The most that it should cost, and the lines that say so.
fn estimate(
    comparison: &Comparison,
    arguments: &Arguments,
    run: &RunFacts,
    now: Timestamp,
) -> Result<(Money, String), Refused> {
    let mut most = Money::ZERO;
    let (mut parts, mut unpriced) = (Vec::new(), Vec::new());
    for (arm, target, cost) in costs(comparison, now) {
        match cost {
            Some(cost) => {
                most += cost;
                parts.push(format!("{arm} {cost}"));
            }
            None => unpriced.push(format!("{arm} `{}`", target.id)),
        }
    }
    let unpriced = unpriced.join(" and ");
    if !unpriced.is_empty() && !arguments.allow_unpriced {
        return Err(Refused(vec![
            format!("no price is known of {unpriced}, so no budget can be kept"),
            "write a `price` to the model, or `prices: files`; `--allow-unpriced` asks all the same"
                .to_owned(),
        ]));
    }
    let mut lines = vec![format!(
        "{} pairs of {} prompts from {}, {} at once, seed {}",
        run.pairs_planned, run.prompts, run.prompts_from, run.concurrency, run.seed
    )];
    for (why, count) in &run.untold {
        lines.push(format!("left out, as it cannot be told to {why}: {count}"));
    }
    let limit = arguments.max_cost;
    let beside =
        if unpriced.is_empty() { String::new() } else { format!(", and {unpriced} in no budget") };
    lines.push(match parts.join(", ") {
        parts if parts.is_empty() => "what it may cost is not known".to_owned(),
        parts => format!("may cost up to {most} ({parts}), limit {limit}{beside}"),
    });
    Ok((most, lines.join("\n") + "\n"))
}

/// What each who is asked may cost at most; nothing where a price is unknown.
fn costs(comparison: &Comparison, now: Timestamp) -> Vec<(&'static str, &Target, Option<Money>)> {
    let order = comparison.turns.iter().take(comparison.warm_up).chain(&comparison.turns);
    let asked: Vec<&Prompt> =
        order.filter_map(|turn| comparison.prompts.get(turn.prompt)).collect();
    let sum = |target: &Target| {
        asked.iter().try_fold(Money::ZERO, |sum, prompt| Some(sum + price(target, prompt, now)?))
    };
    let (stable, candidate) = (&comparison.stable, &comparison.candidate);
    let mut costs = vec![("stable", stable, sum(stable)), ("candidate", candidate, sum(candidate))];
    if let Some(judge) = &comparison.judge {
        let one = |prompt: &&Prompt| {
            let answers = 2 * TOKEN_BYTES * u64::from(prompt.tokens_max);
            let seen = (prompt.said.size_bytes() + answers).min(JUDGED_BYTES_MAX);
            let bytes = seen + JUDGE_WORDS_BYTES;
            estimate_of(&judge.provider, &judge.model, bytes, JUDGE_TOKENS_MAX, now)
        };
        let all = asked.iter().try_fold(Money::ZERO, |sum, prompt| Some(sum + one(prompt)?));
        costs.push(("judge", judge, all));
    }
    costs
}

fn facts(target: &Target) -> ArmFacts {
    ArmFacts {
        target: target.id.as_str().to_owned(),
        provider: target.provider.id.as_str().to_owned(),
        dialect: target.provider.dialect.as_str(),
        model: target.model.clone(),
        asked_as: target.provider.upstream_model(&target.model).to_owned(),
    }
}
