//! What one side's traffic would have cost on the other side.

use super::cost::cost;
use crate::model::{Money, TargetId, Timestamp};
use crate::provider::{SharedProvider, Usage};

/// The traffic of some targets, and the model whose prices it is held against.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// Its name: that of the release or rollback which names the two sides.
    pub name: String,
    /// Whose traffic.
    pub stable: Vec<TargetId>,
    /// Who would take it.
    pub candidate: SharedProvider,
    /// By which of its models.
    pub model: String,
}

impl Comparison {
    /// Whether a target's traffic is held against the candidate.
    pub fn is_about(&self, target: &TargetId) -> bool {
        self.stable.contains(target)
    }

    /// What a request would have cost, token for token; `None` where the candidate has no price.
    ///
    /// Another model may cut the same text into more tokens or fewer, and answer at another length:
    /// the amount is what the prices do, not a forecast.
    pub fn cost(&self, usage: &Usage, now: Timestamp) -> Option<Money> {
        let price = self.candidate.price(&self.model, now)?;
        Some(cost(usage, price))
    }
}
