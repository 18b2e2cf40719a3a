//! What came of one block of a stage, as it was counted, not yet believed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Money, Timestamp};
use crate::statistics::Totals;

/// One tick of probes or one minute of traffic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Its number in the release; each is one more than the one before.
    pub number: u64,
    /// When it was over.
    pub end: Timestamp,
    /// What each gate has of it, by the gate's name. What is not there was lost.
    pub readings: BTreeMap<String, Reading>,
}

/// What one gate has of a block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading {
    /// Outcomes that finished in it, or reached their deadline; the retries of one request are one.
    Counts(Arms),
    /// What the candidate's requests cost.
    Cost {
        /// All of them together.
        spent: Money,
        /// How many there were.
        finished: u64,
    },
    /// What the expression gave; `None` where it gave nothing, or more than one value.
    Value(Option<f64>),
    /// It could not be had: a query failed, or the counts were not stored.
    Lost,
}

/// Counts of both arms over the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arms {
    /// What came of the candidate.
    pub candidate: Totals,
    /// What came of stable.
    pub stable: Totals,
}

impl Block {
    /// How many outcomes of the candidate are in it, by the gate that saw most.
    pub fn finished(&self) -> u64 {
        let each = self.readings.values().map(|reading| match reading {
            Reading::Counts(arms) => arms.candidate.finished,
            Reading::Cost { finished, .. } => *finished,
            Reading::Value(_) | Reading::Lost => 0,
        });
        each.max().unwrap_or(0)
    }
}
