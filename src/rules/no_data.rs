//! What becomes of a rule's alerts while there is nothing to judge by.
//!
//! To Prometheus, a condition that can't be looked at is one that does not hold: when the series are
//! gone, the alert resolves. The annotation `bellwether_no_data` says otherwise for a rule; a real
//! Prometheus loads the same file and takes it for an annotation like any other.
//!
//! There is no data where the expression yields nothing and no selector in it finds a series with a
//! sample: in its window, or, for one without a window, a series that has not ended and has a sample
//! within the lookback. One series is enough to be data, whatever it says. A selector that `@` binds
//! to a moment, and an expression without selectors, always count as data.

use std::time::Duration;

use crate::model::{Timestamp, is_stale};
use crate::promql::{Expr, PartKind};
use crate::series::Source;

/// The annotation that says it.
pub const NO_DATA: &str = "bellwether_no_data";

/// What a rule says of having no data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NoData {
    /// As in Prometheus: the condition does not hold.
    #[default]
    Ok,
    /// Alerts stay as they are: what fires fires on, what is pending neither fires nor ends. The
    /// time counts towards `for`.
    Keep,
    /// The condition counts as met: alerts go on, and where there is none, one without the labels of
    /// a series begins, with NaN as its value.
    Firing,
}

impl NoData {
    /// The values of the annotation.
    pub(super) const WORDS: [(&'static str, Self); 3] =
        [("ok", Self::Ok), ("keep", Self::Keep), ("firing", Self::Firing)];
}

/// Whether an expression has anything to judge by.
pub(super) fn has_data(
    expr: &Expr,
    source: &dyn Source,
    at: Timestamp,
    lookback: Duration,
) -> bool {
    let parts = expr.parts();
    // What subqueries around a part add to its window and its offset, in milliseconds. A part stands
    // after what it is made of, so going backward meets the outer one first.
    let mut around = vec![(0_i64, 0_i64); parts.len()];
    let mut has_selector = false;
    for (position, part) in parts.iter().enumerate().rev() {
        let (wider, earlier) = around[position];
        let mut hand_down = |inner: &usize, wider: i64, earlier: i64| {
            if let Some(slot) = around.get_mut(*inner) {
                *slot = (wider, earlier);
            }
        };
        match &part.kind {
            PartKind::Constant => {}
            PartKind::Around(inner) => hand_down(inner, wider, earlier),
            PartKind::Subquery { inner, range, offset_millis } => {
                let wider = wider.saturating_add(millis(*range));
                hand_down(inner, wider, earlier.saturating_add(*offset_millis));
            }
            PartKind::Call { arguments, .. } => {
                arguments.iter().for_each(|inner| hand_down(inner, wider, earlier));
            }
            PartKind::Aggregate { operand, parameter, .. } => {
                hand_down(operand, wider, earlier);
                parameter.iter().for_each(|inner| hand_down(inner, wider, earlier));
            }
            PartKind::Binary { left, right, .. } => {
                hand_down(left, wider, earlier);
                hand_down(right, wider, earlier);
            }
            PartKind::Selection { is_pinned: true, .. } => return true,
            PartKind::Selection { matchers, range, offset_millis, .. } => {
                has_selector = true;
                let earlier = earlier.saturating_add(*offset_millis);
                let until = Timestamp::from_millis(at.millis().saturating_sub(earlier));
                let window = millis(range.unwrap_or(lookback)).saturating_add(wider);
                let after = Timestamp::from_millis(until.millis().saturating_sub(window));
                let is_instant = range.is_none() && wider == 0;
                let mut is_found = false;
                source.select(matchers, after, until, &mut |_, samples| {
                    is_found |= match is_instant {
                        true => samples.last().is_some_and(|sample| !is_stale(sample.value)),
                        false => samples.iter().any(|sample| !is_stale(sample.value)),
                    };
                });
                if is_found {
                    return true;
                }
            }
        }
    }
    !has_selector
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
