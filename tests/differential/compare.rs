//! Whether two answers are the same as far as Prometheus defines them.
//!
//! Values are equal bit by bit, any NaN being equal to any other. Where functions are used that Go
//! computes itself and we take from the C library, values may differ by 1e-12 of themselves, or by
//! 1e-12 near zero: Go's `Log2` and `Log10` lose that much around one. Which of several equal values
//! `topk` chooses, and in which order `sort` puts equal values, is left open. Over a range Prometheus
//! puts the results of joins and set operators in random order, and so it adds them: where its own
//! answers differ when it is asked again, ours has to be as close to one of them.

use std::collections::BTreeSet;

use bellwether::model::Labels;
use bellwether::promql::{Point, Series, Value};

use crate::expression::{Expression, Order};
use crate::query::Said;

/// What releases of Prometheus do differently.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// Whether there are remarks; Prometheus 2.42 has none.
    pub has_remarks: bool,
    /// Whether values are rounded as we round them; Prometheus 2.42 adds without compensation and
    /// multiplies rates in another order.
    pub rounds_alike: bool,
    /// Whether too many matches are a mistake even where a filter leaves none of them, as since
    /// Prometheus 3.6.
    pub matches_before_filtering: bool,
}

/// How an answer is compared.
#[derive(Clone, Copy)]
pub struct Measure {
    pub order: Order,
    is_close: bool,
    /// By how much of themselves close values may differ.
    share: f64,
    pub manners: Manners,
}

impl Measure {
    pub fn of(expression: &Expression, manners: Manners) -> Self {
        let is_close = expression.is_close() || !manners.rounds_alike;
        let share = if manners.rounds_alike { 1e-12 } else { 1e-9 };
        Self { order: expression.order, is_close, share, manners }
    }

    /// For answers that depend on the order of a sum: a variance of times, which are large and lie
    /// close together, loses half of its places.
    pub fn loosely(self) -> Self {
        Self { is_close: true, share: 1e-6, ..self }
    }

    fn same(self, left: f64, right: f64) -> bool {
        if left.is_nan() || right.is_nan() {
            return left.is_nan() && right.is_nan();
        }
        let near = || (left - right).abs() <= self.share * left.abs().max(right.abs()).max(1.0);
        left.to_bits() == right.to_bits() || left == right && self.is_close || {
            self.is_close && left.is_finite() && right.is_finite() && near()
        }
    }

    /// What differs, if anything does.
    pub fn difference(self, ours: &Said, theirs: &Said) -> Option<String> {
        match (ours, theirs) {
            (Said::Failure(_), Said::Failure(_)) | (Said::Refused, _) => None,
            (
                Said::Value { value: ours, remarks },
                Said::Value { value: theirs, remarks: their_remarks },
            ) => self.values(ours, theirs).or_else(|| {
                let is_same = !self.manners.has_remarks || same_remarks(remarks, their_remarks);
                (!is_same).then(|| format!("we remark {remarks:?}, they {their_remarks:?}"))
            }),
            (Said::Failure(error), Said::Value { .. })
                if error.contains("many-to-one matching must be explicit")
                    && !self.manners.matches_before_filtering =>
            {
                None
            }
            (Said::Failure(error), _) => Some(format!("we fail, they do not: {error}")),
            (_, Said::Failure(error)) => Some(format!("they fail, we do not: {error}")),
            (_, Said::Refused) => Some("they refuse".to_owned()),
        }
    }

    fn values(self, ours: &Value, theirs: &Value) -> Option<String> {
        match (ours, theirs) {
            (Value::Scalar(ours), Value::Scalar(theirs)) if self.same(*ours, *theirs) => None,
            (Value::String(ours), Value::String(theirs)) if ours == theirs => None,
            (Value::Vector(ours), Value::Vector(theirs)) => self.vectors(ours, theirs),
            (Value::Matrix(ours), Value::Matrix(theirs)) => match self.order {
                Order::Ranked | Order::RankedByGroup => self.ranked_steps(ours, theirs),
                Order::Open | Order::Sorted => self.matrices(ours, theirs),
            },
            _ => Some(format!("ours is {}, theirs {}", short(ours), short(theirs))),
        }
    }

    fn vectors(self, ours: &[Point], theirs: &[Point]) -> Option<String> {
        if ours.len() != theirs.len() {
            return Some(format!("ours is {}, theirs {}", short(&ours), short(&theirs)));
        }
        if matches!(self.order, Order::Sorted | Order::Ranked) {
            let differs = |(ours, theirs): &(&Point, &Point)| !self.same(ours.value, theirs.value);
            if let Some((ours, theirs)) = ours.iter().zip(theirs).find(differs) {
                return Some(format!("out of order: {ours:?} instead of {theirs:?}"));
            }
        }
        if matches!(self.order, Order::Ranked | Order::RankedByGroup) {
            let pairs = |points: &[Point]| -> Vec<_> {
                points.iter().map(|point| (point.labels.clone(), point.value)).collect()
            };
            return self.ranked(pairs(ours), pairs(theirs));
        }
        let (ours, theirs) = (by_labels(ours), by_labels(theirs));
        ours.iter().zip(&theirs).find_map(|(ours, theirs)| {
            let is_same = ours.labels == theirs.labels
                && ours.at == theirs.at
                && self.same(ours.value, theirs.value);
            (!is_same).then(|| format!("{ours:?} instead of {theirs:?}"))
        })
    }

    fn matrices(self, ours: &[Series], theirs: &[Series]) -> Option<String> {
        if ours.len() != theirs.len() {
            return Some(format!("ours is {}, theirs {}", short(&ours), short(&theirs)));
        }
        let mut sorted: Vec<&Series> = theirs.iter().collect();
        sorted.sort_by(|left, right| left.labels.cmp(&right.labels));
        ours.iter().zip(sorted).find_map(|(ours, theirs)| {
            if ours.labels != theirs.labels {
                return Some(format!("{} instead of {}", short(ours), short(theirs)));
            }
            if ours.samples.len() != theirs.samples.len() {
                return Some(format!("{} instead of {}", short(ours), short(theirs)));
            }
            ours.samples.iter().zip(&theirs.samples).find_map(|(one, other)| {
                let is_same = one.at == other.at && self.same(one.value, other.value);
                let labels = &ours.labels;
                (!is_same).then(|| format!("{labels} {one:?} instead of {other:?}"))
            })
        })
    }

    /// At each step the chosen values are the same; whoever is not tied with the last one chosen is
    /// the same, too. With groups the tie may be in any of them, so only values without a double
    /// count.
    fn ranked(self, mut ours: Vec<(Labels, f64)>, theirs: Vec<(Labels, f64)>) -> Option<String> {
        if ours.len() != theirs.len() {
            return Some(format!("ours is {}, theirs {}", short(&ours), short(&theirs)));
        }
        for (labels, value) in &theirs {
            let place = ours
                .iter()
                .position(|(other, own)| other == labels && self.same(*own, *value))
                .or_else(|| ours.iter().position(|(_, own)| self.same(*own, *value)));
            match place {
                Some(place) => drop(ours.swap_remove(place)),
                None => return Some(format!("{labels} {value} is not chosen")),
            }
        }
        None
    }

    fn ranked_steps(self, ours: &[Series], theirs: &[Series]) -> Option<String> {
        let step_by_step = |all: &[Series]| {
            let mut steps: std::collections::BTreeMap<_, Vec<_>> = Default::default();
            for series in all {
                for sample in &series.samples {
                    steps.entry(sample.at).or_default().push((series.labels.clone(), sample.value));
                }
            }
            steps
        };
        let (ours, theirs) = (step_by_step(ours), step_by_step(theirs));
        if ours.keys().ne(theirs.keys()) {
            return Some(format!("steps {:?} instead of {:?}", ours.keys(), theirs.keys()));
        }
        ours.into_values().zip(theirs.into_values()).find_map(|(one, two)| self.ranked(one, two))
    }
}

fn by_labels(points: &[Point]) -> Vec<&Point> {
    let mut sorted: Vec<&Point> = points.iter().collect();
    sorted.sort_by(|left, right| left.labels.cmp(&right.labels));
    sorted
}

/// Prometheus lists ten of each kind and says how many more there are. It keeps one of equal remarks
/// about several places, and loses the place of a part that it evaluates once for all steps: places
/// are not compared, nor are names of metrics, which Prometheus 3.5 mostly tells as empty. It also
/// says nothing yet of a `sort` over a range.
fn same_remarks(ours: &[String], theirs: &[String]) -> bool {
    let messages = |remarks: &[String]| -> BTreeSet<String> {
        let bare =
            remarks.iter().map(|remark| remark.rsplit_once(" (").map_or(&**remark, |it| it.0));
        bare.filter(|message| !message.starts_with("PromQL warning: sort is ineffective"))
            .map(|message| message.split(" for metric name").next().unwrap_or_default().to_owned())
            .collect()
    };
    let (ours, theirs) = (messages(ours), messages(theirs));
    if theirs.iter().any(|message| {
        message.ends_with("more warning annotations omitted")
            || message.ends_with("more info annotations omitted")
    }) {
        return ours.len() >= 10;
    }
    ours == theirs
}

pub fn short(shown: &impl std::fmt::Debug) -> String {
    let text = format!("{shown:?}");
    match text.char_indices().nth(900) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
