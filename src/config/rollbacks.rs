//! `rollbacks:`: which alerts take traffic from which targets, and what is called.
//!
//! A `webhook:` is called and no more; with `verify: true` beside it, it is the short form of a plan of
//! two steps: that call, and whether stable answers.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::amount::duration;
use super::probes::{Probes, known_name};
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name, prefixed};
use super::scalar::{boolean, matcher, name, number, refuse};
use super::steps::{called, called_and_verified, plan};
use crate::model::{Mistake, TargetId};
use crate::release::{Does, Mode, Rollback};
use crate::yaml::Node;

const KEYS: [&str; 14] = [
    "name",
    "matchers",
    "candidate",
    "stable",
    "webhook",
    "verify",
    "rehearsal",
    "steps",
    "deadline",
    "drill_every",
    "cooldown",
    "max_per_day",
    "dry_run",
    "force",
];
const COOLDOWN: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 86_400);

const DRILLS: RangeInclusive<Duration> =
    Duration::from_secs(3600)..=Duration::from_secs(90 * 86_400);

/// Reads `rollbacks:`.
pub(super) fn rollbacks(reader: &mut Reader, root: &Fields<'_>, probes: &Probes) -> Vec<Rollback> {
    let mut names = Vec::new();
    let mut found: Vec<Rollback> = Vec::new();
    for (index, node) in reader.items(root, "rollbacks").into_iter().enumerate() {
        let what = entry_name("rollback", index, node);
        found.extend(rollback(reader, node, &what, probes, &mut names));
    }
    found
}

fn rollback(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    probes: &Probes,
    names: &mut Vec<String>,
) -> Option<Rollback> {
    let fields = reader.fields(node, what, &KEYS)?;
    let name = reader.required(&fields, "name", "write a name for the rollback", |node| {
        unique(node, name(node)?, names)
    });
    let matchers = reader.list(&fields, "matchers", matcher);
    let remedy = "write which alerts fire it, such as `matchers: ['rollback=\"chat\"']`; without \
                  one, every alert would";
    reader.filled(&fields, "matchers", remedy);
    let candidate = arm(reader, &fields, "candidate", &[], probes);
    let stable = arm(reader, &fields, "stable", &candidate, probes);
    let does = does(reader, &fields);
    let cooldown = reader.optional(&fields, "cooldown", |node| duration(node, COOLDOWN));
    let daily_max = reader.optional(&fields, "max_per_day", |node| number(node, 1..=1000));
    let drill_interval = reader.optional(&fields, "drill_every", |node| duration(node, DRILLS));
    if let (Some(node), Some(Does::Call(_))) = (fields.get("drill_every"), &does) {
        let message = prefixed(&fields.what, "`drill_every` rehearses `steps`, and there are none");
        let remedy = "remove it, or write `verify: true` beside the webhook";
        reader.report(Mistake::new(node.place.clone(), message).remedy(remedy));
    }
    let mode = match reader.optional(&fields, "dry_run", boolean) {
        Some(true) => Mode::DryRun,
        Some(false) | None => Mode::Live,
    };
    let force = reader.optional(&fields, "force", boolean).unwrap_or(false);
    Some(Rollback {
        name: name?,
        matchers,
        candidate,
        stable,
        does: does?,
        cooldown: cooldown.unwrap_or(Duration::from_secs(30 * 60)),
        daily_max: daily_max.unwrap_or(3),
        drill_interval,
        mode,
        force,
    })
}

/// What it does: `webhook:` alone, or with `verify:` or as `steps:` within a `deadline`.
fn does(reader: &mut Reader, fields: &Fields<'_>) -> Option<Does> {
    if fields.has("steps") {
        for key in ["webhook", "verify", "rehearsal"] {
            let Some(node) = fields.get(key) else { continue };
            let message = prefixed(&fields.what, &format!("`{key}` stands beside `steps`"));
            let remedy = match key {
                "rehearsal" => "write it into the item of `steps` that it is about".to_owned(),
                _ => format!("make it a step, as `{key}:` below an item of `steps`"),
            };
            reader.report(Mistake::new(node.place.clone(), message).remedy(remedy));
        }
        return plan(reader, fields).map(|plan| Does::Plan(Arc::new(plan)));
    }
    let is_verified = reader.optional(fields, "verify", boolean) == Some(true);
    if is_verified {
        return called_and_verified(reader, fields).map(|plan| Does::Plan(Arc::new(plan)));
    }
    for (key, what) in [("deadline", "bounds"), ("rehearsal", "is for")] {
        let Some(node) = fields.get(key) else { continue };
        let message = format!("`{key}` {what} `steps`, and there are none");
        let mistake = Mistake::new(node.place.clone(), prefixed(&fields.what, &message));
        reader.report(mistake.remedy("remove it, or write `verify: true` beside the webhook"));
    }
    called(reader, fields).map(|webhook| Does::Call(Box::new(webhook)))
}

/// One side of a rollback: names of probes, none of them on the other side.
pub(super) fn arm(
    reader: &mut Reader,
    fields: &Fields<'_>,
    side: &str,
    other: &[TargetId],
    probes: &Probes,
) -> Vec<TargetId> {
    reader.filled(fields, side, "write a list of names of probes");
    reader.list(fields, side, |node| {
        let name = name(node)?;
        known_name(node, &name, &probes.names, "probe")?;
        let id = TargetId::new(&name);
        if other.contains(&id) {
            return Err(refuse(node, "which is a candidate too").remedy("keep it on one side"));
        }
        Ok(id)
    })
}
