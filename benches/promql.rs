//! What PromQL queries and rules cost: CPU time, not wall time, so that a busy machine matters less.
//!
//! `cargo bench --bench promql` prints medians of five interleaved rounds. `-- --ask` keeps the
//! process and answers each name of a [`Workload`] on standard input with its CPU milliseconds: so
//! `benches/against-prometheus` runs it in turns with a real Prometheus, which gets the same data
//! from `-- --export FILE`.
//!
//! The queries read 10,000 counters of an hour at 15 s. The rules read 48,000 series, 48 for each of
//! 1,000 targets: 16 kinds of results and two histograms. None of the alerts fires.

use std::fs::{self, File};
use std::io::{self, BufRead, BufWriter, Write};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bellwether::model::{Label, Labels, Timestamp};
use bellwether::promql::{self, Expr, Options, Value};
use bellwether::rules::{self, Context, Defaults, Group};
use bellwether::series::{Scrape, Settings, Store};

const STEP_MS: i64 = 15_000;
/// An hour, and the sample that begins it.
const STEPS: i64 = 241;
const TARGETS: usize = 1_000;
const INSTANCES: usize = 10;
const ERROR_TYPES: usize = 16;
/// Upper bounds in seconds; the one without a bound follows them.
const BOUNDS: [&str; 13] =
    ["0.1", "0.2", "0.4", "0.8", "1.0", "1.5", "2.0", "3.0", "5.0", "8.0", "15.0", "30.0", "60.0"];
const ROUNDS: usize = 5;

const ALL: &str = "sum by (provider) (rate(x_total[5m]))";
const REGEX: &str = r#"sum by (provider) (rate(x_total{target=~"target-1.*"}[5m]))"#;

/// Something whose cost is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Workload {
    All,
    Regex,
    ErrorRatio,
    P99,
}

impl Workload {
    const EACH: [Self; 4] = [Self::All, Self::Regex, Self::ErrorRatio, Self::P99];

    fn name(self) -> &'static str {
        match self {
            Self::All => "query-all",
            Self::Regex => "query-regex",
            Self::ErrorRatio => "rules-error-ratio",
            Self::P99 => "rules-p99",
        }
    }
}

/// How a series grows in a step: by a draw up to `most`, and by as much as the series before it
/// where it counts all that one counts.
#[derive(Clone, Copy)]
struct Growth {
    most: u64,
    includes_last: bool,
}

/// Series with a fixed sequence of draws that make them grow.
struct Plant {
    series: Vec<(Labels, f64)>,
    growth: Vec<Growth>,
    state: u64,
    scrape: Scrape,
}

impl Plant {
    fn new(series: Vec<(Labels, Growth)>, seed: u64) -> Self {
        let growth = series.iter().map(|(_, growth)| *growth).collect();
        let series = series.into_iter().map(|(labels, _)| (labels, 0.0)).collect();
        Self { series, growth, state: seed, scrape: Scrape::default() }
    }

    fn grow(&mut self) {
        let mut last = 0.0;
        for ((_, value), growth) in self.series.iter_mut().zip(&self.growth) {
            // Knuth's MMIX generator.
            let (factor, term) = (6_364_136_223_846_793_005, 1_442_695_040_888_963_407);
            self.state = self.state.wrapping_mul(factor).wrapping_add(term);
            let drawn = ((self.state >> 33) % (growth.most + 1)) as f64;
            last = if growth.includes_last { last + drawn } else { drawn };
            *value += last;
        }
    }
}

fn labels(metric: &str, target: usize, further: &[(&str, &str)]) -> Labels {
    let own = [
        (Labels::NAME, metric.to_owned()),
        ("job", "bellwether".to_owned()),
        ("model", format!("model-{}", target % 100)),
        ("provider", format!("provider-{}", target % 10)),
        ("target", format!("target-{target}")),
    ];
    let own = own.iter().map(|(name, value)| (*name, value.as_str()));
    Labels::from_pairs(own.chain(further.iter().copied()))
}

/// Shares the texts among the series, as whoever exports metrics does.
fn interned(series: Vec<(Labels, Growth)>) -> Vec<(Labels, Growth)> {
    let mut texts = std::collections::HashSet::<std::sync::Arc<str>>::new();
    let mut intern = |text: &std::sync::Arc<str>| match texts.get(text) {
        Some(shared) => shared.clone(),
        None => {
            texts.insert(text.clone());
            text.clone()
        }
    };
    let series = series.into_iter().map(|(labels, growth)| {
        let shared = labels
            .iter()
            .map(|label| Label { name: intern(&label.name), value: intern(&label.value) });
        (shared.collect(), growth)
    });
    series.collect()
}

fn for_queries() -> Plant {
    let mut series = Vec::new();
    for target in 0..TARGETS {
        for instance in 0..INSTANCES {
            let instance = format!("10.0.0.{instance}:9099");
            let growth = Growth { most: 40, includes_last: false };
            series.push((labels("x_total", target, &[("instance", &instance)]), growth));
        }
    }
    Plant::new(interned(series), 1)
}

fn for_rules() -> Plant {
    const INSTANCE: (&str, &str) = ("instance", "10.0.0.1:9099");
    let mut series = Vec::new();
    for target in 0..TARGETS {
        for error in 0..ERROR_TYPES {
            let (kind, most) = if error == 0 { ("none", 200) } else { ("error", 1) };
            let kind = format!("{kind}-{error}");
            let further = [INSTANCE, ("error_type", kind.as_str())];
            let growth = Growth { most, includes_last: false };
            series.push((labels("probes_total", target, &further), growth));
        }
        for family in ["duration_seconds", "first_token_seconds"] {
            for (at, bound) in BOUNDS.iter().chain(&["+Inf"]).enumerate() {
                let bucket =
                    labels(&format!("{family}_bucket"), target, &[INSTANCE, ("le", bound)]);
                series.push((bucket, Growth { most: 5, includes_last: at > 0 }));
            }
            let count = labels(&format!("{family}_count"), target, &[INSTANCE]);
            series.push((count, Growth { most: 0, includes_last: true }));
            let sum = labels(&format!("{family}_sum"), target, &[INSTANCE]);
            series.push((sum, Growth { most: 200, includes_last: false }));
        }
    }
    Plant::new(interned(series), 2)
}

/// The rules of one kind, as a rule file: what Prometheus is given, too.
fn rule_file(workload: Workload) -> String {
    let mut text = format!("groups:\n- name: {}\n  rules:\n", workload.name());
    for target in 0..TARGETS {
        let expr = match workload {
            Workload::P99 => format!(
                "histogram_quantile(0.99, sum by (le) \
                 (rate(duration_seconds_bucket{{target=\"target-{target}\"}}[5m]))) > 100"
            ),
            _ => format!(
                "sum(rate(probes_total{{target=\"target-{target}\",error_type!=\"none-0\"}}[5m])) \
                 / sum(rate(probes_total{{target=\"target-{target}\"}}[5m])) > 0.5"
            ),
        };
        text += &format!("  - alert: Alert{target}\n    expr: '{expr}'\n    for: 1m\n");
    }
    text
}

fn group(workload: Workload) -> anyhow::Result<Group> {
    let defaults = Defaults { interval: Duration::from_secs(15), query_offset: Duration::ZERO };
    let mut file = match rules::parse("bench.yml", &rule_file(workload)) {
        Ok(file) => file,
        Err(mistakes) => bail!("{mistakes:?}"),
    };
    let spec = file.groups.pop().context("the file has one group")?;
    Ok(Group::new(spec, &defaults))
}

fn empty() -> Store {
    let retention = Duration::from_secs(86_400);
    Store::new(Settings { retention, size_max_bytes: 1 << 30, series_max: 100_000 })
}

/// All workloads and what they read.
struct Bench {
    /// Not there while memory is measured.
    queries: Option<(Store, Timestamp)>,
    all: Expr,
    regex: Expr,
    store: Store,
    plant: Plant,
    now: Timestamp,
    error_ratio: Group,
    p99: Group,
    context: Context,
}

impl Bench {
    /// Rules first: what their part takes of memory is told before queries add theirs.
    fn new(end: Timestamp) -> anyhow::Result<Self> {
        let mut bench = Self {
            queries: None,
            all: promql::parse(ALL)?,
            regex: promql::parse(REGEX)?,
            store: empty(),
            plant: for_rules(),
            now: Timestamp::from_millis(end.millis() - STEPS * STEP_MS),
            error_ratio: group(Workload::ErrorRatio)?,
            p99: group(Workload::P99)?,
            context: Context {
                external_labels: Labels::empty(),
                external_url: String::new(),
                resend_delay: Duration::from_secs(60),
            },
        };
        for _ in 0..STEPS {
            bench.tick();
        }
        Ok(bench)
    }

    fn load_queries(&mut self, end: Timestamp) {
        let (mut store, mut plant) = (empty(), for_queries());
        for step in 0..STEPS {
            plant.grow();
            store.scrape(&mut plant.scrape, earlier(end, STEPS - 1 - step), &plant.series);
        }
        self.queries = Some((store, end));
    }

    /// One scrape of what the rules read.
    fn tick(&mut self) {
        self.now = self.now + Duration::from_millis(STEP_MS as u64);
        self.plant.grow();
        self.store.scrape(&mut self.plant.scrape, self.now, &self.plant.series);
    }

    /// CPU milliseconds of one query, or of one round of 1,000 rules.
    fn cost_ms(&mut self, workload: Workload) -> anyhow::Result<f64> {
        let (expr, group) = match workload {
            Workload::All => (&self.all, None),
            Workload::Regex => (&self.regex, None),
            Workload::ErrorRatio => (&self.all, Some(&mut self.error_ratio)),
            Workload::P99 => (&self.all, Some(&mut self.p99)),
        };
        if let Some(group) = group {
            let before = cpu_ms()?;
            let evaluation = group.evaluate(self.now, &mut self.store, &self.context);
            let cost = cpu_ms()? - before;
            if !evaluation.failures.is_empty() || evaluation.samples > 0 {
                bail!("the rules should find nothing: {evaluation:?}");
            }
            self.tick();
            return Ok(cost);
        }
        const REPEATS: u32 = 20;
        let (store, at) = self.queries.as_ref().context("queries are loaded")?;
        let before = cpu_ms()?;
        for _ in 0..REPEATS {
            let answer = promql::instant(expr, store, *at, &Options::default())?;
            if !matches!(&answer.value, Value::Vector(points) if points.len() == 10) {
                bail!("a query should find ten providers: {answer:?}");
            }
        }
        Ok((cpu_ms()? - before) / f64::from(REPEATS))
    }
}

fn earlier(end: Timestamp, steps: i64) -> Timestamp {
    Timestamp::from_millis(end.millis() - steps * STEP_MS)
}

/// CPU time of this process's only thread.
fn cpu_ms() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().unwrap_or_default().parse()?;
    Ok(nanoseconds / 1e6)
}

fn memory_mb(field: &str) -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1));
    Ok(kilobytes.context("a field of /proc/self/status")?.parse::<f64>()? / 1024.0)
}

/// Writes the samples as OpenMetrics, the queries' hour and what the rules read from six minutes
/// before `end` to `ahead` after it.
fn export(path: &str, end: Timestamp, ahead: Duration) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut plant = for_queries();
    for step in 0..STEPS {
        plant.grow();
        round(&mut out, &plant, earlier(end, STEPS - 1 - step))?;
    }
    let mut plant = for_rules();
    let ahead = i64::try_from(ahead.as_millis())? / STEP_MS;
    for step in 0..STEPS + ahead {
        plant.grow();
        let at = earlier(end, STEPS - 1 - step);
        if at >= earlier(end, 24) {
            round(&mut out, &plant, at)?;
        }
    }
    writeln!(out, "# EOF")?;
    Ok(out.flush()?)
}

fn round(out: &mut impl Write, plant: &Plant, at: Timestamp) -> io::Result<()> {
    for (labels, value) in &plant.series {
        let shown = labels.to_string().replace(", ", ",");
        writeln!(out, "{shown} {value} {}", at.seconds())?;
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).map(String::as_str)
    };
    let end_s: i64 = after("--end").unwrap_or("1700000100").parse()?;
    let end = Timestamp::from_millis(end_s / 15 * STEP_MS);
    if let Some(path) = after("--export") {
        let ahead_s = after("--ahead").unwrap_or("0").parse()?;
        return export(path, end, Duration::from_secs(ahead_s));
    }
    if let Some(directory) = after("--rules") {
        for workload in [Workload::ErrorRatio, Workload::P99] {
            let path = format!("{directory}/{}.yml", workload.name());
            fs::write(path, rule_file(workload))?;
        }
        return Ok(());
    }
    let mut bench = Bench::new(end)?;
    for workload in [Workload::ErrorRatio, Workload::P99] {
        bench.cost_ms(workload)?;
    }
    println!("rss-mb {:.1}", memory_mb("VmRSS:")?);
    let stats = bench.store.stats();
    eprintln!(
        "{} series, {} samples, {:.1} MB as counted; peak {:.1} MB",
        stats.series,
        stats.samples,
        stats.bytes as f64 / 1e6,
        memory_mb("VmHWM:")?
    );
    bench.load_queries(end);
    if arguments.iter().any(|argument| argument == "--ask") {
        for line in io::stdin().lock().lines() {
            let line = line?;
            let workload = Workload::EACH.into_iter().find(|workload| workload.name() == line);
            let cost = bench.cost_ms(workload.with_context(|| format!("no workload `{line}`"))?)?;
            println!("{cost:.3}");
        }
        return Ok(());
    }
    let mut costs = vec![Vec::new(); Workload::EACH.len()];
    for _ in 0..ROUNDS {
        for (costs, workload) in costs.iter_mut().zip(Workload::EACH) {
            costs.push(bench.cost_ms(workload)?);
        }
    }
    for (mut costs, workload) in costs.into_iter().zip(Workload::EACH) {
        costs.sort_by(f64::total_cmp);
        println!("{:<18} {:>8.2} CPU ms", workload.name(), costs[ROUNDS / 2]);
    }
    Ok(())
}
