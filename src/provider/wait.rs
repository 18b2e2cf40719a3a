//! How long a provider asks us to wait.
//!
//! Headers are read in the order in which the vendors' own clients trust them: milliseconds, then
//! `retry-after`, then the resets of limits that are used up. What makes no sense (negative,
//! infinite, not a number) counts as absent and the next is read; a date that has passed is a wait
//! of nothing; what is absurdly long is cut, never dropped, since to forget it would mean to ask
//! again at once.

use std::time::Duration;

use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;

use crate::model::Timestamp;

/// Longer waits are cut to this: a day is longer than any caller waits, and safe to add to a time.
const WAIT_MAX: Duration = Duration::from_hours(24);

/// Each reset header with the header that says what is left of its limit.
const RESETS: [(&str, &str); 6] = [
    ("x-ratelimit-reset-requests", "x-ratelimit-remaining-requests"),
    ("x-ratelimit-reset-tokens", "x-ratelimit-remaining-tokens"),
    ("anthropic-ratelimit-requests-reset", "anthropic-ratelimit-requests-remaining"),
    ("anthropic-ratelimit-tokens-reset", "anthropic-ratelimit-tokens-remaining"),
    ("anthropic-ratelimit-input-tokens-reset", "anthropic-ratelimit-input-tokens-remaining"),
    ("anthropic-ratelimit-output-tokens-reset", "anthropic-ratelimit-output-tokens-remaining"),
];

/// The wait that headers ask for, at most a day; `headers` gives a value by its lower-case name.
///
/// A reset counts only where its limit is used up (the longest such one), for resets come with
/// every answer.
pub fn retry_after(headers: &dyn Fn(&str) -> Option<String>, now: Timestamp) -> Option<Duration> {
    ["retry-after-ms", "x-ms-retry-after-ms"]
        .into_iter()
        .find_map(|name| seconds(headers(name)?.trim(), 0.001))
        .or_else(|| any(headers("retry-after")?.trim(), now))
        .or_else(|| {
            RESETS
                .into_iter()
                .filter(|(_, remaining)| headers(remaining).is_some_and(|left| left.trim() == "0"))
                .filter_map(|(reset, _)| any(headers(reset)?.trim(), now))
                .max()
        })
}

/// A wait in any notation: seconds, Go duration, HTTP date, RFC 3339.
pub(super) fn any(text: &str, now: Timestamp) -> Option<Duration> {
    seconds(text, 1.0).or_else(|| go_duration(text)).or_else(|| until(text, now))
}

fn seconds(text: &str, unit: f64) -> Option<Duration> {
    // Rust reads `inf` and `nan` too; both are refused below.
    bounded(text.parse::<f64>().ok()? * unit)
}

/// Go's notation: numbers with units, at least one, such as `1h2m3.5s`, `12ms`, `57.2s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = 0.0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(end);
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = tail;
    }
    bounded(total)
}

fn until(text: &str, now: Timestamp) -> Option<Duration> {
    // RFC 9110 asks recipients to take all three forms of a date.
    let at = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"]
        .into_iter()
        .find_map(|format| {
            let date = BrokenDownTime::parse(format, text).ok()?.to_datetime().ok()?;
            Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })
        .or_else(|| text.parse::<jiff::Timestamp>().ok())?;
    Some(Timestamp::from_millis(at.as_millisecond()).since(now).min(WAIT_MAX))
}

fn bounded(seconds: f64) -> Option<Duration> {
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).map_or(WAIT_MAX, |wait| wait.min(WAIT_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    // 1994-11-06T08:49:37Z, the date of RFC 9110's own examples.
    const NOW: Timestamp = Timestamp::from_millis(784_111_777_000);

    fn wait(headers: &[(&str, &str)]) -> Option<f64> {
        let get = |name: &str| {
            headers.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        retry_after(&get, NOW).map(|wait| wait.as_secs_f64())
    }

    #[test]
    fn every_notation_of_retry_after_is_read_and_nonsense_counts_as_absent() {
        for (text, seconds) in [
            ("20", Some(20.0)),
            (" 20 ", Some(20.0)),
            ("0", Some(0.0)),
            ("1.5", Some(1.5)),
            ("-1", None),
            ("-0.5", None),
            ("inf", None),
            ("-inf", None),
            ("NaN", None),
            ("", None),
            ("soon", None),
            ("1e3", Some(1000.0)),
            ("1e300", Some(86_400.0)),
            ("99999999999999999999999", Some(86_400.0)),
            ("Sun, 06 Nov 1994 08:49:57 GMT", Some(20.0)),
            ("Sunday, 06-Nov-94 08:49:57 GMT", Some(20.0)),
            ("Sun Nov  6 08:49:57 1994", Some(20.0)),
            ("Sun, 06 Nov 1994 08:49:17 GMT", Some(0.0)),
            ("Tue, 31 Dec 2999 23:59:59 GMT", Some(86_400.0)),
            ("Sun, 99 Nov 1994 08:49:57 GMT", None),
            ("1994-11-06T08:49:57Z", Some(20.0)),
            ("1994-11-06T09:49:57+01:00", Some(20.0)),
            ("1994-11-06T08:49:17Z", Some(0.0)),
            ("6m0s", Some(360.0)),
            ("1h2m3.5s", Some(3723.5)),
            ("12ms", Some(0.012)),
            ("1s", Some(1.0)),
            ("57.2s", Some(57.2)),
            ("250µs", Some(0.000_25)),
            ("-1s", None),
            ("6m0", None),
            ("6x", None),
            ("1..5s", None),
            ("9999999h", Some(86_400.0)),
        ] {
            assert_eq!(wait(&[("retry-after", text)]), seconds, "`{text}`");
        }
        assert_eq!(wait(&[]), None);
    }

    #[test]
    fn milliseconds_come_first_and_nonsense_falls_through() {
        let both = |ms| wait(&[("retry-after-ms", ms), ("retry-after", "3")]);
        assert_eq!(both("1500"), Some(1.5));
        assert_eq!(both("0.5"), Some(0.0005));
        assert_eq!(both("-1"), Some(3.0));
        assert_eq!(both("inf"), Some(3.0));
        assert_eq!(wait(&[("x-ms-retry-after-ms", "250")]), Some(0.25));
    }

    #[test]
    fn a_reset_counts_only_where_the_limit_is_used_up() {
        let reset = ("x-ratelimit-reset-requests", "6m0s");
        assert_eq!(wait(&[reset]), None);
        assert_eq!(wait(&[reset, ("x-ratelimit-remaining-requests", "7")]), None);
        assert_eq!(wait(&[reset, ("x-ratelimit-remaining-requests", "0")]), Some(360.0));
        assert_eq!(
            wait(&[
                reset,
                ("x-ratelimit-remaining-requests", "0"),
                ("anthropic-ratelimit-tokens-reset", "1994-11-06T08:59:37Z"),
                ("anthropic-ratelimit-tokens-remaining", "0"),
            ]),
            Some(600.0)
        );
    }
}
