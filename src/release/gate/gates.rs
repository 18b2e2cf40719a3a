//! All gates of a stage, and what they say together.

use serde::{Deserialize, Serialize};

use super::block::{Block, Reading};
use super::cost::Cost;
use super::counted::Counted;
use super::expression::Expression;
use super::settings::{Gate, Subject};
use super::standing::{Cause, Standing, Verdict};
use crate::statistics::{Impossible, Proportion, ProportionError};

/// At evidence of 20 nobody advances, though nothing is rolled back yet.
pub(super) const BRAKE: f64 = 20.0;
/// A gate that lost more than one block of so many says nothing: what is missing may be what was
/// bad.
const REJECTED_ONE_OF: u64 = 20;
/// Less than this many blocks are too few to speak of a share of them.
const BLOCKS_FEW: u64 = 20;

/// What one block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A tick of probes.
    Probe,
    /// A minute of traffic.
    Minute,
}

/// What a stage may err by, and what it asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stakes {
    /// The chance that a candidate within its limits is rolled back, over all gates.
    pub rollback: Proportion,
    /// The chance that a gate passes early whose limit is exceeded.
    pub advance: Proportion,
    /// The chance that the bounds that are shown ever miss the truth.
    pub display: Proportion,
    /// What a block is.
    pub unit: Unit,
    /// How many blocks the stage is planned to have; `None` where it has no planned end.
    pub planned_units: Option<u64>,
    /// The fewest outcomes with which a gate passes.
    pub samples_min: u64,
}

/// What all gates say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// One has failed, and the candidate is the cause.
    Fail {
        /// Which.
        gate: String,
    },
    /// Each that has failed has failed for stable too.
    CommonCause {
        /// The first.
        gate: String,
    },
    /// Each passes.
    Pass,
    /// None has failed, and at least one does not pass.
    Inconclusive {
        /// The first that does not.
        gate: String,
        /// Why not.
        cause: Cause,
    },
}

/// The gates of a stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Gates {
    gates: Vec<Entry>,
    /// The number of the block that is due.
    next: Option<u64>,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    name: String,
    state: State,
    blocks: u64,
    rejected: u64,
    /// Whether the last block was left out, or one before it is missing.
    is_broken: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Counted(Box<Counted>),
    Cost(Box<Cost>),
    Expression(Expression),
}

impl Unit {
    /// How many there are in half an hour; probes come every 15 s while a release runs.
    pub(super) fn in_half_an_hour(self) -> u64 {
        match self {
            Self::Probe => 120,
            Self::Minute => 30,
        }
    }
}

impl Gates {
    /// Nothing is known yet. Fails where a limit is no share: a cost limit of nothing, or one that
    /// is not below its ceiling.
    pub fn new(gates: &[Gate], stakes: &Stakes) -> Result<Self, ProportionError> {
        let tested = gates.iter().filter(|gate| gate.subject.is_tested());
        let weights: f64 = tested.map(|gate| f64::from(gate.weight.max(1))).sum();
        let entry = |gate: &Gate| {
            let part = f64::from(gate.weight.max(1)) / weights.max(1.0);
            let alpha = Proportion::new(stakes.rollback.get() * part)?;
            Ok(Entry {
                name: gate.name.clone(),
                state: State::new(&gate.subject, alpha, stakes)?,
                blocks: 0,
                rejected: 0,
                is_broken: false,
            })
        };
        Ok(Self { gates: gates.iter().map(entry).collect::<Result<_, _>>()?, next: None })
    }

    /// Takes in a block. One that came before says nothing new; where some are missing before it,
    /// or what it says cannot be, the gate is inconclusive until the next.
    pub fn observe(&mut self, block: &Block) {
        let missing = match self.next {
            Some(next) if block.number < next => return,
            Some(next) => block.number - next,
            None => 0,
        };
        self.next = Some(block.number.saturating_add(1));
        for entry in &mut self.gates {
            let reading = block.readings.get(&entry.name).copied().unwrap_or(Reading::Lost);
            let is_taken = entry.state.observe(reading).is_ok_and(|taken| taken);
            let rejected = missing.saturating_add(u64::from(!is_taken));
            entry.blocks = entry.blocks.saturating_add(missing).saturating_add(1);
            entry.rejected = entry.rejected.saturating_add(rejected);
            entry.is_broken = rejected > 0;
        }
    }

    /// Leaves a block out on purpose: it is neither counted nor missing.
    pub fn pass_over(&mut self, block: &Block) {
        let next = block.number.saturating_add(1);
        self.next = Some(self.next.map_or(next, |known| known.max(next)));
    }

    /// How each gate stands.
    pub fn standings(&self) -> Vec<Standing> {
        self.gates.iter().map(Entry::standing).collect()
    }

    /// What they say together. Failing wins; without any gate nothing passes.
    pub fn ruling(&self) -> Ruling {
        let said: Vec<(&str, Verdict, bool)> = self.gates.iter().map(Entry::said).collect();
        let mut failed = said.iter().filter(|(_, verdict, _)| *verdict == Verdict::Fail);
        if let Some((first, _, _)) = failed.clone().next() {
            return match failed.find(|(_, _, is_common)| !is_common) {
                Some((gate, _, _)) => Ruling::Fail { gate: (*gate).to_owned() },
                None => Ruling::CommonCause { gate: (*first).to_owned() },
            };
        }
        let open = said.iter().find_map(|(gate, verdict, _)| match verdict {
            Verdict::Inconclusive(cause) => Some(((*gate).to_owned(), *cause)),
            Verdict::Pass | Verdict::Fail => None,
        });
        match open {
            Some((gate, cause)) => Ruling::Inconclusive { gate, cause },
            None if said.is_empty() => {
                Ruling::Inconclusive { gate: String::new(), cause: Cause::NoData }
            }
            None => Ruling::Pass,
        }
    }
}

impl Entry {
    /// Its name, its verdict, and whether stable is as bad.
    fn said(&self) -> (&str, Verdict, bool) {
        let (verdict, is_common) = match &self.state {
            State::Counted(counted) => (counted.verdict(), counted.is_common_cause()),
            State::Cost(cost) => (cost.verdict(), false),
            State::Expression(expression) => (expression.verdict(), false),
        };
        let many = self.blocks >= BLOCKS_FEW
            && self.rejected.saturating_mul(REJECTED_ONE_OF) > self.blocks;
        let verdict = match (verdict, self.is_broken, many) {
            (Verdict::Fail, _, _) => Verdict::Fail,
            (_, true, _) => Verdict::Inconclusive(Cause::Rejected),
            (_, false, true) => Verdict::Inconclusive(Cause::ManyRejected),
            (verdict, false, false) => verdict,
        };
        (&self.name, verdict, is_common)
    }

    fn standing(&self) -> Standing {
        let (_, verdict, is_common_cause) = self.said();
        let standing = match &self.state {
            State::Counted(counted) => counted.standing(&self.name),
            State::Cost(cost) => cost.standing(&self.name),
            State::Expression(expression) => expression.standing(&self.name),
        };
        Standing {
            verdict,
            is_common_cause,
            passes_on_time: standing.passes_on_time && verdict == standing.verdict,
            blocks: self.blocks,
            rejected: self.rejected,
            ..standing
        }
    }
}

impl State {
    fn new(subject: &Subject, alpha: Proportion, stakes: &Stakes) -> Result<Self, ProportionError> {
        Ok(match subject {
            Subject::Errors { .. }
            | Subject::Slow { .. }
            | Subject::Content { .. }
            | Subject::AgainstStable => {
                Self::Counted(Box::new(Counted::new(subject.allowed(), alpha, stakes)))
            }
            Subject::Cost { mean_max, ceiling } => {
                Self::Cost(Box::new(Cost::new((*mean_max, *ceiling), alpha, stakes)?))
            }
            Subject::Expression { pass, fail, failures_in_a_row, .. } => {
                Self::Expression(Expression::new(*pass, *fail, *failures_in_a_row))
            }
        })
    }

    /// Takes in what a block says; `false` where it says nothing of this kind.
    fn observe(&mut self, reading: Reading) -> Result<bool, Impossible> {
        match (self, reading) {
            (Self::Counted(counted), Reading::Counts(arms)) => counted.observe(arms)?,
            (Self::Cost(cost), Reading::Cost { spent, finished }) => {
                cost.observe(spent, finished)?;
            }
            (Self::Expression(expression), Reading::Value(value)) => expression.observe(value),
            (Self::Counted(_) | Self::Cost(_) | Self::Expression(_), _) => return Ok(false),
        }
        Ok(true)
    }
}
