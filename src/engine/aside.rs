//! An evaluation beside everything else.
//!
//! A group that takes long must not keep the others waiting. So its evaluation can be taken out as a
//! value, done by whoever has a thread to spare, and brought back as an event: it works on the
//! samples as they were when it began, and what it wrote is stored when it comes back. Until then its
//! slots don't come, and early looks leave it out, as they leave out a group that is due. What comes
//! back after a reload is dropped: its group may be another one by now.

use crate::model::Timestamp;
use crate::rules::{Context, Evaluation, Group};
use crate::series::{Store, Written};

/// An evaluation to be done.
#[derive(Debug)]
pub struct Job {
    pub(super) ticket: Ticket,
    pub(super) group: Group,
    pub(super) store: Store,
    pub(super) context: Context,
}

/// One that is done.
#[derive(Clone, Debug)]
pub struct Done {
    pub(super) ticket: Ticket,
    pub(super) group: Group,
    pub(super) evaluation: Evaluation,
    pub(super) written: Vec<Written>,
    /// How many samples were refused.
    pub(super) refused: u64,
}

/// Whose evaluation it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) position: usize,
    pub(super) slot: Timestamp,
    /// How many reloads there were.
    pub(super) reloads: u64,
}

impl Job {
    /// Evaluates; takes as long as the rules do.
    pub fn run(self) -> Done {
        let Self { ticket, mut group, mut store, context } = self;
        // What waits for the archive is not of this evaluation.
        let _elsewhere = store.take_written();
        store.note_writes();
        let before = store.stats().refused.total();
        let evaluation = group.evaluate(ticket.slot, &mut store, &context);
        let refused = store.stats().refused.total().saturating_sub(before);
        Done { ticket, group, evaluation, written: store.take_written(), refused }
    }
}

impl Done {
    /// The group's position.
    pub fn position(&self) -> usize {
        self.ticket.position
    }
}
