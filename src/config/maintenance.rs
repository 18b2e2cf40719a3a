//! `maintenance:` of a provider: when what its probes say is no evidence.

use super::reader::{Fields, Reader};
use super::scalar::{raw, refuse};
use super::time_intervals::{TimeIntervals, named};
use crate::model::{Mistake, Timestamp};
use crate::probe::{Maintenance, Window};
use crate::yaml::Node;

/// Reads what is planned for a provider, where anything is.
pub(super) fn maintenance(
    reader: &mut Reader,
    provider: &Fields<'_>,
    known: &TimeIntervals,
) -> Option<Maintenance> {
    let node = provider.get("maintenance")?;
    let part = provider.part("maintenance");
    let fields = reader.fields(node, part, &["time_intervals", "windows"])?;
    if !fields.has("time_intervals") && !fields.has("windows") {
        let remedy =
            "write `windows` with `from` and `until`, or `time_intervals` with their names";
        reader.missing(&fields, "windows", remedy);
    }
    let intervals = named(reader, &fields, "time_intervals", known);
    let mut windows = Vec::new();
    for (index, node) in reader.items(&fields, "windows").into_iter().enumerate() {
        windows.extend(window(reader, node, fields.part(&format!("window {}", index + 1))));
    }
    Some(Maintenance { intervals, windows })
}

fn window(reader: &mut Reader, node: &Node, what: String) -> Option<Window> {
    let fields = reader.fields(node, what, &["from", "until"])?;
    let remedy = "write a time such as `2027-01-31T22:00:00Z`";
    let from = reader.required(&fields, "from", remedy, time);
    let until = reader.required(&fields, "until", remedy, |node| {
        let until = time(node)?;
        match from {
            Some(from) if from >= until => Err(refuse(node, "which is not after `from`")),
            _ => Ok(until),
        }
    });
    Some(Window { from: from?, until: until? })
}

/// RFC 3339: a date and a time with its offset, so that nobody has to guess whose clock is meant.
pub(super) fn time(node: &Node) -> Result<Timestamp, Mistake> {
    let text = raw(node, "a time such as `2027-01-31T22:00:00Z`")?;
    // Jiff reads more than RFC 3339: names of zones in brackets, no seconds, a space in the middle.
    let is_strict = matches!(text.as_bytes().get(10), Some(b'T' | b't'))
        && text.as_bytes().get(16) == Some(&b':')
        && !text.contains('[');
    let parsed = text.parse::<jiff::Timestamp>().ok().filter(|_| is_strict);
    parsed.map(|at| Timestamp::from_millis(at.as_millisecond())).ok_or_else(|| {
        refuse(node, "which is no time in RFC 3339")
            .remedy("write date, time and offset: `2027-01-31T22:00:00Z` or `…+01:00`")
    })
}
