//! What an evaluation has taken so far, and whether it may take more.
//!
//! Samples are counted where they are held, over all parts of a query: a part's operands count
//! until it has its result, the result until the part around it has its own. A part may hold twice
//! what it is allowed for a moment, while it copies its result.

use std::cell::Cell;

use super::super::{EvalError, Interrupt, Options};
use super::Frame;

/// Bytes of a label's text that count as one sample.
const SAMPLE_BYTES: usize = size_of::<f64>();

/// The work of a part, of one of its rows and of one of a row's values, as so many samples looked at:
/// a row is found, grouped and copied in about the time in which a window adds up 64 samples.
const PART_WORK: usize = 256;
const ROW_WORK: usize = 64;
const VALUE_WORK: usize = 4;

pub(super) struct Budget<'a> {
    samples_max: usize,
    interrupt: Interrupt<'a>,
    /// Samples that finished parts hold.
    held: Cell<usize>,
    /// What labels that the query made take, in samples. They are never given back: a query that
    /// makes longer and longer texts is at fault whether it keeps them or not.
    labels: Cell<usize>,
    /// Work since the interrupt was last asked.
    work: Cell<usize>,
}

impl<'a> Budget<'a> {
    pub fn new(options: &Options<'a>) -> Self {
        Self {
            samples_max: options.samples_max,
            interrupt: options.interrupt,
            held: Cell::new(0),
            labels: Cell::new(0),
            work: Cell::new(0),
        }
    }

    /// What is held now, to be handed to [`Self::keep`].
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// A part is done: what was held besides `before` is gone, and its result is there.
    pub fn keep(&self, before: usize, result: &Frame) -> Result<(), EvalError> {
        let (rows, samples) = match result {
            Frame::Scalar(values) => (1, values.len()),
            Frame::Text(_) => (0, 0),
            Frame::Vector(block) => (block.rows.len(), block.values.len()),
        };
        self.held.set(before);
        self.check(samples, 1)?;
        self.held.set(before.saturating_add(samples));
        let rows = rows.saturating_mul(ROW_WORK);
        self.spend(
            rows.saturating_add(samples.saturating_mul(VALUE_WORK)).saturating_add(PART_WORK),
        )
    }

    /// Counts a series that was looked at, with its samples and the values made of them.
    pub fn visit(&self, samples: usize, values: usize) -> Result<(), EvalError> {
        self.spend(ROW_WORK.saturating_add(samples).saturating_add(values))
    }

    /// Whether so many samples may be held besides what is.
    pub fn check(&self, rows: usize, steps: usize) -> Result<(), EvalError> {
        let taken = self.held.get().saturating_add(self.labels.get());
        let fits = rows
            .checked_mul(steps)
            .and_then(|samples| samples.checked_add(taken))
            .is_some_and(|samples| samples <= self.samples_max);
        if fits { Ok(()) } else { Err(EvalError::TooManySamples) }
    }

    /// Takes room for a label's text before it is made.
    pub fn label(&self, bytes: usize) -> Result<(), EvalError> {
        self.labels.set(self.labels.get().saturating_add(bytes / SAMPLE_BYTES));
        self.check(0, 0)
    }

    /// Counts samples that were looked at, and asks once in a while whether to go on.
    pub fn spend(&self, samples: usize) -> Result<(), EvalError> {
        let work = self.work.get().saturating_add(samples).saturating_add(1);
        if work < Interrupt::PERIOD {
            self.work.set(work);
            return Ok(());
        }
        // As often as that much work asks for, so that whoever counts the questions counts it all.
        self.work.set(work % Interrupt::PERIOD);
        (0..work / Interrupt::PERIOD).try_for_each(|_| self.interrupt.ask())
    }
}
