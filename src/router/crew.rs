//! What one configuration makes of the router: routes by model, ways to targets, and room.
//!
//! A reload makes a new one. What did not change goes on with its connections, its breakers and its
//! budget; requests under way keep the crew that they began with.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::lane::Lane;
use super::mirror::{Copy, Mirroring};
use super::workers::Seat;
use crate::access::Token;
use crate::clock::Clock;
use crate::model::{RouteId, TargetId, Timestamp};
use crate::routing::{
    Arm, Arms, Breaker, Budget, Chains, Route, Served, Settings, Standing, Table,
};
use crate::telemetry::Telemetry;
use crate::threads::Threads;

/// Copies may hold this part of what requests may, beside it.
const COPIED_PART: usize = 4;

/// What all requests on one thread share.
#[derive(Debug)]
pub(super) struct Hall {
    pub crew: watch::Receiver<Arc<Crew>>,
    /// A look at it is one atomic operation; the writer only ever swaps a pointer.
    pub table: watch::Receiver<Arc<Table>>,
    pub served: mpsc::Sender<Served>,
    pub copies: mpsc::Sender<Copy>,
    pub telemetry: Telemetry,
    pub clock: Clock,
    /// The thread's.
    pub seat: Seat,
}

/// Routes, lanes and room.
#[derive(Debug)]
pub(super) struct Crew {
    pub settings: Arc<Settings>,
    desks: HashMap<String, Arc<Desk>>,
    lanes: BTreeMap<(TargetId, Duration), Arc<Lane>>,
    standings: BTreeMap<TargetId, Arc<Mutex<Standing>>>,
    pub gate: Arc<Gate>,
    /// The largest request that any route takes.
    pub body_bytes_max: u64,
}

/// How much may be under way.
#[derive(Debug)]
pub(super) struct Gate {
    limits: (u32, u64),
    pub in_flight: Arc<Semaphore>,
    /// In KiB, as a semaphore counts 32 bits.
    pub held: Arc<Semaphore>,
    /// The same for copies, which must not take room from requests.
    pub copied: Arc<Semaphore>,
}

/// A route and how it does.
#[derive(Debug)]
pub(super) struct Desk {
    pub route: Arc<Route>,
    /// Where its requests are copied.
    pub mirror: Option<Arc<Mirroring>>,
    // Both are held for a few additions: a message would cost each request a turn of the scheduler.
    state: Mutex<State>,
    // Of responses alone, and held for one look.
    chains: Arc<Mutex<Chains>>,
    /// Stable's and the candidate's, where the route bounds what is under way on each.
    rooms: Option<[Arc<Semaphore>; 2]>,
}

/// What is kept of a route between requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    pub stable: Breaker,
    pub candidate: Breaker,
    pub budget: Budget,
}

impl State {
    pub fn breaker(&mut self, arm: Arm) -> &mut Breaker {
        match arm {
            Arm::Stable => &mut self.stable,
            Arm::Candidate => &mut self.candidate,
        }
    }
}

impl Desk {
    pub fn new(route: Arc<Route>, state: State, mirror: Option<Arc<Mirroring>>) -> Self {
        let room = |most: u32| Arc::new(Semaphore::new(most as usize));
        let rooms = route.in_flight_max.map(|most| [room(most), room(most)]);
        Self { route, mirror, state: Mutex::new(state), chains: Arc::default(), rooms }
    }

    /// Who made a response, where that is remembered.
    pub fn maker(&self, response: &str) -> Option<TargetId> {
        self.chains().maker(response).cloned()
    }

    /// Remembers who made a response.
    pub fn made(&self, response: &str, target: &TargetId) {
        self.chains().made(response, target);
    }

    fn chains(&self) -> MutexGuard<'_, Chains> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place on an arm, or that there is none.
    pub fn place(&self, arm: Arm) -> Result<Option<OwnedSemaphorePermit>, Full> {
        let Some([stable, candidate]) = &self.rooms else { return Ok(None) };
        let room = match arm {
            Arm::Stable => stable,
            Arm::Candidate => candidate,
        };
        Arc::clone(room).try_acquire_owned().map(Some).map_err(|_| Full)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew {
    /// A crew for these settings, which takes over what it can.
    pub fn build(settings: Settings, threads: Threads, before: Option<&Self>) -> Self {
        let limits = (settings.admission.in_flight_max, settings.admission.held_bytes_max);
        let gate = before.map(|before| &before.gate).filter(|gate| gate.limits == limits);
        let gate = gate.map_or_else(|| Arc::new(Gate::new(limits)), Arc::clone);
        let mut desks = HashMap::new();
        let mut lanes = BTreeMap::new();
        // One that changed begins anew.
        let standings: BTreeMap<_, _> = settings
            .targets
            .iter()
            .map(|(id, target)| {
                let same = before.filter(|before| before.settings.targets.get(id) == Some(target));
                let known = same.and_then(|before| before.standings.get(id)).cloned();
                (id.clone(), known.unwrap_or_default())
            })
            .collect();
        for route in &settings.routes {
            let known = before.and_then(|before| before.desk_of(route));
            let state = known.map(|desk| *desk.state()).unwrap_or_default();
            let mirror = Mirroring::of(route, known.and_then(|desk| desk.mirror.as_ref()));
            let mut desk = Desk::new(Arc::clone(route), state, mirror);
            if let Some(known) = known {
                desk.chains = Arc::clone(&known.chains);
                if known.route.in_flight_max == route.in_flight_max {
                    desk.rooms.clone_from(&known.rooms);
                }
            }
            let desk = Arc::new(desk);
            for model in &route.models {
                desks.insert(model.clone(), Arc::clone(&desk));
            }
            let connects = route.mirror.iter().map(|mirror| mirror.timeouts.connect);
            let connects = connects.chain([route.timeouts.connect]);
            for (target, connect) in connects
                .flat_map(|connect| settings.targets.values().map(move |target| (target, connect)))
            {
                let key = (target.id.clone(), connect);
                lanes.entry(key).or_insert_with_key(|key| {
                    let same = before.and_then(|before| before.lanes.get(key));
                    let same = same.filter(|lane| lane.target == *target);
                    let new = || {
                        let standing = standings.get(&key.0).cloned().unwrap_or_default();
                        Arc::new(Lane::new(Arc::clone(target), key.1, threads, standing))
                    };
                    same.map_or_else(new, Arc::clone)
                });
            }
        }
        let body_bytes_max = settings.routes.iter().map(|route| route.body_bytes_max).max();
        let body_bytes_max = body_bytes_max.unwrap_or_default();
        Self { settings: Arc::new(settings), desks, lanes, standings, gate, body_bytes_max }
    }

    /// Shows who is ejected, forgives who has not been asked for long, and closes what rested for long.
    pub fn review(&self, telemetry: &Telemetry, now: Timestamp) {
        self.lanes.values().for_each(|lane| lane.sweep());
        for (target, standing) in &self.standings {
            let mut standing = standing.lock().unwrap_or_else(PoisonError::into_inner);
            standing.forgive(now);
            telemetry.target_ejected(target, standing.is_broken());
        }
    }

    fn desk_of(&self, route: &Route) -> Option<&Arc<Desk>> {
        self.desks.values().find(|desk| desk.route.id == route.id)
    }

    /// The route that offers a model.
    pub fn desk(&self, model: &str) -> Option<&Arc<Desk>> {
        self.desks.get(model)
    }

    /// What copies requests, by route.
    pub fn mirrorings(&self) -> impl Iterator<Item = (&RouteId, &Arc<Mirroring>)> {
        // A desk stands here once for each of its models.
        let first =
            |(model, desk): &(&String, &Arc<Desk>)| desk.route.models.first() == Some(*model);
        let desks = self.desks.iter().filter(first);
        desks.filter_map(|(_, desk)| Some((&desk.route.id, desk.mirror.as_ref()?)))
    }

    /// The ways to an arm's targets, from the one that a number picks round to the one before it. A
    /// target that is not known any more is left out.
    pub fn lanes(&self, route: &Route, arms: &Arms, arm: Arm, spread: u64) -> Vec<Arc<Lane>> {
        let connect = route.timeouts.connect;
        let known = arms.targets(arm).iter();
        let mut found: Vec<Arc<Lane>> =
            known.filter_map(|id| self.lanes.get(&(id.clone(), connect)).cloned()).collect();
        if let Some(count) = u64::try_from(found.len()).ok().filter(|count| *count > 1) {
            let first = usize::try_from(spread % count).unwrap_or_default();
            found.rotate_left(first);
        }
        found
    }

    /// Whose key a text is: a name, nobody's where none is asked for, or an error.
    pub fn client(&self, shown: Option<&str>) -> Result<Option<&str>, Unknown> {
        let Some(keys) = &self.settings.admission.keys else { return Ok(None) };
        let found = shown.and_then(|shown| Token::find(keys, shown));
        found.map(|key| Some(key.name.as_str())).ok_or(Unknown)
    }
}

/// An arm on which as many requests are under way as may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full;

/// A key that is missing or that nobody has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unknown;

impl Gate {
    fn new(limits: (u32, u64)) -> Self {
        let (in_flight, held) = limits;
        let held = usize::try_from(held / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        let copied = (held / COPIED_PART).max(1);
        Self {
            limits,
            in_flight: Arc::new(Semaphore::new(in_flight as usize)),
            held: Arc::new(Semaphore::new(held.max(1))),
            copied: Arc::new(Semaphore::new(copied)),
        }
    }
}
