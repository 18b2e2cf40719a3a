//! How closely a release watches its targets while it runs.

use std::time::Duration;

use super::amount::{duration, money};
use super::global::CADENCE;
use super::probes::Probes;
use super::reader::{Fields, Reader};
use super::scalar::refuse;
use crate::model::{Money, TargetId};
use crate::release::Probing;

/// A release wants to know sooner what became of its arms than an idle pair of providers does.
const INTERVAL: Duration = Duration::from_secs(15);

/// Reads `probe_interval` and `probe_budget_daily`.
pub(super) fn probing(reader: &mut Reader, fields: &Fields<'_>) -> Probing {
    let interval = reader.optional(fields, "probe_interval", |node| duration(node, CADENCE));
    let budget_daily = reader.optional(fields, "probe_budget_daily", |node| match money(node)? {
        Money::ZERO => Err(refuse(node, "which allows no probe at all")
            .remedy("write dollars, or remove it: then each target's own budget pays")),
        budget => Ok(budget),
    });
    Probing { interval: interval.unwrap_or(INTERVAL), budget_daily }
}

/// The probes as a release watches them.
#[derive(Clone, Copy)]
pub(super) struct Watched<'a> {
    pub(super) probing: Probing,
    pub(super) probes: &'a Probes,
}

impl Watched<'_> {
    /// The cadence of the arm's target that is probed most often.
    pub(super) fn shortest(&self, arm: &[TargetId]) -> Option<Duration> {
        self.intervals(arm).min()
    }

    /// How many probes of the arm are due in an hour.
    pub(super) fn hourly(&self, arm: &[TargetId]) -> f64 {
        self.intervals(arm).map(|interval| 3_600.0 / interval.as_secs_f64()).sum()
    }

    fn intervals(&self, arm: &[TargetId]) -> impl Iterator<Item = Duration> {
        let targets = self.probes.right.iter().filter(|target| arm.contains(&target.id));
        targets.map(|target| target.interval.min(self.probing.interval))
    }
}
