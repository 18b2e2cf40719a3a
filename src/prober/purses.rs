//! What probes spent: each target by its own budget, and all of them by one for the house.
//!
//! The accounts outlive a change of a target's settings, and what was spent outlives the process:
//! whoever keeps state reads it here and hands it back at the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rounds::{Account, SharedAccount, lock};
use crate::model::{Money, TargetId, Timestamp};
use crate::probe::{Budget, Ledger, Reservation, SpentSoFar, Target, estimate};

/// All accounts. A copy is the same accounts.
#[derive(Clone, Debug, Default)]
pub struct Purses(Arc<Mutex<Held>>);

#[derive(Debug)]
struct Held {
    // Kept for targets that went, too: taking one out and in again must not double its budget. As
    // many as the operator ever named.
    accounts: BTreeMap<TargetId, SharedAccount>,
    budget: Budget,
    together: Ledger,
}

impl Default for Held {
    fn default() -> Self {
        let (accounts, together) = Default::default();
        Self { accounts, budget: Budget::Unlimited, together }
    }
}

/// Money that is set aside for a probe, by its target and by the house.
#[derive(Debug)]
#[must_use = "an unsettled reservation blocks the budget for the rest of the period"]
pub(super) struct Reserved {
    own: Reservation,
    together: Option<Reservation>,
}

impl Purses {
    /// Goes on with what an earlier run spent, by target; without one it is all of them together.
    pub fn remembering(spent: impl IntoIterator<Item = (Option<TargetId>, SpentSoFar)>) -> Self {
        let mut held = Held::default();
        for (target, spent) in spent {
            let ledger = Ledger::resumed(&spent);
            match target {
                Some(target) => {
                    let account = Arc::new(Mutex::new(Account::with(ledger)));
                    held.accounts.insert(target, account);
                }
                None => held.together = ledger,
            }
        }
        Self(Arc::new(Mutex::new(held)))
    }

    /// What was spent so far, in the order of the targets; first all of them together.
    pub fn so_far(&self) -> BTreeMap<Option<TargetId>, SpentSoFar> {
        // Not within the other lock: a probe that is fired takes them the other way round.
        let own = self.accounts().into_iter();
        let own = own.map(|(target, account)| (Some(target), lock(&account).so_far()));
        let together = self.held().together.so_far();
        own.chain([(None, together)]).collect()
    }

    /// What all targets together may spend from now on.
    pub fn limit(&self, budget: Budget) {
        self.held().budget = budget;
    }

    pub(super) fn account(&self, target: &TargetId) -> SharedAccount {
        Arc::clone(self.held().accounts.entry(target.clone()).or_default())
    }

    pub(super) fn accounts(&self) -> BTreeMap<TargetId, SharedAccount> {
        self.held().accounts.clone()
    }

    /// Sets a probe's estimate aside, or tells that a budget has no room for it. A target without a
    /// price has no part in what all of them may spend.
    pub(super) fn reserve(
        &self,
        ledger: &mut Ledger,
        target: &Target,
        now: Timestamp,
    ) -> Option<Reserved> {
        let estimate = estimate(target, now);
        let own = ledger.reserve(now, target.budget, estimate)?;
        if estimate.is_none() {
            return Some(Reserved { own, together: None });
        }
        let mut held = self.held();
        let budget = held.budget;
        match held.together.reserve(now, budget, estimate) {
            Some(together) => Some(Reserved { own, together: Some(together) }),
            None => {
                ledger.settle(own, Some(Money::ZERO));
                None
            }
        }
    }

    /// Books what a probe cost; `None`, where nobody said, books its estimate.
    pub(super) fn settle(&self, ledger: &mut Ledger, reserved: Reserved, cost: Option<Money>) {
        ledger.settle(reserved.own, cost);
        if let Some(together) = reserved.together {
            self.held().together.settle(together, cost);
        }
    }

    // Locked for a sum. An account is locked before it, never after.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
