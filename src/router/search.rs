//! The search for who keeps a response that is to be continued, once somebody does not.
//!
//! Each of those who may keep it is asked once; whoever says that it lacks the response has done no
//! work, so this takes nothing of the retry budget. One that fails in another way may keep it all the
//! same, and so may one that is not asked, since it is broken or full: the rest is asked, and where
//! nobody has it the client hears of that, since "not found" would be more than is known.

use std::sync::Arc;

use super::account::Account;
use super::attempt::Failed;
use super::lane::Lane;
use crate::routing::{Arm, Refusal};

/// A search under way.
pub(super) struct Search {
    left: Vec<(Arm, Arc<Lane>)>,
    /// What the client hears if nobody has it.
    heard: Option<(Arm, Arc<Lane>, Box<Failed>)>,
    /// Why somebody was not asked.
    refused: Option<Refusal>,
}

impl Search {
    /// Among these, the first of them first.
    pub fn among(mut left: Vec<(Arm, Arc<Lane>)>) -> Self {
        left.reverse();
        Self { left, heard: None, refused: None }
    }

    /// Who is asked next.
    pub fn next(&mut self) -> Option<(Arm, Arc<Lane>)> {
        self.left.pop()
    }

    /// Somebody failed. The first who could not say is what counts, or else the first who lacks it.
    pub fn failed(&mut self, arm: Arm, lane: &Arc<Lane>, failed: Box<Failed>) {
        let lacks = |failed: &Failed| failed.observed.lacks_previous;
        match &self.heard {
            Some((.., before)) if !lacks(before) || lacks(&failed) => {}
            _ => self.heard = Some((arm, Arc::clone(lane), failed)),
        }
    }

    /// Somebody cannot be asked.
    pub fn refused(&mut self, refusal: Refusal) {
        self.refused.get_or_insert(refusal);
    }

    /// Nobody has it. What the client hears: a failure of one that could not say, on the account of
    /// that one, or else why one was not asked, or else that it is not there.
    pub fn end(self, account: &mut Account) -> Result<Box<Failed>, Refusal> {
        let (arm, lane, failed) = self.heard.expect("a search begins with somebody who lacks it");
        if failed.observed.lacks_previous
            && let Some(refusal) = self.refused
        {
            return Err(refusal);
        }
        if account.lane.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &lane)) {
            account.seek(arm);
            (account.lane, account.attempts) = (Some(lane), 1);
        }
        Ok(failed)
    }
}
