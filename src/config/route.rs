//! `route:`: Alertmanager's routing tree. What a child does not say, its parent says.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::amount::duration;
use super::probes::known_name;
use super::reader::{Fields, Reader, prefixed};
use super::receivers::Receivers;
use super::scalar::{boolean, label_name, matcher, name, refuse};
use super::time_intervals::{TimeIntervals, named};
use crate::model::Mistake;
use crate::notice::Route;
use crate::yaml::Node;

const KEYS: [&str; 10] = [
    "receiver",
    "matchers",
    "continue",
    "group_by",
    "group_wait",
    "group_interval",
    "repeat_interval",
    "mute_time_intervals",
    "active_time_intervals",
    "routes",
];
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const WAIT: RangeInclusive<Duration> = Duration::ZERO..=YEAR;
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(1)..=YEAR;

/// Reads `route:`; receivers without one would never be told anything.
pub(super) fn route(
    reader: &mut Reader,
    root: &Fields<'_>,
    receivers: &Receivers,
    intervals: &TimeIntervals,
) -> Option<Route> {
    if let (Some(first), false) = (receivers.names.first(), root.has("route")) {
        let place = root.get("receivers").map_or_else(|| root.place(), |node| &node.place);
        let mistake =
            Mistake::new(place.clone(), "`receivers` are listed, but there is no `route`");
        reader.report(mistake.remedy(format!("write `route: {{receiver: {first}}}`")));
    }
    let default = Route {
        receiver: String::new(),
        matchers: Vec::new(),
        goes_on: false,
        group_by: Vec::new(),
        group_wait: Duration::from_secs(30),
        group_interval: Duration::from_secs(300),
        repeat_interval: Duration::from_secs(4 * 3600),
        mute_time_intervals: Vec::new(),
        active_time_intervals: Vec::new(),
        routes: Vec::new(),
    };
    let node = root.get("route")?;
    let route = read(reader, node, "route", &default, (receivers, intervals))?;
    for key in ["matchers", "continue", "mute_time_intervals", "active_time_intervals"] {
        if let Some(value) = node.get(key) {
            let message =
                format!("route: `{key}` has no place at the root, which takes every alert");
            let mistake = Mistake::new(value.place.clone(), message);
            reader.report(mistake.remedy("move it to a child under `routes`"));
        }
    }
    if node.get("receiver").is_none() {
        let mistake = Mistake::new(node.place.clone(), "route: `receiver` is missing");
        reader.report(mistake.remedy("write who is told what no child takes"));
    }
    Some(route)
}

/// Depth is bounded by that of the document.
fn read(
    reader: &mut Reader,
    node: &Node,
    what: &str,
    parent: &Route,
    known: (&Receivers, &TimeIntervals),
) -> Option<Route> {
    let fields = reader.fields(node, what, &KEYS)?;
    let receiver = reader.optional(&fields, "receiver", |node| {
        let name = name(node)?;
        known_name(node, &name, &known.0.names, "receiver")?;
        Ok(name)
    });
    let matchers = reader.list(&fields, "matchers", matcher);
    let goes_on = reader.optional(&fields, "continue", boolean).unwrap_or(false);
    let group_by =
        if fields.has("group_by") { group_by(reader, &fields) } else { parent.group_by.clone() };
    let interval = |node: &Node| duration(node, INTERVAL);
    let mut route = Route {
        receiver: receiver.unwrap_or_else(|| parent.receiver.clone()),
        matchers,
        goes_on,
        group_by,
        group_wait: reader
            .optional(&fields, "group_wait", |node| duration(node, WAIT))
            .unwrap_or(parent.group_wait),
        group_interval: reader
            .optional(&fields, "group_interval", interval)
            .unwrap_or(parent.group_interval),
        repeat_interval: reader
            .optional(&fields, "repeat_interval", interval)
            .unwrap_or(parent.repeat_interval),
        mute_time_intervals: named(reader, &fields, "mute_time_intervals", known.1),
        active_time_intervals: named(reader, &fields, "active_time_intervals", known.1),
        routes: Vec::new(),
    };
    for (index, child) in reader.items(&fields, "routes").into_iter().enumerate() {
        let what = format!("{what}, child {}", index + 1);
        route.routes.extend(read(reader, child, &what, &route, known));
    }
    Some(route)
}

fn group_by(reader: &mut Reader, fields: &Fields<'_>) -> Vec<String> {
    let names = reader.list(fields, "group_by", |node| {
        if node.text() == Some("...") { Ok("...".to_owned()) } else { label_name(node) }
    });
    let mut seen = Vec::new();
    for name in &names {
        if seen.contains(&name)
            && let Some(node) = fields.get("group_by")
        {
            let message = format!("`group_by` names `{name}` twice");
            reader.report(Mistake::new(node.place.clone(), prefixed(&fields.what, &message)));
        }
        seen.push(name);
    }
    if names.len() > 1 && names.iter().any(|name| name == "...") {
        reader.list(fields, "group_by", |node| match node.text() {
            Some("...") => {
                Err(refuse(node, "which already means every label").remedy("keep it alone"))
            }
            _ => Ok(()),
        });
    }
    names
}
