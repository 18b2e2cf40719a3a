//! Takes a request in: who asks, what for, and how large it may be.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

use super::crew::{Crew, Desk};
use crate::downstream::PeerCertificate;
use crate::routing::{Arm, KeySource, Named, Peek, Refusal, Surface, assignment_key, peek};

/// How long a request's body may take to arrive: a large one over a slow line takes seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// What a header for testers is called, and what answers tell their arm by.
pub(super) const ARM: &str = "x-bellwether-arm";

/// A request that was taken in.
#[derive(Debug)]
pub(super) struct Order {
    pub id: String,
    pub surface: Surface,
    pub query: Option<String>,
    /// As the client sent them.
    pub headers: HeaderMap,
    pub body: Bytes,
    pub named: Named,
    pub is_streamed: bool,
    pub desk: Arc<Desk>,
    /// The name of the client's key, or else the fingerprint of its certificate.
    pub client: Option<String>,
    /// What tells the client apart.
    pub key: Option<Vec<u8>>,
    /// The arm that a tester asks for.
    pub wish: Option<Arm>,
    /// The response that it continues.
    pub continues: Option<String>,
    /// How long it has been held here so far.
    pub held: Held,
    pub arrived: Instant,
    /// One of those that may be under way, until the answer has ended.
    pub place: Option<OwnedSemaphorePermit>,
    /// Room for the body, until nobody is asked any more.
    pub _room: Option<OwnedSemaphorePermit>,
}

/// The time for which a request was held by us, waits for others left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    total: Duration,
    since: Option<Instant>,
}

impl Held {
    pub fn from(now: Instant) -> Self {
        Self { total: Duration::ZERO, since: Some(now) }
    }

    /// Somebody else is waited for.
    pub fn pause(&mut self) {
        if let Some(since) = self.since.take() {
            self.total += since.elapsed();
        }
    }

    /// It is our turn again.
    pub fn go_on(&mut self) {
        self.since = Some(Instant::now());
    }

    pub fn total(&self) -> Duration {
        self.total
    }
}

/// A request as it came, but for its body.
pub(super) struct Arriving<'a> {
    pub id: String,
    pub certificate: Option<PeerCertificate>,
    pub surface: Surface,
    pub query: Option<String>,
    pub headers: HeaderMap,
    pub is_loopback: bool,
    pub crew: &'a Crew,
}

/// Takes a request in, or says why not.
pub(super) async fn take(arriving: Arriving<'_>, body: Body) -> Result<Order, Refusal> {
    let arrived = Instant::now();
    let mut held = Held::from(arrived);
    let Arriving { id, certificate, surface, query, headers, is_loopback, crew } = arriving;
    let shown = credential(&headers);
    let client = crew.client(shown).map_err(|_| Refusal::Unauthenticated)?.map(str::to_owned);
    // Who has no key of ours is told apart by the certificate, in the log.
    let client = client.or(certificate.map(|PeerCertificate(print)| print));
    let place = Arc::clone(&crew.gate.in_flight).try_acquire_owned().map_err(|_| shed())?;
    held.pause();
    let reading = read(body, &headers, crew);
    let (body, room) =
        tokio::time::timeout(BODY_TIMEOUT, reading).await.map_err(|_| Refusal::BodyBroken)??;
    held.go_on();
    let found = peek(&body)?;
    let desk = crew.desk(&found.named.model);
    let desk = desk.ok_or_else(|| Refusal::UnknownModel(shortened(&found.named.model)))?;
    let route = &desk.route;
    if body.len() as u64 > route.body_bytes_max {
        return Err(Refusal::TooLarge(route.body_bytes_max));
    }
    let may_wish = match &client {
        Some(name) => route.testers.contains(name),
        // Where nobody has a key, this machine is trusted.
        None => is_loopback,
    };
    let wish = headers.get(ARM).and_then(|value| value.to_str().ok()).and_then(Arm::parse);
    let key = key(desk, &found, &headers, shown);
    let continues = found.continues.clone();
    let continues = continues.filter(|id| surface == Surface::Responses && !id.is_empty());
    let (named, is_streamed) = (found.named.clone(), found.is_streamed);
    Ok(Order {
        id,
        surface,
        query,
        named,
        is_streamed,
        desk: Arc::clone(desk),
        client,
        key,
        wish: wish.filter(|_| may_wish),
        continues,
        headers,
        body,
        held,
        arrived,
        place: Some(place),
        _room: room,
    })
}

/// Too much is under way.
pub(super) fn shed() -> Refusal {
    // Chance keeps those who were turned away together from coming back together.
    Refusal::Shed(Duration::from_secs(1 + u64::from(rand::random::<u8>() % 3)))
}

/// A name that nobody offers, short enough for an answer.
fn shortened(model: &str) -> String {
    model.chars().take(100).collect()
}

/// What the client shows, by either header.
pub(super) fn credential(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| {
        let (scheme, rest) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(rest.trim())
    });
    bearer.or_else(|| text("x-api-key")).or_else(|| text("api-key"))
}

/// Reads a body, with room for each of its bytes.
async fn read(
    mut body: Body,
    headers: &HeaderMap,
    crew: &Crew,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
    let most = crew.body_bytes_max;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or_default();
    if length > most {
        return Err(Refusal::TooLarge(most));
    }
    let mut held = grow(None, length, crew)?;
    let mut whole = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
    let mut first: Option<Bytes> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Refusal::BodyBroken)?;
        let Ok(bytes) = frame.into_data() else { continue };
        let size = whole.len() as u64 + first.as_ref().map_or(0, Bytes::len) as u64;
        let size = size + bytes.len() as u64;
        if size > most {
            return Err(Refusal::TooLarge(most));
        }
        held = grow(held, size, crew)?;
        // Most requests come in one piece, which need not be copied.
        match first.take() {
            None if whole.is_empty() => first = Some(bytes),
            before => {
                before.iter().for_each(|before| whole.extend_from_slice(before));
                whole.extend_from_slice(&bytes);
            }
        }
    }
    Ok((first.unwrap_or_else(|| whole.freeze()), held))
}

/// Room for so many bytes, in place of the room that was there.
fn grow(
    room: Option<OwnedSemaphorePermit>,
    bytes: u64,
    crew: &Crew,
) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    let have = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) as u64;
    let more = bytes.div_ceil(1024).saturating_sub(have);
    if more == 0 {
        return Ok(room);
    }
    let more = u32::try_from(more).map_err(|_| shed())?;
    let more = Arc::clone(&crew.gate.held).try_acquire_many_owned(more).map_err(|_| shed())?;
    Ok(Some(match room {
        Some(mut before) => {
            before.merge(more);
            before
        }
        None => more,
    }))
}

/// What the route's keys find in a request.
fn key(desk: &Desk, found: &Peek<'_>, headers: &HeaderMap, shown: Option<&str>) -> Option<Vec<u8>> {
    let metadata = found.metadata_user_id();
    let conversation =
        desk.route.keys.contains(&KeySource::Conversation).then(|| found.conversation()).flatten();
    assignment_key(&desk.route, |source| match source {
        KeySource::Header(name) => headers.get(name.as_str()).map(|value| value.as_bytes()),
        KeySource::User => found.user.as_deref().map(str::as_bytes),
        KeySource::MetadataUserId => metadata.as_deref().map(str::as_bytes),
        KeySource::ApiKey => shown.map(str::as_bytes),
        KeySource::Conversation => conversation.as_ref().map(|hash| &hash[..]),
    })
}
