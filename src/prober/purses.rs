//! What probes spent: each target by its own budget, and all of them by one for the house.
//!
//! A release may set money aside for its probes. While it is watched, they are paid from that as long
//! as it lasts and by their targets after it, and of the house's day nobody else is given what the
//! release has not used yet.
//!
//! The accounts outlive a change of a target's settings, and what was spent outlives the process:
//! whoever keeps state reads it here and hands it back at the next start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::rounds::{Account, SharedAccount, lock};
use crate::model::{Money, TargetId, Timestamp};
use crate::probe::{
    Attentions, Budget, Fund, Ledger, Payer, Reservation, SpentSoFar, Target, estimate,
};

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
    // Of each release that ever had money of its own, like the accounts.
    funds: BTreeMap<String, Ledger>,
}

impl Default for Held {
    fn default() -> Self {
        let (accounts, together, funds) = Default::default();
        Self { accounts, budget: Budget::Unlimited, together, funds }
    }
}

impl Held {
    /// The house's budget for whoever does not spend what is set aside.
    fn free(&mut self, attentions: &Attentions, now: Timestamp) -> Budget {
        let Budget::Limited { daily: Some(daily), monthly } = self.budget else {
            return self.budget;
        };
        let funds = attentions.values().filter_map(|attention| attention.fund.as_ref());
        let funds: BTreeMap<&str, Money> =
            funds.map(|fund| (fund.release.as_str(), fund.daily)).collect();
        let aside = funds.into_iter().map(|(release, daily)| {
            let ledger = self.funds.entry(release.to_owned()).or_default();
            ledger.left(now, daily).nanos()
        });
        let aside = aside.fold(0, u64::saturating_add);
        let free = Money::from_nanos(daily.nanos().saturating_sub(aside));
        Budget::Limited { daily: Some(free), monthly }
    }

    /// Books with whoever pays: the release, or the target whose ledger it is.
    fn settle(
        &mut self,
        ledger: &mut Ledger,
        own: Reservation,
        release: Option<&str>,
        cost: Option<Money>,
    ) {
        match release.and_then(|release| self.funds.get_mut(release)) {
            Some(fund) => fund.settle(own, cost),
            None => ledger.settle(own, cost),
        }
    }
}

/// Money that is set aside for a probe, by its target or a release, and by the house.
#[derive(Debug)]
#[must_use = "an unsettled reservation blocks the budget for the rest of the period"]
pub(super) struct Reserved {
    own: Reservation,
    /// The release that pays in place of the target.
    release: Option<String>,
    together: Option<Reservation>,
}

impl Purses {
    /// Goes on with what an earlier run spent.
    pub fn remembering(spent: impl IntoIterator<Item = (Payer, SpentSoFar)>) -> Self {
        let mut held = Held::default();
        for (payer, spent) in spent {
            let ledger = Ledger::resumed(&spent);
            match payer {
                Payer::Target(target) => {
                    let account = Arc::new(Mutex::new(Account::with(ledger)));
                    held.accounts.insert(target, account);
                }
                Payer::Release(release) => {
                    held.funds.insert(release, ledger);
                }
                Payer::Together => held.together = ledger,
            }
        }
        Self(Arc::new(Mutex::new(held)))
    }

    /// What was spent so far by each.
    pub fn so_far(&self) -> BTreeMap<Payer, SpentSoFar> {
        // Not within the other lock: a probe that is fired takes them the other way round.
        let own = self.accounts().into_iter();
        let own = own.map(|(target, account)| (Payer::Target(target), lock(&account).so_far()));
        let mut spent: BTreeMap<Payer, SpentSoFar> = own.collect();
        let held = self.held();
        let funds = held.funds.iter();
        spent.extend(funds.map(|(name, fund)| (Payer::Release(name.clone()), fund.so_far())));
        spent.insert(Payer::Together, held.together.so_far());
        spent
    }

    /// What a release spent today and in this month.
    pub(super) fn spent_by(&self, release: &str) -> [Money; 2] {
        self.held().funds.get(release).map(Ledger::spent).unwrap_or_default()
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
        attentions: &Attentions,
        now: Timestamp,
    ) -> Option<Reserved> {
        let estimate = estimate(target, now);
        let fund = paying(attentions, target).filter(|_| estimate.is_some());
        let mut held = self.held();
        let paid = fund.and_then(|fund| {
            let budget = Budget::Limited { daily: Some(fund.daily), monthly: None };
            let ledger = held.funds.entry(fund.release.clone()).or_default();
            Some((ledger.reserve(now, budget, estimate)?, fund.release.clone()))
        });
        let (own, release, house) = match paid {
            Some((own, release)) => (own, Some(release), held.budget),
            None => {
                let own = ledger.reserve(now, target.budget, estimate)?;
                (own, None, held.free(attentions, now))
            }
        };
        if estimate.is_none() {
            return Some(Reserved { own, release, together: None });
        }
        match held.together.reserve(now, house, estimate) {
            Some(together) => Some(Reserved { own, release, together: Some(together) }),
            None => {
                held.settle(ledger, own, release.as_deref(), Some(Money::ZERO));
                None
            }
        }
    }

    /// Books what a probe cost; `None`, where nobody said, books its estimate.
    pub(super) fn settle(&self, ledger: &mut Ledger, reserved: Reserved, cost: Option<Money>) {
        let Reserved { own, release, together } = reserved;
        let mut held = self.held();
        held.settle(ledger, own, release.as_deref(), cost);
        if let Some(together) = together {
            held.together.settle(together, cost);
        }
    }

    // Locked for a sum. An account is locked before it, never after.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The release that pays for a target's probes.
pub(super) fn paying<'a>(attentions: &'a Attentions, target: &Target) -> Option<&'a Fund> {
    attentions.get(&target.id)?.fund.as_ref()
}
