//! The way to one target: its client, its address and its key.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;

use super::workers::Seat;
use crate::probe::Target;
use crate::routing::Standing;
use crate::threads::Threads;
use crate::upstream::{
    self, Blueprint, Carrier, CarrierError, ClientOptions, Idle, Reach, SecretError, TokenError,
    Tokens,
};

/// A rotated key is taken up within this time; to read it for each request would cost more than the
/// rest of the request does.
const KEY_AGE_MAX: Duration = Duration::from_secs(1);

/// One target, as it is reached from here.
#[derive(Debug)]
pub(super) struct Lane {
    pub target: Arc<Target>,
    blueprint: Result<Blueprint, CarrierError>,
    /// One for each thread, built when it first goes there.
    carriers: Vec<OnceLock<Carrier>>,
    // Held for a look at the clock, and once a second for the reading of a small file: a message to
    // somebody who reads would cost each request a turn of the scheduler.
    keys: Mutex<Option<(Instant, Arc<HeaderMap>)>>,
    tokens: Option<Arc<Tokens>>,
    // Of all ways to the target. Held for a look or a few stores.
    standing: Arc<Mutex<Standing>>,
}

/// Why a request could not even be written: the operator's mistake.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError<'a> {
    #[error(transparent)]
    Carrier(&'a CarrierError),
    #[error("there is no client for this thread")]
    Seat,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl Lane {
    /// A lane that gives up connecting after a time. What is wrong with it is said when it is used.
    pub fn new(
        target: Arc<Target>,
        connect_timeout: Duration,
        threads: Threads,
        standing: Arc<Mutex<Standing>>,
    ) -> Self {
        let provider = &target.provider;
        let reach = Reach::of(&provider.base_url);
        let options = ClientOptions { connect_timeout, idle: Idle::Kept, reach };
        let blueprint = Blueprint::resuming(&provider.http, &options, &provider.base_url);
        let carriers = Seat::all(threads).map(|_| OnceLock::new()).collect();
        let tokens = Tokens::of(&provider.http);
        Self { target, blueprint, carriers, keys: Mutex::default(), tokens, standing }
    }

    /// How the target did lately, on whatever route.
    pub fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's client.
    pub fn carrier(&self, seat: Seat) -> Result<&Carrier, LaneError<'_>> {
        let blueprint = self.blueprint.as_ref().map_err(LaneError::Carrier)?;
        let carrier = self.carriers.get(seat.index()).ok_or(LaneError::Seat)?;
        Ok(carrier.get_or_init(|| blueprint.build()))
    }

    /// Closes connections that have rested for too long, where nobody comes by.
    pub fn sweep(&self) {
        self.carriers.iter().filter_map(OnceLock::get).for_each(Carrier::sweep);
    }

    /// The configured headers, the key among them.
    pub fn keys(&self) -> Result<Arc<HeaderMap>, LaneError<'_>> {
        let now = Instant::now();
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((read, keys)) = &*keys
            && now.saturating_duration_since(*read) < KEY_AGE_MAX
        {
            return Ok(Arc::clone(keys));
        }
        let provider = &self.target.provider;
        let mut headers = upstream::headers(&provider.http)?;
        if let Some((name, value)) = upstream::provider_key(provider)? {
            headers.insert(name, value);
        }
        let headers = Arc::new(headers);
        *keys = Some((now, Arc::clone(&headers)));
        Ok(headers)
    }

    /// The token that is sent in place of a key, where one is.
    pub async fn token(&self) -> Result<Option<HeaderValue>, LaneError<'_>> {
        match &self.tokens {
            Some(tokens) => Ok(Some(tokens.header().await?)),
            None => Ok(None),
        }
    }
}
