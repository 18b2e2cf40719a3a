//! What leaves, and when.
//!
//! A chunk leaves as a whole, once its last sample is older than the retention: up to a chunk's
//! length more than the retention can be read. Then, while everything takes more room than it may,
//! the chunk that ended first leaves, whosesoever it is. A series without chunks is forgotten with
//! its labels; if it comes back, it starts anew.
//!
//! Each series' oldest chunk is at its front, so a call costs one look at each series and a heap of
//! them when room is short. Between two calls the store may outgrow its size by what was appended.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::store::Store;
use crate::model::Timestamp;

impl Store {
    /// Drops what is older than the retention, then the oldest of what is too much.
    pub fn expire(&mut self, now: Timestamp) {
        let kept_from = now - self.settings.retention;
        let mut gone = BTreeSet::new();
        for (id, history) in &mut self.series {
            while history.oldest() < kept_from {
                if !history.drop_oldest(&mut self.held) {
                    gone.insert(*id);
                    break;
                }
            }
        }
        self.forget(gone);
        if self.size_bytes() > self.settings.size_max_bytes {
            self.make_room();
        }
    }

    fn make_room(&mut self) {
        let ends = self.series.iter().map(|(id, history)| Reverse((history.oldest(), *id)));
        let mut oldest: BinaryHeap<_> = ends.collect();
        let mut gone = BTreeSet::new();
        while self.size_bytes() > self.settings.size_max_bytes
            && let Some(Reverse((_, id))) = oldest.pop()
        {
            let Some(history) = self.series.get_mut(&id) else { continue };
            if history.drop_oldest(&mut self.held) {
                oldest.push(Reverse((history.oldest(), id)));
            } else {
                gone.insert(id);
            }
        }
        self.forget(gone);
    }
}
