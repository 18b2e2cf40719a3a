//! How long a start takes where there is a day of samples, and how much disk they take.
//!
//! `cargo run --release --example archive_start -- [DIRECTORY]`
//!
//! Two targets' worth: 100 series once a second and 600 more every 15 s, of which two thirds are
//! counters that rise now and then, as buckets do, and the others gauges.

use std::path::PathBuf;
use std::time::Duration;

use bellwether::archive::Archive;
use bellwether::model::{Labels, Sample, Timestamp};
use bellwether::series::{Settings, Store};
use bellwether::telemetry::Telemetry;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::Instant;

const DAY: Duration = Duration::from_secs(24 * 3600);
const SETTINGS: Settings =
    Settings { retention: DAY, size_max_bytes: 1 << 30, series_max: 100_000 };
const START: Timestamp = Timestamp::from_millis(1_780_000_000_000);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let own = std::env::temp_dir().join(format!("bellwether-archive-start-{}", std::process::id()));
    let directory = std::env::args().nth(1).map_or(own.clone(), PathBuf::from);
    let telemetry = Telemetry::new();
    let (archive, store) =
        Archive::open(&directory, SETTINGS, Vec::new(), START, telemetry.clone())?;
    let began = Instant::now();
    let samples = write_a_day(&archive, store).await?;
    archive.close(DAY).await;
    let bytes: u64 = std::fs::read_dir(directory.join("samples"))?
        .filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len()))
        .sum();
    println!("wrote {samples} samples in {:?}: {bytes} bytes", began.elapsed());
    for _ in 0..5 {
        let began = Instant::now();
        let (archive, store) =
            Archive::open(&directory, SETTINGS, Vec::new(), START + DAY, telemetry.clone())?;
        let took = began.elapsed();
        let stats = store.stats();
        println!("start: {took:?} for {} samples of {} series", stats.samples, stats.series);
        archive.close(DAY).await;
    }
    std::fs::remove_dir_all(own).or(Ok(()))
}

async fn write_a_day(archive: &Archive, mut store: Store) -> anyhow::Result<usize> {
    store.note_writes();
    let mut random = StdRng::seed_from_u64(7);
    let labels: Vec<Labels> = (0..700)
        .map(|number| {
            let bucket = (number % 20).to_string();
            let target = format!("provider-{}/model", number / 20 % 2);
            let name = format!("bellwether_probe_some_family_{}_seconds_bucket", number / 40);
            Labels::from_pairs([
                ("__name__", name.as_str()),
                ("target", target.as_str()),
                ("provider", "provider"),
                ("model", "model"),
                ("api", "openai_chat"),
                ("stream", "true"),
                ("job", "bellwether"),
                ("instance", "127.0.0.1:9779"),
                ("le", bucket.as_str()),
            ])
        })
        .collect();
    let mut values = vec![0.0; labels.len()];
    let mut count = 0;
    for second in 0..DAY.as_secs() {
        let jitter = random.random_range(0..3);
        let at = START + Duration::from_millis(second * 1000 + jitter);
        let series = if second % 15 == 0 { labels.len() } else { 100 };
        for (number, labels) in labels.iter().enumerate().take(series) {
            if number % 3 == 0 {
                values[number] = random.random_range(0.0..1.0);
            } else if random.random_bool(0.2) {
                values[number] += 1.0;
            }
            store.append(labels, Sample { at, value: values[number] })?;
        }
        count += series;
        archive.batches().send(store.take_written()).await?;
    }
    Ok(count)
}
