//! What one route has for its copies: places, turns, a budget, and a desk of their own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::super::crew::Desk;
use crate::model::{Money, Timestamp};
use crate::probe::{Ledger, Reservation, SpentSoFar};
use crate::routing::{Mirror, Route};

/// The copying of one route.
#[derive(Debug)]
pub(in super::super) struct Mirroring {
    pub settings: Mirror,
    /// As the configuration has it.
    route: Arc<Route>,
    /// The same route with the timeouts of copies, and with a breaker that no user meets.
    pub desk: Arc<Desk>,
    /// Of copies that are there at all.
    pub places: Arc<Semaphore>,
    /// Of those that are under way.
    pub turns: Arc<Semaphore>,
    // Held for a sum.
    purse: Mutex<Ledger>,
}

impl Mirroring {
    /// The copying of a route, if it copies. What did not change goes on; what was spent stays spent.
    pub fn of(route: &Arc<Route>, before: Option<&Arc<Self>>) -> Option<Arc<Self>> {
        let settings = route.mirror.clone()?;
        if let Some(before) = before.filter(|before| before.route == *route) {
            return Some(Arc::clone(before));
        }
        let own = Route { timeouts: settings.timeouts, mirror: None, ..Route::clone(route) };
        let (turns, more) = (settings.in_flight_max as usize, settings.queued_max as usize);
        let spent = before.map(|before| before.so_far()).unwrap_or_default();
        Some(Arc::new(Self {
            settings,
            route: Arc::clone(route),
            desk: Arc::new(Desk::new(Arc::new(own), Default::default(), None)),
            places: Arc::new(Semaphore::new(turns + more)),
            turns: Arc::new(Semaphore::new(turns)),
            purse: Mutex::new(Ledger::resumed(&spent)),
        }))
    }

    /// Sets aside what a copy may cost, if the budget has room for it.
    pub fn reserve(&self, now: Timestamp, estimate: Option<Money>) -> Option<Reservation> {
        self.purse().reserve(now, self.settings.budget, estimate)
    }

    /// Books what a copy cost; where nobody said, its estimate.
    pub fn settle(&self, reservation: Reservation, cost: Option<Money>) {
        self.purse().settle(reservation, cost);
    }

    /// What was spent so far.
    pub fn so_far(&self) -> SpentSoFar {
        self.purse().so_far()
    }

    /// Goes on with what an earlier run spent.
    pub fn resume(&self, spent: &SpentSoFar) {
        *self.purse() = Ledger::resumed(spent);
    }

    fn purse(&self) -> MutexGuard<'_, Ledger> {
        self.purse.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
