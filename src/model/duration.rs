//! Durations as Prometheus files write them: `5m`, `1h30m`, `0`.

use std::fmt::Write as _;
use std::time::Duration;

/// Why a text is not a Prometheus duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing was written.
    #[error("a duration is empty")]
    Empty,
    /// Not numbers with the units `y w d h m s ms`, each at most once and in that order.
    #[error("`{0}` is not a duration such as `30s`, `5m` or `1h30m`")]
    Malformed(String),
    /// Larger than 292 years.
    #[error("`{0}` is longer than a duration can be")]
    TooLong(String),
}

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 24 * 3_600_000),
    ("w", 7 * 24 * 3_600_000),
    ("d", 24 * 3_600_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Reads a duration in Prometheus's notation: units from large to small, each once; a bare `0` too.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Empty);
    }
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let malformed = || DurationError::Malformed(text.to_owned());
    let too_long = || DurationError::TooLong(text.to_owned());
    let mut rest = text;
    let mut next_unit = 0;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let letters = rest[digits..].len()
            - rest[digits..].trim_start_matches(|c: char| c.is_ascii_alphabetic()).len();
        let unit = &rest[digits..digits + letters];
        let position = UNITS.iter().position(|(name, _)| *name == unit).filter(|p| *p >= next_unit);
        let (Some(position), true) = (position, digits > 0) else { return Err(malformed()) };
        let count: u64 = rest[..digits].parse().map_err(|_| too_long())?;
        let part = count.checked_mul(UNITS[position].1).ok_or_else(too_long)?;
        millis = millis.checked_add(part).ok_or_else(too_long)?;
        next_unit = position + 1;
        rest = &rest[digits + letters..];
    }
    // Go's time.Duration, which bounds what Prometheus accepts.
    if millis > i64::MAX as u64 / 1_000_000 {
        return Err(too_long());
    }
    Ok(Duration::from_millis(millis))
}

/// Writes a duration as Prometheus does: `1h30m`, `1m30s`, `0s`. Years, weeks and days appear only
/// where the duration is a whole number of them. Parts of a millisecond are dropped.
pub fn format_duration(duration: Duration) -> String {
    let mut millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if millis == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (position, (unit, size)) in UNITS.iter().enumerate() {
        let whole_only = position < 3;
        if millis >= *size && (!whole_only || millis.is_multiple_of(*size)) {
            let _infallible = write!(text, "{}{unit}", millis / size);
            millis %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: github.com/prometheus/common/model, time_test.go, restated by hand.
    #[test]
    fn durations_read_as_prometheus_reads_them() {
        for (text, millis) in [
            ("0", 0),
            ("0s", 0),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("4d1h", 349_200_000),
            ("14d", 1_209_600_000),
            ("1m30s4ms", 90_004),
            ("3w", 1_814_400_000),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "1",
            "5",
            "-3m",
            "1m1h",
            "1m1m",
            "1.5d",
            "d",
            "1 m",
            "294y",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_prometheus_writes_them() {
        for (millis, text) in [
            (0, "0s"),
            (324, "324ms"),
            (3_000, "3s"),
            (300_000, "5m"),
            (3_600_000, "1h"),
            (4 * 3_600_000 + 4, "4h4ms"),
            (349_200_000, "97h"),
            (1_209_600_000, "2w"),
            (10 * 86_400_000, "10d"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
    }
}
