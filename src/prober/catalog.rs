//! Asks providers which models they have, on a slow cadence.
//!
//! It is no probe and no evidence: what comes of it moves gauges and a log line, and no rollback by
//! itself. A list that cannot be had changes nothing that was known. Whoever is refused for asking too
//! often asks more seldom: twice as seldom after each refusal in a row, and never before the provider
//! said.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::line::headers;
use crate::clock::Clock;
use crate::provider::{
    ListError, Listed, Provider, SharedProvider, Standing, list_request, read_list, retry_after,
    standing,
};
use crate::telemetry::{ModelReading, Telemetry};
use crate::upstream::{ClientOptions, Idle, Reach, Tokens, client, describe};

/// For one part of a list.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest lists have some hundred kilobytes.
const BODY_BYTES_MAX: usize = 8 << 20;
/// A list that never ends is none.
const PAGES_MAX: usize = 20;
/// So many names stand in one log line.
const NAMES_SHOWN_MAX: usize = 10;
/// A limit that was raised is noticed within a day, whatever was said.
const PAUSE_MAX: Duration = Duration::from_secs(86_400);
/// The status of a limit that is used up.
const TOO_MANY: u16 = 429;

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Nobody knows how to ask.
    #[error("nobody knows where it lists its models (write `model_list_path`)")]
    Unknown,
    /// The question could not be built; the chain says why.
    #[error("{0}")]
    Built(String),
    /// The exchange broke.
    #[error("{0}")]
    Broken(String),
    /// It took too long.
    #[error("no list within {TIMEOUT:?}")]
    Late,
    /// It was refused.
    #[error("HTTP {status}{}", wait.map(|wait| format!(", wait {wait:?}")).unwrap_or_default())]
    Refused {
        /// The status.
        status: u16,
        /// How long the provider asks to wait.
        wait: Option<Duration>,
    },
    /// It is too long.
    #[error("the list is over 8 MiB")]
    TooLong,
    /// It is none.
    #[error(transparent)]
    NoList(#[from] ListError),
}

/// The models that a provider lists, all parts of the list together.
pub async fn list_models(provider: &Provider, clock: &Clock) -> Result<Vec<Listed>, CatalogError> {
    let options = ClientOptions {
        connect_timeout: TIMEOUT,
        idle: Idle::Kept,
        reach: Reach::of(&provider.base_url),
    };
    let client =
        client(&provider.http, &options).map_err(|error| CatalogError::Built(error.to_string()))?;
    let tokens = Tokens::of(&provider.http);
    let mut models = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let question = list_request(provider, next.as_deref()).ok_or(CatalogError::Unknown)?;
        let headers = headers(provider, &question, tokens.as_ref())
            .await
            .map_err(|error| CatalogError::Built(error.to_string()))?;
        let url = format!("{}{}", provider.base_url, question.path);
        let request = client.get(url).headers(headers);
        let body = timeout(TIMEOUT, fetch(request, clock)).await;
        let page = read_list(&body.map_err(|_| CatalogError::Late)??)?;
        models.extend(page.models);
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(models)
}

async fn fetch(request: reqwest::RequestBuilder, clock: &Clock) -> Result<String, CatalogError> {
    let broken = |error: reqwest::Error| CatalogError::Broken(describe(&error.without_url()));
    let mut response = request.send().await.map_err(broken)?;
    if !response.status().is_success() {
        let headers = response.headers();
        let get =
            |name: &str| Some(String::from_utf8_lossy(headers.get(name)?.as_bytes()).into_owned());
        let wait = retry_after(&get, clock.now());
        return Err(CatalogError::Refused { status: response.status().as_u16(), wait });
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > BODY_BYTES_MAX {
            return Err(CatalogError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// Asks for ever, at once and then at each interval; `models` are those of the configuration.
pub(super) async fn watch(
    provider: SharedProvider,
    models: Vec<String>,
    interval: Duration,
    clock: Clock,
    telemetry: Telemetry,
) {
    let name = provider.id.as_str();
    let mut known: Option<BTreeSet<String>> = None;
    let mut refusals = 0;
    loop {
        let mut hint = None;
        match list_models(&provider, &clock).await {
            Ok(list) => {
                let now = clock.now();
                let readings: Vec<ModelReading> = models
                    .iter()
                    .filter_map(|model| reading(model, standing(&provider, model, &list, now)))
                    .collect();
                for reading in readings.iter().filter(|reading| !reading.is_listed) {
                    let model = reading.model.as_str();
                    tracing::warn!(provider = name, model, "the provider does not list this model");
                }
                let listed: BTreeSet<String> = list.into_iter().map(|listed| listed.id).collect();
                let changes = known.as_ref().map_or((0, 0), |known| tell(name, known, &listed));
                telemetry.models_listed(name, &readings, changes);
                known = Some(listed);
                refusals = 0;
            }
            Err(error) => {
                if let CatalogError::Refused { status, wait } = &error {
                    refusals += u32::from(*status == TOO_MANY);
                    hint = *wait;
                }
                tracing::warn!(provider = name, %error, "no list of models");
                telemetry.models_unknown(name);
            }
        }
        sleep(pause(interval, refusals, hint, rand::random())).await;
    }
}

/// How long to wait for the next list, after so many refusals in a row; `draw` is from 0 to 1, so that
/// those who were refused together do not come back together.
fn pause(interval: Duration, refusals: u32, hint: Option<Duration>, draw: f64) -> Duration {
    let usual = interval.saturating_mul(1 << refusals.min(16)).min(PAUSE_MAX.max(interval));
    let hinted = hint.unwrap_or_default().min(PAUSE_MAX);
    usual.max(hinted + hinted.mul_f64(draw / 10.0))
}

fn reading(model: &str, standing: Standing) -> Option<ModelReading> {
    let (is_listed, is_deprecated) = match standing {
        Standing::Listed => (true, false),
        Standing::Deprecated(_) => (true, true),
        Standing::Missing => (false, false),
        Standing::Unknown => return None,
    };
    Some(ModelReading { model: model.to_owned(), is_listed, is_deprecated })
}

/// Says which models came and went; returns how many.
fn tell(provider: &str, known: &BTreeSet<String>, listed: &BTreeSet<String>) -> (u64, u64) {
    let shown = |names: &[&String]| {
        let names: Vec<&str> =
            names.iter().take(NAMES_SHOWN_MAX).map(|name| name.as_str()).collect();
        names.join(", ")
    };
    let appeared: Vec<&String> = listed.difference(known).collect();
    let vanished: Vec<&String> = known.difference(listed).collect();
    if !appeared.is_empty() || !vanished.is_empty() {
        let (appeared, vanished) = (shown(&appeared), shown(&vanished));
        tracing::info!(provider, appeared, vanished, "the provider's models changed");
    }
    (appeared.len() as u64, vanished.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_heeded_and_never_undercut() {
        const S: Duration = Duration::from_secs(1);
        for (interval, refusals, hint, draw, expected) in [
            (3600, 0, None, 0.5, 3600.0),
            (3600, 0, Some(60), 0.5, 3600.0),
            (60, 1, None, 0.5, 120.0),
            (60, 3, None, 0.5, 480.0),
            (60, 1, Some(600), 0.0, 600.0),
            (60, 1, Some(600), 1.0, 660.0),
            // A day at most, and a tenth; a cadence of a week stays one.
            (60, 40, None, 0.5, 86_400.0),
            (604_800, 2, None, 0.5, 604_800.0),
            (60, 1, Some(10_000_000), 0.0, 86_400.0),
        ] {
            let hint = hint.map(|hint: u32| hint * S);
            let found = pause(interval * S, refusals, hint, draw);
            assert_eq!(found.as_secs_f64(), expected, "{interval} {refusals} {hint:?} {draw}");
        }
    }
}
