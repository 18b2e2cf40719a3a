//! What a release came through, for readers: its latest turns, and on what each stage passed.
//!
//! Written from the steps on record, whether they are taken now or read at a start, so a restart
//! changes nothing of it.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::model::Timestamp;
use crate::release::Tick;
use crate::release::machine::Basis;

/// As many turns as the page shows.
pub const TURNS_MAX: usize = 6;

/// What a release came through in its generation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    /// The latest steps that changed something, oldest first, at most [`TURNS_MAX`].
    pub turns: VecDeque<Turn>,
    /// When each stage passed, from 1, and on what.
    pub passed: BTreeMap<usize, (Timestamp, Basis)>,
}

/// A step that changed the state, the stage or why it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When.
    pub at: Timestamp,
    /// The state after it.
    pub state: String,
    /// The stage that was looked at, from 1.
    pub stage: Option<usize>,
    /// Why it was held, if it was.
    pub hold: Option<String>,
    /// In words.
    pub why: String,
}

impl Past {
    /// Takes up a step; those that are no news, or cannot be read, say nothing.
    pub(super) fn note(&mut self, tick: &Tick) {
        let Ok(report) = serde_json::from_str::<Value>(&tick.report) else { return };
        let text = |field: &str| report[field].as_str().map(str::to_owned);
        let stage = report["stage"].as_u64().and_then(|stage| usize::try_from(stage).ok());
        let turn = Turn {
            at: tick.at(),
            state: tick.state.clone(),
            stage,
            hold: text("hold"),
            why: text("why").unwrap_or_default(),
        };
        let passed = report["passedOn"].as_str().and_then(Basis::parse);
        if let (Some(stage), Some(basis)) = (stage, passed) {
            self.passed.insert(stage, (turn.at, basis));
        }
        // The first step after a restart says again what is so.
        let is_again = self.turns.back().is_some_and(|last| {
            (&last.state, last.stage, &last.hold) == (&turn.state, turn.stage, &turn.hold)
        });
        if is_again && passed.is_none() {
            return;
        }
        if self.turns.len() == TURNS_MAX {
            self.turns.pop_front();
        }
        self.turns.push_back(turn);
    }
}
