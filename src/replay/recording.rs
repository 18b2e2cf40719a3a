//! Where recorded samples come from: piece by piece, in time order.

use crate::archive::Reading;
use crate::model::{Labels, Matcher, Timestamp};

use super::ReplayError;
use super::plan::Plan;
use super::prometheus::Prometheus;

/// A sample and its series.
pub(super) type Point = (Timestamp, Labels, f64);

/// Samples of one time.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Round {
    pub(super) at: Timestamp,
    pub(super) samples: Vec<(Labels, f64)>,
}

/// What is read at once: all samples up to a time.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) until: Timestamp,
    pub(super) rounds: Vec<Round>,
}

/// A source of samples.
#[derive(Debug)]
pub(super) enum Recording {
    Archive(Archived),
    Prometheus(Box<Prometheus>),
}

impl Recording {
    /// The next samples; nothing where there are no more.
    pub(super) async fn next(&mut self) -> Result<Option<Stretch>, ReplayError> {
        match self {
            Self::Archive(archived) => archived.next(),
            Self::Prometheus(prometheus) => prometheus.next().await,
        }
    }

    /// What is to be known of how it was read.
    pub(super) fn remarks(&self) -> Vec<String> {
        match self {
            Self::Archive(archived) => archived.flaws.clone(),
            Self::Prometheus(prometheus) => prometheus.remarks(),
        }
    }
}

/// The samples of a data directory.
#[derive(Debug)]
pub(super) struct Archived {
    reading: Reading,
    selections: Vec<Vec<Matcher>>,
    position: usize,
    after: Timestamp,
    until: Timestamp,
    flaws: Vec<String>,
}

impl Archived {
    /// Those with `after <= at <= until`.
    pub(super) fn new(reading: Reading, plan: &Plan, from: Timestamp, until: Timestamp) -> Self {
        let selections = plan.selections.values().cloned().collect();
        let after = Timestamp::from_millis(from.millis().saturating_sub(1));
        Self { reading, selections, position: 0, after, until, flaws: Vec::new() }
    }

    fn next(&mut self) -> Result<Option<Stretch>, ReplayError> {
        while self.position < self.reading.len() {
            let piece = self.reading.piece(self.position)?;
            self.position += 1;
            if let Some(flaw) = piece.flaw {
                let path = flaw.0.display();
                self.flaws.push(format!("`{path}` is damaged: samples of its time are missing"));
            }
            let mut points: Vec<Point> = Vec::new();
            let is_wanted = |at: Timestamp| self.after < at && at <= self.until;
            for (labels, chunks) in piece.series {
                let is_selected = |matchers: &Vec<Matcher>| {
                    matchers.iter().all(|matcher| matcher.matches_labels(&labels))
                };
                if !self.selections.iter().any(is_selected) {
                    continue;
                }
                let samples = chunks.iter().flat_map(|chunk| chunk.samples());
                let wanted = samples.filter(|sample| is_wanted(sample.at));
                points.extend(wanted.map(|sample| (sample.at, labels.clone(), sample.value)));
            }
            if let Some(until) = points.iter().map(|(at, _, _)| *at).max() {
                return Ok(Some(Stretch { until, rounds: rounds(points) }));
            }
        }
        Ok(None)
    }
}

/// Samples by their times. What came twice, as two selectors asked for it, is there once.
pub(super) fn rounds(mut points: Vec<Point>) -> Vec<Round> {
    points.sort_by(|left, right| (left.0, &left.1).cmp(&(right.0, &right.1)));
    points.dedup_by(|later, earlier| (later.0, &later.1) == (earlier.0, &earlier.1));
    let mut rounds: Vec<Round> = Vec::new();
    for (at, labels, value) in points {
        match rounds.last_mut().filter(|round| round.at == at) {
            Some(round) => round.samples.push((labels, value)),
            None => rounds.push(Round { at, samples: vec![(labels, value)] }),
        }
    }
    rounds
}
