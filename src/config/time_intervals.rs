//! `time_intervals:`, in Alertmanager's format.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::probes::known_name;
use super::providers::unique;
use super::reader::{Fields, Reader, entry_name};
use super::scalar::{any_of, name, raw, refuse};
use crate::model::{Mistake, TimeInterval, TimeRule, suggest};
use crate::yaml::Node;

const KEYS: [&str; 6] = ["times", "weekdays", "days_of_month", "months", "years", "location"];
const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The intervals, and every name that was given to one.
pub(super) struct TimeIntervals {
    pub(super) right: Vec<Arc<TimeInterval>>,
    pub(super) names: Vec<String>,
}

/// Reads `time_intervals:`.
pub(super) fn time_intervals(reader: &mut Reader, root: &Fields<'_>) -> TimeIntervals {
    let mut found = TimeIntervals { right: Vec::new(), names: Vec::new() };
    for (index, node) in reader.items(root, "time_intervals").into_iter().enumerate() {
        let what = entry_name("time interval", index, node);
        let Some(fields) = reader.fields(node, what, &["name", "time_intervals"]) else { continue };
        let name = reader.required(&fields, "name", "write a name for the interval", |node| {
            unique(node, name(node)?, &mut found.names)
        });
        reader.filled(&fields, "time_intervals", "write when it holds, such as `weekdays`");
        let mut rules = Vec::new();
        for (index, node) in reader.items(&fields, "time_intervals").into_iter().enumerate() {
            rules.extend(rule(reader, node, fields.part(&format!("rule {}", index + 1))));
        }
        found.right.extend(name.map(|name| Arc::new(TimeInterval { name, rules })));
    }
    found
}

/// The intervals that a list names.
pub(super) fn named(
    reader: &mut Reader,
    fields: &Fields<'_>,
    key: &str,
    known: &TimeIntervals,
) -> Vec<Arc<TimeInterval>> {
    let named = reader.list(fields, key, |node| {
        let name = name(node)?;
        known_name(node, &name, &known.names, "time interval")?;
        Ok(known.right.iter().find(|interval| interval.name == name).cloned())
    });
    named.into_iter().flatten().collect()
}

fn rule(reader: &mut Reader, node: &Node, what: String) -> Option<TimeRule> {
    let fields = reader.fields(node, what, &KEYS)?;
    let mut times = Vec::new();
    for (index, node) in reader.items(&fields, "times").into_iter().enumerate() {
        times.extend(times_of(reader, node, fields.part(&format!("times {}", index + 1))));
    }
    let months = |text: &str| position(text, &MONTHS).map(|at| at + 1).or_else(|| number(text));
    let month_due = "a month's name or number from 1 to 12, or `first:last`";
    let weekday_due = "a day's name, or `first:last`";
    Some(TimeRule {
        times,
        weekdays: reader.list(&fields, "weekdays", |node| {
            range(node, weekday_due, 0..=6, |text| position(text, &WEEKDAYS))
                .map_err(|mistake| near(mistake, node, &WEEKDAYS))
        }),
        days_of_month: reader.list(&fields, "days_of_month", day_range),
        months: reader.list(&fields, "months", |node| {
            range(node, month_due, 1..=12, months).map_err(|mistake| near(mistake, node, &MONTHS))
        }),
        years: reader.list(&fields, "years", |node| {
            range(node, "a year, or `first:last`", 1..=9999, number)
        }),
        zone: reader.optional(&fields, "location", zone).unwrap_or(TimeZone::UTC),
    })
}

fn times_of(reader: &mut Reader, node: &Node, what: String) -> Option<Range<u16>> {
    let fields = reader.fields(node, what, &["start_time", "end_time"])?;
    let remedy = "write a time such as `09:00`";
    let start = reader.required(&fields, "start_time", remedy, time);
    let end = reader.required(&fields, "end_time", remedy, |node| {
        let end = time(node)?;
        match start {
            Some(start) if start >= end => Err(refuse(node, "which is not after `start_time`")
                .remedy("a range over midnight is two: one to `24:00`, one from `00:00`")),
            _ => Ok(end),
        }
    });
    Some(start?..end?)
}

/// `HH:MM`, or `24:00`: minutes since midnight.
fn time(node: &Node) -> Result<u16, Mistake> {
    let due = "a time from `00:00` to `24:00`";
    let text = raw(node, due)?;
    let wrong = || refuse(node, format!("where {due} is due"));
    let two = |text: &str| match text.len() {
        2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().ok(),
        _ => None,
    };
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    match (two(hour), two(minute)) {
        (Some(24), Some(0)) => Ok(24 * 60),
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(hour * 60 + minute),
        _ => Err(wrong()),
    }
}

/// `first:last`, or one alone.
fn range<T: PartialOrd + Copy>(
    node: &Node,
    due: &str,
    bounds: RangeInclusive<T>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<RangeInclusive<T>, Mistake> {
    let text = raw(node, due)?.to_ascii_lowercase();
    let (first, last) = text.split_once(':').unwrap_or((&text, &text));
    let read = |text: &str| read(text.trim()).filter(|value| bounds.contains(value));
    let (Some(first), Some(last)) = (read(first), read(last)) else {
        return Err(refuse(node, format!("where {due} is due")));
    };
    if first > last {
        return Err(refuse(node, "which ends before it begins").remedy("write two ranges"));
    }
    Ok(first..=last)
}

/// Days from 1, or from -1 back. A range that ends before it begins where a month has 28 days is
/// refused, as Alertmanager does: in some month it would say nothing.
fn day_range(node: &Node) -> Result<RangeInclusive<i8>, Mistake> {
    let due = "a day from 1 to 31, or from -31 to -1 counted from the end, or `first:last`";
    let text = raw(node, due)?;
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    let read = |text: &str| number(text.trim()).filter(|day| *day != 0 && (-31..=31).contains(day));
    let (Some(first), Some(last)) = (read(first), read(last)) else {
        return Err(refuse(node, format!("where {due} is due")));
    };
    if first < 0 && last > 0 {
        return Err(refuse(node, "which is counted from the end and ends counted from the start")
            .remedy("count both from the end"));
    }
    let from_start = |day: i8| if day < 0 { day + 28 } else { day };
    if from_start(first) > from_start(last) {
        let wrong = refuse(node, "which ends before it begins");
        return Err(if first > 0 && last < 0 {
            wrong.remedy("February has 28 days; write the last days alone, such as `-1`")
        } else {
            wrong.remedy("write two ranges")
        });
    }
    Ok(first..=last)
}

/// The zones that are built in, so that the same file means the same everywhere.
fn zone(node: &Node) -> Result<TimeZone, Mistake> {
    let text = raw(node, "a time zone such as `Europe/Berlin`")?;
    let zone = TimeZoneDatabase::bundled().get(text).ok();
    // Alertmanager asks for the very letters.
    zone.filter(|zone| zone.iana_name() == Some(text)).ok_or_else(|| {
        let mistake = refuse(node, "which is no time zone");
        let known: Vec<String> =
            TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        match suggest::nearest(text, known.iter().map(String::as_str)) {
            Some(meant) => mistake.remedy(format!("did you mean `{meant}`?")),
            None => mistake.remedy("write a name of the IANA database, such as `Europe/Berlin`"),
        }
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn position(text: &str, names: &[&str]) -> Option<i8> {
    names.iter().position(|name| *name == text).and_then(|at| i8::try_from(at).ok())
}

/// What was probably meant, or all there are.
fn near(mistake: Mistake, node: &Node, names: &[&str]) -> Mistake {
    if mistake.remedy.is_some() {
        return mistake;
    }
    let text = node.text().unwrap_or_default().to_ascii_lowercase();
    let mut parts = text.split(':').filter(|part| !names.contains(part));
    let meant = parts.next().and_then(|part| suggest::nearest(part, names.iter().copied()));
    match meant {
        Some(meant) => mistake.remedy(format!("did you mean `{meant}`?")),
        None => mistake.remedy(format!("write {}", any_of(names.iter().copied()))),
    }
}
