//! Amounts: durations, sizes, money.
//!
//! Durations are Prometheus's (`5m`, `1h30m`) or humantime's (`1.5s`, `2min 30s`). The two differ
//! in months and years only, which humantime counts by the moon and the leap year: those are taken
//! in Prometheus's sense (`1y` is 365 days) or refused. A number without a unit is refused, since
//! half of all readers would take it for milliseconds. Money is read as decimal text into whole
//! nano-dollars and never passes through floating point.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::scalar::{raw, refuse};
use crate::model::{Mistake, Money, format_duration, parse_duration};
use crate::yaml::Node;

const DUE: &str = "a duration such as `30s` or `5m`";
// Keeps humantime's sums far from their overflow.
const DIGITS_MAX: usize = 12;
const LENGTH_MAX: usize = 32;

/// A duration within a range.
pub(super) fn duration(node: &Node, range: RangeInclusive<Duration>) -> Result<Duration, Mistake> {
    let text = raw(node, DUE)?.trim();
    if !text.is_empty() && text != "0" && text.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(
            refuse(node, "which has no unit").remedy(format!("write `{text}s` for seconds"))
        );
    }
    let refused = || {
        let mistake = refuse(node, format!("where {DUE} is due"));
        if is_vague(text) {
            mistake.remedy("write months and years in days: `30d`")
        } else {
            mistake
        }
    };
    let duration = match parse_duration(text) {
        Ok(duration) => duration,
        Err(_) => human(text).ok_or_else(refused)?,
    };
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
    Err(refuse(node, format!("where {least} to {most} is allowed")))
}

fn human(text: &str) -> Option<Duration> {
    let mut digits = text.split(|c: char| !c.is_ascii_digit());
    let is_long = text.len() > LENGTH_MAX || digits.any(|run| run.len() > DIGITS_MAX);
    if is_long || is_vague(text) { None } else { humantime::parse_duration(text).ok() }
}

/// Whether months or years are in it, which are not of one length.
fn is_vague(text: &str) -> bool {
    let mut units = text.split(|c: char| !c.is_ascii_alphabetic());
    units.any(|unit| unit == "M" || unit.starts_with("mon") || unit.starts_with('y'))
}

/// A size in bytes, in Prometheus's units: `1GB` is 2³⁰ bytes, as `1GiB` is.
pub(super) fn size(node: &Node) -> Result<u64, Mistake> {
    const DUE: &str = "a size such as `512MB` or `1GB`";
    const UNITS: [(&str, u32); 6] =
        [("B", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];
    let text = raw(node, DUE)?;
    let refused = || refuse(node, format!("where {DUE} is due"));
    let end = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(|| {
        refuse(node, "which has no unit").remedy(format!("write `{text}B` for bytes"))
    })?;
    let unit = text[end..].trim().trim_end_matches("iB");
    let unit = if unit == "B" { unit } else { unit.trim_end_matches('B') };
    let shift = UNITS.iter().find_map(|(name, shift)| (*name == unit).then_some(*shift));
    let count: u64 = text[..end].parse().map_err(|_| refused())?;
    let size = count.checked_mul(1 << shift.ok_or_else(refused)?).ok_or_else(refused)?;
    if size == 0 { Err(refused()) } else { Ok(size) }
}

/// Dollars, with at most nine decimals.
pub(super) fn money(node: &Node) -> Result<Money, Mistake> {
    const DUE: &str = "an amount of dollars such as `2.50`";
    const DOLLARS_MAX: u64 = 1_000_000_000;
    let text = raw(node, DUE)?;
    if text.starts_with('-') {
        return Err(refuse(node, "which is negative").remedy("write 0 or more"));
    }
    if let Some(rest) = text.strip_prefix('$') {
        let mistake = refuse(node, format!("where {DUE} is due"));
        return Err(mistake.remedy(format!("write `{rest}`: amounts are in US dollars")));
    }
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_decimal = !whole.is_empty()
        && [whole, decimals].iter().all(|part| part.chars().all(|c| c.is_ascii_digit()));
    if !is_decimal {
        return Err(refuse(node, format!("where {DUE} is due")));
    }
    if decimals.len() > 9 {
        return Err(refuse(node, "which has more than nine decimals"));
    }
    let dollars = whole.parse().ok().filter(|dollars: &u64| *dollars <= DOLLARS_MAX);
    let nanos: Option<u64> = format!("{decimals:0<9}").parse().ok();
    match (dollars, nanos) {
        (Some(dollars), Some(nanos)) => Ok(Money::from_nanos(dollars * 1_000_000_000 + nanos)),
        _ => Err(refuse(node, format!("which is more than {DOLLARS_MAX} dollars"))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(text: &str) -> Node {
        crate::yaml::parse("f", text).unwrap()
    }

    #[test]
    fn durations_read_in_either_notation_and_never_by_guess() {
        let all = Duration::ZERO..=Duration::from_secs(u64::from(u32::MAX));
        for (text, millis) in [
            ("60s", 60_000),
            ("0", 0),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1.5s", 1_500),
            ("2min 30sec", 150_000),
            ("1y", 365 * 86_400_000),
            ("250ms", 250),
        ] {
            let duration = duration(&node(text), all.clone()).unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
        }
        for text in [
            "60",
            "1.5",
            "5M",
            "1month",
            "2years",
            "soon",
            "-5s",
            "1e3s",
            "18446744073709551615s 999ms 1ms",
            "999999999999w 999999999999w",
            "''",
            "[]",
        ] {
            assert!(duration(&node(text), all.clone()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_duration_panics(text in "([0-9]{1,20}(\\.[0-9]{1,20})?(w|d|h|m|s|ms|us|ns|weeks| )){1,4}") {
            if let Ok(duration) = duration(&node(&text), Duration::ZERO..=Duration::MAX) {
                prop_assert!(duration < Duration::MAX);
            }
        }
    }

    #[test]
    fn sizes_are_powers_of_two_as_in_prometheus() {
        for (text, bytes) in
            [("1GB", 1 << 30), ("1GiB", 1 << 30), ("512MB", 512 << 20), ("10B", 10), ("2K", 2048)]
        {
            assert_eq!(size(&node(text)), Ok(bytes), "{text}");
        }
        for text in ["1", "GB", "1.5GB", "0GB", "99999999PB", "1XB", "1gb"] {
            assert!(size(&node(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn money_is_exact() {
        for (text, nanos) in [
            ("2.50", 2_500_000_000),
            ("10", 10_000_000_000),
            ("0.000000001", 1),
            ("0.1", 100_000_000),
            ("'3.'", 3_000_000_000),
        ] {
            assert_eq!(money(&node(text)), Ok(Money::from_nanos(nanos)), "{text}");
        }
        for text in ["-1", "$1", "1,5", "1e3", ".5", "0.0000000001", "99999999999", "x"] {
            assert!(money(&node(text)).is_err(), "{text}");
        }
    }
}
