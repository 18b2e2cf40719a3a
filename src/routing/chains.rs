//! Which target made a response, so that whoever continues it is served by the same one.
//!
//! Responses are kept by the account that made them, and a request that names one as
//! `previous_response_id` can be answered there alone. The latest are remembered by a hash of their
//! id; who is not among them, since another process carried it or it is too long ago, is looked for
//! by asking (see [`Grade::lacks_previous`](crate::provider::Grade::lacks_previous)).

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use crate::model::TargetId;

/// Some four megabytes for a route.
const REMEMBERED_MAX: usize = 65_536;

/// The targets that made the latest responses of a route.
#[derive(Clone, Debug, Default)]
pub struct Chains {
    // Keyed at random, so that nobody can choose ids that share a place.
    hasher: RandomState,
    makers: HashMap<u64, TargetId>,
    /// The oldest first.
    order: VecDeque<u64>,
}

impl Chains {
    /// Remembers who made a response; the oldest is forgotten for it where there are too many.
    pub fn made(&mut self, response: &str, target: &TargetId) {
        let place = self.hasher.hash_one(response);
        if self.makers.insert(place, target.clone()).is_some() {
            return;
        }
        self.order.push_back(place);
        if self.order.len() > REMEMBERED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.makers.remove(&oldest);
        }
    }

    /// Who made a response, where that is remembered.
    pub fn maker(&self, response: &str) -> Option<&TargetId> {
        self.makers.get(&self.hasher.hash_one(response))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered() {
        let (old, new) = (TargetId::new("old"), TargetId::new("new"));
        let mut chains = Chains::default();
        assert_eq!(chains.maker("resp_0"), None);
        chains.made("resp_0", &old);
        chains.made("resp_0", &new);
        assert_eq!(chains.maker("resp_0"), Some(&new));
        for number in 1..REMEMBERED_MAX {
            chains.made(&format!("resp_{number}"), &old);
        }
        assert_eq!(chains.maker("resp_0"), Some(&new), "as many as there may be");
        chains.made("resp_one_more", &old);
        assert_eq!((chains.maker("resp_0"), chains.maker("resp_1")), (None, Some(&old)));
        assert_eq!(chains.makers.len(), REMEMBERED_MAX);
        assert_eq!(chains.order.len(), REMEMBERED_MAX);
    }
}
