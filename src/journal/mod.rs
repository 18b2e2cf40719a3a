//! What must outlive the process, on disk before it is carried out: decisions, what is to be sent,
//! the state of alerts and of notices, and what became of deliveries.
//!
//! One SQLite file in the data directory, written by one task. A batch is durable when
//! [`Journal::write`] answers: the write-ahead log is synced at every commit (`synchronous=FULL`),
//! since a rollback that a power cut erased from the record would be fired again, and a notice that
//! it erased would be lost; at some 0.3 ms a commit, and one commit for all that waits, `NORMAL`
//! would save nothing that anybody notices. A write that fails, or that its caller no longer waits
//! for, is kept in memory and tried again.

mod entry;
mod lock;
mod log;
mod outbox;
mod store;
mod ticks;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::{Batch, DeliveryRecord};
pub use lock::LockError;
pub use store::JournalError;
pub use writer::Journal;
