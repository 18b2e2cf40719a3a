//! A difference cut down to what it needs.

use crate::compare::{Manners, Measure};
use crate::data::Data;
use crate::expression::Expression;
use crate::peer::{Peer, Program};
use crate::query::{self, Times};

/// One expression over one set of data, at certain times.
#[derive(Clone)]
pub struct Case {
    pub expression: Expression,
    pub times: Times,
    pub data: Data,
}

/// How many expressions are tried, and for how many sets of data a peer is started.
const EXPRESSIONS_MAX: usize = 400;
const PEERS_MAX: usize = 60;

/// Cuts first the expression, which costs a query a trial, then the data, which costs a new peer.
pub async fn minimize(case: Case, peer: &Peer, program: &Program, manners: Manners) -> Case {
    let mut case = case;
    let store = query::store(&case.data);
    let mut trials = 0;
    'again: loop {
        let mut candidates: Vec<(Expression, Times)> = Vec::new();
        if let Times::Range { start, end, step } = case.times {
            let step = step.max(1);
            let instants = (0..=(end - start) / step).map(|position| start + position * step);
            candidates.extend(instants.map(|at| (case.expression.clone(), Times::At(at))));
        }
        candidates.extend(case.expression.smaller().into_iter().map(|part| (part, case.times)));
        for (expression, times) in candidates {
            trials += 1;
            if trials > EXPRESSIONS_MAX {
                break 'again;
            }
            if differs(manners, &expression, times, &store, peer).await {
                case = Case { expression, times, ..case };
                continue 'again;
            }
        }
        break;
    }
    let mut peers = 0;
    let mut pieces = 2;
    while case.data.len() > 1 && peers < PEERS_MAX {
        let length = case.data.len().div_ceil(pieces);
        let mut is_smaller = false;
        for piece in 0..pieces {
            let kept = |position: &usize| position / length != piece;
            let data: Data =
                (0..case.data.len()).filter(kept).map(|at| case.data[at].clone()).collect();
            peers += 1;
            if data.len() < case.data.len() && still_differs(&case, &data, program, manners).await {
                case.data = data;
                is_smaller = true;
                break;
            }
        }
        if !is_smaller && length == 1 {
            break;
        }
        pieces = if is_smaller { pieces.min(case.data.len()) } else { pieces * 2 };
        pieces = pieces.clamp(2, case.data.len().max(2));
    }
    // Samples: the first or the last half of all, by time.
    loop {
        let mut times: Vec<_> = case.data.iter().flat_map(|(_, samples)| samples).collect();
        times.sort_by_key(|sample| sample.at);
        let Some(middle) = times.get(times.len() / 2).map(|sample| sample.at) else { break };
        let mut is_smaller = false;
        for keeps_late in [true, false] {
            let mut data = case.data.clone();
            for (_, samples) in &mut data {
                samples.retain(|sample| (sample.at >= middle) == keeps_late);
            }
            data.retain(|(_, samples)| !samples.is_empty());
            peers += 1;
            let count = |data: &Data| data.iter().map(|(_, samples)| samples.len()).sum::<usize>();
            if count(&data) < count(&case.data)
                && still_differs(&case, &data, program, manners).await
            {
                case.data = data;
                is_smaller = true;
                break;
            }
        }
        if !is_smaller || peers >= PEERS_MAX {
            break;
        }
    }
    case
}

async fn still_differs(case: &Case, data: &Data, program: &Program, manners: Manners) -> bool {
    let peer = Peer::with(program, data).await;
    differs(manners, &case.expression, case.times, &query::store(data), &peer).await
}

async fn differs(
    manners: Manners,
    expression: &Expression,
    times: Times,
    store: &bellwether::series::Store,
    peer: &Peer,
) -> bool {
    let text = expression.to_string();
    let measure = Measure::of(expression, manners);
    let ours = query::ours(store, &text, times);
    measure.difference(&ours, &peer.ask(&text, times).await).is_some()
}
