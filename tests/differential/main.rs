//! The engine against a real Prometheus: drawn data, drawn expressions, the same answers.
//!
//! `DIFFERENTIAL_SEED` and `DIFFERENTIAL_COUNT` choose what is drawn and how much. Each world of
//! data has its own Prometheus and its own seed, so a failure's seed repeats it:
//! `DIFFERENTIAL_SEED=7 DIFFERENTIAL_COUNT=1 cargo test --features peers --test differential`.
//! `PROMETHEUS3` names a Prometheus 3; otherwise the system's is asked. With Prometheus 2 no sample
//! lies on the edge of a window, since those edges moved, and newer syntax is left out.
#![cfg(feature = "peers")]

mod compare;
mod data;
mod draw;
mod expression;
mod grammar;
mod minimize;
mod peer;
mod query;
mod release;
mod remote_write;

use std::fmt::Write as _;

use compare::{Manners, Measure, short};
use draw::Draw;
use expression::Expression;
use grammar::Grammar;
use minimize::Case;
use peer::{Peer, Program};
use query::Said;

/// How many expressions are asked of one world.
const WORLD: usize = 250;
/// How often the peer is asked again, since it adds in random order where it joins vectors over a
/// range.
const AGAIN: usize = 6;
/// How many differences are cut down; the others are told as they are.
const MINIMIZED_MAX: usize = 3;
/// How many series are written out.
const SERIES_MAX: usize = 12;

#[derive(Default)]
struct Tally {
    asked: usize,
    failed_alike: usize,
    empty: usize,
    refused: usize,
    unsteady: usize,
    differences: Vec<String>,
}

#[tokio::test]
async fn answers_are_those_of_a_real_prometheus() {
    let seed = number("DIFFERENTIAL_SEED", 1);
    let count = usize::try_from(number("DIFFERENTIAL_COUNT", 2000)).expect("a count");
    let program = Program::find();
    let (grammar, manners) = release::find_out(&program).await;
    println!(
        "Prometheus {}: {manners:?}, without {:?}, edges {:?}",
        program.version, grammar.missing, grammar.edges
    );
    let mut tally = Tally::default();
    for world in 0..count.div_ceil(WORLD) {
        let left = count - world * WORLD;
        ask_world(&program, &grammar, manners, seed + world as u64, left.min(WORLD), &mut tally)
            .await;
    }
    println!(
        "{} expressions from seed {seed}: {} failed alike, {} were empty alike, {} we refuse by \
         name, {} were answered by the peer in several ways and ours is one, {} differ",
        tally.asked,
        tally.failed_alike,
        tally.empty,
        tally.refused,
        tally.unsteady,
        tally.differences.len(),
    );
    assert!(tally.differences.is_empty(), "\n{}", tally.differences.join("\n\n"));
    // A generator that draws nothing but mistakes and absences would prove nothing.
    assert!(tally.failed_alike + tally.empty < tally.asked / 2, "too few answers to compare");
}

async fn ask_world(
    program: &Program,
    grammar: &Grammar,
    manners: Manners,
    seed: u64,
    count: usize,
    tally: &mut Tally,
) {
    let mut draw = Draw::new(seed);
    let data = data::draw(&mut draw.split(), grammar.edges, grammar.has_prometheus_3_syntax);
    let peer = Peer::with(program, &data).await;
    let store = query::store(&data);
    for number in 0..count {
        let mut draw = draw.split();
        let expression = grammar.expression(&mut draw);
        let times = grammar.times(&mut draw, expression.kind);
        let expression = perhaps_broken(expression, grammar, &mut draw);
        tally.asked += 1;
        let text = expression.to_string();
        let measure = Measure::of(&expression, manners);
        let ours = query::ours(&store, &text, times);
        let theirs = peer.ask(&text, times).await;
        match &theirs {
            Said::Failure(_) => tally.failed_alike += 1,
            Said::Value { value, .. } if is_empty(value) => tally.empty += 1,
            Said::Value { .. } | Said::Refused => {}
        }
        if matches!(ours, Said::Refused) {
            tally.refused += 1;
        }
        let Some(difference) = measure.difference(&ours, &theirs) else { continue };
        let mut is_unsteady = false;
        let mut is_met = false;
        for _ in 0..AGAIN {
            let again = peer.ask(&text, times).await;
            is_unsteady |= measure.difference(&theirs, &again).is_some();
            is_met |= measure.loosely().difference(&ours, &again).is_none();
        }
        if is_unsteady && is_met {
            tally.unsteady += 1;
            continue;
        }
        let mut report =
            format!("seed {seed}, expression {number}, {times}: {text}\n  {difference}");
        if tally.differences.len() < MINIMIZED_MAX {
            let case = Case { expression, times, data: data.clone() };
            report +=
                &shown(&minimize::minimize(case, &peer, program, manners).await, program).await;
        }
        println!("{report}\n");
        tally.differences.push(report);
    }
}

/// A few expressions lose a piece of their text, so that mistakes are compared, too. Not `topk`,
/// which might lose what makes its choice among equals not matter.
fn perhaps_broken(expression: Expression, grammar: &Grammar, draw: &mut Draw) -> Expression {
    let text = expression.to_string();
    if !grammar.has_prometheus_3_syntax
        || !draw.chance(4)
        || text.contains("topk")
        || text.contains("bottomk")
    {
        return expression;
    }
    let characters: Vec<char> = text.chars().collect();
    let from = draw.below(characters.len());
    let until = (from + 1 + draw.below(4)).min(characters.len());
    let kept = characters[..from].iter().chain(&characters[until..]);
    Expression::leaf(expression.kind, kept.collect::<String>())
        .ordered(expression.order)
        .close_if(expression.is_close())
}

fn is_empty(value: &bellwether::promql::Value) -> bool {
    use bellwether::promql::Value;
    match value {
        Value::Vector(points) => points.is_empty(),
        Value::Matrix(series) => series.is_empty(),
        Value::Scalar(_) | Value::String(_) => false,
    }
}

/// A case as text: expression, both answers, samples.
async fn shown(case: &Case, program: &Program) -> String {
    let text = case.expression.to_string();
    let peer = Peer::with(program, &case.data).await;
    let ours = query::ours(&query::store(&case.data), &text, case.times);
    let theirs = peer.ask(&text, case.times).await;
    let mut shown = format!("\n  smallest: {text}\n  {}\n", case.times);
    // Writing to a string cannot fail.
    let _infallible = write!(shown, "  ours:   {}\n  theirs: {}", short(&ours), short(&theirs));
    if case.data.len() > SERIES_MAX {
        let _infallible = write!(shown, "\n  over {} series", case.data.len());
        return shown;
    }
    for (labels, samples) in &case.data {
        let points: Vec<String> = samples
            .iter()
            .map(|sample| format!("{:?}@{}", sample.value, sample.at.millis()))
            .collect();
        let _infallible = write!(shown, "\n  {labels} {}", short(&points.join(" ")));
    }
    shown
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable}=`{text}` is no number")),
        Err(_) => default,
    }
}
