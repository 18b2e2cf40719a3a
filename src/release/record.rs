//! What is written down of a release, and what its traffic is told.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::machine::{Evidence, Report, State};
use crate::model::{TargetId, Timestamp};

/// One step of a release, as it is written down: what it rested on and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick {
    /// The release's name.
    pub release: String,
    /// The generation that it is of.
    pub generation: u64,
    /// Its number in the generation, from 1.
    pub number: u64,
    /// Milliseconds since 1970.
    pub at_ms: i64,
    /// The evidence, JSON; see [`Evidence`].
    pub evidence: String,
    /// The state after it.
    pub state: String,
    /// The report, JSON (see [`Report::to_json`]), where it is news, and otherwise nothing.
    pub report: String,
    /// Names the report.
    pub mark: String,
    /// Whether anything changed: the state, the stage or why it is held.
    pub is_news: bool,
}

impl Tick {
    /// When.
    pub fn at(&self) -> Timestamp {
        Timestamp::from_millis(self.at_ms)
    }
}

/// A step of a record that comes out otherwise when it is played again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The step's number.
    pub number: u64,
    /// What is on record.
    pub recorded: String,
    /// What comes out.
    pub played: String,
}

/// Names a report.
pub fn mark(report: &str) -> String {
    Sha256::digest(report).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Plays the steps of one generation again, in order, from nothing. Returns where that ends, its
/// last report, and each step whose report is not the one on record. Fails with the number of a step
/// that cannot be read.
pub fn played_again(ticks: &[Tick]) -> Result<(State, Option<Report>, Vec<Difference>), u64> {
    let mut state = State::Idle;
    let (mut last, mut differences) = (None, Vec::new());
    for tick in ticks {
        let evidence: Evidence = serde_json::from_str(&tick.evidence).map_err(|_| tick.number)?;
        let (next, _, report) = state.step(&evidence, tick.at());
        state = next;
        let played = report.to_json().to_string();
        if mark(&played) != tick.mark {
            let recorded = match tick.report.as_str() {
                "" => format!("another report, and the state `{}`", tick.state),
                report => report.to_owned(),
            };
            differences.push(Difference { number: tick.number, recorded, played });
        }
        last = Some(report);
    }
    Ok((state, last, differences))
}

/// The share that a stage asks whoever carries the traffic for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The release's name.
    pub release: String,
    /// Its generation.
    pub generation: u64,
    /// The stage, from 1.
    pub stage: usize,
    /// When the stage was entered: the same over all tries, and later for later stages.
    pub entered_at: Timestamp,
    /// In percent.
    pub share: u8,
    /// Who gets it.
    pub candidate: Vec<TargetId>,
    /// Who gets the rest.
    pub stable: Vec<TargetId>,
}

/// How the router shares out a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// The route.
    pub route: String,
    /// Who gets the share.
    pub candidate: Vec<TargetId>,
    /// Who gets the rest.
    pub stable: Vec<TargetId>,
    /// In percent.
    pub share: u8,
    /// Makes each release draw other clients into its first stages.
    pub salt: String,
}
