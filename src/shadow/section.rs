//! A report as titles, sentences and tables: what terminal, Markdown and page have in common.

use std::collections::BTreeMap;

use super::figure;
use super::gate::Word;
use super::outcome::{Judgement, Standing};
use super::report::{ArmFacts, Report, RunFacts, Shares};
use crate::statistics::Bounded;

/// One part of a report.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Section {
    /// Which it is, for what a page puts beside it.
    pub topic: Topic,
    /// Its heading.
    pub title: &'static str,
    /// Sentences below the heading.
    pub lead: Vec<String>,
    /// Its table, if it has one.
    pub table: Option<Table>,
}

/// Which part of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Limits,
    Outcomes,
    Times,
    Cost,
    Amounts,
    Agreement,
    Wire,
    Worst,
    Run,
}

/// Rows and columns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Table {
    pub heads: Vec<&'static str>,
    pub rows: Vec<Vec<Cell>>,
}

/// One cell: its text, and what it says at a glance.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub text: String,
    pub sign: Option<Word>,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: text.into(), sign: None }
    }
}

/// A row of texts.
macro_rules! row {
    ($($cell:expr),+ $(,)?) => { vec![$(Cell::from($cell)),+] };
}

/// The report's parts, in the order in which they are read.
pub(super) fn sections(report: &Report) -> Vec<Section> {
    let sections = [
        limits(report),
        outcomes(report),
        times(report),
        cost(report),
        agreement(report),
        amounts(report),
        wire(report),
        worst(report),
        run(report),
    ];
    sections.into_iter().flatten().collect()
}

fn limits(report: &Report) -> Option<Section> {
    let rows: Vec<Vec<Cell>> = report
        .verdict
        .gates
        .iter()
        .map(|gate| {
            let (found, limit) = figure::gate(gate);
            let needed = match (gate.word, gate.pairs_needed) {
                (Word::Insufficient, Some(pairs)) => {
                    format!(" (about {} pairs)", figure::thousands(pairs))
                }
                _ => String::new(),
            };
            let word =
                Cell { text: format!("{}{needed}", gate.word.as_str()), sign: Some(gate.word) };
            vec![Cell::from(gate.name.clone()), Cell::from(limit), Cell::from(found), word]
        })
        .collect();
    let lead = format!(
        "A limit is kept where the whole interval is within it, and broken where all of it is beyond. \
         Intervals in this table hold at {} each, so that all of them together hold at {}.",
        figure::percent(report.verdict.confidence),
        figure::percent(report.confidence),
    );
    Some(Section {
        topic: Topic::Limits,
        title: "Limits",
        lead: vec![lead],
        table: Some(Table { heads: vec!["limit on", "allowed", "found", "verdict"], rows }),
    })
}

fn outcomes(report: &Report) -> Option<Section> {
    let rows = report.outcomes.iter().map(|outcome| {
        let standing = match outcome.standing {
            Standing::Answered => "answered",
            Standing::Declined => "declined",
            Standing::Failed => "failed",
            Standing::Void => "set aside",
        };
        let name = if outcome.error_type == "none" { "success" } else { outcome.error_type };
        row![
            name,
            standing,
            figure::thousands(outcome.stable),
            figure::thousands(outcome.candidate)
        ]
    });
    let mut lead = vec![difference("Failed", &report.failures)];
    if report.refusals.stable.count + report.refusals.candidate.count > 0 {
        lead.push(difference("Refused", &report.refusals));
    }
    let limits =
        [("stable", &report.refused_by.stable), ("candidate", &report.refused_by.candidate)];
    for (arm, kinds) in limits {
        let kinds: Vec<String> =
            kinds.iter().map(|(kind, count)| format!("{count} by {kind}")).collect();
        if !kinds.is_empty() {
            lead.push(format!(
                "Refused by limits of {arm}, repeats included: {}.",
                kinds.join(", ")
            ));
        }
    }
    Some(Section {
        topic: Topic::Outcomes,
        title: "What came of it",
        lead,
        table: Some(Table {
            heads: vec!["outcome", "counts as", "stable", "candidate"],
            rows: rows.collect(),
        }),
    })
}

/// Two shares and their difference in one sentence.
fn difference(what: &str, shares: &Shares) -> String {
    if shares.pairs == 0 {
        return format!("{what}: no pair to compare.");
    }
    format!(
        "{what}: stable {}; candidate {}; difference {}.",
        figure::share(&shares.stable),
        figure::share(&shares.candidate),
        figure::bounded(Some(shares.difference), figure::points),
    )
}

fn times(report: &Report) -> Option<Section> {
    let mut rows = Vec::new();
    for times in &report.times {
        let quantiles = times.stable_seconds.each().into_iter();
        let others = times.candidate_seconds.each().into_iter().zip(times.ratio.each());
        for ((name, stable), ((_, candidate), (_, ratio))) in quantiles.zip(others) {
            let title = format!("{}, {name}", times.metric.title());
            let written = |of| figure::bounded(of, figure::seconds);
            rows.push(row![
                title,
                written(stable),
                written(candidate),
                figure::bounded(ratio, figure::ratio)
            ]);
        }
        let title = format!("{}, pair by pair", times.metric.title());
        rows.push(row![title, "", "", figure::bounded(times.paired_ratio, figure::ratio)]);
    }
    let pairs = report.times.iter().map(|times| times.pairs).max()?;
    let lead = format!(
        "Over {} pairs in which both arms answered. `Pair by pair` is the median of the candidate's time \
         over stable's for the same question.",
        figure::thousands(pairs),
    );
    Some(Section {
        topic: Topic::Times,
        title: "How long it took",
        lead: vec![lead],
        table: Some(Table {
            heads: vec!["time", "stable", "candidate", "candidate / stable"],
            rows,
        }),
    })
}

fn cost(report: &Report) -> Option<Section> {
    let Some(cost) = &report.cost else {
        let why = "Not known: a price or the usage of an arm is missing.".to_owned();
        return Some(Section {
            topic: Topic::Cost,
            title: "What it costs",
            lead: vec![why],
            table: None,
        });
    };
    let usd = |of| figure::bounded(Some(of), figure::dollars);
    let ratio = figure::bounded(Some(cost.ratio), figure::ratio);
    let mut rows =
        vec![row!["a request", usd(cost.stable_usd), usd(cost.candidate_usd), ratio.clone()]];
    let mut lead = vec![format!(
        "Mean over {} pairs of which both costs are known, by the prices of the configuration.",
        figure::thousands(cost.pairs),
    )];
    if let Some(monthly) = &cost.monthly {
        let title = format!("{} requests a month", figure::thousands(monthly.requests));
        rows.push(row![title, usd(monthly.stable_usd), usd(monthly.candidate_usd), ratio]);
        let saved = monthly.saved_usd;
        let (verb, amount) = if saved.value < 0.0 {
            let turned = |bound: Option<f64>| bound.map(|bound| -bound);
            (
                "costs",
                Bounded {
                    value: -saved.value,
                    lower: turned(saved.upper),
                    upper: turned(saved.lower),
                },
            )
        } else {
            ("saves", saved)
        };
        let more = if verb == "costs" { " more" } else { "" };
        lead.push(format!("The candidate {verb} {} a month{more}.", usd(amount)));
    }
    Some(Section {
        topic: Topic::Cost,
        title: "What it costs",
        lead,
        table: Some(Table {
            heads: vec!["cost of", "stable", "candidate", "candidate / stable"],
            rows,
        }),
    })
}

fn agreement(report: &Report) -> Option<Section> {
    let agreement = &report.agreement;
    let mut rows = vec![row!["the same words", figure::share(&agreement.exact)]];
    if agreement.checks.of > 0 {
        rows.push(row!["both right or both wrong", figure::share(&agreement.checks)]);
    }
    if let Some(same) = &agreement.judged_same {
        rows.push(row!["the judge: agree in substance", figure::share(same)]);
    }
    for (word, title) in [
        (Judgement::StableBetter, "the judge: stable is better"),
        (Judgement::CandidateBetter, "the judge: the candidate is better"),
        (Judgement::Unclear, "the judge: no clear word"),
    ] {
        if let Some(count) = agreement.judged.get(&word) {
            rows.push(row![title, figure::thousands(*count)]);
        }
    }
    let json = agreement.json;
    for (title, count) in [
        ("JSON with the same fields", json.same),
        ("JSON with other fields", json.other_fields),
        ("JSON of stable alone", json.only_stable),
        ("JSON of the candidate alone", json.only_candidate),
    ] {
        if json != Default::default() {
            rows.push(row![title, figure::thousands(count)]);
        }
    }
    let mut lead = Vec::new();
    if report.wrong.pairs > 0 {
        lead.push(difference("Wrong answers", &report.wrong));
    }
    Some(Section {
        topic: Topic::Agreement,
        title: "Whether answers agree",
        lead,
        table: Some(Table { heads: vec!["two answers to one question", "pairs"], rows }),
    })
}

fn amounts(report: &Report) -> Option<Section> {
    let rows: Vec<Vec<Cell>> = report
        .amounts
        .iter()
        .map(|amount| {
            let mean = |of| figure::bounded(of, figure::amount);
            row![
                amount.name,
                mean(amount.stable),
                mean(amount.candidate),
                figure::bounded(amount.ratio, figure::ratio)
            ]
        })
        .collect();
    (!rows.is_empty()).then(|| Section {
        topic: Topic::Amounts,
        title: "How long answers are",
        lead: vec![
            "Means over pairs in which both arms answered; tokens as each provider counts them."
                .to_owned(),
        ],
        table: Some(Table {
            heads: vec!["amount", "stable", "candidate", "candidate / stable"],
            rows,
        }),
    })
}

fn wire(report: &Report) -> Option<Section> {
    let fields = &report.fields;
    let mut lead = vec![if fields.is_one_dialect {
        format!(
            "Both speak {}. {} fields are in the answers of both.",
            report.arms.stable.dialect, fields.shared
        )
    } else {
        format!(
            "Stable speaks {}, the candidate {}: answers have other fields by design, and clients need the \
             router's translation or code of their own.",
            report.arms.stable.dialect, report.arms.candidate.dialect
        )
    }];
    for (arm, models, asked) in [
        ("Stable", &report.models.stable, &report.arms.stable.asked_as),
        ("The candidate", &report.models.candidate, &report.arms.candidate.asked_as),
    ] {
        let named: Vec<String> =
            models.iter().map(|(name, count)| format!("{name} ({count})")).collect();
        if !named.is_empty() {
            lead.push(format!(
                "{arm} was asked for {asked}; answers came from {}.",
                named.join(", ")
            ));
        }
    }
    for (arm, kinds) in
        [("stable", &report.anomalies.stable), ("the candidate", &report.anomalies.candidate)]
    {
        let kinds: Vec<String> =
            kinds.iter().map(|(kind, count)| format!("{kind} ({count})")).collect();
        if !kinds.is_empty() {
            lead.push(format!("Oddities of {arm} that are no failure: {}.", kinds.join(", ")));
        }
    }
    // Where dialects differ, so does every field, and a table of them says nothing.
    let shown = fields.is_one_dialect;
    let only = fields
        .only_stable
        .iter()
        .map(|(field, count)| row![field.clone(), count.to_string(), "never"]);
    let only = only.chain(
        fields
            .only_candidate
            .iter()
            .map(|(field, count)| row![field.clone(), "never", count.to_string()]),
    );
    let rows: Vec<Vec<Cell>> = only.filter(|_| shown).take(40).collect();
    let table = (!rows.is_empty())
        .then(|| Table { heads: vec!["field of answers", "stable", "candidate"], rows });
    Some(Section { topic: Topic::Wire, title: "Schema and models", lead, table })
}

fn worst(report: &Report) -> Option<Section> {
    let rows: Vec<Vec<Cell>> = report
        .worst
        .iter()
        .map(|facts| {
            let of = |bad: u64| format!("{bad} of {}", facts.pairs);
            row![facts.id.clone(), of(facts.stable_bad), of(facts.candidate_bad)]
        })
        .collect();
    (!rows.is_empty()).then(|| Section {
        topic: Topic::Worst,
        title: "Where the candidate is worse",
        lead: vec![
            "Prompts by their names, with how often an arm failed, refused or was wrong."
                .to_owned(),
        ],
        table: Some(Table { heads: vec!["prompt", "stable", "candidate"], rows }),
    })
}

fn run(report: &Report) -> Option<Section> {
    let mut rows = asked_rows(report);
    rows.extend(set_aside_rows(&report.run));
    let lead = "In each pair stable and the candidate are asked one right after the other, in an order \
                that was drawn.";
    Some(Section {
        topic: Topic::Run,
        title: "How it was compared",
        lead: vec![lead.to_owned()],
        table: Some(Table { heads: vec!["", ""], rows }),
    })
}

/// Who was asked what, how fast, for how much.
fn asked_rows(report: &Report) -> Vec<Vec<Cell>> {
    let run = &report.run;
    let arm = |name: &'static str, facts: &ArmFacts| {
        let ArmFacts { target, provider, dialect, model, asked_as } = facts;
        let asked =
            if asked_as == model { String::new() } else { format!(", asked as {asked_as}") };
        row![name, format!("{target}: {model} of {provider} ({dialect}{asked})")]
    };
    let [planned, asked, counted] =
        [run.pairs_planned, run.pairs_asked, run.pairs_counted].map(figure::thousands);
    let rate = match run.rate_per_second {
        Some(rate) => format!("{rate} a second"),
        None => "as fast as they end".to_owned(),
    };
    let judge = match run.judge_usd {
        usd if usd > 0.0 => format!(", of which the judge {}", figure::dollars(usd)),
        _ => String::new(),
    };
    vec![
        arm("stable", &report.arms.stable),
        arm("candidate", &report.arms.candidate),
        row!["prompts", format!("{} from {}", figure::thousands(run.prompts), run.prompts_from)],
        row!["pairs", format!("{planned} planned, {asked} asked, {counted} counted")],
        row!["ended", run.ended_because.clone()],
        row!["pace", format!("{rate}, {} at once, {:.0} s in all", run.concurrency, run.seconds)],
        row!["spent", format!("{}{judge}", figure::dollars(run.spent_usd))],
        row!["seed", run.seed.to_string()],
    ]
}

/// What is not in the comparison, and why.
fn set_aside_rows(run: &RunFacts) -> Vec<Vec<Cell>> {
    let counted = |counts: &BTreeMap<String, u64>| {
        counts.iter().map(|(why, count)| format!("{count}: {why}")).collect::<Vec<_>>()
    };
    let set_aside = run.set_aside.iter().map(|(why, count)| format!("{count}: {why}"));
    let some = |count: u64, what: &str| {
        if count > 0 { vec![format!("{}{what}", figure::thousands(count))] } else { Vec::new() }
    };
    let all = [
        ("set aside", set_aside.collect()),
        ("asked again", some(run.repeats, " pairs, as a rate limit was in the way")),
        ("could not be told to", counted(&run.untold)),
        ("left out of requests", counted(&run.parameters_left_out)),
        ("left out of the capture", counted(&run.capture_left_out)),
        ("keys replaced", some(run.keys_replaced, "")),
    ];
    let known = all.into_iter().filter(|(_, counts)| !counts.is_empty());
    known.map(|(title, counts)| row![title, counts.join(", ")]).collect()
}
