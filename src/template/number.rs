//! Numbers, times and durations as Go's `fmt` writes them.

use jiff::tz::TimeZone;

use super::layout;
use crate::model::Timestamp;

/// Writes a float by one of the verbs `e E f F g G`. Without a precision: as many digits as are
/// needed to read the same number back for `g`, six for the others.
pub(super) fn float(value: f64, verb: char, precision: Option<usize>) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match verb {
        'e' | 'E' => exponential(value, precision.unwrap_or(6), verb),
        'f' | 'F' => format!("{value:.*}", precision.unwrap_or(6)),
        _ => general(value, precision, if verb == 'G' { 'E' } else { 'e' }),
    }
}

fn exponential(value: f64, precision: usize, letter: char) -> String {
    let written = format!("{value:.precision$e}");
    let (digits, exponent) = split(&written);
    go_exponent(digits, exponent, letter)
}

/// `%g`: the shorter of `%e` and `%f`, without trailing zeros.
fn general(value: f64, precision: Option<usize>, letter: char) -> String {
    let (written, limit) = match precision {
        // Go decides as if the precision were six where none is given (strconv/ftoa.go).
        None => (format!("{value:e}"), 6),
        Some(precision) => {
            let precision = precision.max(1);
            (format!("{value:.*e}", precision - 1), i32::try_from(precision).unwrap_or(i32::MAX))
        }
    };
    let (digits, exponent) = split(&written);
    let digits = if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    };
    if exponent < -4 || exponent >= limit {
        return go_exponent(digits, exponent, letter);
    }
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let digits = digits.replace('.', "");
    let point = exponent + 1;
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let zeros = |number: i32| "0".repeat(usize::try_from(number).unwrap_or_default());
    if point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else if point >= count {
        format!("{sign}{digits}{}", zeros(point - count))
    } else {
        let (whole, part) = digits.split_at(usize::try_from(point).unwrap_or_default());
        format!("{sign}{whole}.{part}")
    }
}

/// Splits Rust's `1.5e-7` into digits and exponent.
fn split(written: &str) -> (&str, i32) {
    match written.split_once('e') {
        Some((digits, exponent)) => (digits, exponent.parse().unwrap_or_default()),
        None => (written, 0),
    }
}

/// Go writes an exponent with its sign and at least two digits.
fn go_exponent(digits: &str, exponent: i32, letter: char) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}{letter}{sign}{:02}", exponent.abs())
}

/// A time as Go's `time.Time` prints itself: `2009-02-13 23:31:30 +0000 UTC`.
pub(super) fn time(at: Timestamp, zone: &TimeZone) -> String {
    layout::format("2006-01-02 15:04:05.999999999 -0700 MST", at, zone)
}

/// A time as Go's `encoding/json` writes it.
pub(super) fn rfc3339(at: Timestamp, zone: &TimeZone) -> String {
    layout::format("2006-01-02T15:04:05.999999999Z07:00", at, zone)
}

/// A duration in nanoseconds as Go's `time.Duration` prints itself: `1h2m3.5s`, `1.5ms`, `0s`.
pub(super) fn span(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |whole: u64, part: u64, digits: usize| {
        let text = format!("{whole}.{part:0digits$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    let text = match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..1_000_000_000 => {
            format!("{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6))
        }
        _ => {
            let total = nanos / 1_000_000_000;
            let seconds = fraction(total % 60, nanos % 1_000_000_000, 9);
            match (total / 3600, total / 60 % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Expected values: what Go 1.22's fmt prints, taken by hand from its documentation and tests.
    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (value, verb, precision, expected) in [
            (0.0, 'g', None, "0"),
            (0.1, 'g', None, "0.1"),
            (1.0, 'g', None, "1"),
            (100_000.0, 'g', None, "100000"),
            (1e6, 'g', None, "1e+06"),
            (123_456_789.0, 'g', None, "1.23456789e+08"),
            (1e21, 'g', None, "1e+21"),
            (0.0001, 'g', None, "0.0001"),
            (0.00001, 'g', None, "1e-05"),
            (-2.5, 'g', None, "-2.5"),
            (f64::INFINITY, 'g', Some(4), "+Inf"),
            (f64::NEG_INFINITY, 'f', Some(2), "-Inf"),
            (f64::NAN, 'g', None, "NaN"),
            (1234.5, 'g', Some(4), "1234"),
            (12345.0, 'g', Some(4), "1.234e+04"),
            (999.95, 'g', Some(4), "1000"),
            (99999.0, 'g', Some(4), "1e+05"),
            (0.13872, 'g', Some(4), "0.1387"),
            (100.0, 'g', Some(4), "100"),
            (0.5, 'g', Some(4), "0.5"),
            (1.0 / 3.0, 'f', Some(2), "0.33"),
            (2.5, 'f', Some(0), "2"),
            (1.0, 'f', None, "1.000000"),
            (1500.0, 'e', Some(1), "1.5e+03"),
            (1e-7, 'E', None, "1.000000E-07"),
        ] {
            assert_eq!(float(value, verb, precision), expected, "{value} {verb} {precision:?}");
        }
    }

    #[test]
    fn durations_and_times_are_written_as_go_writes_them() {
        for (nanos, expected) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (3_300_000_000, "3.3s"),
            (245_000_000_000, "4m5s"),
            (-245_001_000_000, "-4m5.001s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(span(nanos), expected);
        }
        for (millis, expected) in [
            (1_234_567_890_000, "2009-02-13 23:31:30 +0000 UTC"),
            (1_435_065_584_128, "2015-06-23 13:19:44.128 +0000 UTC"),
            (1_435_065_584_120, "2015-06-23 13:19:44.12 +0000 UTC"),
            (-1, "1969-12-31 23:59:59.999 +0000 UTC"),
        ] {
            assert_eq!(time(Timestamp::from_millis(millis), &TimeZone::UTC), expected);
        }
    }
}
