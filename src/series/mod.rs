//! Samples and where they are read from.
//!
//! Pure: an embedded store of label sets and their points, and the two ports through which PromQL
//! reads and rules write. Each distinct label set is held once, under an id; an index from a
//! label's value to ids answers matchers; a series' points lie in compressed chunks of bounded
//! length, the oldest of which leave first when time or room runs out. Where a rule asks for long
//! windows, digests of the chunks answer for them, also when the chunks are gone.

mod bits;
mod catalog;
mod chunk;
mod digest;
mod digests;
mod expiry;
mod history;
mod index;
mod overlay;
mod packer;
mod past;
mod restoring;
mod scrape;
mod source;
mod store;
mod strings;
mod sum;
mod times;
mod values;
mod watch;

pub use chunk::Chunk;
pub use digest::{Digest, Wants};
pub use overlay::Overlay;
pub use packer::Packer;
pub use past::Past;
pub use restoring::{Restored, Restoring};
pub use scrape::{Scrape, ScrapeReport};
pub use source::{Look, Seen, Sink, Source};
pub use store::{Place, Refusals, Refused, Settings, Stats, Store, Written};
pub use sum::Sum;
pub use watch::{Watch, watched_reach};
