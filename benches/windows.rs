//! What a rule costs by the length of its window: CPU time for each rule and evaluation.
//!
//! `cargo bench --bench windows` fills a store with 30 days at 15 s, of which the samples of one day
//! are kept, and evaluates the same error-ratio and p99 rules over windows from 5 minutes to 30
//! days, in turns with new samples. It prints means, as a chunk's age decides what reading it costs,
//! and the ratio to the shortest window.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bellwether::model::{Labels, Timestamp};
use bellwether::rules::{self, Context, Defaults, Group};
use bellwether::series::{Scrape, Settings, Store};

const STEP_MS: i64 = 15_000;
const DAYS: i64 = 30;
const TARGETS: usize = 20;
const ERROR_TYPES: usize = 8;
const BUCKETS: usize = 12;
/// A prime, so that evaluations meet chunks of every age.
const ROUNDS: usize = 61;
/// The system tells CPU time in steps of milliseconds.
const REPEATS: usize = 40;
const WINDOWS: [&str; 7] = ["5m", "30m", "1h", "6h", "1d", "3d", "30d"];

const KINDS: [(&str, &str); 2] = [
    (
        "error ratio",
        "sum(rate(probes_total{target=\"T\",error_type!=\"0\"}[W])) \
         / sum(rate(probes_total{target=\"T\"}[W])) > 0.5",
    ),
    (
        "p99",
        "histogram_quantile(0.99, sum by (le) (rate(duration_seconds_bucket{target=\"T\"}[W]))) > 100",
    ),
];

/// The series: results by type, and a histogram, of each target. All counters.
fn series() -> Vec<(Labels, f64)> {
    let mut series = Vec::new();
    for target in 0..TARGETS {
        let target = target.to_string();
        let mut add = |name: &str, label: &str, value: String| {
            let pairs = [("__name__", name), ("target", &target), (label, &value)];
            series.push((Labels::from_pairs(pairs), 0.0));
        };
        (0..ERROR_TYPES).for_each(|kind| add("probes_total", "error_type", kind.to_string()));
        (1..BUCKETS).for_each(|le| add("duration_seconds_bucket", "le", le.to_string()));
        add("duration_seconds_bucket", "le", "+Inf".to_owned());
    }
    series
}

/// Each target answers at each step, in one of the upper buckets, and fails now and then.
fn grow(series: &mut [(Labels, f64)], state: &mut u64) {
    let mut draw = |bound: u64| {
        // Knuth's MMIX generator.
        *state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % bound
    };
    for target in series.chunks_mut(ERROR_TYPES + BUCKETS) {
        let (results, buckets) = target.split_at_mut(ERROR_TYPES);
        let kind = if draw(100) == 0 { draw(ERROR_TYPES as u64) } else { 0 };
        results[kind as usize].1 += 1.0;
        let slowest = draw(BUCKETS as u64 / 2) as usize;
        buckets[slowest..].iter_mut().for_each(|(_, value)| *value += 1.0);
    }
}

fn group(kind: &str, window: &str) -> anyhow::Result<Group> {
    let mut text = "groups:\n- name: g\n  rules:\n".to_owned();
    for target in 0..TARGETS {
        let expr = kind.replace('T', &target.to_string()).replace('W', window);
        text += &format!("  - alert: A{target}\n    expr: '{expr}'\n");
    }
    let mut file = match rules::parse("bench.yml", &text) {
        Ok(file) => file,
        Err(mistakes) => bail!("{mistakes:?}"),
    };
    let spec = file.groups.pop().context("the file has one group")?;
    let defaults = Defaults { interval: Duration::from_secs(15), query_offset: Duration::ZERO };
    Ok(Group::new(spec, &defaults))
}

/// CPU time of this process's only thread.
fn cpu_us() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e3)
}

fn main() -> anyhow::Result<()> {
    let mut groups = Vec::new();
    let mut files = Vec::new();
    for (_, kind) in KINDS {
        for window in WINDOWS {
            let group = group(kind, window)?;
            files.push(rules::RuleFile { groups: vec![group.spec().clone()] });
            groups.push((group, 0.0));
        }
    }
    let retention = Duration::from_secs(86_400);
    let mut store =
        Store::new(Settings { retention, size_max_bytes: 1 << 30, series_max: 100_000 });
    store.watch(rules::watches(&files));
    let (mut scrape, mut series, mut state) = (Scrape::default(), series(), 1);
    let mut now = Timestamp::from_millis(1_700_000_000_000);
    let mut step = |store: &mut Store, expires: bool| {
        now = now + Duration::from_millis(STEP_MS as u64);
        grow(&mut series, &mut state);
        store.scrape(&mut scrape, now, &series);
        if expires {
            store.expire(now);
        }
        now
    };
    for number in 0..DAYS * 86_400_000 / STEP_MS {
        step(&mut store, number % 40 == 0);
    }
    let stats = store.stats();
    println!("{} series, {:.1} MB", stats.series, stats.bytes as f64 / 1e6);
    let context = Context {
        external_labels: Labels::empty(),
        external_url: String::new(),
        resend_delay: Duration::from_secs(60),
    };
    for _ in 0..ROUNDS {
        let now = step(&mut store, false);
        for (group, cost) in &mut groups {
            let before = cpu_us()?;
            for _ in 0..REPEATS {
                let evaluation = group.evaluate(now, &mut store, &context);
                if !evaluation.failures.is_empty() || evaluation.samples > 0 {
                    bail!("the rules should find nothing: {evaluation:?}");
                }
            }
            *cost += (cpu_us()? - before) / (TARGETS * REPEATS * ROUNDS) as f64;
        }
    }
    for ((kind, _), groups) in KINDS.iter().zip(groups.chunks(WINDOWS.len())) {
        let mut shortest = None;
        for ((_, cost), window) in groups.iter().zip(WINDOWS) {
            let first = *shortest.get_or_insert(*cost);
            println!("{kind:<12} {window:>4} {cost:>8.2} CPU us a rule, {:.2}", cost / first);
        }
    }
    Ok(())
}
