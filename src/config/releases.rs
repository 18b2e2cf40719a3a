//! `releases:`: by which stages traffic moves from which targets to which, and what has to hold.
//!
//! A plan that could not end (a stage that passes neither on evidence nor on time, at the cadence of
//! its probes and the traffic that is expected) is refused.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::amount::duration;
use super::gates::gates;
use super::probes::{Probes, known_name};
use super::probing::{Watched, probing};
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::rollbacks::arm;
use super::routes::refuse_pages;
use super::scalar::{choice, name, number, plain, raw, refuse, text};
use super::time_intervals::{TimeIntervals, named};
use super::traffic;
use crate::model::{Mistake, Place, TargetId, format_duration};
use crate::release::gate::{Gate, Unit};
use crate::release::machine::{AdvanceOn, Forecast, Plan, Rates, Sealed, Stage, forecast};
use crate::release::{self, Does, Rollback, STEPS_MAX};
use crate::routing::Route;
use crate::statistics::Proportion;
use crate::yaml::Node;

const KEYS: [&str; 25] = [
    "name",
    "route",
    "datasource",
    "traffic",
    "rollback",
    "drill",
    "approval_above",
    "generation",
    "stable",
    "candidate",
    "stages",
    "gates",
    "advance_on",
    "floor",
    "hold",
    "deadline",
    "samples_min",
    "requests_per_minute",
    "probe_interval",
    "probe_budget_daily",
    "rollback_alpha",
    "advance_alpha",
    "no_data_after",
    "bake",
    "freeze_time_intervals",
];
const DAY: Duration = Duration::from_secs(86_400);
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);
const SHARES: [u8; 6] = [1, 5, 10, 25, 50, 100];
const HOLD: Duration = Duration::from_secs(4 * 3_600);
const DEADLINE: Duration = Duration::from_secs(12 * 3_600);
const SAMPLES_MIN: u64 = 300;
/// Faults of load and of the time of day show later the more traffic there is.
const FLOOR_OF_FEW: Duration = Duration::from_secs(30 * 60);
const FLOOR_OF_MANY: Duration = Duration::from_secs(60 * 60);
const MANY: u8 = 25;
const MINUTE: Duration = Duration::from_secs(60);
/// Whoever goes back says so a little after the deadline of what it does.
const ROLLBACK_SLACK: Duration = Duration::from_secs(5);

/// A release of the configuration: its plan, and what it can come to.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Where it is written.
    pub place: Place,
    /// What it does.
    pub settings: release::Release,
    /// What it can come to at the configured cadence and traffic.
    pub forecast: Forecast,
}

/// Reads `releases:`. Each has a rollback of its name, which no other has.
pub(super) fn releases(
    reader: &mut Reader,
    root: &Fields<'_>,
    probes: &Probes,
    known: &TimeIntervals,
    (carried, rollbacks): (&[Arc<Route>], &mut Vec<Rollback>),
) -> Vec<Release> {
    let taken: Vec<String> = rollbacks.iter().map(|rollback| rollback.name.clone()).collect();
    let (mut names, mut routes) = (Vec::new(), Vec::new());
    let ids: Vec<String> = carried.iter().map(|route| route.id.to_string()).collect();
    let mut found: Vec<Release> = Vec::new();
    for (index, node) in reader.items(root, "releases").into_iter().enumerate() {
        let what = entry_name("release", index, node);
        let Some(fields) = reader.fields(node, what, &KEYS) else { continue };
        let name = reader.required(&fields, "name", "write a name for the release", |node| {
            let name = name(node)?;
            if taken.contains(&name) {
                let remedy = "write what it does under the release's `rollback`";
                return Err(refuse(node, "which one of `rollbacks` has").remedy(remedy));
            }
            unique(node, name, &mut names)
        });
        let route = reader.optional(&fields, "route", |node| {
            let route = text(node)?;
            known_name(node, &route, &ids, "route")?;
            unique(node, route, &mut routes)
        });
        let carried = carried.iter().find(|one| route.as_deref() == Some(one.id.as_str()));
        if let Some((release, rollback)) = release(reader, &fields, (name, route), probes, known) {
            same_stable(reader, &fields, &release, carried);
            if carried.is_some() {
                let candidate = &release.settings.plan.candidate;
                refuse_pages(reader, &fields, "candidate", candidate, probes);
            }
            found.push(release);
            rollbacks.push(rollback);
        }
    }
    found
}

/// What a route goes back to is what it comes from.
fn same_stable(
    reader: &mut Reader,
    fields: &Fields<'_>,
    release: &Release,
    route: Option<&Arc<Route>>,
) {
    let Some(route) = route else { return };
    let named =
        |ids: &[TargetId]| -> BTreeSet<String> { ids.iter().map(ToString::to_string).collect() };
    let (own, of_route) = (named(&release.settings.plan.stable), named(&route.stable));
    if own != of_route {
        let list =
            |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join("`, `");
        let message = format!(
            "its `stable` is `{}`, that of route `{}` is `{}`",
            list(&own),
            route.id,
            list(&of_route)
        );
        let mistake = Mistake::new(fields.place().clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("let both name the same targets"));
    }
}

fn release(
    reader: &mut Reader,
    fields: &Fields<'_>,
    (name, route): (Option<String>, Option<String>),
    probes: &Probes,
    known: &TimeIntervals,
) -> Option<(Release, Rollback)> {
    let candidate = arm(reader, fields, "candidate", &[], probes);
    let stable = arm(reader, fields, "stable", &candidate, probes);
    let has_route = fields.has("route");
    let traffic = traffic::traffic(reader, fields, has_route);
    let drill = traffic::drill(reader, fields);
    let requests =
        reader.optional(fields, "requests_per_minute", |node| number(node, 1..=100_000_000_u64));
    let probing = probing(reader, fields);
    let watched = Watched { probing, probes };
    let plan = plan(reader, fields, (candidate, stable), requests.is_some(), watched);
    let datasource = traffic::datasource(reader, fields);
    let freezes = named(reader, fields, "freeze_time_intervals", known);
    let (name, mut plan, (traffic, steps)) = (name?, plan?, traffic?);
    let is_moved = has_route || !steps.is_empty();
    let sides = (plan.candidate.as_slice(), plan.stable.as_slice());
    let rollback = traffic::rollback(reader, fields, &name, sides, (&steps, is_moved))?;
    let Does::Plan(way_back) = &rollback.does else { return None };
    if way_back.steps.len() > STEPS_MAX {
        let message = format!("going back has more than {STEPS_MAX} steps");
        let mistake = Mistake::new(fields.place().clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("put what belongs together into one program"));
    }
    plan.name = name;
    plan.rollback_deadline = way_back.deadline + ROLLBACK_SLACK;
    plan.rollbacks_daily_max = rollback.daily_max;
    plan.drill_above = drill.above;
    let rates = Rates {
        candidate_probes: watched.hourly(&plan.candidate),
        stable_probes: watched.hourly(&plan.stable),
        requests: requests.unwrap_or(0) as f64 * 60.0,
    };
    let (plan, forecast) = sealed(reader, fields, plan, rates, probes)?;
    let settings = release::Release {
        plan,
        route,
        probing,
        traffic,
        datasource: datasource?,
        freezes,
        drill_age_max: drill.age_max,
        drill_took_max: drill.took_max,
        rollback_mark: way_back.mark(),
    };
    Some((Release { place: fields.place().clone(), settings, forecast }, rollback))
}

/// The plan, but for what its name and its rollback say.
fn plan(
    reader: &mut Reader,
    fields: &Fields<'_>,
    (candidate, stable): (Vec<TargetId>, Vec<TargetId>),
    has_requests: bool,
    watched: Watched<'_>,
) -> Option<Plan> {
    let generation = reader.optional(fields, "generation", |node| number(node, 1..=u64::MAX));
    let stages = stages(reader, fields);
    let gates = all_gates(reader, fields);
    let words = [
        ("either", AdvanceOn::Either),
        ("evidence", AdvanceOn::Evidence),
        ("time", AdvanceOn::Time),
    ];
    let advance_on = reader.optional(fields, "advance_on", |node| choice(node, &words));
    let rollback_alpha = alpha(reader, fields, "rollback_alpha", 0.01);
    let advance_alpha = alpha(reader, fields, "advance_alpha", 0.05);
    let unit = if has_requests { Unit::Minute } else { Unit::Probe };
    let unit_length = match unit {
        Unit::Minute => MINUTE,
        Unit::Probe => watched.shortest(&candidate).unwrap_or(MINUTE),
    };
    let no_data_after = silence(reader, fields, unit_length);
    let bake = reader.optional(fields, "bake", |node| duration(node, WAIT)).unwrap_or(DAY);
    let approval = reader.optional(fields, "approval_above", |node| number(node, 0..=99));
    Some(Plan {
        name: String::new(),
        generation: generation.unwrap_or(1),
        stages: stages?,
        gates: gates?,
        advance_on: advance_on.unwrap_or(AdvanceOn::Either),
        rollback_alpha: rollback_alpha?,
        advance_alpha: advance_alpha?,
        unit,
        unit_length,
        no_data_after,
        bake,
        rollback_deadline: ROLLBACK_SLACK,
        rollbacks_daily_max: 0,
        drill_above: 100,
        approval_above: approval,
        stable,
        candidate,
    })
}

/// Seals a plan that can be carried out and can end.
fn sealed(
    reader: &mut Reader,
    fields: &Fields<'_>,
    plan: Plan,
    rates: Rates,
    probes: &Probes,
) -> Option<(Sealed, Forecast)> {
    let mut report = |message: String, remedy: &str| {
        let message = prefixed(&fields.what, &message);
        reader.report(Mistake::new(fields.place().clone(), message).remedy(remedy));
    };
    let arms_are_right = !plan.candidate.is_empty() && !plan.stable.is_empty();
    let plan = match plan.seal() {
        Ok(plan) => plan,
        Err(error) => {
            report(error.to_string(), "change `stages`, or what holds for all of them");
            return None;
        }
    };
    // A probe with mistakes in it is reported where it stands, and its cadence is not known.
    if !arms_are_right || probes.right.len() < probes.names.len() {
        return None;
    }
    let forecast = forecast(&plan, rates);
    if let Some(stage) = forecast.dead_end() {
        let needed = stage.needed.map_or(String::new(), |needed| {
            format!(" (evidence takes {needed} good outcomes, time {})", stage.stage.samples_min)
        });
        let message = format!(
            "stage {} could never pass: by its deadline of {} there are {:.0} outcomes{needed}",
            stage.number,
            format_duration(stage.stage.deadline),
            stage.outcomes_hourly * stage.stage.deadline.as_secs_f64() / 3_600.0,
        );
        report(message, "probe more often, wait longer, or ask for less");
        return None;
    }
    Some((plan, forecast))
}

/// The stages, each a share or a mapping; the defaults where none are written.
fn stages(reader: &mut Reader, fields: &Fields<'_>) -> Option<Vec<Stage>> {
    let wait = |reader: &mut Reader, fields: &Fields<'_>, key: &str| {
        reader.optional(fields, key, |node| duration(node, WAIT))
    };
    let floor = wait(reader, fields, "floor");
    let hold = wait(reader, fields, "hold").unwrap_or(HOLD);
    let deadline = wait(reader, fields, "deadline").unwrap_or(DEADLINE);
    let samples = |node: &Node| number(node, 1..=1_000_000_000);
    let samples_min = reader.optional(fields, "samples_min", samples).unwrap_or(SAMPLES_MIN);
    let default = |share: u8| {
        let usual = if share < MANY { FLOOR_OF_FEW } else { FLOOR_OF_MANY };
        // A stage that may pass on time early has no use for a longer floor.
        Stage { share, floor: floor.unwrap_or(usual.min(hold)), hold, deadline, samples_min }
    };
    if !fields.has("stages") {
        return Some(SHARES.map(default).to_vec());
    }
    reader.filled(fields, "stages", "write shares in percent, such as `[1, 10, 100]`");
    let nodes = reader.items(fields, "stages");
    let mut found = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.entries().is_none() {
            let share = number(node, 1..=100);
            found.extend(reader.judge(&fields.what, "stages", share).map(default));
            continue;
        }
        let known = ["share", "floor", "hold", "deadline", "samples_min"];
        let what = fields.part(&format!("stage {}", index + 1));
        let Some(own) = reader.fields(node, what, &known) else { continue };
        let remedy = "write the candidate's share in percent";
        let share = reader.required(&own, "share", remedy, |node| number(node, 1..=100));
        let mut stage = default(share.unwrap_or(1));
        stage.hold = wait(reader, &own, "hold").unwrap_or(stage.hold);
        let floor = wait(reader, &own, "floor");
        stage.floor = floor.unwrap_or(stage.floor.min(stage.hold));
        stage.deadline = wait(reader, &own, "deadline").unwrap_or(stage.deadline);
        stage.samples_min = reader.optional(&own, "samples_min", samples).unwrap_or(samples_min);
        found.extend(share.map(|_| stage));
    }
    (!found.is_empty() && found.len() == nodes.len()).then_some(found)
}

/// All of the gates, if none has a mistake.
fn all_gates(reader: &mut Reader, fields: &Fields<'_>) -> Option<Vec<Gate>> {
    reader.filled(fields, "gates", "write what has to hold, such as `indicator: errors`");
    let found = gates(reader, fields);
    let written = fields.get("gates").and_then(Node::items).map_or(0, <[Node]>::len);
    (written > 0 && found.len() == written).then_some(found)
}

/// The chance of an error: a decimal number above 0 and up to a half.
fn alpha(reader: &mut Reader, fields: &Fields<'_>, key: &str, usual: f64) -> Option<Proportion> {
    let due = "where a number above 0 and up to 0.5 is due";
    match fields.get(key) {
        None => Proportion::new(usual).ok(),
        Some(_) => reader.optional(fields, key, |node| {
            raw(node, "a number such as `0.01`")?;
            let number = plain::<f64>(node).filter(|number| *number <= 0.5);
            number.and_then(|number| Proportion::new(number).ok()).ok_or_else(|| refuse(node, due))
        }),
    }
}

/// How long the candidate may be silent; a block must fit into it.
fn silence(reader: &mut Reader, fields: &Fields<'_>, unit_length: Duration) -> Duration {
    let least = unit_length.saturating_mul(2);
    let usual = Duration::from_secs(300).max(unit_length.saturating_mul(5));
    let written = reader.optional(fields, "no_data_after", |node| {
        let written = duration(node, WAIT)?;
        if written >= least {
            return Ok(written);
        }
        let why = format!("and outcomes come every {}", format_duration(unit_length));
        Err(refuse(node, why).remedy(format!("write {} or more", format_duration(least))))
    });
    written.unwrap_or(usual)
}
