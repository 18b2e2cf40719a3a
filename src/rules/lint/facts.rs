//! What an expression rests on: windows of time, counts, ratios.

use std::collections::BTreeMap;

use crate::model::{Labels, MatchOp, Matcher};
use crate::promql::{Expr, PartKind, ValueType};

/// What is known of an expression or of one of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// It looks at more than one moment.
    pub(super) is_windowed: bool,
    /// It counts events in a window.
    pub(super) is_counted: bool,
    /// It is a share of counts, or a quantile, which few samples make meaningless.
    pub(super) is_ratio: bool,
    /// Something in it asks for a minimum that is no ratio's.
    pub(super) has_minimum: bool,
}

impl Facts {
    fn with(self, other: Self) -> Self {
        Self {
            is_windowed: self.is_windowed || other.is_windowed,
            is_counted: self.is_counted || other.is_counted,
            is_ratio: self.is_ratio || other.is_ratio,
            has_minimum: self.has_minimum || other.has_minimum,
        }
    }
}

/// What recorded series rest on, by their names.
pub(super) type Recorded = BTreeMap<String, Facts>;

/// Recorded series build on each other, rarely more than a few deep.
const DEPTH_MAX: usize = 8;

/// Works out what recorded series rest on, in whatever order they are recorded.
pub(super) fn recorded<'a>(rules: impl Iterator<Item = (&'a str, &'a Expr)> + Clone) -> Recorded {
    let names = rules.clone().map(|(name, _)| (name.to_owned(), Facts::default()));
    let mut recorded: Recorded = names.collect();
    for _ in 0..DEPTH_MAX {
        let before = recorded.clone();
        for (name, expr) in rules.clone() {
            let facts = whole(expr, &before);
            if let Some(held) = recorded.get_mut(name) {
                *held = held.with(facts);
            }
        }
        if before == recorded {
            break;
        }
    }
    recorded
}

/// What a whole expression rests on.
pub(super) fn whole(expr: &Expr, recorded: &Recorded) -> Facts {
    let parts = expr.parts();
    let mut facts: Vec<Facts> = Vec::with_capacity(parts.len());
    for part in &parts {
        let of = |position: &usize| facts.get(*position).copied().unwrap_or_default();
        let found = match &part.kind {
            PartKind::Constant => Facts::default(),
            PartKind::Selection { matchers, range, .. } => {
                let facts = name(matchers).map(|name| series(name, recorded)).unwrap_or_default();
                Facts { is_windowed: facts.is_windowed || range.is_some(), ..facts }
            }
            PartKind::Subquery { inner, .. } => Facts { is_windowed: true, ..of(inner) },
            PartKind::Around(inner) | PartKind::Aggregate { operand: inner, .. } => of(inner),
            PartKind::Call { function, arguments } => {
                let all = arguments.iter().map(of).fold(Facts::default(), Facts::with);
                let counts = ["rate", "irate", "increase", "count_over_time", "sum_over_time"];
                Facts {
                    is_counted: all.is_counted || counts.contains(function),
                    is_ratio: all.is_ratio || *function == "histogram_quantile",
                    ..all
                }
            }
            PartKind::Binary { operator, left, right } => {
                let (left_facts, right_facts) = (of(left), of(right));
                let both = left_facts.with(right_facts);
                let is_scalar = |position: &usize| {
                    parts.get(*position).is_some_and(|part| part.value_type == ValueType::Scalar)
                };
                let is_share = *operator == "/" && left_facts.is_counted && right_facts.is_counted;
                let is_minimum = match *operator {
                    ">" | ">=" => is_scalar(right) && !left_facts.is_ratio,
                    "<" | "<=" => is_scalar(left) && !right_facts.is_ratio,
                    _ => false,
                };
                Facts {
                    is_ratio: both.is_ratio || is_share,
                    has_minimum: both.has_minimum || is_minimum,
                    ..both
                }
            }
        };
        facts.push(found);
    }
    facts.last().copied().unwrap_or_default()
}

/// A series by its name. One that is recorded elsewhere says by its name what it is, after the
/// pattern `level:metric:operations`.
fn series(name: &str, recorded: &Recorded) -> Facts {
    match recorded.get(name) {
        Some(facts) => *facts,
        None => {
            let is_recorded = name.contains(':');
            Facts {
                is_windowed: is_recorded,
                is_counted: is_recorded,
                is_ratio: is_recorded && name.contains("ratio"),
                has_minimum: false,
            }
        }
    }
}

/// The name that a selector asks for, where it asks for one.
pub(super) fn name(matchers: &[Matcher]) -> Option<&str> {
    let named =
        |matcher: &&Matcher| matcher.name() == Labels::NAME && matcher.op() == MatchOp::Equal;
    matchers.iter().find(named).map(Matcher::value)
}
