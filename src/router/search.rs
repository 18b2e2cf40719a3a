//! The search for who keeps a response that is to be continued, once somebody does not.
//!
//! Each of those who may keep it is asked once; whoever says that it lacks the response has done no
//! work, so this takes nothing of the retry budget. One that fails in another way may keep it all the
//! same: the rest is asked, and where nobody has it the client hears of that failure, since "not
//! found" would be more than is known.

use std::sync::Arc;

use super::account::Account;
use super::attempt::Failed;
use super::lane::Lane;
use crate::routing::Arm;

/// A search under way.
pub(super) struct Search {
    left: Vec<(Arm, Arc<Lane>)>,
    /// What the client hears if nobody has it.
    heard: Option<(Arm, Arc<Lane>, Box<Failed>)>,
}

impl Search {
    /// Among these, the first of them first.
    pub fn among(mut left: Vec<(Arm, Arc<Lane>)>) -> Self {
        left.reverse();
        Self { left, heard: None }
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

    /// The last one failed, too: what the client hears, on the account of who said it.
    pub fn end(
        mut self,
        account: &mut Account,
        lane: &Arc<Lane>,
        failed: Box<Failed>,
    ) -> Box<Failed> {
        self.failed(account.arm, lane, failed);
        let (arm, lane, failed) = self.heard.expect("one has just been heard");
        if account.lane.as_ref().is_none_or(|last| !Arc::ptr_eq(last, &lane)) {
            account.seek(arm);
            (account.lane, account.attempts) = (Some(lane), 1);
        }
        failed
    }
}
