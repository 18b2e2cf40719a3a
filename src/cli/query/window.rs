//! When a query is evaluated: at one moment or over a range.

use std::str::FromStr;
use std::time::Duration;

use super::Arguments;
use crate::model::{Timestamp, parse_duration};

/// As many steps as `promtool` takes where none is asked for.
const STEPS: u32 = 250;
/// Counters are seldom sampled more often.
const STEP_MIN: Duration = Duration::from_secs(1);

/// A point in time as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl FromStr for Moment {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "now" {
            return Ok(Self::Ago(Duration::ZERO));
        }
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.is_finite());
        if let Some(seconds) = seconds {
            return Ok(Self::At(Timestamp::from_millis((seconds * 1000.0).round() as i64)));
        }
        if let Some(ago) = text.strip_prefix('-').and_then(|ago| parse_duration(ago).ok()) {
            return Ok(Self::Ago(ago));
        }
        let at = text.parse::<jiff::Timestamp>();
        at.map(|at| Self::At(Timestamp::from_millis(at.as_millisecond())))
            .map_err(|_| "write `2026-01-30T12:00:00Z`, seconds since 1970, `now` or `-5m`")
    }
}

impl Moment {
    /// The time itself.
    pub(in crate::cli) fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(ago) => now - ago,
        }
    }
}

/// A length of time above zero: Prometheus's notation, or seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span(Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.parse::<f64>().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let span = seconds.or_else(|| parse_duration(text).ok());
        let span = span.filter(|span| span.as_millis() > 0);
        span.map(Self).ok_or("write a duration above zero such as `15s`, `5m` or `1h30m`")
    }
}

/// When the expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Instant(Option<Timestamp>),
    Range { start: Timestamp, end: Timestamp, step: Duration },
}

impl Window {
    pub(super) fn of(arguments: &Arguments, now: Timestamp) -> Result<Self, &'static str> {
        let at = |moment: Option<Moment>| moment.map(|moment| moment.from(now));
        let (start, end) = match (arguments.range, at(arguments.start), at(arguments.end)) {
            (None, None, None) if arguments.step.is_none() => {
                return Ok(Self::Instant(at(arguments.time)));
            }
            (Some(_), Some(_), Some(_)) => {
                return Err("two of `--range`, `--start` and `--end` say all three");
            }
            (Some(Span(range)), None, end) => {
                let end = end.unwrap_or(now);
                (end - range, end)
            }
            (Some(Span(range)), Some(start), None) => (start, start + range),
            (None, Some(start), end) => (start, end.unwrap_or(now)),
            (None, None, _) => return Err("a range needs `--range` or `--start`"),
        };
        if end < start {
            return Err("the range ends before it begins");
        }
        // In whole seconds: a step of 14.4 s would read no better and hit no sample.
        let even = Duration::from_secs((end.since(start) / STEPS).as_secs());
        let step = arguments.step.map_or_else(|| even.max(STEP_MIN), |Span(step)| step);
        Ok(Self::Range { start, end, step })
    }

    /// The API's path and its parameters.
    pub(super) fn request(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match *self {
            Self::Instant(at) => {
                let time = at.map(|at| ("time", seconds(at)));
                ("/api/v1/query", time.into_iter().collect())
            }
            Self::Range { start, end, step } => {
                let step = step.as_secs_f64().to_string();
                let times = [("start", seconds(start)), ("end", seconds(end)), ("step", step)];
                ("/api/v1/query_range", times.to_vec())
            }
        }
    }
}

/// Exact to the millisecond, which a float with many seconds before the point is, too.
fn seconds(at: Timestamp) -> String {
    format!("{:.3}", at.seconds())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn request(line: &[&str]) -> Result<String, String> {
        let line = ["query", "up"].iter().chain(line);
        let line = Line::try_parse_from(line).map_err(|error| error.kind().to_string())?;
        let now = Timestamp::from_millis(10_000_000);
        let window = Window::of(&line.arguments, now).map_err(str::to_owned)?;
        let (path, times) = window.request();
        let times: Vec<String> =
            times.iter().map(|(name, value)| format!(" {name}={value}")).collect();
        Ok(path.trim_start_matches("/api/v1/").to_owned() + &times.concat())
    }

    // By hand: now is 10,000 seconds after the epoch.
    #[test]
    fn a_line_asks_for_one_moment_or_one_range() {
        for (line, expected) in [
            (&[][..], "query"),
            (&["--time", "1.5"], "query time=1.500"),
            (&["--time", "-5m"], "query time=9700.000"),
            (&["--time", "now"], "query time=10000.000"),
            (&["--time", "1970-01-01T00:01:00+00:00"], "query time=60.000"),
            (&["--range", "1000"], "query_range start=9000.000 end=10000.000 step=4"),
            (&["--range", "1m"], "query_range start=9940.000 end=10000.000 step=1"),
            (
                &["--range", "10m", "--end", "-10m", "--step", "500ms"],
                "query_range start=8800.000 end=9400.000 step=0.5",
            ),
            (
                &["--range", "1h", "--start", "100", "--step", "1m"],
                "query_range start=100.000 end=3700.000 step=60",
            ),
            (&["--start", "0"], "query_range start=0.000 end=10000.000 step=40"),
            (&["--start", "5", "--end", "6"], "query_range start=5.000 end=6.000 step=1"),
        ] {
            assert_eq!(request(line).as_deref(), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for line in [
            &["--time", "soon"][..],
            &["--time", "1", "--range", "5m"],
            &["--range", "0"],
            &["--range", "5m", "--step", "0s"],
            &["--range", "5m", "--start", "1", "--end", "2"],
            &["--end", "5"],
            &["--step", "5s"],
            &["--start", "6", "--end", "5"],
        ] {
            assert!(request(line).is_err(), "{line:?}");
        }
    }
}
