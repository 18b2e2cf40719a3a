//! A result as a table: one row for each series.

use std::fmt::Write as _;

use serde_json::Value;

use super::look::Look;
use super::sparkline::sparkline;
use super::window::Window;
use crate::model::{Labels, Timestamp, format_duration};
use crate::promql::format_value;

/// A line of blocks is no longer than a range has steps unless asked for otherwise.
const PLACES_MAX: usize = 250;
/// Where nobody looks at once, a line stays short enough for a mail.
const PLACES_PLAIN: usize = 60;
/// Fewer places tell nothing; then labels are cut instead.
const PLACES_MIN: usize = 12;
/// Between two columns.
const GAP: &str = "  ";

/// The `data` of an answer as text.
pub(super) fn shown(data: &Value, window: &Window, look: &Look) -> String {
    let result = &data["result"];
    match data["resultType"].as_str() {
        Some("scalar" | "string") => format!("{}\n", text(&result[1])),
        _ => {
            let rows: Vec<Row> = result.as_array().into_iter().flatten().map(Row::read).collect();
            let is_matrix = data["resultType"] == "matrix";
            if rows.is_empty() {
                return "no series\n".to_owned();
            }
            table(&rows, is_matrix, window, look)
        }
    }
}

struct Row {
    labels: Labels,
    /// Milliseconds and values.
    points: Vec<(i64, f64)>,
    /// What a point says where it is no number.
    other: Option<String>,
}

impl Row {
    fn read(series: &Value) -> Self {
        let pairs = series["metric"].as_object().into_iter().flatten();
        let labels = Labels::from_pairs(pairs.map(|(name, value)| (name.as_str(), text(value))));
        let values = series["values"].as_array().map(Vec::as_slice);
        let points = values.unwrap_or(std::slice::from_ref(&series["value"])).iter();
        let points = points.filter_map(|point| {
            let at = (point[0].as_f64()? * 1000.0).round() as i64;
            Some((at, text(&point[1]).parse().ok()?))
        });
        let points: Vec<(i64, f64)> = points.collect();
        let histogram = ["histogram", "histograms"].iter().any(|key| !series[*key].is_null());
        let other = histogram.then(|| "a native histogram".to_owned());
        Self { labels, points, other }
    }

    fn numbers(&self) -> impl Iterator<Item = f64> {
        self.points.iter().map(|(_, value)| *value).filter(|value| !value.is_nan())
    }
}

fn table(rows: &[Row], is_matrix: bool, window: &Window, look: &Look) -> String {
    let common = common(rows);
    let names: Vec<String> = rows.iter().map(|row| own(&row.labels, &common)).collect();
    let mut cells: Vec<Vec<String>> = Vec::new();
    if is_matrix {
        cells.push(["min", "max", "last"].map(str::to_owned).into());
    }
    for row in rows {
        cells.push(match (&row.other, is_matrix) {
            (Some(other), _) => vec![other.clone()],
            (None, false) => row.points.iter().map(|(_, value)| short(*value)).collect(),
            (None, true) => {
                let least = row.numbers().reduce(f64::min).unwrap_or(f64::NAN);
                let largest = row.numbers().reduce(f64::max).unwrap_or(f64::NAN);
                let last = row.points.last().map_or(f64::NAN, |(_, value)| *value);
                [least, largest, last].map(short).into()
            }
        });
    }
    let columns = cells.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|at| cells.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max())
        .map(Option::unwrap_or_default)
        .collect();
    let numbers: usize = widths.iter().map(|width| width + GAP.len()).sum();
    let lines = Lines::of(rows, is_matrix, window);
    let longest = names.iter().map(|name| width(name)).max().unwrap_or_default();
    let (room, places) = share(longest, lines.places, numbers, look);

    let mut text = String::new();
    for line in heading(&common, is_matrix, window) {
        let _infallible = writeln!(text, "{}", look.faint(&line));
    }
    let names = std::iter::once(String::new()).filter(|_| is_matrix).chain(names);
    for (at, (name, cells)) in names.zip(&cells).enumerate() {
        let is_head = is_matrix && at == 0;
        let mut line = padded(&cut(&name, room, look), room);
        if is_matrix {
            let blocks = match at.checked_sub(1) {
                Some(row) => sparkline(&lines.values[row], places, look.has_blocks),
                None => String::new(),
            };
            let _infallible = write!(line, "{GAP}{}", padded(&blocks, places.min(lines.places)));
        }
        for (cell, width) in cells.iter().zip(&widths) {
            let _infallible = write!(line, "{GAP}{cell:>width$}");
        }
        let line = line.trim_end();
        let line = if is_head { look.faint(line) } else { line.to_owned() };
        let _infallible = writeln!(text, "{line}");
    }
    text
}

/// Values of each row on one grid for all.
struct Lines {
    places: usize,
    values: Vec<Vec<Option<f64>>>,
}

impl Lines {
    fn of(rows: &[Row], is_matrix: bool, window: &Window) -> Self {
        if !is_matrix {
            return Self { places: 0, values: Vec::new() };
        }
        let times = || rows.iter().flat_map(|row| row.points.iter().map(|(at, _)| *at));
        let (start, end, steps) = match *window {
            Window::Range { start, end, step } => {
                let steps = end.since(start).as_millis() / step.as_millis().max(1) + 1;
                (start.millis(), end.millis(), steps)
            }
            // The samples of a range vector lie as they were taken.
            Window::Instant(_) => {
                let most = rows.iter().map(|row| row.points.len()).max().unwrap_or_default();
                let (start, end) = (times().min(), times().max());
                (start.unwrap_or_default(), end.unwrap_or_default(), most as u128)
            }
        };
        let places = usize::try_from(steps).unwrap_or(PLACES_MAX).clamp(1, 11_001);
        let span = i128::from(end) - i128::from(start);
        let place = |at: i64| {
            let from_start = i128::from(at) - i128::from(start);
            // To the nearest: samples of a range vector are late by some milliseconds.
            let last = places as i128 - 1;
            let place = (from_start * last * 2 + span) / (span * 2).max(1);
            usize::try_from(place.clamp(0, last)).unwrap_or_default()
        };
        let values = rows.iter().map(|row| {
            let mut values = vec![None; places];
            for (at, value) in &row.points {
                values[place(*at)] = Some(*value);
            }
            values
        });
        Self { places, values: values.collect() }
    }
}

/// How much of a line the names have, and how much the blocks.
fn share(longest: usize, places: usize, numbers: usize, look: &Look) -> (usize, usize) {
    if places == 0 {
        let room = look.width.map_or(longest, |width| width.saturating_sub(numbers));
        return (longest.min(room.max(PLACES_MIN)), 0);
    }
    let Some(width) = look.width else { return (longest, places.min(PLACES_PLAIN)) };
    let free = width.saturating_sub(numbers + GAP.len());
    let least = places.min(PLACES_MIN);
    let room = longest.min(free.saturating_sub(least).max(PLACES_MIN));
    (room, places.min(PLACES_MAX).min(free.saturating_sub(room).max(least)))
}

/// The labels that all rows share, where there are rows to tell apart.
fn common(rows: &[Row]) -> Labels {
    let [first, others @ ..] = rows else { return Labels::empty() };
    if others.is_empty() {
        return Labels::empty();
    }
    let everywhere =
        |name: &str, value: &str| others.iter().all(|row| row.labels.get(name) == Some(value));
    first.labels.iter().filter(|label| everywhere(&label.name, &label.value)).cloned().collect()
}

/// A row's labels without those said above.
fn own(labels: &Labels, common: &Labels) -> String {
    let names: Vec<&str> = common.iter().map(|label| &*label.name).collect();
    labels.without(&names).to_string()
}

fn heading(common: &Labels, is_matrix: bool, window: &Window) -> Vec<String> {
    let mut lines = Vec::new();
    if !common.is_empty() {
        lines.push(common.to_string());
    }
    if let (Window::Range { start, end, step }, true) = (window, is_matrix) {
        let short = |at: &Timestamp| at.rfc3339().replace(".000Z", "Z");
        let (start, end, step) = (short(start), short(end), format_duration(*step));
        lines.push(format!("{start} to {end}, a value each {step}"));
    }
    lines
}

/// Six digits tell people enough; programs read the JSON.
fn short(value: f64) -> String {
    let size = value.abs();
    if value.fract() == 0.0 && size < 1e15 || !value.is_finite() {
        return format_value(value);
    }
    if !(1e-4..1e15).contains(&size) {
        let written = format!("{value:.5e}");
        let (digits, power) = written.split_once('e').unwrap_or((&written, "0"));
        return format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let whole = size.log10().floor() as i32 + 1;
    let decimals = usize::try_from(6 - whole.max(-3)).unwrap_or(0);
    let written = format!("{value:.decimals$}");
    match written.contains('.') {
        true => written.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => written,
    }
}

fn cut(name: &str, room: usize, look: &Look) -> String {
    if width(name) <= room {
        return name.to_owned();
    }
    let end = if look.has_blocks { "…" } else { "..." };
    let kept: String = name.chars().take(room.saturating_sub(width(end))).collect();
    kept + end
}

/// Characters; that some are wider is told by no terminal.
fn width(text: &str) -> usize {
    text.chars().count()
}

fn padded(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Laid out by hand for 62 columns: 12 of them have the blocks, each the largest of three or four.
    #[test]
    fn a_row_fits_the_terminal() {
        let series = |target: &str, values: Value| {
            let metric = json!({"__name__": "x", "job": "j", "target": target});
            json!({"metric": metric, "values": values})
        };
        let values: Vec<Value> = (0..40).map(|at| json!([at, at.to_string()])).collect();
        let data = json!({"resultType": "matrix", "result": [
            series("a-name-that-is-too-long", json!(values)),
            series("b", json!([[0, "NaN"], [39, "0.00001234567"]])),
        ]});
        let at = Timestamp::from_millis;
        let step = std::time::Duration::from_secs(1);
        let window = Window::Range { start: at(0), end: at(39_000), step };
        let look = Look { width: Some(62), has_blocks: true, has_colours: true };
        let shown = shown(&data, &window, &look);
        let expected = [
            "\u{1b}[2mx{job=\"j\"}\u{1b}[0m",
            "\u{1b}[2m1970-01-01T00:00:00Z to 1970-01-01T00:00:39Z, a value each 1s\u{1b}[0m",
            "\u{1b}[2m                                   min         max        last\u{1b}[0m",
            "{target=\"a-…  ▁▂▃▃▄▄▅▅▆▇▇█           0          39          39",
            "{target=\"b\"}             ▄  1.23457e-5  1.23457e-5  1.23457e-5",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
        let look = Look { width: None, has_blocks: false, has_colours: false };
        let plain = super::shown(&data, &window, &look);
        assert!(
            plain.contains(
                "{target=\"a-name-that-is-too-long\"}  ___......-----~~~~~~======+++++******###"
            ),
            "{plain}"
        );
    }

    #[test]
    fn numbers_have_six_digits() {
        for (value, text) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (1e14, "100000000000000"),
            (2.0 / 3.0, "0.666667"),
            (1234.56789, "1234.57"),
            (999_999.96, "1000000"),
            (0.000_123_456_78, "0.000123457"),
            (1.5e-7, "1.5e-7"),
            (1e21, "1e21"),
            (f64::INFINITY, "+Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), text);
        }
    }
}
