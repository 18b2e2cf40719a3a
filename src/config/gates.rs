//! `gates:` of a release: what has to hold for a stage to pass.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::{duration, money};
use super::providers::unique;
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{choice, name, number, raw, refuse};
use super::slos::objective;
use crate::model::Mistake;
use crate::promql::{self, ValueType};
use crate::release::gate::{Bound, Counter, Counters, Gate, Latency, Subject};
use crate::statistics::Proportion;
use crate::yaml::Node;

/// The indicators, and the fields that each has beside `name`, `indicator` and `weight`.
const INDICATORS: [(&str, &[&str]); 8] = [
    ("errors", &["objective", "counters"]),
    ("latency", &["objective", "threshold", "counters"]),
    ("ttft", &["objective", "threshold", "counters"]),
    ("time_per_token", &["objective", "threshold", "counters"]),
    ("content", &["objective", "counters"]),
    ("against_stable", &["counters"]),
    ("cost", &["mean_max", "ceiling"]),
    ("expression", &["expr", "pass", "fail", "failures_in_a_row"]),
];
const KEYS: [&str; 12] = [
    "name",
    "indicator",
    "weight",
    "objective",
    "threshold",
    "mean_max",
    "ceiling",
    "expr",
    "pass",
    "fail",
    "failures_in_a_row",
    "counters",
];
const THRESHOLD: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// Reads `gates:`, those without mistakes.
pub(super) fn gates(reader: &mut Reader, release: &Fields<'_>) -> Vec<Gate> {
    let mut names = Vec::new();
    let mut found = Vec::new();
    for (index, node) in reader.items(release, "gates").into_iter().enumerate() {
        let called = node.get("name").or_else(|| node.get("indicator")).and_then(Node::text);
        let what = match called.filter(|text| !text.is_empty()) {
            Some(called) => release.part(&format!("gate `{called}`")),
            None => release.part(&format!("gate {}", index + 1)),
        };
        let Some(fields) = reader.fields(node, what, &KEYS) else { continue };
        found.extend(gate(reader, &fields, &mut names));
    }
    found
}

fn gate(reader: &mut Reader, fields: &Fields<'_>, names: &mut Vec<String>) -> Option<Gate> {
    let words = INDICATORS.map(|indicator| (indicator.0, indicator));
    let remedy = "write `errors`, `latency`, `ttft`, `time_per_token`, `content`, `against_stable`, `cost` or \
                  `expression`";
    let indicator = reader.required(fields, "indicator", remedy, |node| choice(node, &words));
    // Without a name of its own it is called by its indicator.
    let key = if fields.has("name") { "name" } else { "indicator" };
    let name = reader.optional(fields, key, |node| unique(node, name(node)?, names));
    let weight = reader.optional(fields, "weight", |node| number(node, 1..=1000)).unwrap_or(1);
    let (word, own) = indicator?;
    for key in KEYS.iter().skip(3).filter(|key| !own.contains(key)) {
        if let Some(node) = fields.get(key) {
            let message = prefixed(&fields.what, &format!("`{key}` has no meaning for `{word}`"));
            reader.report(Mistake::new(node.place.clone(), message).remedy("remove it"));
        }
    }
    let counters = match fields.get("counters").filter(|_| own.contains(&"counters")) {
        Some(node) => Some(counters(reader, fields, node)?),
        None => None,
    };
    Some(Gate { subject: subject(reader, fields, word)?, name: name?, weight, counters })
}

fn subject(reader: &mut Reader, fields: &Fields<'_>, word: &str) -> Option<Subject> {
    Some(match word {
        "errors" => Subject::Errors { allowed: allowed(reader, fields)? },
        "content" => Subject::Content { allowed: allowed(reader, fields)? },
        "against_stable" => Subject::AgainstStable,
        "cost" => cost(reader, fields)?,
        "expression" => expression(reader, fields)?,
        _ => {
            let latency = match word {
                "ttft" => Latency::Ttft,
                "time_per_token" => Latency::PerToken,
                _ => Latency::Total,
            };
            let allowed = allowed(reader, fields);
            let remedy = "write how long it may take, such as `2s`";
            let threshold =
                reader.required(fields, "threshold", remedy, |node| duration(node, THRESHOLD));
            Subject::Slow { latency, threshold: threshold?, allowed: allowed? }
        }
    })
}

/// Who counts the outcomes of traffic that somebody else carries.
fn counters(reader: &mut Reader, gate: &Fields<'_>, node: &Node) -> Option<Counters> {
    let fields = reader.fields(node, gate.part("counters"), &["candidate", "stable"])?;
    let remedy = "write `{bad: EXPR, finished: EXPR}`, each a counter";
    if !fields.has("candidate") {
        reader.missing(&fields, "candidate", remedy);
    }
    let mut arm = |key: &str| {
        let inner = reader.fields(fields.get(key)?, fields.part(key), &["bad", "finished"])?;
        let remedy = "write a PromQL expression of a counter, such as `sum(requests_total)`";
        let bad = reader.required(&inner, "bad", remedy, expr);
        let finished = reader.required(&inner, "finished", remedy, expr);
        Some(Counter { bad: bad?, finished: finished? })
    };
    let (candidate, stable) = (arm("candidate"), arm("stable"));
    let is_whole = stable.is_some() || !fields.has("stable");
    Some(Counters { candidate: candidate?, stable }).filter(|_| is_whole)
}

/// What an objective leaves.
fn allowed(reader: &mut Reader, fields: &Fields<'_>) -> Option<Proportion> {
    let remedy = "write how many percent have to be good, such as `99`";
    let objective = reader.required(fields, "objective", remedy, objective)?;
    Proportion::new(objective.allowed()).ok()
}

fn cost(reader: &mut Reader, fields: &Fields<'_>) -> Option<Subject> {
    let remedy = "write how many dollars a request may cost on average, such as `0.002`";
    let mean_max = reader.required(fields, "mean_max", remedy, money);
    let remedy = "write what no request costs more than, such as `0.05`";
    let ceiling = reader.required(fields, "ceiling", remedy, money);
    let (mean_max, ceiling) = (mean_max?, ceiling?);
    if mean_max.nanos() == 0 || mean_max >= ceiling {
        let message = format!("`mean_max` is `{mean_max}`, and the ceiling `{ceiling}`");
        let mistake = Mistake::new(fields.place().clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("write more than nothing, and less than the ceiling"));
        return None;
    }
    Some(Subject::Cost { mean_max, ceiling })
}

fn expression(reader: &mut Reader, fields: &Fields<'_>) -> Option<Subject> {
    let expr = reader.required(fields, "expr", "write a PromQL expression", expr);
    let remedy = "write a comparison such as `< 0.5`";
    let mut side = |key: &str| reader.required(fields, key, remedy, bound);
    let (pass, fail) = (side("pass"), side("fail"));
    let in_a_row = reader.optional(fields, "failures_in_a_row", |node| number(node, 1..=1000));
    let (pass, fail) = (pass?, fail?);
    if pass.meets(fail) {
        let message = format!("some values are both `{pass}` and `{fail}`");
        let mistake = Mistake::new(fields.place().clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("let `pass` and `fail` exclude each other"));
        return None;
    }
    Some(Subject::Expression { expr: expr?, pass, fail, failures_in_a_row: in_a_row.unwrap_or(3) })
}

fn expr(node: &Node) -> Result<String, Mistake> {
    let text = raw(node, "a PromQL expression")?;
    let parsed = promql::parse(text).map_err(|error| {
        let mistake = refuse(node, format!("which is not PromQL: {}", error.message));
        Mistake { place: node.place_within(error.line, error.column), ..mistake }
    })?;
    match parsed.value_type() {
        ValueType::Scalar | ValueType::Vector => Ok(text.to_owned()),
        other @ (ValueType::Matrix | ValueType::String) => {
            let why = format!("which yields a {other}");
            Err(refuse(node, why).remedy("a gate needs an instant vector or a scalar"))
        }
    }
}

fn bound(node: &Node) -> Result<Bound, Mistake> {
    let text = raw(node, "a comparison such as `< 0.5`")?;
    Bound::parse(text).ok_or_else(|| {
        refuse(node, "which is no comparison")
            .remedy("write `<`, `<=`, `>` or `>=` and a number, such as `'< 0.5'`")
    })
}
