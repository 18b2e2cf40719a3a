//! How soon a breach is a webhook, and what receivers that hang, refuse or are many cost.
//!
//! `cargo bench --bench delivery` runs all parts; `-- breach`, `-- hung`, `-- retry` or `-- thousand`
//! runs one. `FAULTS` (200) and `SEED` (1) set the first. It needs `prometheus` and
//! `prometheus-alertmanager` (Debian's packages; `PROMETHEUS` and `ALERTMANAGER` name others), which
//! judge the same faults by the same rule, at their tightest settings, in the same run.
//!
//! The clock of a breach is the provider's own: it starts when the answer that crosses the line has
//! been handed to the socket, and stops when the webhook's request has been read.

mod breach;
mod posts;
mod receiver;

use std::time::Duration;

fn main() -> anyhow::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        if is_wanted("hung") {
            posts::hung().await?;
        }
        if is_wanted("retry") {
            posts::retry().await?;
        }
        if is_wanted("thousand") {
            posts::thousand().await?;
        }
        if is_wanted("breach") {
            breach::run(setting("FAULTS", 200)?, setting("SEED", 1)?).await?;
        }
        Ok(())
    })
}

fn setting(name: &str, default: u64) -> anyhow::Result<u64> {
    Ok(std::env::var(name).map_or(Ok(default), |text| text.parse())?)
}

/// Median, 99th percentile and maximum, in milliseconds.
fn distribution(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| {
        let position = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1));
        times.get(position - 1).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    };
    format!(
        "n {:>4}  p50 {:>8.1} ms  p99 {:>8.1} ms  max {:>8.1} ms",
        times.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    )
}
