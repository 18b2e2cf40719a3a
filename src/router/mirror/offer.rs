//! Draws the requests that are copied. Nothing here waits.

use std::sync::Arc;

use http::HeaderMap;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::crew::{Crew, Hall};
use super::super::intake::{Held, Order};
use super::super::lane::Lane;
use super::super::observe::Observed;
use super::{Copy, Mirroring};
use crate::provider::SloClass;
use crate::routing::{Arm, Arms, Share, Uncopied, Way, way};

/// By this header a client says that its request is not to be copied.
const MARK: &str = "x-bellwether-mirror";
/// What it says there.
const NOT: [&str; 4] = ["off", "false", "no", "0"];

/// Draws whether a request of stable is copied, and hands its copy over. Returns whom to tell what came
/// of the request itself.
pub(in super::super) fn offer(
    hall: &Hall,
    crew: &Crew,
    order: &Order,
    arms: &Arms,
) -> Option<oneshot::Sender<(Observed, SloClass)>> {
    let mirroring = order.desk.mirror.as_ref()?;
    if !mirroring.settings.share.takes(rand::random()) {
        return None;
    }
    let route = &order.desk.route.id;
    let handed = copy(crew, order, arms, mirroring).and_then(|(copy, tell)| {
        hall.telemetry.mirror_queued(route, 1);
        hall.copies.try_send(copy).map(|()| tell).map_err(|_| {
            hall.telemetry.mirror_queued(route, -1);
            Uncopied::QueueFull
        })
    });
    handed.map_err(|reason| hall.telemetry.mirror_dropped(route, reason)).ok()
}

fn copy(
    crew: &Crew,
    order: &Order,
    arms: &Arms,
    mirroring: &Arc<Mirroring>,
) -> Result<(Copy, oneshot::Sender<(Observed, SloClass)>), Uncopied> {
    if is_marked(&order.headers) {
        return Err(Uncopied::Marked);
    }
    let lane = lane(crew, order, arms, mirroring).ok_or(Uncopied::NoTarget)?;
    let is_candidate = arms.candidate.contains(&lane.target.id);
    if is_candidate && order.desk.state().candidate.is_open() {
        return Err(Uncopied::CircuitOpen);
    }
    let place = Arc::clone(&mirroring.places).try_acquire_owned();
    let place = place.map_err(|_| Uncopied::QueueFull)?;
    let kib = u32::try_from(order.body.len().div_ceil(1024)).map_err(|_| Uncopied::Memory)?;
    let room = Arc::clone(&crew.gate.copied).try_acquire_many_owned(kib);
    let room = room.map_err(|_| Uncopied::Memory)?;
    let (tell, told) = oneshot::channel();
    let now = Instant::now();
    let order = Order {
        id: order.id.clone(),
        surface: order.surface,
        query: order.query.clone(),
        headers: order.headers.clone(),
        body: order.body.clone(),
        named: order.named.clone(),
        is_streamed: order.is_streamed,
        desk: Arc::clone(&mirroring.desk),
        client: None,
        key: None,
        wish: None,
        continues: None,
        held: Held::from(now),
        arrived: now,
        place: Some(place),
        _room: Some(room),
    };
    let is_evidence = is_candidate && mirroring.settings.is_evidence;
    let mirroring = Arc::clone(mirroring);
    Ok((Copy { order, mirroring, lane, stable: told, is_evidence }, tell))
}

fn is_marked(headers: &HeaderMap) -> bool {
    let said = headers.get(MARK).and_then(|value| value.to_str().ok()).map(str::trim);
    said.is_some_and(|said| NOT.iter().any(|not| said.eq_ignore_ascii_case(not)))
}

/// The way to the target, if it answers at this interface.
fn lane(crew: &Crew, order: &Order, arms: &Arms, mirroring: &Arc<Mirroring>) -> Option<Arc<Lane>> {
    let named = mirroring.settings.to.as_ref().map(|to| Arms {
        stable: Vec::new(),
        candidate: vec![to.clone()],
        share: Share::NONE,
        salt: String::new(),
    });
    let arms = named.as_ref().unwrap_or(arms);
    let lanes = crew.lanes(&mirroring.desk.route, arms, Arm::Candidate, rand::random());
    lanes.into_iter().find(|lane| way(order.surface, lane.target.provider.dialect) != Way::Never)
}
