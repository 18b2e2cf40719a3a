//! Routes as the configuration describes them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Mirror;
use crate::access::Token;
use crate::model::{RouteId, TargetId};
use crate::probe::{Target, Timeouts};
use crate::provider::translate::Strictness;

/// Everything that the router works by, beside the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// The routes, in the order written.
    pub routes: Vec<Arc<Route>>,
    /// Whatever an arm may name.
    pub targets: BTreeMap<TargetId, Arc<Target>>,
    /// Who is let in, and how many at once.
    pub admission: Admission,
}

impl Settings {
    /// The route that offers a model.
    pub fn route_of(&self, model: &str) -> Option<&Arc<Route>> {
        self.routes.iter().find(|route| route.models.iter().any(|offered| offered == model))
    }
}

/// Who is let in, and how many at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The keys that clients show; `None` where none is asked for, as the configuration says in so
    /// many words or leaves open.
    pub keys: Option<Vec<Token>>,
    /// Whether the configuration says `auth: none`.
    pub is_open: bool,
    /// How many requests may be under way; more are turned away.
    pub in_flight_max: u32,
    /// How many bytes of requests may be held at once, all together.
    pub held_bytes_max: u64,
}

impl Default for Admission {
    fn default() -> Self {
        Self { keys: None, is_open: false, in_flight_max: 2_048, held_bytes_max: 256 << 20 }
    }
}

impl Admission {
    /// Whether it may listen where others than this machine can reach it.
    pub fn may_face_others(&self) -> bool {
        self.is_open || self.keys.is_some()
    }
}

/// A name that clients ask for, and how their requests travel.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its name.
    pub id: RouteId,
    /// The models under which clients ask for it; no two routes share one.
    pub models: Vec<String>,
    /// The targets of the stable arm, at least one.
    pub stable: Vec<TargetId>,
    /// What tells clients apart, the first that a request has.
    pub keys: Vec<KeySource>,
    /// Names of the clients' keys whose requests may ask for an arm.
    pub testers: BTreeSet<String>,
    /// What is always served by stable.
    pub pins: Vec<Pin>,
    /// Whether a failed attempt is followed by another.
    pub retries: Retries,
    /// When an attempt is given up.
    pub timeouts: Timeouts,
    /// How many requests may be under way on each arm; any number where absent.
    pub in_flight_max: Option<u32>,
    /// The largest request.
    pub body_bytes_max: u64,
    /// What answers tell beside what the provider says.
    pub tells: BTreeSet<Tell>,
    /// Whose key goes to the provider.
    pub credentials: Credentials,
    /// What becomes of parameters that a provider of another dialect has no words for.
    pub strictness: Strictness,
    /// Which requests of stable are copied, and to whom; off where there is none.
    pub mirror: Option<Mirror>,
}

/// What tells clients apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// A header, by its lower-case name.
    Header(String),
    /// The field `user` of the request.
    User,
    /// The field `metadata.user_id` of the request.
    MetadataUserId,
    /// The key that the client showed.
    ApiKey,
    /// What the conversation began with: its later turns begin with the same.
    Conversation,
}

/// What is always served by stable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// A client, by the name of its key.
    Client(String),
    /// Requests with a header, and with this value where one is named.
    Header {
        /// Its lower-case name.
        name: String,
        /// The value; any will do where there is none.
        value: Option<String>,
    },
    /// Requests that the keys tell apart as this one: a tenant, a user.
    Key(String),
}

/// Whether and how often a failed attempt is followed by another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts beyond the first.
    pub max: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause; a provider that asks for more is not asked again.
    pub pause_max: Duration,
    /// How many retries there may be for a hundred requests.
    pub budget_percent: u32,
}

impl Default for Retries {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { max: 2, pause: ms(200), pause_max: ms(10_000), budget_percent: 20 }
    }
}

/// When an attempt is given up, where a route says nothing else. Long answers of slow models take
/// minutes: official clients wait for ten.
pub const TIMEOUTS: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_token: Duration::from_secs(60),
    idle: Duration::from_secs(60),
    total: Duration::from_secs(600),
};

/// Something that answers tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tell {
    /// `x-bellwether-arm`
    Arm,
    /// `x-bellwether-request-id`
    RequestId,
    /// `x-bellwether-target`
    Target,
}

/// Whose key goes to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// Ours; what the client shows stays here.
    Ours,
    /// The client's own.
    Clients,
}
