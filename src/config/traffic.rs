//! How a release moves its traffic, and how it goes back: `traffic`, `rollback` and `drill`.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::amount::duration;
use super::http;
use super::reader::{Fields, Reader, prefixed};
use super::scalar::{boolean, matcher, number, url};
use super::steps;
use crate::model::{Mistake, TargetId};
use crate::release::{Datasource, Does, Mode, Plan, Rollback, Step, Traffic};

const ROLLBACK_KEYS: [&str; 7] =
    ["matchers", "steps", "deadline", "drill_every", "cooldown", "max_per_day", "force"];
const DRILL_KEYS: [&str; 3] = ["above", "max_age", "max_duration"];
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);
const DRILLS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(90 * 86_400);
/// A block may not wait for longer than the next one takes.
const ANSWER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const ANSWER_DEFAULT: Duration = Duration::from_secs(10);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Going back is worth nothing once it takes longer.
const DRILL_TOOK_MAX: Duration = Duration::from_secs(60);
const DRILL_ABOVE: u8 = 10;

/// When a stage wants a rollback that was rehearsed.
pub(super) struct Drill {
    pub(super) above: u8,
    pub(super) age_max: Duration,
    pub(super) took_max: Duration,
}

/// Reads `traffic:` of a release; somebody has to move it, or the router does.
pub(super) fn traffic(
    reader: &mut Reader,
    fields: &Fields<'_>,
    has_route: bool,
) -> Option<(Traffic, Vec<Step>)> {
    let unattended = Some((Traffic::Unattended, Vec::new()));
    match fields.get("traffic") {
        None if has_route && !fields.has("traffic") => unattended,
        None => {
            let remedy = "write which `webhook`, `command` or `file` sets the candidate's share, as \
                          a step is written, or `manual` where people do";
            reader.missing(fields, "traffic", remedy);
            None
        }
        Some(node) if node.text() == Some("manual") => unattended,
        Some(_) => {
            let steps = steps::traffic(reader, fields)?;
            let deadline = steps.iter().map(|step| step.timeout).max().unwrap_or_default();
            let at_once = steps.iter().map(|step| Step { moves_traffic: true, ..step.clone() });
            let plan = Plan { steps: at_once.collect(), deadline };
            Some((Traffic::Steps(Arc::new(plan)), steps))
        }
    }
}

/// Reads `rollback:` of a release: an entry like those of `rollbacks`, of the release's name.
pub(super) fn rollback(
    reader: &mut Reader,
    release: &Fields<'_>,
    name: &str,
    (candidate, stable): (&[TargetId], &[TargetId]),
    (traffic, is_moved): (&[Step], bool),
) -> Option<Rollback> {
    let what = release.part("rollback");
    let fields = match release.get("rollback") {
        None => None,
        Some(node) => Some(reader.fields(node, what, &ROLLBACK_KEYS)?),
    };
    let fields = fields.as_ref();
    let has_steps = fields.is_some_and(|fields| fields.has("steps"));
    if !is_moved && !has_steps {
        let message = prefixed(&release.what, "nothing would take the traffic back");
        let remedy = "write `rollback: {steps: …}`, or by `traffic` what sets the share";
        reader.report(Mistake::new(release.place().clone(), message).remedy(remedy));
        return None;
    }
    let plan = steps::way_back(reader, fields, release, traffic)?;
    let matchers = fields.map(|fields| reader.list(fields, "matchers", matcher));
    let mut wait = |key: &str, range: RangeInclusive<Duration>| {
        fields.and_then(|fields| reader.optional(fields, key, |node| duration(node, range)))
    };
    let drill_interval = wait("drill_every", DRILLS);
    let cooldown = wait("cooldown", WAIT);
    let daily_max = fields
        .and_then(|fields| reader.optional(fields, "max_per_day", |node| number(node, 1..=1000)));
    let force = fields.and_then(|fields| reader.optional(fields, "force", boolean));
    Some(Rollback {
        name: name.to_owned(),
        matchers: matchers.unwrap_or_default(),
        candidate: candidate.to_vec(),
        stable: stable.to_vec(),
        does: Does::Plan(Arc::new(plan)),
        cooldown: cooldown.unwrap_or(Duration::from_secs(30 * 60)),
        daily_max: daily_max.unwrap_or(3),
        drill_interval,
        mode: Mode::Live,
        force: force.unwrap_or(false),
    })
}

/// Reads `drill:` of a release.
pub(super) fn drill(reader: &mut Reader, release: &Fields<'_>) -> Drill {
    let usual = Drill { above: DRILL_ABOVE, age_max: WEEK, took_max: DRILL_TOOK_MAX };
    let Some(node) = release.get("drill") else { return usual };
    let what = release.part("drill");
    let Some(fields) = reader.fields(node, what, &DRILL_KEYS) else { return usual };
    let above = reader.optional(&fields, "above", |node| number(node, 0..=100));
    let age_max = reader.optional(&fields, "max_age", |node| duration(node, WAIT));
    let took_max = reader.optional(&fields, "max_duration", |node| duration(node, WAIT));
    Drill {
        above: above.unwrap_or(usual.above),
        age_max: age_max.unwrap_or(usual.age_max),
        took_max: took_max.unwrap_or(usual.took_max),
    }
}

/// Reads `datasource:` of a release.
pub(super) fn datasource(reader: &mut Reader, release: &Fields<'_>) -> Option<Option<Datasource>> {
    let Some(node) = release.get("datasource") else { return Some(None) };
    let known: Vec<&str> = ["url", "timeout"].into_iter().chain(http::SETTINGS).collect();
    let fields = reader.fields(node, release.part("datasource"), &known)?;
    let remedy = "write what stands before `/api/v1`, such as `http://prometheus:9090`";
    let url = reader.required(&fields, "url", remedy, url);
    let timeout = reader.optional(&fields, "timeout", |node| duration(node, ANSWER));
    let http = http::settings(reader, &fields);
    Some(Some(Datasource { url: url?, timeout: timeout.unwrap_or(ANSWER_DEFAULT), http }))
}
