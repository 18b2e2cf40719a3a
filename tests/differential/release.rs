//! What the peer's release does otherwise, found out by asking it.

use std::collections::BTreeSet;

use bellwether::promql::Value;

use crate::compare::Manners;
use crate::data::Edges;
use crate::grammar::{Grammar, WINDOWS};
use crate::peer::{Peer, Program};
use crate::query::{Said, Times};

pub async fn find_out(program: &Program) -> (Grammar, Manners) {
    let peer = Peer::with(program, &Vec::new()).await;
    let mut missing = BTreeSet::new();
    for name in WINDOWS {
        if fails(&peer, &format!("{name}(x[1m])")).await {
            missing.insert(name);
        }
    }
    // Prometheus 3.5 takes the lowest bucket as endless, newer ones as beginning at 0.
    let only_bucket = "histogram_fraction(0, 1, label_replace(vector(1), 'le', '+Inf', '', ''))";
    match peer.ask(only_bucket, Times::At(0)).await {
        Said::Value { value: Value::Vector(points), .. }
            if points.iter().any(|point| point.value == 0.0) => {}
        _ => drop(missing.insert("histogram_fraction")),
    }
    let two = "(label_replace(vector(0), 'a', 'x', '', '') or vector(0))";
    let manners = Manners {
        has_remarks: program.is_3(),
        rounds_alike: program.is_3(),
        matches_before_filtering: fails(&peer, &format!("{two} > on () vector(1)")).await,
    };
    // Prometheus 2 stretched counters to zero at other times, gave one NaN a deviation of 0,
    // and left a metric's name on an angle.
    let changed: &[&str] =
        if program.is_3() { &[] } else { &["rate(", "increase(", "stddev", "stdvar", "atan2"] };
    let grammar = Grammar {
        changed,
        edges: if program.is_3() { Edges::Met } else { Edges::Avoided },
        has_prometheus_3_syntax: program.is_3(),
        missing,
        // Prometheus 2 refuses -Inf, which asks for nothing, too.
        checks_counts: program.is_3() && fails(&peer, "topk(NaN, absent(vector(1)))").await,
    };
    (grammar, manners)
}

async fn fails(peer: &Peer, query: &str) -> bool {
    matches!(peer.ask(query, Times::At(0)).await, Said::Failure(_))
}
