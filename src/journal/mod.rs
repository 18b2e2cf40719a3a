//! What was decided and what was sent, on disk before it is carried out.
//!
//! One SQLite file in the data directory, written by one task. A decision is durable when
//! [`Journal::record_decision`] returns: the write-ahead log is synced at every commit
//! (`synchronous=FULL`), since a rollback that a power cut erased from the record would be fired
//! again; at some 0.3 ms a commit and a handful of decisions a day there is nothing to save. A
//! write that fails, or that its caller no longer waits for, is kept in memory and tried again.

mod entry;
mod lock;
mod store;
mod writer;

#[cfg(test)]
mod tests;

pub use entry::DeliveryRecord;
pub use lock::LockError;
pub use store::JournalError;
pub use writer::Journal;
