//! The reference endpoint: whether something else can be reached while providers cannot.
//!
//! It is asked only while a target cannot be reached, at once and then every ten seconds. Any answer
//! counts, whatever its status: the question is whether our own network carries anything at all.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::pulse::Pulse;
use crate::model::HttpSettings;
use crate::upstream::{ClientOptions, Idle, Reach, client};

/// How often it is looked whether the reference is needed.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is asked while it is.
const PERIOD: Duration = Duration::from_secs(10);
/// For one answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Asks for ever.
pub(super) async fn watch(url: String, pulse: Arc<Pulse>) {
    let options =
        ClientOptions { connect_timeout: TIMEOUT, idle: Idle::Closed, reach: Reach::of(&url) };
    let client = match client(&HttpSettings::default(), &options) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the reference endpoint cannot be asked");
            return;
        }
    };
    let mut asked: Option<Instant> = None;
    loop {
        sleep(LOOK).await;
        if !pulse.has_unreached() {
            if asked.take().is_some() {
                pulse.hear_reference(false);
            }
        } else if asked.is_none_or(|at| at.elapsed() >= PERIOD) {
            asked = Some(Instant::now());
            let answer = timeout(TIMEOUT, client.get(&url).send()).await;
            pulse.hear_reference(!matches!(answer, Ok(Ok(_))));
        }
    }
}
