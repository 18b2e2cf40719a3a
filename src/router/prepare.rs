//! What is sent to one target: the client's own bytes, or its request in the provider's words.

use bytes::Bytes;
use serde_json::Value;

use super::intake::Order;
use super::lane::Lane;
use crate::clock::Clock;
use crate::provider::Dialect;
use crate::provider::translate::{self, Direction, Names, Stream};
use crate::routing::{Refusal, Surface, Way, decoder, path, way};
use crate::telemetry::Telemetry;

/// A request as a target gets it.
pub(super) struct Prepared {
    /// Where it is sent, below the base URL.
    pub path: String,
    /// What reads the answer; where nothing does, it is graded by its status.
    pub decoder: Option<Dialect>,
    pub body: Bytes,
    /// How the answer is told, where in other words.
    pub told: Option<Told>,
}

/// How an answer is told to the client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
    pub direction: Direction,
    /// In seconds since 1970.
    pub now: i64,
    wants_usage: bool,
}

impl Told {
    /// A stream that begins.
    pub fn stream(self) -> Stream {
        Stream::new(self.direction, self.wants_usage, self.now)
    }
}

/// Prepares a request for a target, if its interface has words for it.
pub(super) fn prepare(
    order: &Order,
    lane: &Lane,
    telemetry: &Telemetry,
    clock: &Clock,
) -> Result<Prepared, Refusal> {
    let target = &lane.target;
    let model = target.provider.upstream_model(&target.model);
    let provider = &target.provider;
    let path = path(order.surface, provider, model, order.is_streamed);
    let decoder = decoder(order.surface, provider.dialect).filter(|_| !is_deferred(order));
    let direction = match way(order.surface, provider.dialect) {
        Way::Never => return Err(Refusal::NoWay(order.surface.path())),
        Way::Through => {
            let body = match order.named.renamed(&order.body, model) {
                Some(body) => Bytes::from(body),
                None => order.body.clone(),
            };
            return Ok(Prepared { path, decoder, body, told: None });
        }
        Way::Told(direction) => direction,
    };
    let strictness = order.desk.route.strictness;
    let provider = &target.provider;
    let names = Names::of(provider, model);
    let said = translate::request(direction, &order.body, names, strictness)?;
    telemetry.parameters_lost(direction, &said.lost);
    let asked: Value = serde_json::from_slice(&order.body).unwrap_or_default();
    let told = Told {
        direction,
        now: clock.now().millis() / 1_000,
        wants_usage: asked["stream_options"]["include_usage"] == true,
    };
    Ok(Prepared { path, decoder, body: Bytes::from(said.body), told: Some(told) })
}

/// Whether a response is asked for that is not there yet when it is answered.
fn is_deferred(order: &Order) -> bool {
    const NAME: &[u8] = b"\"background\"";
    order.surface == Surface::Responses
        && order.body.windows(NAME.len()).any(|bytes| bytes == NAME)
        && serde_json::from_slice::<Value>(&order.body)
            .is_ok_and(|asked| asked["background"] == true)
}
