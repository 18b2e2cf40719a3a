//! Waiting for a level.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Between two looks: short for people, long for a machine.
const PERIOD: Duration = Duration::from_millis(25);
/// Long enough for anything that takes a moment on a machine that is busy with something else.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks until what is looked for is there; fails with what was missing last.
pub async fn until<T>(mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let by = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(missing) => assert!(Instant::now() < by, "not within {PATIENCE:?}: {missing}"),
        }
        sleep(PERIOD).await;
    }
}
