//! The samples of the last day on disk, so that windows and `for` go on after a restart.
//!
//! `storage.path/samples/` holds one *log*, to which each turn of the driver appends what it stored,
//! and one file of *chunks* for every half hour before that. A log is quick to append to and slow to
//! read, so when it is half an hour old its samples are packed into chunks as the store holds them,
//! which a start takes up without reading them. When chunks are too old, files of *digests* take their
//! place for those series that rules ask for longer windows; a day's worth of these is joined.
//!
//! - A record is written in one call and holds its length and checksum. `kill -9` loses at most the
//!   turn that is under way. What was written is the system's after that; it is synced to the disk
//!   every 15 seconds, so a power cut loses at most so much. Syncing each second would wear a disk
//!   for samples that are worth less than decisions, which the journal syncs each.
//! - A record that ends early is the trace of such an end: it is cut off and reported. A record that
//!   is damaged in the midst of others is a fault of the disk: what stands before it is kept, and
//!   the whole file is set aside beside the others (`*.damaged-*`, the last four are kept).
//! - A file of a later program is refused, and nothing is touched.
//! - A disk that is full or read-only stops neither sampling nor a rollback: what can't be written
//!   waits in memory (up to 4 MB, some two hours), is tried again with each turn and then dropped,
//!   oldest last; each trouble is logged once and counted.
//! - All files together take `storage.size_max`, samples reach back `storage.retention` and digests
//!   as far as rules do; the oldest leave first.
//!
//! One thread writes: files block, and the threads that tokio keeps for that may all be waiting for
//! a name server.

mod bytes;
mod chunks;
mod digests;
mod error;
mod files;
mod frame;
mod log;
mod open;
mod output;
mod reading;
mod table;
mod writer;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use open::Report;
pub use reading::{Flaw, Piece, Reading};
pub use writer::{Archive, Batch};
