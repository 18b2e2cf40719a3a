//! The way to one target: its client, its address and its key.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, Uri};
use tokio::time::Instant;

use crate::probe::Target;
use crate::routing::Surface;
use crate::upstream::{
    self, Carrier, CarrierError, ClientOptions, Idle, Reach, SecretError, carrier,
};

/// A rotated key is taken up within this time; to read it for each request would cost more than the
/// rest of the request does.
const KEY_AGE_MAX: Duration = Duration::from_secs(1);

/// One target, as it is reached from here.
#[derive(Debug)]
pub(super) struct Lane {
    pub target: Arc<Target>,
    carrier: Result<Carrier, CarrierError>,
    /// Where surfaces are called, as far as `base_url` makes URLs.
    addresses: Vec<(Surface, Uri)>,
    // Held for a look at the clock, and once a second for the reading of a small file: a message to
    // somebody who reads would cost each request a turn of the scheduler.
    keys: Mutex<Option<(Instant, Arc<HeaderMap>)>>,
}

/// Why a request could not even be written: the operator's mistake.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaneError<'a> {
    #[error(transparent)]
    Carrier(&'a CarrierError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("`base_url` makes no URL")]
    Url(#[from] http::Error),
}

impl Lane {
    /// A lane that gives up connecting after a time. What is wrong with it is said when it is used.
    pub fn new(target: Arc<Target>, connect_timeout: Duration) -> Self {
        let provider = &target.provider;
        let reach = Reach::of(&provider.base_url);
        let options = ClientOptions { connect_timeout, idle: Idle::Kept, reach };
        let carrier = carrier(&provider.http, &options, &provider.base_url);
        let addresses = Surface::ALL.into_iter().filter_map(|surface| {
            let address = address(&provider.base_url, surface, None).ok()?;
            Some((surface, address))
        });
        let addresses = addresses.collect();
        Self { target, carrier, addresses, keys: Mutex::default() }
    }

    /// The client.
    pub fn carrier(&self) -> Result<&Carrier, LaneError<'_>> {
        self.carrier.as_ref().map_err(LaneError::Carrier)
    }

    /// Where a surface is called.
    pub fn uri(&self, surface: Surface, query: Option<&str>) -> Result<Uri, LaneError<'_>> {
        match self.addresses.iter().find(|(known, _)| *known == surface) {
            Some((_, address)) if query.is_none() => Ok(address.clone()),
            _ => Ok(address(&self.target.provider.base_url, surface, query)?),
        }
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
}

fn address(base_url: &str, surface: Surface, query: Option<&str>) -> Result<Uri, http::Error> {
    let base: Uri = base_url.parse()?;
    let prefix = base.path().trim_end_matches('/');
    let path = match query {
        Some(query) => format!("{prefix}{}?{query}", surface.path()),
        None => format!("{prefix}{}", surface.path()),
    };
    let mut parts = base.into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(path)?);
    Ok(Uri::from_parts(parts)?)
}
