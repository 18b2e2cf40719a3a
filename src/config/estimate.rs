//! What a configuration will cost: dollars a day, series, disk, memory.
//!
//! Said before the first probe, so it is an upper figure, not a measurement: every answer is taken
//! to use all of its tokens, and no day to cost more than its budget.

use std::fmt;
use std::time::Duration;

use super::releases::Release;
use super::settings::Config;
use crate::model::{Money, TargetId, Timestamp, format_duration};
use crate::probe::{Budget, Fund, Target, attentions, cost};
use crate::provider::Usage;

// The built-in question with its nonce and the chat template around it.
const INPUT_TOKENS: u64 = 40;
// English text; other languages and code take up to twice as many.
const CHARACTERS_PER_TOKEN: u64 = 4;
// Compressed counters take less; latency sums that change at every sample take more.
const SAMPLE_BYTES: u64 = 2;
// Labels, index and the open chunk of one series.
const SERIES_BYTES: u64 = 1_000;
// The process without series.
const PROCESS_BYTES: u64 = 20 << 20;
const DAY: Duration = Duration::from_secs(86_400);

/// What a configuration will cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Estimate {
    /// For each target, in the order of the file.
    pub targets: Vec<TargetEstimate>,
    /// All targets whose price is known.
    pub cost_daily: Money,
    /// What each release adds to that while it runs.
    pub releases: Vec<ReleaseEstimate>,
    /// How many series there will be, those that rule files record left out.
    pub series: usize,
    /// How many rule files record at least.
    pub recorded: usize,
    /// What a day of samples takes.
    pub disk_bytes_daily: u64,
    /// What the samples take once the first are dropped.
    pub disk_bytes: u64,
    /// What the process takes then.
    pub memory_bytes: u64,
    /// How long samples are kept.
    pub retention: Duration,
}

/// What a release adds while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseEstimate {
    /// Which.
    pub release: String,
    /// The cadence of each target that it watches more closely than usual.
    pub intervals: Vec<(TargetId, Duration)>,
    /// How often it would like to ask.
    pub wished: Duration,
    /// What a day of all its targets' probes costs at most, where each price is known.
    pub cost_daily: Option<Money>,
    /// Whether it pays itself.
    pub has_budget: bool,
}

/// What one target will cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetEstimate {
    /// Which.
    pub target: TargetId,
    /// The cadence.
    pub interval: Duration,
    /// Due probes in a day.
    pub probes_daily: u64,
    /// Dollars in a day, the budget minded; `None` where no price is known.
    pub cost_daily: Option<Money>,
    /// Whether the budget ends the day early.
    pub is_capped: bool,
}

impl Estimate {
    /// How many targets have no price, and so no part in the dollars.
    pub fn unpriced(&self) -> usize {
        self.targets.iter().filter(|target| target.cost_daily.is_none()).count()
    }
}

/// Estimates what a configuration will cost at the prices of a time; `series` is how many its metrics will have, and
/// `recorded` how many its rule files record at least.
pub fn estimate(config: &Config, series: usize, recorded: usize, now: Timestamp) -> Estimate {
    let targets = config.targets.iter().map(|target| of_target(target, now));
    let targets: Vec<TargetEstimate> = targets.collect();
    let costs: Vec<Money> = targets.iter().filter_map(|target| target.cost_daily).collect();
    let cost_daily = sum(&costs);
    let series_count = u64::try_from(series.saturating_add(recorded)).unwrap_or(u64::MAX);
    let bytes = |over: Duration| {
        times(over, config.global.sample_interval)
            .saturating_mul(series_count)
            .saturating_mul(SAMPLE_BYTES)
    };
    let disk_bytes = bytes(config.storage.retention).min(config.storage.size_max);
    Estimate {
        targets,
        cost_daily,
        releases: config.releases.iter().map(|one| of_release(config, one, now)).collect(),
        series,
        recorded,
        disk_bytes_daily: bytes(DAY),
        disk_bytes,
        memory_bytes: PROCESS_BYTES
            .saturating_add(series_count.saturating_mul(SERIES_BYTES))
            .saturating_add(disk_bytes),
        retention: config.storage.retention,
    }
}

fn of_release(config: &Config, release: &Release, now: Timestamp) -> ReleaseEstimate {
    let (plan, probing) = (&release.settings.plan, release.settings.probing);
    let is_its =
        |target: &&Target| plan.candidate.contains(&target.id) || plan.stable.contains(&target.id);
    let targets: Vec<&Target> = config.targets.iter().map(AsRef::as_ref).filter(is_its).collect();
    let fund = probing.budget_daily.map(|daily| Fund { release: plan.name.clone(), daily });
    let watched = attentions(&targets, probing.interval, fund.as_ref(), now);
    let closer = targets.iter().filter_map(|target| {
        let interval = watched.get(&target.id)?.interval;
        (interval < target.interval).then(|| (target.id.clone(), interval))
    });
    let costs = targets.iter().map(|target| {
        let interval = watched.get(&target.id).map_or(target.interval, |one| one.interval);
        let budget = if fund.is_some() { Budget::Unlimited } else { target.budget };
        of_target(&Target { interval, budget, ..Target::clone(target) }, now).cost_daily
    });
    let cost_daily = costs.collect::<Option<Vec<Money>>>().map(|costs| sum(&costs));
    // The release's own budget pays first and those of its targets after it.
    let limits =
        targets.iter().map(|target| target.budget.of_a_day()).chain([probing.budget_daily]);
    let limit = limits.collect::<Option<Vec<Money>>>().map(|limits| sum(&limits));
    ReleaseEstimate {
        release: plan.name.clone(),
        intervals: closer.collect(),
        wished: probing.interval,
        cost_daily: cost_daily.map(|cost| limit.map_or(cost, |limit| cost.min(limit))),
        has_budget: fund.is_some(),
    }
}

fn of_target(target: &Target, now: Timestamp) -> TargetEstimate {
    let probes_daily = times(DAY, target.interval);
    let input_tokens = target.prompt.as_ref().map_or(INPUT_TOKENS, |prompt| {
        let characters = u64::try_from(prompt.chars().count()).unwrap_or(u64::MAX);
        INPUT_TOKENS + characters / CHARACTERS_PER_TOKEN
    });
    let of_model = target.provider.price(&target.model, now).map(|price| {
        let output = u64::from(target.tokens_max);
        let usage = Usage { input: input_tokens, output, ..Usage::default() };
        let nanos = cost(&usage, price).nanos().saturating_mul(probes_daily);
        Money::from_nanos(nanos)
    });
    // Nobody bills a page.
    let full = if target.page.is_some() { Some(Money::ZERO) } else { of_model };
    let limit = target.budget.of_a_day();
    let is_capped = full.zip(limit).is_some_and(|(full, limit)| full > limit);
    TargetEstimate {
        target: target.id.clone(),
        interval: target.interval,
        probes_daily,
        cost_daily: if is_capped { limit } else { full },
        is_capped,
    }
}

fn sum(amounts: &[Money]) -> Money {
    amounts.iter().fold(Money::ZERO, |sum, amount| sum + *amount)
}

fn times(over: Duration, every: Duration) -> u64 {
    let every = every.as_millis().max(1);
    u64::try_from(over.as_millis() / every).unwrap_or(u64::MAX)
}

/// One line for each target, and one for all.
impl fmt::Display for Estimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for target in &self.targets {
            let interval = format_duration(target.interval);
            write!(formatter, "probe `{}`: every {interval}, ", target.target)?;
            write!(formatter, "{} a day, ", target.probes_daily)?;
            match target.cost_daily {
                Some(cost) if target.is_capped => {
                    writeln!(formatter, "{} a day, where its budget ends it", dollars(cost))?;
                }
                Some(cost) => writeln!(formatter, "at most {} a day", dollars(cost))?,
                None => writeln!(formatter, "no price is known")?,
            }
        }
        for release in &self.releases {
            write!(formatter, "{release}")?;
        }
        let unpriced = self.unpriced();
        let noun = if unpriced == 1 { "probe" } else { "probes" };
        let known = dollars(self.cost_daily);
        if unpriced == 0 {
            writeln!(formatter, "together: at most {known} a day")?;
        } else if unpriced == self.targets.len() {
            writeln!(formatter, "together: unknown, since no price is written in `models`")?;
        } else {
            write!(formatter, "together: at most {known} a day, ")?;
            writeln!(formatter, "and {unpriced} {noun} without a price on top")?;
        }
        let (daily, kept) = (bytes(self.disk_bytes_daily), bytes(self.disk_bytes));
        let retention = format_duration(self.retention);
        write!(formatter, "series: {}", self.series)?;
        if self.recorded > 0 {
            write!(formatter, " and at least {} that rule files record", self.recorded)?;
        }
        write!(formatter, "; disk: {daily} a day, {kept} kept for ")?;
        write!(formatter, "{retention}; memory: {}", bytes(self.memory_bytes))
    }
}

/// One line, or none where nothing is watched more closely.
impl fmt::Display for ReleaseEstimate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.intervals.is_empty() {
            return Ok(());
        }
        write!(formatter, "release `{}`: while it runs, ", self.release)?;
        for (position, (target, interval)) in self.intervals.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(formatter, "{comma}`{target}` every {}", format_duration(*interval))?;
            if *interval > self.wished {
                formatter.write_str(" (as often as the budget lasts)")?;
            }
        }
        match self.cost_daily {
            Some(cost) => write!(formatter, "; its probes cost at most {} a day", dollars(cost))?,
            None => formatter.write_str("; no price is known")?,
        }
        formatter.write_str(if self.has_budget { ", from its own budget\n" } else { "\n" })
    }
}

/// Cents, or as many decimals as a small amount needs to be seen.
fn dollars(cost: Money) -> String {
    match cost.usd() {
        usd if usd >= 0.01 || cost == Money::ZERO => format!("${usd:.2}"),
        usd if usd >= 0.0001 => format!("${usd:.4}"),
        _ => cost.to_string(),
    }
}

fn bytes(count: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1 << 30), ("MB", 1 << 20), ("kB", 1 << 10)];
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => format!("{:.1} {unit}", count as f64 / *size as f64),
        None => format!("{count} B"),
    }
}
