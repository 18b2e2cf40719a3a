//! Samples of one series into chunks, for whoever stores them outside the store.

use super::chunk::{Chunk, OpenChunk};
use crate::model::{Sample, Timestamp};

/// Packs the samples of one series.
#[derive(Clone, Debug, Default)]
pub struct Packer {
    full: Vec<Chunk>,
    open: Option<OpenChunk>,
}

impl Packer {
    /// Adds a sample that is later than all before it; false, and nothing done, where it is not.
    pub fn push(&mut self, sample: Sample) -> bool {
        if self.last().is_some_and(|last| last >= sample.at) {
            return false;
        }
        if !self.open.as_mut().is_some_and(|open| open.push(sample)) {
            self.full.extend(self.open.replace(OpenChunk::new(sample)).map(|open| open.seal().0));
        }
        true
    }

    /// When the last sample is.
    pub fn last(&self) -> Option<Timestamp> {
        self.open.as_ref().map(|open| open.last().at)
    }

    /// The chunks in time order; the last one may be short.
    pub fn finish(self) -> Vec<Chunk> {
        let mut chunks = self.full;
        chunks.extend(self.open.map(|open| open.seal().0));
        chunks
    }
}
